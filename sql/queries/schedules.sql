-- name: active
-- Schedules in force, and the clock that all schedulers share.
select
    schedule_id, dataset, cron, interval_seconds, time_zone, since, decided_until, version,
    clock_timestamp() as now
from etl.schedule
where enabled and removed_at is null
order by schedule_id;

-- name: hold
-- Hold a schedule in force while its times are decided; no row while somebody else has it.
select
    schedule_id, dataset, cron, interval_seconds, time_zone, since, decided_until, catch_up,
    clock_timestamp() as now
from etl.schedule
where schedule_id = :schedule_id and enabled and removed_at is null
for no key update skip locked;

-- name: decided
-- Planned times up to here are decided; never goes backwards.
update etl.schedule set decided_until = greatest(decided_until, :decided_until)
where schedule_id = :schedule_id;

-- name: unfinished
-- The run of a schedule that is not over yet.
select run_id, status from etl.run
where schedule_id = :schedule_id and status in ('queued', 'running', 'lost')
order by status = 'queued' desc, run_id desc
limit 1;

-- name: list
-- Schedules with their last run, the newest first; removed ones only when asked for.
select
    s.schedule_id, s.dataset, s.name, s.cron, s.interval_seconds, s.time_zone, s.since,
    s.decided_until, s.catch_up, s.version, s.made_at, s.made_by, s.updated_at, s.updated_by,
    s.removed_at,
    case when s.removed_at is not null then 'removed' when s.enabled then 'active' else 'paused' end as state,
    last_run.run_id, last_run.status as run_status, last_run.requested_at as run_requested_at
from etl.schedule as s
left join lateral (
    select r.run_id, r.status, r.requested_at
    from etl.run as r
    where r.schedule_id = s.schedule_id
    order by r.run_id desc
    limit 1
) as last_run on true
where
    (cast(:dataset as text) is null or s.dataset = :dataset)
    and coalesce(:state = 'removed', false) = (s.removed_at is not null)
    and (cast(:state as text) is null or :state = 'removed' or s.enabled = (:state = 'active'))
order by s.schedule_id desc
limit :limit offset :offset;

-- name: count
-- How many schedules the same filters find.
select count(*) from etl.schedule as s
where
    (cast(:dataset as text) is null or s.dataset = :dataset)
    and coalesce(:state = 'removed', false) = (s.removed_at is not null)
    and (cast(:state as text) is null or :state = 'removed' or s.enabled = (:state = 'active'));

-- name: one
-- One schedule, whole.
select
    s.*,
    case when s.removed_at is not null then 'removed' when s.enabled then 'active' else 'paused' end as state
from etl.schedule as s
where s.schedule_id = :schedule_id;

-- name: runs
-- The newest runs of a schedule, as the history of runs has them.
select
    r.run_id, r.dataset, r.status, r.trigger, r.requested_by, r.requested_at, r.planned_at,
    r.read_records, r.invalid_records, r.is_balanced, r.reason,
    extract(epoch from coalesce(r.ended_at, clock_timestamp()) - r.started_at)::float as seconds
from etl.run as r
where r.schedule_id = :schedule_id
order by r.run_id desc
limit :limit;

-- name: make
-- A new schedule; its times count from now, in whole seconds.
insert into etl.schedule (
    dataset, name, cron, interval_seconds, time_zone, catch_up, since, decided_until, made_by, updated_by
)
select
    :dataset, :name, cast(:cron as text), cast(:interval_seconds as integer), :time_zone, :catch_up,
    clock.second, clock.second, :actor, :actor
from (select date_trunc('second', clock_timestamp()) as second) as clock
returning *;

-- name: lock
-- One schedule for a change.
select * from etl.schedule where schedule_id = :schedule_id for no key update;

-- name: change
-- Change a schedule that nobody changed meanwhile; its times count anew when they change.
update etl.schedule as s
set
    name = :name,
    cron = cast(:cron as text),
    interval_seconds = cast(:interval_seconds as integer),
    time_zone = :time_zone,
    catch_up = :catch_up,
    since = case when :is_retimed then clock.second else s.since end,
    decided_until = case
        when :is_retimed then greatest(s.decided_until, clock.second) else s.decided_until
    end,
    updated_at = clock_timestamp(),
    updated_by = :actor,
    version = s.version + 1
from (select date_trunc('second', clock_timestamp()) as second) as clock
where s.schedule_id = :schedule_id
returning s.*;

-- name: pause
-- No times are planned while it is paused.
update etl.schedule
set enabled = false, updated_at = clock_timestamp(), updated_by = :actor, version = version + 1
where schedule_id = :schedule_id
returning *;

-- name: resume
-- Times count from now: none was missed while it was paused.
update etl.schedule as s
set
    enabled = true,
    since = clock.second,
    decided_until = greatest(s.decided_until, clock.second),
    updated_at = clock_timestamp(),
    updated_by = :actor,
    version = s.version + 1
from (select date_trunc('second', clock_timestamp()) as second) as clock
where s.schedule_id = :schedule_id
returning s.*;

-- name: remove
-- The schedule ends; its runs still point to it.
update etl.schedule
set
    enabled = false,
    removed_at = clock_timestamp(),
    updated_at = clock_timestamp(),
    updated_by = :actor,
    version = version + 1
where schedule_id = :schedule_id
returning *;
