-- Which states of a queue item are unfinished, said once; and the indexes of the list.

create function dq.unfinished() returns text []
language sql immutable parallel safe
return array['open', 'assigned', 'snoozed', 'back_to_source'];
comment on function dq.unfinished is 'States of a queue item that somebody still has to do something about';

-- the list by state across feeds; without a state the primary key gives the order
drop index dq.quarantine_newest;
create index quarantine_by_status on dq.quarantine (status, quarantine_id);
create index quarantine_by_owner on dq.quarantine (assigned_to, quarantine_id)
where assigned_to is not null;
