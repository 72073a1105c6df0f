-- Sales: printed from etl/datasets/sales.py by `revenue migrate --print sales`.

insert into etl.dataset (dataset, title) values ('sales', 'Sales');
insert into silver.etl_metadata (pipeline_name) values ('sales_silver');

create table raw.sales_raw (
    batch_id bigint not null,
    position integer not null,
    record text not null,
    insert_date timestamptz not null,
    primary key (batch_id, position)
);
comment on table raw.sales_raw is 'Sales: every record of every accepted file, exactly as received';
comment on column raw.sales_raw.batch_id is 'Batch of the record';
comment on column raw.sales_raw.position is 'Position of the record in its file, from 1';
comment on column raw.sales_raw.record is 'JSON text exactly as received';
comment on column raw.sales_raw.insert_date is 'Stamp of the batch';

create table silver.sales (
    transaction_id varchar(100) primary key,
    customer_id varchar(100) not null,
    product_id varchar(100) not null,
    product_name varchar(255),
    category varchar(255),
    price numeric(12, 2) not null check (price >= 0 and price <> 'NaN'),
    quantity integer not null check (quantity > 0),
    discount numeric(5, 4) not null check (discount between 0 and 1),
    date timestamp not null,
    region varchar(100) not null,
    insert_date timestamptz not null,
    update_date timestamptz not null,
    batch_id bigint not null,
    position integer not null
);
comment on table silver.sales is 'Sales: clean, one row a transaction_id, newest record wins';
comment on column silver.sales.transaction_id is 'Transaction key';
comment on column silver.sales.customer_id is 'Customer key, C + digits';
comment on column silver.sales.product_id is 'Product key';
comment on column silver.sales.product_name is 'Product name as given';
comment on column silver.sales.category is 'Product category as given';
comment on column silver.sales.price is 'Price a piece, USD';
comment on column silver.sales.quantity is 'Pieces sold';
comment on column silver.sales.discount is 'Discount as a fraction, 0 to 1; missing is 0';
comment on column silver.sales.date is 'Moment of the sale, UTC';
comment on column silver.sales.region is 'Region of the sale in title case, Unknown when missing';
comment on column silver.sales.insert_date is 'When the row was made';
comment on column silver.sales.update_date is 'When the row last changed';
comment on column silver.sales.batch_id is 'Batch of the record that the row holds';
comment on column silver.sales.position is 'Position of that record in its file';
create index sales_by_batch on silver.sales (batch_id);
create index sales_by_product_id on silver.sales (product_id, batch_id);
