-- name: now
-- The clock that every process shares.
select clock_timestamp();

-- name: try_lock
-- One process evaluates at a time; the others leave it to that one.
select pg_try_advisory_xact_lock(7263003);

-- name: watched
-- The rules to evaluate.
select
    alert_rule_id, kind, dataset, threshold::float as threshold, severity, cooldown_seconds,
    coalesce(muted_until > cast(:now as timestamptz), false) as is_muted
from etl.alert_rule
where enabled and removed_at is null
order by alert_rule_id;

-- name: still_open
-- The open incidents.
select incident_id, alert_rule_id, subject, dataset from etl.incident
where resolved_at is null
order by incident_id;

-- name: open
-- An incident begins; no row while one of the same rule and subject is open, or was until a short
-- time ago (cooldown).
insert into etl.incident (alert_rule_id, subject, dataset, run_id, message, opened_at)
select
    cast(:alert_rule_id as bigint), cast(:subject as text), cast(:dataset as text),
    cast(:run_id as bigint), cast(:message as text), cast(:now as timestamptz)
where
    not exists (
        select from etl.incident
        where
            alert_rule_id = :alert_rule_id
            and subject = :subject
            and resolved_at
            > cast(:now as timestamptz) - make_interval(secs => cast(:cooldown_seconds as float))
    )
on conflict (alert_rule_id, subject) where resolved_at is null do nothing
returning incident_id;

-- name: tell_fire
-- The message that an incident began, one a channel.
insert into etl.delivery (incident_id, channel_id, event, status, next_attempt_at)
select
    cast(:incident_id as bigint), channel_id, 'fire',
    case when cast(:is_muted as boolean) then 'skipped' else 'waiting' end, cast(:now as timestamptz)
from etl.alert_channel
where enabled and removed_at is null;

-- name: resolve
-- An incident ends.
update etl.incident
set resolved_at = greatest(cast(:now as timestamptz), opened_at), resolved_because = :because
where incident_id = :incident_id and resolved_at is null;

-- name: tell_resolve
-- The message that an incident ended, only where its begin was told or still will be.
insert into etl.delivery (incident_id, channel_id, event, next_attempt_at)
select f.incident_id, f.channel_id, 'resolve', cast(:now as timestamptz)
from etl.delivery as f
inner join etl.alert_channel as c on c.channel_id = f.channel_id
where
    f.incident_id = :incident_id
    and f.event = 'fire'
    and f.status in ('waiting', 'sent')
    and c.enabled
    and c.removed_at is null
on conflict do nothing;

-- name: claim_delivery
-- Take the next message that is due. It is counted and moved behind a lease before it is sent, so that no
-- two senders send the same; a resolve waits for its fire, and a muted rule for the end of its silence.
with moment as (
    select coalesce(cast(:now as timestamptz), clock_timestamp()) as at
),

next as (
    select d.incident_id, d.channel_id, d.event
    from etl.delivery as d
    inner join moment as m on true
    inner join etl.incident as i on i.incident_id = d.incident_id
    inner join etl.alert_rule as r on r.alert_rule_id = i.alert_rule_id
    inner join etl.alert_channel as c on c.channel_id = d.channel_id
    where
        d.status = 'waiting'
        and d.next_attempt_at <= m.at
        and c.enabled
        and c.removed_at is null
        and (r.muted_until is null or r.muted_until <= m.at)
        and d.channel_id <> all(cast(:without as bigint[]))
        and not (
            d.event = 'resolve'
            and exists (
                select from etl.delivery as f
                where
                    f.incident_id = d.incident_id
                    and f.channel_id = d.channel_id
                    and f.event = 'fire'
                    and f.status = 'waiting'
            )
        )
    order by d.incident_id, d.event, d.channel_id
    limit 1
    for update of d skip locked
)

update etl.delivery as d
set
    attempts = d.attempts + 1,
    next_attempt_at = m.at + make_interval(secs => cast(:lease_seconds as float))
from next, moment as m, etl.incident as i, etl.alert_rule as r, etl.alert_channel as c
where
    d.incident_id = next.incident_id
    and d.channel_id = next.channel_id
    and d.event = next.event
    and i.incident_id = d.incident_id
    and r.alert_rule_id = i.alert_rule_id
    and c.channel_id = d.channel_id
returning
    d.incident_id, d.channel_id, d.event, d.attempts, c.address, i.subject, i.dataset, i.run_id,
    i.message, i.opened_at, i.resolved_at, i.resolved_because, r.kind, r.severity;

-- name: delivery_arrived
-- The message arrived.
update etl.delivery
set
    status = 'sent', error = null,
    sent_at = coalesce(cast(:now as timestamptz), clock_timestamp())
where
    incident_id = :incident_id and channel_id = :channel_id and event = :event and status = 'waiting';

-- name: delivery_failed
-- The message did not arrive: it is tried again later, or given up once it is too old.
update etl.delivery as d
set
    error = :error,
    status = case
        when
            coalesce(cast(:now as timestamptz), clock_timestamp())
            > case when d.event = 'fire' then i.opened_at else i.resolved_at end
            + make_interval(secs => cast(:give_up_seconds as float)) then 'skipped'
        else 'waiting'
    end,
    next_attempt_at = coalesce(cast(:now as timestamptz), clock_timestamp())
    + make_interval(secs => cast(:pause_seconds as float))
from etl.incident as i
where
    d.incident_id = :incident_id
    and d.channel_id = :channel_id
    and d.event = :event
    and d.status = 'waiting'
    and d.attempts = :attempts
    and i.incident_id = d.incident_id
returning d.status;

-- name: skip_resolve
-- A fire was given up: its resolve would tell of something that nobody heard of.
update etl.delivery
set status = 'skipped'
where
    incident_id = :incident_id
    and channel_id = :channel_id
    and event = 'resolve'
    and status = 'waiting';

-- name: channel_works
-- A message arrived at the channel.
update etl.alert_channel
set
    last_success_at = coalesce(cast(:now as timestamptz), clock_timestamp()), last_error = null
where channel_id = :channel_id;

-- name: channel_fails
-- A message did not arrive at the channel.
update etl.alert_channel
set
    last_failure_at = coalesce(cast(:now as timestamptz), clock_timestamp()), last_error = :error
where channel_id = :channel_id;

-- name: failing_channels
-- Channels whose last message did not arrive.
select channel_id, name, last_failure_at, last_success_at, last_error
from etl.alert_channel
where last_error is not null and enabled and removed_at is null
order by name;

-- name: channels
-- Every channel in use, with what waits for it.
select
    c.channel_id, c.name, c.address, c.enabled, c.last_success_at, c.last_failure_at, c.last_error,
    c.updated_at, c.updated_by,
    (
        select count(*) from etl.delivery as d
        where d.channel_id = c.channel_id and d.status = 'waiting'
    ) as waiting
from etl.alert_channel as c
where c.removed_at is null
order by lower(c.name);

-- name: channel
-- One channel in use.
select channel_id, name, address, enabled
from etl.alert_channel
where channel_id = :channel_id and removed_at is null;

-- name: channel_named
-- Whether another channel has this name.
select channel_id from etl.alert_channel
where name = :name and channel_id is distinct from cast(:channel_id as bigint);

-- name: add_channel
-- A new channel.
insert into etl.alert_channel (name, address, updated_by)
values (:name, :address, :actor)
on conflict (name) do nothing
returning channel_id;

-- name: change_channel
-- A channel changes; a new address has not failed yet.
update etl.alert_channel
set
    name = :name,
    address = :address,
    enabled = :enabled,
    last_error = case when address = :address then last_error end,
    updated_at = clock_timestamp(),
    updated_by = :actor
where channel_id = :channel_id and removed_at is null
returning channel_id;

-- name: remove_channel
-- A channel goes: its secret is forgotten, its name is free again, its history stays.
update etl.alert_channel
set
    removed_at = clock_timestamp(),
    name = left(name, 70) || ' (removed ' || channel_id || ')',
    address = 'removed',
    enabled = false,
    last_error = null,
    updated_at = clock_timestamp(),
    updated_by = :actor
where channel_id = :channel_id and removed_at is null
returning channel_id;

-- name: skip_waiting
-- Nothing more is sent to a channel that was switched off or removed.
update etl.delivery set status = 'skipped'
where channel_id = :channel_id and status = 'waiting';

-- name: rules
-- Every rule in use, with its open incidents.
select
    r.alert_rule_id, r.kind, r.dataset, r.threshold::float as threshold, r.severity,
    r.cooldown_seconds, r.enabled, r.updated_at, r.updated_by,
    case when r.muted_until > clock_timestamp() then r.muted_until end as muted_until,
    (
        select count(*) from etl.incident as i
        where i.alert_rule_id = r.alert_rule_id and i.resolved_at is null
    ) as open_incidents
from etl.alert_rule as r
where r.removed_at is null
order by r.alert_rule_id;

-- name: rule
-- One rule in use.
select
    alert_rule_id, kind, dataset, threshold::float as threshold, severity, cooldown_seconds, enabled,
    muted_until
from etl.alert_rule
where alert_rule_id = :alert_rule_id and removed_at is null;

-- name: add_rule
-- A new rule.
insert into etl.alert_rule (kind, dataset, threshold, severity, cooldown_seconds, updated_by)
values (
    :kind, cast(:dataset as text), cast(:threshold as numeric), :severity, :cooldown_seconds, :actor
)
returning alert_rule_id;

-- name: change_rule
-- A rule changes.
update etl.alert_rule
set
    dataset = cast(:dataset as text),
    threshold = cast(:threshold as numeric),
    severity = :severity,
    cooldown_seconds = :cooldown_seconds,
    enabled = :enabled,
    updated_at = clock_timestamp(),
    updated_by = :actor
where alert_rule_id = :alert_rule_id and removed_at is null
returning alert_rule_id;

-- name: mute_rule
-- Nothing is sent for the rule before this moment; NULL: it is sent again.
update etl.alert_rule
set
    muted_until = cast(:until as timestamptz), updated_at = clock_timestamp(), updated_by = :actor
where alert_rule_id = :alert_rule_id and removed_at is null
returning alert_rule_id;

-- name: remove_rule
-- A rule goes; its incidents stay, and what is open ends at the next evaluation.
update etl.alert_rule
set removed_at = clock_timestamp(), updated_at = clock_timestamp(), updated_by = :actor
where alert_rule_id = :alert_rule_id and removed_at is null
returning alert_rule_id;

-- name: count
-- How many incidents the filters of `history` find.
select count(*)
from etl.incident as i
inner join etl.alert_rule as r on r.alert_rule_id = i.alert_rule_id
where
    (cast(:dataset as text) is null or i.dataset = :dataset)
    and (cast(:kind as text) is null or r.kind = :kind)
    and (cast(:state as text) is null or (i.resolved_at is null) = (:state = 'firing'));

-- name: history
-- Incidents, newest first, with what became of their messages.
select
    i.incident_id, case when i.resolved_at is null then 'firing' else 'resolved' end as state,
    r.kind, r.severity, i.subject, i.dataset, i.run_id, i.message, i.opened_at, i.resolved_at,
    i.resolved_because,
    extract(epoch from coalesce(i.resolved_at, clock_timestamp()) - i.opened_at)::float as seconds,
    told.sent, told.waiting, told.skipped
from etl.incident as i
inner join etl.alert_rule as r on r.alert_rule_id = i.alert_rule_id
left join lateral (
    select
        count(*) filter (where d.status = 'sent') as sent,
        count(*) filter (where d.status = 'waiting') as waiting,
        count(*) filter (where d.status = 'skipped') as skipped
    from etl.delivery as d
    where d.incident_id = i.incident_id
) as told on true
where
    (cast(:dataset as text) is null or i.dataset = :dataset)
    and (cast(:kind as text) is null or r.kind = :kind)
    and (cast(:state as text) is null or (i.resolved_at is null) = (:state = 'firing'))
order by i.opened_at desc, i.incident_id desc
limit :limit offset :offset;
