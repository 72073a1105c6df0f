-- Repair by cause: what stood where an invalid record breaks a rule.

create table dq.cause (
    batch_id bigint not null,
    position integer not null,
    rule_id bigint not null,
    column_name text not null,
    pattern text not null,
    value text,
    worth numeric,
    primary key (batch_id, position, rule_id)
);
comment on table dq.cause is 'One row an invalid record and rule that refuses it: what stood in the column, and its pattern';
comment on column dq.cause.batch_id is 'Batch of the record';
comment on column dq.cause.position is 'Position of the record in the file';
comment on column dq.cause.rule_id is 'Rule that refuses it';
comment on column dq.cause.column_name is 'Column that the rule looked at';
comment on column dq.cause.pattern is 'Pattern of the received value: digits are 9, letters A or a, runs end in +; or missing, blank, list or object';
comment on column dq.cause.value is 'The received value, its first 100 characters; null: missing, a list or an object';
comment on column dq.cause.worth is 'Money at stake, USD: quantity x price less discount, signs apart; null where it cannot be read';
create index cause_by_pattern on dq.cause (rule_id, pattern);
