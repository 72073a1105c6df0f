"""Saved views: kept, renamed and forgotten by who made them; an admin forgets those of others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.actions import Desk, _audit, _authorise, _storable, _transaction
from app.auth import ForbiddenError, Role
from etl.db import queries
from etl.errors import RevenueError

NAME_CHARACTERS = 80
MOST_VIEWS = 100  # of one person on one page
_ADDRESS_CHARACTERS = 8_000

Address = Mapping[str, Sequence[str]]
"""Query parameters of a page: name -> values; never a URL, so that it leads nowhere else."""


class SavedViewError(RevenueError):
    """The view cannot be kept as it is, or is not there."""

    code = "saved_view"


def save(desk: Desk, *, page: str, name: str, address: Address, is_shared: bool = False) -> int:
    """Keep a view of a page under a name, in place of one's own of the same name; return its number.

    Raises ForbiddenError, SavedViewError for a name or address that cannot be kept.
    """
    _authorise(desk, "view.save", f"view of {page}", Role.VIEWER)
    given = _name(name)
    kept = _address(address)
    owner = _storable(desk.operator.name)
    with _transaction(desk) as connection:
        key = {"page": page, "owner": owner}
        before = queries.row(connection, "queries/saved_views.named", **key, name=given)
        if before is None and (
            queries.value(connection, "queries/saved_views.count_own", **key) >= MOST_VIEWS
        ):
            raise SavedViewError(f"you keep {MOST_VIEWS} views of this page: delete one first")
        view_id = queries.value(
            connection,
            "queries/saved_views.save",
            **key,
            name=given,
            address=json.dumps(kept),
            is_shared=is_shared,
        )
        _audit(
            connection,
            desk.operator,
            "view.save",
            f"view {view_id}",
            before=before and {"address": before["address"], "is_shared": before["is_shared"]},
            after={"page": page, "name": given, "address": kept, "is_shared": is_shared},
        )
    return int(view_id)


def rename(desk: Desk, view_id: int, *, name: str) -> None:
    """Give one's own view another name.

    Raises ForbiddenError, SavedViewError when it is gone or the name is taken.
    """
    _authorise(desk, "view.rename", f"view {view_id}", Role.VIEWER)
    given = _name(name)
    taken = SavedViewError(f"you have a view of this page called {given}: choose another name")
    try:
        with _transaction(desk) as connection:
            view_name = _own(connection, desk, "view.rename", view_id)
            changed = queries.value(
                connection, "queries/saved_views.rename", view_id=view_id, name=given
            )
            if changed is None:
                raise taken
            _audit(
                connection,
                desk.operator,
                "view.rename",
                f"view {view_id}",
                before={"name": view_name},
                after={"name": given},
            )
    except IntegrityError as error:  # somebody was faster
        raise taken from error


def delete(desk: Desk, view_id: int) -> None:
    """Forget a view: one's own, or as an admin anybody's.

    Raises ForbiddenError, SavedViewError when it is gone.
    """
    _authorise(desk, "view.delete", f"view {view_id}", Role.VIEWER)
    with _transaction(desk) as connection:
        name = _own(connection, desk, "view.delete", view_id, or_role=Role.ADMIN)
        queries.execute(connection, "queries/saved_views.delete", view_id=view_id)
        _audit(connection, desk.operator, "view.delete", f"view {view_id}", before={"name": name})


def _own(
    connection: Connection, desk: Desk, action: str, view_id: int, *, or_role: Role | None = None
) -> str:
    """Hold a view that the operator may change; return its name.

    Raises ForbiddenError, which is audited, and SavedViewError.
    """
    view = queries.row(connection, "queries/saved_views.one", view_id=view_id)
    if view is None:
        raise SavedViewError("this view is gone: somebody deleted it")
    is_own = view["owner"] == _storable(desk.operator.name)
    if not is_own and (or_role is None or desk.operator.role < or_role):
        refused = f"this view belongs to {view['owner']}"
        with _transaction(desk) as other:
            _audit(other, desk.operator, action, f"view {view_id}", after={"refused": refused})
        raise ForbiddenError(refused)
    return str(view["name"])


def _name(given: str) -> str:
    name = _storable(" ".join(given.split()))[:NAME_CHARACTERS]
    if not name:
        raise SavedViewError("give the view a name")
    return name


def _address(address: Address) -> dict[str, list[str]]:
    kept = {
        _storable(key): [_storable(str(value)) for value in values]
        for key, values in sorted(address.items())
    }
    if len(json.dumps(kept)) > _ADDRESS_CHARACTERS:
        raise SavedViewError("there are too many filters to keep: choose fewer values")
    return kept
