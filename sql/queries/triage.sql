-- name: queue
-- Invalid records, oldest first, with their file.
select
    q.quarantine_id, q.dataset, q.batch_id, q.position, q.record_key, q.dq_errors, q.status,
    q.assigned_to, q.note, q.created_at, q.updated_at, b.file_name
from dq.quarantine as q
join etl.batch as b on b.batch_id = q.batch_id
where
    (cast(:dataset as text) is null or q.dataset = :dataset)
    and (cast(:status as text) is null or q.status = :status)
    and (
        cast(:rule_id as bigint) is null
        or exists (
            select from dq.violation as v
            where v.batch_id = q.batch_id and v.position = q.position and v.rule_id = :rule_id
        )
    )
    and (cast(:search as text) is null or q.record_key = :search)
order by q.quarantine_id
limit :limit offset :offset;

-- name: count
-- How many records the same filters find.
select count(*)
from dq.quarantine as q
where
    (cast(:dataset as text) is null or q.dataset = :dataset)
    and (cast(:status as text) is null or q.status = :status)
    and (
        cast(:rule_id as bigint) is null
        or exists (
            select from dq.violation as v
            where v.batch_id = q.batch_id and v.position = q.position and v.rule_id = :rule_id
        )
    )
    and (cast(:search as text) is null or q.record_key = :search);

-- name: by_rule
-- Unfinished invalid records by the rule they break; a record may break several.
with broken as (
    select v.rule_id, count(*) as records
    from dq.quarantine as q
    join dq.violation as v
        on v.batch_id = q.batch_id and v.position = q.position and v.severity = 'reject'
    where
        q.status = any(dq.unfinished())
        and (cast(:dataset as text) is null or q.dataset = :dataset)
    group by v.rule_id
)

select r.rule_id, r.dataset, r.column_name, r.message, b.records
from broken as b
join dq.rule as r on r.rule_id = b.rule_id
order by b.records desc, r.rule_id;

-- name: one
-- One invalid record with its file.
select q.*, b.file_name, b.accepted_at, b.run_id
from dq.quarantine as q
join etl.batch as b on b.batch_id = q.batch_id
where q.quarantine_id = :quarantine_id;

-- name: violations
-- The rules that a record breaks, in the order of their messages.
select
    r.rule_id, r.code, r.column_name, r.kind, r.parameters, r.message, v.rule_version, v.severity
from dq.violation as v
join dq.rule as r on r.rule_id = v.rule_id
where v.batch_id = :batch_id and v.position = :position
order by r.ordinal;

-- name: matching
-- Invalid records that the filters of the list find.
select q.*
from dq.quarantine as q
where
    (cast(:dataset as text) is null or q.dataset = :dataset)
    and (cast(:states as text []) is null or q.status = any(:states))
    and (
        cast(:run_id as bigint) is null
        or q.batch_id in (select b.batch_id from etl.batch as b where b.run_id = :run_id)
    )
    and (cast(:batch_id as bigint) is null or q.batch_id = :batch_id)
    and (
        cast(:file as text) is null
        or q.batch_id in (
            select b.batch_id from etl.batch as b
            where position(lower(:file) in lower(b.file_name)) > 0
        )
    )
    and (
        cast(:rule_id as bigint) is null
        or exists (
            select from dq.violation as v
            where v.batch_id = q.batch_id and v.position = q.position and v.rule_id = :rule_id
        )
    )
    and (
        cast(:search as text) is null
        or position(lower(:search) in lower(q.record_key)) > 0
    )
    and (cast(:owner as text) is null or q.assigned_to = :owner)
    and (not cast(:is_unowned as boolean) or q.assigned_to is null)
    and (cast(:since as timestamptz) is null or q.created_at >= :since)
    and (cast(:until as timestamptz) is null or q.created_at < :until)
    and (cast(:ids as bigint []) is null or q.quarantine_id = any(:ids))
    and (
        cast(:versions as integer []) is null
        or q.version = (
            cast(:versions as integer [])
        )[array_position(cast(:ids as bigint []), q.quarantine_id)]
    );

-- name: page
-- Invalid records, newest first, with their file.
-- with: matching
select
    m.quarantine_id, m.dataset, m.batch_id, m.position, m.record_key, m.dq_errors, m.status,
    m.assigned_to, m.snoozed_until, m.created_at, m.version, b.file_name
from matching as m
join etl.batch as b on b.batch_id = m.batch_id
order by m.quarantine_id desc
limit :limit offset :offset;

-- name: by_state
-- How many records of each state the filters find, each counted no further than a limit.
-- with: matching
select s.status, found.records
from unnest(cast(:each as text [])) as s (status)
cross join lateral (
    select count(*) as records from (
        select from matching as m where m.status = s.status limit :limit
    ) as counted
) as found;

-- name: ids
-- Which records the filters of `matching` find.
-- with: matching
select m.quarantine_id from matching as m;

-- name: change
-- Change every record that the filters find and whose state allows it; returns them by state.
-- with: matching
with chosen as materialized (
    select q.quarantine_id, q.status
    from dq.quarantine as q
    -- one that somebody changes at this moment is left alone: its version is another then
    join matching as m on m.quarantine_id = q.quarantine_id and m.version = q.version
    order by q.quarantine_id
    for update of q
),

changed as (
    update dq.quarantine as q
    set
        status = coalesce(cast(:to_status as text), q.status),
        assigned_to = case when cast(:is_assigning as boolean) then cast(:assignee as text) else q.assigned_to end,
        snoozed_until = case when cast(:to_status as text) is null then q.snoozed_until else cast(:snoozed_until as timestamptz) end,
        closed_batch_id = case when cast(:to_status as text) is null then q.closed_batch_id end,
        closed_position = case when cast(:to_status as text) is null then q.closed_position end,
        note = coalesce(cast(:reason as text), q.note),
        version = q.version + 1,
        updated_at = clock_timestamp()
    from chosen as c
    where q.quarantine_id = c.quarantine_id and c.status = any(:leaves)
    returning q.quarantine_id, c.status as from_status, q.status as to_status
),

events as (
    insert into dq.triage_event (quarantine_id, actor, action, from_status, to_status, note)
    select quarantine_id, :actor, :action, from_status, to_status, :note
    from changed
    order by quarantine_id
)

select
    c.status, count(*) as found, count(*) filter (where c.status = any(:leaves)) as changed
from chosen as c
group by c.status
order by c.status;

-- name: neighbours
-- The records before and after one, in the order of `page`.
select
    (
        select min(quarantine_id) from dq.quarantine
        where quarantine_id > :quarantine_id and status = :status
    ) as newer,
    (
        select max(quarantine_id) from dq.quarantine
        where quarantine_id < :quarantine_id and status = :status
    ) as older;

-- name: items
-- Queue items by their number.
select quarantine_id, dataset, batch_id, position, status, version
from dq.quarantine
where quarantine_id = any(:ids);
