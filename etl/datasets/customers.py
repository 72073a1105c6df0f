"""Customers: one record a customer. Judged as received, then cleaned, as the SSIS package did."""

from __future__ import annotations

from etl import normalise, rollup
from etl.model import Column, Dataset, Judges, Promotion, Rule, Severity

DATASET = Dataset(
    name="customers",
    title="Customers",
    key="customer_id",
    silver_table="silver.customers",
    raw_table="raw.customers_raw",
    log_file="customer_etl_logs.txt",
    error_file="invalid_customers.csv",
    recognised_by=frozenset({"customer_name", "email", "join_date", "loyalty_points"}),
    columns=(
        Column(
            name="customer_id",
            type="varchar(100)",
            comment="Customer key, C + digits",
            normalise=normalise.customer_id,
            is_text=True,
        ),
        Column(
            name="customer_name",
            type="varchar(50)",
            comment="Name without trailing digits; NA when empty or with special characters",
            normalise=normalise.person_name,
            required=True,
            is_text=True,
        ),
        Column(
            name="email",
            type="varchar(50)",
            comment="E-mail address in lower case, null when it is none",
            normalise=normalise.email,
            is_text=True,
        ),
        Column(
            name="region",
            type="varchar(100)",
            comment="Home region in upper case, NA when missing or unknown",
            normalise=normalise.upper_or_na,
            required=True,
            is_text=True,
        ),
        Column(
            name="join_date",
            type="date",
            comment="Day the customer joined, null when unreadable",
            normalise=normalise.date,
        ),
        Column(
            name="loyalty_points",
            type="integer",
            comment="Loyalty points, cut to 0..1,000,000; missing is 0",
            normalise=normalise.clipped_whole_number(0, 1_000_000, missing=0),
            required=True,
            check="loyalty_points between 0 and 1000000",
        ),
    ),
    rules=(
        Rule(
            code="customer_id_missing",
            column="customer_id",
            kind="not_null",
            message="customer_id is NULL",
            judges=Judges.RECEIVED,
        ),
        Rule(
            code="email_length",
            column="email",
            kind="max_length",
            parameters={"length": 50},
            message="email length > 50",
            judges=Judges.RECEIVED,
        ),
        Rule(
            code="customer_name_length",
            column="customer_name",
            kind="max_length",
            parameters={"length": 50},
            message="customer_name length > 50",
            judges=Judges.RECEIVED,
        ),
        Rule(
            code="customer_id_invalid",
            column="customer_id",
            kind="parses_as",
            parameters={"type": "customer_id"},
            message="Invalid customer_id",
        ),
        *(
            Rule(
                code=f"{column}_length",
                column=column,
                kind="max_length",
                parameters={"length": 100},
                message=f"{column} length > 100",
            )
            for column in ("customer_id", "region")
        ),
        *(
            Rule(
                code=f"{column}_scalar",
                column=column,
                kind="scalar",
                message=f"Invalid {column}",
                judges=Judges.RECEIVED,
            )
            for column in ("customer_name", "email", "region", "join_date", "loyalty_points")
        ),
        *(
            Rule(
                code=f"{column}_storable",
                column=column,
                kind="storable",
                message=f"Unstorable text in {column}",
                judges=Judges.RECEIVED,
            )
            for column in ("customer_id", "customer_name", "email", "region")
        ),
        Rule(
            code="join_date_unusable",
            column="join_date",
            kind="usable",
            message="unusable join_date",
            severity=Severity.WARN,
            judges=Judges.RECEIVED,
        ),
        Rule(
            code="loyalty_points_unusable",
            column="loyalty_points",
            kind="usable",
            message="unusable loyalty_points",
            severity=Severity.WARN,
            judges=Judges.RECEIVED,
        ),
    ),
    promote=(
        Promotion(subject="rollup", statement="remember_homes", remembers=True, only_changes=True),
        Promotion(statement="fill_inferred_customers", adds_rows=True),
        Promotion(statement="update_customers"),
        Promotion(statement="insert_customers", adds_rows=True),
        Promotion(statement="infer_left_customers", only_full=True),
        Promotion(statement="delete_left_customers", only_full=True),
        *rollup.KEPT,
    ),
    ledger=("customers_in_gold",),
    gold_checks=("promoted_customers",),
)
