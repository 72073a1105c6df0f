"""Addresses are understood, and never shown."""

from __future__ import annotations

import subprocess
import sys

import pytest

from etl import channels
from etl.channels import AddressError
from etl.settings import Settings

SECRET = [
    ("json://planted@h.example/x", "json://h.example/…"),
    ("jsons://user:planted@h.example:8443/planted?a=planted", "jsons://h.example:8443/…"),
    ("jsons://h.example/x?+X-Token=planted&:k=planted", "jsons://h.example/…"),
    ("json://user:pla/nted@h.example/x", "json://…"),
    ("json://user:planted?@h.example/x", "json://…"),
    ("json://user:12/planted@h/x", "json://…"),
    ("mailtos://ada:planted@mail.example?to=x@y.example", "mailtos://…"),
    ("mailtos://ada:planted@mail.example", "mailtos://mail.example/…"),
    ("slack://planted/planted/planted/#ops", "slack://…"),
    ("tgram://123456789:planted/1234", "tgram://…"),
    ("https://hooks.slack.example/services/planted", "https://hooks.slack.example/…"),
    ("planted", "…"),
    ("file:../planted", "…"),
    ("file:alerts.jsonl", "file:alerts.jsonl"),
    ("env:ALERT_HOOK", "env:ALERT_HOOK"),
]


@pytest.mark.parametrize(("address", "shown"), SECRET)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert channels.masked(address) == shown


@pytest.mark.parametrize("address", [address for address, _ in SECRET if "planted" in address])
def test_an_error_is_shown_without_secrets(address: str) -> None:
    text = f"failed for user at planted: {address} ({address.partition('://')[2]})\nPLANTED"
    shown = channels.without_secrets(text, address)
    assert "planted" not in shown.lower()
    assert "\n" not in shown
    assert shown.startswith("failed for")


def test_an_error_keeps_its_words() -> None:
    assert channels.without_secrets(
        "Failed to send JSON POST notification to h.example: Unauthorized, error=401.",
        "json://a:b@h.example:80/x/json",
    ).startswith("Failed to send")


@pytest.mark.parametrize(
    "address",
    [
        "json://localhost:8080/x",
        "jsons://user:p@h.example/x",
        "mailtos://ada:planted@mail.example?to=x@y.example",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
        "file:alerts.jsonl",
        "env:NOT_SET_HERE",
    ],
)
def test_good_addresses_pass(address: str) -> None:
    channels.check(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "planted",
        "nonsense://planted",
        "slack://planted",
        "file:planted.txt",
        "file:../planted.jsonl",
        "file:/planted.jsonl",
        "file://planted.jsonl",
        "env:plan ted",
        "env:",
        "env:env:planted",
        "/etc/planted",
        "json://" + "planted" * 400,
    ],
)
def test_bad_addresses_say_what_to_do_without_the_secret(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AddressError) as refused:
        channels.check(address)
    assert "planted" not in refused.value.message
    assert "planted" not in "".join(capfd.readouterr())


def test_a_variable_is_checked_where_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_HOOK", "nonsense://planted")
    with pytest.raises(AddressError) as refused:
        channels.check("env:ALERT_HOOK")
    assert "planted" not in refused.value.message


def test_a_link_is_not_followed(settings: Settings) -> None:
    target = settings.home / "elsewhere"
    (settings.logs / "alerts.jsonl").symlink_to(target)
    message = channels.Message(title="t", body="b", tone="test", facts={})
    with pytest.raises(channels.DeliveryError):
        channels.send("file:alerts.jsonl", message, settings)
    assert not target.exists()


def test_starting_costs_no_apprise() -> None:
    program = (
        "import sys, app.cli, app.actions, app.actions.alerts, etl.worker, etl.scheduler;"
        "sys.exit('apprise' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
