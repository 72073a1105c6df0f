-- name: run_failed
-- Feeds whose newest run that ended has failed. What is open stays so until a run ends well, although
-- the failed run itself may wait to be resumed.
with recent as (
    select d.dataset, r.run_id, r.status, r.reason, r.ended_at
    from etl.dataset as d
    cross join lateral (
        select r.run_id, r.status, r.reason, r.ended_at
        from etl.run as r
        where
            r.dataset = d.dataset
            and r.status in ('succeeded', 'warned', 'failed')
            and r.predicts is null
        order by r.run_id desc
        limit 200
    ) as r
    where cast(:dataset as text) is null or d.dataset = :dataset
),

newest as (
    select distinct on (dataset) dataset, run_id, status, reason, ended_at
    from recent
    order by dataset, ended_at desc
)

select dataset as subject, dataset, run_id, reason
from newest
where status = 'failed'
union all
select i.subject, i.dataset, i.run_id, i.message
from etl.incident as i
where
    i.alert_rule_id = :alert_rule_id
    and i.resolved_at is null
    and (cast(:dataset as text) is null or i.dataset = :dataset)
    and not exists (
        select from newest as n
        where n.dataset = i.dataset and (n.status = 'failed' or n.ended_at > i.opened_at)
    );

-- name: run_lost
-- Runs whose worker died, until they have ended: a run is often resumed within a second, so what
-- ended within the last minute still counts.
select distinct on (d.dataset) d.dataset as subject, d.dataset, r.run_id
from etl.dataset as d
cross join lateral (
    select r.run_id, r.status, r.attempt, r.ended_at
    from etl.run as r
    where r.dataset = d.dataset
    order by r.run_id desc
    limit 200
) as r
where
    (cast(:dataset as text) is null or d.dataset = :dataset)
    and (
        r.status = 'lost'
        or (r.status = 'running' and r.attempt > 1)
        or (r.status = 'queued' and r.attempt > 0)
        or (r.attempt > 1 and r.ended_at > cast(:now as timestamptz) - interval '1 minute')
    )
order by d.dataset, r.run_id desc;

-- name: run_too_long
-- Running runs that began, or were resumed, longer ago than the threshold (seconds).
with running as (
    select r.dataset, r.run_id, coalesce(s.started_at, r.started_at) as since
    from etl.run as r
    left join etl.step as s on s.run_id = r.run_id and s.step = 'extract'
    where r.status = 'running' and (cast(:dataset as text) is null or r.dataset = :dataset)
)

select
    dataset as subject, dataset, run_id,
    extract(epoch from cast(:now as timestamptz) - since)::float as seconds
from running
where since < cast(:now as timestamptz) - make_interval(secs => cast(:threshold as float));

-- name: invalid_count
-- Feeds whose newest run that read records rejected more of them than the threshold (records).
select d.dataset as subject, d.dataset, r.run_id, r.invalid_records, r.read_records
from etl.dataset as d
cross join lateral (
    select r.run_id, r.invalid_records, r.read_records
    from etl.run as r
    where r.dataset = d.dataset and r.status in ('succeeded', 'warned') and r.read_records > 0
    order by r.run_id desc
    limit 1
) as r
where
    r.invalid_records > cast(:threshold as numeric)
    and (cast(:dataset as text) is null or d.dataset = :dataset);

-- name: invalid_rate
-- Feeds whose newest run that read records rejected a larger part than the threshold (0..1).
select
    d.dataset as subject, d.dataset, r.run_id, r.invalid_records, r.read_records,
    r.invalid_records::float / r.read_records as rate
from etl.dataset as d
cross join lateral (
    select r.run_id, r.invalid_records, r.read_records
    from etl.run as r
    where r.dataset = d.dataset and r.status in ('succeeded', 'warned') and r.read_records > 0
    order by r.run_id desc
    limit 1
) as r
where
    r.invalid_records::numeric / r.read_records > cast(:threshold as numeric)
    and (cast(:dataset as text) is null or d.dataset = :dataset);

-- name: unusual_volume
-- Feeds whose newest loading run is further from the median of the 30 before it than the threshold
-- (robust standard deviations: 1.4826 x MAD). A deviation is never taken for less than 5 % of the
-- median, so that constant volumes do not alarm; fewer than 8 earlier runs say nothing. Full and
-- repeated runs load what was loaded before and do not count.
with loaded as (
    select
        d.dataset, r.run_id, r.read_records,
        row_number() over (partition by d.dataset order by r.run_id desc) as age
    from etl.dataset as d
    cross join lateral (
        select r.run_id, r.read_records
        from etl.run as r
        where
            r.dataset = d.dataset
            and r.status in ('succeeded', 'warned')
            and r.read_records > 0
            and not r.is_full
            and r.batches is null
        order by r.run_id desc
        limit 31
    ) as r
    where cast(:dataset as text) is null or d.dataset = :dataset
),

usual as (
    select
        dataset, count(*) as runs,
        percentile_cont(0.5) within group (order by read_records) as median
    from loaded
    where age > 1
    group by dataset
    having count(*) >= 8
),

spread as (
    select
        u.dataset, u.runs, u.median,
        greatest(
            1.4826 * percentile_cont(0.5) within group (order by abs(l.read_records - u.median)),
            0.05 * u.median,
            1
        ) as deviation
    from usual as u
    inner join loaded as l on l.dataset = u.dataset and l.age > 1
    group by u.dataset, u.runs, u.median
)

select
    l.dataset as subject, l.dataset, l.run_id, l.read_records, s.runs,
    round(s.median)::bigint as usual_records,
    (abs(l.read_records - s.median) / s.deviation)::float as deviations
from loaded as l
inner join spread as s on s.dataset = l.dataset
where l.age = 1 and abs(l.read_records - s.median) / s.deviation > cast(:threshold as float);

-- name: not_fresh
-- Layers that were judged late or stale.
select
    dataset || '/' || layer as subject, dataset, cast(null as bigint) as run_id, layer, state, data_at
from etl.freshness
where state in ('late', 'stale') and (cast(:dataset as text) is null or dataset = :dataset);

-- name: ledger_broken
-- Feeds whose newest run with a ledger does not balance, and layers that the periodic check found wrong.
select
    d.dataset as subject, d.dataset, r.run_id,
    'the ledger of run ' || r.run_id || ' does not balance' as what
from etl.dataset as d
cross join lateral (
    select r.run_id, r.is_balanced
    from etl.run as r
    where r.dataset = d.dataset and r.is_balanced is not null
    order by r.run_id desc
    limit 1
) as r
where not r.is_balanced and (cast(:dataset as text) is null or d.dataset = :dataset)
union all
select
    dataset || '/' || layer, dataset, null,
    'the check of ' || layer || ' does not balance: '
    || string_agg(
        leg || ' (' || rtrim(to_char(left_side, 'FM999,999,999,999,999,990.99'), '.') || ' against '
        || rtrim(to_char(right_side, 'FM999,999,999,999,999,990.99'), '.') || ')', '; ' order by leg
    )
from etl.finding
where not is_balanced and (cast(:dataset as text) is null or dataset = :dataset)
group by dataset, layer;

-- name: process_silent
-- Workers and schedulers that did not stop in order and have shown no sign of life for longer than
-- the threshold (seconds); one that was started since takes the place of a dead one.
with newest as (
    select distinct on (kind, host) kind, host, pid, heartbeat_at, stopped_at
    from etl.worker
    where
        kind in ('worker', 'scheduler')
        and heartbeat_at > cast(:now as timestamptz) - interval '30 days'
    order by kind, host, heartbeat_at desc
)

select
    n.kind || ' on ' || n.host as subject, cast(null as text) as dataset,
    cast(null as bigint) as run_id, n.kind, n.host, n.pid,
    extract(epoch from cast(:now as timestamptz) - n.heartbeat_at)::float as seconds
from newest as n
where
    n.stopped_at is null
    and n.heartbeat_at < cast(:now as timestamptz) - make_interval(secs => cast(:threshold as float))
    and not exists (
        select from etl.worker as o where o.kind = n.kind and o.started_at > n.heartbeat_at
    );

-- name: refresh_failed
-- The newest refresh of the Power BI dataset that ended, when it failed; a dry run that lacks a setting ends as it
-- is asked for, and is no news.
select
    'Power BI' as subject, cast(null as text) as dataset, r.run_id, r.refresh_id, r.error
from (
    select refresh_id, run_id, status, error
    from etl.refresh
    where status in ('completed', 'failed') and ended_at <> requested_at
    order by ended_at desc, refresh_id desc
    limit 1
) as r
where r.status = 'failed';
