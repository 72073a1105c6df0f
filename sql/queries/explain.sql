-- Which rows and records stand behind a number, and which were left out.
--
-- Filters of sales are those of metrics.sql; `:above` is an amount that each sale exceeds, null for
-- any. Pages go on behind the row `:after_value`, `:after_key`, null for the first page.

-- name: sale
-- The sales that a number counts.
select
    t.transaction_id, t.customer_id, t.product_id, t.quantity, t.price, t.discount, t.total_value,
    t.region, t.transaction_datetime
from gold.transactions as t
where
    t.transaction_date >= coalesce(cast(:start as date), '-infinity')
    and t.transaction_date <= coalesce(cast(:end as date), 'infinity')
    and (cast(:above as numeric) is null or t.total_value > cast(:above as numeric))
    and (
        cardinality(cast(:regions as text [])) = 0
        or t.region = any(cast(:regions as text []))
    )
    and (
        cardinality(cast(:products as text [])) + cardinality(cast(:categories as text [])) = 0
        or t.product_id in (
            select p.product_id
            from gold.products as p
            where
                (
                    cardinality(cast(:products as text [])) = 0
                    or p.product_name = any(cast(:products as text []))
                )
                and (
                    cardinality(cast(:categories as text [])) = 0
                    or p.category = any(cast(:categories as text []))
                )
        )
    )
    and (
        not cast(:known_region_only as boolean)
        or exists (
            select from gold.customers as c
            where c.customer_id = t.customer_id and c.region <> 'Unknown'
        )
    )
    and (
        cardinality(cast(:home_regions as text [])) = 0
        or exists (
            select from gold.customers as c
            where
                c.customer_id = t.customer_id
                and c.region = any(cast(:home_regions as text []))
        )
    );

-- name: sales_total
-- How many sales a number counts, and their money, USD.
-- with: sale
select count(*) as rows, coalesce(sum(total_value), 0) as amount from sale;

-- name: sales_page
-- The sales of a number, the largest first, each with the record that it comes from.
-- with: sale
with listed as materialized (
    select *
    from sale
    where
        cast(:after_key as text) is null
        or (total_value, transaction_id)
        < (cast(:after_value as numeric), cast(:after_key as text))
    order by total_value desc, transaction_id desc
    limit :limit
)

select
    l.*, p.product_name, p.category, s.batch_id, s.position, b.file_name, b.run_id,
    b.status as batch_status, r.rule_set, e.repair_id
from listed as l
join gold.products as p on p.product_id = l.product_id
left join silver.sales as s on s.transaction_id = l.transaction_id
left join etl.batch as b on b.batch_id = s.batch_id
left join etl.run as r on r.run_id = b.run_id
left join dq.repair as e on e.batch_id = b.batch_id
order by l.total_value desc, l.transaction_id desc;

-- name: customer
-- The customers that a number counts, all or those of some home regions.
select c.customer_id, c.customer_name, c.region, c.join_date, c.loyalty_points
from gold.customers as c
where
    not c.is_inferred
    and (
        cardinality(cast(:home_regions as text [])) = 0
        or c.region = any(cast(:home_regions as text []))
    );

-- name: customers_total
-- How many customers a number counts, and their loyalty points.
-- with: customer
select count(*) as rows, coalesce(sum(loyalty_points), 0)::bigint as amount from customer;

-- name: customers_page
-- The customers of a number, most loyalty points first, each with the record that it comes from.
-- with: customer
with listed as materialized (
    select *
    from customer
    where
        cast(:after_key as text) is null
        or (loyalty_points, customer_id)
        < (cast(:after_value as bigint), cast(:after_key as text))
    order by loyalty_points desc, customer_id desc
    limit :limit
)

select
    l.*, s.batch_id, s.position, b.file_name, b.run_id, b.status as batch_status, r.rule_set,
    e.repair_id
from listed as l
left join silver.customers as s on s.customer_id = l.customer_id
left join etl.batch as b on b.batch_id = s.batch_id
left join etl.run as r on r.run_id = b.run_id
left join dq.repair as e on e.batch_id = b.batch_id
order by l.loyalty_points desc, l.customer_id desc;

-- name: invalid
-- Invalid records that nothing readable keeps out of a number: what cannot be read may belong.
-- A record without a product's name is shown under the name that gold has for its product.
select
    q.quarantine_id, q.batch_id, q.position, q.record_key, q.dq_errors, q.status, q.worth,
    q.repair_id, b.file_name,
    case
        when
            q.status = 'superseded' and b.kind = 'correction'
            and (q.closed_batch_id, q.closed_position) < (q.batch_id, q.position)
            then 'copy'
        else q.status
    end as reason,
    (cardinality(cast(:regions as text [])) > 0 and q.region is null)
    or (
        cardinality(cast(:products as text [])) > 0
        and coalesce(q.product_name, p.product_name) is null
    )
    or (
        cardinality(cast(:categories as text [])) > 0
        and coalesce(q.category, p.category) is null
    )
    or (num_nonnulls(cast(:start as date), cast(:end as date)) > 0 and q.day is null)
    or (
        (cast(:known_region_only as boolean) or cardinality(cast(:home_regions as text [])) > 0)
        and q.customer_id is null
    )
    or (cast(:above as numeric) is not null and q.worth is null) as is_unreadable
from dq.quarantine as q
join etl.batch as b on b.batch_id = q.batch_id and b.reverted_at is null
left join gold.products as p on p.product_id = q.product_id
where
    q.dataset = :dataset
    and (
        cardinality(cast(:regions as text [])) = 0
        or q.region is null
        or q.region = any(cast(:regions as text []))
    )
    and (
        cardinality(cast(:products as text [])) = 0
        or coalesce(q.product_name, p.product_name) is null
        or coalesce(q.product_name, p.product_name) = any(cast(:products as text []))
    )
    and (
        cardinality(cast(:categories as text [])) = 0
        or coalesce(q.category, p.category) is null
        or coalesce(q.category, p.category) = any(cast(:categories as text []))
    )
    and (cast(:start as date) is null or q.day is null or q.day >= cast(:start as date))
    and (cast(:end as date) is null or q.day is null or q.day <= cast(:end as date))
    and (
        not cast(:known_region_only as boolean)
        or q.customer_id is null
        or exists (
            select from gold.customers as c
            where c.customer_id = q.customer_id and c.region <> 'Unknown'
        )
    )
    and (
        cardinality(cast(:home_regions as text [])) = 0
        or q.customer_id is null
        or coalesce(
            (select c.region from gold.customers as c where c.customer_id = q.customer_id),
            'Unknown'
        ) = any(cast(:home_regions as text []))
    )
    and (
        cast(:above as numeric) is null or q.worth is null or q.worth > cast(:above as numeric)
    );

-- name: invalid_by_reason
-- Those records by what became of them; money where it can be read, USD.
-- with: invalid
select
    reason, count(*) as records, count(worth) as worth_records,
    coalesce(sum(worth), 0) as worth, count(*) filter (where is_unreadable) as unreadable
from invalid
group by reason
order by reason;

-- name: invalid_page
-- Those records of some reasons, newest first, behind the one numbered `:after`.
-- with: invalid
select *
from invalid
where
    reason = any(cast(:reasons as text []))
    and (cast(:after as bigint) is null or quarantine_id < :after)
order by quarantine_id desc
limit :limit;

-- name: unfinished_sales
-- Unfinished invalid sales by what can be read of them: days since 1970-01-01, money in cents;
-- a customer whom gold does not know has an unknown home region; null is what cannot be read.
select
    q.region, coalesce(q.product_name, p.product_name) as product,
    coalesce(q.category, p.category) as category, q.day - date '1970-01-01' as day,
    case when q.customer_id is not null then coalesce(c.region, 'Unknown') end as home_region,
    (q.worth > 1000)::integer as is_high_value, count(*) as records,
    coalesce((sum(q.worth) * 100)::bigint, 0) as cents
from dq.quarantine as q
left join gold.products as p on p.product_id = q.product_id
left join gold.customers as c on c.customer_id = q.customer_id
where q.dataset = 'sales' and q.status = any(dq.unfinished())
group by 1, 2, 3, 4, 5, 6;

-- name: unfinished_customers
-- How many invalid customers are unfinished.
select count(*) from dq.quarantine
where dataset = 'customers' and status = any(dq.unfinished());

-- name: moved
-- Changes with whatever moves the queue, the batches or gold; look-ups in primary keys.
select
    (select coalesce(sum(data_version), 0)::bigint from etl.dataset) as data_version,
    (select max(event_id) from dq.triage_event) as event_id,
    (select max(quarantine_id) from dq.quarantine) as quarantine_id,
    (select max(batch_id) from etl.batch) as batch_id,
    (
        select run_id || ' ' || status from etl.run
        order by run_id desc
        limit 1
    ) as newest_run;

-- name: last_good_runs
-- The newest run of each feed that succeeded and whose ledger balances.
select d.dataset, r.run_id, r.ended_at
from etl.dataset as d
join lateral (
    select run_id, ended_at
    from etl.run
    where
        dataset = d.dataset
        and status in ('succeeded', 'warned')
        and is_balanced
        and predicts is null
    order by run_id desc
    limit 1
) as r on true;

-- name: batches
-- The records of a feed's batches in raw, by what became of the batches.
select
    case
        when reverted_at is not null then 'taken_back'
        when status in ('stopped', 'discarded') then status
        when status = 'extracted' then 'extracted'
        else 'judged'
    end as state,
    count(*) as batches, sum(records)::bigint as records,
    coalesce(sum(valid_records), 0)::bigint as valid_records
from etl.batch
where
    dataset = :dataset
    and status in ('extracted', 'loaded', 'promoted', 'stopped', 'discarded')
group by 1;

-- name: superseded
-- How many records of the judged batches a later one of their file supersedes.
select count(*)
from dq.superseded as s
join etl.batch as b on b.batch_id = s.batch_id and b.reverted_at is null
where b.dataset = :dataset;

-- name: sales_layers
-- How many records of sales raw holds, and rows silver and gold.
select
    (select count(*) from raw.sales_raw) as raw_records,
    (select count(*) from silver.sales) as silver_rows,
    (select count(*) from gold.transactions) as gold_rows;

-- name: customers_layers
-- How many records of customers raw holds, and rows silver and gold.
select
    (select count(*) from raw.customers_raw) as raw_records,
    (select count(*) from silver.customers) as silver_rows,
    (select count(*) from gold.customers where not is_inferred) as gold_rows;

-- name: sales_record
-- A record of sales as received.
select record, insert_date from raw.sales_raw where batch_id = :batch_id and position = :position;

-- name: customers_record
-- A record of customers as received.
select record, insert_date
from raw.customers_raw
where batch_id = :batch_id and position = :position;

-- name: sales_row
-- The row of a transaction in silver, and what gold makes of it.
select
    s.*, t.total_value, t.region as gold_region, t.transaction_date,
    t.update_date as gold_update_date, p.product_name as gold_product_name,
    p.category as gold_category
from silver.sales as s
left join gold.transactions as t on t.transaction_id = s.transaction_id
left join gold.products as p on p.product_id = t.product_id
where s.transaction_id = :key;

-- name: customers_row
-- The row of a customer in silver, and what gold makes of it.
select
    s.*, c.region as gold_region, c.loyalty_points as gold_loyalty_points,
    c.update_date as gold_update_date
from silver.customers as s
left join gold.customers as c on c.customer_id = s.customer_id and not c.is_inferred
where s.customer_id = :key;

-- name: place
-- Where a record stands: its batch, run, repair, and what was found out about it.
select
    b.batch_id, b.dataset, b.kind, b.file_name, b.sha256, b.status as batch_status,
    b.accepted_at, b.accepted_by, b.reverted_at, b.run_id, r.rule_set, r.status as run_status,
    r.ended_at, p.repair_id, p.made_by, p.made_at, p.reason as repair_reason,
    e.source_batch_id, e.source_position, o.quarantine_id as source_item,
    q.quarantine_id, q.status, q.dq_errors, q.closed_batch_id, q.closed_position,
    q.repair_id as item_repair_id, s.superseded_by
from etl.batch as b
left join etl.run as r on r.run_id = b.run_id
left join dq.repair as p on p.batch_id = b.batch_id
left join dq.repaired_record as e on e.repair_id = p.repair_id and e.position = :position
left join dq.quarantine as o
    on o.batch_id = e.source_batch_id and o.position = e.source_position
left join dq.quarantine as q on q.batch_id = b.batch_id and q.position = :position
left join dq.superseded as s on s.batch_id = b.batch_id and s.position = :position
where b.batch_id = :batch_id;
