"""The password with which Power BI and other tools read gold."""

from __future__ import annotations

import secrets

from app.actions import Desk, _audit, _authorise, _transaction
from app.auth import Role
from etl import masking
from etl.db import reporting
from etl.errors import RevenueError

_BYTES = 24


def renew(desk: Desk) -> str:
    """Give `bi_reader` a generated password and return it; it is kept nowhere.

    Sessions that are open stay. Raises ForbiddenError, RevenueError on the embedded server (it keeps
    the password in a file), DatabaseError when there is no such role or it may not be changed.
    """
    reader = reporting.BI_READER
    on = f"role {reader.name}"
    _authorise(desk, "reader.password", on, Role.ADMIN)
    if desk.settings.is_embedded:
        raise RevenueError(
            f"on the embedded server the password of {reader.name} is kept in "
            f"{desk.settings.database / f'password-{reader.name}'}; for another one delete that file "
            "and start again",
            code="embedded",
        )
    password = secrets.token_urlsafe(_BYTES)
    masking.remember(password)
    with _transaction(desk) as connection:
        reporting.set_password(connection, reader, password)
        _audit(
            connection,
            desk.operator,
            "reader.password",
            on,
            after={"role": reader.name, "is_generated": True},
        )
    return password
