-- name: queue
-- Invalid records, oldest first, with their file.
select
    q.quarantine_id, q.dataset, q.batch_id, q.position, q.record_key, q.dq_errors, q.status,
    q.assigned_to, q.note, q.created_at, q.updated_at, b.file_name
from dq.quarantine as q
join etl.batch as b on b.batch_id = q.batch_id
where
    (cast(:dataset as text) is null or q.dataset = :dataset)
    and (cast(:status as text) is null or q.status = :status)
    and (
        cast(:rule_id as bigint) is null
        or exists (
            select from dq.violation as v
            where v.batch_id = q.batch_id and v.position = q.position and v.rule_id = :rule_id
        )
    )
    and (cast(:search as text) is null or q.record_key = :search)
order by q.quarantine_id
limit :limit offset :offset;

-- name: count
-- How many records the same filters find.
select count(*)
from dq.quarantine as q
where
    (cast(:dataset as text) is null or q.dataset = :dataset)
    and (cast(:status as text) is null or q.status = :status)
    and (
        cast(:rule_id as bigint) is null
        or exists (
            select from dq.violation as v
            where v.batch_id = q.batch_id and v.position = q.position and v.rule_id = :rule_id
        )
    )
    and (cast(:search as text) is null or q.record_key = :search);

-- name: by_rule
-- Open invalid records by the rule they break; a record may break several.
select r.rule_id, r.dataset, r.column_name, r.message, count(*) as records
from dq.quarantine as q
join dq.violation as v
    on v.batch_id = q.batch_id and v.position = q.position and v.severity = 'reject'
join dq.rule as r on r.rule_id = v.rule_id
where
    q.status in ('open', 'assigned')
    and (cast(:dataset as text) is null or q.dataset = :dataset)
group by r.rule_id, r.dataset, r.column_name, r.message
order by records desc, r.rule_id;

-- name: one
-- One invalid record with its file.
select q.*, b.file_name, b.accepted_at, b.run_id
from dq.quarantine as q
join etl.batch as b on b.batch_id = q.batch_id
where q.quarantine_id = :quarantine_id;

-- name: violations
-- The rules that a record breaks, in the order of their messages.
select
    r.rule_id, r.code, r.column_name, r.kind, r.parameters, r.message, v.rule_version, v.severity
from dq.violation as v
join dq.rule as r on r.rule_id = v.rule_id
where v.batch_id = :batch_id and v.position = :position
order by r.ordinal;

-- name: page
-- Invalid records, newest first, with their file.
select
    q.quarantine_id, q.dataset, q.batch_id, q.position, q.record_key, q.dq_errors, q.status,
    q.created_at, b.file_name
from dq.quarantine as q
join etl.batch as b on b.batch_id = q.batch_id
where
    (cast(:dataset as text) is null or q.dataset = :dataset)
    and (cast(:status as text) is null or q.status = :status)
    and (
        cast(:run_id as bigint) is null
        or q.batch_id in (select b.batch_id from etl.batch as b where b.run_id = :run_id)
    )
    and (
        cast(:rule_id as bigint) is null
        or exists (
            select from dq.violation as v
            where v.batch_id = q.batch_id and v.position = q.position and v.rule_id = :rule_id
        )
    )
    and (
        cast(:search as text) is null
        or position(lower(:search) in lower(q.record_key)) > 0
    )
order by q.quarantine_id desc
limit :limit offset :offset;

-- name: count_up_to
-- How many records the filters of `page` find, counted no further than a limit.
select count(*) from (
    select from dq.quarantine as q
    where
        (cast(:dataset as text) is null or q.dataset = :dataset)
        and (cast(:status as text) is null or q.status = :status)
        and (
        cast(:run_id as bigint) is null
        or q.batch_id in (select b.batch_id from etl.batch as b where b.run_id = :run_id)
    )
        and (
            cast(:rule_id as bigint) is null
            or exists (
                select from dq.violation as v
                where
                    v.batch_id = q.batch_id and v.position = q.position and v.rule_id = :rule_id
            )
        )
        and (
            cast(:search as text) is null
            or position(lower(:search) in lower(q.record_key)) > 0
        )
    limit :limit
) as found;

-- name: ids
-- Which records the filters of `page` find.
select q.quarantine_id
from dq.quarantine as q
where
    (cast(:dataset as text) is null or q.dataset = :dataset)
    and (cast(:status as text) is null or q.status = :status)
    and (
        cast(:run_id as bigint) is null
        or q.batch_id in (select b.batch_id from etl.batch as b where b.run_id = :run_id)
    )
    and (
        cast(:rule_id as bigint) is null
        or exists (
            select from dq.violation as v
            where v.batch_id = q.batch_id and v.position = q.position and v.rule_id = :rule_id
        )
    )
    and (
        cast(:search as text) is null
        or position(lower(:search) in lower(q.record_key)) > 0
    );

-- name: neighbours
-- The records before and after one, in the order of `page`.
select
    (
        select min(quarantine_id) from dq.quarantine
        where quarantine_id > :quarantine_id and status = :status
    ) as newer,
    (
        select max(quarantine_id) from dq.quarantine
        where quarantine_id < :quarantine_id and status = :status
    ) as older;

-- name: items
-- Queue items by their number.
select quarantine_id, dataset, batch_id, position, status, version
from dq.quarantine
where quarantine_id = any(:ids);
