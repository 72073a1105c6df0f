-- The rollups gold.daily_sales and gold.monthly_sales. A promotion first remembers what it will change
-- in the temporary tables `daily_change` and `monthly_change`, one row a group with amounts to add, then
-- adds it.

-- name: remember_sales
-- What the sales of `:batches` add, less what gold holds of them now. Runs before they are written.
create temporary table daily_change on commit drop as
with arriving as (
    select
        s.date::date as transaction_date, s.region, s.product_id,
        coalesce(c.region, 'Unknown') as home_region,
        s.quantity, round(s.quantity * s.price * (1 - s.discount), 2) as total_value, 1 as sign
    from silver.sales as s
    left join gold.customers as c on c.customer_id = s.customer_id
    where s.batch_id = any(:batches)
),

leaving as (
    select
        t.transaction_date, t.region, t.product_id, c.region,
        t.quantity, t.total_value, -1
    from silver.sales as s
    join gold.transactions as t on t.transaction_id = s.transaction_id
    join gold.customers as c on c.customer_id = t.customer_id
    where s.batch_id = any(:batches)
)

select
    transaction_date, region, product_id, home_region,
    sum(sign) as transactions,
    sum(sign * quantity) as pieces,
    sum(sign * total_value) as sales,
    coalesce(sum(sign) filter (where total_value > 1000), 0) as high_value_transactions,
    coalesce(sum(sign * total_value) filter (where total_value > 1000), 0) as high_value_sales
from (select * from arriving union all select * from leaving) as moved
group by transaction_date, region, product_id, home_region;

-- name: remember_homes
-- Sales of customers whose home region changes by `:batches`: they leave one group for another. Runs before the customers are written.
create temporary table daily_change on commit drop as
with moved as (
    select c.customer_id, c.region as home_before, n.region as home_after
    from silver.customers as s
    join gold.customers as c on c.customer_id = s.customer_id
    cross join lateral (
        select case s.region when 'NA' then 'Unknown' else initcap(s.region) end as region
    ) as n
    where s.batch_id = any(:batches) and c.region <> n.region
)

select
    t.transaction_date, t.region, t.product_id, side.home_region,
    sum(side.sign) as transactions,
    sum(side.sign * t.quantity) as pieces,
    sum(side.sign * t.total_value) as sales,
    coalesce(sum(side.sign) filter (where t.total_value > 1000), 0) as high_value_transactions,
    coalesce(sum(side.sign * t.total_value) filter (where t.total_value > 1000), 0)
        as high_value_sales
from moved as m
join gold.transactions as t on t.customer_id = m.customer_id
cross join lateral (
    values (m.home_before, -1), (m.home_after, 1)
) as side (home_region, sign)
group by t.transaction_date, t.region, t.product_id, side.home_region;

-- name: remember_drift
-- What the rollup lacks of all sales of gold: after everything was judged again, rows may be gone.
create temporary table daily_change on commit drop as
with whole as (
    select
        t.transaction_date, t.region, t.product_id,
        c.region as home_region,
        count(*) as transactions,
        sum(t.quantity) as pieces,
        sum(t.total_value) as sales,
        count(*) filter (where t.total_value > 1000) as high_value_transactions,
        coalesce(sum(t.total_value) filter (where t.total_value > 1000), 0) as high_value_sales
    from gold.transactions as t
    join gold.customers as c on c.customer_id = t.customer_id
    group by t.transaction_date, t.region, t.product_id, c.region
)

select
    transaction_date, region, product_id, home_region,
    coalesce(w.transactions, 0) - coalesce(d.transactions, 0) as transactions,
    coalesce(w.pieces, 0) - coalesce(d.pieces, 0) as pieces,
    coalesce(w.sales, 0) - coalesce(d.sales, 0) as sales,
    coalesce(w.high_value_transactions, 0) - coalesce(d.high_value_transactions, 0)
        as high_value_transactions,
    coalesce(w.high_value_sales, 0) - coalesce(d.high_value_sales, 0) as high_value_sales
from whole as w
full join gold.daily_sales as d
    using (transaction_date, region, product_id, home_region);

-- name: remember_months
-- The same changes by month.
create temporary table monthly_change on commit drop as
select
    date_trunc('month', transaction_date)::date as transaction_month,
    region, product_id, home_region,
    sum(transactions) as transactions,
    sum(pieces) as pieces,
    sum(sales) as sales,
    sum(high_value_transactions) as high_value_transactions,
    sum(high_value_sales) as high_value_sales
from daily_change
group by 1, 2, 3, 4;

-- name: remember_drift_of_months
-- What the months lack of the days, once these are right.
create temporary table monthly_change on commit drop as
with whole as (
    select
        date_trunc('month', transaction_date)::date as transaction_month,
        region, product_id, home_region,
        sum(transactions) as transactions,
        sum(pieces) as pieces,
        sum(sales) as sales,
        sum(high_value_transactions) as high_value_transactions,
        sum(high_value_sales) as high_value_sales
    from gold.daily_sales
    group by 1, 2, 3, 4
)

select
    transaction_month, region, product_id, home_region,
    coalesce(w.transactions, 0) - coalesce(m.transactions, 0) as transactions,
    coalesce(w.pieces, 0) - coalesce(m.pieces, 0) as pieces,
    coalesce(w.sales, 0) - coalesce(m.sales, 0) as sales,
    coalesce(w.high_value_transactions, 0) - coalesce(m.high_value_transactions, 0)
        as high_value_transactions,
    coalesce(w.high_value_sales, 0) - coalesce(m.high_value_sales, 0) as high_value_sales
from whole as w
full join gold.monthly_sales as m
    using (transaction_month, region, product_id, home_region);

-- name: change_days
-- Add what was remembered; a group without sales goes.
merge into gold.daily_sales as d
using (
    select *
    from daily_change
    where
        (transactions, pieces, sales, high_value_transactions, high_value_sales)
        is distinct from (0, 0, 0, 0, 0)
) as c
    on
        d.transaction_date = c.transaction_date
        and d.region = c.region
        and d.product_id = c.product_id
        and d.home_region = c.home_region
when matched and d.transactions + c.transactions = 0 then delete
when matched then update set
    transactions = d.transactions + c.transactions,
    pieces = d.pieces + c.pieces,
    sales = d.sales + c.sales,
    high_value_transactions = d.high_value_transactions + c.high_value_transactions,
    high_value_sales = d.high_value_sales + c.high_value_sales
when not matched then insert (
    transaction_date, region, product_id, home_region, transactions, pieces, sales,
    high_value_transactions, high_value_sales
) values (
    c.transaction_date, c.region, c.product_id, c.home_region, c.transactions, c.pieces,
    c.sales, c.high_value_transactions, c.high_value_sales
);

-- name: change_months
-- The same for the months.
merge into gold.monthly_sales as d
using (
    select *
    from monthly_change
    where
        (transactions, pieces, sales, high_value_transactions, high_value_sales)
        is distinct from (0, 0, 0, 0, 0)
) as c
    on
        d.transaction_month = c.transaction_month
        and d.region = c.region
        and d.product_id = c.product_id
        and d.home_region = c.home_region
when matched and d.transactions + c.transactions = 0 then delete
when matched then update set
    transactions = d.transactions + c.transactions,
    pieces = d.pieces + c.pieces,
    sales = d.sales + c.sales,
    high_value_transactions = d.high_value_transactions + c.high_value_transactions,
    high_value_sales = d.high_value_sales + c.high_value_sales
when not matched then insert (
    transaction_month, region, product_id, home_region, transactions, pieces, sales,
    high_value_transactions, high_value_sales
) values (
    c.transaction_month, c.region, c.product_id, c.home_region, c.transactions, c.pieces,
    c.sales, c.high_value_transactions, c.high_value_sales
);
