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
select rule_id, code, column_name, kind, parameters, judges, severity, message, version
from dq.rule
where dataset = :dataset and active
order by ordinal, rule_id;

-- name: drafted
-- The rules of a feed with its open drafts applied, new ones included, in the order of their messages.
with drafted as (
    select after.*
    from dq.rule as r
    left join dq.rule_draft as d on d.rule_id = r.rule_id and d.status = 'draft'
    cross join lateral jsonb_populate_record(r, coalesce(d.rule, '{}')) as after
    where r.dataset = :dataset
    union all
    select made.*
    from dq.rule_draft as d
    cross join lateral jsonb_populate_record(cast(null as dq.rule), d.rule) as made
    where d.dataset = :dataset and d.rule_id is null and d.status = 'draft'
)

select
    coalesce(rule_id, 0) as rule_id, code, column_name, kind,
    coalesce(parameters, '{}') as parameters, judges, severity, message,
    coalesce(version, 1) as version
from drafted
where coalesce(active, true)
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
