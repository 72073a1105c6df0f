-- Triage: repairs and their replay, what became of each queue item, rules as drafts and versions,
-- limits of rules, and predictions of what rules would do.

-- Repairs ----------------------------------------------------------------------------------

create table dq.recipe (
    recipe_id bigint generated always as identity primary key,
    dataset text not null references etl.dataset,
    name text not null check (length(name) between 1 and 100),
    column_name text not null,
    operation text not null check (operation in ('set', 'absolute', 'map', 'parse', 'digits')),
    parameters jsonb not null default '{}',
    rule_id bigint references dq.rule,
    pattern text,
    active boolean not null default true,
    made_by text not null,
    made_at timestamptz not null default clock_timestamp(),
    unique (dataset, name)
);
comment on table dq.recipe is 'A repair under a name: proposed for records that come later, never applied by itself';
comment on column dq.recipe.recipe_id is 'Identity of the recipe';
comment on column dq.recipe.dataset is 'Feed';
comment on column dq.recipe.name is 'Name, one a feed';
comment on column dq.recipe.column_name is 'Column whose received value it changes';
comment on column dq.recipe.operation is 'set (a value), absolute (value), map (values), parse (with a format) or digits (take them)';
comment on column dq.recipe.parameters is 'Parameters of the operation';
comment on column dq.recipe.rule_id is 'Rule whose violations it was made for';
comment on column dq.recipe.pattern is 'Pattern of values that it was made for';
comment on column dq.recipe.active is 'false: no longer proposed';
comment on column dq.recipe.made_by is 'Who made it';
comment on column dq.recipe.made_at is 'When';

create table dq.repair (
    repair_id bigint generated always as identity primary key,
    dataset text not null references etl.dataset,
    batch_id bigint not null unique references etl.batch,
    records integer not null check (records > 0),
    reason text not null check (length(trim(reason)) > 0),
    recipe_id bigint references dq.recipe,
    operation text,
    made_by text not null,
    made_at timestamptz not null default clock_timestamp(),
    revert_run_id bigint references etl.run,
    reverted_by text,
    reverted_at timestamptz,
    revert_reason text,
    check ((reverted_at is null) or (revert_run_id is not null))
);
comment on table dq.repair is 'One act of repairing: edited copies of invalid records, replayed as a batch of their own';
comment on column dq.repair.repair_id is 'Identity of the repair';
comment on column dq.repair.dataset is 'Feed';
comment on column dq.repair.batch_id is 'Batch of the edited records (kind correction)';
comment on column dq.repair.records is 'How many records were edited';
comment on column dq.repair.reason is 'Why, in the words of who made it';
comment on column dq.repair.recipe_id is 'Recipe that was applied, if one was';
comment on column dq.repair.operation is 'What was done to all of them, in words; null where each was edited by hand';
comment on column dq.repair.made_by is 'Who made it';
comment on column dq.repair.made_at is 'When';
comment on column dq.repair.revert_run_id is 'Run that takes it back';
comment on column dq.repair.reverted_by is 'Who asked to take it back';
comment on column dq.repair.reverted_at is 'When it was taken back; null while that run has not come so far';
comment on column dq.repair.revert_reason is 'Why it was taken back';
create index repair_by_dataset on dq.repair (dataset, repair_id desc);

create table dq.repaired_record (
    repair_id bigint not null references dq.repair,
    position integer not null,
    source_batch_id bigint not null,
    source_position integer not null,
    record text not null,
    primary key (repair_id, position)
);
comment on table dq.repaired_record is 'The edited records of a repair; the record before stands in raw, at its source';
comment on column dq.repaired_record.repair_id is 'Repair';
comment on column dq.repaired_record.position is 'Position in the batch of the repair, from 1';
comment on column dq.repaired_record.source_batch_id is 'Batch of the record that was edited';
comment on column dq.repaired_record.source_position is 'Position of that record';
comment on column dq.repaired_record.record is 'JSON text after the edit';
create index repaired_record_by_source on dq.repaired_record (source_batch_id, source_position);

alter table etl.batch add column reverted_at timestamptz;
comment on column etl.batch.reverted_at is 'When the repair was taken back: silver is no longer made of this batch';

alter table etl.run
    add column reverts bigint [],
    add column predicts bigint,
    drop constraint run_trigger_check,
    add constraint run_trigger_check check (
        trigger in (
            'manual', 'upload', 'schedule', 'command', 'demo', 'watch', 'again', 'reprocess',
            'repair', 'revert', 'what_if', 'rules'
        )
    );
comment on column etl.run.reverts is 'Batches of repairs that the run takes back';
comment on column etl.run.predicts is 'Prediction that the run works out; it changes no layer';
comment on column etl.run.trigger is 'What asked for it: manual, upload, schedule, command, demo, watch (a file appeared), again, reprocess, repair, revert, what_if (a prediction), rules (activated)';

-- Queue items ------------------------------------------------------------------------------

alter table dq.quarantine
    add column snoozed_until timestamptz,
    add column closed_batch_id bigint,
    add column closed_position integer,
    add column repair_id bigint references dq.repair,
    drop constraint quarantine_status_check,
    add constraint quarantine_status_check check (
        status in (
            'open', 'assigned', 'snoozed', 'back_to_source', 'fixed', 'dismissed', 'superseded'
        )
    ),
    add constraint quarantine_snoozed_check check ((status = 'snoozed') = (snoozed_until is not null)),
    add constraint quarantine_closed_check check (
        status not in ('fixed', 'superseded') or closed_batch_id is not null
    );
comment on column dq.quarantine.status is 'open, assigned, snoozed, back_to_source; or closed: fixed, dismissed, superseded';
comment on column dq.quarantine.snoozed_until is 'When a snoozed item is open again';
comment on column dq.quarantine.closed_batch_id is 'Batch of the record that closed it: its repair, or a newer valid record of its key';
comment on column dq.quarantine.closed_position is 'Position of that record';
comment on column dq.quarantine.repair_id is 'Its newest repair';
create index quarantine_closed on dq.quarantine (closed_batch_id) where closed_batch_id is not null;
create index quarantine_snoozed on dq.quarantine (snoozed_until) where snoozed_until is not null;
create index quarantine_newest on dq.quarantine (quarantine_id desc, status);

create table dq.triage_event (
    event_id bigint generated always as identity primary key,
    quarantine_id bigint not null references dq.quarantine on delete cascade,
    at timestamptz not null default clock_timestamp(),
    actor text not null,
    action text not null check (
        action in (
            'comment', 'assign', 'dismiss', 'send_back', 'snooze', 'reopen', 'repair', 'fix',
            'still_invalid', 'supersede', 'revert', 'wake'
        )
    ),
    from_status text,
    to_status text,
    note text,
    repair_id bigint references dq.repair
);
comment on table dq.triage_event is 'What happened to a queue item, comments included';
comment on column dq.triage_event.event_id is 'Order';
comment on column dq.triage_event.quarantine_id is 'Queue item';
comment on column dq.triage_event.at is 'When';
comment on column dq.triage_event.actor is 'Who; engine where a run did it';
comment on column dq.triage_event.action is 'What happened';
comment on column dq.triage_event.from_status is 'Status before';
comment on column dq.triage_event.to_status is 'Status after';
comment on column dq.triage_event.note is 'Comment or reason';
comment on column dq.triage_event.repair_id is 'Repair it belongs to';
create index triage_event_by_item on dq.triage_event (quarantine_id, event_id);

-- Rules ------------------------------------------------------------------------------------

alter table dq.rule
    add column owner text,
    add column warn_records bigint check (warn_records > 0),
    add column warn_rate numeric check (warn_rate > 0 and warn_rate <= 1),
    add column stop_records bigint check (stop_records > 0),
    add column stop_rate numeric check (stop_rate > 0 and stop_rate <= 1);
comment on column dq.rule.owner is 'Who answers for it';
comment on column dq.rule.warn_records is 'A batch in which it fires so often makes the run say so';
comment on column dq.rule.warn_rate is 'The same as a fraction of the records of the batch, 0 to 1';
comment on column dq.rule.stop_records is 'A batch in which it fires so often is stopped: nothing of it reaches silver';
comment on column dq.rule.stop_rate is 'The same as a fraction of the records of the batch, 0 to 1';

create table dq.rule_draft (
    draft_id bigint generated always as identity primary key,
    dataset text not null references etl.dataset,
    rule_id bigint references dq.rule,
    rule jsonb not null,
    based_on integer,
    reason text not null default '',
    status text not null default 'draft' check (
        status in ('draft', 'activated', 'withdrawn', 'outdated')
    ),
    made_by text not null,
    made_at timestamptz not null default clock_timestamp(),
    decided_by text,
    decided_at timestamptz,
    check ((status = 'draft') = (decided_at is null))
);
comment on table dq.rule_draft is 'A change of a rule, or a new one, before it judges anything';
comment on column dq.rule_draft.draft_id is 'Identity of the draft';
comment on column dq.rule_draft.dataset is 'Feed';
comment on column dq.rule_draft.rule_id is 'Rule it changes; null: a new one';
comment on column dq.rule_draft.rule is 'The rule as it shall be, by the columns of dq.rule';
comment on column dq.rule_draft.based_on is 'Version of the rule that it changes';
comment on column dq.rule_draft.reason is 'Why';
comment on column dq.rule_draft.status is 'draft, activated, withdrawn, or outdated (the rule changed meanwhile)';
comment on column dq.rule_draft.made_by is 'Who made it';
comment on column dq.rule_draft.made_at is 'When';
comment on column dq.rule_draft.decided_by is 'Who activated or withdrew it';
comment on column dq.rule_draft.decided_at is 'When';
create unique index rule_draft_open on dq.rule_draft (rule_id) where status = 'draft';
create index rule_draft_by_dataset on dq.rule_draft (dataset, draft_id desc);

create table dq.prediction (
    prediction_id bigint generated always as identity primary key,
    dataset text not null references etl.dataset,
    rules jsonb not null,
    rule_set text not null,
    first_day date,
    last_day date,
    data_version bigint,
    requested_by text not null,
    requested_at timestamptz not null default clock_timestamp(),
    run_id bigint references etl.run,
    result jsonb,
    ended_at timestamptz
);
comment on table dq.prediction is 'What a set of rules would do to the records that came so far';
comment on column dq.prediction.prediction_id is 'Identity of the prediction';
comment on column dq.prediction.dataset is 'Feed';
comment on column dq.prediction.rules is 'The rules that were tried, in order';
comment on column dq.prediction.rule_set is 'Their fingerprint';
comment on column dq.prediction.first_day is 'First day of acceptance of the batches tried; null: all';
comment on column dq.prediction.last_day is 'Last day of acceptance';
comment on column dq.prediction.data_version is 'Data version of the feed that it was worked out against';
comment on column dq.prediction.requested_by is 'Who asked';
comment on column dq.prediction.requested_at is 'When';
comment on column dq.prediction.run_id is 'Run that worked it out';
comment on column dq.prediction.result is 'Counts, money by region and month, sample records';
comment on column dq.prediction.ended_at is 'When it was done';
create index prediction_by_dataset on dq.prediction (dataset, prediction_id desc);
