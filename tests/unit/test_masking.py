"""Secrets become stars, plain words stay."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from etl import masking
from etl import settings as settings_module
from etl.db.connect import connect
from etl.errors import RevenueError, SettingsError
from etl.masking import mask, mask_known, mask_values

PLANTED = "Pl4nted/pa$s@word"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    before = set(masking._known)
    yield
    masking._known.clear()
    masking._known.update(before)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://me:s3cret@db:5432/x", "postgresql://me:***@db:5432/x"),
        ("postgresql+psycopg2://me:s3@c/r@db/x failed", "postgresql+psycopg2://me:***@db/x failed"),
        ("at https://db.example/x?y=1", "at https://db.example/x?y=1"),
        ("password=s3cret, user=me", "password=***, user=me"),
        ("PGPASSWORD=s3cret", "PGPASSWORD=***"),
        ("db_password: 's3 cret' next", "db_password: *** next"),
        ('{"token": "abc", "n": 1}', '{"token": ***, "n": 1}'),
        ('{\\"api_key\\": \\"abc\\", 1}', '{\\"api_key\\": ***, 1}'),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("client_secret=a;b", "client_secret=***;b"),
        ("sales_original.json: 3 valid, 1 invalid", "sales_original.json: 3 valid, 1 invalid"),
        ("a password is missing", "a password is missing"),
        ("password authentication failed", "password authentication failed"),
        ("", ""),
    ],
)
def test_secrets_by_their_form(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_masking_twice_changes_nothing_more() -> None:
    once = mask("postgresql://me:s3cret@db/x password=abc")
    assert mask(once) == once


def test_a_known_secret_is_masked_in_every_spelling() -> None:
    masking.remember(PLANTED)
    for text in (PLANTED, "Pl4nted%2Fpa%24s%40word", "Pl4nted/pa%24s%40word"):
        assert mask(f"a {text} b") == "a *** b"
        assert mask_known(f"a {text} b") == "a *** b"
    assert mask_known("token=abc") == "token=abc"


def test_short_values_and_public_names_stay_readable() -> None:
    masking.remember("a1b2")
    masking.remember("secret")
    masking.remember_url("postgresql://revenue:revenue@db/sales")
    assert mask("a1b2 secret revenue sales") == "a1b2 secret revenue sales"
    masking.remember_url("postgresql://me:Zq8longer@db/x")
    assert mask("Zq8longer") == "***"


def test_values_keep_their_shape() -> None:
    masking.remember(PLANTED)
    assert mask_values({"a": [PLANTED, 1, None], "password": "x", "tokens": 3}) == {
        "a": ["***", 1, None],
        "password": "***",
        "tokens": 3,
    }


def test_long_hostile_text_is_quick() -> None:
    for text in ("a" * 200_000, "password" * 20_000, "a." * 100_000, "password=" + " " * 100_000):
        mask(text)


def test_settings_make_their_secrets_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVENUE_DATABASE_URL", "postgresql://me:Zq8%2Flonger@db/x")
    settings = settings_module.load()
    assert mask("the password is Zq8/longer, or Zq8%2Flonger") == "the password is ***, or ***"
    assert "Zq8" not in repr(settings) + str(settings)
    assert RevenueError("no Zq8/longer").message == str(RevenueError("no Zq8/longer")) == "no ***"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:Zq8longer/x@y@db/x",
        "postgresql://me:Zq8longer@y@db/x",
        "postgresql://me:Zq8#longer:db/x",
        "postgresql://me:pw@db:Zq8longer/x",
        "mysql://me:Zq8longer@db/x",
        "Zq8longer",
    ],
)
def test_a_broken_url_is_explained_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError, match="must be `embedded:` or") as caught:
        connect(url, settings_module.load(), name="test")
    assert "Zq8" not in caught.value.message


def test_records_of_any_logger_are_masked() -> None:
    from etl.log import _masked_record

    masking.remember(PLANTED)
    try:
        raise ValueError(PLANTED)
    except ValueError as error:
        found = (type(error), error, error.__traceback__)
    record = _masked_record("x", logging.ERROR, "f", 1, "%s here", (PLANTED,), found)
    for handler_format in (logging.Formatter("%(message)s"), logging.BASIC_FORMAT):
        text = (
            handler_format if isinstance(handler_format, logging.Formatter) else logging.Formatter()
        ).format(record)
        assert PLANTED not in text
        assert "*** here" in text
