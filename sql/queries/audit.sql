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
