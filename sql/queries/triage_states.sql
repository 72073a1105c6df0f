-- name: wake
-- Snoozed records whose time has come are open again; returns how many.
with due as (
    select quarantine_id from dq.quarantine
    where snoozed_until <= coalesce(cast(:now as timestamptz), statement_timestamp())
    order by quarantine_id
    for update skip locked
),

woken as (
    update dq.quarantine as q
    set
        status = 'open', snoozed_until = null, version = q.version + 1,
        updated_at = clock_timestamp()
    from due as d
    where q.quarantine_id = d.quarantine_id
    returning q.quarantine_id
),

events as (
    insert into dq.triage_event (quarantine_id, actor, action, from_status, to_status)
    select quarantine_id, 'engine', 'wake', 'snoozed', 'open' from woken order by quarantine_id
)

select count(*) from woken;

-- name: owners
-- Who owns unfinished records, by name.
select assigned_to as owner, count(*) as records
from dq.quarantine
where assigned_to is not null and status = any(dq.unfinished())
group by assigned_to
order by assigned_to
limit :limit;

-- name: history
-- What happened to a record, newest first.
select event_id, at, actor, action, from_status, to_status, note, repair_id
from dq.triage_event
where quarantine_id = :quarantine_id
order by event_id desc
limit :limit;

-- name: item
-- The state of one record.
select quarantine_id, status, version, assigned_to, snoozed_until, note
from dq.quarantine
where quarantine_id = :quarantine_id;

-- name: count_unfinished
-- How many records wait for somebody, counted no further than a limit.
select count(*) from (
    select
    from unnest(dq.unfinished()) as s (status)
    cross join lateral (
        select from dq.quarantine as q where q.status = s.status limit :limit
    ) as counted
    limit :limit
) as found;
