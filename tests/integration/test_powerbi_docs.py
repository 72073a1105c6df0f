"""The numbers that docs/powerbi.md tells the first person with Desktop to look for."""

from __future__ import annotations

from pathlib import Path

from app import supervise
from app.powerbi import project
from app.powerbi.source import Source
from etl import generate
from tests.conftest import Pipeline

DOCS = (Path(__file__).parents[2] / "docs/powerbi.md").read_text(encoding="utf-8")
SALES = "from gold.transactions as t join gold.customers as c using (customer_id)"
KNOWN = "from gold.customers as c where not is_inferred"
MEASURES = (
    f"(select sum(total_value) {SALES} where {{sales}}), (select count(*) {SALES} where {{sales}}), "
    f"(select count(*) {KNOWN} and {{customers}}), "
    f"(select sum(loyalty_points) {KNOWN} and {{customers}})"
)


def test_they_are_those_of_the_demo_data(pipeline: Pipeline) -> None:
    customers = max(100, pipeline.settings.demo_records // 20)
    for name, records in (("customers", customers), ("sales", pipeline.settings.demo_records)):
        generate.write(
            name,
            records=records,
            seed=supervise._DEMO_SEED,
            path=pipeline.settings.landing / f"demo_{name}.json",
            format="json",
            customers=customers,
        )
        pipeline.run(name)

    def line(sales: str = "true", customers: str = "true") -> str:
        chosen = MEASURES.format(sales=sales, customers=customers)
        return " | ".join(f"{value:,}" for value in pipeline.rows(f"select {chosen}")[0])

    north = "region = 'North'"
    assert f"| none | {line()} |" in DOCS
    assert f"customer lives | {line(f'c.{north}', f'c.{north}')} |" in DOCS
    assert f"sale was made | {line(f't.{north}')} |" in DOCS

    tables = ("customers", "dim_date", "products", "transactions")
    counts = [f"{one} {pipeline.value(f'select count(*) from gold.{one}'):,}" for one in tables]
    assert ", ".join(counts) in DOCS
    total, sales_ytd, average, high, known = pipeline.rows(
        "select sum(total_value), sum(total_value) filter (where transaction_date >= '2023-01-01'),"
        " round(avg(total_value), 2), count(*) filter (where total_value > 1000),"
        f" (select count(*) {KNOWN}) from gold.transactions"
    )[0]
    cards = f"Customers {known}, Total Sales {total:,}, Sales YTD {sales_ytd:,}, Avg Sale {average}"
    assert f"{cards}, High Value Transactions {high}" in DOCS
    sums = (
        f"select t.region, sum(total_value) {SALES} where t.region <> 'Unknown' group by 1",
        f"select to_char(transaction_month, 'FMMonth'), sum(total_value) {SALES} group by 1",
        f"select product_name, sum(total_value) {SALES} join gold.products using (product_id) group by 1",
    )
    most = [pipeline.rows(f"{one} order by 2 desc limit 1")[0] for one in sums]
    region, points = pipeline.rows(
        f"select region, sum(loyalty_points) {KNOWN} group by 1 order by 2 desc limit 1"
    )[0]
    pointed = "; ".join(f"{name} {value:,}" for name, value in most)
    assert f"{pointed}; ring: {region} {points:,}" in DOCS
    assert f"{most[0][0]} | Total Sales {most[0][1]:,}; Customers stays {known}" in DOCS


def test_the_number_of_files_is_that_of_the_export(tmp_path: Path) -> None:
    assert f"| {len(project.write(tmp_path / 'new', Source()))} files for revenue on" in DOCS
