"""What an analyst sees and does on Explore."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from streamlit.testing.v1 import AppTest

from app import auth
from app.auth import Operator, Role
from etl import settings as settings_module
from etl.db import reporting
from etl.db.embedded import EmbeddedServer
from tests.conftest import FAST
from tests.gold import gold_changed
from tests.pages.conftest import ENTRY, words

HOSTILE = "<b>Bold</b> [x](http://evil.example) $1 :red[y]"

# North: 2 x 1,000.00 in January 2023, 500.00 in March; South: 250.50 in January 2024
FILL = """
insert into gold.customers
    (customer_id, customer_name, region, loyalty_points, is_inferred, insert_date, update_date)
values ('C1', 'Ann', 'North', 300, false, now(), now());
insert into gold.products (product_id, product_name, category, insert_date, update_date)
values ('P1', 'Laptop', 'Electronics', now(), now()), ('P2', 'Desk', 'Furniture', now(), now());
insert into gold.dim_date
select
    d::date, extract(year from d), extract(quarter from d), extract(month from d),
    extract(day from d), date_trunc('month', d)::date, to_char(d, 'FMMonth'),
    to_char(d, 'Mon YYYY'), extract(isodow from d), to_char(d, 'FMDay')
from generate_series('2023-01-01'::timestamp, '2024-12-31', '1 day') as d;
insert into gold.transactions
    (transaction_id, customer_id, product_id, quantity, price, discount, region,
     transaction_datetime, insert_date, update_date)
values
    ('T1', 'C1', 'P1', 2, 1000, 0, 'North', '2023-01-15 10:00', now(), now()),
    ('T2', 'C1', 'P2', 1, 500, 0, 'North', '2023-03-01 00:00', now(), now()),
    ('T3', 'C1', 'P2', 1, 250.50, 0, 'South', '2024-01-15 12:00', now(), now());
"""

Open = Callable[..., AppTest]


@pytest.fixture
def filled(clean: Engine) -> Engine:
    with clean.begin() as connection:
        connection.execute(text(FILL))
        gold_changed(connection)
    return clean


@pytest.fixture
def explore(open_page: Open, filled: Engine) -> Callable[..., AppTest]:
    def open_it(**query: object) -> AppTest:
        return open_page("explore", **query)

    return open_it


def table(at: AppTest) -> list[list[Any]]:
    frame = at.dataframe[0].value
    return [[None if cell != cell else cell for cell in row] for row in frame.to_numpy().tolist()]  # noqa: PLR0124


def figures(at: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]


def test_the_first_question_is_sales_by_month(explore: Callable[..., AppTest]) -> None:
    at = explore()
    assert table(at) == [
        ["Jan 2023", 2000.0],
        ["Mar 2023", 500.0],
        ["Jan 2024", 250.5],
        ["Total", 2750.5],
    ]
    (line,) = figures(at)
    assert line["data"][0]["type"] == "scatter"
    assert len(line["data"][0]["y"]) == 13  # each month, those without sales too
    assert "add up to the total" in words(at)
    assert len(at.get("download_button")) == 2


def test_measures_dimensions_and_a_pivot_can_be_picked(explore: Callable[..., AppTest]) -> None:
    at = explore()
    at.multiselect(key="measure").set_value(["pieces", "average_sale"]).run()
    at.selectbox(key="by").set_value("region").run()
    at.selectbox(key="and").set_value("category").run()
    assert table(at) == [
        ["North", "Electronics", 2, 2000.0],
        ["North", "Furniture", 1, 500.0],
        ["South", "Furniture", 1, 250.5],
        ["Total", "", 4, 916.83],
    ]
    assert len(figures(at)) == 2
    assert "Those of Avg Sale per Transaction do not" in words(at)
    at.toggle(key="across").set_value(True).run()
    assert not at.exception
    assert [row[:3] for row in table(at)] == [
        ["North", 2, 2000.0],
        ["South", 0, None],
        ["Total", 2, 2000.0],
    ]


def test_the_address_holds_the_question(explore: Callable[..., AppTest]) -> None:
    at = explore(
        measure="Transactions",
        by="Region",
        chart="Bars",
        top=1,
        **{"from": "2023-01-01", "to": "2023-12-31"},
    )
    assert at.multiselect(key="measure").value == ["transactions"]
    assert table(at) == [["North", 2], ["Total", 2]]
    at = explore(by="Region", top=1)
    assert table(at) == [["North", 2500.0], ["All others (1)", 250.5], ["Total", 2750.5]]


def test_a_comparison_shows_the_difference(explore: Callable[..., AppTest]) -> None:
    at = explore(by="Region", compare="A year before", **{"from": "2024-01-01", "to": "2024-01-31"})
    assert table(at) == [
        ["South", 250.5, 0.0, 250.5, None],
        ["North", 0.0, 2000.0, -2000.0, -100.0],
        ["Total", 250.5, 2000.0, -1749.5, pytest.approx(-87.475)],
    ]
    (bars,) = figures(at)
    assert [trace["name"] for trace in bars["data"]] == ["Now", "A year before"]


def test_a_comparison_without_a_period_says_what_it_needs(explore: Callable[..., AppTest]) -> None:
    at = explore(by="Region", compare="Period before")
    assert "first and the last day" in at.info[0].value
    assert table(at)[-1] == ["Total", 2750.5]


def test_charts_that_do_not_fit_give_way(explore: Callable[..., AppTest]) -> None:
    at = explore(by="Month", chart="Line")
    assert figures(at)[0]["data"][0]["type"] == "scatter"
    at.selectbox(key="by").set_value("region").run()
    assert not at.exception
    assert figures(at)[0]["data"][0]["type"] == "bar"
    at.selectbox(key="and").set_value("month").run()
    at.button_group(key="chart").set_value("heat").run()
    assert not at.exception
    assert figures(at)[0]["data"][0]["type"] == "heatmap"


def test_the_total_alone_is_a_card(explore: Callable[..., AppTest]) -> None:
    at = explore()
    at.selectbox(key="by").set_value("total").run()
    assert not at.exception
    assert [(card.label, card.value) for card in at.metric] == [("Total Sales", "$2.75K")]


def test_nothing_explains_itself(explore: Callable[..., AppTest]) -> None:
    at = explore(region="South", category="Electronics")
    assert "No sales match these filters" in at.info[0].value
    at = explore(**{"from": "2023-02-01", "to": "2023-01-01"})
    assert "ends before it starts" in at.info[0].value
    at = explore()
    at.multiselect(key="measure").set_value([]).run()
    assert "at least one measure" in at.info[0].value


def test_without_sales_the_next_action_is_named(open_page: Open) -> None:
    at = open_page("explore")
    assert "No sales yet" in words(at)
    assert [link.proto.page for link in at.get("page_link")] == ["upload"]


def test_what_the_address_cannot_mean_is_ignored(explore: Callable[..., AppTest]) -> None:
    at = explore(
        measure="Nothing",
        by="t.region; drop table x",
        top="many",
        order="?",
        tab="?",
        chart="?",
        compare="?",
    )
    assert table(at)[-1] == ["Total", 2750.5]
    at = explore(by="Region", **{"and": "Region", "top": "-1", "across": "true"})
    assert table(at)[-1] == ["Total", 2750.5]


@pytest.mark.parametrize(
    "query",
    [
        {"measure": ["Total Sales", "Pieces", "Gross Sales", "Discount Given", "Transactions"]},
        {"measure": ["Pieces", "Pieces"]},
        {"top": "99999999999999999999", "from": "0001-01-01", "to": "9999-12-31"},
        {"compare": "A year before", "from": "2023-01-15", "to": "2023-01-15", "by": "Day"},
    ],
)
def test_an_address_out_of_bounds_is_no_crash(
    filled: Engine, open_page: Open, query: dict[str, str | list[str]]
) -> None:
    at = AppTest.from_file(str(ENTRY), default_timeout=30)
    at.switch_page("../pages/explore.py")
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    assert at.dataframe[0].value.iloc[-1, 0] == "Total"


def test_hostile_names_are_only_text(explore: Callable[..., AppTest], filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(text("update gold.transactions set region = :name"), {"name": HOSTILE})
        gold_changed(connection)
    at = explore(by="Region", **{"and": "Month"})
    assert table(at)[0][0] == HOSTILE
    assert "<b>Bold" not in json.dumps(figures(at)).replace("<b>&lt;", "")
    assert "evil.example" not in "\n".join(
        element.value for element in (*at.markdown, *at.caption, *at.info)
    )


def test_new_data_is_shown_at_once(explore: Callable[..., AppTest], filled: Engine) -> None:
    at = explore()
    with filled.begin() as connection:
        connection.execute(text("update gold.transactions set price = 1, quantity = 1"))
        gold_changed(connection)
    at.run()
    assert table(at)[-1] == ["Total", 3.0]


# Named queries --------------------------------------------------------------------------


def test_named_queries_show_sentence_result_sql_and_plan(explore: Callable[..., AppTest]) -> None:
    at = explore(tab="Named queries", query="revenue_by_category")
    assert "Which category brings in most" in words(at)
    assert [row[0] for row in table(at)] == ["Electronics", "Furniture"]
    assert "from gold.transactions" in at.code[0].value
    at.toggle(key="plan").set_value(True).run()
    assert not at.exception
    assert any("Execution Time" in code.value for code in at.code)


# Saved views ----------------------------------------------------------------------------


def save(at: AppTest, name: str, *, shared: bool = False) -> AppTest:
    at.text_input[0].set_value(name)
    at.checkbox[0].set_value(shared)
    next(one for one in at.button if one.label == "Save").click().run()
    assert not at.exception
    return at


def links(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def test_a_view_is_saved_opened_and_deleted(
    explore: Callable[..., AppTest], filled: Engine
) -> None:
    at = save(explore(by="Region", region="North", tab="Explore"), "My <b>view</b>")
    assert "href='explore?" in links(at)
    assert "by=Region" in links(at)
    assert "region=North" in links(at)
    assert "My &lt;b&gt;view&lt;/b&gt;" in links(at)
    with filled.connect() as connection:
        (kept,) = connection.execute(text("select address from etl.saved_view")).scalars()
        assert kept == {"by": ["Region"], "region": ["North"]}
    at = explore()
    assert "My &lt;b&gt;view" in links(at)
    next(one for one in at.button if one.label == "Delete").click().run()
    assert not at.exception
    assert "No saved views yet" in words(at)
    with filled.connect() as connection:
        done = connection.execute(text("select action from etl.audit order by audit_id"))
        assert list(done.scalars()) == ["view.save", "view.delete"]


def test_a_view_needs_a_name(explore: Callable[..., AppTest]) -> None:
    at = save(explore(), "   ")
    assert "give the view a name" in words(at)


def test_views_of_others_are_seen_when_they_are_shared(
    explore: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_somebody(monkeypatch, "ann", Role.VIEWER)
    save(save(explore(), "Secret"), "Known", shared=True)
    as_somebody(monkeypatch, "bob", Role.VIEWER)
    at = explore()
    assert "Known" in links(at)
    assert "Secret" not in links(at)
    assert "by ann" in words(at)
    assert "Delete" not in [one.label for one in at.button]
    as_somebody(monkeypatch, "cid", Role.ADMIN)
    assert "Delete" in [one.label for one in explore().button]


def as_somebody(monkeypatch: pytest.MonkeyPatch, name: str, role: Role) -> None:
    monkeypatch.setattr(auth, "current", lambda: Operator(name=name, role=role, origin="test"))


# SQL box --------------------------------------------------------------------------------


@pytest.fixture
def box(
    explore: Callable[..., AppTest],
    engine: Engine,
    database_url: str,
    server_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AppTest:
    provided = reporting.provide(
        engine,
        database_url,
        settings_module.load(home=Path.cwd()),
        EmbeddedServer(server_folder / "database", options=FAST),
    )
    monkeypatch.setenv("REVENUE_SQL_BOX_URL", provided.urls["sql_box"])
    return explore(tab="SQL")


def run(at: AppTest, statement: str) -> AppTest:
    at.text_area(key="sql_text").set_value(statement)
    at.button(key="sql_run").click().run()
    assert not at.exception
    started = at.session_state["sql_statement"]
    if started is not None and started.wait(0) and at.button(key="sql_run").disabled:
        at.run()
    return at


def test_a_statement_shows_its_rows_and_is_audited(box: AppTest, filled: Engine) -> None:
    at = run(box, "select region, sum(quantity) from transactions group by 1 order by 1")
    assert table(at) == [["North", 3], ["South", 1]]
    assert len(at.get("download_button")) == 2
    with filled.connect() as connection:
        action, after = connection.execute(text("select action, after from etl.audit")).one()
    assert action == "sql.run"
    assert after["statement"].startswith("select region, sum(quantity)")


def test_an_error_is_words_with_its_place(box: AppTest) -> None:
    at = run(box, "select *\nfrom nowhere")
    assert "relation" in at.error[0].value
    assert "Line 2, character 6" in at.error[0].value.replace("\\", "")
    assert at.code[0].value == "from nowhere\n     ^"


def test_what_is_no_statement_is_told(box: AppTest) -> None:
    assert "write a statement first" in run(box, "  ").error[0].value
    assert "one statement that returns rows" in run(box, "delete from customers").error[0].value


def test_a_running_statement_can_be_cancelled(box: AppTest, filled: Engine) -> None:
    at = run(box, "select pg_sleep(60)")
    assert at.button(key="sql_run").disabled
    assert "running for" in words(at)
    at.button(key="sql_cancel").click().run()
    assert not at.exception
    assert at.session_state["sql_statement"].wait(5)
    at.run()
    assert "was cancelled" in words(at)
    assert not at.button(key="sql_run").disabled
    with filled.connect() as connection:
        active = "select count(*) from pg_stat_activity where usename = 'sql_box'"
        assert connection.execute(text(active)).scalar_one() == 0
        done = connection.execute(text("select action from etl.audit order by audit_id"))
        assert list(done.scalars()) == ["sql.run", "sql.cancel"]


def test_without_a_role_of_its_own_the_box_says_what_to_do(
    explore: Callable[..., AppTest],
) -> None:
    at = explore(tab="SQL")
    assert "REVENUE_SQL_BOX_URL" in at.info[0].value
    assert not at.text_area


def test_the_box_is_for_stewards(
    explore: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_somebody(monkeypatch, "olga", Role.OPERATOR)
    at = explore(tab="SQL")
    assert "need the role steward" in at.info[0].value
    assert not at.text_area
