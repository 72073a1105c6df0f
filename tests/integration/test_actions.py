"""What an operator does reaches the database, is audited, and is refused without the role."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from app import actions, auth
from app.actions import Desk
from app.auth import ForbiddenError, Operator, Role
from etl import generate
from etl.errors import RevenueError, RunConflictError, UnreadableFileError
from tests.conftest import Pipeline

HOSTILE = "../../a\x00\n<img src=x>![y](https://evil.example/z.png)\ud800.json"


def sale(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": f"T{number}",
        "customer_id": "C001",
        "product_id": "P1",
        "product_name": "Desk",
        "category": "Furniture",
        "quantity": 1,
        "price": 10,
        "discount": 0,
        "date": "2024-01-01",
        "region": "North",
        **changes,
    }


def upload(*records: Any) -> io.BytesIO:
    return io.BytesIO(json.dumps(list(records)).encode())


def desk_of(pipeline: Pipeline, role: Role = Role.OPERATOR, name: str = "ada") -> Desk:
    return Desk(
        engine=pipeline.engine,
        settings=pipeline.settings,
        operator=Operator(name=name, role=role, origin="test"),
    )


@pytest.fixture
def desk(pipeline: Pipeline) -> Desk:
    return desk_of(pipeline)


def audit(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    return pipeline.rows(
        "select action, object, actor, role, after from etl.audit order by audit_id"
    )


# Roles ----------------------------------------------------------------------------------


def test_the_local_operator_is_an_admin() -> None:
    assert auth.current().role is Role.ADMIN
    assert auth.current().name


def test_a_higher_role_may_what_a_lower_may() -> None:
    steward = Operator(name="s", role=Role.STEWARD, origin="test")
    for role in (Role.VIEWER, Role.OPERATOR, Role.STEWARD):
        auth.require(steward, role)
    with pytest.raises(ForbiddenError, match="needs the role admin; s is steward"):
        auth.require(steward, Role.ADMIN)


ACTIONS: dict[str, Any] = {
    "file.preview": lambda d: actions.preview_file(d, name="a.json", content=upload(sale())),
    "file.submit": lambda d: actions.submit_file(d, name="a.json", content=upload(sale())),
    "file.generate": lambda d: actions.generate_file(
        d, dataset="sales", records=5, seed=1, invalid_rate=None, format="json"
    ),
    "run.start": lambda d: actions.start_run(d, "sales"),
    "run.cancel": lambda d: actions.cancel_run(d, 1),
    "run.resume": lambda d: actions.resume_run(d, 1),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_viewer_changes_nothing_and_the_refusal_is_audited(
    pipeline: Pipeline, action: str
) -> None:
    viewer = desk_of(pipeline, Role.VIEWER, "vic")
    with pytest.raises(ForbiddenError) as refused:
        ACTIONS[action](viewer)
    assert refused.value.code == "forbidden"
    assert pipeline.value("select count(*) from etl.run") == 0
    assert pipeline.value("select count(*) from etl.batch") == 0
    assert list(pipeline.settings.landing.iterdir()) == []
    [(said, _, actor, role, after)] = audit(pipeline)
    assert (said, actor, role) == (action, "vic", "viewer")
    assert "needs the role operator" in after["refused"]


def test_a_landing_file_is_refused_to_a_viewer(pipeline: Pipeline) -> None:
    pipeline.land("a.json", [sale()])
    with pytest.raises(ForbiddenError):
        actions.submit_landing_file(desk_of(pipeline, Role.VIEWER), "a.json")
    assert pipeline.value("select count(*) from etl.batch") == 0


# Previews -------------------------------------------------------------------------------


def test_a_preview_counts_judges_and_shows(desk: Desk) -> None:
    content = upload(sale(), sale(2, quantity=0), sale(3, price=None, quantity=-1))
    shown = actions.preview_file(desk, name="a.json", content=content)
    assert (shown.dataset, shown.records, shown.judged, shown.valid) == ("sales", 3, 3, 1)
    assert shown.reasons == (("Invalid quantity", 2), ("Missing price", 1))
    assert json.loads(shown.first_records[1])["transaction_id"] == "T2"
    assert shown.is_acceptable
    assert shown.same_as is None
    assert content.tell() == 0


def test_a_preview_judges_no_more_than_its_sample(desk: Desk) -> None:
    lines = b"".join(generate.sales(actions.SAMPLE_RECORDS + 500, seed=1))
    shown = actions.preview_file(desk, name="a.ndjson", content=io.BytesIO(lines))
    assert (shown.records, shown.judged) == (actions.SAMPLE_RECORDS + 500, actions.SAMPLE_RECORDS)
    assert len(shown.first_records) == 5


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'[{"transaction_id": "T1",}]', "not_json"),
        (b"[]", "empty"),
        (b"", "empty"),
        (b'[{"nothing": "known"}]', "unrecognised"),
        (b'{"transaction_id": "T1"', "truncated"),
    ],
)
def test_a_preview_says_what_is_wrong(desk: Desk, content: bytes, code: str) -> None:
    shown = actions.preview_file(desk, name="a.json", content=io.BytesIO(content))
    assert not shown.is_acceptable
    assert shown.problem is not None
    assert shown.problem.code == code


def test_a_preview_finds_what_breaks_after_the_first_records(desk: Desk) -> None:
    content = b"\n".join([json.dumps(sale(n)).encode() for n in range(200)] + [b"{oops"])
    shown = actions.preview_file(desk, name="a.ndjson", content=io.BytesIO(content))
    assert not shown.is_acceptable
    assert shown.problem is not None
    assert shown.problem.line == 201


def test_a_preview_knows_loaded_content(pipeline: Pipeline, desk: Desk) -> None:
    actions.submit_file(desk, name="a.json", content=upload(sale()))
    pipeline.run("sales")
    again = actions.preview_file(desk, name="b.json", content=upload(sale()))
    assert again.same_as is not None
    assert again.is_repetition
    actions.submit_file(desk, name="c.json", content=upload(sale(price=11)))
    pipeline.run("sales")
    revert = actions.preview_file(desk, name="d.json", content=upload(sale()))
    assert revert.same_as == again.same_as
    assert not revert.is_repetition


# Files ----------------------------------------------------------------------------------


def test_an_upload_becomes_a_batch_with_its_run(pipeline: Pipeline, desk: Desk) -> None:
    done = actions.submit_file(desk, name="my sales.json", content=upload(sale()))
    assert (done.status, done.dataset, done.is_new_run) == ("accepted", "sales", True)
    assert pipeline.rows(
        "select b.file_name, b.status, b.accepted_by, r.status, r.trigger, r.requested_by "
        "from etl.batch b join etl.run r using (run_id)"
    ) == [("my sales.json", "accepted", "ada", "queued", "upload", "ada")]
    [(action, on, _, _, after)] = audit(pipeline)
    assert (action, on) == ("file.submit", f"batch {done.batch_id}")
    assert after["run_id"] == done.run_id
    run = pipeline.run("sales")
    assert run["valid_records"] == 1


def test_several_uploads_share_the_run_that_waits(pipeline: Pipeline, desk: Desk) -> None:
    done = [
        actions.submit_file(desk, name="a.json", content=upload(sale(number)))
        for number in range(3)
    ]
    assert len({one.run_id for one in done}) == 1
    assert [one.is_new_run for one in done] == [True, False, False]
    assert pipeline.value("select count(*) from etl.batch") == 3


def test_a_repetition_says_of_which_batch(pipeline: Pipeline, desk: Desk) -> None:
    first = actions.submit_file(desk, name="a.json", content=upload(sale()))
    again = actions.submit_file(desk, name="other name.json", content=upload(sale()))
    assert (again.status, again.duplicate_of) == ("skipped", first.batch_id)
    assert (
        pipeline.value("select reason from etl.batch where batch_id = :id", id=again.batch_id)
        == f"same content as batch {first.batch_id}"
    )


@pytest.mark.parametrize(
    ("content", "code"),
    [(b'[{"nothing": "known"}]', "unrecognised"), (b"[]", "empty"), (b"no JSON", "not_json")],
)
def test_what_no_feed_can_be_is_not_kept(
    pipeline: Pipeline, desk: Desk, content: bytes, code: str
) -> None:
    with pytest.raises(UnreadableFileError) as refused:
        actions.submit_file(desk, name="a.json", content=io.BytesIO(content))
    assert refused.value.code == code
    assert list(pipeline.settings.landing.iterdir()) == []
    assert pipeline.value("select count(*) from etl.run") == 0


def test_the_size_is_checked_again(pipeline: Pipeline) -> None:
    settings = pipeline.settings.model_copy(update={"upload_limit_mb": 1})
    small = Desk(engine=pipeline.engine, settings=settings, operator=desk_of(pipeline).operator)
    content = io.BytesIO(b" " * (1024 * 1024 + 1))
    with pytest.raises(UnreadableFileError, match="an upload may have 1"):
        actions.submit_file(small, name="a.json", content=content)
    problem = actions.preview_file(small, name="a.json", content=content).problem
    assert problem is not None
    assert problem.code == "too_large"


def test_a_hostile_name_is_only_a_name(pipeline: Pipeline, desk: Desk) -> None:
    done = actions.submit_file(desk, name=HOSTILE, content=upload(sale()))
    [stored] = pipeline.settings.landing.iterdir()
    assert stored.name.startswith(f"batch-{done.batch_id}__")
    assert "/" not in done.file_name
    assert "\n" not in done.file_name
    assert pipeline.run("sales")["valid_records"] == 1
    [(_, _, _, _, after)] = audit(pipeline)
    assert after["received_name"].startswith("../../a\ufffd\n<img")


def test_a_file_of_the_landing_zone_is_loaded_by_name(pipeline: Pipeline, desk: Desk) -> None:
    pipeline.land("new.json", [sale()])
    done = actions.submit_landing_file(desk, "new.json")
    assert done.status == "accepted"
    assert pipeline.value("select trigger from etl.run") == "manual"
    with pytest.raises(RevenueError, match="does not wait in the landing zone"):
        actions.submit_landing_file(desk, "new.json")


@pytest.mark.parametrize("name", ["../secret.json", "nothing.json", HOSTILE, ""])
def test_only_what_waits_can_be_loaded(pipeline: Pipeline, desk: Desk, name: str) -> None:
    (pipeline.settings.home / "secret.json").write_text(json.dumps([sale()]))
    with pytest.raises(RevenueError):
        actions.submit_landing_file(desk, name)
    with pytest.raises(RevenueError):
        actions.start_run(desk, "sales", source_file=name)
    assert pipeline.value("select count(*) from etl.run") == 0


def test_a_link_out_of_the_landing_zone_is_no_source(pipeline: Pipeline, desk: Desk) -> None:
    outside = pipeline.settings.home / "secret.json"
    outside.write_text(json.dumps([sale()]))
    (pipeline.settings.landing / "link.json").symlink_to(outside)
    with pytest.raises(RevenueError):
        actions.start_run(desk, "sales", source_file="link.json")


def test_while_a_run_holds_the_feed_an_upload_waits(
    pipeline: Pipeline, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "_PATIENCE_MS", 100)
    with pipeline.engine.begin() as held:
        held.execute(text("select from etl.dataset where dataset = 'sales' for no key update"))
        done = actions.submit_file(desk, name="a.json", content=upload(sale()))
    assert (done.status, done.batch_id) == ("waiting", None)
    assert done.run_id is not None
    assert [path.name for path in pipeline.settings.landing.iterdir()] == ["a.json"]
    assert pipeline.run("sales")["valid_records"] == 1


def test_an_upload_is_kept_even_when_no_run_can_be_queued(
    pipeline: Pipeline, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "_PATIENCE_MS", 100)
    with pipeline.engine.begin() as held:
        held.execute(text("select from etl.dataset for update"))
        done = actions.submit_file(desk, name="a.json", content=upload(sale()))
    assert (done.status, done.run_id) == ("waiting", None)
    assert len(audit(pipeline)) == 1
    assert pipeline.run("sales")["valid_records"] == 1


def test_a_run_that_was_faster_keeps_its_batch(
    pipeline: Pipeline, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = actions.landing.store

    def store_and_lose(*arguments: Any) -> Any:
        path = store(*arguments)
        pipeline.run("sales")
        return path

    monkeypatch.setattr(actions.landing, "store", store_and_lose)
    done = actions.submit_file(desk, name="a.json", content=upload(sale()))
    assert (done.status, done.is_new_run) == ("accepted", False)
    assert pipeline.rows("select batch_id, run_id, status from etl.batch") == [
        (done.batch_id, done.run_id, "promoted")
    ]


def test_a_generated_file_waits_in_the_landing_zone(pipeline: Pipeline, desk: Desk) -> None:
    wish: dict[str, Any] = {
        "dataset": "sales",
        "records": 50,
        "seed": 3,
        "invalid_rate": 0.2,
        "format": "ndjson",
    }
    made = actions.generate_file(desk, **wish)
    other = actions.generate_file(desk, **wish)
    assert made.path.parent == other.path.parent == pipeline.settings.landing
    assert made.path != other.path
    assert made.path.read_bytes() == other.path.read_bytes()
    assert [row[0] for row in audit(pipeline)] == ["file.generate", "file.generate"]
    assert pipeline.run("sales")["read_records"] == 50


@pytest.mark.parametrize(
    "wrong",
    [
        {"records": 0},
        {"records": actions.GENERATED_LIMIT + 1},
        {"seed": -1},
        {"invalid_rate": 1.5},
        {"format": "xml"},
        {"dataset": "../sales"},
    ],
)
def test_figures_out_of_range_generate_nothing(
    pipeline: Pipeline, desk: Desk, wrong: dict[str, Any]
) -> None:
    wish: dict[str, Any] = {
        "dataset": "sales",
        "records": 5,
        "seed": 1,
        "invalid_rate": None,
        "format": "json",
    }
    with pytest.raises(RevenueError):
        actions.generate_file(desk, **{**wish, **wrong})
    assert list(pipeline.settings.landing.iterdir()) == []
    assert audit(pipeline) == []


# Runs -----------------------------------------------------------------------------------


def test_ten_clicks_queue_one_run(pipeline: Pipeline, desk: Desk) -> None:
    together = threading.Barrier(10)

    def click(_: int) -> actions.Started:
        together.wait()
        return actions.start_run(desk, "sales")[0]

    with ThreadPoolExecutor(10) as clicks:
        started = list(clicks.map(click, range(10)))
    assert pipeline.value("select count(*) from etl.run") == 1
    assert len({one.run_id for one in started}) == 1
    assert sum(one.is_new for one in started) == 1
    assert len(audit(pipeline)) == 10


def test_nobody_waits_long_for_a_lock(
    pipeline: Pipeline, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "_PATIENCE_MS", 100)
    with pipeline.engine.begin() as held:
        held.execute(text("select from etl.dataset for update"))
        with pytest.raises(actions.BusyError):
            actions.start_run(desk, "sales")
    assert pipeline.value("select count(*) from etl.run") == 0


def test_all_queues_one_run_a_feed(pipeline: Pipeline, desk: Desk) -> None:
    started = actions.start_run(desk, "all")
    assert [one.dataset for one in started] == ["customers", "sales"]
    assert pipeline.value("select count(*) from etl.run where status = 'queued'") == 2


def test_another_request_is_another_run(pipeline: Pipeline, desk: Desk) -> None:
    pipeline.land("a.json", [sale()])
    plain = actions.start_run(desk, "sales")[0]
    full = actions.start_run(desk, "sales", is_full=True)[0]
    named = actions.start_run(desk, "sales", source_file="a.json")[0]
    assert len({plain.run_id, full.run_id, named.run_id}) == 3


def test_an_unknown_feed_is_refused(desk: Desk) -> None:
    with pytest.raises(RevenueError, match="there is no dataset"):
        actions.start_run(desk, "sales'; drop table etl.run; --")


def test_cancel_and_resume(pipeline: Pipeline, desk: Desk) -> None:
    run_id = actions.start_run(desk, "sales")[0].run_id
    assert actions.cancel_run(desk, run_id) == "cancelled"
    with pytest.raises(RunConflictError):
        actions.cancel_run(desk, run_id)
    actions.resume_run(desk, run_id)
    assert pipeline.value("select status from etl.run") == "queued"
    with pytest.raises(RunConflictError):
        actions.resume_run(desk, run_id)
    steps = pipeline.rows("select action, before, after from etl.audit order by audit_id")
    assert steps[1:] == [
        ("run.cancel", {"status": "queued"}, {"status": "cancelled", "cancel_requested": True}),
        ("run.resume", {"status": "cancelled"}, {"status": "queued"}),
    ]
