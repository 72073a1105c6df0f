"""Golden cases: a folder with input files in order of arrival and the tables they must give.

`make test ARGS=--rewrite-golden` writes the expected files anew; review their difference.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.conftest import Pipeline
from tests.invariants import broken

CASES = sorted(path for path in (Path(__file__).parents[1] / "golden").iterdir() if path.is_dir())

TABLES = {
    "sales": {
        "silver.csv": "select transaction_id, customer_id, product_id, product_name, category, "
        "price, quantity, discount, date, region from silver.sales order by transaction_id",
        "gold.csv": "select t.transaction_id, c.customer_id, c.is_inferred, p.product_name, "
        "p.category, t.quantity, t.price, t.discount, t.total_value, t.region, "
        "t.transaction_datetime, t.transaction_month from gold.transactions t "
        "join gold.customers c using (customer_id) join gold.products p using (product_id) "
        "order by t.transaction_id",
    },
    "customers": {
        "silver.csv": "select customer_id, customer_name, email, region, join_date, loyalty_points "
        "from silver.customers order by customer_id",
        "gold.csv": "select customer_id, customer_name, email, region, join_date, loyalty_points, "
        "is_inferred from gold.customers order by customer_id",
    },
}
QUARANTINE = (
    "select b.file_name, q.position, q.record_key, q.dq_errors "
    "from dq.quarantine q join etl.batch b using (batch_id) order by q.batch_id, q.position"
)
WARNINGS = (
    "select b.file_name, r.message, c.records from dq.rule_count c join dq.rule r using (rule_id) "
    "join etl.batch b using (batch_id) where c.severity = 'warn' order by c.batch_id, r.ordinal"
)
BATCHES = (
    "select file_name, status, records, valid_records, invalid_records, superseded_records, "
    "inserted_rows, updated_rows, unchanged_rows from etl.batch order by batch_id"
)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_golden_case(case: Path, pipeline: Pipeline, request: pytest.FixtureRequest) -> None:
    dataset = case.name.split("_")[0]
    for file in sorted(case.glob("*.json")):
        pipeline.land(file.name, file.read_bytes())
        pipeline.run(dataset)
    with pipeline.engine.connect() as connection:
        assert broken(connection, pipeline.settings.home, quiet=True) == []
    tables = TABLES[dataset] | {
        "quarantine.csv": QUARANTINE,
        "warnings.csv": WARNINGS,
        "batches.csv": BATCHES,
    }
    for name, sql in tables.items():
        found = _as_csv(pipeline, sql)
        if request.config.getoption("--rewrite-golden"):
            (case / name).write_text(found, encoding="utf-8")
        assert found == (case / name).read_text(encoding="utf-8"), f"{case.name}/{name}"


def _as_csv(pipeline: Pipeline, sql: str) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    with pipeline.engine.connect() as connection:
        result = connection.exec_driver_sql(sql)
        writer.writerow(result.keys())
        writer.writerows(result.fetchall())
    return buffer.getvalue()
