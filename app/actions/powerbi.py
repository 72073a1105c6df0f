"""Power BI is asked for a refresh by hand."""

from __future__ import annotations

from app.actions import Desk, _audit, _authorise, _storable, _transaction
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
