-- The metrics: first the definition of each, then what one page of the dashboard reads.
--
-- Filters are parameters: `:regions`, `:products`, `:categories` are text arrays (empty means all),
-- `:start` and `:end` are days (null means open), `:known_region_only` is a boolean.

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

-- name: year_to_date
-- The last calendar day in the period, and 1 January of its year; both null when there is none.
with last_day as (
    select max(date) as day
    from gold.dim_date
    where
        date >= coalesce(cast(:start as date), '-infinity')
        and date <= coalesce(cast(:end as date), 'infinity')
)

select
    date_trunc('year', day)::date as first_day,
    day as last_day
from last_day;

-- name: page
-- Every KPI and every tile for one set of filters: one row a figure, with its amount and count.
-- Sales are read once, into one row a region, month and product; all else adds those up.
-- `:ytd_start` and `:ytd_end` come from year_to_date, `:top` is the number of top products.
with chosen_product as (
    select product_id, product_name
    from gold.products
    where
        (
            cardinality(cast(:products as text[])) = 0
            or product_name = any(cast(:products as text[]))
        )
        and (
            cardinality(cast(:categories as text[])) = 0
            or category = any(cast(:categories as text[]))
        )
),

cell as (
    select
        region,
        transaction_month as month,
        product_id,
        total_value > 1000 as is_high_value,
        transaction_date >= coalesce(cast(:start as date), '-infinity') as is_in_period,
        coalesce(transaction_date >= cast(:ytd_start as date), false)
        and coalesce(transaction_date <= cast(:ytd_end as date), false) as is_year_to_date,
        sum(total_value) as sales,
        count(*) as transactions
    from gold.transactions as t
    where
        transaction_date >= least(
            coalesce(cast(:start as date), '-infinity'),
            coalesce(cast(:ytd_start as date), 'infinity')
        )
        and transaction_date <= coalesce(cast(:end as date), 'infinity')
        and (
            cardinality(cast(:regions as text[])) = 0
            or region = any(cast(:regions as text[]))
        )
        and (
            cardinality(cast(:products as text[])) + cardinality(cast(:categories as text[])) = 0
            or exists (select from chosen_product as p where p.product_id = t.product_id)
        )
        and (
            not cast(:known_region_only as boolean)
            or exists (
                select from gold.customers as c
                where c.customer_id = t.customer_id and c.region <> 'Unknown'
            )
        )
    group by 1, 2, 3, 4, 5, 6
),

sale as (
    select region, month, product_id, is_high_value, sales, transactions
    from cell
    where is_in_period
),

known_customer as (
    select region, sum(loyalty_points) as points, count(*) as customers
    from gold.customers
    where not is_inferred
    group by region
),

product as (
    select
        p.product_name,
        sum(s.sales) as sales,
        sum(s.transactions) as transactions,
        row_number() over (order by sum(s.sales) desc, p.product_name) as place
    from sale as s
    join chosen_product as p on p.product_id = s.product_id
    group by p.product_name
)

select 'customers' as figure, null as label, null::date as month,
    0::numeric as amount, coalesce(sum(customers), 0)::bigint as count
from known_customer
union all
select 'loyalty_points', null, null, coalesce(sum(points), 0), coalesce(sum(customers), 0)::bigint
from known_customer
union all
select 'total_sales', null, null, coalesce(sum(sales), 0), coalesce(sum(transactions), 0)::bigint
from sale
union all
select 'average_sale', null, null,
    round(sum(sales) / sum(transactions), 2), coalesce(sum(transactions), 0)::bigint
from sale
union all
select 'sales_ytd', null, null, coalesce(sum(sales), 0), coalesce(sum(transactions), 0)::bigint
from cell where is_year_to_date
union all
select 'high_value_sales', null, null,
    coalesce(sum(sales), 0), coalesce(sum(transactions), 0)::bigint
from sale where is_high_value
union all
select 'sales_by_region', region, null, sum(sales), sum(transactions)::bigint
from sale group by region
union all
select 'monthly_sales', null, month, sum(sales), sum(transactions)::bigint
from sale group by month
union all
select 'loyalty_points_by_region', region, null, points, customers
from known_customer
union all
select 'high_value_sales_by_region', region, null, sum(sales), sum(transactions)::bigint
from sale where is_high_value group by region
union all
select 'top_products', product_name, null, sales, transactions::bigint
from product where place <= :top
union all
select 'other_products', null, null, coalesce(sum(sales), 0), count(*)
from product where place > :top
order by figure, month, amount desc, label;

-- name: choices
-- What the slicers offer: one row a region, product and category of the sales.
select distinct 'region' as slicer, region as choice from gold.transactions
union
select 'product', product_name from gold.products
union
select 'category', category from gold.products
order by slicer, choice;

-- name: calendar
-- First and last day of the calendar; both null while there are no sales.
select min(date) as first_day, max(date) as last_day from gold.dim_date;

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
