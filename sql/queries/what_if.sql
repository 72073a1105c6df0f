-- name: ask
-- Somebody wants to know what rules would do.
insert into dq.prediction (dataset, rules, rule_set, first_day, last_day, requested_by)
values (
    :dataset, cast(:rules as jsonb), :rule_set, cast(:first_day as date), cast(:last_day as date),
    :requested_by
)
returning prediction_id;

-- name: give_to_run
-- The run that works the prediction out.
update dq.prediction set run_id = :run_id where prediction_id = :prediction_id;

-- name: waiting_like
-- A prediction of the same that waits; ask under claim_lock, so that no worker takes it meanwhile.
select p.prediction_id, p.run_id
from dq.prediction as p
join etl.run as r on r.run_id = p.run_id
where
    p.dataset = :dataset
    and p.rule_set = :rule_set
    and p.first_day is not distinct from cast(:first_day as date)
    and p.last_day is not distinct from cast(:last_day as date)
    and r.status = 'queued'
order by p.prediction_id
limit 1;

-- name: asked
-- What a prediction is about.
select prediction_id, dataset, rules, rule_set, first_day, last_day
from dq.prediction
where prediction_id = :prediction_id;

-- name: one
-- One prediction with its run. It is outdated once gold has another version, or a later run judged.
select
    p.prediction_id, p.dataset, p.rule_set, p.first_day, p.last_day, p.data_version,
    p.requested_by, p.requested_at, p.run_id, p.result, p.ended_at, r.status, r.reason,
    coalesce(
        p.data_version <> d.data_version
        or exists (
            select from etl.run as later
            where
                later.dataset = p.dataset
                and later.rule_set is not null
                and later.ended_at > p.ended_at
        ),
        false
    ) as is_outdated
from dq.prediction as p
join etl.dataset as d on d.dataset = p.dataset
left join etl.run as r on r.run_id = p.run_id
where p.prediction_id = :prediction_id;

-- name: newest
-- The newest prediction of a feed.
select max(prediction_id) from dq.prediction where dataset = :dataset;

-- name: verdicts
-- What the batches hold by the rules that judged them last.
select
    coalesce(sum(records), 0)::bigint as records,
    coalesce(sum(valid_records), 0)::bigint as valid,
    coalesce(sum(invalid_records), 0)::bigint as invalid,
    coalesce(sum(superseded_records), 0)::bigint as superseded
from etl.batch
where batch_id = any(:batches);

-- name: superseded
-- Valid records that a later one of their key and batch would replace.
select count(*) from earlier;

-- name: turned
-- Records that the rules would catch, release, or keep invalid for other reasons.
select
    count(*) filter (where q.position is null) as caught,
    count(*) filter (where r.position is null) as released,
    count(*) filter (where q.dq_errors <> r.dq_errors) as other_reasons
from refused as r
full join (
    select batch_id, position, dq_errors from dq.quarantine where batch_id = any(:batches)
) as q on q.batch_id = r.batch_id and q.position = r.position;

-- name: caught_samples
-- Some of the records that the rules would catch, of as many reasons as possible.
select c.batch_id, c.position, b.file_name, c.record_key as key, c.dq_errors as reasons
from (
    select
        r.batch_id, r.position, r.record_key, r.dq_errors,
        row_number() over (
            partition by r.dq_errors order by r.batch_id desc, r.position
        ) as turn
    from refused as r
    where not exists (
        select from dq.quarantine as q where q.batch_id = r.batch_id and q.position = r.position
    )
) as c
join etl.batch as b on b.batch_id = c.batch_id
order by c.turn, c.batch_id desc, c.position
limit :limit;

-- name: released_samples
-- Some of the records that the rules would release, of as many reasons as possible.
select c.batch_id, c.position, b.file_name, c.record_key as key, c.dq_errors as reasons
from (
    select
        q.batch_id, q.position, q.record_key, q.dq_errors,
        row_number() over (
            partition by q.dq_errors order by q.batch_id desc, q.position
        ) as turn
    from dq.quarantine as q
    where
        q.batch_id = any(:batches)
        and not exists (
            select from refused as r where r.batch_id = q.batch_id and r.position = q.position
        )
) as c
join etl.batch as b on b.batch_id = c.batch_id
order by c.turn, c.batch_id desc, c.position
limit :limit;

-- name: fired
-- How often each rule fired in the loaded batches of a feed, and in those that are judged.
select
    r.code, r.message,
    coalesce(sum(c.records), 0)::bigint as records,
    coalesce(sum(c.records) filter (where c.batch_id = any(:batches)), 0)::bigint as judged_records
from dq.rule as r
left join dq.rule_count as c on c.rule_id = r.rule_id and c.batch_id = any(:loaded)
where r.dataset = :dataset
group by r.rule_id, r.code, r.message, r.ordinal
order by r.ordinal, r.rule_id;

-- name: predicted
-- The prediction is worked out.
update dq.prediction as p
set result = cast(:result as jsonb), data_version = d.data_version, ended_at = clock_timestamp()
from etl.dataset as d
where p.prediction_id = :prediction_id and d.dataset = p.dataset;

-- name: finish
-- A run that predicts ends; it read, wrote and balanced nothing.
update etl.run
set
    status = 'succeeded', ended_at = clock_timestamp(), reason_code = 'prediction', reason = :reason
where run_id = :run_id;

-- name: items
-- Which of these places stand in the queue of invalid records.
select q.batch_id, q.position, q.quarantine_id
from json_to_recordset(cast(:places as json)) as p (batch_id bigint, position integer)
join dq.quarantine as q on q.batch_id = p.batch_id and q.position = p.position;
