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
