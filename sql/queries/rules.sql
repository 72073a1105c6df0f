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

-- name: lock
-- Hold the rules of a feed while drafts are made or decided; others wait.
select pg_advisory_xact_lock(hashtextextended('rules of ' || :dataset, 0));

-- name: all
-- Every rule of a feed, active or not, in the order of their messages.
select * from dq.rule where dataset = :dataset order by ordinal, rule_id;

-- name: one
-- One rule.
select * from dq.rule where rule_id = :rule_id;

-- name: open_drafts
-- Drafts that wait, in the order in which they were made; outdated ones say so.
select
    d.draft_id, d.dataset, d.rule_id, d.rule, d.based_on, d.reason, d.made_by, d.made_at, r.code,
    r.version, coalesce(d.based_on <> r.version, false) as is_outdated
from dq.rule_draft as d
left join dq.rule as r on r.rule_id = d.rule_id
where d.status = 'draft' and (cast(:dataset as text) is null or d.dataset = :dataset)
order by d.draft_id;

-- name: draft
-- One draft.
select * from dq.rule_draft where draft_id = :draft_id for update;

-- name: decided_drafts
-- What became of drafts of a rule, the newest first.
select draft_id, status, reason, made_by, made_at, decided_by, decided_at
from dq.rule_draft
where rule_id = :rule_id
order by draft_id desc
limit :limit;

-- name: add_draft
-- Keep a change of a rule, or a new one, as a draft.
insert into dq.rule_draft (dataset, rule_id, rule, based_on, reason, made_by)
values (:dataset, :rule_id, cast(:rule as jsonb), :based_on, :reason, :actor)
returning draft_id;

-- name: decide_draft
-- A draft no longer waits.
update dq.rule_draft
set status = :status, decided_by = :actor, decided_at = clock_timestamp()
where draft_id = :draft_id and status = 'draft';

-- name: add
-- A rule that an operator made.
insert into dq.rule (
    dataset, code, ordinal, column_name, kind, parameters, judges, severity, message, active, owner,
    warn_records, warn_rate, stop_records, stop_rate, origin, updated_by
)
values (
    :dataset, :code, :ordinal, :column_name, :kind, cast(:parameters as jsonb), :judges, :severity,
    :message, :active, :owner, :warn_records, :warn_rate, :stop_records, :stop_rate, 'operator', :actor
)
returning rule_id;

-- name: change
-- A new version of a rule, as long as it is the version that was seen.
update dq.rule
set
    code = :code,
    ordinal = :ordinal,
    column_name = :column_name,
    kind = :kind,
    parameters = cast(:parameters as jsonb),
    judges = :judges,
    severity = :severity,
    message = :message,
    active = :active,
    owner = :owner,
    warn_records = :warn_records,
    warn_rate = :warn_rate,
    stop_records = :stop_records,
    stop_rate = :stop_rate,
    origin = 'operator',
    version = version + 1,
    updated_at = clock_timestamp(),
    updated_by = :actor
where rule_id = :rule_id and version = :based_on
returning rule_id;

-- name: give_to_draft
-- The rule that a draft of a new one became.
update dq.rule_draft set rule_id = :rule_id where draft_id = :draft_id;

-- name: versions
-- Every version of one rule, the newest first.
select version, rule, changed_at, changed_by from dq.rule_history
where rule_id = :rule_id
order by version desc;

-- name: listed
-- Rules by the filters of their page, with how often each fired, ever and in the last days.
select
    r.*, coalesce(f.fired, 0)::bigint as fired, coalesce(f.lately, 0)::bigint as lately, f.last_at,
    d.draft_id
from dq.rule as r
left join (
    select
        c.rule_id, sum(c.records) as fired, max(b.accepted_at) as last_at,
        sum(c.records) filter (
            where b.accepted_at >= clock_timestamp() - make_interval(days => :days)
        ) as lately
    from dq.rule_count as c
    join etl.batch as b on b.batch_id = c.batch_id
    group by c.rule_id
) as f on f.rule_id = r.rule_id
left join dq.rule_draft as d on d.rule_id = r.rule_id and d.status = 'draft'
where
    (cast(:rule_id as bigint) is null or r.rule_id = :rule_id)
    and (cast(:dataset as text) is null or r.dataset = :dataset)
    and (cast(:severity as text) is null or r.severity = :severity)
    and (cast(:active as boolean) is null or r.active = :active)
order by r.dataset, r.ordinal, r.rule_id
limit :limit offset :offset;

-- name: count
-- How many rules the filters of `listed` find.
select count(*) from dq.rule as r
where
    (cast(:dataset as text) is null or r.dataset = :dataset)
    and (cast(:severity as text) is null or r.severity = :severity)
    and (cast(:active as boolean) is null or r.active = :active);
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
