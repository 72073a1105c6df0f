-- Silver customers to gold. `:batches` are the batches loaded and not yet promoted.

-- name: fill_inferred_customers
-- Customers that only sales named until now become known.
update gold.customers as t
set
    customer_name = s.customer_name,
    email = s.email,
    region = case s.region when 'NA' then 'Unknown' else initcap(s.region) end,
    join_date = s.join_date,
    loyalty_points = s.loyalty_points,
    is_inferred = false,
    update_date = statement_timestamp()
from silver.customers as s
where s.batch_id = any(:batches) and t.customer_id = s.customer_id and t.is_inferred;

-- name: update_customers
-- Customers that gold knows and that changed.
update gold.customers as t
set
    customer_name = s.customer_name,
    email = s.email,
    region = case s.region when 'NA' then 'Unknown' else initcap(s.region) end,
    join_date = s.join_date,
    loyalty_points = s.loyalty_points,
    update_date = statement_timestamp()
from silver.customers as s
where
    s.batch_id = any(:batches)
    and t.customer_id = s.customer_id
    and (
        t.customer_name, t.email, t.region, t.join_date, t.loyalty_points
    ) is distinct from (
        s.customer_name, s.email,
        case s.region when 'NA' then 'Unknown' else initcap(s.region) end,
        s.join_date, s.loyalty_points
    );

-- name: insert_customers
-- Customers that gold does not know yet.
insert into gold.customers (
    customer_id, customer_name, email, region, join_date, loyalty_points, is_inferred,
    insert_date, update_date
)
select
    s.customer_id, s.customer_name, s.email,
    case s.region when 'NA' then 'Unknown' else initcap(s.region) end,
    s.join_date, s.loyalty_points, false, statement_timestamp(), statement_timestamp()
from silver.customers as s
where
    s.batch_id = any(:batches)
    and not exists (select from gold.customers as c where c.customer_id = s.customer_id);

-- name: infer_left_customers
-- Customers that silver no longer has, while sales still name them.
update gold.customers as c
set
    customer_name = 'Unknown', email = null, region = 'Unknown', join_date = null,
    loyalty_points = 0, is_inferred = true, update_date = statement_timestamp()
where
    not c.is_inferred
    and not exists (select from silver.customers as s where s.customer_id = c.customer_id)
    and exists (select from gold.transactions as t where t.customer_id = c.customer_id);

-- name: delete_left_customers
-- Customers that silver no longer has and no sale names.
delete from gold.customers as c
where
    not c.is_inferred
    and not exists (select from silver.customers as s where s.customer_id = c.customer_id);

-- name: customers_in_gold
-- Every silver customer is a known customer of gold, and no other is.
select
    'rows: silver.customers = known gold.customers' as leg,
    (select count(*) from silver.customers) as left_side,
    (select count(*) from gold.customers where not is_inferred) as right_side;

-- name: promoted_customers
-- Gold knows as many customers as promotions left there.
select
    'rows: promotions = known gold.customers' as leg,
    coalesce((
        select rows from etl.expected where dataset = 'customers' and layer = 'gold'
    ), 0) as left_side,
    (select count(*) from gold.customers where not is_inferred) as right_side;
