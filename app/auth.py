"""Who the operator is, and what a role allows.

On a loopback address nobody signs in: the person at the keyboard is the one local operator.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from enum import IntEnum

from etl.errors import RevenueError
from etl.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Role(IntEnum):
    """What somebody may do; each role may do what those before it may."""

    VIEWER = 1  # sees
    OPERATOR = 2  # brings files, starts, cancels and resumes runs
    STEWARD = 3  # decides about invalid records and rules
    ADMIN = 4  # everything

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A person (or program) that acts."""

    name: str
    role: Role
    origin: str  # where the action comes from: page, command, address


class ForbiddenError(RevenueError):
    """The role of the operator does not allow the action."""

    code = "forbidden"


def current() -> Operator:
    """Return the local operator."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        name = "operator"
    return Operator(name=name, role=Role.ADMIN, origin="page")


def is_single_user(settings: Settings) -> bool:
    """Return whether nobody but the local operator can reach the pages."""
    return settings.address in LOOPBACK


def require(operator: Operator, role: Role) -> None:
    """Let an operator of this role or a higher one pass.

    Raises ForbiddenError.
    """
    if operator.role < role:
        raise ForbiddenError(
            f"this needs the role {role.word}; {operator.name} is {operator.role.word}"
        )
