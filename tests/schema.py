"""Prints the whole schema as the migrations make it: `make sql` keeps it in sql/schema.sql."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy.engine import make_url

from etl import settings as settings_module
from etl.db import migrate
from etl.db.connect import connect
from etl.db.embedded import EmbeddedServer, binary


def dump(url: str) -> str:
    """Return the schema of the database as pg_dump prints it, without what changes every time."""
    parsed = make_url(url)
    done = subprocess.run(
        [
            str(binary("pg_dump")),
            "--schema-only",
            "--no-owner",
            "--no-privileges",
            "--host",
            str(parsed.host),
            "--port",
            str(parsed.port),
            "--username",
            str(parsed.username),
            "--dbname",
            str(parsed.database),
        ],
        env={**os.environ, "PGPASSWORD": str(parsed.password)},
        capture_output=True,
        text=True,
        check=True,
    )
    # pg_dump 18 guards its output with a random word; its own version says nothing of the schema
    kept = [
        line
        for line in done.stdout.splitlines()
        if not re.match(r"\\(un)?restrict |-- Dumped (from|by)", line)
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip() + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="revenue-schema-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedServer(Path(folder) / "database", options={"fsync": "off"}) as server:
            url = server.start()
            engine = connect(url, settings_module.load(), name="schema")
            migrate.apply(engine)
            engine.dispose()
            sys.stdout.write(dump(url))


if __name__ == "__main__":
    main()
