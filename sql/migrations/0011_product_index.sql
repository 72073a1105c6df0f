-- Promotion finds a product's older sales through gold.transactions_by_product.

drop index silver.sales_by_product_id;
