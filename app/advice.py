"""What an operator had best do next, from the state of things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.health import SILENT_SECONDS


@dataclass(frozen=True, kw_only=True)
class Step:
    """One suggestion; it leads to a page, or to a command."""

    title: str
    text: str
    page: str | None = None
    query: Mapping[str, object] = field(default_factory=dict)
    label: str = ""
    command: str | None = None


def next_steps(status: dict[str, Any], *, waiting_files: int, is_untouched: bool) -> list[Step]:
    """Return what to do next, the most urgent first; never empty.

    `status` is that of app.health.
    """
    steps = []
    if status["worker_heartbeat"] is None or _is_silent(status):
        steps.append(
            Step(
                title="Start a worker",
                text="Runs wait in the queue until a worker takes them. On this machine:",
                command="revenue worker",
            )
        )
    if is_untouched:
        text = "Generate demo files, upload your own, or drop JSON files into the landing zone."
        steps.append(
            Step(title="Bring the first data", text=text, page="upload", label="Upload or generate")
        )
    broken = [layer for layer in status["layers"] if layer["status"] in {"failed", "lost"}]
    steps += [
        Step(
            title=f"Look at the {layer['status']} run of {layer['dataset']}",
            text="Its page says why, and resumes it from its last checkpoint.",
            page="runs",
            query={"run": layer["run_id"]},
            label=f"Run {layer['run_id']}",
        )
        for layer in broken
    ]
    wrong = [row for row in status["findings"] if not row["is_balanced"]]
    if wrong:
        places = sorted({f"{row['layer']} of {row['dataset']}" for row in wrong})
        steps.append(
            Step(
                title="Look at what does not add up",
                text=f"The newest check found {_count(len(wrong), 'broken leg')}: "
                f"{', '.join(places)}.",
                page="health",
                label="Reconciliation",
            )
        )
    if waiting_files:
        steps.append(
            Step(
                title="Load the waiting files",
                text=f"{_count(waiting_files, 'file')} in the landing zone belong to no batch yet.",
                page="upload",
                label="Landing zone",
            )
        )
    if status["open_invalid_records"]:
        steps.append(
            Step(
                title="Review invalid records",
                text=f"{_count(status['open_invalid_records'], 'record')} wait for a decision.",
                page="invalid_records",
                label="Invalid records",
            )
        )
    if not steps or not is_untouched:
        steps.append(
            Step(
                title="Look at the numbers",
                text="Revenue by region, product and month, as of the last promotion.",
                page="dashboard",
                label="Dashboard",
            )
        )
    return steps


def _is_silent(status: dict[str, Any]) -> bool:
    silence = (status["now"] - status["worker_heartbeat"]).total_seconds()
    return bool(silence > SILENT_SECONDS)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def balance(layers: Sequence[dict[str, Any]]) -> bool | None:
    """Tell whether every ledger balances; None before the first run."""
    known = [layer["is_balanced"] for layer in layers if layer["is_balanced"] is not None]
    return all(known) if known else None
