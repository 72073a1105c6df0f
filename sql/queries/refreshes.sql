-- Refreshes of the Power BI dataset: wishes, what becomes of them, and what pages show.

-- name: try_lock
-- One process at a time decides what is sent next; the others leave it to that one.
select pg_try_advisory_xact_lock(7263022);

-- name: now
-- The clock that every process shares.
select clock_timestamp();

-- name: ask
-- A wish: for the data version of gold as this transaction sees it.
insert into etl.refresh (
    requested_by, run_id, data_version, form, status, requested_at, next_attempt_at, ended_at, error,
    would_send
)
select
    :requested_by, cast(:run_id as bigint), (select coalesce(sum(data_version), 0) from etl.dataset),
    :form, cast(:status as text), m.at, m.at,
    case when cast(:status as text) <> 'waiting' then m.at end, cast(:error as text),
    cast(:would_send as jsonb)
from (select coalesce(cast(:now as timestamptz), clock_timestamp()) as at) as m
returning refresh_id;

-- name: claim_running
-- Take the refresh at the service whose end is to be looked for, behind a lease.
update etl.refresh
set
    attempts = attempts + 1,
    next_attempt_at = cast(:now as timestamptz) + make_interval(secs => cast(:lease_seconds as float))
where
    refresh_id = (
        select refresh_id from etl.refresh
        where status = 'running' and next_attempt_at <= cast(:now as timestamptz)
        order by refresh_id
        limit 1
    )
returning
    refresh_id, status, attempts, form, requested_at, started_at, workspace_id, powerbi_dataset_id,
    request_id;

-- name: is_due
-- Whether a request may be sent now: one waits, none is held back, and none runs at the dataset.
select
    exists (select from etl.refresh where status = 'waiting')
    and not exists (
        select from etl.refresh
        where status = 'waiting' and next_attempt_at > cast(:now as timestamptz)
    )
    and not exists (
        select from etl.refresh
        where status = 'running' and powerbi_dataset_id = :powerbi_dataset_id
    );

-- name: allowed_at
-- When one more request fits into the limit of 24 hours again; no row while it fits now.
select started_at + interval '24 hours'
from etl.refresh
where
    powerbi_dataset_id = :powerbi_dataset_id
    and started_at > cast(:now as timestamptz) - interval '24 hours'
order by started_at desc
limit 1 offset cast(:most as integer) - 1;

-- name: hold
-- Nothing is sent before this moment.
update etl.refresh set next_attempt_at = cast(:until as timestamptz), error = :error
where status = 'waiting';

-- name: claim_waiting
-- Take the newest wish, behind a lease; it stands for all that wait, their failed tries included.
update etl.refresh as r
set
    attempts = w.attempts + 1,
    data_version = w.data_version,
    form = :form,
    workspace_id = :workspace_id,
    powerbi_dataset_id = :powerbi_dataset_id,
    next_attempt_at = cast(:now as timestamptz) + make_interval(secs => cast(:lease_seconds as float))
from (
    select max(refresh_id) as refresh_id, max(attempts) as attempts, max(data_version) as data_version
    from etl.refresh
    where status = 'waiting'
) as w
where r.refresh_id = w.refresh_id
returning
    r.refresh_id, r.status, r.attempts, r.form, r.requested_at, r.started_at, r.workspace_id,
    r.powerbi_dataset_id, r.request_id;

-- name: cover
-- The older wishes are served by this one, and so are those that they served.
with older as (
    select refresh_id from etl.refresh where status = 'waiting' and refresh_id < :refresh_id
)

update etl.refresh
set
    status = 'covered',
    covered_by = :refresh_id,
    error = null,
    ended_at = coalesce(ended_at, cast(:now as timestamptz))
where refresh_id in (select refresh_id from older) or covered_by in (select refresh_id from older);

-- name: accepted
-- The service confirmed it.
update etl.refresh
set
    status = 'running', request_id = :request_id, attempts = 0, error = null,
    started_at = cast(:now as timestamptz),
    next_attempt_at = cast(:now as timestamptz) + make_interval(secs => cast(:pause_seconds as float))
where refresh_id = :refresh_id and status = 'waiting' and attempts = :attempts;

-- name: later
-- It goes on in a while; a try that did not fail leaves the count of those that did.
update etl.refresh
set
    error = :error, attempts = :failed_attempts,
    next_attempt_at = cast(:now as timestamptz) + make_interval(secs => cast(:pause_seconds as float))
where refresh_id = :refresh_id and status = :status and attempts = :attempts;

-- name: ended
-- It came to an end.
update etl.refresh
set status = :outcome, error = :error, attempts = 0, ended_at = cast(:now as timestamptz)
where refresh_id = :refresh_id and status = :status and attempts = :attempts;

-- name: one
-- One refresh; state, moments and error are of what was sent in its place, where it is covered.
select
    r.refresh_id, r.requested_at, r.requested_by, r.run_id, r.data_version, r.form, r.status,
    r.covered_by, coalesce(c.status, r.status) as state, coalesce(c.started_at, r.started_at) as started_at,
    case when r.status = 'covered' then c.ended_at else r.ended_at end as ended_at,
    coalesce(c.error, r.error) as error, coalesce(c.next_attempt_at, r.next_attempt_at) as next_attempt_at,
    coalesce(c.request_id, r.request_id) as request_id, r.would_send
from etl.refresh as r
left join etl.refresh as c on c.refresh_id = r.covered_by
where r.refresh_id = :refresh_id;

-- name: of_run
-- The newest refresh that a run asked for; state, moments and error are of what was sent in its place,
-- where it is covered, or of what holds it back; and the newest that completed since. In seconds.
select
    r.refresh_id, r.requested_at, r.requested_by, r.run_id, r.data_version, r.form, r.status,
    r.covered_by, coalesce(c.status, r.status) as state,
    coalesce(c.started_at, r.started_at) as started_at,
    case when r.status = 'covered' then c.ended_at else r.ended_at end as ended_at,
    extract(
        epoch from
        case when r.status = 'covered' then c.ended_at else r.ended_at end
        - coalesce(c.started_at, r.started_at)
    )::float as seconds,
    case
        when coalesce(c.status, r.status) = 'waiting' then held.error else coalesce(c.error, r.error)
    end as error,
    coalesce(held.next_attempt_at, r.next_attempt_at) as next_attempt_at,
    r.would_send, later.refresh_id as later_id, later.ended_at as later_ended_at
from etl.refresh as r
left join etl.refresh as c on c.refresh_id = r.covered_by
left join lateral (
    select w.next_attempt_at, w.error
    from etl.refresh as w
    where w.status = 'waiting'
    order by w.next_attempt_at desc, w.refresh_id desc
    limit 1
) as held on coalesce(c.status, r.status) = 'waiting'
left join lateral (
    select l.refresh_id, l.ended_at
    from etl.refresh as l
    where
        l.status = 'completed'
        and l.data_version >= r.data_version
        and l.ended_at >= coalesce(c.ended_at, r.ended_at)
    order by l.ended_at desc
    limit 1
) as later on coalesce(c.status, r.status) = 'failed'
where r.run_id = :run_id
order by r.refresh_id desc
limit 1;

-- name: latest
-- The last refresh of a dataset, or of any where none is named, that completed: its data version, and when
-- it ended; durations in seconds.
select
    refresh_id, run_id, data_version, form, powerbi_dataset_id, started_at, ended_at,
    extract(epoch from ended_at - started_at)::float as seconds
from etl.refresh
where
    status = 'completed'
    and (
        cast(:powerbi_dataset_id as text) is null
        or powerbi_dataset_id = cast(:powerbi_dataset_id as text)
    )
order by ended_at desc, refresh_id desc
limit 1;

-- name: newest
-- The newest refresh that was sent or waits to be, whatever became of it.
select
    refresh_id, run_id, data_version, form, status, requested_at, started_at, ended_at,
    next_attempt_at, error
from etl.refresh
where status not in ('covered', 'dry_run')
order by refresh_id desc
limit 1;
