"""What the compose files promise together; docker itself is not asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
BASE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
TLS = yaml.safe_load((ROOT / "docker-compose.tls.yml").read_text())


def mounts(composed: dict[str, Any], service: str) -> list[str]:
    return composed["services"][service].get("volumes", [])


def test_every_named_volume_is_declared_and_every_mounted_file_is_there() -> None:
    declared = {*BASE["volumes"], *TLS["volumes"]}
    for composed in (BASE, TLS):
        for service in composed["services"]:
            for source in (mount.split(":")[0] for mount in mounts(composed, service)):
                is_there = (
                    (ROOT / source).exists() if source.startswith(".") else source in declared
                )
                assert is_there, (service, source)


def test_only_who_makes_them_writes_certificates_and_nobody_but_the_database_reads_them() -> None:
    with_them = {
        service: mount
        for composed in (BASE, TLS)
        for service in composed["services"]
        for mount in mounts(composed, service)
        if mount.startswith("certificates:")
    }
    assert with_them == {
        "certificates": "certificates:/srv/certificates",
        "database": "certificates:/srv/certificates:ro",
    }


def test_the_image_has_their_folder_for_its_own_account() -> None:
    # a new volume takes owner and rights of the folder that it covers
    assert "install -d -o revenue -g revenue /srv/revenue /srv/certificates" in (
        ROOT / "Dockerfile"
    ).read_text(encoding="utf-8")


def test_the_database_waits_for_its_certificate_and_is_published_on_this_machine_only() -> None:
    database = TLS["services"]["database"]
    assert database["depends_on"] == {
        "certificates": {"condition": "service_completed_successfully"}
    }
    assert database["ports"] == ["${DATABASE_ADDRESS:-127.0.0.1}:${DATABASE_PORT:-5432}:5432"]
    assert "ports" not in BASE["services"]["database"]


def test_the_services_that_are_ours_keep_their_limits() -> None:
    limits = ("read_only", "cap_drop", "security_opt", "tmpfs")
    kept = {name: BASE["services"]["worker"][name] for name in limits}
    assert {name: TLS["services"]["certificates"][name] for name in limits} == kept
    assert TLS["services"]["certificates"]["network_mode"] == "none"
