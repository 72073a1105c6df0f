-- The metrics: first the definition of each, then what one page of the dashboard reads.

-- name: customers
-- Customers that a customer record describes; one only named by sales is not counted.
select count(*) as customers
from gold.customers
where not is_inferred;

-- name: total_sales
-- Money of all sales, USD.
select coalesce(sum(total_value), 0) as total_sales
from gold.transactions;

-- name: sales_ytd
-- Money of the sales from 1 January of the calendar's last year up to its last day, USD.
with last_day as (
    select max(date) as day from gold.dim_date
)

select coalesce(sum(t.total_value), 0) as sales_ytd
from gold.transactions as t
cross join last_day
where t.transaction_date between date_trunc('year', last_day.day)::date and last_day.day;

-- name: average_sale
-- Money of a sale on average, USD, rounded to cents; null without sales.
select round(avg(total_value), 2) as average_sale
from gold.transactions;

-- name: high_value_transactions
-- Number of sales worth more than 1,000 USD.
select count(*) as high_value_transactions
from gold.transactions
where total_value > 1000;

-- name: high_value_sales
-- Money of the sales worth more than 1,000 USD each.
select coalesce(sum(total_value), 0) as high_value_sales
from gold.transactions
where total_value > 1000;

-- name: transactions
-- Number of sales.
select count(*) as transactions
from gold.transactions;

-- name: loyalty_points
-- Loyalty points of all known customers.
select coalesce(sum(loyalty_points), 0) as loyalty_points
from gold.customers
where not is_inferred;

-- name: months
-- What the dashboard adds up: one row a month, region, home region and product name.
select
    m.transaction_month as day,
    m.region,
    m.home_region,
    p.product_name,
    p.category,
    sum(m.transactions) as transactions,
    sum(m.pieces) as pieces,
    sum(m.sales) as sales,
    sum(m.high_value_transactions) as high_value_transactions,
    sum(m.high_value_sales) as high_value_sales
from gold.monthly_sales as m
join gold.products as p on p.product_id = m.product_id
group by 1, 2, 3, 4, 5;

-- name: days_of_month
-- The same of the days from `:start` to `:end`, which are of one month, added up.
with part as (
    -- few groups are left to be named
    select
        region, home_region, product_id,
        sum(transactions) as transactions,
        sum(pieces) as pieces,
        sum(sales) as sales,
        sum(high_value_transactions) as high_value_transactions,
        sum(high_value_sales) as high_value_sales
    from gold.daily_sales
    where transaction_date between cast(:start as date) and cast(:end as date)
    group by region, home_region, product_id
)

select
    date_trunc('month', cast(:start as date))::date as day,
    d.region,
    d.home_region,
    p.product_name,
    p.category,
    sum(d.transactions) as transactions,
    sum(d.pieces) as pieces,
    sum(d.sales) as sales,
    sum(d.high_value_transactions) as high_value_transactions,
    sum(d.high_value_sales) as high_value_sales
from part as d
join gold.products as p on p.product_id = d.product_id
group by d.region, d.home_region, p.product_name, p.category;

-- name: by_day
-- Sales of each day from `:start` to `:end`. `:regions`, `:home_regions`, `:products` and
-- `:categories` are text arrays, empty means all; `:known_region_only` is a boolean.
select
    d.transaction_date as day,
    sum(d.transactions)::bigint as transactions,
    sum(d.sales) as sales
from gold.daily_sales as d
join gold.products as p on p.product_id = d.product_id
where
    d.transaction_date between cast(:start as date) and cast(:end as date)
    and (
        cardinality(cast(:regions as text[])) = 0 or d.region = any(cast(:regions as text[]))
    )
    and (
        cardinality(cast(:home_regions as text[])) = 0
        or d.home_region = any(cast(:home_regions as text[]))
    )
    and (
        cardinality(cast(:products as text[])) = 0
        or p.product_name = any(cast(:products as text[]))
    )
    and (
        cardinality(cast(:categories as text[])) = 0
        or p.category = any(cast(:categories as text[]))
    )
    and (not cast(:known_region_only as boolean) or d.home_region <> 'Unknown')
group by d.transaction_date
order by day;

-- name: customers_by_region
-- Known customers and their loyalty points, by home region; most points first.
select region, sum(loyalty_points)::bigint as loyalty_points, count(*) as customers
from gold.customers
where not is_inferred
group by region
order by loyalty_points desc, region;

-- name: choices
-- What the slicers offer: one row a region, product and category of the sales.
select distinct 'region' as slicer, region as choice from gold.daily_sales
union
select distinct 'home_region', region from gold.customers
union
select 'product', product_name from gold.products
union
select 'category', category from gold.products
order by slicer, choice;

-- name: calendar
-- First and last day of the calendar, and the last day with a sale; null while there are no sales.
select
    min(date) as first_day,
    max(date) as last_day,
    (select max(transaction_date) from gold.daily_sales) as last_sale
from gold.dim_date;

-- name: data_version
-- Grows with every promotion that changed gold.
select coalesce(sum(data_version), 0)::bigint as data_version from etl.dataset;

-- name: freshness
-- Version of gold, and the last run that promoted data to it.
with promoted as (
    select s.run_id, s.ended_at, r.dataset
    from etl.step as s
    join etl.run as r on r.run_id = s.run_id
    where s.step = 'promote' and s.status = 'succeeded'
    order by s.ended_at desc
    limit 1
)

select
    (select coalesce(sum(data_version), 0)::bigint from etl.dataset) as data_version,
    p.run_id, p.dataset, p.ended_at
from (select 1) as one
left join promoted as p on true;
