-- name: enqueue
-- Put a run into the queue.
insert into etl.run (
    dataset, status, trigger, source_file, is_full, requested_by, schedule_id, planned_at, batches,
    again_of, reverts, predicts
)
values (
    :dataset, 'queued', :trigger, :source_file, :is_full, :requested_by,
    cast(:schedule_id as bigint), cast(:planned_at as timestamptz), cast(:batches as bigint []),
    cast(:again_of as bigint), cast(:reverts as bigint []), cast(:predicts as bigint)
)
on conflict (schedule_id, planned_at) do nothing
returning run_id;

-- name: claim_lock
-- Claims are made one after another; without it concurrent claims collide on run_one_running.
select pg_advisory_xact_lock(7263002);

-- name: claim
-- Take the next run whose feed is idle: lost ones first, then in the order they were asked for.
with next as (
    select r.run_id
    from etl.run as r
    where
        r.status in ('queued', 'lost')
        and (cast(:run_id as bigint) is null or r.run_id = :run_id)
        and not exists (
            select from etl.run as o where o.dataset = r.dataset and o.status = 'running'
        )
    order by r.status = 'lost' desc, r.run_id
    limit 1
    for update skip locked
)

update etl.run as r
set
    status = 'running',
    worker_id = :worker_id,
    attempt = r.attempt + 1,
    started_at = coalesce(r.started_at, clock_timestamp()),
    ended_at = null,
    reason_code = null,
    reason = null
from next
where r.run_id = next.run_id
returning
    r.run_id, r.dataset, r.source_file, r.is_full, r.batches, r.attempt, r.requested_by, r.trigger,
    r.until, r.reverts, r.predicts;

-- name: begin
-- Start a run at once (a foreground run); no row while the feed is busy.
insert into etl.run (
    dataset, status, trigger, source_file, is_full, batches, until, requested_by, worker_id, attempt,
    started_at
)
select
    :dataset, 'running', :trigger, :source_file, :is_full, cast(:batches as bigint []), :until,
    :requested_by, :worker_id, 1, clock_timestamp()
where
    not exists (
        select from etl.run where dataset = :dataset and status in ('running', 'lost')
    )
returning run_id, dataset, source_file, is_full, batches, attempt, requested_by, trigger, until, reverts;

-- name: busy
-- What occupies a feed, for the message of somebody who waits.
select r.run_id, r.status, w.kind, w.host, w.pid, r.started_at
from etl.run as r
left join etl.worker as w on w.worker_id = r.worker_id
where r.dataset = :dataset and r.status in ('running', 'lost')
order by r.run_id
limit 1;

-- name: mark_lost
-- Running runs whose worker died: its server process is gone and it stopped beating.
update etl.run as r
set
    status = case when r.attempt >= :attempts then 'failed' else 'lost' end,
    ended_at = case when r.attempt >= :attempts then clock_timestamp() end,
    reason_code = 'lost',
    reason = case
        when r.attempt >= :attempts
            then 'its worker died ' || r.attempt || ' times; look at the log, then resume it'
        else 'its worker (process ' || w.pid || ' on ' || w.host || ') died; it will be resumed'
    end
from etl.worker as w
where
    r.status = 'running'
    and w.worker_id = r.worker_id
    and (
        w.stopped_at is not null
        or (
            w.heartbeat_at < clock_timestamp() - make_interval(secs => :silence)
            and not exists (
                select from pg_stat_activity as a
                where a.pid = w.backend_pid and a.backend_start = w.backend_start
            )
        )
    )
returning r.run_id, r.dataset, r.status;

-- name: fence
-- Hold the run for the rest of the transaction; no row when another worker has it now.
select run_id from etl.run
where run_id = :run_id and attempt = :attempt and worker_id = :worker_id and status = 'running'
for no key update;

-- name: request_cancel
-- Ask for a cancel: a queued run ends at once, a running one at its next chunk.
update etl.run
set
    cancel_requested_at = clock_timestamp(),
    cancel_requested_by = :actor,
    status = case when status = 'running' then status else 'cancelled' end,
    ended_at = case when status = 'running' then null else clock_timestamp() end,
    reason_code = 'cancelled',
    reason = 'cancelled by ' || :actor
where run_id = :run_id and status in ('queued', 'running', 'lost')
returning run_id, status;

-- name: cancelled_by
-- Who asked to cancel the run; NULL while nobody did.
select cancel_requested_by from etl.run
where run_id = :run_id and cancel_requested_at is not null;

-- name: requeue
-- Resume: the run goes back to the queue and goes on from its last checkpoint.
update etl.run
set
    status = 'queued', ended_at = null, attempt = 0, worker_id = null,
    cancel_requested_at = null, cancel_requested_by = null, reason_code = null, reason = null
where run_id = :run_id and status in ('failed', 'cancelled', 'lost')
returning run_id;

-- name: begin_step
-- An attempt at a step begins; `done_records` are behind it already. After a crash it begins again:
-- what is shown as done stays.
insert into etl.step (
    run_id, step, status, attempted_at, attempted_records, reached_records, done_records
)
values (
    :run_id, :step, 'running', clock_timestamp(), :done_records, :done_records, :done_records
)
on conflict (run_id, step) do update
set
    status = 'running',
    ended_at = null,
    attempted_at = excluded.attempted_at,
    attempted_records = excluded.attempted_records,
    reached_records = excluded.reached_records,
    done_records = greatest(etl.step.done_records, excluded.done_records),
    total_records = case when etl.step.status <> 'succeeded' then etl.step.total_records end,
    activity = null;

-- name: reopen_step
-- A step goes on with the next batch in the same attempt.
update etl.step set status = 'running', ended_at = null, activity = null
where run_id = :run_id and step = :step;

-- name: checkpoint
-- What a step has reached; committed with its work.
update etl.step
set
    status = 'succeeded',
    ended_at = clock_timestamp(),
    done_records = greatest(done_records, :done_records),
    -- an estimate that was too low
    total_records = case
        when total_records is not null then greatest(total_records, done_records, :done_records)
    end,
    reached_records = :done_records,
    activity = null
where run_id = :run_id and step = :step;

-- name: stop_steps
-- What was running when the run ended.
update etl.step set status = :status, ended_at = clock_timestamp(), activity = null
where run_id = :run_id and status = 'running';

-- name: progress
-- How far a step is. Neither the records done nor their share of the total ever goes backwards, and
-- nothing waits for the step's own transaction.
update etl.step as t
set
    done_records = greatest(t.done_records, :done_records),
    reached_records = :done_records,
    activity = cast(:activity as text),
    total_records = case
        when cast(:total_records as bigint) is null then t.total_records
        when t.total_records is null or t.done_records = 0
            then greatest(cast(:total_records as bigint), t.done_records, :done_records)
        else greatest(
            t.done_records,
            :done_records,
            least(
                cast(:total_records as bigint),
                t.total_records * greatest(t.done_records, :done_records) / t.done_records
            )
        )
    end
from (
    select run_id, step from etl.step
    where run_id = :run_id and step = :step and status = 'running'
    for update skip locked
) as free
where t.run_id = free.run_id and t.step = free.step;

-- name: totals
-- What the batches of a run add up to; those of a full run are all that silver was made of, and
-- those judged again are its own as well.
select
    count(*) as batches,
    count(*) filter (where status in ('loaded', 'promoted')) as loaded_batches,
    count(*) filter (where status = 'rejected') as rejected_batches,
    count(*) filter (where status = 'skipped') as skipped_batches,
    count(*) filter (where status = 'skipped' and reason_code <> 'duplicate') as empty_batches,
    coalesce(sum(records) filter (where status in ('loaded', 'promoted')), 0)::bigint as read_records,
    coalesce(sum(valid_records), 0)::bigint as valid_records,
    coalesce(sum(invalid_records), 0)::bigint as invalid_records,
    coalesce(sum(superseded_records), 0)::bigint as superseded_records,
    coalesce(sum(inserted_rows), 0)::bigint as inserted_rows,
    coalesce(sum(updated_rows), 0)::bigint as updated_rows,
    coalesce(sum(unchanged_rows), 0)::bigint as unchanged_rows,
    coalesce(sum(warning_records), 0)::bigint as warning_records
from etl.batch
where
    run_id = :run_id
    or batch_id = any(cast(:batches as bigint []))
    or (:is_full and dataset = :dataset and status in ('loaded', 'promoted'));

-- name: widen
-- Judging some batches again was not enough: the run judges every batch again.
update etl.run set is_full = true where run_id = :run_id;

-- name: finish
-- The run ends.
update etl.run
set
    status = :status,
    ended_at = clock_timestamp(),
    rule_set = coalesce(:rule_set, rule_set),
    read_records = :read_records,
    valid_records = :valid_records,
    invalid_records = :invalid_records,
    superseded_records = :superseded_records,
    inserted_rows = :inserted_rows,
    updated_rows = :updated_rows,
    unchanged_rows = :unchanged_rows,
    warning_records = :warning_records,
    ledger = cast(:ledger as jsonb),
    is_balanced = :is_balanced,
    reason_code = :reason_code,
    reason = :reason
where run_id = :run_id;

-- name: fail
-- The run ends badly; what its batches reached stays.
update etl.run
set status = :status, ended_at = clock_timestamp(), reason_code = :reason_code, reason = :reason
where run_id = :run_id and attempt = :attempt and status = 'running'
returning run_id;

-- name: register_worker
-- A process that runs or schedules makes itself known.
insert into etl.worker (kind, host, pid, backend_pid, backend_start)
select :kind, :host, :pid, a.pid, a.backend_start
from pg_stat_activity as a
where a.pid = pg_backend_pid()
returning worker_id;

-- name: beat
-- A sign of life, from whatever connection the worker has now.
update etl.worker as w
set heartbeat_at = clock_timestamp(), backend_pid = a.pid, backend_start = a.backend_start
from pg_stat_activity as a
where w.worker_id = :worker_id and a.pid = pg_backend_pid();

-- name: beats
-- Whether a process of this kind on this host shows signs of life.
select exists (
    select from etl.worker
    where
        kind = :kind
        and host = :host
        and stopped_at is null
        and heartbeat_at > clock_timestamp() - make_interval(secs => :silence)
);

-- name: unregister_worker
-- The process stops in order.
update etl.worker set stopped_at = clock_timestamp() where worker_id = :worker_id;

-- name: release
-- The worker stops in order: the run goes back to the queue and goes on from its checkpoint. It was
-- no death, so it does not count as an attempt.
update etl.run set status = 'queued', worker_id = null, attempt = attempt - 1
where run_id = :run_id and attempt = :attempt and status = 'running'
returning run_id;

-- name: history
-- Runs, newest first.
select
    r.run_id, r.dataset, r.status, r.trigger, r.source_file, r.is_full, r.requested_by,
    r.requested_at, r.started_at, r.ended_at, r.attempt, r.read_records, r.valid_records,
    r.invalid_records, r.superseded_records, r.inserted_rows, r.updated_rows, r.unchanged_rows,
    r.warning_records, r.is_balanced, r.reason, r.again_of,
    extract(epoch from coalesce(r.ended_at, clock_timestamp()) - r.started_at)::float as seconds
from etl.run as r
where
    (cast(:dataset as text) is null or r.dataset = :dataset)
    and (cast(:status as text) is null or r.status = :status)
    and (cast(:trigger as text) is null or r.trigger = :trigger)
    and (cast(:since as timestamptz) is null or r.requested_at >= :since)
order by r.run_id desc
limit :limit offset :offset;

-- name: count
-- How many runs the same filters find.
select count(*) from etl.run as r
where
    (cast(:dataset as text) is null or r.dataset = :dataset)
    and (cast(:status as text) is null or r.status = :status)
    and (cast(:trigger as text) is null or r.trigger = :trigger)
    and (cast(:since as timestamptz) is null or r.requested_at >= :since);

-- name: trend
-- How long the newest ended runs that the same filters find took, and what they read; oldest first.
select * from (
    select
        r.run_id, r.dataset, r.status, r.ended_at, r.read_records, r.invalid_records,
        extract(epoch from r.ended_at - r.started_at)::float as seconds
    from etl.run as r
    where
        r.ended_at is not null
        and r.started_at is not null
        and (cast(:dataset as text) is null or r.dataset = :dataset)
        and (cast(:status as text) is null or r.status = :status)
        and (cast(:trigger as text) is null or r.trigger = :trigger)
        and (cast(:since as timestamptz) is null or r.requested_at >= :since)
    order by r.run_id desc
    limit :limit
) as newest
order by run_id;

-- name: is_any_moving
-- Whether a run waits or runs.
select exists (select from etl.run where status in ('queued', 'running', 'lost'));

-- name: worker_heartbeat
-- The newest sign of life of a worker; NULL when none runs.
select max(heartbeat_at) from etl.worker where kind = 'worker' and stopped_at is null;

-- name: again
-- The runs that repeat a run.
select run_id, status from etl.run where again_of = :run_id order by run_id;

-- name: one
-- One run, whole.
select
    r.*, extract(epoch from coalesce(r.ended_at, clock_timestamp()) - r.started_at)::float as seconds
from etl.run as r
where r.run_id = :run_id;

-- name: steps
-- The steps of a run in their order.
select
    step, status, started_at, attempted_at, ended_at, done_records, total_records,
    attempted_records, reached_records, activity,
    extract(
        epoch from coalesce(ended_at, clock_timestamp()) - coalesce(attempted_at, started_at)
    )::float as seconds
from etl.step
where run_id = :run_id
order by array_position(array['extract', 'load', 'promote', 'archive'], step);

-- name: batches
-- The batches that a run took, and those that it judged again.
select
    batch_id, kind, file_name, stored_name, file_bytes, status, records, valid_records,
    invalid_records, superseded_records, inserted_rows, updated_rows, unchanged_rows,
    warning_records, duplicate_of, reason_code,
    nullif(
        concat_ws('; ', reason, 'let pass by ' || passed_by || ': ' || pass_reason), ''
    ) as reason,
    accepted_by, accepted_at, run_id, stopped_at, passed_by
from etl.batch
where run_id = :run_id or batch_id = any(cast(:batches as bigint []))
order by batch_id;

-- name: queued_like
-- A queued run that would do the same; ask under claim_lock, so that no worker takes it meanwhile.
select run_id from etl.run
where
    dataset = :dataset
    and status = 'queued'
    and until is null
    and is_full = :is_full
    and source_file is not distinct from cast(:source_file as text)
    and batches is not distinct from cast(:batches as bigint [])
    and reverts is null
    and predicts is null
order by run_id
limit 1;
