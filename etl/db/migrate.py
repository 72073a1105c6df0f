"""Migrations: plain versioned SQL, immutable once released."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, Engine, inspect, text

from etl import datasets, facets, patterns, rules
from etl.db.queries import SQL
from etl.errors import SchemaOutdatedError

_LOCK = 7_263_001  # advisory lock: one process migrates at a time
_FILE = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")


@dataclass(frozen=True, kw_only=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def released() -> tuple[Migration, ...]:
    """Return every migration in order of version."""
    found = []
    for path in sorted((SQL / "migrations").iterdir()):
        match = _FILE.match(path.name)
        if match:
            sql = path.read_text(encoding="utf-8")
            found.append(Migration(version=int(match[1]), name=match[2], sql=sql))
    return tuple(found)


def applied(connection: Connection) -> dict[int, str]:
    """Return version and checksum of each migration that the database has."""
    if not inspect(connection).has_table("migration", schema="etl"):
        return {}
    found = connection.execute(text("select version, checksum from etl.migration"))
    return {row.version: row.checksum for row in found}


def check(engine: Engine) -> None:
    """Refuse an outdated, newer or altered schema.

    Raises SchemaOutdatedError with the command that fixes it.
    """
    with engine.connect() as connection:
        have = applied(connection)
    known = {migration.version: migration for migration in released()}
    missing = [migration for version, migration in known.items() if version not in have]
    if missing:
        names = ", ".join(f"{migration.version:04d}_{migration.name}" for migration in missing)
        raise SchemaOutdatedError(
            f"the database lacks {len(missing)} migration(s): {names}; run `revenue migrate`"
        )
    if newer := sorted(set(have) - set(known)):
        raise SchemaOutdatedError(
            f"the database has migration {newer[-1]:04d}, which this version does not know; "
            "install the newer version of customer-revenue-analytics"
        )
    for version, checksum in have.items():
        if checksum != known[version].checksum:
            raise SchemaOutdatedError(
                f"migration {version:04d} was changed after it was applied; "
                "restore the released file, migrations are immutable"
            )


def apply(engine: Engine, progress: Callable[[str], None] | None = None) -> list[Migration]:
    """Apply what is missing, each migration in its own transaction; return what was applied."""
    done = []
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        try:
            have = applied(connection)
            for migration in released():
                if migration.version in have:
                    continue
                if progress is not None:
                    progress(f"migrating the database: {migration.version:04d}_{migration.name}")
                _apply(connection, migration)
                connection.commit()
                done.append(migration)
            if done or not have:
                for dataset in datasets.declared().values():
                    rules.ship(connection, dataset)
                patterns.fill(connection)
                facets.fill(connection)
                connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
    check(engine)
    return done


def _apply(connection: Connection, migration: Migration) -> None:
    connection.exec_driver_sql(migration.sql.replace("%", "%%"))
    connection.execute(
        text(
            "insert into etl.migration (version, name, checksum) values (:version, :name, :checksum)"
        ),
        {
            "version": migration.version,
            "name": migration.name,
            "checksum": migration.checksum,
        },
    )
