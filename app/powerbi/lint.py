"""What is wrong with a project, found without Power BI: one finding names a file and a thing in it.

The rules are those of the published formats, the traps that keep Power BI Desktop from loading a
project, and our own contract: the four gold tables with all their columns, a measure for each
metric with its DAX, and a page whose every field exists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from app.powerbi import lint_model, lint_report, project, shape
from app.powerbi.project import PBIDS, PBIP, REPORT, SEMANTIC_MODEL

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SECRET = re.compile(
    r"password|passwd|\bpwd\b|secret|token|api[_-]?key|\buser ?(?:id|name)\b|"
    r"postgres(?:ql)?://|://[^/\s\"]+:[^/\s\"]+@",
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(
    r"[A-Za-z]:\\|\\\\[\w.-]+\\|file:|(?<![\w.:/<*])/(?:home|root|tmp|usr|var|opt|mnt|srv|Users)/"
)
_PARTS = ((REPORT, "Report"), (SEMANTIC_MODEL, "SemanticModel"))
_JSON_ENDINGS = {".json", ".pbip", ".pbir", ".pbism", ".pbids", ".platform"}
_MODES = {"import": "Import", "directQuery": "DirectQuery"}


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """Something wrong: `file` is a path inside the project, `message` names the thing."""

    file: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


def lint(files: Mapping[str, bytes]) -> list[Finding]:
    """Return what is wrong with the project, sorted; nothing when it is sound."""
    return sorted({Finding(file=file, message=message) for file, message in _all(files)})


def _all(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    texts: dict[str, str] = {}
    for path, content in files.items():
        try:
            texts[path] = content.decode("utf-8")
        except UnicodeDecodeError:
            yield path, "is not UTF-8 text"
    parsed: dict[str, Any] = {}
    for path, text in texts.items():
        yield from ((path, message) for message in _text(path, text))
        if _ending(path) in _JSON_ENDINGS:
            try:
                content = json.loads(text, object_pairs_hook=_unique)
            except ValueError as error:
                yield path, f"is not JSON: {error}"
                continue
            if not isinstance(content, dict):
                yield path, "is not a JSON object"
                continue
            differences = list(shape.check(path, content))
            yield from ((path, message) for message in differences)
            if not differences:  # what has another shape is looked at no further
                parsed[path] = content
    yield from _required(files)
    yield from _pbip(parsed)
    yield from _platforms(parsed)
    yield from _pbism(parsed)
    model, found = lint_model.check(texts, f"{SEMANTIC_MODEL}/definition")
    yield from found
    yield from _pbids(parsed, model)
    yield from lint_report.check(parsed, REPORT, model, files)


def _ending(path: str) -> str:
    name = PurePosixPath(path)
    return name.name if name.name == ".platform" else name.suffix


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return made


def _text(path: str, text: str) -> Iterator[str]:
    if text.startswith("\ufeff"):
        yield "starts with a byte-order mark"
    if "\r" in text:
        yield "has Windows line ends"
    body = text.rstrip("\n")
    ends = text[len(body) :]
    if _ending(path) == ".tmdl" and ends != "\n\n":
        yield "must end with one blank line"
    if _ending(path) in _JSON_ENDINGS and ends != "\n":
        yield "must end with one newline"
    for number, line in enumerate(text.splitlines(), 1):
        if found := _SECRET.search(line):
            yield f"line {number} looks like a credential: {found[0]!r}"
        if found := _ABSOLUTE.search(line):
            yield f"line {number} holds an absolute path: {found[0]!r}"


def _required(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    wanted = {
        PBIP,
        f"{REPORT}/.platform",
        f"{REPORT}/definition.pbir",
        f"{REPORT}/definition/version.json",
        f"{REPORT}/definition/report.json",
        f"{REPORT}/definition/pages/pages.json",
        f"{SEMANTIC_MODEL}/.platform",
        f"{SEMANTIC_MODEL}/definition.pbism",
    }
    yield from ((path, "is missing") for path in wanted - set(files))
    known = re.compile(
        rf"{PBIP}|{PBIDS}|(?:{REPORT}|{SEMANTIC_MODEL})/\.platform|{REPORT}/definition\.pbir|"
        rf"{REPORT}/definition/(?:version|report|pages/pages|pages/[^/]+/page|"
        rf"pages/[^/]+/visuals/[^/]+/visual)\.json|"
        rf"{REPORT}/StaticResources/RegisteredResources/[^/]+\.json|"
        rf"{SEMANTIC_MODEL}/definition\.pbism|"
        rf"{SEMANTIC_MODEL}/definition/(?:(?:tables|roles)/)?[^/]+\.tmdl"
    )
    yield from ((path, "belongs to no project") for path in files if not known.fullmatch(path))


def _schema(parsed: Mapping[str, Any], path: str, wanted: str) -> Iterator[tuple[str, str]]:
    if path in parsed and parsed[path].get("$schema") != wanted:
        yield path, f"$schema is {parsed[path].get('$schema')!r}, not {wanted!r}"


def _pbip(parsed: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _schema(parsed, PBIP, project.PBIP_SCHEMA)
    artifacts = parsed.get(PBIP, {}).get("artifacts", [])
    for artifact in artifacts:
        for kind, where in artifact.items():
            if kind != "report":
                yield PBIP, f"artifacts may hold only the report, not {kind!r}"
            elif where.get("path") != REPORT:
                yield PBIP, f"the report's path {where.get('path')!r} leads nowhere; it is {REPORT}"
    if PBIP in parsed and len([one for one in artifacts if "report" in one]) != 1:
        yield PBIP, "artifacts must hold exactly one report"
    path = f"{REPORT}/definition.pbir"
    yield from _schema(parsed, path, project.PBIR_SCHEMA)
    if path not in parsed:
        return
    if parsed[path].get("version") != "4.0":
        yield path, f"version is {parsed[path].get('version')!r}, not '4.0'"
    by_path = parsed[path]["datasetReference"]["byPath"]["path"]
    if by_path != f"../{SEMANTIC_MODEL}":
        yield path, f"byPath {by_path!r} leads nowhere; it is ../{SEMANTIC_MODEL}"


def _platforms(parsed: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for folder, kind in _PARTS:
        path = f"{folder}/.platform"
        if path not in parsed:
            continue
        yield from _schema(parsed, path, project.PLATFORM_SCHEMA)
        metadata, config = parsed[path]["metadata"], parsed[path]["config"]
        if metadata["type"] != kind:
            yield path, f"type is {metadata['type']!r}, not {kind!r}"
        if not metadata["displayName"]:
            yield path, "displayName is empty"
        if config["version"] != "2.0":
            yield path, f"config.version is {config['version']!r}, not '2.0'"
        logical = config["logicalId"]
        if not _UUID.fullmatch(logical):
            yield path, f"logicalId {logical!r} is no UUID"
        if logical in seen:
            yield path, f"logicalId {logical} is that of {seen[logical]} too"
        seen[logical] = path


def _pbism(parsed: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    path = f"{SEMANTIC_MODEL}/definition.pbism"
    yield from _schema(parsed, path, project.PBISM_SCHEMA)
    if path in parsed and parsed[path].get("version") != "4.0":
        yield path, f"version is {parsed[path].get('version')!r}, not '4.0' as TMDL needs"


def _pbids(parsed: Mapping[str, Any], model: lint_model.Known) -> Iterator[tuple[str, str]]:
    if PBIDS not in parsed:
        return
    connections = parsed[PBIDS].get("connections", [])
    if len(connections) != 1:
        yield PBIDS, f"connections holds {len(connections)} sources; one a file"
        return
    (connection,) = connections
    details = connection.get("details", {})
    if details.get("protocol") != "postgresql":
        yield PBIDS, f"protocol is {details.get('protocol')!r}, not 'postgresql'"
    address = details.get("address", {})
    if unknown := set(address) - {"server", "database"}:
        yield PBIDS, f"address holds {', '.join(sorted(unknown))}; only server and database"
    for name, key in (("Server", "server"), ("Database", "database")):
        if model.parameters and address.get(key) != model.parameters.get(name):
            yield (
                PBIDS,
                f"{key} is {address.get(key)!r}, the model's {name} {model.parameters.get(name)!r}",
            )
    modes = {_MODES.get(mode, mode) for mode in model.modes}
    if modes and connection.get("mode") not in modes:
        yield PBIDS, f"mode is {connection.get('mode')!r}, the model's {', '.join(sorted(modes))}"
