-- name: expect
-- So many rows more (or less) must be in the layer, from this transaction on.
insert into etl.expected as t (dataset, layer, rows)
values (:dataset, :layer, :rows)
on conflict (dataset, layer) do update set rows = t.rows + excluded.rows;

-- name: expect_the_stage
-- After a full run silver must be what was staged.
insert into etl.expected as t (dataset, layer, rows)
select :dataset, 'silver', count(*) from stage
on conflict (dataset, layer) do update set rows = excluded.rows;

-- name: expect_all_of_silver
-- After a full run gold must have every row of silver.
insert into etl.expected as t (dataset, layer, rows)
select dataset, 'gold', rows from etl.expected where dataset = :dataset and layer = 'silver'
on conflict (dataset, layer) do update set rows = excluded.rows;

-- name: one_snapshot
-- All that the transaction counts is counted at one instant.
set local transaction_isolation to 'repeatable read';

-- name: be_modest
-- Wait for no lock that a run holds, leave the other cores to it, and end in time.
select
    set_config('lock_timeout', '2s', true),
    set_config('max_parallel_workers_per_gather', '0', true),
    set_config('statement_timeout', :milliseconds || 'ms', true);

-- name: hold_findings
-- Only one checks at a time; another one goes on without waiting.
lock table etl.finding in share row exclusive mode nowait;

-- name: expected_in_silver
-- Rows that loads left in silver.
select coalesce((
    select rows from etl.expected where dataset = :dataset and layer = 'silver'
), 0);

-- name: any_to_promote
-- Whether silver is ahead of gold just now.
select exists (select from etl.batch where dataset = :dataset and status = 'loaded');

-- name: store_finding
-- What the check found of a leg; the first broken check in a row is remembered.
insert into etl.finding as t (
    dataset, leg, layer, left_side, right_side, detail, checked_at, broken_since
)
values (
    :dataset, :leg, :layer, :left_side, :right_side, cast(:detail as jsonb), now(),
    case when :left_side <> :right_side then now() end
)
on conflict (dataset, leg) do update
set
    layer = excluded.layer,
    left_side = excluded.left_side,
    right_side = excluded.right_side,
    detail = excluded.detail,
    checked_at = excluded.checked_at,
    broken_since = case
        when excluded.broken_since is not null
            then coalesce(t.broken_since, excluded.broken_since)
    end;

-- name: forget_findings
-- Legs that no longer exist.
delete from etl.finding
where
    (dataset, leg) not in (
        select dataset, leg
        from json_to_recordset(cast(:kept as json)) as k (dataset text, leg text)
    );

-- name: findings
-- What the newest check found, broken legs first.
select
    dataset, leg, layer, left_side, right_side, right_side - left_side as difference, is_balanced,
    detail, checked_at, broken_since
from etl.finding
order by
    is_balanced, dataset, array_position(array['raw', 'quarantine', 'silver', 'gold'], layer), leg;

-- name: freshness
-- For each feed and layer: when it last took data or was found complete, its limits, and since when
-- it is in its state. Complete is what a whole run that ended well has seen; the last few will do.
select
    d.dataset, l.layer, newest.insert_date as batch_at,
    greatest(newest.insert_date, complete.ended_at) as data_at,
    coalesce(m.late_seconds, :late_seconds) as late_seconds,
    coalesce(m.stale_seconds, :stale_seconds) as stale_seconds,
    f.state as stored_state, f.changed_at
from etl.dataset as d
cross join (
    values
    ('raw', 1, array['extracted', 'loaded', 'promoted', 'stopped', 'discarded']),
    ('silver', 2, array['loaded', 'promoted']),
    ('gold', 3, array['promoted'])
) as l (layer, ordinal, states)
left join lateral (
    select b.insert_date
    from etl.batch as b
    where b.dataset = d.dataset and b.insert_date is not null and b.status = any(l.states)
    order by b.insert_date desc
    limit 1
) as newest on true
left join lateral (
    select max(whole.ended_at) as ended_at
    from (
        select r.ended_at
        from etl.run as r
        where
            r.dataset = d.dataset
            and r.status in ('succeeded', 'warned')
            and r.source_file is null
            and r.batches is null
            and r.predicts is null
        order by r.run_id desc
        limit 20
    ) as whole
) as complete on true
left join etl.freshness_limit as m on m.dataset = d.dataset and m.layer = l.layer
left join etl.freshness as f on f.dataset = d.dataset and f.layer = l.layer
order by d.dataset, l.ordinal;

-- name: store_freshness
-- How fresh a layer was judged; `changed_at` moves with the state alone.
insert into etl.freshness as t (dataset, layer, state, data_at, judged_at, changed_at)
values (:dataset, :layer, :state, cast(:data_at as timestamptz), :now, :now)
on conflict (dataset, layer) do update
set
    state = excluded.state,
    data_at = excluded.data_at,
    judged_at = excluded.judged_at,
    changed_at = case when t.state = excluded.state then t.changed_at else excluded.changed_at end;

-- name: clock
-- What time it is for the database.
select clock_timestamp();

-- name: limit_of
-- The limits of a layer, where somebody set them.
select late_seconds, stale_seconds from etl.freshness_limit
where dataset = :dataset and layer = :layer
for update;

-- name: set_limit
-- From what age on a layer is late or stale.
insert into etl.freshness_limit (dataset, layer, late_seconds, stale_seconds, updated_by)
values (:dataset, :layer, :late_seconds, :stale_seconds, :updated_by)
on conflict (dataset, layer) do update
set
    late_seconds = excluded.late_seconds,
    stale_seconds = excluded.stale_seconds,
    updated_at = clock_timestamp(),
    updated_by = excluded.updated_by;

-- name: processes
-- Processes that work, that fell silent within a day, or that stopped within an hour.
select
    worker_id, kind, host, pid, started_at, heartbeat_at, stopped_at
from etl.worker
where
    (stopped_at is null and heartbeat_at > clock_timestamp() - interval '1 day')
    or stopped_at > clock_timestamp() - interval '1 hour'
order by stopped_at is not null, kind, worker_id desc;

-- name: runs_by_status
-- How many runs of each feed are in each state.
select dataset, status, count(*) as runs from etl.run group by dataset, status
order by dataset, status;

-- name: records_by_verdict
-- What became of the records of each feed.
select
    d.dataset,
    coalesce(sum(b.valid_records), 0)::bigint as valid,
    coalesce(sum(b.invalid_records), 0)::bigint as invalid,
    coalesce(sum(b.superseded_records), 0)::bigint as superseded,
    (
        select count(*) from dq.quarantine as q
        where q.dataset = d.dataset and q.status = any(dq.unfinished())
    ) as open_invalid
from etl.dataset as d
left join etl.batch as b on b.dataset = d.dataset and b.status in ('loaded', 'promoted')
group by d.dataset
order by d.dataset;

-- name: last_runs
-- The newest finished run of each feed.
select d.dataset, last_run.status, last_run.ended_at, last_run.seconds
from etl.dataset as d
cross join lateral (
    select
        r.status, r.ended_at, extract(epoch from r.ended_at - r.started_at)::float as seconds
    from etl.run as r
    where
        r.dataset = d.dataset
        and r.ended_at is not null
        and r.started_at is not null
        and r.predicts is null
    order by r.run_id desc
    limit 1
) as last_run
order by d.dataset;

-- name: silence
-- Seconds since the newest sign of life, by kind of process that has not stopped in order.
select kind, extract(epoch from clock_timestamp() - max(heartbeat_at))::float as seconds
from etl.worker
where stopped_at is null and kind in ('worker', 'scheduler')
group by kind
order by kind;

-- name: is_due
-- Whether a run that loaded something ended after the newest check.
select exists (
    select
    from (select ended_at, read_records from etl.run order by run_id desc limit 50) as newest
    where
        newest.read_records > 0
        and newest.ended_at > coalesce((select max(checked_at) from etl.finding), '-infinity')
);
