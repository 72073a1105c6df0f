-- name: lock_dataset
-- The pipeline lock of a feed; only writers may take it. Runs can be queued meanwhile: their foreign
-- key asks for less.
select dataset from etl.dataset where dataset = :dataset for no key update;

-- name: new_id
-- The next batch_id, so that a file can carry it before its row exists.
select nextval(pg_get_serial_sequence('etl.batch', 'batch_id'));

-- name: newest
-- The newest batch of a feed that was neither rejected nor skipped nor discarded.
select batch_id, sha256, file_name from etl.batch
where
    dataset = :dataset
    and status not in ('rejected', 'skipped', 'discarded')
    and reverted_at is null
order by batch_id desc
limit 1;

-- name: by_content
-- The newest batch of a feed with this content, if any.
select batch_id, file_name, status, accepted_at from etl.batch
where
    dataset = :dataset
    and sha256 = :sha256
    and status not in ('rejected', 'skipped', 'discarded')
order by batch_id desc
limit 1;

-- name: accept
-- A file becomes a batch.
insert into etl.batch (
    batch_id, dataset, file_name, stored_name, sha256, file_bytes, status, duplicate_of,
    reason_code, reason, accepted_by, run_id
) overriding system value
values (
    :batch_id, :dataset, :file_name, :stored_name, :sha256, :file_bytes, :status,
    cast(:duplicate_of as bigint), :reason_code, :reason, :accepted_by, cast(:run_id as bigint)
);

-- name: open
-- Batches that still have a way to go, in order of arrival.
select
    batch_id, dataset, kind, file_name, stored_name, sha256, file_bytes, status, insert_date, records
from etl.batch
where
    dataset = :dataset
    and (status in ('accepted', 'extracted', 'loaded') or archived_at is null)
order by batch_id;

-- name: stored_names
-- Files of the landing zone that belong to a batch already.
select stored_name from etl.batch where stored_name is not null and archived_at is null;

-- name: lock
-- Batches, held for the transaction.
select batch_id, kind, file_name, status, records, passed_at from etl.batch
where batch_id = any(:batches)
order by batch_id
for update;

-- name: judged
-- Every batch that silver is made of, in order of arrival.
select
    batch_id, dataset, kind, file_name, stored_name, sha256, file_bytes, status, insert_date, records
from etl.batch
where dataset = :dataset and status in ('loaded', 'promoted') and reverted_at is null
order by batch_id;

-- name: to_judge_again
-- The same, and those of `:batches` that a limit stopped.
select
    batch_id, dataset, kind, file_name, stored_name, sha256, file_bytes, status, insert_date, records
from etl.batch
where
    dataset = :dataset
    and reverted_at is null
    and (
        status in ('loaded', 'promoted')
        or (status = 'stopped' and batch_id = any(cast(:batches as bigint [])))
    )
order by batch_id;

-- name: next_insert_date
-- Strictly increasing from batch to batch, whatever the clock does.
select greatest(
    clock_timestamp(),
    (select max(insert_date) + interval '1 microsecond' from etl.batch where dataset = :dataset)
);

-- name: of_run_named
-- Whether a run already accepted the file of this name (it was resumed after that).
select exists (select from etl.batch where run_id = :run_id and file_name = :name);

-- name: extracted
-- The records are in raw.
update etl.batch
set status = 'extracted', insert_date = :insert_date, records = :records, run_id = :run_id
where batch_id = :batch_id;

-- name: loaded
-- The records are judged: valid in silver, invalid in quarantine; judged again, it stays in gold.
-- One that was stopped still belongs to the run that brought it, and says why it may pass.
update etl.batch
set
    status = case status when 'promoted' then 'promoted' else 'loaded' end, valid_records = :valid_records, invalid_records = :invalid_records,
    superseded_records = :superseded_records, inserted_rows = :inserted_rows,
    updated_rows = :updated_rows, unchanged_rows = :unchanged_rows,
    warning_records = :warning_records,
    reason_code = case when passed_at is not null then reason_code end,
    reason = case when passed_at is not null then reason end,
    reason_detail = case when passed_at is not null then reason_detail end,
    run_id = case when status in ('promoted', 'stopped') then run_id else :run_id end
where batch_id = :batch_id;

-- name: stop
-- A rule's limit keeps the batch from silver; nobody let it pass meanwhile.
update etl.batch
set
    status = 'stopped',
    stopped_at = clock_timestamp(),
    reason_code = 'stopped',
    reason = :reason,
    reason_detail = cast(:reason_detail as jsonb),
    run_id = case status when 'stopped' then run_id else :run_id end
where batch_id = :batch_id and status in ('extracted', 'stopped') and passed_at is null;

-- name: stopped_of_run
-- Batches of a run that wait for somebody's decision.
select batch_id, file_name, reason from etl.batch
where
    status = 'stopped'
    and (run_id = :run_id or batch_id = any(cast(:batches as bigint [])))
order by batch_id;

-- name: hold_one
-- One batch, held for the transaction.
select
    batch_id, dataset, file_name, status, records, reason, stopped_at, passed_by, pass_reason
from etl.batch
where batch_id = :batch_id
for update;

-- name: let_pass
-- A stopped batch may pass its limits; or, without a reason, may not any more.
update etl.batch
set
    passed_by = case when cast(:reason as text) is not null then :actor end,
    passed_at = case when cast(:reason as text) is not null then clock_timestamp() end,
    pass_reason = cast(:reason as text)
where batch_id = :batch_id and status = 'stopped';

-- name: discard
-- A stopped batch never reaches silver; raw keeps it.
update etl.batch
set
    status = 'discarded',
    reason_code = 'discarded',
    reason = reason || '; discarded by ' || :actor || ': ' || :reason,
    passed_by = null,
    passed_at = null,
    pass_reason = null
where batch_id = :batch_id and status = 'stopped';

-- name: refused
-- The file is rejected or skipped whole.
update etl.batch
set
    status = :status, reason_code = :reason_code, reason = :reason,
    reason_detail = cast(:reason_detail as jsonb), run_id = :run_id
where batch_id = :batch_id and status = 'accepted';

-- name: to_promote
-- Batches in silver and not yet in gold.
select coalesce(array_agg(batch_id order by batch_id), '{}')
from etl.batch
where dataset = :dataset and status = 'loaded';

-- name: promoted
-- The rows are in gold.
update etl.batch set status = 'promoted' where batch_id = any(:batches);

-- name: to_archive
-- Finished batches whose file still stands in the landing zone.
select batch_id, stored_name, status, reason, reason_detail
from etl.batch
where
    dataset = :dataset
    and archived_at is null
    and status in ('promoted', 'rejected', 'skipped', 'stopped', 'discarded')
order by batch_id;

-- name: archived
-- The file left the landing zone.
update etl.batch set archived_at = clock_timestamp(), stored_name = :stored_name
where batch_id = :batch_id;

-- name: move_watermark
-- Derived from loaded batches: everything up to it is in silver.
update silver.etl_metadata
set last_insert_date = coalesce((
    select max(insert_date) from etl.batch
    where dataset = :dataset and status in ('loaded', 'promoted')
), last_insert_date)
where pipeline_name = :pipeline_name;

-- name: lock_gold
-- Promotions of all feeds go one after another.
select pipeline_name from silver.etl_metadata where pipeline_name = 'gold' for update;

-- name: gold_changed
-- Gold is newer now: caches keyed by the data version are out of date.
update etl.dataset set data_version = data_version + 1 where dataset = :dataset;

-- name: move_gold_watermark
-- The newest batch in gold.
update silver.etl_metadata
set last_insert_date = greatest(last_insert_date, (
    select max(insert_date) from etl.batch where status = 'promoted'
))
where pipeline_name = 'gold';

-- name: be_impatient
-- Wait for locks only so long in this transaction.
select set_config('lock_timeout', :milliseconds || 'ms', true);

-- name: give_to_run
-- The run that will take a batch accepted before it.
update etl.batch set run_id = :run_id where batch_id = :batch_id;

-- name: taken
-- The newest batch of this content, whatever became of it.
select batch_id, file_name, status, duplicate_of, run_id from etl.batch
where dataset = :dataset and sha256 = :sha256
order by batch_id desc
limit 1;

-- name: history
-- Batches, newest first.
select
    batch_id, dataset, kind, file_name, file_bytes, status, records, valid_records,
    invalid_records, superseded_records, warning_records, duplicate_of, reason_code,
    nullif(
        concat_ws('; ', reason, 'let pass by ' || passed_by || ': ' || pass_reason), ''
    ) as reason,
    accepted_by, accepted_at, run_id
from etl.batch
where
    (cast(:dataset as text) is null or dataset = :dataset)
    and (cast(:status as text) is null or status = :status)
order by batch_id desc
limit :limit offset :offset;

-- name: count
-- How many batches the same filters find.
select count(*) from etl.batch
where
    (cast(:dataset as text) is null or dataset = :dataset)
    and (cast(:status as text) is null or status = :status);

-- name: done_by_run
-- Records that attempts before this one brought to raw and to silver.
select
    coalesce(
        sum(records) filter (
            where status in ('extracted', 'loaded', 'promoted', 'stopped', 'discarded')
        ), 0
    )::bigint as extracted,
    coalesce(sum(records) filter (where status in ('loaded', 'promoted')), 0)::bigint as loaded
from etl.batch
where run_id = :run_id;

-- name: newest_loaded
-- The newest batches of a feed that can be judged again.
select batch_id, file_name, records from etl.batch
where dataset = :dataset and status in ('loaded', 'promoted') and reverted_at is null
order by batch_id desc
limit :limit;

-- name: chosen
-- The batches of a feed that can be judged again: these, or those accepted in a period, or all. One
-- that a limit stopped only by its name.
select
    batch_id, file_name, records, coalesce(invalid_records, 0) as invalid_records, accepted_at,
    coalesce(
        (cast(:batches as bigint []) is null or batch_id = any(cast(:batches as bigint [])))
        and (cast(:start as timestamptz) is null or accepted_at >= cast(:start as timestamptz))
        and (cast(:before as timestamptz) is null or accepted_at < cast(:before as timestamptz)),
        false
    ) as is_chosen
from etl.batch
where
    dataset = :dataset
    and reverted_at is null
    and (
        status in ('loaded', 'promoted')
        or (status = 'stopped' and batch_id = any(cast(:batches as bigint [])))
    )
order by batch_id;
