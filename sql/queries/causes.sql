-- name: unknown
-- Invalid records that break a rule and whose causes are not kept yet.
select q.batch_id, q.position
from dq.quarantine as q
where
    q.dataset = :dataset
    and exists (
        select from dq.violation as v
        where v.batch_id = q.batch_id and v.position = q.position and v.severity = 'reject'
    )
    and not exists (
        select from dq.cause as c where c.batch_id = q.batch_id and c.position = q.position
    )
order by q.batch_id, q.position;

-- name: broken
-- The rules that refuse these records.
select w.ordinal, w.batch_id, w.position, v.rule_id, r.column_name
from unnest(cast(:batches as bigint []), cast(:positions as integer [])) with ordinality
as w (batch_id, position, ordinal)
join dq.violation as v
    on v.batch_id = w.batch_id and v.position = w.position and v.severity = 'reject'
join dq.rule as r on r.rule_id = v.rule_id
order by w.ordinal, v.rule_id;

-- name: insert
-- Causes of records that were judged before.
insert into dq.cause (batch_id, position, rule_id, column_name, pattern, value, worth)
select c.batch_id, c.position, c.rule_id, c.column_name, c.pattern, c.value, cast(c.worth as numeric)
from unnest(
    cast(:batches as bigint []), cast(:positions as integer []), cast(:rules as bigint []),
    cast(:columns as text []), cast(:patterns as text []), cast(:values as text []),
    cast(:worth as text [])
) as c (batch_id, position, rule_id, column_name, pattern, value, worth);

-- name: groups
-- Open records by rule, column and pattern, most records first; money where records give it.
-- The closed statuses and the feed are asked for so that right after a large load, before the tables
-- are analysed, the planner expects many records and hashes them.
with grouped as materialized (
    select
        q.dataset, c.rule_id, c.column_name, c.pattern, count(*) as records,
        count(c.worth) as worth_records, sum(c.worth) as worth
    from dq.quarantine as q
    join dq.cause as c on c.batch_id = q.batch_id and c.position = q.position
    where
        q.status not in ('fixed', 'dismissed', 'superseded')
        and (cast(:rule_id as bigint) is null or c.rule_id = :rule_id)
        and (cast(:column_name as text) is null or c.column_name = :column_name)
        and (cast(:pattern as text) is null or c.pattern = :pattern)
    group by q.dataset, c.rule_id, c.column_name, c.pattern
),

shown as (
    select g.*, count(*) over () as groups
    from grouped as g
    where cast(:dataset as text) is null or g.dataset = :dataset
    order by g.records desc, g.rule_id, g.column_name, g.pattern
    limit :limit offset :offset
)

select
    s.dataset, s.rule_id, r.message, s.column_name, s.pattern, s.records, s.worth, s.worth_records,
    s.groups,
    (
        select array_agg(few.value order by few.value)
        from (
            select distinct f.value
            from (
                select c.value
                from dq.cause as c
                join dq.quarantine as q on q.batch_id = c.batch_id and q.position = c.position
                where
                    c.rule_id = s.rule_id and c.pattern = s.pattern
                    and c.column_name = s.column_name
                    and q.status in ('open', 'assigned', 'snoozed', 'back_to_source')
                limit 50
            ) as f
            where f.value is not null
            limit 3
        ) as few
    ) as examples,
    (
        select p.recipe_id
        from dq.recipe as p
        where
            p.active and p.dataset = s.dataset and p.column_name = s.column_name
            and coalesce(p.rule_id, s.rule_id) = s.rule_id
            and coalesce(p.pattern, s.pattern) = s.pattern
        order by p.recipe_id desc
        limit 1
    ) as recipe_id,
    (
        select p.name
        from dq.recipe as p
        where
            p.active and p.dataset = s.dataset and p.column_name = s.column_name
            and coalesce(p.rule_id, s.rule_id) = s.rule_id
            and coalesce(p.pattern, s.pattern) = s.pattern
        order by p.recipe_id desc
        limit 1
    ) as recipe
from shown as s
join dq.rule as r on r.rule_id = s.rule_id
order by s.records desc, s.rule_id, s.column_name, s.pattern;

-- name: items
-- The open records of a group, oldest first, and whether a repair of each waits for its run.
select
    q.quarantine_id,
    coalesce(b.status in ('accepted', 'extracted') and p.reverted_at is null, false) as is_waiting
from dq.cause as c
join dq.quarantine as q on q.batch_id = c.batch_id and q.position = c.position
left join dq.repair as p on p.repair_id = q.repair_id
left join etl.batch as b on b.batch_id = p.batch_id
where
    q.status in ('open', 'assigned', 'snoozed', 'back_to_source')
    and q.dataset = :dataset and c.rule_id = :rule_id and c.column_name = :column_name
    and c.pattern = :pattern
order by q.quarantine_id;

-- name: recipes
-- Recipes, newest first.
select
    p.recipe_id, p.dataset, p.name, p.column_name, p.operation, p.parameters, p.rule_id, p.pattern,
    p.active, p.made_by, p.made_at, r.message,
    (select count(*) from dq.repair as a where a.recipe_id = p.recipe_id) as repairs
from dq.recipe as p
left join dq.rule as r on r.rule_id = p.rule_id
where cast(:dataset as text) is null or p.dataset = :dataset
order by p.recipe_id desc
limit :limit offset :offset;

-- name: count_recipes
-- How many recipes there are.
select count(*) from dq.recipe where cast(:dataset as text) is null or dataset = :dataset;

-- name: recipe
-- One recipe, held for the transaction.
select recipe_id, dataset, name, column_name, operation, parameters, rule_id, pattern, active
from dq.recipe
where recipe_id = :recipe_id
for update;

-- name: insert_recipe
-- A recipe; nothing where its name is taken.
insert into dq.recipe (dataset, name, column_name, operation, parameters, rule_id, pattern, made_by)
values (
    :dataset, :name, :column_name, :operation, cast(:parameters as jsonb), :rule_id, :pattern,
    :made_by
)
on conflict (dataset, name) do nothing
returning recipe_id;

-- name: switch_recipe
-- The recipe is proposed from now on, or no longer.
update dq.recipe set active = :active where recipe_id = :recipe_id;
