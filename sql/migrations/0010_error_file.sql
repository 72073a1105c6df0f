-- What the file of invalid records holds, so that a run adds to it instead of writing it anew.

create table etl.error_file (
    dataset text primary key references etl.dataset,
    last_id bigint not null,
    records bigint not null,
    digest bigint not null,
    bytes bigint not null
);
comment on table etl.error_file is 'What the file of open invalid records of a feed held when it was last written';
comment on column etl.error_file.dataset is 'Feed';
comment on column etl.error_file.last_id is 'Newest queue item in it';
comment on column etl.error_file.records is 'Records in it';
comment on column etl.error_file.digest is 'Exclusive or of the hashes of its items and their messages';
comment on column etl.error_file.bytes is 'Size of the file';
