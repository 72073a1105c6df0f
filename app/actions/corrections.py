"""Corrected files: invalid records that were downloaded, corrected elsewhere and come back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from app.actions import Desk, _audit, _authorise, _check_size, _size, _storable, _transaction
from app.auth import Role
from etl import landing, round_trip
from etl.db import queries
from etl.repair import Edit
from etl.round_trip import Verdict

REFUSED_SHOWN = 1_000


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """What a corrected file holds; `edits` by feed, `refused` by row of the file (the first ones)."""

    name: str
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    unchanged: int = 0
    refused_rows: int = 0
    refused: tuple[tuple[int, str], ...] = ()


def read(desk: Desk, *, name: str, content: BinaryIO) -> Corrections:
    """Match each row of a corrected file with its queue item; nothing is changed.

    Raises ForbiddenError, UnreadableFileError for a file that is none of ours, damaged or too large.
    """
    _authorise(desk, "corrections.read", f"file {_storable(name)}", Role.STEWARD)
    _check_size(desk.settings, _size(content))
    content.seek(0)
    edited: list[Edit] = []
    unchanged, refused = 0, 0
    reasons: list[tuple[int, str]] = []
    with desk.engine.connect() as connection:
        for row in round_trip.read_corrected(
            connection, content, name, limits=landing.limits(desk.settings)
        ):
            if row.verdict is Verdict.UNCHANGED:
                unchanged += 1
            elif row.verdict is Verdict.REFUSED:
                refused += 1
                if len(reasons) < REFUSED_SHOWN:
                    reasons.append((row.row, row.reason or ""))
            else:
                assert row.quarantine_id is not None
                assert row.version is not None
                assert row.record is not None
                edited.append(
                    Edit(quarantine_id=row.quarantine_id, version=row.version, record=row.record)
                )
        feeds = {
            item["quarantine_id"]: item["dataset"]
            for item in queries.rows(
                connection, "queries/triage.items", ids=[edit.quarantine_id for edit in edited]
            )
        }
    edits: dict[str, list[Edit]] = {}
    for edit in edited:
        edits.setdefault(feeds[edit.quarantine_id], []).append(edit)
    with _transaction(desk) as connection:
        _audit(
            connection,
            desk.operator,
            "corrections.read",
            f"file {name}",
            after={"edited": len(edited), "unchanged": unchanged, "refused": refused},
        )
    return Corrections(
        name=name,
        edits=edits,
        unchanged=unchanged,
        refused_rows=refused,
        refused=tuple(reasons),
    )
