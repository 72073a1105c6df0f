-- The warehouse: raw (as received), silver (clean, one row a key), gold (star schema),
-- etl (batches, runs, logs) and dq (rules, quarantine).

create schema raw;
create schema silver;
create schema gold;
create schema etl;
create schema dq;

comment on schema raw is 'Audit and replay: every record of every accepted file, exactly as received';
comment on schema silver is 'Clean data, one row a key';
comment on schema gold is 'Star schema for dashboards and Power BI';
comment on schema etl is 'Batches, runs, steps, schedules, logs and the audit trail';
comment on schema dq is 'Data quality: rules, quarantine and violations';

-- etl ------------------------------------------------------------------------------------

create table etl.migration (
    version integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table etl.migration is 'One row a migration that this database has';
comment on column etl.migration.version is 'Number of its file in sql/migrations';
comment on column etl.migration.name is 'Name of its file';
comment on column etl.migration.checksum is 'SHA-256 of its text: a released migration never changes';
comment on column etl.migration.applied_at is 'When it was applied';

create table etl.dataset (
    dataset text primary key check (dataset ~ '^[a-z][a-z0-9_]*$'),
    title text not null,
    data_version bigint not null default 0
);
comment on table etl.dataset is 'One row a declared feed; its row lock is the pipeline lock of the feed';
comment on column etl.dataset.dataset is 'Name of the feed, such as sales';
comment on column etl.dataset.title is 'Name shown to operators';
comment on column etl.dataset.data_version is 'Grows with every promotion that changed gold; caches are keyed by it';

create table etl.worker (
    worker_id bigint generated always as identity primary key,
    kind text not null check (kind in ('worker', 'scheduler', 'command')),
    host text not null,
    pid integer not null,
    backend_pid integer not null,
    backend_start timestamptz not null,
    started_at timestamptz not null default clock_timestamp(),
    heartbeat_at timestamptz not null default clock_timestamp(),
    stopped_at timestamptz
);
comment on table etl.worker is 'One row a process that runs or schedules the ETL';
comment on column etl.worker.worker_id is 'Identity of the process';
comment on column etl.worker.kind is 'worker, scheduler, or command (a run in the foreground)';
comment on column etl.worker.host is 'Host name';
comment on column etl.worker.pid is 'Process id on that host';
comment on column etl.worker.backend_pid is 'Server process of its heartbeat connection';
comment on column etl.worker.backend_start is 'Start of that server process; with backend_pid it tells whether the worker still lives';
comment on column etl.worker.started_at is 'When the process started';
comment on column etl.worker.heartbeat_at is 'Last sign of life';
comment on column etl.worker.stopped_at is 'When it stopped in order';
create index worker_alive on etl.worker (kind, heartbeat_at) where stopped_at is null;

create table etl.schedule (
    schedule_id bigint generated always as identity primary key,
    dataset text not null references etl.dataset,
    cron text,
    interval_seconds integer check (interval_seconds > 0),
    time_zone text not null default 'UTC',
    enabled boolean not null default true,
    catch_up boolean not null default false,
    updated_at timestamptz not null default clock_timestamp(),
    updated_by text not null,
    check (num_nonnulls(cron, interval_seconds) = 1)
);
comment on table etl.schedule is 'When runs are queued without an operator';
comment on column etl.schedule.schedule_id is 'Identity of the schedule';
comment on column etl.schedule.dataset is 'Feed to run';
comment on column etl.schedule.cron is 'Five cron fields, weekdays as names';
comment on column etl.schedule.interval_seconds is 'Seconds between two runs, instead of cron';
comment on column etl.schedule.time_zone is 'IANA time zone of the cron fields';
comment on column etl.schedule.enabled is 'false while paused';
comment on column etl.schedule.catch_up is 'true: one run makes up for times missed while down';
comment on column etl.schedule.updated_at is 'Last change';
comment on column etl.schedule.updated_by is 'Who changed it';

create table etl.run (
    run_id bigint generated always as identity primary key,
    dataset text not null references etl.dataset,
    status text not null check (
        status in ('queued', 'running', 'succeeded', 'warned', 'failed', 'cancelled', 'lost')
    ),
    trigger text not null check (trigger in ('manual', 'upload', 'schedule', 'command', 'demo')),
    source_file text,
    is_full boolean not null default false,
    requested_by text not null,
    requested_at timestamptz not null default clock_timestamp(),
    schedule_id bigint references etl.schedule,
    planned_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    worker_id bigint references etl.worker,
    attempt integer not null default 0,
    cancel_requested_at timestamptz,
    cancel_requested_by text,
    rule_set text,
    read_records bigint not null default 0,
    valid_records bigint not null default 0,
    invalid_records bigint not null default 0,
    superseded_records bigint not null default 0,
    inserted_rows bigint not null default 0,
    updated_rows bigint not null default 0,
    unchanged_rows bigint not null default 0,
    warning_records bigint not null default 0,
    ledger jsonb,
    is_balanced boolean,
    reason_code text,
    reason text,
    unique (schedule_id, planned_at),
    check ((status in ('succeeded', 'warned', 'failed', 'cancelled')) = (ended_at is not null)),
    check (status <> 'running' or (worker_id is not null and started_at is not null)),
    check (status not in ('failed', 'lost') or reason is not null)
);
comment on table etl.run is 'One execution for one feed, and the queue: see docs/architecture.md for who moves each state on';
comment on column etl.run.run_id is 'Identity of the run';
comment on column etl.run.dataset is 'Feed';
comment on column etl.run.status is 'queued, running, succeeded, warned, failed, cancelled or lost';
comment on column etl.run.trigger is 'What asked for it: manual, upload, schedule, command, demo';
comment on column etl.run.source_file is 'Only this file, instead of all of the landing zone';
comment on column etl.run.is_full is 'true: every batch is judged and loaded again from raw';
comment on column etl.run.requested_by is 'Who asked for it';
comment on column etl.run.requested_at is 'When it was asked for';
comment on column etl.run.schedule_id is 'Schedule that planned it';
comment on column etl.run.planned_at is 'Planned time; unique for a schedule, so that two schedulers never run a time twice';
comment on column etl.run.started_at is 'When a worker first took it';
comment on column etl.run.ended_at is 'When it ended';
comment on column etl.run.worker_id is 'Process that has it';
comment on column etl.run.attempt is 'How often a worker took it; also the fence against a worker that lost it';
comment on column etl.run.cancel_requested_at is 'When an operator asked to cancel';
comment on column etl.run.cancel_requested_by is 'Who asked to cancel';
comment on column etl.run.rule_set is 'Fingerprint of the rules that judged it';
comment on column etl.run.read_records is 'Records read from batches loaded by this run';
comment on column etl.run.valid_records is 'Records that went to silver';
comment on column etl.run.invalid_records is 'Records that went to quarantine';
comment on column etl.run.superseded_records is 'Valid records replaced by a later one of the same key in the same batch';
comment on column etl.run.inserted_rows is 'New silver rows';
comment on column etl.run.updated_rows is 'Silver rows whose values changed';
comment on column etl.run.unchanged_rows is 'Valid records equal to their silver row';
comment on column etl.run.warning_records is 'Violations of warning rules among the records read';
comment on column etl.run.ledger is 'The legs of the ledger: [{leg, left, right, balanced}]';
comment on column etl.run.is_balanced is 'true when every leg of the ledger balances';
comment on column etl.run.reason_code is 'Stable code of the reason';
comment on column etl.run.reason is 'Why it ended as it did, in words';
create unique index run_one_running on etl.run (dataset) where status = 'running';
create index run_queue on etl.run (run_id) where status in ('queued', 'lost', 'running');
create index run_by_dataset on etl.run (dataset, run_id desc);
create index run_by_status on etl.run (status, run_id desc);

create table etl.step (
    run_id bigint not null references etl.run,
    step text not null check (step in ('extract', 'load', 'promote', 'archive')),
    status text not null check (status in ('running', 'succeeded', 'failed', 'cancelled', 'lost')),
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    done_records bigint not null default 0,
    total_records bigint,
    primary key (run_id, step)
);
comment on table etl.step is 'One row a step of a run; committed with the step''s work, it is the checkpoint';
comment on column etl.step.run_id is 'Run';
comment on column etl.step.step is 'extract, load, promote or archive';
comment on column etl.step.status is 'running, succeeded, failed, cancelled or lost';
comment on column etl.step.started_at is 'When the step started (last attempt)';
comment on column etl.step.ended_at is 'When it ended';
comment on column etl.step.done_records is 'Records done so far';
comment on column etl.step.total_records is 'Records expected, when known';

create table etl.batch (
    batch_id bigint generated always as identity primary key,
    dataset text not null references etl.dataset,
    kind text not null default 'file' check (kind in ('file', 'correction')),
    file_name text not null,
    stored_name text,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    file_bytes bigint not null,
    status text not null default 'accepted' check (
        status in ('accepted', 'extracted', 'loaded', 'promoted', 'rejected', 'skipped')
    ),
    insert_date timestamptz,
    records bigint,
    valid_records bigint,
    invalid_records bigint,
    superseded_records bigint,
    inserted_rows bigint,
    updated_rows bigint,
    unchanged_rows bigint,
    warning_records bigint,
    duplicate_of bigint references etl.batch,
    reason_code text,
    reason text,
    reason_detail jsonb,
    accepted_by text not null,
    accepted_at timestamptz not null default clock_timestamp(),
    run_id bigint references etl.run,
    archived_at timestamptz,
    unique (dataset, insert_date),
    check (status not in ('extracted', 'loaded', 'promoted') or (insert_date is not null and records is not null)),
    check (status not in ('loaded', 'promoted') or records = valid_records + invalid_records + superseded_records),
    check (status not in ('loaded', 'promoted') or valid_records = inserted_rows + updated_rows + unchanged_rows),
    check (status not in ('rejected', 'skipped') or reason is not null)
);
comment on table etl.batch is 'One accepted file (or one set of corrections); its status moves in the transaction that moves its rows';
comment on column etl.batch.batch_id is 'Identity of the batch, in order of arrival';
comment on column etl.batch.dataset is 'Feed';
comment on column etl.batch.kind is 'file, or correction (records repaired by an operator)';
comment on column etl.batch.file_name is 'Name as received; shown, never used as a path';
comment on column etl.batch.stored_name is 'Name on disk below data/raw, data/processed or data/rejected';
comment on column etl.batch.sha256 is 'SHA-256 of the bytes received';
comment on column etl.batch.file_bytes is 'Size in bytes';
comment on column etl.batch.status is 'accepted, extracted (in raw), loaded (in silver), promoted (in gold), rejected or skipped';
comment on column etl.batch.insert_date is 'Stamp of its raw records, strictly increasing from batch to batch of a feed';
comment on column etl.batch.records is 'Records read; equals valid + invalid + superseded once loaded';
comment on column etl.batch.valid_records is 'Records that went to silver';
comment on column etl.batch.invalid_records is 'Records that went to quarantine';
comment on column etl.batch.superseded_records is 'Valid records replaced by a later one of the same key in this batch';
comment on column etl.batch.inserted_rows is 'New silver rows';
comment on column etl.batch.updated_rows is 'Silver rows whose values changed';
comment on column etl.batch.unchanged_rows is 'Valid records equal to their silver row';
comment on column etl.batch.warning_records is 'Violations of warning rules';
comment on column etl.batch.duplicate_of is 'Batch with the same content that made this one a repetition';
comment on column etl.batch.reason_code is 'Stable code of the reason';
comment on column etl.batch.reason is 'Why it was rejected or skipped';
comment on column etl.batch.reason_detail is 'The reason as in <name>.reason.json: code, message, line, column, offset';
comment on column etl.batch.accepted_by is 'Who brought it';
comment on column etl.batch.accepted_at is 'When it was accepted';
comment on column etl.batch.run_id is 'Run that extracted, rejected or skipped it';
comment on column etl.batch.archived_at is 'When its file was moved out of the landing zone';
create index batch_open on etl.batch (dataset, batch_id)
    where status in ('accepted', 'extracted', 'loaded') or archived_at is null;
create index batch_by_content on etl.batch (dataset, sha256);
create index batch_by_run on etl.batch (run_id);

create table etl.log (
    log_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    level text not null check (level in ('debug', 'info', 'warning', 'error')),
    dataset text,
    run_id bigint,
    step text,
    batch_id bigint,
    message text not null,
    context jsonb not null default '{}'
);
comment on table etl.log is 'Structured log of runs; the same lines stand in the log files';
comment on column etl.log.log_id is 'Order of writing';
comment on column etl.log.at is 'When';
comment on column etl.log.level is 'debug, info, warning or error';
comment on column etl.log.dataset is 'Feed';
comment on column etl.log.run_id is 'Run';
comment on column etl.log.step is 'Step';
comment on column etl.log.batch_id is 'Batch';
comment on column etl.log.message is 'What happened, in words';
comment on column etl.log.context is 'Figures that belong to it';
create index log_by_run on etl.log (run_id, log_id);

create table etl.audit (
    audit_id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    actor text not null,
    role text not null,
    action text not null,
    object text not null,
    before jsonb,
    after jsonb,
    origin text
);
comment on table etl.audit is 'What people did: one row a change of state or a refusal';
comment on column etl.audit.audit_id is 'Order of writing';
comment on column etl.audit.at is 'When';
comment on column etl.audit.actor is 'Who';
comment on column etl.audit.role is 'Role at that moment';
comment on column etl.audit.action is 'What, as a stable word';
comment on column etl.audit.object is 'On what';
comment on column etl.audit.before is 'State before';
comment on column etl.audit.after is 'State after';
comment on column etl.audit.origin is 'From where: page, command, address';
create index audit_by_object on etl.audit (object, audit_id);

-- dq -------------------------------------------------------------------------------------

create table dq.rule (
    rule_id bigint generated always as identity primary key,
    dataset text not null references etl.dataset,
    code text not null,
    ordinal integer not null,
    column_name text not null,
    kind text not null,
    parameters jsonb not null default '{}',
    judges text not null check (judges in ('received', 'normalised')),
    severity text not null check (severity in ('reject', 'warn')),
    message text not null,
    active boolean not null default true,
    version integer not null default 1,
    origin text not null default 'shipped' check (origin in ('shipped', 'operator')),
    updated_at timestamptz not null default clock_timestamp(),
    updated_by text not null default 'shipped',
    unique (dataset, code)
);
comment on table dq.rule is 'Rules that judge records: kind + column + parameters + severity';
comment on column dq.rule.rule_id is 'Identity of the rule';
comment on column dq.rule.dataset is 'Feed';
comment on column dq.rule.code is 'Stable name, such as price_missing';
comment on column dq.rule.ordinal is 'Order of the messages in dq_errors';
comment on column dq.rule.column_name is 'Column judged';
comment on column dq.rule.kind is 'Kind of rule, from the closed catalogue';
comment on column dq.rule.parameters is 'Parameters of the kind';
comment on column dq.rule.judges is 'received (the value in the file) or normalised';
comment on column dq.rule.severity is 'reject (to quarantine) or warn (kept, counted, shown)';
comment on column dq.rule.message is 'Words in dq_errors';
comment on column dq.rule.active is 'false: not applied';
comment on column dq.rule.version is 'Grows with every change';
comment on column dq.rule.origin is 'shipped, or operator once someone made or changed it';
comment on column dq.rule.updated_at is 'Last change';
comment on column dq.rule.updated_by is 'Who changed it';

create table dq.rule_history (
    rule_id bigint not null references dq.rule,
    version integer not null,
    rule jsonb not null,
    changed_at timestamptz not null default clock_timestamp(),
    changed_by text not null,
    primary key (rule_id, version)
);
comment on table dq.rule_history is 'Every version of every rule';
comment on column dq.rule_history.rule_id is 'Rule';
comment on column dq.rule_history.version is 'Version';
comment on column dq.rule_history.rule is 'The rule as it was';
comment on column dq.rule_history.changed_at is 'When this version began';
comment on column dq.rule_history.changed_by is 'Who made it';

create function dq.keep_rule_version() returns trigger
language plpgsql as $$
begin
    insert into dq.rule_history (rule_id, version, rule, changed_by)
    values (new.rule_id, new.version, to_jsonb(new), new.updated_by);
    return null;
end
$$;
comment on function dq.keep_rule_version is 'Copies each version of a rule into its history';
create trigger keep_rule_version after insert or update on dq.rule
    for each row execute function dq.keep_rule_version();

create table dq.quarantine (
    quarantine_id bigint generated always as identity primary key,
    dataset text not null,
    batch_id bigint not null,
    position integer not null,
    record_key text,
    dq_errors text not null,
    rule_set text not null,
    status text not null default 'open' check (status in ('open', 'assigned', 'fixed', 'dismissed')),
    assigned_to text,
    note text,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    version integer not null default 1,
    unique (batch_id, position)
);
comment on table dq.quarantine is 'The queue of invalid records';
comment on column dq.quarantine.quarantine_id is 'Identity of the queue item';
comment on column dq.quarantine.dataset is 'Feed';
comment on column dq.quarantine.batch_id is 'Batch of the record';
comment on column dq.quarantine.position is 'Position of the record in the file, from 1';
comment on column dq.quarantine.record_key is 'Key of the record, when it has one';
comment on column dq.quarantine.dq_errors is 'Messages of the rules it broke, joined by "; "';
comment on column dq.quarantine.rule_set is 'Fingerprint of the rules that judged it';
comment on column dq.quarantine.status is 'open, assigned, fixed or dismissed';
comment on column dq.quarantine.assigned_to is 'Who works on it';
comment on column dq.quarantine.note is 'Reason of the last decision';
comment on column dq.quarantine.created_at is 'When it was quarantined';
comment on column dq.quarantine.updated_at is 'Last change';
comment on column dq.quarantine.version is 'Optimistic lock';
create index quarantine_queue on dq.quarantine (dataset, status, quarantine_id);
create index quarantine_by_key on dq.quarantine (dataset, record_key);

create table dq.violation (
    batch_id bigint not null,
    position integer not null,
    rule_id bigint not null,
    rule_version integer not null,
    severity text not null,
    primary key (batch_id, position, rule_id)
);
comment on table dq.violation is 'One row a record and rule it breaks, rejections and warnings';
comment on column dq.violation.batch_id is 'Batch of the record';
comment on column dq.violation.position is 'Position of the record in the file';
comment on column dq.violation.rule_id is 'Rule broken';
comment on column dq.violation.rule_version is 'Version of the rule that judged';
comment on column dq.violation.severity is 'reject or warn';
create index violation_by_rule on dq.violation (rule_id, batch_id);

create table dq.superseded (
    batch_id bigint not null,
    position integer not null,
    superseded_by integer not null,
    primary key (batch_id, position),
    check (superseded_by > position)
);
comment on table dq.superseded is 'Valid records replaced by a later one of the same key in the same batch';
comment on column dq.superseded.batch_id is 'Batch';
comment on column dq.superseded.position is 'Position of the replaced record';
comment on column dq.superseded.superseded_by is 'Position of the record that counts';

create table dq.rule_count (
    batch_id bigint not null references etl.batch,
    rule_id bigint not null references dq.rule,
    rule_version integer not null,
    severity text not null,
    records bigint not null,
    primary key (batch_id, rule_id)
);
comment on table dq.rule_count is 'How often each rule fired in a batch';
comment on column dq.rule_count.batch_id is 'Batch';
comment on column dq.rule_count.rule_id is 'Rule';
comment on column dq.rule_count.rule_version is 'Version of the rule that judged';
comment on column dq.rule_count.severity is 'reject or warn';
comment on column dq.rule_count.records is 'Records of the batch that break it';

-- silver ---------------------------------------------------------------------------------

create table silver.etl_metadata (
    pipeline_name text primary key,
    last_insert_date timestamptz not null default '1900-01-01 00:00:00+00'
);
comment on table silver.etl_metadata is 'Watermarks: the newest insert_date taken, derived from loaded batches';
comment on column silver.etl_metadata.pipeline_name is 'Pipeline: <dataset>_silver, or gold (whose row lock serialises promotion)';
comment on column silver.etl_metadata.last_insert_date is 'Newest insert_date taken; 1900-01-01 before the first run';
insert into silver.etl_metadata (pipeline_name) values ('gold');

-- gold -----------------------------------------------------------------------------------

create table gold.customers (
    customer_id varchar(100) primary key,
    customer_name varchar(50) not null,
    email varchar(50),
    region varchar(100) not null,
    join_date date,
    loyalty_points integer not null default 0,
    is_inferred boolean not null default false,
    insert_date timestamptz not null,
    update_date timestamptz not null
);
comment on table gold.customers is 'One row a customer';
comment on column gold.customers.customer_id is 'Customer key, C + digits';
comment on column gold.customers.customer_name is 'Name; NA when unusable, Unknown while only inferred from sales';
comment on column gold.customers.email is 'E-mail address in lower case, if valid';
comment on column gold.customers.region is 'Home region in title case, Unknown when not known';
comment on column gold.customers.join_date is 'Day the customer joined';
comment on column gold.customers.loyalty_points is 'Loyalty points, 0 to 1,000,000';
comment on column gold.customers.is_inferred is 'true while only sales name this customer; not counted as a customer';
comment on column gold.customers.insert_date is 'When the row was made';
comment on column gold.customers.update_date is 'When the row last changed';
create index customers_by_region on gold.customers (region);

create table gold.products (
    product_id varchar(100) primary key,
    product_name varchar(255) not null,
    category varchar(255) not null,
    insert_date timestamptz not null,
    update_date timestamptz not null
);
comment on table gold.products is 'One row a product; the newest sale that names it wins';
comment on column gold.products.product_id is 'Product key';
comment on column gold.products.product_name is 'Name; the product_id when never given';
comment on column gold.products.category is 'Category; Unknown when never given';
comment on column gold.products.insert_date is 'When the row was made';
comment on column gold.products.update_date is 'When the row last changed';
create index products_by_category on gold.products (category);

create table gold.dim_date (
    date date primary key,
    year smallint not null,
    quarter smallint not null,
    month smallint not null,
    day smallint not null,
    month_start date not null,
    month_name varchar(9) not null,
    month_label varchar(8) not null,
    weekday smallint not null,
    weekday_name varchar(9) not null
);
comment on table gold.dim_date is 'One row a day, whole years of the data and no further';
comment on column gold.dim_date.date is 'Day';
comment on column gold.dim_date.year is 'Year';
comment on column gold.dim_date.quarter is 'Quarter, 1 to 4';
comment on column gold.dim_date.month is 'Month, 1 to 12';
comment on column gold.dim_date.day is 'Day of the month';
comment on column gold.dim_date.month_start is 'First day of the month';
comment on column gold.dim_date.month_name is 'English name of the month';
comment on column gold.dim_date.month_label is 'Month and year, such as Jan 2023';
comment on column gold.dim_date.weekday is 'ISO weekday, 1 Monday to 7 Sunday';
comment on column gold.dim_date.weekday_name is 'English name of the weekday';

create table gold.transactions (
    transaction_id varchar(100) primary key,
    customer_id varchar(100) not null
        constraint transactions_customer_fk references gold.customers,
    product_id varchar(100) not null
        constraint transactions_product_fk references gold.products,
    quantity integer not null check (quantity > 0),
    price numeric(12, 2) not null check (price >= 0 and price <> 'NaN'),
    discount numeric(5, 4) not null check (discount between 0 and 1),
    total_value numeric(16, 2) not null
        generated always as (round(quantity * price * (1 - discount), 2)) stored,
    region varchar(100) not null,
    transaction_datetime timestamp not null,
    transaction_date date not null generated always as (transaction_datetime::date) stored,
    transaction_month date not null
        generated always as (date_trunc('month', transaction_datetime)::date) stored,
    insert_date timestamptz not null,
    update_date timestamptz not null
);
comment on table gold.transactions is 'One row a sale; equals silver.sales row for row';
comment on column gold.transactions.transaction_id is 'Transaction key';
comment on column gold.transactions.customer_id is 'Customer, possibly inferred';
comment on column gold.transactions.product_id is 'Product';
comment on column gold.transactions.quantity is 'Pieces sold';
comment on column gold.transactions.price is 'Price a piece, USD';
comment on column gold.transactions.discount is 'Discount as a fraction, 0 to 1';
comment on column gold.transactions.total_value is 'quantity × price × (1 − discount), USD, rounded half up';
comment on column gold.transactions.region is 'Region of the sale in title case, Unknown when missing';
comment on column gold.transactions.transaction_datetime is 'Moment of the sale, UTC';
comment on column gold.transactions.transaction_date is 'Day of the sale, UTC';
comment on column gold.transactions.transaction_month is 'First day of the month of the sale';
comment on column gold.transactions.insert_date is 'When the row was made';
comment on column gold.transactions.update_date is 'When the row last changed';
create index transactions_by_date on gold.transactions (transaction_date);
create index transactions_by_customer on gold.transactions (customer_id);
create index transactions_by_product on gold.transactions (product_id);
create index transactions_by_region_date on gold.transactions (region, transaction_date);
