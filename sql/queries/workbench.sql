-- name: standing
-- A queue item as it stands: its newest repair and what closed it, with the runs that matter now.
select
    q.quarantine_id, q.status, q.version, q.note, q.updated_at, q.closed_batch_id,
    q.closed_position, c.file_name as closed_by, c.kind as closed_kind, c.run_id as closed_run_id,
    p.repair_id, p.records, p.reason, p.made_by, p.made_at, p.revert_run_id, p.reverted_by,
    p.reverted_at, p.revert_reason, b.status as batch_status,
    v.status as revert_status,
    coalesce(
        b.run_id,
        (
            select min(w.run_id) from etl.run as w
            where w.dataset = q.dataset and w.status in ('queued', 'running', 'lost')
        )
    ) as run_id
from dq.quarantine as q
left join dq.repair as p on p.repair_id = q.repair_id
left join etl.batch as b on b.batch_id = p.batch_id
left join etl.batch as c on c.batch_id = q.closed_batch_id
left join etl.run as v on v.run_id = p.revert_run_id
where q.quarantine_id = :quarantine_id;

-- name: run_status
-- How a run stands.
select status, reason from etl.run where run_id = :run_id;
