-- Silver sales to gold. `:batches` are the batches loaded and not yet promoted: every silver row
-- that changed since the last promotion carries one of them.

-- name: extend_dim_date
-- Whole years of the data and no further.
insert into gold.dim_date (
    date, year, quarter, month, day, month_start, month_name, month_label, weekday, weekday_name
)
select
    d::date, extract(year from d), extract(quarter from d), extract(month from d),
    extract(day from d), date_trunc('month', d)::date, to_char(d, 'FMMonth'),
    to_char(d, 'Mon YYYY'), extract(isodow from d), to_char(d, 'FMDay')
from (
    select date_trunc('year', min(date)) as first_day, date_trunc('year', max(date)) as last_year
    from silver.sales
    where batch_id = any(:batches)
) as span,
generate_series(
    least(span.first_day, (select min(date) from gold.dim_date)),
    span.last_year + interval '1 year - 1 day',
    interval '1 day'
) as d
where span.first_day is not null
on conflict (date) do nothing;

-- name: remember_left_products
-- Products that a corrected sale leaves: their newest name may now be another sale's.
create temporary table left_product on commit drop as
select distinct t.product_id
from silver.sales as s
join gold.transactions as t on t.transaction_id = s.transaction_id
where s.batch_id = any(:batches) and t.product_id <> s.product_id;

-- name: insert_inferred_customers
-- A sale whose customer is not known yet is not lost: it points to an inferred customer.
insert into gold.customers (
    customer_id, customer_name, region, is_inferred, insert_date, update_date
)
select
    s.customer_id, 'Unknown', 'Unknown', true, statement_timestamp(), statement_timestamp()
from (select distinct customer_id from silver.sales where batch_id = any(:batches)) as s
where not exists (select from gold.customers as c where c.customer_id = s.customer_id);

-- name: upsert_products
-- A product shows the newest given name and category among its sales, by order of arrival.
with changed as (
    select
        product_id,
        max((batch_id << 32) | position) filter (where product_name is not null) as newest_name,
        max((batch_id << 32) | position) filter (where category is not null) as newest_category
    from silver.sales
    where batch_id = any(:batches)
    group by product_id
),

touched as (
    select product_id, newest_name, newest_category from changed
    union all
    select product_id, null, null
    from left_product
    where product_id not in (select product_id from changed)
),

described as (
    select
        p.product_id,
        coalesce(named.product_name, older_name.product_name) as product_name,
        coalesce(grouped.category, older_category.category) as category
    from touched as p
    left join silver.sales as named
        on named.batch_id = any(:batches)
        and named.batch_id = p.newest_name >> 32 and named.position = p.newest_name & 4294967295
    left join silver.sales as grouped
        on grouped.batch_id = any(:batches)
        and grouped.batch_id = p.newest_category >> 32
        and grouped.position = p.newest_category & 4294967295
    left join lateral (
        select o.product_name
        from silver.sales as o
        where
            p.newest_name is null
            and o.product_id = p.product_id
            and o.product_name is not null
        order by o.batch_id desc, o.position desc
        limit 1
    ) as older_name on true
    left join lateral (
        select o.category
        from silver.sales as o
        where
            p.newest_category is null
            and o.product_id = p.product_id
            and o.category is not null
        order by o.batch_id desc, o.position desc
        limit 1
    ) as older_category on true
)

insert into gold.products as t (product_id, product_name, category, insert_date, update_date)
select
    product_id, coalesce(product_name, product_id), coalesce(category, 'Unknown'),
    statement_timestamp(), statement_timestamp()
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
    date < (select date_trunc('year', min(transaction_date)) from gold.transactions)
    or date >= (
        select date_trunc('year', max(transaction_date)) + interval '1 year' from gold.transactions
    );

-- name: rows_in_gold
-- gold.transactions = silver.sales, row for row.
select
    'rows: silver.sales = gold.transactions' as leg,
    (select count(*) from silver.sales) as left_side,
    (select count(*) from gold.transactions) as right_side;

-- name: money_in_gold
-- The money of silver, by the formula, equals the money of gold.
select
    'money: silver.sales = gold.transactions' as leg,
    (select coalesce(sum(round(quantity * price * (1 - discount), 2)), 0) from silver.sales)
        as left_side,
    (select coalesce(sum(total_value), 0) from gold.transactions) as right_side;

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
