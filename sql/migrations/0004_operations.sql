-- Operations: schedules that can be paused and looked back on, what a run was asked to do again,
-- checks of all layers, freshness limits, alerts, and a searchable log.

-- Schedules ------------------------------------------------------------------------------

alter table etl.schedule
    add column name text not null default '' check (length(name) <= 100),
    add column since timestamptz not null default clock_timestamp(),
    add column made_at timestamptz not null default clock_timestamp(),
    add column made_by text not null default 'unknown',
    add column removed_at timestamptz,
    add column version integer not null default 1;
alter table etl.schedule alter column made_by drop default;
comment on column etl.schedule.name is 'Name shown to operators; empty: its times in words';
comment on column etl.schedule.since is 'Planned times count from here: when it was made, changed or resumed; intervals start here';
comment on column etl.schedule.made_at is 'When it was made';
comment on column etl.schedule.made_by is 'Who made it';
comment on column etl.schedule.removed_at is 'When it was removed; its runs still point to it';
comment on column etl.schedule.version is 'Grows with every change; the optimistic lock of its editors';
create index schedule_in_use on etl.schedule (schedule_id) where removed_at is null;
create index run_by_schedule on etl.run (schedule_id, planned_at desc) where schedule_id is not null;

-- Runs -----------------------------------------------------------------------------------

alter table etl.run
    drop constraint run_trigger_check,
    add constraint run_trigger_check check (
        trigger in ('manual', 'upload', 'schedule', 'command', 'demo', 'watch', 'again', 'reprocess')
    ),
    add column batches bigint[],
    add column again_of bigint references etl.run;
comment on column etl.run.trigger is 'What asked for it: manual, upload, schedule, command, demo, watch (a file appeared), again, reprocess';
comment on column etl.run.batches is 'Only these batches are judged and loaded again from raw; NULL: none, or all where is_full';
comment on column etl.run.again_of is 'Run that this one repeats';
create index run_by_time on etl.run (requested_at desc);

alter table etl.step add column attempted_at timestamptz;
comment on column etl.step.attempted_at is 'Since when done_records grows: the rate is taken from here';

-- Checks ---------------------------------------------------------------------------------

create table etl.expected (
    dataset text not null references etl.dataset,
    layer text not null check (layer in ('silver', 'gold')),
    rows bigint not null default 0,
    primary key (dataset, layer)
);
comment on table etl.expected is 'Rows that loads and promotions left in a layer; kept in their transactions, compared by the check';
comment on column etl.expected.dataset is 'Feed';
comment on column etl.expected.layer is 'silver or gold';
comment on column etl.expected.rows is 'Rows that must be there';
insert into etl.expected (dataset, layer, rows)
select 'sales', 'silver', count(*) from silver.sales
union all
select 'sales', 'gold', count(*) from gold.transactions
union all
select 'customers', 'silver', count(*) from silver.customers
union all
select 'customers', 'gold', count(*) from gold.customers where not is_inferred;

create table etl.finding (
    dataset text not null references etl.dataset,
    leg text not null,
    layer text not null check (layer in ('raw', 'silver', 'gold', 'quarantine')),
    left_side numeric not null,
    right_side numeric not null,
    is_balanced boolean not null generated always as (left_side = right_side) stored,
    detail jsonb not null default '{}',
    checked_at timestamptz not null,
    broken_since timestamptz,
    primary key (dataset, leg),
    check ((broken_since is null) = (left_side = right_side))
);
comment on table etl.finding is 'What the newest check of all layers found: one row a leg';
comment on column etl.finding.dataset is 'Feed';
comment on column etl.finding.leg is 'What was compared, in words';
comment on column etl.finding.layer is 'Layer that is wrong where the leg does not balance';
comment on column etl.finding.left_side is 'What must be there: records, rows or USD';
comment on column etl.finding.right_side is 'What is there';
comment on column etl.finding.is_balanced is 'Whether both are equal';
comment on column etl.finding.detail is 'Batches and counts that do not add up';
comment on column etl.finding.checked_at is 'When it was checked';
comment on column etl.finding.broken_since is 'First check in a row that found it broken';

create table etl.freshness_limit (
    dataset text not null references etl.dataset,
    layer text not null check (layer in ('raw', 'silver', 'gold')),
    late_seconds bigint not null check (late_seconds > 0),
    stale_seconds bigint not null check (stale_seconds >= late_seconds),
    updated_at timestamptz not null default clock_timestamp(),
    updated_by text not null,
    primary key (dataset, layer)
);
comment on table etl.freshness_limit is 'After what age a layer is late or stale; no row: a day and two days';
comment on column etl.freshness_limit.dataset is 'Feed';
comment on column etl.freshness_limit.layer is 'raw, silver or gold';
comment on column etl.freshness_limit.late_seconds is 'Age from which the layer is late, seconds';
comment on column etl.freshness_limit.stale_seconds is 'Age from which the layer is stale, seconds';
comment on column etl.freshness_limit.updated_at is 'Last change';
comment on column etl.freshness_limit.updated_by is 'Who changed it';

create table etl.freshness (
    dataset text not null references etl.dataset,
    layer text not null check (layer in ('raw', 'silver', 'gold')),
    state text not null check (state in ('fresh', 'late', 'stale', 'never_ran')),
    data_at timestamptz,
    judged_at timestamptz not null,
    changed_at timestamptz not null,
    primary key (dataset, layer),
    check ((state = 'never_ran') = (data_at is null))
);
comment on table etl.freshness is 'How fresh each layer is, judged by the worker even when nothing runs';
comment on column etl.freshness.dataset is 'Feed';
comment on column etl.freshness.layer is 'raw, silver or gold';
comment on column etl.freshness.state is 'fresh, late, stale or never_ran';
comment on column etl.freshness.data_at is 'When the layer last took data or was found complete';
comment on column etl.freshness.judged_at is 'When it was judged';
comment on column etl.freshness.changed_at is 'Since when it is in this state';

-- Alerts ---------------------------------------------------------------------------------

create table etl.alert_channel (
    channel_id bigint generated always as identity primary key,
    name text not null unique check (length(name) between 1 and 100),
    address text not null,
    enabled boolean not null default true,
    last_success_at timestamptz,
    last_failure_at timestamptz,
    last_error text,
    updated_at timestamptz not null default clock_timestamp(),
    updated_by text not null,
    removed_at timestamptz
);
comment on table etl.alert_channel is 'Where alerts go';
comment on column etl.alert_channel.channel_id is 'Identity of the channel';
comment on column etl.alert_channel.name is 'Name shown to operators';
comment on column etl.alert_channel.address is 'Apprise address, or env:NAME where it stands in an environment variable; a secret, shown masked';
comment on column etl.alert_channel.enabled is 'false: nothing is sent';
comment on column etl.alert_channel.last_success_at is 'Last message that arrived';
comment on column etl.alert_channel.last_failure_at is 'Last message that failed';
comment on column etl.alert_channel.last_error is 'Why it failed, without secrets; NULL once a message arrived again';
comment on column etl.alert_channel.updated_at is 'Last change';
comment on column etl.alert_channel.updated_by is 'Who changed it';
comment on column etl.alert_channel.removed_at is 'When it was removed';

create table etl.alert_rule (
    alert_rule_id bigint generated always as identity primary key,
    kind text not null check (
        kind in (
            'run_failed', 'run_lost', 'run_too_long', 'invalid_count', 'invalid_rate',
            'unusual_volume', 'not_fresh', 'ledger_broken', 'process_silent'
        )
    ),
    dataset text references etl.dataset,
    threshold numeric check (threshold >= 0),
    severity text not null default 'error' check (severity in ('warning', 'error')),
    cooldown_seconds integer not null default 900 check (cooldown_seconds >= 0),
    muted_until timestamptz,
    enabled boolean not null default true,
    updated_at timestamptz not null default clock_timestamp(),
    updated_by text not null default 'shipped',
    removed_at timestamptz
);
comment on table etl.alert_rule is 'When somebody is told';
comment on column etl.alert_rule.alert_rule_id is 'Identity of the rule';
comment on column etl.alert_rule.kind is 'What is watched, from the closed catalogue';
comment on column etl.alert_rule.dataset is 'Feed; NULL: every feed';
comment on column etl.alert_rule.threshold is 'Limit of the kind: records, a fraction 0..1, seconds, or standard deviations';
comment on column etl.alert_rule.severity is 'warning or error';
comment on column etl.alert_rule.cooldown_seconds is 'After a resolve, a new incident of the same subject waits so long, seconds';
comment on column etl.alert_rule.muted_until is 'Nothing is sent before';
comment on column etl.alert_rule.enabled is 'false: not watched';
comment on column etl.alert_rule.updated_at is 'Last change';
comment on column etl.alert_rule.updated_by is 'Who changed it';
comment on column etl.alert_rule.removed_at is 'When it was removed';
insert into etl.alert_rule (kind, threshold, severity) values
('run_failed', null, 'error'),
('run_lost', null, 'warning'),
('run_too_long', 3600, 'warning'),
('invalid_rate', 0.5, 'warning'),
('unusual_volume', 4, 'warning'),
('not_fresh', null, 'warning'),
('ledger_broken', null, 'error'),
('process_silent', 60, 'error');

create table etl.incident (
    incident_id bigint generated always as identity primary key,
    alert_rule_id bigint not null references etl.alert_rule,
    subject text not null,
    dataset text references etl.dataset,
    run_id bigint references etl.run,
    message text not null,
    opened_at timestamptz not null default clock_timestamp(),
    resolved_at timestamptz,
    resolved_because text,
    check ((resolved_at is null) = (resolved_because is null))
);
comment on table etl.incident is 'One row a stretch of time in which an alert rule held for a subject';
comment on column etl.incident.incident_id is 'Identity of the incident';
comment on column etl.incident.alert_rule_id is 'Rule that held';
comment on column etl.incident.subject is 'What it held for, such as sales or sales/gold: one open incident a rule and subject';
comment on column etl.incident.dataset is 'Feed';
comment on column etl.incident.run_id is 'Run that opened it';
comment on column etl.incident.message is 'What happened, in words';
comment on column etl.incident.opened_at is 'When it began';
comment on column etl.incident.resolved_at is 'When it ended';
comment on column etl.incident.resolved_because is 'What ended it, in words';
create unique index incident_open on etl.incident (alert_rule_id, subject) where resolved_at is null;
create index incident_by_time on etl.incident (opened_at desc);

create table etl.delivery (
    incident_id bigint not null references etl.incident,
    channel_id bigint not null references etl.alert_channel,
    event text not null check (event in ('fire', 'resolve')),
    status text not null default 'waiting' check (status in ('waiting', 'sent', 'skipped')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default clock_timestamp(),
    sent_at timestamptz,
    error text,
    primary key (incident_id, channel_id, event),
    check ((status = 'sent') = (sent_at is not null))
);
comment on table etl.delivery is 'One row a message of an incident to a channel: at most one fire and one resolve each';
comment on column etl.delivery.incident_id is 'Incident';
comment on column etl.delivery.channel_id is 'Channel';
comment on column etl.delivery.event is 'fire or resolve';
comment on column etl.delivery.status is 'waiting, sent, or skipped (muted, or the channel was removed)';
comment on column etl.delivery.attempts is 'How often it was tried';
comment on column etl.delivery.next_attempt_at is 'When it is tried next; a sender moves it before it sends, so that two never send the same';
comment on column etl.delivery.sent_at is 'When it arrived';
comment on column etl.delivery.error is 'Why the last attempt failed, without secrets';
create index delivery_waiting on etl.delivery (next_attempt_at) where status = 'waiting';

-- Log ------------------------------------------------------------------------------------

create index log_search on etl.log using gin (to_tsvector('simple', message));
create index log_by_time on etl.log (at, log_id);
create index log_by_level on etl.log (level, log_id) where level in ('warning', 'error');
create index log_by_dataset on etl.log (dataset, log_id);
