-- Which planned times of a schedule are decided, so that schedulers agree and none is lost.

alter table etl.schedule add column decided_until timestamptz not null default clock_timestamp();
comment on column etl.schedule.decided_until is 'Planned times up to here are decided: queued, skipped or missed; moved in the transaction that decides';
