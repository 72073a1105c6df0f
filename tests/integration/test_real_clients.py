"""Programs that are not ours read gold over TCP: from the embedded server, and from one with TLS.

The TLS server is whichever PostgreSQL the system has, run as docker-compose.tls.yml says: its
entrypoint, its settings, its pg_hba file, its certificate and its way to a password. What a container
brings (the image's own entrypoint, accounts, volumes) is stood in for.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import Engine, text

from app import certificates
from app.cli import cli
from etl import generate
from etl import settings as settings_module
from etl.db import embedded, reporting
from etl.db.connect import connect
from etl.db.embedded import EmbeddedServer
from tests.conftest import FAST, Pipeline

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
TLS = yaml.safe_load((ROOT / "docker-compose.tls.yml").read_text())["services"]
TABLES = "customers", "daily_sales", "dim_date", "monthly_sales", "products", "transactions"
COUNTS = " union all ".join(f"select '{one}', count(*) from gold.{one}" for one in TABLES)
ENCRYPTION = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
DRIVER = "PostgreSQL Unicode"


# The clients ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a person enters in a BI tool."""

    host: str
    port: int
    password: str = field(repr=False)
    database: str = "revenue"
    user: str = "bi_reader"
    sslmode: str = "prefer"  # the tool's own default: encrypted where the server can
    authority: Path | None = None

    def environment(self) -> dict[str, str]:
        ours = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        return {
            **ours,
            "HOME": "/nonexistent",  # no certificate and no password file of the person's
            "PGSSLMODE": self.sslmode,
            "PGSSLROOTCERT": str(self.authority or "/nonexistent"),
            "PGPASSWORD": self.password,
            "PGGSSENCMODE": "disable",
        }


def _run(command: Sequence[str], target: Target, statement: str = "") -> tuple[str, str]:
    """Return what a program printed, and what it said when it failed."""
    done = subprocess.run(
        command,
        env=target.environment(),
        input=statement,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = f"{done.stdout}\n{done.stderr}".strip()
    return (done.stdout, "") if done.returncode == 0 else ("", said or "nothing was said")


def psql(target: Target, statement: str) -> tuple[str, str]:
    command = ["psql", "-XAtw", "-h", target.host, "-p", str(target.port), "-U", target.user]
    return _run([*command, "-d", target.database, "-c", statement], target)


def odbc(target: Target, statement: str) -> tuple[str, str]:
    parts = {
        "Driver": f"{{{DRIVER}}}",
        "Server": target.host,
        "Port": target.port,
        "Database": target.database,
        "UID": target.user,
        "PWD": target.password,
        "SSLmode": target.sslmode,
        "BoolsAsChar": 0,
    }
    # without a name of its own `isql` takes the whole for the name of a data source
    connection = ";".join(f"{key}={value}" for key, value in parts.items())
    return _run(["isql", "-v", "-b", "-d|", "-k", connection], target, f"{statement}\n")


def _has_driver() -> bool:
    if shutil.which("isql") is None or shutil.which("odbcinst") is None:
        return False
    listed = subprocess.run(["odbcinst", "-q", "-d"], capture_output=True, text=True, check=False)
    return f"[{DRIVER}]" in listed.stdout


CLIENTS = [
    pytest.param(
        psql,
        id="psql",
        marks=pytest.mark.skipif(shutil.which("psql") is None, reason="the system has no psql"),
    ),
    pytest.param(
        odbc,
        id="odbc",
        marks=pytest.mark.skipif(
            not _has_driver(), reason="the system has no unixodbc with odbc-postgresql"
        ),
    ),
]


def _counts(printed: str) -> dict[str, int]:
    return {name: int(count) for name, count in (line.split("|") for line in printed.split())}


def _fill(pipeline: Pipeline) -> dict[str, int]:
    """Run both feeds; return what the engine itself counts in each table of gold."""
    for name, records in (("customers", 100), ("sales", 300)):
        file = pipeline.settings.landing / f"{name}.json"
        generate.write(name, records=records, seed=7, path=file, format="json", customers=100)
        pipeline.run(name)
    names = pipeline.rows("select tablename from pg_tables where schemaname = 'gold' order by 1")
    counted = {name: pipeline.value(f"select count(*) from gold.{name}") for (name,) in names}
    assert tuple(counted) == TABLES
    assert all(counted.values()), counted
    return counted


# The embedded server --------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded_target(engine: Engine, database_url: str, server_folder: Path) -> Target:
    folder = server_folder / "database"
    settings = settings_module.load(home=Path.cwd())
    reporting.provide(engine, database_url, settings, EmbeddedServer(folder, options=FAST))
    return Target(
        host=embedded.HOST,
        port=int((folder / "port").read_text()),
        password=(folder / "password-bi_reader").read_text().strip(),
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_gold_is_read_from_the_embedded_server_as_our_engine_counts_it(
    client: Any, embedded_target: Target, pipeline: Pipeline
) -> None:
    counted = _fill(pipeline)
    printed, problem = client(embedded_target, COUNTS)
    assert (problem, _counts(printed)) == ("", counted)
    printed, _ = client(embedded_target, ENCRYPTION)
    assert printed.strip().strip("|") in {"f", "0"}


@pytest.mark.parametrize("client", CLIENTS)
def test_the_embedded_server_says_that_it_has_no_encryption(
    client: Any, embedded_target: Target, engine: Engine
) -> None:
    required = Target(**{**vars(embedded_target), "sslmode": "require"})
    printed, problem = client(required, ENCRYPTION)
    assert "server does not support SSL, but SSL was required" in problem
    assert not printed


# A server with TLS ----------------------------------------------------------------------


def _system_server() -> Path | None:
    """Return the folder of the newest PostgreSQL server of the system, not that of our wheel."""
    found = [
        path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()
    ]
    return max(found, key=lambda path: float(path.parent.name), default=None)


needs_server = pytest.mark.skipif(
    _system_server() is None, reason="the system has no PostgreSQL server in /usr/lib/postgresql"
)


@dataclass(frozen=True, kw_only=True)
class Served:
    target: Target
    engine: Engine
    counted: dict[str, int]
    folder: Path
    log: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> str:
        done = CliRunner().invoke(cli, arguments, env=self.environment)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # PostgreSQL does not run as root; its account must be able to enter the folder
    folder = Path(tempfile.mkdtemp(prefix="revenue-tls-"))
    folder.chmod(0o755)
    process = None
    try:
        process, port = _start(folder)
        owner = f"postgresql://revenue:owner@localhost:{port}/revenue"
        url = f"{owner}?sslmode=verify-full&sslrootcert={folder}/srv/certificates/ca.crt"
        home = tmp_path_factory.mktemp("home")
        environment = {"REVENUE_DATABASE_URL": url, "REVENUE_HOME": str(home)}
        settings = settings_module.load(home=home, database_url=url, stability_seconds=0.0)
        settings.make_folders()
        opened = connect(url, settings, name="tests")
        one = Served(
            target=Target(
                host="localhost",
                port=port,
                password="",
                sslmode="verify-full",
                authority=folder / "srv/certificates/ca.crt",
            ),
            engine=opened,
            counted={},
            folder=folder,
            log=folder / "server.log",
            environment=environment,
        )
        one.command("migrate")
        one.counted.update(_fill(Pipeline(opened, settings)))
        password = one.command("powerbi", "password")
        yield Served(
            **{**vars(one), "target": Target(**{**vars(one.target), "password": password})}
        )
        opened.dispose()
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        shutil.rmtree(folder)


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Make the certificates and the server as the compose file has it, below `folder`."""
    binaries = _system_server()
    assert binaries is not None
    certificates_service, database = TLS["certificates"], TLS["database"]
    made = [_placed(part, folder) for part in certificates_service["command"]]
    done = CliRunner().invoke(cli, made)
    assert done.exit_code == 0, done.output
    (folder / "etc").mkdir()
    shutil.copytree(ROOT / "docker", folder / "etc/revenue")
    for name in ("run", "server"):
        (folder / name).mkdir()

    account = embedded._account(folder / "server")
    become: list[str] = []
    if account is not None:
        os.chown(folder / "server", account.uid, account.gid)
        become = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
        become = ["setpriv", *become]
    _write_password(folder / "server/password", account)
    initdb = [str(binaries / "initdb"), "-D", str(folder / "server/data"), "-U", "revenue"]
    initdb += ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--no-sync"]
    initdb += [f"--pwfile={folder / 'server/password'}"]
    subprocess.run([*become, *initdb], check=True, capture_output=True, cwd=folder)

    port = _free_port()
    own = {  # the image's own: everywhere, in /var/run/postgresql, safe from a power cut
        "listen_addresses": "127.0.0.1,127.0.0.2",
        "unix_socket_directories": str(folder / "server"),
        "port": str(port),
        "log_statement": "all",
        **FAST,
    }
    options = [part for key, value in own.items() for part in ("-c", f"{key}={value}")]
    entrypoint = folder / "bin/docker-entrypoint.sh"
    entrypoint.parent.mkdir()
    data = ["-D", str(folder / "server/data")]
    entrypoint.write_text(
        f'#!/bin/sh\nprogram=$1; shift\nexec {shlex.join(become)} "{binaries}/$program" "$@" '
        f"{shlex.join([*data, *options])}\n"
    )
    entrypoint.chmod(0o755)
    shell, flags, script, name = database["entrypoint"]
    script = _placed(script.replace("$$", "$"), folder)
    owner = f"-o {account.uid} -g {account.gid}" if account is not None else ""
    assert script.count("-o postgres -g postgres") == 2
    script = script.replace("-o postgres -g postgres", owner)
    arguments = [_placed(part, folder) for part in database["command"]]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [shell, flags, script, name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": f"{entrypoint.parent}:{os.environ['PATH']}", "LC_ALL": "C"},
        )
    _wait(process, folder, port, binaries)
    inside = psycopg2.connect(
        host=str(folder / "server"), port=port, user="revenue", dbname="postgres"
    )
    with closing(inside):  # as the image's entrypoint does, by the socket and without a password
        inside.autocommit = True
        with inside.cursor() as cursor:
            cursor.execute("create database revenue")
    return process, port


def _placed(text: str, folder: Path) -> str:
    """Return the text with a container's paths below `folder`, and what nobody has set left out."""
    for path in ("/run/tls", "/srv/certificates", "/etc/revenue"):
        text = text.replace(path, f"{folder}{path}")
    return text.replace("${DATABASE_HOST:-localhost}", "localhost")


def _write_password(file: Path, account: Any) -> None:
    file.write_text("owner\n")
    if account is not None:
        os.chown(file, account.uid, account.gid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], folder: Path, port: int, binaries: Path) -> None:
    """Ask as the compose file's health check does."""
    _, check = COMPOSE["database"]["healthcheck"]["test"]
    ready = shlex.split(check)
    ready[0] = str(binaries / ready[0])
    deadline = time.monotonic() + 30
    where = {"PGHOST": str(folder / "server"), "PGPORT": str(port), "PATH": os.environ["PATH"]}
    while subprocess.run(ready, env=where, capture_output=True, check=False).returncode:
        said = (folder / "server.log").read_text()
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


@needs_server
@pytest.mark.parametrize("client", CLIENTS)
def test_gold_is_read_over_tls_as_our_engine_counts_it(client: Any, served: Served) -> None:
    printed, problem = client(served.target, COUNTS)
    assert (problem, _counts(printed)) == ("", served.counted)
    printed, _ = client(served.target, ENCRYPTION)
    encrypted, version = printed.strip().strip("|").split("|")
    assert (encrypted in {"t", "1"}, version) == (True, "TLSv1.3")


@needs_server
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"host": "127.0.0.2"}, 'server certificate for "localhost".* does not match host name'),
        ({"authority": "other"}, "certificate verify failed"),
        ({"authority": None}, "root certificate file .* does not exist"),
        ({"sslmode": "disable"}, 'no pg_hba.conf entry .*user "bi_reader".* no encryption'),
        ({"database": "postgres"}, 'no pg_hba.conf entry .*user "bi_reader", database "postgres"'),
        ({"user": "nobody"}, 'no pg_hba.conf entry .*user "nobody"'),
        ({"password": "wrong"}, "password authentication failed"),
    ],
)
def test_whatever_is_not_right_is_refused(
    client: Any, changed: dict[str, Any], words: str, served: Served, tmp_path: Path
) -> None:
    if changed.get("authority") == "other":
        changed = {"authority": certificates.make(tmp_path, ["localhost"]).authority}
    printed, problem = client(Target(**{**vars(served.target), **changed}), ENCRYPTION)
    assert not printed
    assert re.search(words, problem.replace("\n", " ")), problem


@needs_server
def test_old_tls_is_off(served: Served) -> None:
    with served.engine.connect() as connection:
        assert connection.scalar(text("show ssl_min_protocol_version")) == "TLSv1.2"


@needs_server
def test_the_servers_key_is_its_own_and_the_authoritys_stays_out(served: Served) -> None:
    placed = sorted(file.name for file in (served.folder / "run/tls").iterdir())
    assert placed == ["pg_hba.conf", "server.crt", "server.key"]
    found = (served.folder / "run/tls/server.key").stat()
    assert found.st_mode & 0o777 == 0o600
    assert found.st_uid == (served.folder / "server/data").stat().st_uid


@needs_server
def test_no_line_of_the_file_goes_unread(served: Served) -> None:
    with served.engine.connect() as connection:
        found = connection.execute(
            text(
                "select type, user_name, auth_method, error from pg_hba_file_rules order by line_number"
            )
        ).fetchall()
    assert [tuple(row) for row in found] == [
        ("local", ["revenue"], "trust", None),
        ("hostssl", ["revenue", "sql_box"], "scram-sha-256", None),
        ("hostssl", ["bi_reader"], "scram-sha-256", None),
    ]


@needs_server
@pytest.mark.skipif(shutil.which("psql") is None, reason="the system has no psql")
def test_a_new_password_is_audited_and_never_logged(served: Served) -> None:
    new = served.command("powerbi", "password")
    assert "password authentication failed" in psql(served.target, "select 1")[1]
    with_new = Target(**{**vars(served.target), "password": new})
    assert psql(with_new, "select 1") == ("1\n", "")
    said = served.log.read_text()
    assert 'alter role "bi_reader" password \'SCRAM-SHA-256$' in said  # everything is logged here
    assert new not in said
    with served.engine.connect() as connection:
        done = connection.execute(
            text("select object, role, after from etl.audit where action = 'reader.password'")
        ).fetchall()
    assert tuple(done[-1]) == (
        "role bi_reader",
        "admin",
        {"role": "bi_reader", "is_generated": True},
    )
    assert new not in str(done)
