-- name: forget_quarantine
-- Judged again, these records are valid: they leave the queue.
delete from dq.quarantine as q
using stage as s
where
    q.batch_id = any(:batches)
    and s.batch_id = q.batch_id
    and s.position = q.position
    and s.dq_errors is null;

-- name: forget_verdicts
-- Judged again: what follows is written anew.
with violations as (delete from dq.violation where batch_id = any(:batches)),
counts as (delete from dq.rule_count where batch_id = any(:batches))

delete from dq.superseded where batch_id = any(:batches);

-- name: quarantine
-- Invalid staged records enter the queue.
insert into dq.quarantine (dataset, batch_id, position, record_key, dq_errors, rule_set)
select
    :dataset, batch_id, position, record_key, dq_errors, :rule_set
from stage
where dq_errors is not null
order by batch_id, position;

-- name: quarantine_again
-- The same, judged again: a record that stands in the queue already keeps its place.
insert into dq.quarantine as q (dataset, batch_id, position, record_key, dq_errors, rule_set)
select
    :dataset, batch_id, position, record_key, dq_errors, :rule_set
from stage
where dq_errors is not null
order by batch_id, position
on conflict (batch_id, position) do update
set
    record_key = excluded.record_key,
    dq_errors = excluded.dq_errors,
    rule_set = excluded.rule_set,
    updated_at = clock_timestamp(),
    version = q.version + 1
where (q.record_key, q.dq_errors) is distinct from (excluded.record_key, excluded.dq_errors);

-- name: keep_violations
-- One row a record and broken rule.
insert into dq.violation (batch_id, position, rule_id, rule_version, severity)
select s.batch_id, s.position, r.rule_id, r.version, r.severity
from stage as s
cross join lateral unnest(s.rule_ids) as broken (rule_id)
join dq.rule as r on r.rule_id = broken.rule_id;

-- name: count_violations
-- How often each rule fired in each batch.
insert into dq.rule_count (batch_id, rule_id, rule_version, severity, records)
select v.batch_id, r.rule_id, r.version, r.severity, v.records
from (
    select batch_id, rule_id, count(*) as records
    from dq.violation
    where batch_id = any(:batches)
    group by batch_id, rule_id
) as v
join dq.rule as r on r.rule_id = v.rule_id;

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

-- name: count_reference
-- A warning that needs other rows: counted, as it may hold for every record of a batch.
insert into dq.rule_count (batch_id, rule_id, rule_version, severity, records)
select batch_id, :rule_id, :rule_version, :severity, records
from json_to_recordset(cast(:counts as json)) as c (batch_id bigint, records bigint);
