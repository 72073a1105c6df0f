-- Refreshes of the Power BI dataset: asked for by a run that changed gold, or by an operator.

create table etl.refresh (
    refresh_id bigint generated always as identity primary key,
    requested_at timestamptz not null default clock_timestamp(),
    requested_by text not null,
    run_id bigint references etl.run,
    data_version bigint not null,
    form text not null check (form in ('standard', 'enhanced')),
    status text not null default 'waiting' check (
        status in ('waiting', 'running', 'completed', 'failed', 'covered', 'dry_run')
    ),
    covered_by bigint references etl.refresh,
    attempts integer not null default 0 check (attempts >= 0),
    next_attempt_at timestamptz not null default clock_timestamp(),
    workspace_id text,
    powerbi_dataset_id text,
    request_id text,
    started_at timestamptz,
    ended_at timestamptz,
    error text,
    would_send jsonb,
    check ((status = 'covered') = (covered_by is not null)),
    check (covered_by <> refresh_id),
    check ((status in ('waiting', 'running')) = (ended_at is null)),
    check ((request_id is null) = (started_at is null)),
    check (status not in ('running', 'completed') or request_id is not null),
    check ((status = 'dry_run') = (would_send is not null))
);
comment on table etl.refresh is 'One row a wish to refresh the Power BI dataset: the outbox of its requests and their history';
comment on column etl.refresh.refresh_id is 'Number of the refresh';
comment on column etl.refresh.requested_at is 'When it was asked for';
comment on column etl.refresh.requested_by is 'Who asked: the operator, or who asked for the run';
comment on column etl.refresh.run_id is 'Run that changed gold; NULL: an operator asked';
comment on column etl.refresh.data_version is 'Data version of gold that the dataset holds at least, once this completed';
comment on column etl.refresh.form is 'standard (any capacity) or enhanced (Premium)';
comment on column etl.refresh.status is 'waiting: not confirmed by the service; running: confirmed, and followed to its end; completed; failed: for good; covered: a later one was sent in its place; dry_run: nothing was sent';
comment on column etl.refresh.covered_by is 'Refresh that was sent in its place';
comment on column etl.refresh.attempts is 'Tries in a row that failed, and the one under way; 0 after an answer';
comment on column etl.refresh.next_attempt_at is 'Next request to the service, not before; during a request, the end of its lease';
comment on column etl.refresh.workspace_id is 'Workspace it was sent to';
comment on column etl.refresh.powerbi_dataset_id is 'Dataset of Power BI it was sent to';
comment on column etl.refresh.request_id is 'Its id at the service; two where the service gave two, separated by a space';
comment on column etl.refresh.started_at is 'When the service confirmed it';
comment on column etl.refresh.ended_at is 'When it ended, as we learned of it';
comment on column etl.refresh.error is 'Why it failed, or why it still waits, in words without secrets';
comment on column etl.refresh.would_send is 'What a dry run would have sent: method, address and body';
create index refresh_of_run on etl.refresh (run_id) where run_id is not null;
create index refresh_covered_by on etl.refresh (covered_by) where covered_by is not null;
create index refresh_open on etl.refresh (status, refresh_id) where status in ('waiting', 'running');
create index refresh_started on etl.refresh (powerbi_dataset_id, started_at) where started_at is not null;
create unique index refresh_one_at_a_time on etl.refresh (powerbi_dataset_id) where status = 'running';

alter table etl.alert_rule drop constraint alert_rule_kind_check;
alter table etl.alert_rule add constraint alert_rule_kind_check check (
    kind in (
        'run_failed', 'run_lost', 'run_too_long', 'invalid_count', 'invalid_rate',
        'unusual_volume', 'not_fresh', 'ledger_broken', 'process_silent', 'refresh_failed'
    )
);
insert into etl.alert_rule (kind, threshold, severity) values ('refresh_failed', null, 'warning');
