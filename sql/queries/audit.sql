-- name: write
-- What somebody did, in the transaction that does it.
insert into etl.audit (actor, role, action, object, before, after, origin)
values (
    :actor, :role, :action, :object, cast(:before as jsonb), cast(:after as jsonb), :origin
);

-- name: of_object
-- What was done to one thing, oldest first.
select audit_id, at, actor, role, action, object, before, after, origin
from etl.audit
where object = :object
order by audit_id;

-- name: page
-- What was done, newest first.
select audit_id, at, actor, role, action, object, before, after, origin
from etl.audit
where
    (cast(:actor as text) is null or actor = :actor)
    and (cast(:action as text) is null or action = :action)
    and (cast(:search as text) is null or position(lower(:search) in lower(object)) > 0)
order by audit_id desc
limit :limit offset :offset;

-- name: count
-- How much the same filters find.
select count(*) from etl.audit
where
    (cast(:actor as text) is null or actor = :actor)
    and (cast(:action as text) is null or action = :action)
    and (cast(:search as text) is null or position(lower(:search) in lower(object)) > 0);

-- name: actors
-- Who did something, the busiest first.
select actor from etl.audit group by actor order by count(*) desc, actor limit 20;

-- name: actions
-- What was done at all.
select distinct action from etl.audit order by action;
