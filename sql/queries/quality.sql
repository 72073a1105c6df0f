-- name: quarantine
-- Invalid staged records enter the queue.
insert into dq.quarantine (dataset, batch_id, position, record_key, dq_errors, rule_set)
select
    :dataset, :batch_id, position, record_key, dq_errors, :rule_set
from stage
where dq_errors is not null
order by position;

-- name: count_staged
-- Verdicts of the staged records.
select
    count(*) filter (where dq_errors is null) as valid,
    count(*) filter (where dq_errors is not null) as invalid
from stage;

-- name: keep_violations
-- One row a record and broken rule.
insert into dq.violation (batch_id, position, rule_id, rule_version, severity)
select :batch_id, s.position, r.rule_id, r.version, r.severity
from stage as s
cross join lateral unnest(s.rule_ids) as broken (rule_id)
join dq.rule as r on r.rule_id = broken.rule_id;

-- name: count_violations
-- How often each rule fired in the batch.
insert into dq.rule_count (batch_id, rule_id, rule_version, severity, records)
select :batch_id, r.rule_id, r.version, r.severity, v.records
from (
    select rule_id, count(*) as records
    from dq.violation
    where batch_id = :batch_id
    group by rule_id
) as v
join dq.rule as r on r.rule_id = v.rule_id;

-- name: warnings
-- Violations of warning rules in the batch.
select coalesce(sum(records), 0)::bigint from dq.rule_count
where batch_id = :batch_id and severity = 'warn';

-- name: count_reference
-- A warning that needs other rows: counted, as it may hold for every record of a batch.
insert into dq.rule_count (batch_id, rule_id, rule_version, severity, records)
select :batch_id, :rule_id, :rule_version, :severity, cast(:records as bigint)
where :records > 0;
