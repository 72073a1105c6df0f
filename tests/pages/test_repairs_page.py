"""Causes are listed, a group is repaired, repairs are taken back, recipes are proposed."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.actions import causes
from etl.causes import Group, Operation
from tests.conftest import Pipeline
from tests.integration.test_repairs import desk, sale, work
from tests.pages.conftest import Open, words

HOSTILE = "![x](https://evil.example/x.png)"


@pytest.fixture
def loaded(pipeline: Pipeline) -> Pipeline:
    records = [sale(n, quantity=-n) for n in range(1, 6)]
    pipeline.land("sales.json", [*records, sale(8, date=HOSTILE), sale(9)])
    pipeline.run("sales")
    return pipeline


def cause(pipeline: Pipeline, pattern: str) -> dict[str, Any]:
    rule, column = pipeline.rows(
        "select rule_id, column_name from dq.cause where pattern = :p limit 1", p=pattern
    )[0]
    return {"cause": rule, "column": column, "pattern": pattern}


def group(pipeline: Pipeline) -> Group:
    found = cause(pipeline, "-9")
    return Group(
        dataset="sales", rule_id=found["cause"], column=found["column"], pattern=found["pattern"]
    )


def press(at: AppTest, label: str) -> AppTest:
    next(button for button in at.button if button.label == label).click()
    at.run()
    assert not at.exception, at.exception[0].message
    return at


def test_empty_views_name_the_next_step(open_page: Open) -> None:
    assert "Nothing to repair" in words(open_page("repairs"))
    assert "No repairs yet" in words(open_page("repairs", show="repairs"))
    assert "No recipes yet" in words(open_page("repairs", show="recipes"))
    assert "No open record fits" in words(open_page("repairs", feed="sales"))
    assert "No open record of this cause" in words(open_page("repairs", cause=1, pattern="9"))


def test_groups_show_pattern_examples_and_money(open_page: Open, loaded: Pipeline) -> None:
    table = open_page("repairs").dataframe[0].value
    assert table["open"].tolist()[0] == "-9"
    assert table["records"].tolist() == [5, 1]
    assert table["rule"].tolist() == ["Invalid quantity", "Invalid date"]
    assert table["worth"].tolist()[0] == pytest.approx(15 * 10.5)
    assert set(table["examples"].tolist()[0].split(", ")) <= {"-1", "-2", "-3", "-4", "-5"}
    rule = cause(loaded, "-9")["cause"]
    assert open_page("repairs", rule=rule).dataframe[0].value["open"].tolist() == ["-9"]
    assert "No open record fits" in words(open_page("repairs", feed="customers"))
    assert len(open_page("repairs", page=7).dataframe[0].value) == 2


def test_a_group_is_previewed_applied_and_taken_back(open_page: Open, loaded: Pipeline) -> None:
    at = open_page("repairs", **cause(loaded, "-9"))
    assert "say which value" in words(at)
    at.selectbox(key="operation").select("absolute").run()
    assert at.dataframe[0].value["before"].tolist() == ["-1", "-2", "-3", "-4", "-5"]
    assert at.dataframe[0].value["after"].tolist() == ["1", "2", "3", "4", "5"]
    press(at, "Preview")
    assert {metric.label: metric.value for metric in at.metric} == {
        "Inserted": "5",
        "Updated": "0",
        "Unchanged": "0",
        "Still invalid": "0",
    }
    assert loaded.value("select count(*) from dq.repair") == 0
    press(at, "Repair 5 records")
    assert "needs a reason" in words(at)
    at.text_input(key="reason").set_value("the till lost the sign")
    at.checkbox(key="keep").check().run()
    at.text_input(key="recipe_name").set_value("Sign lost")
    press(at, "Repair 5 records")
    assert "take the minus sign off quantity" in words(at)
    assert at.query_params["show"] == "repairs"
    assert loaded.value("select count(*) from dq.recipe") == 1

    work(loaded)
    at = open_page("repairs", show="repairs")
    press(at, "Take back")
    press(at, "Take it back")
    assert "needs a reason" in words(at)
    at.text_input(key="revert_reason").set_value("they were returns")
    press(at, "Take it back")
    work(loaded)
    assert "taken back by" in words(open_page("repairs", show="repairs"))
    assert open_page("repairs").dataframe[0].value["recipe"].tolist()[0] == "Sign lost"


def test_a_recipe_is_used_and_switched_off(open_page: Open, loaded: Pipeline) -> None:
    recipe = causes.save_recipe(
        desk(loaded), group(loaded), Operation(kind="absolute"), name=HOSTILE
    )
    at = open_page("repairs", **cause(loaded, "-9"))
    assert at.dataframe[0].value["after"].tolist() == ["1", "2", "3", "4", "5"]
    press(at, "Preview")
    at.text_input(key="reason").set_value("as always")
    press(at, "Repair 5 records")
    assert loaded.value("select recipe_id from dq.repair") == recipe
    at = open_page("repairs", show="recipes")
    assert HOSTILE not in words(at)
    assert "used 1 times" in words(at)
    at.toggle(key=f"recipe_{recipe}").set_value(False).run()
    assert loaded.value("select active from dq.recipe") is False


def test_another_operation_hides_the_preview(open_page: Open, loaded: Pipeline) -> None:
    at = open_page("repairs", **cause(loaded, "-9"))
    at.selectbox(key="operation").select("absolute").run()
    press(at, "Preview")
    at.selectbox(key="operation").select("map").run()
    at.text_area(key="values").set_value("-1 → 1\n-2 => 2").run()
    assert at.dataframe[0].value["after"].tolist() == ["1", "2"]
    assert not at.metric
    assert "3 stay as they are" in words(at)
