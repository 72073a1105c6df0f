-- Who reads gold.

-- name: is_mere_reader
-- True when the present role can read gold, and write, rule and look elsewhere nowhere.
select
    not exists (
        select from pg_roles as r
        where
            r.rolname = current_user
            and (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls)
    )
    and not exists (
        select from pg_auth_members as m
        join pg_roles as r on r.oid = m.member
        where r.rolname = current_user
    )
    and not exists (
        select from pg_namespace as n
        where
            n.nspname in ('raw', 'silver', 'etl', 'dq')
            and has_schema_privilege(n.oid, 'usage, create')
    )
    and not exists (
        select from pg_class as c
        join pg_namespace as n on n.oid = c.relnamespace
        where
            n.nspname = 'gold'
            and c.relkind in ('r', 'p')
            and has_table_privilege(c.oid, 'insert, update, delete, truncate')
    )
    and not has_database_privilege(current_database(), 'create');
