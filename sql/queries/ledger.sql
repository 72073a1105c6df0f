-- name: batches
-- Each batch of a run: what was read against the verdicts, counted in the tables themselves,
-- then the run as a whole.
with batch as (
    select
        b.*,
        (select count(*) from dq.quarantine as q where q.batch_id = b.batch_id) as quarantined,
        (select count(*) from dq.superseded as s where s.batch_id = b.batch_id) as replaced
    from etl.batch as b
    where
        b.status in ('loaded', 'promoted')
        and (
            b.run_id = :run_id
            or b.batch_id = any(cast(:batches as bigint []))
            or (:is_full and b.dataset = :dataset)
        )
)

select
    'batch ' || batch_id || ': read = valid + invalid + superseded' as leg,
    records as left_side,
    valid_records + quarantined + replaced as right_side
from batch
union all
select
    'run: valid = inserted + updated + unchanged',
    coalesce(sum(valid_records), 0),
    coalesce(sum(inserted_rows + updated_rows + unchanged_rows), 0)
from batch;
