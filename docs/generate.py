"""Writes docs/reference/ from the code itself: settings, commands, rules, alerts (`make docs`)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app import metrics  # noqa: E402
from app.cli import cli  # noqa: E402
from etl import alert_kinds, datasets, validate  # noqa: E402
from etl.settings import PREFIX, Settings  # noqa: E402

FOLDER = ROOT / "docs" / "reference"
_NOTE = "<!-- Written by `make docs`; a test fails when it is out of date. -->\n"


def settings_page() -> str:
    """Return every setting with type, default and unit."""
    lines = [
        "# Settings",
        _NOTE,
        "Read once at the start: from the environment, then from `.env`. Any of them may come from a",
        f"file instead: `{PREFIX}<NAME>_FILE` names it (Docker secrets).",
        "",
        "| variable | type | default | meaning |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        kind = getattr(field.annotation, "__name__", str(field.annotation)).replace("|", "\\|")
        default = field.get_default(call_default_factory=False)
        shown = default.get_secret_value() if hasattr(default, "get_secret_value") else default
        given = field.default_factory is None and shown is not None
        lines.append(
            f"| `{PREFIX}{name.upper()}` | {kind.replace('SecretStr', 'str')} "
            f"| {f'`{shown}`' if given else '–'} | {field.description} |"
        )
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Return the help of every command."""
    lines = [
        "# Commands",
        _NOTE,
        "Exit status: 0 succeeded, 1 failed, 2 wrong use, 3 rejected records or warnings where",
        "`--strict` is given.",
        "",
    ]
    for path, command in _commands(cli, ("revenue",)):
        # said here: a command remembers the names of its first use in the process
        context = click.Context(
            command,
            info_name=" ".join(path),
            max_content_width=95,
            help_option_names=command.context_settings.get("help_option_names", ["-h", "--help"]),
        )
        lines += [f"## {' '.join(path)}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(lines)


def _commands(
    group: click.Group, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


def rules_page() -> str:
    """Return the shipped rules of every feed and the catalogue of kinds."""
    lines = [
        "# Rules",
        _NOTE,
        "The shipped defaults, in the order of their messages. `reject` sends a record to quarantine;",
        "`warn` keeps and counts it. A rule judges the value as received or after normalising.",
        "",
    ]
    for dataset in datasets.declared().values():
        lines += [
            f"## {dataset.title}",
            "",
            "| message | severity | judges | rule |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {rule.message} | {rule.severity} | {rule.judges} | {validate.sentence(rule)} |"
            for rule in dataset.rules
        ]
        lines += [
            "",
            "| column | type | from | normalised |",
            "|---|---|---|---|",
            *(
                f"| `{column.name}` | {column.type} | "
                f"{', '.join(f'`{path}`' for path in column.paths)} | {column.comment} |"
                for column in dataset.columns
            ),
            "",
        ]
    lines += ["## Kinds of rules", "", "| kind | sentence | parameters |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {kind.sentence} | "
        f"{', '.join(f'{key}: {value}' for key, value in kind.parameters.items()) or '–'} |"
        for name, kind in validate.KINDS.items()
    ]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Return the metric catalogue."""
    lines = [
        "# Metrics",
        _NOTE,
        "| metric | unit | meaning | in Power BI (DAX) |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {metric.title} (`{metric.name}`) | {metric.unit} | {metric.description} | `{metric.dax}` |"
        for metric in metrics.METRICS
    ]
    lines += [
        "",
        "## Measures of Explore",
        "",
        "What *Explore* offers: five of the metrics above, and these. Groups of a measure that does not",
        "add up (an average, a largest value, a count of different things) do not sum to the total.",
        "",
        "| measure | unit | meaning | adds up | SQL | in Power BI (DAX) |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {measure.title} (`{measure.name}`) | {measure.unit} | {measure.description} "
        f"| {'yes' if measure.is_additive else 'no'} | `{measure.expression}` | `{measure.dax}` |"
        for measure in metrics.MEASURES
        if measure not in metrics.METRICS
    ]
    lines += [
        "",
        "## Dimensions of Explore",
        "",
        "Each sale has exactly one value of each.",
        "",
        "| dimension | SQL | in Power BI (DAX) |",
        "|---|---|---|",
    ]
    lines += [
        f"| {dimension.title} (`{dimension.name}`) "
        f"| `{dimension.expression.format(day='t.transaction_date')}` | `{dimension.dax}` |"
        for dimension in metrics.DIMENSIONS
    ]
    return "\n".join(lines) + "\n"


def alerts_page() -> str:
    """Return the catalogue of what can be watched."""
    lines = [
        "# Alerts",
        _NOTE,
        "What an alert rule can watch. An incident is open as long as the sentence holds for a subject",
        "(a feed, a layer of it, or a process), and is told once when it begins and once when it ends.",
        "",
        "| alert (`kind`) | holds when | unit of the limit | usual limit | message |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {kind.title} (`{kind.name}`) "
        f"| {kind.sentence.format(feed='the feed', limit='the limit')} | {kind.unit or '–'} "
        f"| {'–' if kind.usual is None else f'{kind.usual:g}'} | {_placeholders(kind.message)} |"
        for kind in alert_kinds.KINDS.values()
    ]
    return "\n".join(lines) + "\n"


def _placeholders(template: str) -> str:
    return re.sub(r"{(\w+)[^}]*}", r"*\1*", template)


PAGES = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "rules.md": rules_page,
    "metrics.md": metrics_page,
    "alerts.md": alerts_page,
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
