-- Views that people keep of a page: its filters and choices under a name.

create table etl.saved_view (
    view_id bigint generated always as identity primary key,
    page text not null,
    name text not null check (length(name) between 1 and 80),
    address jsonb not null check (jsonb_typeof(address) = 'object'),
    owner text not null,
    is_shared boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    unique (page, owner, name)
);
comment on table etl.saved_view is 'One row a view that somebody keeps of a page';
comment on column etl.saved_view.view_id is 'Number of the view';
comment on column etl.saved_view.page is 'Page it opens, by the name of its file';
comment on column etl.saved_view.name is 'Its name, unique for its owner and page';
comment on column etl.saved_view.address is 'Query parameters of the page: name to list of values';
comment on column etl.saved_view.owner is 'Who made it';
comment on column etl.saved_view.is_shared is 'Whether everybody sees it';
comment on column etl.saved_view.created_at is 'When it was made';
