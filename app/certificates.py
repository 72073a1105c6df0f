"""A local authority and the certificate of a database server, for programs that read over TLS.

Keys are RSA with SHA-256: what depends least on the versions of Windows and of the driver in Power BI.
With that digest SCRAM can be bound to the channel too; with Ed25519 it cannot.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from etl.errors import RevenueError

AUTHORITY_DAYS = 3650
DAYS = 397  # of a server certificate, what browsers take from public authorities
MOST_DAYS = 825  # what Apple's systems take from any authority
RENEWED_DAYS = 30  # before its end, `if_needed` makes another
_KEY_BITS = 3072
_CLOCKS_DIFFER = dt.timedelta(hours=1)  # a client whose clock is slow takes a new one at once
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBERS = re.compile(r"[0-9.]+")
_LONGEST_HOST = 253
_LONGEST_COMMON_NAME = 64
_PRODUCT = "Customer Revenue Analytics"

Host = str | ipaddress.IPv4Address | ipaddress.IPv6Address
Extension = TypeVar("Extension", bound=x509.ExtensionType)


class CertificateError(RevenueError):
    """A certificate cannot be made as asked; nothing that was there is changed."""

    code = "certificates"


@dataclass(frozen=True, kw_only=True)
class Made:
    """What stands in the folder; the moments are UTC."""

    authority: Path  # what clients are to trust
    authority_ends: dt.datetime
    is_new_authority: bool
    certificate: Path
    key: Path
    ends: dt.datetime
    is_new: bool
    hosts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Pair:
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    def identifier(self) -> x509.AuthorityKeyIdentifier:
        own = _extension(self.certificate, x509.SubjectKeyIdentifier)
        if own is None:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)

    def signed(self, other: x509.Certificate) -> bool:
        try:
            other.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def make(folder: Path, hosts: Sequence[str], *, days: int = DAYS, if_needed: bool = False) -> Made:
    """Make ca.crt and ca.key unless they are there, and server.crt and server.key anew.

    An authority is never replaced, so whoever trusts it trusts the next server certificate too.
    `hosts` are what clients connect to: names or IP addresses. With `if_needed` a server certificate
    stays that is of this authority, holds all hosts and lasts for another 30 days.

    Raises CertificateError for a host that is none, and for an authority that cannot be used.
    """
    named = _hosts(hosts)
    if not 0 < days <= MOST_DAYS:
        raise CertificateError(f"a server certificate lasts 1 to {MOST_DAYS} days, not {days}")
    now = _now()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        authority, is_new_authority = _authority(folder, now)
        certificate = _present(folder, authority, named, now) if if_needed else None
        is_new = certificate is None
        if certificate is None:
            certificate = _issue(folder, authority, named, now, days)
    except OSError as error:
        raise CertificateError(
            f"{error.filename or folder} cannot be used ({error.strerror}): it must be a folder that "
            "you may write, with room in it"
        ) from error
    return Made(
        authority=folder / "ca.crt",
        authority_ends=authority.certificate.not_valid_after_utc,
        is_new_authority=is_new_authority,
        certificate=folder / "server.crt",
        key=folder / "server.key",
        ends=certificate.not_valid_after_utc,
        is_new=is_new,
        hosts=tuple(str(host) for host in _held(certificate)),
    )


def _hosts(given: Sequence[str]) -> tuple[Host, ...]:
    if not given:
        raise CertificateError("name at least one host, as clients write it: --host NAME")
    return tuple(dict.fromkeys(_host(one) for one in given))


def _host(given: str) -> Host:
    text = given.strip().lower()
    try:
        return ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        pass
    if len(text) > _LONGEST_HOST or _NUMBERS.fullmatch(text) or not _HOST.fullmatch(text):
        raise CertificateError(
            f"{given!r} is no host name and no IP address: a name has letters, digits, - and dots, such "
            "as db.example.com, without scheme, port or *; other scripts are written xn--…"
        )
    return text


# The authority --------------------------------------------------------------------------


def _authority(folder: Path, now: dt.datetime) -> tuple[_Pair, bool]:
    files = folder / "ca.crt", folder / "ca.key"
    missing = [file.name for file in files if not file.exists()]
    if len(missing) == len(files):
        return _new_authority(*files, now), True
    if missing:
        kept = next(file.name for file in files if file.name not in missing)
        raise CertificateError(
            f"{folder} holds {kept} without {missing[0]}: bring that back, or, when no client trusts "
            f"this authority yet, move {kept} away"
        )
    pair = _read_authority(*files)
    if pair.certificate.not_valid_after_utc <= now:
        raise CertificateError(
            f"the authority {files[0]} ended {pair.certificate.not_valid_after_utc:%Y-%m-%d}: move "
            "ca.crt and ca.key away, make others, and let clients trust the new ca.crt"
        )
    return pair, False


def _new_authority(certificate_file: Path, key_file: Path, now: dt.datetime) -> _Pair:
    key = _key()
    begin = now - _CLOCKS_DIFFER
    name = _name(f"{_PRODUCT} local authority {now:%Y-%m-%d}")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    # Never onto a file, not even one that another process has made since.
    _write_new(key_file, _key_text(key), mode=0o600)
    try:
        _write_new(certificate_file, _text(certificate), mode=0o644)
    except OSError:
        key_file.unlink()  # nobody has seen it; half an authority would stop every later try
        certificate_file.unlink(missing_ok=True)
        raise
    return _Pair(certificate=certificate, key=key)


def _read_authority(certificate_file: Path, key_file: Path) -> _Pair:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: a password
        raise CertificateError(
            f"{certificate_file} and {key_file.name} cannot be read: they must be PEM, the key RSA and "
            "without a password"
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError(f"{key_file} is not the RSA key of {certificate_file.name}")
    limits = _extension(certificate, x509.BasicConstraints)
    if limits is None or not limits.ca:
        raise CertificateError(f"{certificate_file} is no certificate of an authority")
    return _Pair(certificate=certificate, key=key)


# The server -----------------------------------------------------------------------------


def _present(
    folder: Path, authority: _Pair, hosts: Sequence[Host], now: dt.datetime
) -> x509.Certificate | None:
    """Return the server certificate that is there, if it will do."""
    try:
        certificate = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
        key = serialization.load_pem_private_key(
            (folder / "server.key").read_bytes(), password=None
        )
    except (FileNotFoundError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    will_do = (
        key.public_key() == certificate.public_key()
        and authority.signed(certificate)
        and set(hosts) <= set(_held(certificate))
        and certificate.not_valid_after_utc > now + dt.timedelta(days=RENEWED_DAYS)
    )
    return certificate if will_do else None


def _issue(
    folder: Path, authority: _Pair, hosts: Sequence[Host], now: dt.datetime, days: int
) -> x509.Certificate:
    key = _key()
    begin = max(now - _CLOCKS_DIFFER, authority.certificate.not_valid_before_utc)
    ends = begin + dt.timedelta(days=days) - dt.timedelta(seconds=1)  # the last second counts
    names = [
        x509.DNSName(host) if isinstance(host, str) else x509.IPAddress(host) for host in hosts
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(str(hosts[0])))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(min(ends, authority.certificate.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority.identifier(), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    _replace(folder / "server.key", _key_text(key), mode=0o600)
    _replace(folder / "server.crt", _text(certificate), mode=0o644)
    return certificate


def _held(certificate: x509.Certificate) -> tuple[Host, ...]:
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        return ()
    return (*names.get_values_for_type(x509.DNSName), *_addresses(names))


def _addresses(names: x509.SubjectAlternativeName) -> list[Host]:
    return [
        address
        for address in names.get_values_for_type(x509.IPAddress)
        if isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
    ]


# Parts of both --------------------------------------------------------------------------


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(
        microsecond=0
    )  # a certificate's moments are whole seconds


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


def _name(common: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, _PRODUCT)]
    if len(common) <= _LONGEST_COMMON_NAME:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
    return x509.Name(parts)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_encipherment=not sign_certificates,  # TLS 1.2 with RSA key exchange
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _text(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_text(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_new(file: Path, content: bytes, *, mode: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _replace(file: Path, content: bytes, *, mode: int) -> None:
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)  # of a run that was killed, with whatever rights
    _write_new(new, content, mode=mode)
    new.replace(file)
