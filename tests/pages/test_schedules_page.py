"""Schedules are made with a preview in words, changed, paused and removed; silence is a banner."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app import actions, context
from app.actions import Desk, schedules
from app.actions.schedules import Plan
from etl import scheduler, worker
from tests.conftest import Pipeline
from tests.integration.test_actions import desk_of
from tests.pages.conftest import Open, words

WEEKDAYS = Plan(dataset="sales", name="Early birds", cron="0 6 * * 1-5", time_zone="Europe/Berlin")


@pytest.fixture
def desk(pipeline: Pipeline) -> Desk:
    return desk_of(pipeline)


def plain(text: str) -> str:
    return text.replace("\\", "").replace("\u200b", "")


def next_shown(at: Any) -> list[str]:
    return [element.value for element in at.text if element.value.count(":") == 2]


def test_an_empty_list_names_the_next_action(open_page: Open) -> None:
    at = open_page("schedules")
    assert "No schedules yet" in words(at)
    assert "landing zone is watched" in words(at)
    at.button(key="new").click().run()
    assert at.title[0].value == "New schedule"


def test_a_schedule_is_made_with_its_next_five_times_before_saving(
    open_page: Open, pipeline: Pipeline
) -> None:
    at = open_page("schedules", edit="new")
    at.pills(key="plan_new_feed").select("sales").run()
    at.text_input(key="plan_new_cron").set_value("30 5 * * 1-5").run()
    at.selectbox(key="plan_new_zone").select("Europe/Berlin").run()
    said = plain(words(at))
    assert "At 05:30, Monday through Friday (Europe/Berlin)" in said
    assert "the repeated hour counts once" in said
    shown = next_shown(at)
    assert len(shown) == 5
    assert all("05:30:00 CE" in time for time in shown)
    assert not any(time.startswith(("Sat", "Sun")) for time in shown)
    assert pipeline.value("select count(*) from etl.schedule") == 0
    at.button(key="save").click().run()
    assert not at.exception
    assert pipeline.rows("select dataset, cron, time_zone, enabled from etl.schedule") == [
        ("sales", "30 5 * * mon-fri", "Europe/Berlin", True)
    ]
    assert "edit" not in at.query_params
    assert plain(at.title[0].value) == "At 05:30, Monday through Friday (Europe/Berlin)"
    assert next_shown(at) == shown


def test_what_the_page_made_is_queued_with_no_session_open(
    open_page: Open, pipeline: Pipeline
) -> None:
    at = open_page("schedules", edit="new")
    at.segmented_control(key="plan_new_kind").set_value("every").run()
    at.number_input(key="plan_new_count").set_value(1).run()
    at.pills(key="plan_new_unit").select("seconds").run()
    assert "Every second" in words(at)
    at.button(key="save").click().run()
    assert pipeline.value("select interval_seconds from etl.schedule") == 1
    with scheduler.Alarms() as alarms:
        keeper = scheduler.TimeKeeper(pipeline.engine, pipeline.settings, alarms)
        for _ in range(100):
            if keeper.look():
                break
            alarms.wait(0.2)
    assert pipeline.rows("select trigger from etl.run") == [("schedule",)]


def test_what_makes_no_sense_is_said_and_cannot_be_saved(open_page: Open) -> None:
    at = open_page("schedules", edit="new")
    at.text_input(key="plan_new_cron").set_value("61 * * * *").run()
    assert "`61` is no minute: it goes from 0 to 59" in plain(words(at))
    assert at.button(key="save").disabled
    at.pills(key="plan_new_usual").select("Mondays at 06:00").run()
    assert at.text_input(key="plan_new_cron").value == "0 6 * * mon"
    assert not at.button(key="save").disabled


def test_the_list_shows_words_state_and_last_run(
    open_page: Open, pipeline: Pipeline, desk: Desk
) -> None:
    first = schedules.make_schedule(desk, WEEKDAYS)
    second = schedules.make_schedule(desk, Plan(dataset="customers", interval_seconds=900))
    schedules.pause_schedule(desk, second, version=1)
    run_id = schedules.run_schedule_now(desk, first).run_id
    table = open_page("schedules").dataframe[0].value
    assert table["open"].tolist() == [f"#{second}", f"#{first}"]
    assert table["shown_state"].tolist() == [["– paused"], ["↻ active"]]
    assert table["words"].tolist() == [
        "Every 15 minutes",
        "At 06:00, Monday through Friday (Europe/Berlin)",
    ]
    assert table["next_at"].isna().tolist() == [True, False]
    assert [list(cell) for cell in table["last_status"]] == [[], ["○ queued"]]
    assert table["last_run"].tolist()[1] == f"/runs?run={run_id}"
    at = open_page("schedules", state="paused")
    assert at.dataframe[0].value["open"].tolist() == [f"#{second}"]
    assert "No schedule fits" in words(open_page("schedules", feed="sales", state="removed"))


def test_one_schedule_is_paused_resumed_run_and_removed(
    open_page: Open, pipeline: Pipeline, desk: Desk
) -> None:
    schedule_id = schedules.make_schedule(desk, WEEKDAYS)
    at = open_page("schedules", schedule=schedule_id)
    assert at.title[0].value == "Early birds"
    assert len(next_shown(at)) == 5
    at.button(key="pause").click().run()
    assert "It is not active" in words(at)
    at.button(key="resume").click().run()
    at.button(key="run_now").click().run()
    assert pipeline.rows("select schedule_id, status from etl.run") == [(schedule_id, "queued")]
    at.run()
    runs_of, changes = (table.value for table in at.dataframe)
    assert runs_of["state"].tolist() == [["○ queued"]]
    assert [what.split(":")[0] for what in changes["what"]] == [
        "run now",
        "resumed",
        "paused",
        "made",
    ]
    at.button(key="remove").click().run()
    assert pipeline.value("select removed_at is not null from etl.schedule")
    assert "No schedules yet" in words(at)
    assert not open_page("schedules", schedule=schedule_id).error


def test_a_change_that_came_second_is_refused_in_words(
    open_page: Open, pipeline: Pipeline, desk: Desk
) -> None:
    schedule_id = schedules.make_schedule(desk, WEEKDAYS)
    at = open_page("schedules", schedule=schedule_id, edit=1)
    key = f"plan_{schedule_id}"
    assert at.text_input(key=f"{key}_cron").value == "0 6 * * mon-fri"
    assert at.pills(key=f"{key}_feed").disabled
    schedules.pause_schedule(desk, schedule_id, version=1)
    at.text_input(key=f"{key}_cron").set_value("0 7 * * *").run()
    at.button(key="save").click().run()
    assert f"ada changed schedule {schedule_id} meanwhile" in plain(at.error[0].value)
    assert pipeline.value("select cron from etl.schedule") == "0 6 * * mon-fri"
    at = open_page("schedules", schedule=schedule_id, edit=1)
    at.text_input(key=f"{key}_cron").set_value("0 7 * * *").run()
    at.button(key="save").click().run()
    assert pipeline.rows("select cron, version from etl.schedule") == [("0 7 * * *", 3)]


def test_a_hostile_name_stays_text(open_page: Open, desk: Desk) -> None:
    name = "![x](https://evil.example/a.png) <b>:red[x]"
    schedule_id = schedules.make_schedule(desk, Plan(dataset="sales", name=name, cron="0 6 * * *"))
    at = open_page("schedules", schedule=schedule_id)
    assert "![x](" not in at.title[0].value
    assert open_page("schedules").dataframe[0].value["name"].tolist() == [name]


def test_a_viewer_is_refused_in_words(
    open_page: Open, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = actions.Operator(name="vic", role=actions.Role.VIEWER, origin="page")
    monkeypatch.setattr(context.auth, "current", lambda: viewer)
    at = open_page("schedules", edit="new")
    at.button(key="save").click().run()
    assert "needs the role operator" in plain(at.error[0].value)
    assert pipeline.value("select count(*) from etl.schedule") == 0


def test_a_wrong_address_is_no_crash(open_page: Open) -> None:
    assert "there is no schedule 999" in open_page("schedules", schedule=999).error[0].value
    assert "there is no schedule 999" in open_page("schedules", schedule=999, edit=1).error[0].value
    assert open_page("schedules", state="nonsense", feed="'", page="-1").title


# The banner -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["overview", "schedules", "dashboard"])
def test_a_silent_process_is_a_banner_on_every_page(
    open_page: Open, pipeline: Pipeline, name: str
) -> None:
    with (
        worker.Presence(pipeline.engine, pipeline.settings, "worker"),
        worker.Presence(pipeline.engine, pipeline.settings, "scheduler"),
    ):
        assert "Last heartbeat" not in words(open_page(name))
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "update etl.worker set stopped_at = null, "
                "heartbeat_at = heartbeat_at - interval '5 min' where kind = 'scheduler'"
            )
        )
    at = open_page(name)
    [banner] = [warning for warning in at.warning if "Last heartbeat" in warning.value]
    assert "Last heartbeat: 5 min ago (" in plain(banner.value)
    assert "UTC" in banner.value
    assert "`revenue scheduler`" in banner.value
    assert "wait until one runs" in banner.value


def test_a_process_that_never_ran_is_a_banner(open_page: Open) -> None:
    said = words(open_page())
    assert said.count("Last heartbeat: never") == 2
