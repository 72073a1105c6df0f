-- Facets: what can be read of invalid records.

-- name: unread
-- Invalid records of a feed of which nothing was read yet, or nothing can be.
select quarantine_id
from dq.quarantine
where
    dataset = :dataset
    and num_nonnulls(
        customer_id, region, product_id, product_name, category, day, worth
    ) = 0
order by quarantine_id;

-- name: write
-- Facets of records that were judged before facets were kept.
update dq.quarantine as q
set
    customer_id = f.customer_id, region = f.region, product_id = f.product_id,
    product_name = f.product_name, category = f.category, day = cast(f.day as date),
    worth = cast(f.worth as numeric)
from unnest(
    cast(:items as bigint []), cast(:customer_id as text []), cast(:region as text []),
    cast(:product_id as text []), cast(:product_name as text []), cast(:category as text []),
    cast(:day as text []), cast(:worth as text [])
) as f (
    quarantine_id, customer_id, region, product_id, product_name, category, day, worth
)
where q.quarantine_id = f.quarantine_id;
