-- What can be read of an invalid record, so that a number can say which ones it leaves out.

alter table dq.quarantine
    add column customer_id text,
    add column region text,
    add column product_id text,
    add column product_name text,
    add column category text,
    add column day date,
    add column worth numeric;
comment on column dq.quarantine.customer_id is 'Customer of the record, as normalised; null where it cannot be read or the feed has none';
comment on column dq.quarantine.region is 'Region of the record, as normalised; null where it cannot be read or the feed has none';
comment on column dq.quarantine.product_id is 'Product of the record, as normalised; null where it cannot be read or the feed has none';
comment on column dq.quarantine.product_name is 'Product name of the record, as normalised; null where it cannot be read or the feed has none';
comment on column dq.quarantine.category is 'Product category of the record, as normalised; null where it cannot be read or the feed has none';
comment on column dq.quarantine.day is 'Day of the record, UTC, as normalised; null where it cannot be read or the feed has none';
comment on column dq.quarantine.worth is 'Money at stake, USD, as in dq.cause; null where it cannot be read or the feed has none';
