-- Batches that a rule's limit stopped: they wait in raw until somebody decides.

alter table etl.batch
    add column stopped_at timestamptz,
    add column passed_by text,
    add column passed_at timestamptz,
    add column pass_reason text,
    drop constraint batch_status_check,
    add constraint batch_status_check check (
        status in (
            'accepted', 'extracted', 'loaded', 'promoted', 'rejected', 'skipped', 'stopped',
            'discarded'
        )
    ),
    add constraint batch_stopped_check check (
        status not in ('stopped', 'discarded')
        or (
            insert_date is not null
            and records is not null
            and reason is not null
            and stopped_at is not null
        )
    ),
    add constraint batch_passed_check check (
        num_nonnulls(passed_by, passed_at, pass_reason) in (0, 3)
    );
comment on column etl.batch.status is 'accepted, extracted (in raw), loaded (in silver), promoted (in gold), rejected or skipped; stopped (in raw, a rule''s limit keeps it from silver) or discarded (stopped, and it stays so)';
comment on column etl.batch.reason is 'Why it was rejected, skipped, stopped or discarded';
comment on column etl.batch.reason_detail is 'The reason as in <name>.reason.json: code, message, line, column, offset; of a stopped batch the rules, how often they fired, and their limits';
comment on column etl.batch.stopped_at is 'When a rule''s limit stopped it, the last time';
comment on column etl.batch.passed_by is 'Who let it pass in spite of its limits';
comment on column etl.batch.passed_at is 'When';
comment on column etl.batch.pass_reason is 'Why it may pass';
create index batch_stopped on etl.batch (dataset, batch_id) where status = 'stopped';
