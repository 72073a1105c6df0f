-- Rollups of sales by day and by month, kept by every promotion for exactly what it changed.

create table gold.daily_sales (
    transaction_date date not null,
    region varchar(100) not null,
    product_id varchar(100) not null,
    home_region varchar(100) not null,
    transactions bigint not null check (transactions > 0),
    pieces bigint not null,
    sales numeric(24, 2) not null,
    high_value_transactions bigint not null check (high_value_transactions between 0 and transactions),
    high_value_sales numeric(24, 2) not null,
    primary key (transaction_date, region, product_id, home_region)
);
comment on table gold.daily_sales is 'Sales added up: one row a day, region, product and home region of the customers';
comment on column gold.daily_sales.transaction_date is 'Day of the sales, UTC';
comment on column gold.daily_sales.region is 'Region of the sales; Unknown when missing';
comment on column gold.daily_sales.product_id is 'Product sold';
comment on column gold.daily_sales.home_region is 'Home region of the customers, as in gold.customers; Unknown when it is not known';
comment on column gold.daily_sales.transactions is 'Number of sales';
comment on column gold.daily_sales.pieces is 'Pieces sold: sum of quantity';
comment on column gold.daily_sales.sales is 'Sum of total_value, USD';
comment on column gold.daily_sales.high_value_transactions is 'Number of sales worth more than 1,000 USD each';
comment on column gold.daily_sales.high_value_sales is 'Sum of the sales worth more than 1,000 USD each, USD';

create table gold.monthly_sales (
    transaction_month date not null,
    region varchar(100) not null,
    product_id varchar(100) not null,
    home_region varchar(100) not null,
    transactions bigint not null check (transactions > 0),
    pieces bigint not null,
    sales numeric(24, 2) not null,
    high_value_transactions bigint not null check (high_value_transactions between 0 and transactions),
    high_value_sales numeric(24, 2) not null,
    primary key (transaction_month, region, product_id, home_region)
);
comment on table gold.monthly_sales is 'Sales added up: one row a month, region, product and home region of the customers';
comment on column gold.monthly_sales.transaction_month is 'Month of the sales by its first day, UTC';
comment on column gold.monthly_sales.region is 'Region of the sales; Unknown when missing';
comment on column gold.monthly_sales.product_id is 'Product sold';
comment on column gold.monthly_sales.home_region is 'Home region of the customers, as in gold.customers; Unknown when it is not known';
comment on column gold.monthly_sales.transactions is 'Number of sales';
comment on column gold.monthly_sales.pieces is 'Pieces sold: sum of quantity';
comment on column gold.monthly_sales.sales is 'Sum of total_value, USD';
comment on column gold.monthly_sales.high_value_transactions is 'Number of sales worth more than 1,000 USD each';
comment on column gold.monthly_sales.high_value_sales is 'Sum of the sales worth more than 1,000 USD each, USD';

insert into gold.daily_sales
select
    t.transaction_date, t.region, t.product_id, c.region,
    count(*), sum(t.quantity), sum(t.total_value),
    count(*) filter (where t.total_value > 1000),
    coalesce(sum(t.total_value) filter (where t.total_value > 1000), 0)
from gold.transactions as t
join gold.customers as c on c.customer_id = t.customer_id
group by 1, 2, 3, 4;

insert into gold.monthly_sales
select
    date_trunc('month', transaction_date)::date, region, product_id, home_region,
    sum(transactions), sum(pieces), sum(sales), sum(high_value_transactions), sum(high_value_sales)
from gold.daily_sales
group by 1, 2, 3, 4;
