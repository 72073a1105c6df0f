"""Power BI: a refresh by hand, and what its reporting role can reach."""

from __future__ import annotations

from app.actions import Desk, _audit, _authorise, _storable, _transaction
from etl.db import reader_check
from etl.db.reader_check import Access
from etl.errors import SettingsError
from etl.powerbi import refresh
from etl.powerbi.client import configured_target
from etl.settings import PREFIX


def refresh_now(desk: Desk, *, is_dry_run: bool = False) -> int:
    """Ask for a refresh of the Power BI dataset; return its number. A worker sends it.

    A dry run keeps what would be sent, also while refreshes are off.

    Raises ForbiddenError, BusyError, SettingsError when refreshes are off or the dataset is not named.
    """
    _authorise(desk, "powerbi.refresh", "the Power BI dataset")
    if desk.settings.powerbi_refresh == "off" and not is_dry_run:
        raise SettingsError(
            f"refreshes of Power BI are off; set {PREFIX}POWERBI_REFRESH to standard or enhanced"
        )
    configured_target(desk.settings)
    with _transaction(desk) as connection:
        refresh_id = refresh.ask(
            connection,
            desk.settings,
            actor=_storable(desk.operator.name),
            is_dry_run=is_dry_run,
        )
        asked = refresh.one(connection, refresh_id)
        _audit(
            connection,
            desk.operator,
            "powerbi.refresh",
            f"refresh {refresh_id}",
            after={
                "status": asked["status"],
                "form": asked["form"],
                "data_version": asked["data_version"],
            },
        )
    return refresh_id


def check_connection(desk: Desk) -> Access:
    """Connect as the reporting role, count gold, and try what must be refused; audited.

    Raises ForbiddenError, SettingsError when the role's password is not known, DatabaseError when it
    cannot read gold.
    """
    _authorise(desk, "powerbi.check", "the reporting role")
    if desk.settings.bi_reader_url is None:
        raise SettingsError(
            f"the password of bi_reader is not known here: set {PREFIX}BI_READER_URL to the address of "
            "the database with that account (`revenue powerbi password` gives it a password)"
        )
    access = reader_check.check(desk.settings.bi_reader_url.get_secret_value())
    with _transaction(desk) as connection:
        _audit(
            connection,
            desk.operator,
            "powerbi.check",
            "the reporting role",
            after={
                "server": access.server,
                "is_right": access.is_right,
                "is_encrypted": access.is_encrypted,
                "rows": access.rows,
            },
        )
    return access
