-- name: forget_quarantine
-- Judged again, these records are valid: they leave the queue.
delete from dq.quarantine as q
where
    q.batch_id = any(:batches)
    and not exists (
        select from refused as r where r.batch_id = q.batch_id and r.position = q.position
    );

-- name: forget_verdicts
-- Judged again: what follows is written anew.
with violations as (delete from dq.violation where batch_id = any(:batches)),
counts as (delete from dq.rule_count where batch_id = any(:batches)),
causes as (delete from dq.cause where batch_id = any(:batches))

delete from dq.superseded where batch_id = any(:batches);

-- name: quarantine_again
-- Refused records enter the queue; one that stands there already keeps its place.
insert into dq.quarantine as q (
    dataset, batch_id, position, record_key, dq_errors, rule_set, customer_id, region, product_id,
    product_name, category, day, worth
)
select
    dataset, batch_id, position, record_key, dq_errors, rule_set, customer_id, region, product_id,
    product_name, category, day, worth
from refused
order by batch_id, position
on conflict (batch_id, position) do update
set
    record_key = excluded.record_key,
    dq_errors = excluded.dq_errors,
    rule_set = excluded.rule_set,
    customer_id = excluded.customer_id,
    region = excluded.region,
    product_id = excluded.product_id,
    product_name = excluded.product_name,
    category = excluded.category,
    day = excluded.day,
    worth = excluded.worth,
    updated_at = clock_timestamp(),
    version = q.version + 1
where (q.record_key, q.dq_errors) is distinct from (excluded.record_key, excluded.dq_errors);

-- name: count_violations
-- How often each rule fired in each batch.
insert into dq.rule_count (batch_id, rule_id, rule_version, severity, records)
select batch_id, rule_id, rule_version, severity, records
from json_to_recordset(cast(:counts as json)) as c (
    batch_id bigint, rule_id bigint, rule_version integer, severity text, records bigint
);

-- name: verdicts
-- What the load made of each batch, counted in the tables themselves.
select
    b.batch_id,
    (select count(*) from dq.superseded as s where s.batch_id = b.batch_id) as superseded,
    (
        select coalesce(sum(c.records), 0)::bigint
        from dq.rule_count as c
        where c.batch_id = b.batch_id and c.severity = 'warn'
    ) as warnings
from etl.batch as b
where b.batch_id = any(:batches);

-- name: error_file_state
-- What the file of invalid records held when it was last written.
select last_id, records, digest, bytes from etl.error_file where dataset = :dataset;

-- name: open_items
-- What the file of invalid records must hold, and its part up to `:last_id`.
select
    count(*) as records,
    coalesce(max(quarantine_id), 0) as last_id,
    coalesce(bit_xor(hashtextextended(dq_errors, quarantine_id)), 0) as digest,
    count(*) filter (where quarantine_id <= :last_id) as known_records,
    coalesce(
        bit_xor(hashtextextended(dq_errors, quarantine_id)) filter (where quarantine_id <= :last_id), 0
    ) as known_digest
from dq.quarantine
where dataset = :dataset and status = any(dq.unfinished());

-- name: error_file_written
-- Remember what the file of invalid records holds.
insert into etl.error_file (dataset, last_id, records, digest, bytes)
values (:dataset, :last_id, :records, :digest, :bytes)
on conflict (dataset) do update
set
    last_id = excluded.last_id, records = excluded.records,
    digest = excluded.digest, bytes = excluded.bytes;
