"""Sales: one record a transaction. Judged after normalising (docs/reference/rules.md)."""

from __future__ import annotations

from etl import normalise
from etl.model import Column, Dataset, Judges, Money, Promotion, Rule, Severity
from etl.validate import REFERENCES

DATASET = Dataset(
    name="sales",
    title="Sales",
    key="transaction_id",
    silver_table="silver.sales",
    raw_table="raw.sales_raw",
    log_file="sales_etl_logs.log",
    error_file="invalid_sales.json",
    worth=("quantity", "price", "discount"),
    facets={
        "customer_id": "customer_id",
        "region": "region",
        "product_id": "product_id",
        "product_name": "product_name",
        "category": "category",
        "day": "date",
    },
    recognised_by=frozenset({"transaction_id", "product", "product_id", "quantity"}),
    columns=(
        Column(
            name="transaction_id",
            type="varchar(100)",
            comment="Transaction key",
            normalise=normalise.text,
            is_text=True,
        ),
        Column(
            name="customer_id",
            type="varchar(100)",
            comment="Customer key, C + digits",
            normalise=normalise.customer_id,
            required=True,
            is_text=True,
        ),
        Column(
            name="product_id",
            type="varchar(100)",
            comment="Product key",
            sources=("product.id", "product_id"),
            normalise=normalise.text,
            required=True,
            is_text=True,
        ),
        Column(
            name="product_name",
            type="varchar(255)",
            comment="Product name as given",
            sources=("product.name", "product_name"),
            normalise=normalise.text,
            is_text=True,
        ),
        Column(
            name="category",
            type="varchar(255)",
            comment="Product category as given",
            sources=("product.category", "category"),
            normalise=normalise.text,
            is_text=True,
        ),
        Column(
            name="price",
            type="numeric(12, 2)",
            comment="Price a piece, USD",
            sources=("product.price", "price"),
            normalise=normalise.number(2),
            required=True,
            check="price >= 0 and price <> 'NaN'",
        ),
        Column(
            name="quantity",
            type="integer",
            comment="Pieces sold",
            normalise=normalise.whole_number,
            required=True,
            check="quantity > 0",
        ),
        Column(
            name="discount",
            type="numeric(5, 4)",
            comment="Discount as a fraction, 0 to 1; missing is 0",
            normalise=normalise.number(4, percent=True, missing="0"),
            required=True,
            check="discount between 0 and 1",
        ),
        Column(
            name="date",
            type="timestamp",
            comment="Moment of the sale, UTC",
            normalise=normalise.timestamp,
            required=True,
        ),
        Column(
            name="region",
            type="varchar(100)",
            comment="Region of the sale in title case, Unknown when missing",
            normalise=normalise.title_case,
            required=True,
            is_text=True,
        ),
    ),
    rules=(
        Rule(
            code="transaction_id_missing",
            column="transaction_id",
            kind="not_null",
            message="Missing transaction_id",
            judges=Judges.RECEIVED,
        ),
        Rule(
            code="customer_id_missing",
            column="customer_id",
            kind="not_null",
            message="Missing customer_id",
        ),
        Rule(
            code="price_missing",
            column="price",
            kind="not_null",
            message="Missing price",
            judges=Judges.RECEIVED,
        ),
        Rule(
            code="quantity_invalid",
            column="quantity",
            kind="between",
            parameters={"min": 1, "max": 2147483647, "whole": True, "required": True},
            message="Invalid quantity",
        ),
        Rule(
            code="discount_invalid",
            column="discount",
            kind="between",
            parameters={"min": 0, "max": 1},
            message="Invalid discount",
        ),
        Rule(
            code="product_id_missing",
            column="product_id",
            kind="not_null",
            message="Missing product_id",
            judges=Judges.RECEIVED,
        ),
        Rule(
            code="date_invalid",
            column="date",
            kind="parses_as",
            parameters={"type": "date", "required": True},
            message="Invalid date",
        ),
        Rule(
            # from 9999999999.995 on, half up needs an eleventh digit before the point
            code="price_invalid",
            column="price",
            kind="between",
            parameters={"min": 0, "below": "9999999999.995"},
            message="Invalid price",
        ),
        *(
            Rule(
                code=f"{column}_length",
                column=column,
                kind="max_length",
                parameters={"length": length},
                message=f"{column} length > {length}",
            )
            for column, length in (
                ("transaction_id", 100),
                ("customer_id", 100),
                ("product_id", 100),
                ("product_name", 255),
                ("category", 255),
                ("region", 100),
            )
        ),
        *(
            Rule(
                code=f"{column}_scalar",
                column=column,
                kind="scalar",
                message=f"Invalid {column}",
                judges=Judges.RECEIVED,
            )
            for column in ("transaction_id", "product_id", "product_name", "category", "region")
        ),
        *(
            Rule(
                code=f"{column}_storable",
                column=column,
                kind="storable",
                message=f"Unstorable text in {column}",
                judges=Judges.RECEIVED,
            )
            for column in (
                "transaction_id",
                "customer_id",
                "product_id",
                "product_name",
                "category",
                "region",
            )
        ),
        Rule(
            # total_value has 14 digits before the point
            code="total_value_size",
            column="price",
            kind="total_below",
            parameters={"factor": "quantity", "fraction": "discount", "below": 99_999_999_999_999},
            message="total_value too large",
        ),
        Rule(
            code="date_ambiguous",
            column="date",
            kind="not_ambiguous",
            message="ambiguous date",
            severity=Severity.WARN,
            judges=Judges.RECEIVED,
        ),
        Rule(
            code="price_zero",
            column="price",
            kind="not_equal",
            parameters={"value": 0},
            message="price 0",
            severity=Severity.WARN,
        ),
        Rule(
            code="region_unknown",
            column="region",
            kind="not_equal",
            parameters={"value": normalise.UNKNOWN},
            message="unknown region",
            severity=Severity.WARN,
        ),
        Rule(
            code="customer_unknown",
            column="customer_id",
            kind=REFERENCES,
            parameters={"table": "silver.customers", "column": "customer_id"},
            message="unknown customer",
            severity=Severity.WARN,
        ),
    ),
    money=Money(
        amount="cast(round(quantity * price * (1 - discount), 2) as numeric(16, 2))",
        unit="USD",
        groups={"region": "region", "month": "to_char(date, 'YYYY-MM')"},
    ),
    promote=(
        Promotion(statement="remember_span", remembers=True),
        Promotion(statement="remember_customers", remembers=True),
        Promotion(statement="remember_products", remembers=True),
        Promotion(statement="remember_left_products", remembers=True),
        Promotion(statement="extend_dim_date"),
        Promotion(statement="insert_inferred_customers"),
        Promotion(statement="upsert_products"),
        Promotion(statement="update_transactions"),
        Promotion(statement="insert_transactions", bulk="gold.transactions", adds_rows=True),
        Promotion(statement="delete_transactions", only_full=True),
        Promotion(statement="delete_left_products", only_full=True),
        Promotion(statement="delete_left_customers", only_full=True),
        Promotion(statement="trim_dim_date"),
    ),
    ledger=("sales_in_gold",),
    gold_checks=("promoted_rows", "whole_calendar"),
)
