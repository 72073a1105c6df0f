-- name: data_version
-- Grows with every promotion that changed gold.
select coalesce(sum(data_version), 0)::bigint from etl.dataset;

-- name: is_untouched
-- True on a first start: nothing was ever accepted or asked for.
select
    not exists (select from etl.batch) and not exists (select from etl.run);

-- name: any_unfinished
-- Whether one of these runs is still on its way.
select exists (
    select from etl.run where run_id = any(:run_ids) and status in ('queued', 'running', 'lost')
);

-- name: status
-- Health in one row: what waits, what runs, what is open.
select
    (select count(*) from etl.run where status = 'queued') as queued_runs,
    (select count(*) from etl.run where status = 'running') as running_runs,
    (select count(*) from etl.run where status = 'lost') as lost_runs,
    (select count(*) from dq.quarantine where status = any(dq.unfinished())) as open_invalid_records,
    (
        select max(heartbeat_at) from etl.worker where kind = 'worker' and stopped_at is null
    ) as worker_heartbeat,
    (
        select max(heartbeat_at) from etl.worker where kind = 'scheduler' and stopped_at is null
    ) as scheduler_heartbeat,
    clock_timestamp() as now;

-- name: heartbeats
-- The last sign of life of any worker and any scheduler.
select kinds.kind, clock_timestamp() as now, max(w.heartbeat_at) as heartbeat_at
from (values ('worker'), ('scheduler')) as kinds (kind)
left join etl.worker as w on w.kind = kinds.kind
group by kinds.kind
order by kinds.kind desc;

-- name: layers
-- Rows and newest change of each layer, by feed.
select
    d.dataset, d.title, m.last_insert_date as watermark,
    (
        select max(b.insert_date) from etl.batch as b
        where
            b.dataset = d.dataset
            and b.status in ('extracted', 'loaded', 'promoted', 'stopped', 'discarded')
    ) as newest_raw,
    (
        select max(b.insert_date) from etl.batch as b
        where b.dataset = d.dataset and b.status in ('loaded', 'promoted')
    ) as newest_silver,
    (
        select max(b.insert_date) from etl.batch as b
        where b.dataset = d.dataset and b.status = 'promoted'
    ) as newest_gold,
    last_run.run_id, last_run.status, last_run.ended_at, last_run.is_balanced, last_run.reason,
    totals.records, totals.valid_records, totals.invalid_records, totals.superseded_records
from etl.dataset as d
left join silver.etl_metadata as m on m.pipeline_name = d.dataset || '_silver'
left join lateral (
    select r.run_id, r.status, r.ended_at, r.is_balanced, r.reason
    from etl.run as r
    where
        r.dataset = d.dataset and r.status not in ('queued', 'running') and r.predicts is null
    order by r.run_id desc
    limit 1
) as last_run on true
left join lateral (
    select
        coalesce(sum(b.records), 0)::bigint as records,
        coalesce(sum(b.valid_records), 0)::bigint as valid_records,
        coalesce(sum(b.invalid_records), 0)::bigint as invalid_records,
        coalesce(sum(b.superseded_records), 0)::bigint as superseded_records
    from etl.batch as b
    where b.dataset = d.dataset and b.status in ('loaded', 'promoted')
) as totals on true
order by d.dataset;
