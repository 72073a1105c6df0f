-- Views that people keep of a page.

-- name: visible
-- The views of a page that somebody may open: their own, then those of others that are shared.
select view_id, name, address, owner, is_shared, created_at
from etl.saved_view
where page = :page and (owner = :owner or is_shared)
order by owner <> :owner, lower(name), view_id;

-- name: one
-- One view, held until the end of the transaction.
select view_id, page, name, address, owner, is_shared
from etl.saved_view
where view_id = :view_id
for update;

-- name: save
-- Keep a view; one of the same name and owner is replaced.
insert into etl.saved_view (page, name, address, owner, is_shared)
values (:page, :name, cast(:address as jsonb), :owner, :is_shared)
on conflict (page, owner, name) do update
set address = excluded.address, is_shared = excluded.is_shared
returning view_id;

-- name: named
-- The view of this name, if its owner has one.
select view_id, address, is_shared
from etl.saved_view
where page = :page and owner = :owner and name = :name
for update;

-- name: count_own
-- How many views somebody keeps of a page.
select count(*) from etl.saved_view where page = :page and owner = :owner;

-- name: rename
-- Give a view another name; nothing happens when its owner uses that name already.
update etl.saved_view as v
set name = :name
where
    view_id = :view_id
    and not exists (
        select from etl.saved_view as o
        where
            o.page = v.page and o.owner = v.owner and o.name = :name and o.view_id <> v.view_id
    )
returning view_id;

-- name: delete
-- Forget a view.
delete from etl.saved_view where view_id = :view_id;
