"""The `revenue` command.

Exit status: 0 succeeded, 1 failed, 2 wrong use, 3 rejected records or warnings with --strict.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import getpass
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from etl import datasets, log
from etl import settings as settings_module
from etl.errors import RevenueError
from etl.masking import mask, mask_values
from etl.model import Step
from etl.settings import PREFIX, Settings
from etl.triage_states import TriageState

_WORKER_NICENESS = 10  # pages go first where a run and a page want the same core
STRICT_STATUS = 3
_out = Console(width=None if sys.stdout.isatty() else 200)
_err = Console(stderr=True)


def main() -> None:
    """Run the command; every error of ours is a sentence, never a traceback."""
    wants_json = "--json" in sys.argv[1:]
    try:
        status = cli.main(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _err.print("stopped")
        sys.exit(130)
    except RevenueError as error:
        _fail(error.code, error.message, wants_json=wants_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        if os.environ.get(f"{PREFIX}TRACEBACK"):
            _say(traceback.format_exc())
        from sqlalchemy.exc import SQLAlchemyError

        first = (str(getattr(error, "orig", error)).strip().splitlines() or [""])[0]
        kind = "database" if isinstance(error, SQLAlchemyError) else "internal"
        _fail(kind, f"{type(error).__name__}: {first}", wants_json=wants_json)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(code: str, message: str, *, wants_json: bool) -> None:
    message = mask(message)
    if log.is_json():
        log.say("error", message, code=code)
        sys.exit(1)
    if wants_json:
        print_json({"error": {"code": code, "message": message}})
    _err.print(f"[bold red]error[/] ({code}):", end=" ")
    _err.print(message, markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


def print_json(value: Any) -> None:
    """Print one JSON object; moments in ISO 8601, money as exact decimal text."""
    click.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


def _say(text: str) -> None:
    _err.print(mask(text), markup=False, highlight=False, soft_wrap=True)


def _actor() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "operator"


@contextlib.contextmanager
def _engine(settings: Settings, *, check: bool = True) -> Iterator[Any]:
    from etl.db.connect import database

    with database(settings, name="revenue", check=check, progress=_say_first) as opened:
        yield opened


def _say_first(text: str) -> None:
    if sys.stderr.isatty():
        _say(text)


_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_dataset_names = click.Choice(datasets.names())
_day = click.DateTime(["%Y-%m-%d"])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="customer-revenue-analytics", prog_name="revenue")
def cli() -> None:
    """Sales and customer files to trusted revenue dashboards."""


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), help="TCP port of the pages.")
@click.option("--no-demo", is_flag=True, help="Start empty, without demo data.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
def up(port: int | None, no_demo: bool, no_browser: bool) -> None:
    """Start everything: database, demo data, worker, scheduler and pages."""
    settings = settings_module.load(**({"port": port} if port else {}))
    from app import supervise

    supervise.up(settings, demo=not no_demo, browser=not no_browser and _has_screen(), say=_say)


def _has_screen() -> bool:
    return sys.platform in {"win32", "darwin"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


@cli.command()
@click.argument("dataset", type=_dataset_names)
@click.option("--records", type=click.IntRange(0), required=True, help="Number of records.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
@click.option("--invalid-rate", type=click.FloatRange(0, 1), help="Share of invalid records.")
@click.option(
    "--customers",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Customer ids that sales refer to.",
)
@click.option(
    "--format", "format_", type=click.Choice(["json", "ndjson"]), default="json", show_default=True
)
@click.option("--out", type=click.Path(path_type=Path), help="File instead of the landing zone.")
@_json_option
def generate(
    dataset: str,
    records: int,
    seed: int,
    invalid_rate: float | None,
    customers: int,
    format_: Any,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write a synthetic file, ready to be run."""
    from etl import generate as generator

    settings = settings_module.load()
    settings.make_folders()
    path = out or settings.landing / generator.file_name(
        dataset, records=records, seed=seed, format=format_
    )
    with _bar(f"generating {dataset}", records, quiet=as_json) as advance:
        made = generator.write(
            dataset,
            records=records,
            seed=seed,
            path=path,
            format=format_,
            customers=customers,
            invalid_rate=invalid_rate,
            progress=advance,
        )
    if as_json:
        print_json({"path": str(path), "records": made.records, "bytes": made.bytes})
    else:
        _say(f"{made.records:,} records, {made.bytes:,} bytes: {path}")


@cli.command()
@click.argument("dataset", type=click.Choice((*datasets.names(), "all")))
@click.option("--source-file", type=click.Path(path_type=Path), help="Only this file.")
@click.option("--full", is_flag=True, help="Judge and load every batch again from raw.")
@click.option(
    "--until",
    type=click.Choice([step.value for step in Step]),
    help="Stop after this step; the next run goes on from there.",
)
@click.option(
    "--reprocess-batch",
    "batches",
    type=click.IntRange(1),
    multiple=True,
    metavar="ID",
    help="Judge and load this batch again from raw; may be repeated. Takes no files.",
)
@click.option(
    "--reprocess-from",
    "first_day",
    type=_day,
    help="Judge batches again that were accepted from this day on, YYYY-MM-DD, UTC.",
)
@click.option(
    "--reprocess-to",
    "last_day",
    type=_day,
    help="Judge batches again that were accepted up to this day, YYYY-MM-DD, UTC.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 on rejected records or warnings.")
@_json_option
def run(
    dataset: str,
    source_file: Path | None,
    full: bool,
    until: str | None,
    batches: tuple[int, ...],
    first_day: dt.datetime | None,
    last_day: dt.datetime | None,
    strict: bool,
    as_json: bool,
) -> int:
    """Run the ETL in the foreground."""
    if dataset == "all" and source_file is not None:
        raise click.UsageError("--source-file needs one dataset, not `all`")
    if full and until not in {None, Step.ARCHIVE.value}:
        raise click.UsageError("--full takes all steps at once; leave out --full or --until")
    is_reprocess = bool(batches or first_day or last_day)
    if is_reprocess and (dataset == "all" or source_file is not None or full or until):
        raise click.UsageError(
            "--reprocess-… needs one dataset, and none of --source-file, --full and --until"
        )
    from etl import reprocess, worker
    from etl import runs as run_queue

    settings = settings_module.load()
    settings.make_folders()
    names = datasets.names() if dataset == "all" else (dataset,)
    source = str(source_file.absolute()) if source_file is not None else None
    shown = []
    with (
        _engine(settings) as opened,
        worker.Presence(opened.engine, settings, "command") as presence,
    ):
        chosen = None
        if is_reprocess:
            choice = reprocess.Choice(
                dataset=dataset,
                batches=batches or None,
                first_day=first_day.date() if first_day else None,
                last_day=last_day.date() if last_day else None,
            )
            chosen = _chosen(opened.engine, choice, quiet=as_json)
        for name in names:
            with _run_bar(name, quiet=as_json) as (report, echo):
                run_id, _ = worker.run_in_foreground(
                    opened.engine,
                    settings,
                    presence,
                    name,
                    actor=_actor(),
                    source_file=source,
                    is_full=full,
                    until=Step(until) if until else None,
                    batches=chosen,
                    report=report,
                    echo=echo,
                )
            with opened.engine.connect() as connection:
                shown.append(run_queue.show(connection, run_id))
    worst = _worst([one["status"] for one in shown])
    if as_json:
        print_json({"status": worst, "runs": shown})
    else:
        for one in shown:
            _print_run(one)
    if worst in {"failed", "cancelled", "lost"}:
        return 1
    noisy = any(one["invalid_records"] or one["warning_records"] for one in shown)
    return STRICT_STATUS if strict and (noisy or worst == "warned") else 0


def _chosen(engine: Any, choice: Any, *, quiet: bool) -> tuple[int, ...]:
    """Return the batches of the choice, and say what they are.

    Raises RevenueError when there are none.
    """
    from etl import reprocess

    with engine.connect() as connection:
        touched = reprocess.touched(connection, choice)
    if not touched.batches:
        raise RevenueError("no loaded batch fits this choice", code="reprocess")
    if not quiet:
        wider = (
            ""
            if touched.is_whole
            else f"; where others may hold what counts, all {touched.all_batches:,} with "
            f"{touched.all_records:,} records"
        )
        _say(
            f"judging {len(touched.batches):,} batch(es) with {touched.records:,} records again{wider}"
        )
    return touched.batches


def _worst(statuses: Sequence[str]) -> str:
    order = ("failed", "lost", "cancelled", "warned", "succeeded")
    return min(statuses, key=order.index)


@cli.group(invoke_without_command=True)
@_json_option
@click.pass_context
def runs(context: click.Context, as_json: bool) -> None:
    """History of runs; one run; resume; cancel."""
    if context.invoked_subcommand is None:
        context.invoke(list_runs, as_json=as_json)


@runs.command("list")
@click.option("--dataset", type=_dataset_names)
@click.option("--status")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@_json_option
def list_runs(
    as_json: bool, dataset: str | None = None, status: str | None = None, limit: int = 20
) -> None:
    """List runs, newest first."""
    from etl.db import queries

    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        found = queries.rows(
            connection,
            "queries/runs.history",
            dataset=dataset,
            status=status,
            trigger=None,
            since=None,
            limit=limit,
            offset=0,
        )
    if as_json:
        print_json({"runs": found})
        return
    _print_table(
        ("run", "dataset", "status", "started", "seconds", "read", "valid", "invalid", "reason"),
        [
            (
                row["run_id"],
                row["dataset"],
                row["status"],
                _short(row["started_at"]),
                f"{row['seconds']:.1f}" if row["seconds"] is not None else "",
                f"{row['read_records']:,}",
                f"{row['valid_records']:,}",
                f"{row['invalid_records']:,}",
                row["reason"] or "",
            )
            for row in found
        ],
        empty="no runs yet; `revenue run all` makes the first",
    )


@runs.command("show")
@click.argument("run_id", type=int)
@_json_option
def show_run(run_id: int, as_json: bool) -> None:
    """Show one run with steps, batches and ledger."""
    from etl import runs as run_queue

    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        one = run_queue.show(connection, run_id)
    if as_json:
        print_json(one)
    else:
        _print_run(one)


@runs.command("resume")
@click.argument("run_id", type=int)
@_json_option
def resume_run(run_id: int, as_json: bool) -> int:
    """Go on with a failed, cancelled or lost run from its last checkpoint, now."""
    from etl import runs as run_queue
    from etl import worker

    settings = settings_module.load()
    settings.make_folders()
    with (
        _engine(settings) as opened,
        worker.Presence(opened.engine, settings, "command") as presence,
    ):
        run_queue.mark_lost(
            opened.engine, silence=settings.lost_after_seconds, attempts=settings.attempts
        )
        with opened.engine.begin() as connection:
            run_queue.resume(connection, run_id)
        claimed = run_queue.claim(opened.engine, presence.worker_id, run_id)
        if claimed is not None:
            with _run_bar(claimed.dataset, quiet=as_json) as (report, echo):
                worker.perform(opened.engine, settings, presence, claimed, report=report, echo=echo)
        with opened.engine.connect() as connection:
            one = run_queue.show(connection, run_id)
    if as_json:
        print_json(one)
    else:
        _print_run(one)
    return 1 if one["status"] in {"failed", "cancelled", "lost"} else 0


@runs.command("cancel")
@click.argument("run_id", type=int)
@_json_option
def cancel_run(run_id: int, as_json: bool) -> None:
    """Ask a queued or running run to stop."""
    from etl import runs as run_queue

    with _engine(settings_module.load()) as opened, opened.engine.begin() as connection:
        status = run_queue.cancel(connection, run_id, actor=_actor())
    if as_json:
        print_json({"run_id": run_id, "status": status})
    else:
        _say(f"run {run_id}: {'stops within two seconds' if status == 'running' else status}")


@cli.group(invoke_without_command=True)
@_json_option
@click.pass_context
def schedules(context: click.Context, as_json: bool) -> None:
    """Schedules with their next times."""
    if context.invoked_subcommand is None:
        context.invoke(list_schedules, as_json=as_json)


@schedules.command("list")
@click.option("--dataset", type=_dataset_names)
@_json_option
def list_schedules(as_json: bool, dataset: str | None = None) -> None:
    """List the schedules, newest first."""
    from app import timetable

    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        found = timetable.schedules(connection, dataset=dataset)
    if as_json:
        print_json({"schedules": found})
        return
    _print_table(
        ("schedule", "name", "dataset", "state", "times", "next", "last run"),
        [
            (
                row["schedule_id"],
                row["name"],
                row["dataset"],
                row["state"],
                row["words"],
                _short(row["next_at"]),
                f"{row['run_id']} {row['run_status']}" if row["run_id"] else "",
            )
            for row in found
        ],
        empty="no schedules yet; the page Schedules makes the first",
    )


_STATES = [state.value for state in TriageState]


@cli.group(invoke_without_command=True)
@_json_option
@click.pass_context
def quarantine(context: click.Context, as_json: bool) -> None:
    """The queue of invalid records."""
    if context.invoked_subcommand is None:
        context.invoke(list_quarantine, as_json=as_json)


@quarantine.command("list")
@click.option("--dataset", type=_dataset_names)
@click.option("--status", type=click.Choice(_STATES))
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@_json_option
def list_quarantine(
    as_json: bool, dataset: str | None = None, status: str | None = None, limit: int = 50
) -> None:
    """List invalid records, oldest first."""
    from etl.db import queries

    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        found = queries.rows(
            connection,
            "queries/triage.queue",
            dataset=dataset,
            status=status,
            rule_id=None,
            search=None,
            limit=limit,
            offset=0,
        )
        total = queries.value(
            connection,
            "queries/triage.count",
            dataset=dataset,
            status=status,
            rule_id=None,
            search=None,
        )
    if as_json:
        print_json({"total": total, "records": found})
        return
    _print_table(
        ("id", "dataset", "status", "key", "file", "position", "reasons"),
        [
            (
                row["quarantine_id"],
                row["dataset"],
                row["status"],
                row["record_key"] or "–",
                row["file_name"],
                row["position"],
                row["dq_errors"],
            )
            for row in found
        ],
        empty="no invalid records",
    )
    if total > len(found):
        _say(f"{len(found)} of {total:,}; more with --limit, all with `revenue quarantine export`")


@quarantine.command("show")
@click.argument("quarantine_id", type=int)
@_json_option
def show_quarantine(quarantine_id: int, as_json: bool) -> None:
    """Show one invalid record as received."""
    from etl import triage

    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        one = triage.show(connection, quarantine_id)
    if as_json:
        print_json(one)
        return
    for name in ("quarantine_id", "dataset", "status", "file_name", "batch_id", "position"):
        click.echo(f"{name}: {one[name]}")
    for violation in one["violations"]:
        click.echo(f"- {violation['message']} ({violation['column_name']})")
    click.echo(one["record"])


@quarantine.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dataset", type=_dataset_names)
@click.option("--status", type=click.Choice(_STATES))
@_json_option
def export_quarantine(file: Path, dataset: str | None, status: str | None, as_json: bool) -> None:
    """Write invalid records with their reasons to FILE (.csv or .json)."""
    from etl import triage

    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        count = triage.export_to(connection, file, dataset=dataset, status=status)
    if as_json:
        print_json({"path": str(file), "records": count})
    else:
        _say(f"{count:,} records: {file}")


@cli.group(invoke_without_command=True)
@_json_option
@click.pass_context
def rules(context: click.Context, as_json: bool) -> None:
    """The rules that judge records."""
    if context.invoked_subcommand is None:
        context.invoke(list_rules, as_json=as_json)


@rules.command("list")
@click.option("--dataset", type=_dataset_names)
@_json_option
def list_rules(as_json: bool, dataset: str | None = None) -> None:
    """List the rules in the order of their messages."""
    from app import rule_book

    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        found = rule_book.listed(connection, dataset=dataset)
    if as_json:
        print_json({"rules": found})
        return
    _print_table(
        ("rule", "dataset", "code", "severity", "state", "version", "fired", "sentence"),
        [
            (
                row["rule_id"],
                row["dataset"],
                row["code"],
                row["severity"],
                "on" if row["active"] else "off",
                row["version"],
                f"{row['fired']:,}",
                row["sentence"],
            )
            for row in found
        ],
    )


@rules.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dataset", type=_dataset_names)
@_json_option
def export_rules(file: Path, dataset: str | None, as_json: bool) -> None:
    """Write the rules to FILE as YAML."""
    from app import rule_book

    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        text = rule_book.as_yaml(connection, dataset=dataset)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RevenueError(f"{file} cannot be written: {error.strerror}", code="export") from error
    if as_json:
        print_json({"path": str(file)})
    else:
        _say(f"rules: {file}")


@rules.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_json_option
def import_rules(file: Path, as_json: bool) -> None:
    """Draft what FILE (YAML) says otherwise; the page Rules activates drafts."""
    from app.actions import Desk
    from app.actions import rules as actions
    from app.auth import Operator, Role

    try:
        content = file.read_bytes()
    except OSError as error:
        raise RevenueError(f"{file} cannot be read: {error.strerror}", code="import") from error
    settings = settings_module.load()
    operator = Operator(name=_actor(), role=Role.ADMIN, origin="command")
    with _engine(settings) as opened:
        desk = Desk(engine=opened.engine, settings=settings, operator=operator)
        drafts = actions.import_rules(desk, content, name=file.name)
    if as_json:
        print_json({"drafts": drafts})
    else:
        _say(
            f"{len(drafts):,} drafts; the page Rules activates them" if drafts else "no difference"
        )


@cli.command()
@click.option("--region", multiple=True, help="Region of the sale; may be repeated.")
@click.option("--product", multiple=True, help="Product name; may be repeated.")
@click.option("--category", multiple=True, help="Product category; may be repeated.")
@click.option("--from", "start", type=_day, help="First day, YYYY-MM-DD.")
@click.option("--to", "end", type=_day, help="Last day, YYYY-MM-DD.")
@_json_option
def metrics(
    region: tuple[str, ...],
    product: tuple[str, ...],
    category: tuple[str, ...],
    start: dt.datetime | None,
    end: dt.datetime | None,
    as_json: bool,
) -> None:
    """Print every KPI and the five analytical results."""
    from app import metrics as catalogue
    from app import report
    from app.cube import Database, Filters

    filters = Filters(
        regions=region,
        products=product,
        categories=category,
        start=start.date() if start else None,
        end=end.date() if end else None,
    )
    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        # one state of the data, whatever is promoted meanwhile
        connection.execution_options(isolation_level="REPEATABLE READ")
        shown = report.report(Database(connection), filters)
        kpis, results = shown.kpis, shown.results
    if as_json:
        print_json({"kpis": kpis, "results": results})
        return
    _print_table(
        ("metric", "value"),
        [
            (metric.title, catalogue.format_value(metric, kpis[metric.name]))
            for metric in catalogue.METRICS
            if metric.name in kpis
        ],
    )
    for name, found in results.items():
        click.echo(f"\n{name.replace('_', ' ')}")
        _print_table(
            tuple(found[0]) if found else (),
            [tuple(row.values()) for row in found],
            empty="nothing",
        )


@cli.group()
def powerbi() -> None:
    """The same metrics in Power BI."""


@powerbi.command("export")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--mode",
    type=click.Choice(["import", "directquery"]),
    default="import",
    show_default=True,
    help="Copy the data at each refresh, or ask the database for every visual.",
)
@click.option("--host", help="Host as Power BI reaches it; that of the configured database.")
@click.option("--port", type=click.IntRange(1, 65535), help="Its TCP port.")
@click.option("--database", help="Name of the database.")
@_json_option
def export_powerbi(
    folder: Path,
    mode: str,
    host: str | None,
    port: int | None,
    database: str | None,
    as_json: bool,
) -> None:
    """Write the Power BI project and its connection file into DIR, which is new or empty."""
    from app.powerbi import project, source

    of = source.configured(
        settings_module.load(), host=host, port=port, database=database, mode=source.Mode(mode)
    )
    written = project.write(folder, of)
    if as_json:
        print_json(
            {
                "path": str(folder / project.PBIP),
                "files": len(written),
                "server": of.server,
                "database": of.database,
                "mode": of.mode,
            }
        )
    else:
        _say(
            f"{len(written)} files for {of.database} on {of.server}, {of.mode}: "
            f"{folder / project.PBIP}"
        )


@powerbi.command("refresh")
@click.option("--dry-run", is_flag=True, help="Send nothing; show what would be sent.")
@click.option("--wait", is_flag=True, help="Stay until it ended; needs no worker.")
@_json_option
def refresh_powerbi(dry_run: bool, wait: bool, as_json: bool) -> int:
    """Ask Power BI to refresh the dataset; a worker sends it and follows it to its end."""
    from app import powerbi_refresh
    from app.actions import Desk
    from app.auth import Operator, Role

    settings = settings_module.load()
    operator = Operator(name=_actor(), role=Role.ADMIN, origin="command")
    with _engine(settings) as opened:
        desk = Desk(engine=opened.engine, settings=settings, operator=operator)
        one = powerbi_refresh.ask(
            desk, is_dry_run=dry_run, wait=wait, say=_say_first if not as_json else lambda _: None
        )
    if as_json:
        print_json(one)
    else:
        _say(powerbi_refresh.words(one))
    return 1 if one["state"] == "failed" else 0


@powerbi.command("password")
@_json_option
def renew_reader_password(as_json: bool) -> None:
    """Give bi_reader, who reads gold for Power BI, a new password and print it once."""
    from app.actions import Desk, reader_password
    from app.auth import Operator, Role
    from etl.db.reporting import BI_READER

    settings = settings_module.load()
    operator = Operator(name=_actor(), role=Role.ADMIN, origin="command")
    with _engine(settings) as opened:
        desk = Desk(engine=opened.engine, settings=settings, operator=operator)
        password = reader_password.renew(desk)
    if as_json:
        print_json({"role": BI_READER.name, "password": password})
        return
    click.echo(password)
    _say(f"the new password of {BI_READER.name}; it is kept nowhere else")


@cli.group()
def certificates() -> None:
    """Certificates for a database that Power BI reaches over TLS."""


@certificates.command("make")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--host",
    "hosts",
    multiple=True,
    required=True,
    help="Name or IP address as clients write it; may be repeated.",
)
@click.option(
    "--days",
    type=int,
    default=397,
    show_default=True,
    help="Life of the server certificate, to 825.",
)
@click.option(
    "--if-needed",
    is_flag=True,
    help="Keep a server certificate that has these hosts and 30 days to go.",
)
@_json_option
def make_certificates(
    folder: Path, hosts: tuple[str, ...], days: int, if_needed: bool, as_json: bool
) -> None:
    """Make a local authority in DIR, once, and a server certificate of it, anew each time."""
    from app import certificates as maker

    made = maker.make(folder, hosts, days=days, if_needed=if_needed)
    if as_json:
        print_json(made)
        return
    for is_new, what, file, ends in (
        (made.is_new_authority, "authority", made.authority, made.authority_ends),
        (made.is_new, "certificate", made.certificate, made.ends),
    ):
        _say(f"{'new' if is_new else 'kept'} {what} {file}, ends {ends:%Y-%m-%d %H:%M} UTC")
    _say(f"for {', '.join(made.hosts)}; clients trust {made.authority}, keep ca.key to yourself")


@cli.command()
@click.argument("name", required=False)
@_json_option
def query(name: str | None, as_json: bool) -> None:
    """Run one of the named analytical queries; without NAME, list them."""
    from etl.db import queries

    known = queries.load("queries/analytics")
    if name is None:
        listed = {key: queries.sentence("queries/analytics", key) for key in known}
        if as_json:
            print_json({"queries": listed})
        else:
            _print_table(("name", "what it answers"), list(listed.items()))
        return
    if name not in known:
        raise click.UsageError(f"there is no query {name!r}; choose one of: {', '.join(known)}")
    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        found = queries.rows(connection, f"queries/analytics.{name}")
    if as_json:
        print_json({"query": name, "rows": found})
    else:
        _print_table(
            tuple(found[0]) if found else (),
            [tuple(row.values()) for row in found],
            empty="no rows",
        )


@cli.command()
@click.option(
    "--part",
    type=click.Choice(["worker", "scheduler"]),
    help="Only whether this part beats on this host (for health checks).",
)
@_json_option
def status(part: str | None, as_json: bool) -> int:
    """Say whether everything is well; exits with 1 when it is not."""
    from app import health

    with _engine(settings_module.load()) as opened, opened.engine.connect() as connection:
        if part is not None:
            beats = health.beats_here(connection, part)
            print_json({part: beats}) if as_json else click.echo("beats" if beats else "silent")
            return 0 if beats else 1
        found = mask_values(health.status(connection))
    if as_json:
        print_json(found)
    else:
        _print_table(
            ("layer", "newest", "last run", "ledger"),
            [
                (
                    layer["title"],
                    _short(layer["newest_gold"]),
                    layer["status"] or "never ran",
                    {True: "balanced", False: "BROKEN", None: "–"}[layer["is_balanced"]],
                )
                for layer in found["layers"]
            ],
        )
        _print_table(
            ("feed", "layer", "freshness", "why"),
            [
                (age.dataset, age.layer, age.state.replace("_", " "), health.arithmetic(age))
                for age in found["freshness"]
            ],
        )
        broken = sum(not row["is_balanced"] for row in found["findings"])
        click.echo(
            f"layers checked {_short(found['checked_at'])}: "
            f"{len(found['findings'])} legs, {broken} broken"
            if found["findings"]
            else "layers not checked yet; a worker does it"
        )
        for problem in found["problems"]:
            _say(f"! {problem}")
        for warning in found["warnings"]:
            _say(f"~ {warning}")
        click.echo("well" if found["is_well"] else "not well")
    return 0 if found["is_well"] else 1


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> int:
    """Open psql on the configured database."""
    import subprocess

    from sqlalchemy.engine import make_url

    from etl.db.embedded import binary

    with _engine(settings_module.load(), check=False) as opened:
        url = make_url(opened.url)
        environment = {
            **os.environ,
            "PGHOST": url.host or "",
            "PGPORT": str(url.port or 5432),
            "PGUSER": url.username or "",
            "PGDATABASE": url.database or "",
            "PGPASSWORD": str(url.password or ""),
        }
        # psql handles Ctrl-C itself: it cancels a query, it does not end
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return subprocess.run(
            [str(binary("psql")), *arguments], env=environment, check=False
        ).returncode


@cli.command()
@click.option("--print", "feed", type=_dataset_names, help="Print the migration of a new feed.")
@_json_option
def migrate(feed: str | None, as_json: bool) -> None:
    """Bring the database to this version's schema."""
    from etl.db import migrate as migrations
    from etl.db import reporting, tables

    if feed is not None:
        click.echo(tables.migration(datasets.get(feed)), nl=False)
        return
    settings = settings_module.load()
    with _engine(settings, check=False) as opened:
        done = migrations.apply(opened.engine, _say_first)
        readers = reporting.provide(opened.engine, opened.url, settings, opened.embedded)
    names = [f"{one.version:04d}_{one.name}" for one in done]
    if as_json:
        print_json({"applied": names, "readers_left_alone": readers.problem})
        return
    _say(f"applied {', '.join(names)}" if names else "the database is up to date")
    if readers.problem:
        roles = " and ".join(reader.name for reader in reporting.READERS)
        _say(f"the roles {roles} were left alone: {readers.problem}")


@cli.command()
def web() -> None:
    """Serve the pages (needs REVENUE_DATABASE_URL)."""
    from app import supervise

    supervise.watch_parent()
    settings = settings_module.load()
    log.to_streams("web", as_json=settings.log_format == "json")
    from app import server

    server.serve(settings)


@cli.command()
def worker() -> None:
    """Run queued runs until told to stop."""
    from app import exporter
    from etl import worker as workers

    settings, stop = _service("worker")
    if hasattr(os, "nice"):
        os.nice(_WORKER_NICENESS)
    with (
        _engine(settings) as opened,
        exporter.serving(opened.engine, settings, warn=lambda line: log.say("warning", line)),
    ):
        log.say("info", "the worker is ready")
        workers.work(opened.engine, settings, stop=stop)
    log.say("info", "the worker stopped")


@cli.command()
def scheduler() -> None:
    """Queue runs at their planned times until told to stop."""
    from etl import scheduler as schedulers

    settings, stop = _service("scheduler")
    with _engine(settings) as opened:
        log.say("info", "the scheduler is ready")
        schedulers.keep_time(opened.engine, settings, stop=stop)
    log.say("info", "the scheduler stopped")


def _service(name: str) -> tuple[Settings, threading.Event]:
    stop = threading.Event()
    from app import supervise

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    supervise.watch_parent()
    settings = settings_module.load()
    log.to_streams(name, as_json=settings.log_format == "json")
    settings.make_folders()
    return settings, stop


@cli.command()
@click.option("--yes", is_flag=True, help="Really delete.")
def reset(yes: bool) -> None:
    """Delete the embedded database, `data/` and `logs/`."""
    settings = settings_module.load()
    folders = [settings.database, settings.home / "data", settings.logs]
    if not yes:
        raise click.UsageError(
            f"this deletes {', '.join(str(folder) for folder in folders)}; repeat with --yes"
        )
    from etl.db.embedded import EmbeddedServer

    server = EmbeddedServer(settings.database)
    if settings.database.exists() and server.is_running():
        raise RevenueError("the database is running; stop `revenue up` first", code="running")
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=False) if folder.exists() else None
    _say("deleted; `revenue up` starts afresh")


# What a person sees ---------------------------------------------------------------------


@contextlib.contextmanager
def _bar(title: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    with _progress() as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextlib.contextmanager
def _run_bar(dataset: str, *, quiet: bool) -> Iterator[tuple[Any, Any]]:
    if quiet:
        yield None, None
        return
    if not sys.stderr.isatty():
        yield None, lambda _, message: _say(f"{dataset}: {message}")
        return
    with _progress() as bar:
        tasks: dict[str, Any] = {}

        def report(
            step: Any, done: int, total: int | None, /, *, activity: str | None = None
        ) -> None:
            words = f"{dataset}: {step.value}" + (f", {activity}" if activity else "")
            if step not in tasks:
                tasks[step] = bar.add_task(words, total=total)
            bar.update(tasks[step], completed=done, total=total, description=words)

        def echo(level: str, message: str) -> None:
            del level
            bar.console.print(
                f"{dataset}: {message}", markup=False, highlight=False, soft_wrap=True
            )

        yield report, echo


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_err,
        transient=True,
    )


def _short(moment: dt.datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment is not None else ""


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str = "") -> None:
    if not rows:
        click.echo(empty)
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    from rich.text import Text

    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    _out.print(table)


def _print_run(one: dict[str, Any]) -> None:
    click.echo(
        f"run {one['run_id']} {one['dataset']}: {one['status']}"
        + (f" – {one['reason']}" if one["reason"] else "")
    )
    click.echo(
        f"  read {one['read_records']:,} = {one['valid_records']:,} valid "
        f"+ {one['invalid_records']:,} invalid + {one['superseded_records']:,} superseded; "
        f"{one['inserted_rows']:,} inserted, {one['updated_rows']:,} updated, "
        f"{one['unchanged_rows']:,} unchanged"
    )
    for step in one["steps"]:
        left = step["seconds_left"]
        click.echo(
            f"  {step['step']:8} {step['status']:10} {step['seconds']:8.2f} s "
            f"{step['done_records']:>12,}"
            + (f" of {step['total_records']:,}, {left:,.0f} s left" if left is not None else "")
            + (f" ({step['activity']})" if step["activity"] else "")
        )
    for leg in one["ledger"] or []:
        click.echo(
            f"  {'✓' if leg['balanced'] else '✗'} {leg['leg']}: {leg['left']} = {leg['right']}"
        )


if __name__ == "__main__":
    main()
