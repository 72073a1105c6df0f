-- name: ship
-- Insert a shipped rule, or renew it as long as no operator changed it.
insert into dq.rule (dataset, code, ordinal, column_name, kind, parameters, judges, severity, message)
values (
    :dataset, :code, :ordinal, :column_name, :kind, cast(:parameters as jsonb), :judges, :severity,
    :message
)
on conflict (dataset, code) do update
set
    ordinal = excluded.ordinal,
    column_name = excluded.column_name,
    kind = excluded.kind,
    parameters = excluded.parameters,
    judges = excluded.judges,
    severity = excluded.severity,
    message = excluded.message,
    version = dq.rule.version + 1,
    updated_at = clock_timestamp()
where
    dq.rule.origin = 'shipped'
    and (
        dq.rule.ordinal, dq.rule.column_name, dq.rule.kind, dq.rule.parameters, dq.rule.judges,
        dq.rule.severity, dq.rule.message
    ) is distinct from (
        excluded.ordinal, excluded.column_name, excluded.kind, excluded.parameters,
        excluded.judges, excluded.severity, excluded.message
    );

-- name: active
-- The rules that judge a feed, in the order of their messages.
select
    rule_id, code, column_name, kind, parameters, judges, severity, message, version, warn_records,
    warn_rate, stop_records, stop_rate
from dq.rule
where dataset = :dataset and active
order by ordinal, rule_id;

-- name: history
-- Every version of the rules of a feed, in the order in which they came.
select h.rule_id, h.version, h.rule
from dq.rule_history as h
join dq.rule as r on r.rule_id = h.rule_id
where r.dataset = :dataset
order by h.changed_at, h.rule_id, h.version;

-- name: fired
-- How often each rule fired in these batches.
select rule_id, sum(records)::bigint as records
from dq.rule_count
where batch_id = any(:batches)
group by rule_id;

-- name: fired_with_limits
-- How often rules that had limits fired in the files that a run loaded, each rule as it was then.
select c.batch_id, b.file_name, b.records as batch_records, c.records, h.rule
from dq.rule_count as c
join etl.batch as b on b.batch_id = c.batch_id
join dq.rule_history as h on h.rule_id = c.rule_id and h.version = c.rule_version
where
    b.kind = 'file'
    and b.status in ('loaded', 'promoted')
    and (
        b.run_id = :run_id
        or b.batch_id = any(cast(:batches as bigint []))
        or (:is_full and b.dataset = :dataset)
    )
    and coalesce(
        h.rule ->> 'warn_records', h.rule ->> 'warn_rate', h.rule ->> 'stop_records',
        h.rule ->> 'stop_rate'
    ) is not null
order by c.batch_id, (h.rule ->> 'ordinal')::integer, c.rule_id;
