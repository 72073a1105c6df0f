"""Invalid records are decided about on the page: by filter, by ticks, and one by one."""

from __future__ import annotations

import getpass
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from app import components, nav
from etl.triage_states import Action, Change, Filters, change, change_one
from tests.conftest import Pipeline
from tests.pages.conftest import Open, words

ME = getpass.getuser()


@pytest.fixture
def ids(pipeline: Pipeline) -> list[int]:
    """Four invalid sales: without a price the first two, with a negative quantity the others."""
    pipeline.land(
        "sales.json",
        [
            {
                "transaction_id": f"T{n}",
                "customer_id": "C1",
                "product_id": "P1",
                "date": "2024-01-01",
                "quantity": 1 if n < 3 else -1,
                **({} if n < 3 else {"price": 5}),
            }
            for n in range(1, 5)
        ],
    )
    pipeline.run("sales")
    return [row[0] for row in pipeline.rows("select quarantine_id from dq.quarantine order by 1")]


def states(pipeline: Pipeline) -> list[str]:
    return [row[0] for row in pipeline.rows("select status from dq.quarantine order by position")]


def decide(pipeline: Pipeline, quarantine_id: int, wish: Change) -> None:
    with pipeline.engine.begin() as connection:
        change_one(connection, quarantine_id, wish, actor="anna")


def plain(at: AppTest) -> str:
    return words(at).replace("\\", "").replace("\u200b", "")


def keys(at: AppTest) -> list[str]:
    return list(at.dataframe[0].value["record_key"])


def tick(at: AppTest, rows: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tick rows; AppTest has no way to do it, so it is said where the page asks for it."""
    monkeypatch.setattr(components, "selected_rows", lambda key: rows)
    at.run()


def test_figures_of_each_state_filter_by_click(
    open_page: Open, pipeline: Pipeline, ids: list[int]
) -> None:
    decide(pipeline, ids[0], Change(action=Action.DISMISS, reason="x"))
    decide(pipeline, ids[1], Change(action=Action.SEND_BACK, reason="x"))
    at = open_page("invalid_records")
    pills = at.pills(key="status_pills")
    assert [option.rsplit(" ", 1)[1] for option in pills.options] == [
        f"**{count}**" for count in (3, 2, 0, 0, 1, 0, 1, 0, 4)
    ]
    assert pills.value == "unfinished"
    assert keys(at) == ["T4", "T3", "T2"]
    pills.set_value("dismissed").run()
    assert at.query_params["status"] == "dismissed"
    assert keys(at) == ["T1"]
    at.pills(key="status_pills").set_value("all").run()
    assert keys(at) == ["T4", "T3", "T2", "T1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"owner": "mine"}, ["T1"]),
        ({"owner": "nobody"}, ["T4", "T3"]),
        ({"owner": "@anna"}, ["T2"]),
        ({"owner": "@nobody there"}, []),
        ({"age": "day"}, ["T4", "T2", "T1"]),
        ({"age": "older"}, ["T3"]),
        ({"age": "month"}, []),
        ({"file": "SALES"}, ["T4", "T3", "T2", "T1"]),
        ({"file": "customers"}, []),
        ({"batch": 0}, []),
        ({"status": "assigned", "key": "t2"}, ["T2"]),
    ],
)
def test_filters_stand_in_the_address(
    open_page: Open, pipeline: Pipeline, ids: list[int], query: dict[str, object], found: list[str]
) -> None:
    for quarantine_id, owner in ((ids[0], ME), (ids[1], "anna")):
        decide(pipeline, quarantine_id, Change(action=Action.ASSIGN, assignee=owner))
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update dq.quarantine set created_at = now() - interval '8 days' where position = 3"
        )
    at = open_page("invalid_records", **query)
    if found:
        assert keys(at) == found
    else:
        assert "No invalid record fits these filters" in words(at)


def test_an_owner_is_chosen_from_those_who_have_some(
    open_page: Open, pipeline: Pipeline, ids: list[int]
) -> None:
    decide(pipeline, ids[1], Change(action=Action.ASSIGN, assignee="anna"))
    at = open_page("invalid_records")
    assert at.selectbox(key="owner_select").options == ["Mine", "Nobody's", "anna"]
    at.selectbox(key="owner_select").set_value("@anna").run()
    assert at.query_params["owner"] == "@anna"
    assert keys(at) == ["T2"]


def test_all_that_match_are_dismissed_with_a_reason(
    open_page: Open, pipeline: Pipeline, ids: list[int]
) -> None:
    rule_id = pipeline.value("select rule_id from dq.rule where message = 'Invalid quantity'")
    at = open_page("invalid_records", rule=rule_id)
    assert at.button(key="triage_dismiss").disabled
    at.toggle(key="triage_all").set_value(True).run()
    at.button(key="triage_dismiss").click().run()
    assert [(metric.label, metric.value) for metric in at.metric] == [("Records to change", "2")]
    at.button(key="triage_go").click().run()
    assert "write a reason" in words(at)
    assert states(pipeline) == ["open"] * 4
    at.text_area(key="triage_reason").set_value("test data").run()
    at.button(key="triage_go").click().run()
    assert not at.exception
    assert states(pipeline) == ["open", "open", "dismissed", "dismissed"]
    assert "2 records are dismissed" in words(at)
    assert pipeline.rows("select distinct actor, note from dq.triage_event") == [(ME, "test data")]


def test_only_the_ticked_records_change(
    open_page: Open, pipeline: Pipeline, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page("invalid_records")
    tick(at, [0, 2], monkeypatch)
    assert "2 ticked" in words(at)
    at.button(key="triage_assign").click().run()
    at.selectbox(key="triage_assignee").set_value(ME).run()
    at.button(key="triage_go").click().run()
    assert states(pipeline) == ["open", "assigned", "open", "assigned"]


def test_a_dialog_says_what_stays_and_why(
    open_page: Open, pipeline: Pipeline, ids: list[int]
) -> None:
    decide(pipeline, ids[0], Change(action=Action.DISMISS, reason="x"))
    at = open_page("invalid_records", status="all")
    at.toggle(key="triage_all").set_value(True).run()
    at.button(key="triage_snooze").click().run()
    assert [metric.value for metric in at.metric] == ["3", "1"]
    assert "1 stay: it is dismissed: only reopening leaves that state" in words(at)
    at.text_area(key="triage_reason").set_value("wait").run()
    at.pills(key="triage_period").set_value("1 week").run()
    at.button(key="triage_go").click().run()
    assert states(pipeline) == ["dismissed", "snoozed", "snoozed", "snoozed"]
    assert pipeline.value(
        "select max(snoozed_until) between now() + interval '167 hours' "
        "and now() + interval '168 hours' from dq.quarantine"
    )


def test_when_all_is_decided_the_list_says_so(
    open_page: Open, pipeline: Pipeline, ids: list[int]
) -> None:
    with pipeline.engine.begin() as connection:
        change(connection, Filters(), Change(action=Action.DISMISS, reason="x"), actor="anna")
    assert "Nothing to do" in words(open_page("invalid_records"))


def test_one_record_is_taken_commented_dismissed_and_reopened(
    open_page: Open, pipeline: Pipeline, ids: list[int]
) -> None:
    at = open_page("invalid_records", record=ids[0])
    at.button(key="triage_take").click().run()
    assert states(pipeline)[0] == "assigned"
    assert f"{ME}** assigned it" in plain(at)
    assert "triage_take" not in {button.key for button in at.button}

    at.text_area(key="triage_comment").input("![x](https://evil.example) asked the shop")
    at.button(key="triage_say").click().run()
    assert "![x](https://evil.example) asked the shop" in [text.value for text in at.text]
    assert states(pipeline)[0] == "assigned"

    at.button(key="triage_dismiss").click().run()
    at.text_area(key="triage_reason").set_value("will not come").run()
    at.button(key="triage_go").click().run()
    assert states(pipeline)[0] == "dismissed"
    offered = {button.key for button in at.button if str(button.key).startswith("triage_")}
    assert offered == {"triage_reopen", "triage_say"}

    at.button(key="triage_reopen").click().run()
    at.text_area(key="triage_reason").set_value("it came").run()
    at.button(key="triage_go").click().run()
    assert states(pipeline)[0] == "open"
    said = plain(at)
    for expected in ("commented", "dismissed it", "reopened it", "will not come", "it came"):
        assert expected in said


def test_who_was_slower_is_told_and_changes_nothing(
    open_page: Open, pipeline: Pipeline, ids: list[int]
) -> None:
    at = open_page("invalid_records", record=ids[0])
    decide(pipeline, ids[0], Change(action=Action.ASSIGN, assignee="anna"))
    at.button(key="triage_take").click().run()
    assert "somebody was faster" in plain(at)
    assert pipeline.value("select assigned_to from dq.quarantine where position = 1") == "anna"


def test_the_navigation_says_how_many_wait(
    open_page: Open, pipeline: Pipeline, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def title_shown() -> str:
        with monkeypatch.context() as patch:  # outside of a page a st.Page holds nothing
            patch.setattr(nav.st, "Page", lambda path, **shown: SimpleNamespace(**shown))
            quality = nav.pages()["Quality"]
            [page] = [page for page in quality if page.url_path == "invalid_records"]
            assert nav.title(page) == "Invalid records"
            return str(page.title)

    at = open_page("invalid_records")
    assert title_shown() == "Invalid records :gray-badge[4]"
    at.toggle(key="triage_all").set_value(True).run()
    at.button(key="triage_dismiss").click().run()
    at.text_area(key="triage_reason").set_value("x").run()
    at.button(key="triage_go").click().run()
    assert title_shown() == "Invalid records"
    monkeypatch.setattr(nav.reads, "value", lambda name, limit: limit)
    nav.waiting_records.clear()
    assert title_shown() == "Invalid records :gray-badge[999+]"


def test_the_navigation_stands_without_a_database(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVENUE_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    at = open_page("runs")
    assert "cannot be reached" in plain(at)
    assert nav.waiting_records() == 0
