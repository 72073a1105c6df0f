"""The local authority and the server certificate, read by a verifier that did not write them."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from app import certificates
from app.certificates import CertificateError
from app.cli import cli

HOSTS = ("db.example.com", "127.0.0.1", "::1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates") / "new" / "folder"
    certificates.make(made, HOSTS)
    return made


@pytest.fixture(autouse=True)
def _short_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder's own are as long as they really are; those of the tests are made sooner."""
    monkeypatch.setattr(certificates, "_KEY_BITS", 2048)


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def verify(folder: Path, host: str, *, authority: Path | None = None) -> None:
    """Hold the certificate to the rules of the web's authorities, as strict clients do."""
    try:
        subject: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    trusted = Store([certificate(authority or folder / "ca.crt")])
    PolicyBuilder().store(trusted).build_server_verifier(subject).verify(
        certificate(folder / "server.crt"), []
    )


@pytest.mark.parametrize("host", HOSTS)
def test_a_client_that_trusts_the_authority_takes_every_named_host(folder: Path, host: str) -> None:
    verify(folder, host)


@pytest.mark.parametrize("host", ["example.com", "other.example.com", "127.0.0.2"])
def test_a_client_takes_no_other_host(folder: Path, host: str) -> None:
    with pytest.raises(VerificationError):
        verify(folder, host)


def test_the_authority_signs_and_the_server_serves(folder: Path) -> None:
    authority, server = certificate(folder / "ca.crt"), certificate(folder / "server.crt")
    found = authority.extensions
    assert found.get_extension_for_class(x509.BasicConstraints).value.ca
    assert found.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    found = server.extensions
    assert not found.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not found.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    usage = found.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_the_authority_lasts_ten_years_and_the_server_397_days(folder: Path) -> None:
    authority, server = certificate(folder / "ca.crt"), certificate(folder / "server.crt")
    assert authority.not_valid_after_utc - authority.not_valid_before_utc == dt.timedelta(days=3650)
    lasts = server.not_valid_after_utc - server.not_valid_before_utc + dt.timedelta(seconds=1)
    assert lasts == dt.timedelta(days=397)
    assert server.not_valid_before_utc < dt.datetime.now(dt.UTC) - dt.timedelta(minutes=30)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_keys_are_for_their_owner_only(folder: Path) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert {modes["ca.key"], modes["server.key"]} == {0o600}
    assert modes["ca.crt"] & 0o600 == 0o600


def test_made_again_the_authority_stays_and_the_server_is_new(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    made = certificates.make(folder, ["new.example.com"], days=10)
    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert (made.is_new_authority, made.is_new, made.hosts) == (False, True, ("new.example.com",))
    assert {name for name in after if after[name] != before[name]} == {"server.crt", "server.key"}
    verify(folder, "new.example.com")
    with pytest.raises(VerificationError):
        verify(folder, "db.example.com")
    certificates.make(folder, HOSTS)


def test_another_authority_is_not_taken_for_it(folder: Path, tmp_path: Path) -> None:
    other = certificates.make(tmp_path, HOSTS)
    with pytest.raises(VerificationError):
        verify(folder, "db.example.com", authority=other.authority)


def test_if_needed_renews_for_a_new_host_a_near_end_and_a_lost_key(folder: Path) -> None:
    def needed(*hosts: str, days: int = 397) -> bool:
        return certificates.make(folder, hosts, days=days, if_needed=True).is_new

    assert not needed("db.example.com", "DB.example.com")
    assert needed("db.example.com", "fresh.example.com", days=29)
    assert needed("db.example.com")
    (folder / "server.key").unlink()
    assert needed(*HOSTS)
    assert not needed(*HOSTS)


def test_a_host_given_twice_is_named_once(folder: Path) -> None:
    made = certificates.make(
        folder, ["db.example.com", "127.0.0.1", "::1", "[::1]", " DB.Example.com"]
    )
    assert made.hosts == HOSTS


@pytest.mark.parametrize(
    "host",
    ["", "https://db", "db:5432", "*.example.com", "a b", "300.1.1.1", "-db", "db.", "bücher.de",
     "a" * 64, ".".join(["a" * 63] * 4), "db\x00", "a_b"],
)  # fmt: skip
def test_what_is_no_host_is_refused_and_nothing_is_made(host: str, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="no host name and no IP address"):
        certificates.make(tmp_path / "new", ["db.example.com", host])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("days", [-1, 0, 826])
def test_days_have_limits(days: int, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="lasts 1 to 825 days"):
        certificates.make(tmp_path, HOSTS, days=days)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"ca.crt": None}, "holds ca.key without ca.crt"),
        ({"ca.key": None}, "holds ca.crt without ca.key"),
        ({"ca.key": b"nonsense"}, "must be PEM"),
        ({"ca.key": "server.key"}, "is not the RSA key of ca.crt"),
        ({"ca.crt": "server.crt", "ca.key": "server.key"}, "no certificate of an authority"),
    ],
)
def test_a_damaged_authority_is_told_of_and_left_as_it_is(
    damage: dict[str, bytes | str | None], words: str, folder: Path, tmp_path: Path
) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for name, content in damage.items():
        if content is None:
            (tmp_path / name).unlink()
        else:
            new = (folder / content).read_bytes() if isinstance(content, str) else content
            (tmp_path / name).write_bytes(new)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(CertificateError, match=words):
        certificates.make(tmp_path, HOSTS)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_server_never_outlives_its_authority_and_an_ended_one_signs_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = certificate(folder / "ca.crt").not_valid_after_utc

    def at(moment: dt.datetime) -> None:
        monkeypatch.setattr(certificates, "_now", lambda: moment)

    at(ends - dt.timedelta(days=40))
    assert certificates.make(folder, HOSTS).ends == ends
    before = (folder / "server.crt").read_bytes()
    at(ends + dt.timedelta(seconds=1))
    with pytest.raises(CertificateError, match=r"ended 20.*let clients trust the new"):
        certificates.make(folder, HOSTS)
    assert (folder / "server.crt").read_bytes() == before
    monkeypatch.undo()
    certificates.make(folder, HOSTS)  # as the next test finds it


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CertificateError, match=r"file.* cannot be used"):
        certificates.make(tmp_path / "file", HOSTS)


def test_the_command_says_when_each_ends(folder: Path) -> None:
    arguments = ["certificates", "make", str(folder), "--if-needed", "--host", "db.example.com"]
    said = CliRunner().invoke(cli, arguments).output
    ends = certificate(folder / "server.crt").not_valid_after_utc
    assert f"kept certificate {folder / 'server.crt'}, ends {ends:%Y-%m-%d}" in said
    authority_ends = certificate(folder / "ca.crt").not_valid_after_utc
    assert f"kept authority {folder / 'ca.crt'}, ends {authority_ends:%Y-%m-%d}" in said
    printed = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert (printed["is_new"], printed["ends"]) == (False, ends.isoformat())
    assert printed["hosts"] == list(HOSTS)
