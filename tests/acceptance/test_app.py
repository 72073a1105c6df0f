"""The product as its user meets it: `revenue up`, a real browser, Ctrl-C, and kill -9."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
import streamlit as st
from playwright.sync_api import Page, Request, expect

from tests.acceptance.conftest import environment, revenue
from tests.browser import PAGES, App, a_home, settle, up

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and /usr/bin/chromium")


def test_every_page_opens_without_an_error_and_asks_nobody_else(app: App, page: Page) -> None:
    strangers: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((app.url, app.url.replace("http", "ws"), "data:", "blob:")):
            strangers.append(request.url)

    page.on("request", note)
    for name in PAGES:
        page.goto(f"{app.url}/{'' if name == 'overview' else name}")
        settle(page)
        expect(page.locator("[data-testid=stException]")).to_have_count(0)
        expect(page.locator("h1")).to_have_count(1)
    assert strangers == []


def test_a_file_goes_from_upload_to_the_dashboard(app: App, page: Page, tmp_path: Path) -> None:
    before = revenue(app.home, "metrics", "--region", "Atlantis")["kpis"]
    assert before["total_sales"] in {"0", "0.00", None, 0}  # type: ignore[index]
    product = {"id": "P77", "name": "<b>Trident</b>", "category": "Arms", "price": 1500.5}
    good = {
        "transaction_id": "A1",
        "customer_id": "C001",
        "product": product,
        "quantity": 2,
        "discount": 0.5,
        "date": "2023-06-01",
        "region": "Atlantis",
    }
    file = tmp_path / "atlantis.json"
    file.write_text(json.dumps([good, {**good, "transaction_id": "A2", "quantity": 0}]))
    page.goto(f"{app.url}/upload")
    settle(page)
    page.locator("input[type=file]").first.set_input_files(file)
    page.get_by_role("button", name="Accept").first.click()
    unfinished = time.monotonic() + 30
    while revenue(app.home, "metrics", "--region", "Atlantis")["kpis"]["transactions"] != 1:  # type: ignore[index]
        assert time.monotonic() < unfinished, "the worker did not take the upload"
    after = revenue(app.home, "metrics", "--region", "Atlantis")["kpis"]
    assert after["total_sales"] == "1500.50"  # type: ignore[index]

    page.goto(f"{app.url}/dashboard?region=Atlantis")
    settle(page)
    expect(page.get_by_text("<b>Trident</b>").first).to_be_visible()
    page.reload()
    settle(page)
    expect(page.get_by_text("<b>Trident</b>").first).to_be_visible()

    page.goto(f"{app.url}/invalid_records")
    settle(page)
    newest = revenue(app.home, "quarantine", "list", "--limit", "100000")["records"][-1]  # type: ignore[index]
    assert (newest["record_key"], newest["dq_errors"]) == ("A2", "Invalid quantity")


def test_health_and_headers(app: App) -> None:
    with urllib.request.urlopen(f"{app.url}/api/health", timeout=5) as answer:
        assert json.load(answer)["status"] == "ok"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
    script = next((Path(st.__file__).parent / "static" / "static" / "js").glob("PlotlyChart.*.js"))
    for _ in range(2):  # read, and from memory
        with urllib.request.urlopen(f"{app.url}/static/js/{script.name}", timeout=5) as answer:
            assert answer.read() == script.read_bytes()
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "immutable" in answer.headers["Cache-Control"]
    listening = [
        connection.laddr.ip
        for process in app.family()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}
    assert revenue(app.home, "status")["is_well"] is True


def test_a_killed_run_is_resumed_and_a_killed_worker_replaced(app: App) -> None:
    revenue(app.home, "generate", "sales", "--records", "60000", "--seed", "5")
    killed = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "run", "sales", "--json"],
        env={**environment(), "REVENUE_HOME": str(app.home)},
        cwd=app.home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(3.0)
    killed.kill()
    killed.wait()
    [worker] = [p for p in app.family() if p.cmdline()[-1:] == ["worker"]]
    worker.send_signal(signal.SIGKILL)
    assert revenue(app.home, "run", "all")["status"] in {"succeeded", "warned"}
    until = time.monotonic() + 30  # the watch may have queued a run of its own for the file
    while revenue(app.home, "status")["queued_runs"] or revenue(app.home, "status")["running_runs"]:
        assert time.monotonic() < until, "a run is left over"
    listed = revenue(app.home, "runs", "list")["runs"]
    assert {run["status"] for run in listed} <= {"succeeded", "warned"}  # type: ignore[index, attr-defined]
    assert [run["read_records"] for run in listed].count(60_000) == 1  # type: ignore[index, attr-defined]
    assert any("worker ended" in line for line in app.said)


def test_ctrl_c_leaves_nothing_behind_and_the_data_stays() -> None:
    with a_home() as home:
        with up(home) as first:
            family = first.family()
            before = revenue(home, "metrics")
            assert first.interrupt() == 0
            _, alive = psutil.wait_procs(family, 10)
            assert alive == []
        assert not [
            process
            for process in psutil.process_iter(["cmdline"])
            if str(home) in " ".join(process.info["cmdline"] or [])
        ]
        with up(home) as second:
            assert not any("demo" in line for line in second.said)
            assert revenue(home, "metrics") == before


def test_children_end_with_a_killed_parent() -> None:
    with a_home() as home, up(home, "--no-demo") as started:
        children = [process for process in started.family() if process.pid != started.process.pid]
        services = [process for process in children if "postgres" not in process.name()]
        started.process.kill()
        _, alive = psutil.wait_procs(services, 20)
        assert alive == []
        # the next start adopts the server that was left running, and stops it in the end
        assert revenue(home, "runs", "list") == {"runs": []}
    assert not [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(home) in " ".join(process.info["cmdline"] or [])
    ]


def test_a_port_in_use_is_an_error_in_words(app: App) -> None:
    with a_home() as home, up(home, "--port", str(app.port), ready=None) as second:
        assert second.process.wait(30) == 1
        time.sleep(0.2)
        assert "cannot be used" in "".join(second.said)
        assert "Traceback" not in "".join(second.said)
