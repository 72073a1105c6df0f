"""What-if: what a set of rules would do to the records that came so far; no layer changes.

A prediction goes the way of judging again (etl/steps/again.py) up to the stage, and then compares
instead of writing: silver would become exactly what is predicted. It is a run of its own, so that
nothing else changes the feed meanwhile.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection

from etl import failpoints, reprocess, rules, runs, validate
from etl.db import comparison, queries, tables
from etl.db.comparison import Group
from etl.errors import RevenueError
from etl.execution import Execution
from etl.masking import mask
from etl.model import Batch, Rule, Step
from etl.reprocess import Choice
from etl.steps.again import fill_again
from etl.steps.load import without_reference
from etl.steps.stage import Stage

SAMPLES = 20  # of records caught, and of those released
GROUPS = 200  # of a grouping that are kept one by one
_CODE = "what_if"


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """How many records of the batches judged have each verdict."""

    valid: int
    invalid: int
    superseded: int


@dataclass(frozen=True, kw_only=True)
class Fired:
    """How often a rule fires in all loaded batches, by the rules of now and by those tried."""

    code: str
    message: str
    before: int
    after: int


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A record that changes its verdict; `reasons` are those of the side on which it is invalid."""

    batch_id: int
    position: int
    file_name: str
    key: str | None
    reasons: str


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Money by one of the feed's groupings, by name; `others` are those whose money changes least."""

    name: str
    groups: list[Group]
    others: Group | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the rules would do; stored as JSON with the prediction."""

    batches: int
    records: int
    widened: str | None  # why every batch is judged, although only a period was asked for
    before: Verdicts  # of the batches judged
    after: Verdicts
    caught: int  # records valid or superseded now, and invalid then
    released: int  # the other way round
    other_reasons: int  # records that stay invalid, for other reasons
    rows_before: int  # of silver, as all below
    rows_after: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int
    digest_before: int
    digest_after: int
    unit: str | None  # of the money; None: the feed has none
    money_before: Decimal
    money_after: Decimal
    groupings: list[Grouping]  # in the order of the feed's declaration
    rules: list[Fired]
    caught_samples: list[Sample]
    released_samples: list[Sample]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One prediction with its run, as it is now."""

    prediction_id: int
    dataset: str
    rule_set: str
    first_day: dt.date | None
    last_day: dt.date | None
    data_version: int | None
    requested_by: str
    requested_at: dt.datetime
    run_id: int
    status: str  # of the run
    reason: str | None  # of the run
    ended_at: dt.datetime | None
    is_outdated: bool
    result: Result | None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A queued prediction; not new when the same one was waiting already."""

    prediction_id: int
    run_id: int
    is_new: bool


# Ask and show ---------------------------------------------------------------------------


def ask(connection: Connection, choice: Choice, tried: Sequence[Rule], *, actor: str) -> Asked:
    """Queue a prediction of what the rules would do to all batches, or to those of a period.

    Raises RevenueError when no loaded batch fits the choice, or it names batches.
    """
    if choice.batches is not None:
        raise RevenueError("rules are tried on a period or on everything", code=_CODE)
    if not reprocess.touched(connection, choice).batches:
        words = "choose a longer period" if not choice.is_everything else "run the feed first"
        raise RevenueError(f"no loaded batch to try the rules on; {words}", code=_CODE)
    about: dict[str, Any] = {
        "dataset": choice.dataset,
        "rule_set": rules.fingerprint(tried),
        "first_day": choice.first_day,
        "last_day": choice.last_day,
    }
    queries.execute(connection, "queries/runs.claim_lock")
    waiting = queries.row(connection, "queries/what_if.waiting_like", **about)
    if waiting is not None:
        return Asked(**waiting, is_new=False)
    prediction_id = int(
        queries.value(
            connection,
            "queries/what_if.ask",
            rules=msgspec.json.encode(tried).decode(),
            requested_by=actor,
            **about,
        )
    )
    run_id = runs.enqueue(
        connection, choice.dataset, actor=actor, trigger="what_if", predicts=prediction_id
    )
    assert run_id is not None  # only a planned time can be queued already
    given = {"prediction_id": prediction_id, "run_id": run_id}
    queries.execute(connection, "queries/what_if.give_to_run", **given)
    return Asked(**given, is_new=True)


def show(connection: Connection, prediction_id: int) -> Prediction:
    """Return a prediction.

    Raises RevenueError when there is none.
    """
    row = queries.row(connection, "queries/what_if.one", prediction_id=prediction_id)
    if row is None:
        raise RevenueError(f"there is no prediction {prediction_id}", code=_CODE)
    stored = row.pop("result")
    result = None if stored is None else msgspec.convert(stored, Result)
    return Prediction(**row, result=result)


def newest(connection: Connection, dataset: str) -> Prediction | None:
    """Return the newest prediction of a feed, if there is one."""
    found = queries.value(connection, "queries/what_if.newest", dataset=dataset)
    return None if found is None else show(connection, int(found))


def items(connection: Connection, samples: Sequence[Sample]) -> dict[tuple[int, int], int]:
    """Return the queue item of each sample that has one now, by batch and position."""
    places = [{"batch_id": one.batch_id, "position": one.position} for one in samples]
    found = queries.rows(connection, "queries/what_if.items", places=json.dumps(places))
    return {(row["batch_id"], row["position"]): row["quarantine_id"] for row in found}


# Work out -------------------------------------------------------------------------------


def work_out(execution: Execution) -> str:
    """Work out the prediction of the run, store it and end the run; return the run's reason.

    Raises RevenueError when there is nothing to try the rules on.
    """
    with execution.engine.connect() as connection:
        asked = queries.row(connection, "queries/what_if.asked", prediction_id=execution.predicts)
        if asked is None:
            raise RevenueError(f"there is no prediction {execution.predicts}", code=_CODE)
        tried = msgspec.convert(asked["rules"], list[Rule])
        choice = Choice(
            dataset=asked["dataset"], first_day=asked["first_day"], last_day=asked["last_day"]
        )
        chosen = set(reprocess.touched(connection, choice).batches)
        loaded = [
            Batch(**{field.name: row[field.name] for field in dataclasses.fields(Batch)})
            for row in queries.rows(
                connection, "queries/batches.judged", dataset=execution.dataset.name
            )
        ]
    if not chosen:
        raise RevenueError("no loaded batch is left to try the rules on", code=_CODE)
    execution.go_on_to(ahead=())
    execution.begin(Step.LOAD)
    with execution.transaction(is_last=True) as connection:
        result = _predict(execution, connection, tried, loaded, chosen)
        reason = mask("; ".join([_words(execution.predicts, result), *execution.remarks]))
        queries.execute(
            connection,
            "queries/what_if.predicted",
            prediction_id=execution.predicts,
            result=msgspec.json.encode(result).decode(),
        )
        execution.checkpoint(connection, Step.LOAD, result.records)
        execution.fence(connection)  # last: nobody could cancel it meanwhile
        queries.execute(
            connection, "queries/what_if.finish", run_id=execution.run_id, reason=reason
        )
        failpoints.hit("what_if.before_commit")
    execution.log("info", f"run succeeded: {reason}")
    return reason


def _predict(
    execution: Execution,
    connection: Connection,
    tried: Sequence[Rule],
    loaded: Sequence[Batch],
    chosen: set[int],
) -> Result:
    dataset = execution.dataset
    stage = Stage(
        connection,
        dataset,
        tried,
        rules.fingerprint(tried),
        again=sorted(chosen),
        is_trial=True,
    )
    batches = [one for one in loaded if one.batch_id in chosen]
    others = [one for one in loaded if one.batch_id not in chosen]
    is_widened = fill_again(execution, connection, stage, batches, others)
    if is_widened:
        batches, others = list(loaded), []
    judged = [one.batch_id for one in batches]
    records = sum(sum(found) for found in stage.judged.values())
    execution.progress(Step.LOAD, records, records, activity="comparing with silver")
    connection.exec_driver_sql("set local work_mem = '256MB'")  # each key of the stage is hashed
    connection.exec_driver_sql("analyze refused")
    tables.supersede(connection, dataset)
    fired = _fired(connection, dataset.name, tried, stage, judged, [one.batch_id for one in loaded])
    after = _verdicts_after(connection, stage)
    tables.keep_newest(connection, dataset)
    rows = comparison.compare(connection, dataset, judged, is_whole=not others)
    now, change = comparison.totals(connection, dataset), comparison.change(connection, dataset)
    before = queries.row(connection, "queries/what_if.verdicts", batches=judged)
    turned = queries.row(connection, "queries/what_if.turned", batches=judged)
    assert before is not None
    assert turned is not None
    money = dataset.money
    return Result(
        batches=len(judged),
        records=records,
        widened=execution.remarks[-1] if is_widened else None,
        before=Verdicts(**{name: before[name] for name in ("valid", "invalid", "superseded")}),
        after=after,
        **turned,
        rows_before=now.rows,
        rows_after=now.rows + change.rows,
        inserted=rows.inserted,
        updated=rows.updated,
        deleted=rows.deleted,
        unchanged=now.rows - rows.updated - rows.deleted,
        digest_before=now.digest,
        digest_after=now.digest ^ change.digest,
        unit=money.unit if money else None,
        money_before=now.money,
        money_after=now.money + change.money,
        groupings=[
            _grouping(execution, connection, name) for name in (money.groups if money else ())
        ],
        rules=fired,
        caught_samples=_samples(connection, "queries/what_if.caught_samples"),
        released_samples=_samples(connection, "queries/what_if.released_samples", batches=judged),
    )


def _grouping(execution: Execution, connection: Connection, name: str) -> Grouping:
    execution.check()
    shown, others = comparison.groups(connection, execution.dataset, name, limit=GROUPS)
    return Grouping(name=name, groups=shown, others=others)


def _samples(connection: Connection, query: str, **parameters: Any) -> list[Sample]:
    return [Sample(**row) for row in queries.rows(connection, query, limit=SAMPLES, **parameters)]


def _verdicts_after(connection: Connection, stage: Stage) -> Verdicts:
    """Return the verdicts of the staged batches; the stage was rid of superseded records."""
    superseded = int(queries.value(connection, "queries/what_if.superseded"))
    return Verdicts(
        valid=sum(valid for valid, _ in stage.judged.values()) - superseded,
        invalid=sum(invalid for _, invalid in stage.judged.values()),
        superseded=superseded,
    )


def _fired(
    connection: Connection,
    dataset: str,
    tried: Sequence[Rule],
    stage: Stage,
    judged: Sequence[int],
    loaded: Sequence[int],
) -> list[Fired]:
    """Return how often each rule fires, those tried first; the stage still holds each batch's records."""
    before: Mapping[str, dict[str, Any]] = {
        row["code"]: row
        for row in queries.rows(
            connection,
            "queries/what_if.fired",
            dataset=dataset,
            batches=list(judged),
            loaded=list(loaded),
        )
    }
    found = []
    for index, rule in enumerate(tried):
        if rule.kind == validate.REFERENCES:
            fires = sum(without_reference(connection, rule).values())
        else:
            fires = sum(int(counts[index]) for counts in stage.fired.values())
        known = before.get(rule.code, {"records": 0, "judged_records": 0})
        elsewhere = known["records"] - known["judged_records"]
        found.append(
            Fired(
                code=rule.code,
                message=rule.message,
                before=known["records"],
                after=elsewhere + fires,
            )
        )
    codes = {rule.code for rule in tried}
    return found + [
        Fired(
            code=code,
            message=row["message"],
            before=row["records"],
            after=row["records"] - row["judged_records"],
        )
        for code, row in before.items()
        if code not in codes and row["records"]
    ]


def _words(prediction_id: int | None, result: Result) -> str:
    words = (
        f"prediction {prediction_id}: {result.caught:,} records newly caught, "
        f"{result.released:,} newly released; silver would get {result.inserted:,} rows, "
        f"change {result.updated:,} and lose {result.deleted:,}"
    )
    if result.unit is None:
        return words
    return f"{words}; {result.money_after - result.money_before:+,} {result.unit}"
