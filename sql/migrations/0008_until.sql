-- A run of some steps only, for orchestrators that call one step at a time.

alter table etl.run
    add column until text check (until in ('extract', 'load', 'promote', 'archive'));
comment on column etl.run.until is 'Last step of the run, as asked for; NULL: all of them';
