"""Archive: files leave the landing zone, and the file of invalid records is up to date."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from etl import error_file, failpoints, landing
from etl.db import queries
from etl.model import Step

if TYPE_CHECKING:
    from etl.execution import Execution


def renew_error_file(execution: Execution) -> error_file.Held:
    """Bring the feed's file of open invalid records up to date; return what it holds now."""
    dataset = execution.dataset
    failpoints.hit("archive.before_error_file")
    with execution.reading() as connection:
        return error_file.renew(connection, dataset, execution.settings.logs / dataset.error_file)


def archive(execution: Execution, *, renewal: Future[error_file.Held] | None) -> int:
    """Move the files of finished batches, record it; return how many moved.

    `renewal` is that of the file of invalid records, None where nothing in it can have changed.
    """
    settings, dataset = execution.settings, execution.dataset
    with execution.engine.connect() as connection:
        rows = queries.rows(connection, "queries/batches.to_archive", dataset=dataset.name)
    moved = []
    for row in rows:
        execution.check()
        stored = row["stored_name"]
        failpoints.hit("archive.before_move")
        if stored is not None:
            folder = settings.rejected if row["status"] == "rejected" else settings.processed
            landing.move(settings.landing / stored, folder / stored)
            if row["status"] == "rejected":
                landing.write_reason(
                    folder / stored, row["reason_detail"] or {"message": row["reason"]}
                )
        moved.append(row)
        execution.progress(Step.ARCHIVE, len(moved), len(rows), activity="moving files")
        failpoints.hit("archive.after_move")
    held = None
    if renewal is not None:
        activity = f"writing {dataset.error_file}"
        execution.progress(Step.ARCHIVE, len(moved), len(rows), activity=activity)
        held = renewal.result()
    with execution.transaction() as connection:
        if held is not None:
            error_file.remember(connection, dataset, held)
        for row in moved:
            queries.execute(
                connection,
                "queries/batches.archived",
                batch_id=row["batch_id"],
                stored_name=row["stored_name"],
            )
        execution.checkpoint(connection, Step.ARCHIVE, len(moved))
        failpoints.hit("archive.before_commit")
    failpoints.hit("archive.after_commit")
    return len(moved)
