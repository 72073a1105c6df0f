"""Where a project reads from: server, database and mode; never an account."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.engine import make_url

from etl.errors import SettingsError
from etl.settings import EMBEDDED, Settings

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_LONGEST_NAME = 63  # bytes; PostgreSQL cuts longer names
_HIGHEST_PORT = 65535
PORT = 5432


class Mode(StrEnum):
    """Import copies the tables at each refresh; DirectQuery asks the database for every visual."""

    IMPORT = "import"
    DIRECT_QUERY = "directquery"

    @property
    def tmdl(self) -> str:
        return {Mode.IMPORT: "import", Mode.DIRECT_QUERY: "directQuery"}[self]

    @property
    def pbids(self) -> str:
        return {Mode.IMPORT: "Import", Mode.DIRECT_QUERY: "DirectQuery"}[self]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A PostgreSQL database as Power BI connects to it.

    Raises SettingsError when a part cannot be one.
    """

    host: str = "localhost"
    port: int = PORT
    database: str = "revenue"
    mode: Mode = Mode.IMPORT

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host):
            raise SettingsError(f"{self.host!r} is no host name; an IPv6 address stands in [ ]")
        if not 0 < self.port <= _HIGHEST_PORT:
            raise SettingsError(f"{self.port} is no TCP port; give one from 1 to {_HIGHEST_PORT}")
        if not (self.database.isprintable() and 0 < len(self.database.encode()) <= _LONGEST_NAME):
            raise SettingsError(f"{self.database!r} is no name of a PostgreSQL database")

    @property
    def server(self) -> str:
        return f"{self.host}:{self.port}"


def configured(
    settings: Settings,
    *,
    host: str | None = None,
    port: int | None = None,
    database: str | None = None,
    mode: Mode = Mode.IMPORT,
) -> Source:
    """Return the database of the settings, each part replaced by what is given.

    Raises SettingsError when the settings do not say the port: the embedded server takes a free one
    at each start unless REVENUE_DATABASE_PORT names it.
    """
    if settings.is_embedded:
        known: tuple[str | None, int | None, str | None] = (
            "127.0.0.1",
            settings.database_port,
            "revenue",
        )
    else:
        url = make_url(settings.database_url.get_secret_value())
        name = f"[{url.host}]" if url.host and ":" in url.host else url.host
        known = (name or "localhost", url.port or PORT, url.database or url.username)
    port = port or known[1]
    if port is None:
        raise SettingsError(
            f"the embedded server ({EMBEDDED}) takes a free port at each start; give --port, or set "
            "REVENUE_DATABASE_PORT so that it keeps one"
        )
    return Source(
        host=host or known[0] or "localhost",
        port=port,
        database=database or known[2] or "revenue",
        mode=mode,
    )


def pbids(source: Source) -> str:
    """Return the connection file: Power BI opens it and asks for the account."""
    return (
        json.dumps(
            {
                "version": "0.1",
                "connections": [
                    {
                        "details": {
                            "protocol": "postgresql",
                            "address": {"server": source.server, "database": source.database},
                        },
                        "options": {},
                        "mode": source.mode.pbids,
                    }
                ],
            },
            ensure_ascii=False,
            indent=2,
        )
        + "\n"
    )
