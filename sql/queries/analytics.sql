-- Analytical queries over gold, for people: `revenue query NAME` or paste one into psql.
-- Money is in USD, shares are in percent; a sale is worth more than 1,000 USD to be high-value.

-- name: sales_by_region
-- Which region sells most? Sales, their number and their share, by region of the sale.
with region_sales as (
    select region, sum(total_value) as total_sales, count(*) as transactions
    from gold.transactions
    group by region
)

select
    region,
    total_sales,
    transactions,
    round(100 * total_sales / nullif(sum(total_sales) over (), 0), 1) as share_percent
from region_sales
order by total_sales desc, region;

-- name: monthly_sales
-- How do sales develop? Sales and their number, by month.
select
    transaction_month as month,
    sum(total_value) as total_sales,
    count(*) as transactions
from gold.transactions
group by transaction_month
order by month;

-- name: loyalty_points_by_region
-- Where are the loyal customers? Points and known customers, by home region of the customer.
select
    region,
    sum(loyalty_points) as loyalty_points,
    count(*) as customers
from gold.customers
where not is_inferred
group by region
order by loyalty_points desc, region;

-- name: top_products
-- Which five products bring in most? Sales, their number and their share of all sales.
with product_sales as (
    select p.product_name, sum(t.total_value) as total_sales, count(*) as transactions
    from gold.transactions as t
    join gold.products as p on p.product_id = t.product_id
    group by p.product_name
)

select
    product_name,
    total_sales,
    transactions,
    round(100 * total_sales / nullif(sum(total_sales) over (), 0), 1) as share_percent
from product_sales
order by total_sales desc, product_name
limit 5;

-- name: high_value_sales_by_region
-- Where are the big sales? Sales worth more than 1,000 USD each, by region of the sale.
select
    region,
    sum(total_value) as high_value_sales,
    count(*) as high_value_transactions
from gold.transactions
where total_value > 1000
group by region
order by high_value_sales desc, region;

-- name: top_customers
-- Which ten customers buy most? Sales, their number and the last day they bought.
with customer_sales as (
    select
        customer_id,
        sum(total_value) as total_sales,
        count(*) as transactions,
        max(transaction_date) as last_sale
    from gold.transactions
    group by customer_id
)

select
    c.customer_id, c.customer_name, c.region, c.loyalty_points,
    s.total_sales, s.transactions, s.last_sale
from customer_sales as s
join gold.customers as c on c.customer_id = s.customer_id
order by s.total_sales desc, c.customer_id
limit 10;

-- name: revenue_by_category
-- Which category brings in most? Sales, pieces and the average sale, by product category.
select
    p.category,
    sum(t.total_value) as total_sales,
    count(*) as transactions,
    sum(t.quantity) as pieces,
    round(avg(t.total_value), 2) as average_sale
from gold.transactions as t
join gold.products as p on p.product_id = t.product_id
group by p.category
order by total_sales desc, p.category;

-- name: monthly_growth
-- How much does each month grow? Sales against the calendar month before, in USD and percent.
with month_span as (
    select min(transaction_month) as first_month, max(transaction_month) as last_month
    from gold.transactions
),

calendar_month as (
    select distinct d.month_start as month
    from gold.dim_date as d
    join month_span as s on d.month_start between s.first_month and s.last_month
),

month_sales as (
    select m.month, coalesce(sum(t.total_value), 0) as total_sales
    from calendar_month as m
    left join gold.transactions as t on t.transaction_month = m.month
    group by m.month
),

compared as (
    select month, total_sales, lag(total_sales) over (order by month) as month_before
    from month_sales
)

select
    month,
    total_sales,
    total_sales - month_before as growth,
    round(100 * (total_sales - month_before) / nullif(month_before, 0), 1) as growth_percent
from compared
order by month;

-- name: average_by_region
-- Is a sale worth more in some regions? Average, median and largest sale, by region of the sale.
select
    region,
    count(*) as transactions,
    round(avg(total_value), 2) as average_sale,
    percentile_disc(0.5) within group (order by total_value) as median_sale,
    max(total_value) as largest_sale
from gold.transactions
group by region
order by average_sale desc, region;

-- name: discount_effect
-- Do discounts sell more? Pieces, average sale and money given away, by size of the discount.
with banded as (
    select
        case
            when discount = 0 then 'none'
            when discount <= 0.10 then 'up to 10 %'
            when discount <= 0.20 then 'over 10 to 20 %'
            else 'over 20 %'
        end as discount_band,
        discount,
        quantity,
        price,
        total_value
    from gold.transactions
)

select
    discount_band,
    count(*) as transactions,
    round(avg(quantity), 2) as average_pieces,
    round(avg(total_value), 2) as average_sale,
    sum(total_value) as total_sales,
    sum(round(quantity * price, 2) - total_value) as given_away
from banded
group by discount_band
order by min(discount);

-- name: sales_by_home_region
-- Where do customers buy? Sales by home region of the customer and region of the sale.
select
    c.region as home_region,
    t.region as sale_region,
    sum(t.total_value) as total_sales,
    count(*) as transactions
from gold.transactions as t
join gold.customers as c on c.customer_id = t.customer_id
group by c.region, t.region
order by c.region, total_sales desc, t.region;

-- name: unknown_customers
-- Which sales wait for a customer record? Customers known only from sales, largest first.
select
    c.customer_id,
    sum(t.total_value) as total_sales,
    count(*) as transactions,
    min(t.transaction_date) as first_sale
from gold.customers as c
join gold.transactions as t on t.customer_id = c.customer_id
where c.is_inferred
group by c.customer_id
order by total_sales desc, c.customer_id;
