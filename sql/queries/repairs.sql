-- name: items
-- The queue items of these numbers, held for the transaction.
select
    q.quarantine_id, q.dataset, q.batch_id, q.position, q.status, q.version, q.repair_id,
    b.status as repair_status, p.reverted_at
from dq.quarantine as q
left join dq.repair as p on p.repair_id = q.repair_id
left join etl.batch as b on b.batch_id = p.batch_id
where q.quarantine_id = any(:items)
order by q.quarantine_id
for update of q;

-- name: accept
-- The edited records become a batch; no file brings them.
insert into etl.batch (
    batch_id, dataset, kind, file_name, sha256, file_bytes, accepted_by, archived_at
) overriding system value
values (
    :batch_id, :dataset, 'correction', :file_name, :sha256, :file_bytes, :accepted_by,
    clock_timestamp()
);

-- name: insert
-- A repair, before its batch is loaded.
insert into dq.repair (dataset, batch_id, records, reason, recipe_id, operation, made_by)
values (
    :dataset, :batch_id, :records, :reason, cast(:recipe_id as bigint), cast(:operation as text),
    :made_by
)
returning repair_id;

-- name: insert_records
-- The edited records, in the order of their positions.
insert into dq.repaired_record (repair_id, position, source_batch_id, source_position, record)
select :repair_id, e.position, q.batch_id, q.position, e.record
from unnest(cast(:items as bigint []), cast(:records as text [])) with ordinality
as e (quarantine_id, record, position)
join dq.quarantine as q on q.quarantine_id = e.quarantine_id;

-- name: mark_items
-- The items wait for their repair to be loaded.
with marked as (
    update dq.quarantine
    set repair_id = :repair_id, version = version + 1, updated_at = clock_timestamp()
    where quarantine_id = any(:items)
    returning quarantine_id, status
)

insert into dq.triage_event (quarantine_id, actor, action, from_status, to_status, note, repair_id)
select quarantine_id, :actor, 'repair', status, status, :reason, :repair_id
from marked
order by quarantine_id;

-- name: records
-- The edited records of a batch, in order of position.
select e.record
from dq.repair as p
join dq.repaired_record as e on e.repair_id = p.repair_id
where p.batch_id = :batch_id
order by e.position;

-- name: settle_fixed
-- Items whose repaired record is valid are fixed by it.
with target as (
    select
        q.quarantine_id, q.status, p.repair_id, p.batch_id, p.made_by, p.reason,
        e.position
    from dq.repair as p
    join dq.repaired_record as e on e.repair_id = p.repair_id
    join dq.quarantine as q
        on q.batch_id = e.source_batch_id and q.position = e.source_position
    where
        p.batch_id = any(:batches)
        and p.reverted_at is null
        and q.status = any(dq.unfinished())
        and not exists (
            select from dq.quarantine as c
            where c.batch_id = p.batch_id and c.position = e.position
        )
),

fixed as (
    update dq.quarantine as q
    set
        status = 'fixed', snoozed_until = null, note = t.reason,
        closed_batch_id = t.batch_id, closed_position = t.position,
        version = q.version + 1, updated_at = clock_timestamp()
    from target as t
    where q.quarantine_id = t.quarantine_id
)

insert into dq.triage_event (quarantine_id, actor, action, from_status, to_status, note, repair_id)
select quarantine_id, made_by, 'fix', status, 'fixed', reason, repair_id
from target
order by quarantine_id;

-- name: settle_copies
-- A repaired record that is still invalid is no new item: the one it was made from stays open.
with target as (
    select
        c.quarantine_id as copy_id, q.quarantine_id, q.status, q.batch_id, q.position,
        c.dq_errors, p.repair_id
    from dq.repair as p
    join dq.repaired_record as e on e.repair_id = p.repair_id
    join dq.quarantine as c on c.batch_id = p.batch_id and c.position = e.position
    join dq.quarantine as q
        on q.batch_id = e.source_batch_id and q.position = e.source_position
    where p.batch_id = any(:batches) and c.status = 'open'
),

closed as (
    update dq.quarantine as c
    set
        status = 'superseded', closed_batch_id = t.batch_id, closed_position = t.position,
        note = 'The repaired copy of item ' || t.quarantine_id || ', which stays open',
        version = c.version + 1, updated_at = clock_timestamp()
    from target as t
    where c.quarantine_id = t.copy_id
)

insert into dq.triage_event (quarantine_id, actor, action, from_status, to_status, note, repair_id)
select quarantine_id, 'engine', 'still_invalid', status, status, dq_errors, repair_id
from target
order by quarantine_id;

-- name: reopen_unfounded
-- Judged again, the records that closed these items are invalid themselves.
with target as (
    select q.quarantine_id, q.status, q.repair_id
    from dq.quarantine as q
    join dq.quarantine as c
        on c.batch_id = q.closed_batch_id and c.position = q.closed_position
    where
        q.closed_batch_id = any(:batches)
        and q.status in ('fixed', 'superseded')
        and not exists (
            select
            from dq.repair as p
            join dq.repaired_record as e on e.repair_id = p.repair_id
            where p.batch_id = q.batch_id and e.position = q.position
        )
),

opened as (
    update dq.quarantine as q
    set
        status = 'open', closed_batch_id = null, closed_position = null,
        version = q.version + 1, updated_at = clock_timestamp()
    from target as t
    where q.quarantine_id = t.quarantine_id
)

insert into dq.triage_event (quarantine_id, actor, action, from_status, to_status, note, repair_id)
select
    quarantine_id, 'engine', 'reopen', status, 'open',
    'The record that closed it is invalid by the rules of now', repair_id
from target
order by quarantine_id;

-- name: one
-- One repair with its batch and its runs.
select
    p.repair_id, p.dataset, p.batch_id, p.records, p.reason, p.recipe_id, p.operation, p.made_by,
    p.made_at, p.revert_run_id, p.reverted_by, p.reverted_at, p.revert_reason,
    b.status as batch_status, b.run_id, b.valid_records, b.invalid_records, b.inserted_rows,
    b.updated_rows, b.unchanged_rows
from dq.repair as p
join etl.batch as b on b.batch_id = p.batch_id
where p.repair_id = :repair_id;

-- name: history
-- Repairs, newest first.
select
    p.repair_id, p.dataset, p.batch_id, p.records, p.reason, p.operation, p.made_by, p.made_at,
    p.revert_run_id, p.reverted_by, p.reverted_at, p.revert_reason, b.status as batch_status,
    b.run_id
from dq.repair as p
join etl.batch as b on b.batch_id = p.batch_id
where cast(:dataset as text) is null or p.dataset = :dataset
order by p.repair_id desc
limit :limit offset :offset;

-- name: count
-- How many repairs there are.
select count(*) from dq.repair
where cast(:dataset as text) is null or dataset = :dataset;

-- name: of_item
-- The repairs of a queue item with its record after each, oldest first.
select
    p.repair_id, p.made_by, p.made_at, p.reason, p.operation, p.reverted_at, p.reverted_by,
    p.revert_reason, e.record, e.position, b.batch_id, b.status as batch_status, b.run_id
from dq.repaired_record as e
join dq.repair as p on p.repair_id = e.repair_id
join etl.batch as b on b.batch_id = p.batch_id
where e.source_batch_id = :batch_id and e.source_position = :position
order by p.repair_id;

-- name: hold
-- A repair that shall be taken back, held for the transaction.
select p.repair_id, p.dataset, p.batch_id, p.reverted_at, p.revert_run_id, b.status as batch_status
from dq.repair as p
join etl.batch as b on b.batch_id = p.batch_id
where p.repair_id = :repair_id
for update of p;

-- name: ask_revert
-- The repair waits for the run that takes it back.
update dq.repair
set revert_run_id = :run_id, reverted_by = :actor, revert_reason = :reason
where repair_id = :repair_id;

-- name: revert
-- The repairs are taken back: silver is no longer made of their batches, and their items are open.
with reverted as (
    update dq.repair
    set reverted_at = clock_timestamp(), revert_run_id = :run_id
    where batch_id = any(:batches) and reverted_at is null
    returning repair_id, batch_id, reverted_by, revert_reason
),

batch as (
    update etl.batch as b
    set
        reverted_at = clock_timestamp(), reason_code = 'reverted',
        reason = 'taken back: ' || r.revert_reason
    from reverted as r
    where b.batch_id = r.batch_id
),

target as (
    select
        q.quarantine_id, q.status, r.repair_id, r.reverted_by, r.revert_reason
    from dq.quarantine as q
    join reverted as r on r.batch_id = q.closed_batch_id
    where q.status in ('fixed', 'superseded')
),

opened as (
    update dq.quarantine as q
    set
        status = 'open', closed_batch_id = null, closed_position = null, repair_id = null,
        version = q.version + 1, updated_at = clock_timestamp()
    from target as t
    where q.quarantine_id = t.quarantine_id
)

insert into dq.triage_event (quarantine_id, actor, action, from_status, to_status, note, repair_id)
select
    quarantine_id, coalesce(reverted_by, 'engine'), 'revert', status, 'open', revert_reason,
    repair_id
from target
order by quarantine_id;

-- name: run_of_preview
-- A run that is rolled back with everything it does.
insert into etl.run (dataset, status, trigger, requested_by)
values (:dataset, 'queued', 'repair', :actor)
returning run_id;

-- name: still_invalid
-- The records of a batch that stand in the queue, by position.
select position, dq_errors from dq.quarantine where batch_id = :batch_id order by position;
