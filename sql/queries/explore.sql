-- What Explore reads besides the queries that it composes from the metric catalogue.

-- name: limit_time
-- Let no statement of this transaction take longer.
select set_config('statement_timeout', cast(cast(:milliseconds as integer) as text), true);
