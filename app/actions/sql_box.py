"""The SQL box: who may run a statement, and which ran."""

from __future__ import annotations

from app.actions import Desk, _audit, _authorise, _transaction
from app.auth import Role
from etl.db.sql_box import SqlBoxError, Statement

ROLE = Role.STEWARD
"""Whoever runs statements sees every row of gold, with the customers' e-mail addresses."""
STATEMENT_CHARACTERS = 20_000


def run_statement(desk: Desk, text: str) -> Statement:
    """Start a read-only statement as the role `sql_box`; its text is audited before it begins.

    Raises ForbiddenError, SqlBoxError when there is no such role, no statement, or no room for one
    more.
    """
    _authorise(desk, "sql.run", "SQL box", ROLE)
    if desk.settings.sql_box_url is None:
        raise SqlBoxError(
            "the SQL box needs a database role of its own: set REVENUE_SQL_BOX_URL to "
            "postgresql://sql_box:PASSWORD@HOST/DATABASE, then `revenue migrate` makes the role"
        )
    asked = text.strip()
    if not asked or "\x00" in asked:
        raise SqlBoxError("write a statement first, such as: select * from transactions")
    if len(asked) > STATEMENT_CHARACTERS:
        raise SqlBoxError(f"a statement may have {STATEMENT_CHARACTERS:,} characters")
    with _transaction(desk) as connection:
        _audit(connection, desk.operator, "sql.run", "SQL box", after={"statement": asked})
    statement = Statement(desk.settings.sql_box_url.get_secret_value(), asked)
    statement.start()
    return statement


def cancel_statement(desk: Desk, statement: Statement) -> None:
    """End a statement that still runs.

    Raises ForbiddenError.
    """
    _authorise(desk, "sql.cancel", "SQL box", ROLE)
    with _transaction(desk) as connection:
        _audit(
            connection,
            desk.operator,
            "sql.cancel",
            "SQL box",
            after={"statement": statement.text, "seconds": round(statement.seconds, 1)},
        )
    statement.cancel()
