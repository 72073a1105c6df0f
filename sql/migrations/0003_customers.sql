-- Customers: printed from etl/datasets/customers.py by `revenue migrate --print customers`.

insert into etl.dataset (dataset, title) values ('customers', 'Customers');
insert into silver.etl_metadata (pipeline_name) values ('customers_silver');

create table raw.customers_raw (
    batch_id bigint not null,
    position integer not null,
    record text not null,
    insert_date timestamptz not null,
    primary key (batch_id, position)
);
comment on table raw.customers_raw is 'Customers: every record of every accepted file, exactly as received';
comment on column raw.customers_raw.batch_id is 'Batch of the record';
comment on column raw.customers_raw.position is 'Position of the record in its file, from 1';
comment on column raw.customers_raw.record is 'JSON text exactly as received';
comment on column raw.customers_raw.insert_date is 'Stamp of the batch';

create table silver.customers (
    customer_id varchar(100) primary key,
    customer_name varchar(50) not null,
    email varchar(50),
    region varchar(100) not null,
    join_date date,
    loyalty_points integer not null check (loyalty_points between 0 and 1000000),
    insert_date timestamptz not null,
    update_date timestamptz not null,
    batch_id bigint not null,
    position integer not null
);
comment on table silver.customers is 'Customers: clean, one row a customer_id, newest record wins';
comment on column silver.customers.customer_id is 'Customer key, C + digits';
comment on column silver.customers.customer_name is 'Name without trailing digits; NA when empty or with special characters';
comment on column silver.customers.email is 'E-mail address in lower case, null when it is none';
comment on column silver.customers.region is 'Home region in upper case, NA when missing or unknown';
comment on column silver.customers.join_date is 'Day the customer joined, null when unreadable';
comment on column silver.customers.loyalty_points is 'Loyalty points, cut to 0..1,000,000; missing is 0';
comment on column silver.customers.insert_date is 'When the row was made';
comment on column silver.customers.update_date is 'When the row last changed';
comment on column silver.customers.batch_id is 'Batch of the record that the row holds';
comment on column silver.customers.position is 'Position of that record in its file';
create index customers_by_batch on silver.customers (batch_id);
