"""The declared feeds: one module a feed, each with one `DATASET`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from etl.errors import RevenueError

if TYPE_CHECKING:
    from etl.model import Dataset


@cache
def names() -> tuple[str, ...]:
    """Return the name of every feed without loading its declaration."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@cache
def declared() -> dict[str, Dataset]:
    """Return every feed by name, in the order in which `run all` takes them."""
    return {name: importlib.import_module(f"{__name__}.{name}").DATASET for name in names()}


def get(name: str) -> Dataset:
    """Return the feed called `name`.

    Raises RevenueError when there is none.
    """
    try:
        return declared()[name]
    except KeyError:
        known = ", ".join(declared())
        raise RevenueError(
            f"there is no dataset {name!r}; choose one of: {known}", code="unknown_dataset"
        ) from None


def recognise(fields: frozenset[str]) -> Dataset | None:
    """Return the feed that a record with these top-level fields belongs to, if exactly one fits."""
    fitting = [dataset for dataset in declared().values() if dataset.recognised_by & fields]
    return fitting[0] if len(fitting) == 1 else None
