"""A whole project: every file of it, as a folder or as a zip; the same bytes for the same source."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from app.powerbi import model, report, source, theme, tmdl
from app.powerbi.model import NAME, identifier
from app.powerbi.source import Source
from etl.errors import RevenueError

REPORT = f"{NAME}.Report"
SEMANTIC_MODEL = f"{NAME}.SemanticModel"
PBIP = f"{NAME}.pbip"
PBIDS = f"{NAME}.pbids"
_FABRIC = "https://developer.microsoft.com/json-schemas/fabric"
PBIP_SCHEMA = f"{_FABRIC}/pbip/pbipProperties/1.0.0/schema.json"
PLATFORM_SCHEMA = f"{_FABRIC}/gitIntegration/platformProperties/2.0.0/schema.json"
PBIR_SCHEMA = f"{_FABRIC}/item/report/definitionProperties/2.0.0/schema.json"
PBISM_SCHEMA = f"{_FABRIC}/item/semanticModel/definitionProperties/1.0.0/schema.json"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can hold
_READABLE = 0o100644 << 16


def files(of: Source) -> dict[str, bytes]:
    """Return every file by its path, with `/`, in the order of the paths."""
    texts = {
        PBIP: _json(
            {
                "$schema": PBIP_SCHEMA,
                "version": "1.0",
                "artifacts": [{"report": {"path": REPORT}}],
                "settings": {"enableAutoRecovery": True},
            }
        ),
        PBIDS: source.pbids(of),
        f"{REPORT}/.platform": _platform("Report"),
        f"{REPORT}/definition.pbir": _json(
            {
                "$schema": PBIR_SCHEMA,
                "version": "4.0",
                "datasetReference": {"byPath": {"path": f"../{SEMANTIC_MODEL}"}},
            }
        ),
        f"{REPORT}/StaticResources/RegisteredResources/{report.THEME_FILE}": _json(
            theme.theme(report.THEME_FILE)
        ),
        **{
            f"{REPORT}/definition/{path}": _json(content)
            for path, content in report.files().items()
        },
        f"{SEMANTIC_MODEL}/.platform": _platform("SemanticModel"),
        f"{SEMANTIC_MODEL}/definition.pbism": _json(
            {"$schema": PBISM_SCHEMA, "version": "4.0", "settings": {}}
        ),
        **{
            f"{SEMANTIC_MODEL}/definition/{path}": text
            for path, text in tmdl.files(model.build(), of).items()
        },
    }
    return {path: texts[path].encode() for path in sorted(texts)}


def write(folder: Path, of: Source, *, anew: bool = False) -> list[Path]:
    """Write the project into the folder; return the files.

    A folder that holds something is refused, so that nobody's edits are lost; `anew` replaces the
    project in it. Raises RevenueError when it is refused or cannot be written.
    """
    try:
        if not anew and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RevenueError(
                f"{folder} is not an empty folder; name a new one, nothing was written",
                code="export",
            )
        for part in (REPORT, SEMANTIC_MODEL):
            if (folder / part).exists():
                shutil.rmtree(folder / part)
        written = []
        for path, content in files(of).items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            written.append(target)
    except OSError as error:
        raise RevenueError(
            f"{folder} cannot be written: {error.strerror}", code="export"
        ) from error
    return written


def project_zip(of: Source) -> bytes:
    """Return the project as a zip with one folder in it; the same bytes for the same source."""
    made = io.BytesIO()
    # stored, not compressed: what a compressor makes of it depends on the machine's zlib
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for path, content in files(of).items():
            entry = zipfile.ZipInfo(f"{NAME}/{path}", _LONG_AGO)
            entry.create_system = 3  # Unix, also where Windows makes it
            entry.external_attr = _READABLE
            archive.writestr(entry, content)
    return made.getvalue()


def read(folder: Path) -> dict[str, bytes]:
    """Return every file below the folder by its path, as `files` does."""
    found = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }
    return {name: found[name].read_bytes() for name in sorted(found)}


def _platform(kind: str) -> str:
    return _json(
        {
            "$schema": PLATFORM_SCHEMA,
            "metadata": {"type": kind, "displayName": NAME},
            "config": {"version": "2.0", "logicalId": identifier("item", kind)},
        }
    )


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
