-- Silver sales to gold. `:batches` are the batches loaded and not yet promoted: every silver row
-- that changed since the last promotion carries one of them.

-- name: remember_span
-- The days of the changed sales. What reads all of them only remembers: PostgreSQL divides such a
-- reading among processes, but not one that writes.
create temporary table span on commit drop as
select date_trunc('year', min(date)) as first_day, date_trunc('year', max(date)) as last_year
from silver.sales
where batch_id = any(:batches);

-- name: remember_customers
-- The customers that the changed sales name.
create temporary table named_customer on commit drop as
select distinct customer_id
from silver.sales
where batch_id = any(:batches);

-- name: remember_products
-- The products of the changed sales, under each name and category given, with the newest such sale.
create temporary table touched_product on commit drop as
select product_id, product_name, category, max((batch_id << 32) | position) as newest
from silver.sales
where batch_id = any(:batches)
group by product_id, product_name, category;

-- name: remember_left_products
-- Products whose name or category in gold may no longer stand: a corrected sale left them, or no
-- longer gives what it gave, or no sale gave it.
create temporary table left_product on commit drop as
with unnamed as (
    select product_id
    from touched_product
    group by product_id
    having count(product_name) = 0 or count(category) = 0
)

select t.product_id
from silver.sales as s
join gold.transactions as t on t.transaction_id = s.transaction_id
where s.batch_id = any(:batches) and t.product_id <> s.product_id
union
select s.product_id
from unnamed as p
join silver.sales as s on s.product_id = p.product_id and s.batch_id = any(:batches)
join gold.transactions as t on t.transaction_id = s.transaction_id
union
select p.product_id
from unnamed as p
where not exists (select from gold.transactions as t where t.product_id = p.product_id);

-- name: extend_dim_date
-- Whole years of the data and no further.
insert into gold.dim_date (
    date, year, quarter, month, day, month_start, month_name, month_label, weekday, weekday_name
)
select
    d::date, extract(year from d), extract(quarter from d), extract(month from d),
    extract(day from d), date_trunc('month', d)::date, to_char(d, 'FMMonth'),
    to_char(d, 'Mon YYYY'), extract(isodow from d), to_char(d, 'FMDay')
from span,
generate_series(
    least(span.first_day, (select min(date) from gold.dim_date)),
    span.last_year + interval '1 year - 1 day',
    interval '1 day'
) as d
where span.first_day is not null
on conflict (date) do nothing;

-- name: insert_inferred_customers
-- A sale whose customer is not known yet is not lost: it points to an inferred customer.
insert into gold.customers (
    customer_id, customer_name, region, is_inferred, insert_date, update_date
)
select
    s.customer_id, 'Unknown', 'Unknown', true, statement_timestamp(), statement_timestamp()
from named_customer as s
where not exists (select from gold.customers as c where c.customer_id = s.customer_id);

-- name: upsert_products
-- A product shows the newest given name and category among its sales, by order of arrival. Where
-- the changed sales give none, what gold shows still stands, unless the product was left.
with given as (
    select product_id, product_name, category, newest from touched_product
    union all
    select
        o.product_id, o.product_name, o.category, max((o.batch_id << 32) | o.position)
    from left_product as l
    join gold.transactions as t on t.product_id = l.product_id
    join silver.sales as o
        on o.transaction_id = t.transaction_id and o.product_id = l.product_id
    group by o.product_id, o.product_name, o.category
),

named as (
    select distinct on (product_id) product_id, product_name
    from given
    where product_name is not null
    order by product_id asc, newest desc
),

grouped as (
    select distinct on (product_id) product_id, category
    from given
    where category is not null
    order by product_id asc, newest desc
),

touched as (
    select product_id from touched_product
    union
    select product_id from left_product
),

described as (
    select
        p.product_id,
        coalesce(n.product_name, still.product_name, p.product_id) as product_name,
        coalesce(c.category, still.category, 'Unknown') as category
    from touched as p
    left join named as n on n.product_id = p.product_id
    left join grouped as c on c.product_id = p.product_id
    left join gold.products as still
        on still.product_id = p.product_id
        and p.product_id not in (select product_id from left_product)
)

insert into gold.products as t (product_id, product_name, category, insert_date, update_date)
select product_id, product_name, category, statement_timestamp(), statement_timestamp()
from described
on conflict (product_id) do update
set
    product_name = excluded.product_name,
    category = excluded.category,
    update_date = excluded.update_date
where
    (t.product_name, t.category) is distinct from (excluded.product_name, excluded.category);

-- name: update_transactions
-- Sales that gold knows and that changed.
update gold.transactions as t
set
    customer_id = s.customer_id,
    product_id = s.product_id,
    quantity = s.quantity,
    price = s.price,
    discount = s.discount,
    region = s.region,
    transaction_datetime = s.date,
    update_date = statement_timestamp()
from silver.sales as s
where
    s.batch_id = any(:batches)
    and t.transaction_id = s.transaction_id
    and (
        t.customer_id, t.product_id, t.quantity, t.price, t.discount, t.region,
        t.transaction_datetime
    ) is distinct from (
        s.customer_id, s.product_id, s.quantity, s.price, s.discount, s.region, s.date
    );

-- name: insert_transactions
-- Sales that gold does not know yet.
insert into gold.transactions (
    transaction_id, customer_id, product_id, quantity, price, discount, region,
    transaction_datetime, insert_date, update_date
)
select
    s.transaction_id, s.customer_id, s.product_id, s.quantity, s.price, s.discount, s.region,
    s.date, statement_timestamp(), statement_timestamp()
from silver.sales as s
where
    s.batch_id = any(:batches)
    and not exists (
        select from gold.transactions as t where t.transaction_id = s.transaction_id
    );

-- name: delete_transactions
-- Sales that silver no longer has.
delete from gold.transactions as t
where not exists (select from silver.sales as s where s.transaction_id = t.transaction_id);

-- name: delete_left_products
-- Products that no sale names any more.
delete from gold.products as p
where not exists (select from gold.transactions as t where t.product_id = p.product_id);

-- name: delete_left_customers
-- Inferred customers that no sale names any more.
delete from gold.customers as c
where
    c.is_inferred
    and not exists (select from gold.transactions as t where t.customer_id = c.customer_id);

-- name: trim_dim_date
-- Years that a correction emptied: the calendar's last year decides what "year to date" means.
delete from gold.dim_date
where
    not exists (select from gold.transactions)
    or date < (select date_trunc('year', min(transaction_date)) from gold.transactions)
    or date >= (
        select date_trunc('year', max(transaction_date)) + interval '1 year' from gold.transactions
    );

-- name: sales_in_gold
-- gold.transactions = silver.sales, row for row; and the money of silver, by the formula, equals
-- the money of gold, and of the rollup.
with silver as (
    select
        count(*) as sales,
        coalesce(sum(round(quantity * price * (1 - discount), 2)), 0) as money
    from silver.sales
),

gold as (
    select count(*) as sales, coalesce(sum(total_value), 0) as money from gold.transactions
),

rollup as (
    select coalesce(sum(transactions), 0) as sales, coalesce(sum(sales), 0) as money
    from gold.daily_sales
)

select
    'rows: silver.sales = gold.transactions' as leg, silver.sales as left_side,
    gold.sales as right_side
from silver, gold
union all
select 'money: silver.sales = gold.transactions', silver.money, gold.money
from silver, gold
union all
select 'rows: gold.transactions = gold.daily_sales', gold.sales, rollup.sales
from gold, rollup
union all
select 'money: gold.transactions = gold.daily_sales', gold.money, rollup.money
from gold, rollup
union all
select 'money: gold.daily_sales = gold.monthly_sales', rollup.money,
    (select coalesce(sum(sales), 0) from gold.monthly_sales)
from rollup;

-- name: promoted_rows
-- Gold holds as many sales as promotions left there.
select
    'rows: promotions = gold.transactions' as leg,
    coalesce((
        select rows from etl.expected where dataset = 'sales' and layer = 'gold'
    ), 0) as left_side,
    (select count(*) from gold.transactions) as right_side;

-- name: whole_calendar
-- The calendar has every day of the years of the sales, and no other; without sales it may stay.
select
    'days: years of gold.transactions = gold.dim_date' as leg,
    coalesce((
        select
            make_date(extract(year from max(transaction_date))::integer, 12, 31)
            - make_date(extract(year from min(transaction_date))::integer, 1, 1) + 1
        from gold.transactions
    ), (select count(*) from gold.dim_date)) as left_side,
    (select count(*) from gold.dim_date) as right_side;

-- name: whole_rollup
-- Every group of the rollups is what its sales make up.
with whole as (
    select
        t.transaction_date, t.region, t.product_id, c.region,
        count(*), sum(t.quantity), sum(t.total_value),
        count(*) filter (where t.total_value > 1000),
        coalesce(sum(t.total_value) filter (where t.total_value > 1000), 0)
    from gold.transactions as t
    join gold.customers as c on c.customer_id = t.customer_id
    group by t.transaction_date, t.region, t.product_id, c.region
),

months as (
    select
        date_trunc('month', transaction_date)::date, region, product_id, home_region,
        sum(transactions), sum(pieces), sum(sales), sum(high_value_transactions),
        sum(high_value_sales)
    from gold.daily_sales
    group by 1, 2, 3, 4
)

select
    'groups: gold.daily_sales as gold.transactions make it up' as leg,
    (select count(*) from (select * from whole union select * from gold.daily_sales) as either)
        as left_side,
    (select count(*) from (select * from whole intersect select * from gold.daily_sales) as equal)
        as right_side
union all
select
    'groups: gold.monthly_sales as gold.daily_sales make it up',
    (select count(*) from (select * from months union select * from gold.monthly_sales) as either),
    (
        select count(*)
        from (select * from months intersect select * from gold.monthly_sales) as equal
    );
