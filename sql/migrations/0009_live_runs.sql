-- Live runs: how far each step is in this attempt, and what it is doing.

alter table etl.step
    add column attempted_records bigint not null default 0,
    add column reached_records bigint not null default 0,
    add column activity text;
comment on column etl.step.started_at is 'When the step first started';
comment on column etl.step.attempted_at is 'When this attempt at the step started: its rate is taken from here';
comment on column etl.step.done_records is 'Records done so far: most that any attempt reached, so that it never shrinks';
comment on column etl.step.total_records is 'Records expected, when known; grows only as far as the share done does not shrink';
comment on column etl.step.attempted_records is 'Records that were done when this attempt started';
comment on column etl.step.reached_records is 'Records that are done in this attempt, those before it included';
comment on column etl.step.activity is 'What it is doing, in words';
update etl.step set attempted_at = started_at, reached_records = done_records;

create index run_by_again on etl.run (again_of) where again_of is not null;
