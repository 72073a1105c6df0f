"""Rules as an operator sees, drafts and activates them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from app import actions, context
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words
from tests.shipped_rules import shipped_again


@pytest.fixture(autouse=True)
def put_back(pipeline: Pipeline) -> Iterator[None]:
    with shipped_again(pipeline.engine):
        yield


def rule_id(pipeline: Pipeline, code: str) -> int:
    return int(
        pipeline.value("select rule_id from dq.rule where code = :c and dataset = 'sales'", c=code)
    )


def test_rules_are_sentences_that_filters_narrow(open_page: Open) -> None:
    at = open_page("rules", feed="sales", severity="warn")
    table = at.dataframe[0].value
    assert table["sentence"].tolist() == [
        "date should not be readable as two different days",
        "price must not be 0",
        "region must not be Unknown",
        "customer_id should exist in silver.customers",
    ]
    assert table["state"].tolist() == [["✓ on"]] * 4
    assert "4 rules" in words(at)
    assert "No rule fits these filters" in words(open_page("rules", state="off"))
    assert len(open_page("rules", feed="sales").dataframe[0].value) == 25


def test_a_new_rule_is_drafted_and_activated(open_page: Open, pipeline: Pipeline) -> None:
    at = open_page("rules", new="sales")
    at.selectbox(key="form_sales_new_column").set_value("price").run()
    at.selectbox(key="form_sales_new_kind_price").set_value("greater_than").run()
    at.button(key="save").click().run()
    assert "message must not be empty" in at.error[0].value
    at.text_input(key="form_sales_new_greater_than_value").set_value("0.5")
    at.text_input(key="form_sales_new_message").set_value("cheap [x](y)")
    at.text_input(key="form_sales_new_reason").set_value("cents are mistakes").run()
    assert "price must be greater than 0\\.5" in words(at)
    at.button(key="save").click().run()
    assert not at.error
    said = words(at)
    assert "Drafts of sales: 1" in said
    assert "cents are mistakes" in said
    assert "[x](y)" not in said
    draft = pipeline.value("select draft_id from dq.rule_draft")
    at.button(key=f"activate_{draft}").click().run()
    assert not at.error
    assert "Drafts of sales" not in words(at)
    assert pipeline.rows(
        "select parameters, severity, origin from dq.rule where code = 'price_greater_than'"
    ) == [({"value": "0.5"}, "warn", "operator")]


def test_a_change_is_a_version_that_can_be_gone_back_to(
    open_page: Open, pipeline: Pipeline
) -> None:
    found = rule_id(pipeline, "quantity_invalid")
    version = pipeline.value("select version from dq.rule where rule_id = :r", r=found)
    at = open_page("rules", rule=found)
    assert at.title[0].value == "Invalid quantity"
    at.button(key="change").click().run()
    at.text_input(key=f"form_sales_{found}_between_max").set_value("100")
    at.text_input(key=f"form_sales_{found}_owner").set_value("ada")
    at.number_input(key=f"form_sales_{found}_stop_rate").set_value(50.0).run()
    at.button(key="save").click().run()
    assert not at.error
    assert "owner: none → ada" in words(at).replace("\\", "").replace("\u200b", "")
    draft = pipeline.value("select draft_id from dq.rule_draft")
    at.button(key=f"activate_{draft}").click().run()
    assert not at.error
    assert f"**Version {version + 1}**" in words(at)
    assert pipeline.rows(
        "select parameters ->> 'max', owner, stop_rate from dq.rule where rule_id = :r", r=found
    ) == [("100", "ada", pytest.approx(0.5))]
    at.button(key=f"back_{version}").click().run()
    assert not at.error
    at.button(
        key=f"activate_{pipeline.value('select max(draft_id) from dq.rule_draft')}"
    ).click().run()
    assert pipeline.rows(
        "select parameters ->> 'max', owner, version from dq.rule where rule_id = :r", r=found
    ) == [("2147483647", None, version + 2)]


def test_a_rule_is_switched_off_moved_and_its_draft_withdrawn(
    open_page: Open, pipeline: Pipeline
) -> None:
    found = rule_id(pipeline, "price_zero")
    at = open_page("rules", rule=found)
    at.button(key="switch").click().run()
    assert not at.error
    draft = pipeline.value("select draft_id from dq.rule_draft where rule ->> 'active' = 'false'")
    at.button(key=f"withdraw_{draft}").click().run()
    at.button(key="up").click().run()
    assert not at.error
    assert pipeline.rows("select status from dq.rule_draft order by draft_id") == [
        ("withdrawn",),
        ("draft",),
    ]


def test_an_outdated_draft_cannot_be_activated(open_page: Open, pipeline: Pipeline) -> None:
    found = rule_id(pipeline, "price_zero")
    open_page("rules", rule=found).button(key="switch").click().run()
    with pipeline.engine.begin() as connection:
        connection.execute(
            text("update dq.rule set version = version + 1 where rule_id = :r"), {"r": found}
        )
    at = open_page("rules", feed="sales")
    draft = pipeline.value("select draft_id from dq.rule_draft")
    assert at.button(key=f"activate_{draft}").disabled
    assert "outdated" in words(at)


def test_a_file_makes_drafts_or_says_what_is_wrong_in_it(
    open_page: Open, pipeline: Pipeline
) -> None:
    at = open_page("rules")
    at.file_uploader(key="file").upload("rules.yaml", b"sales: 5", "text/yaml").run()
    at.button(key="import").click().run()
    assert "line 1" in at.error[0].value
    assert pipeline.value("select count(*) from dq.rule_draft") == 0
    good = b"sales:\n- {code: b, column: region, kind: not_null, message: no region, order: 1}\n"
    at.file_uploader(key="file").upload("rules.yaml", good, "text/yaml").run()
    at.button(key="import").click().run()
    assert not at.error
    assert pipeline.value("select rule ->> 'code' from dq.rule_draft") == "b"
    assert "Drafts of sales: 1" in words(at)


def test_a_refusal_is_said_in_words(
    open_page: Open, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = actions.Operator(name="vic", role=actions.Role.VIEWER, origin="page")
    monkeypatch.setattr(context.auth, "current", lambda: viewer)
    at = open_page("rules", rule=rule_id(pipeline, "price_zero"))
    at.button(key="switch").click().run()
    assert "needs the role steward" in at.error[0].value


def test_drafts_are_activated_and_everything_is_judged_again(
    open_page: Open, pipeline: Pipeline
) -> None:
    rule_id = pipeline.value(
        "select rule_id from dq.rule where dataset = 'sales' and code = 'quantity_invalid'"
    )
    at = open_page("rules", rule=rule_id)
    at.button(key="switch").click().run()
    at = open_page("rules", feed="sales")
    assert "Try it" in [button.label for button in at.button]
    at.button(key="activate_again_sales").click().run()
    assert not at.exception
    assert pipeline.rows(
        "select trigger, is_full, status from etl.run order by run_id desc limit 1"
    ) == [("rules", True, "queued")]
    assert pipeline.value("select active from dq.rule where rule_id = :r", r=rule_id) is False


def test_drafts_of_two_feeds_are_tried_apart(open_page: Open, pipeline: Pipeline) -> None:
    for dataset, code in (("sales", "price_zero"), ("customers", "email_length")):
        found = pipeline.value(
            "select rule_id from dq.rule where dataset = :d and code = :c", d=dataset, c=code
        )
        open_page("rules", rule=found).button(key="switch").click().run()
    at = open_page("rules")
    assert [button.label for button in at.button].count("Try it") == 2
