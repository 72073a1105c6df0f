"""Where a project reads from: server, database and mode; never an account."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.engine import make_url

from etl.db import embedded
from etl.errors import SettingsError
from etl.settings import Settings

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_LONGEST_NAME = 63  # bytes; PostgreSQL cuts longer names
_HIGHEST_PORT = 65535
DEFAULT_HOST = "localhost"
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

    host: str = DEFAULT_HOST
    port: int = PORT
    database: str = embedded.NAME
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

    The embedded server keeps the port of its first start. Raises SettingsError before that one, unless
    the port is given.
    """
    if settings.is_embedded:
        server = embedded.EmbeddedServer(settings.database)
        known: tuple[str | None, int | None, str | None] = (
            embedded.HOST,
            settings.database_port or server.remembered_port(),
            embedded.NAME,
        )
    else:
        url = make_url(settings.database_url.get_secret_value())
        name = f"[{url.host}]" if url.host and ":" in url.host else url.host
        known = (name or DEFAULT_HOST, url.port or PORT, url.database or url.username)
    port = port or known[1]
    if port is None:
        raise SettingsError(
            "the embedded server has no port before its first start; start it with `revenue up`, or "
            "give --port"
        )
    return Source(
        host=host or known[0] or DEFAULT_HOST,
        port=port,
        database=database or known[2] or embedded.NAME,
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
