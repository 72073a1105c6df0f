"""States of invalid records: what may follow on what, for one and for all that a filter finds."""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Any

import pytest

from app.actions import Desk, triage
from app.auth import ForbiddenError, Role
from etl import datasets, error_file, monitor, triage_states
from etl.triage_states import (
    MOVES,
    UNFINISHED,
    Action,
    Change,
    Filters,
    TriageConflictError,
    TriageError,
    TriageState,
)
from tests.conftest import Pipeline
from tests.integration.test_actions import desk_of

NOW = dt.datetime.now(dt.UTC)
WISHES = {
    Action.ASSIGN: Change(action=Action.ASSIGN, assignee="anna"),
    Action.SNOOZE: Change(action=Action.SNOOZE, reason="later", until=NOW + dt.timedelta(days=3)),
    Action.SEND_BACK: Change(action=Action.SEND_BACK, reason="theirs"),
    Action.DISMISS: Change(action=Action.DISMISS, reason="a test"),
    Action.REOPEN: Change(action=Action.REOPEN, reason="again"),
    Action.COMMENT: Change(action=Action.COMMENT, reason="look here"),
}


@pytest.fixture
def desk(pipeline: Pipeline) -> Desk:
    return desk_of(pipeline, Role.STEWARD)


@pytest.fixture
def records(pipeline: Pipeline) -> list[int]:
    """Six invalid sales, in the order of the file: three of them without a price."""
    return land(pipeline, "sales.json", 6)


def land(pipeline: Pipeline, name: str, count: int) -> list[int]:
    pipeline.land(
        name,
        [
            {"transaction_id": f"{name}{n}", "quantity": -1 if n % 2 else 1, "price": n % 2 or None}
            for n in range(count)
        ],
    )
    pipeline.run("sales")
    found = pipeline.rows(
        "select quarantine_id from dq.quarantine join etl.batch using (batch_id) "
        "where file_name = :name order by 1",
        name=name,
    )
    return [row[0] for row in found]


def put(pipeline: Pipeline, quarantine_id: int, state: TriageState) -> None:
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update dq.quarantine set status = %s, snoozed_until = case when %s then now() end, "
            "closed_batch_id = case when %s then batch_id end, "
            "closed_position = case when %s then 1 end where quarantine_id = %s",
            (
                state.value,
                state is TriageState.SNOOZED,
                state in {TriageState.FIXED, TriageState.SUPERSEDED},
                state in {TriageState.FIXED, TriageState.SUPERSEDED},
                quarantine_id,
            ),
        )


def item(pipeline: Pipeline, quarantine_id: int) -> dict[str, Any]:
    with pipeline.engine.connect() as connection:
        row = connection.exec_driver_sql(
            "select * from dq.quarantine where quarantine_id = %s", (quarantine_id,)
        )
        return dict(row.mappings().one())


def events(pipeline: Pipeline, quarantine_id: int) -> list[tuple[Any, ...]]:
    return pipeline.rows(
        "select actor, action, from_status, to_status, note from dq.triage_event "
        "where quarantine_id = :id order by event_id",
        id=quarantine_id,
    )


def states(pipeline: Pipeline, ids: list[int]) -> list[str]:
    return [item(pipeline, one)["status"] for one in ids]


def test_the_database_and_the_code_agree_on_the_states(pipeline: Pipeline) -> None:
    assert pipeline.value("select dq.unfinished()") == list(UNFINISHED)
    [allowed] = pipeline.rows(
        "select pg_get_constraintdef(oid) from pg_constraint "
        "where conname = 'quarantine_status_check'"
    )
    assert all(f"'{state}'" in allowed[0] for state in TriageState)
    assert allowed[0].count("::text") >= len(TriageState)


def test_every_action_does_what_the_table_of_moves_says(
    pipeline: Pipeline, desk: Desk, records: list[int]
) -> None:
    one = records[0]
    for action, wish in WISHES.items():
        for state in TriageState:
            put(pipeline, one, state)
            before = item(pipeline, one)
            known = len(events(pipeline, one))
            if state not in MOVES[action].leaves:
                with pytest.raises(TriageError) as refused:
                    triage.change_record(desk, one, wish, version=before["version"])
                word = state.replace("_", " ")
                assert f"record {one} stays as it is: it is {word}" in refused.value.message
                assert item(pipeline, one) == before
                assert len(events(pipeline, one)) == known
                continue
            triage.change_record(desk, one, wish, version=before["version"])
            after = item(pipeline, one)
            to = MOVES[action].to or state
            assert after["status"] == to
            assert after["version"] == before["version"] + 1
            assert after["updated_at"] > before["updated_at"]
            assert events(pipeline, one)[known:] == [
                (desk.operator.name, action, state, to, wish.note)
            ]
            if action is not Action.COMMENT:
                assert after["closed_batch_id"] is None
                assert after["closed_position"] is None
                assert after["snoozed_until"] == wish.until
                assert after["note"] == (wish.reason or before["note"])
            else:
                assert after["closed_batch_id"] == before["closed_batch_id"]
                assert after["note"] == before["note"]


def test_only_reopening_leaves_a_closed_state() -> None:
    for action, move in MOVES.items():
        closed = {state for state in move.leaves if state.is_closed}
        assert not closed or action in {Action.REOPEN, Action.COMMENT}
    assert {state for state in TriageState if state.is_closed} <= set(MOVES[Action.REOPEN].leaves)


def test_an_owner_stays_until_somebody_else_takes_it_or_nobody(
    pipeline: Pipeline, desk: Desk, records: list[int]
) -> None:
    one = records[0]
    triage.change_record(desk, one, Change(action=Action.ASSIGN, assignee=" anna ", reason="hers"))
    triage.change_record(desk, one, WISHES[Action.SNOOZE])
    triage.change_record(desk, one, WISHES[Action.REOPEN])
    assert item(pipeline, one)["assigned_to"] == "anna"
    assert item(pipeline, one)["status"] == "open"
    triage.change_record(desk, one, Change(action=Action.ASSIGN))
    assert item(pipeline, one)["assigned_to"] is None
    notes = [event[4] for event in events(pipeline, one)]
    assert notes[0] == "to anna: hers"
    assert notes[1].endswith("UTC: later")
    assert notes[3] == "to nobody"


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Change(action=Action.DISMISS, reason="  "), "write a reason"),
        (Change(action=Action.COMMENT), "write a text"),
        (Change(action=Action.DISMISS, reason="x" * 1001), "at most 1,000"),
        (Change(action=Action.ASSIGN, assignee=" "), "name who"),
        (Change(action=Action.SNOOZE, reason="x"), "still to come"),
        (
            Change(action=Action.SNOOZE, reason="x", until=NOW - dt.timedelta(hours=1)),
            "still to come",
        ),
        (
            Change(action=Action.SNOOZE, reason="x", until=NOW + dt.timedelta(days=400)),
            "within 366 days",
        ),
    ],
)
def test_a_wish_without_its_parts_is_refused(
    pipeline: Pipeline, desk: Desk, records: list[int], wish: Change, said: str
) -> None:
    with pytest.raises(TriageError, match=said):
        triage.change_record(desk, records[0], wish)
    with pytest.raises(TriageError, match=said):
        triage.change_records(desk, Filters(), wish, seen=6)
    assert pipeline.value("select count(*) from dq.triage_event") == 0


def test_who_comes_second_is_told_what_the_first_did(
    pipeline: Pipeline, desk: Desk, records: list[int]
) -> None:
    one = records[0]
    seen = item(pipeline, one)["version"]
    triage.change_record(desk, one, WISHES[Action.ASSIGN], version=seen)
    with pytest.raises(TriageConflictError, match="is now assigned to anna; look at it again"):
        triage.change_record(desk, one, WISHES[Action.DISMISS], version=seen)
    assert item(pipeline, one)["status"] == "assigned"
    with pytest.raises(TriageConflictError, match="no invalid record 999"):
        triage.change_record(desk, 999, WISHES[Action.COMMENT])


def test_of_two_at_the_same_moment_one_decides(
    pipeline: Pipeline, desk: Desk, records: list[int]
) -> None:
    one = records[0]
    seen = item(pipeline, one)["version"]
    refused: list[str] = []

    def dismiss() -> None:
        try:
            triage.change_record(desk, one, WISHES[Action.DISMISS], version=seen)
        except TriageConflictError as error:
            refused.append(error.message)

    second = threading.Thread(target=dismiss)
    with pipeline.engine.begin() as connection:
        triage_states.change_one(
            connection, one, WISHES[Action.SEND_BACK], version=seen, actor="first"
        )
        second.start()
        while (
            second.is_alive()
            and not connection.exec_driver_sql(
                "select exists (select from pg_locks where not granted)"
            ).scalar()
        ):
            pass
    second.join()
    assert item(pipeline, one)["status"] == "back_to_source"
    assert "is now back to source" in refused[0]
    assert len(events(pipeline, one)) == 1


def test_all_that_a_filter_finds_change_in_one_action(
    pipeline: Pipeline, desk: Desk, records: list[int]
) -> None:
    rule_id = pipeline.value(
        "select rule_id from dq.rule where code like '%price%' and message = 'Missing price'"
    )
    put(pipeline, records[0], TriageState.FIXED)
    filters = Filters(dataset="sales", rule_id=rule_id)
    done = triage.change_records(desk, filters, WISHES[Action.DISMISS], seen=3)
    assert (done.changed, done.left) == ({"open": 2}, {"fixed": 1})
    assert states(pipeline, records) == [
        "fixed", "open", "dismissed", "open", "dismissed", "open",
    ]  # fmt: skip
    assert [len(events(pipeline, one)) for one in records] == [0, 0, 1, 0, 1, 0]
    action, before, after = pipeline.rows(
        "select action, before, after from etl.audit order by audit_id desc limit 1"
    )[0]
    assert action == "triage.dismiss"
    assert before == {"states": {"open": 2}, "left_alone": {"fixed": 1}}
    assert after == {
        "status": "dismissed",
        "note": "a test",
        "filters": {"dataset": "sales", "rule_id": rule_id},
        "seen": 3,
    }


def test_every_filter_finds_its_records(pipeline: Pipeline, desk: Desk, records: list[int]) -> None:
    others = land(pipeline, "more.json", 2)
    triage.change_record(desk, records[1], WISHES[Action.ASSIGN])
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update dq.quarantine set created_at = now() - interval '9 days' "
            "where quarantine_id = %s",
            (records[2],),
        )
    batch_id, run_id = pipeline.rows(
        "select batch_id, run_id from etl.batch where file_name = 'more.json'"
    )[0]
    week_ago = NOW - dt.timedelta(days=7)
    for filters, expected in (
        (Filters(), records + others),
        (Filters(dataset="customers"), []),
        (Filters(states=("assigned",)), [records[1]]),
        (Filters(states=UNFINISHED, file="MORE"), others),
        (Filters(batch_id=batch_id), others),
        (Filters(run_id=run_id), others),
        (Filters(search="JSON3"), [records[3]]),
        (Filters(owner="anna"), [records[1]]),
        (Filters(is_unowned=True, file="sales"), [records[0], *records[2:]]),
        (Filters(until=week_ago), [records[2]]),
        (Filters(since=week_ago, file="sales"), [*records[:2], *records[3:]]),
        (Filters(ids=(records[4], others[0])), [records[4], others[0]]),
        (Filters(ids=(records[1], records[4]), versions=(2, 9)), [records[1]]),
    ):
        with pipeline.engine.connect() as connection:
            done = triage_states.change(connection, filters, WISHES[Action.COMMENT], actor="x")
            assert done.found == done.changed_records == len(expected), filters
            told = connection.exec_driver_sql(
                "select quarantine_id from dq.triage_event where action = 'comment' order by 1"
            )
            assert list(told.scalars()) == expected, filters
            connection.rollback()


def test_many_more_than_were_seen_is_refused_and_a_few_are_not(
    pipeline: Pipeline, desk: Desk, records: list[int]
) -> None:
    land(pipeline, "more.json", 12)
    with pytest.raises(TriageConflictError, match="18 such records by now, 6 when you looked"):
        triage.change_records(desk, Filters(), WISHES[Action.DISMISS], seen=6)
    assert pipeline.value("select count(*) from dq.triage_event") == 0
    assert set(states(pipeline, records)) == {"open"}
    assert triage.change_records(desk, Filters(), WISHES[Action.DISMISS], seen=8).found == 18


def test_what_changed_since_it_was_ticked_is_left_alone(
    pipeline: Pipeline, desk: Desk, records: list[int]
) -> None:
    ticked = Filters(ids=tuple(records[:3]), versions=(1, 1, 1))
    triage.change_record(desk, records[1], WISHES[Action.ASSIGN])
    done = triage.change_records(desk, ticked, WISHES[Action.DISMISS], seen=3)
    assert done.changed_records == 2
    assert states(pipeline, records[:4]) == ["dismissed", "assigned", "dismissed", "open"]


def test_it_needs_a_steward_and_a_refusal_is_audited(
    pipeline: Pipeline, records: list[int]
) -> None:
    operator = desk_of(pipeline, Role.OPERATOR)
    with pytest.raises(ForbiddenError):
        triage.change_record(operator, records[0], WISHES[Action.DISMISS])
    with pytest.raises(ForbiddenError):
        triage.change_records(operator, Filters(), WISHES[Action.DISMISS], seen=6)
    assert set(states(pipeline, records)) == {"open"}
    refused = pipeline.rows("select action, after ->> 'refused' from etl.audit order by audit_id")
    assert [row[0] for row in refused[-2:]] == ["triage.dismiss"] * 2
    assert all("steward" in row[1] for row in refused[-2:])
    triage.change_record(desk_of(pipeline, Role.STEWARD), records[0], WISHES[Action.DISMISS])
    assert states(pipeline, records[:1]) == ["dismissed"]


def test_a_snoozed_record_wakes_by_the_clock_of_the_database(
    pipeline: Pipeline, desk: Desk, records: list[int]
) -> None:
    soon, late = records[:2]
    until = pipeline.value("select clock_timestamp()") + dt.timedelta(hours=1)
    for one, moment in ((soon, until), (late, until + dt.timedelta(hours=1))):
        triage.change_record(desk, one, Change(action=Action.SNOOZE, reason="later", until=moment))
    task = next(task for task in monitor.tasks(pipeline.settings) if task.name == "snoozed records")
    with pipeline.engine.begin() as connection:
        task.do(connection)
        assert states(pipeline, [soon, late]) == ["snoozed", "snoozed"]
        assert triage_states.wake(connection, until) == 1
    assert states(pipeline, [soon, late]) == ["open", "snoozed"]
    assert item(pipeline, soon)["version"] == 3
    assert events(pipeline, soon)[-1] == ("engine", "wake", "snoozed", "open", None)
    with pipeline.engine.begin() as connection:
        connection.exec_driver_sql(
            "update dq.quarantine set snoozed_until = now() where status = 'snoozed'"
        )
    with pipeline.engine.begin() as connection:
        task.do(connection)
    assert states(pipeline, [late]) == ["open"]


def test_the_error_file_holds_what_is_unfinished(
    pipeline: Pipeline, desk: Desk, records: list[int]
) -> None:
    sales = datasets.get("sales")
    path = pipeline.settings.logs / sales.error_file

    def renewed() -> list[str]:
        with pipeline.engine.connect() as connection:
            held = error_file.renew(connection, sales, path)
            with connection.begin():
                error_file.remember(connection, sales, held)
        return [record["transaction_id"] for record in json.loads(path.read_text())]

    everything = renewed()
    assert len(everything) == 6
    before = path.stat()
    for action in (Action.ASSIGN, Action.SNOOZE, Action.SEND_BACK):
        triage.change_record(desk, records[0], WISHES[action])
    assert renewed() == everything
    assert path.stat().st_ino == before.st_ino
    triage.change_record(desk, records[0], WISHES[Action.DISMISS])
    assert renewed() == everything[1:]
    triage.change_record(desk, records[1], WISHES[Action.DISMISS])
    triage.change_record(desk, records[0], WISHES[Action.REOPEN])
    assert renewed() == [everything[0], *everything[2:]]
