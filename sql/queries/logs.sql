-- name: write
-- One line; a log line may be lost in a crash of the server, a record may not.
with quick as (select set_config('synchronous_commit', 'off', true))

insert into etl.log (level, dataset, run_id, step, batch_id, message, context)
select
    :level, :dataset, cast(:run_id as bigint), :step, cast(:batch_id as bigint), :message,
    cast(:context as jsonb)
from quick;

-- name: of_run
-- The newest lines of a run, oldest first.
select * from (
    select log_id, at, level, step, batch_id, message, context
    from etl.log
    where run_id = :run_id
    order by log_id desc
    limit :limit
) as newest
order by log_id;

-- name: lines
-- The newest lines of a run at these levels, oldest first.
select * from (
    select log_id, at, level, step, batch_id, message
    from etl.log
    where run_id = :run_id and level = any(:levels)
    order by log_id desc
    limit :limit
) as newest
order by log_id;

-- name: count
-- How many lines of a run there are at these levels.
select count(*) from etl.log where run_id = :run_id and level = any(:levels);

-- name: delete_old
-- Some of the lines that are older than so many days; another worker may delete others meanwhile.
delete from etl.log
where
    log_id in (
        select log_id from etl.log
        where at < clock_timestamp() - make_interval(days => :days)
        order by at, log_id
        limit :limit
        for update skip locked
    );

-- name: older
-- Lines that the filters find between two lines, newest first.
select
    log_id, at, level, dataset, run_id, step, batch_id, message, context
from etl.log
where
    log_id > :after and log_id < :before
    and (cast(:words as text) is null
        or to_tsvector('simple', message)
        @@ (
            websearch_to_tsquery('simple', :words)
            && (to_tsquery('simple', :prefix) || cast(:prefix as tsquery))
        ))
    and (cast(:level as text) is null or level = :level)
    and (cast(:run_id as bigint) is null or run_id = :run_id)
    and (cast(:dataset as text) is null or dataset = :dataset)
    and (cast(:step as text) is null or step = :step)
    and (cast(:since as timestamptz) is null or at >= :since)
    and (cast(:until as timestamptz) is null or at < :until)
order by log_id desc
limit :limit;

-- name: newer
-- Lines that the filters find between two lines, oldest first.
select
    log_id, at, level, dataset, run_id, step, batch_id, message, context
from etl.log
where
    log_id > :after and log_id < :before
    and (cast(:words as text) is null
        or to_tsvector('simple', message)
        @@ (
            websearch_to_tsquery('simple', :words)
            && (to_tsquery('simple', :prefix) || cast(:prefix as tsquery))
        ))
    and (cast(:level as text) is null or level = :level)
    and (cast(:run_id as bigint) is null or run_id = :run_id)
    and (cast(:dataset as text) is null or dataset = :dataset)
    and (cast(:step as text) is null or step = :step)
    and (cast(:since as timestamptz) is null or at >= :since)
    and (cast(:until as timestamptz) is null or at < :until)
order by log_id
limit :limit;

-- name: count_up_to
-- How many lines the filters find above a line, counted no further than the limit.
select count(*) from (
    select log_id from etl.log
    where
        log_id > :after
        and (cast(:words as text) is null
            or to_tsvector('simple', message)
            @@ (
            websearch_to_tsquery('simple', :words)
            && (to_tsquery('simple', :prefix) || cast(:prefix as tsquery))
        ))
        and (cast(:level as text) is null or level = :level)
        and (cast(:run_id as bigint) is null or run_id = :run_id)
        and (cast(:dataset as text) is null or dataset = :dataset)
        and (cast(:step as text) is null or step = :step)
        and (cast(:since as timestamptz) is null or at >= :since)
        and (cast(:until as timestamptz) is null or at < :until)
    limit :limit
) as found;

-- name: newest_id
-- The newest line.
select coalesce(max(log_id), 0) from etl.log;

-- name: line
-- One line, whole.
select
    log_id, at, level, dataset, run_id, step, batch_id, message, context
from etl.log
where log_id = :log_id;

-- name: has_words
-- Whether there is anything to look for in what was typed: punctuation alone is nothing.
select
    numnode(websearch_to_tsquery('simple', :words) && cast(:prefix as tsquery)) > 0;

-- name: plan_by_words
-- In this transaction the server reads by indexes that it can intersect: not line by line, and not
-- in the order of an index whose every line it would have to take apart into words.
select
    set_config('enable_seqscan', 'off', true),
    set_config('enable_indexscan', 'off', true),
    set_config('jit', 'off', true),
    set_config('work_mem', '32MB', true);

-- name: plan_as_usual
-- In this transaction the server reads again as it thinks best.
select
    set_config('enable_seqscan', 'on', true),
    set_config('enable_indexscan', 'on', true);
