"""Facets: what can still be read of an invalid record, kept in its queue item.

They say which of the numbers of a report an invalid record may be missing from. What cannot be read,
or could not be stored, is null: such a record may belong anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, text

from etl import datasets, patterns
from etl.db import queries
from etl.model import Column, Dataset
from etl.normalise import series
from etl.received import UNSTORABLE, Received, receive
from etl.storable import limits

if TYPE_CHECKING:
    from etl.normalise import Mask

WORTH = "worth"
_ALL = ("customer_id", "region", "product_id", "product_name", "category", "day", WORTH)
_DAY = 10  # characters of a day at the front of a moment
_CHUNK = 10_000


def columns(dataset: Dataset) -> tuple[str, ...]:
    """Return the columns of dq.quarantine that hold the facets of a feed."""
    return (*dataset.facets, *((WORTH,) if dataset.worth else ()))


def read(
    received: Received, normalised: Mapping[str, pa.StringArray], dataset: Dataset, wanted: Mask
) -> dict[str, pa.StringArray]:
    """Return the facets of the `wanted` records by the names of `columns`, as text for the database.

    `normalised` holds the columns of all records of `received`.
    """
    declared = {column.name: column for column in dataset.columns}
    is_wanted = pa.array(wanted)
    not_object = None if received.not_object is None else pa.array(received.not_object[wanted])
    found = {}
    for name, source in dataset.facets.items():
        values = _readable(normalised[source].filter(is_wanted), declared[source])
        odd = received.not_scalar[source]
        for unreadable in (not_object, None if odd is None else pa.array(odd[wanted])):
            if unreadable is not None:
                values = pc.if_else(unreadable, pa.scalar(None, pa.string()), values)
        found[name] = values
    if dataset.worth:
        needed = {dataset.key, *dataset.worth}
        found[WORTH] = patterns.worth(
            {name: normalised[name].filter(is_wanted) for name in needed}, dataset
        )
    return found


def _readable(values: pa.StringArray, column: Column) -> pa.StringArray:
    if not column.is_text:  # a moment
        return pc.utf8_slice_codeunits(values, 0, _DAY)
    fits = pc.invert(pc.match_substring(values, UNSTORABLE))
    longest = limits(column).length
    if longest is not None:
        fits = pc.and_(fits, pc.less_equal(pc.utf8_length(values), longest))
    return pc.if_else(fits, values, pa.scalar(None, pa.string()))


def fill(connection: Connection) -> int:
    """Write the facets of records that were judged before facets were kept; return how many."""
    return sum(
        _fill(connection, dataset) for dataset in datasets.declared().values() if columns(dataset)
    )


def _fill(connection: Connection, dataset: Dataset) -> int:
    places = queries.rows(connection, "queries/facets.unread", dataset=dataset.name)
    raw = text(
        f"select w.quarantine_id, r.record from unnest(cast(:items as bigint [])) "
        f"as w (quarantine_id) join dq.quarantine q using (quarantine_id) "
        f"join {dataset.raw_table} r using (batch_id, position) order by w.quarantine_id"
    )
    done = 0
    for start in range(0, len(places), _CHUNK):
        some = [row["quarantine_id"] for row in places[start : start + _CHUNK]]
        found = connection.execute(raw, {"items": some}).all()
        received = receive([row.record.encode() for row in found], dataset)
        normalised = {
            column.name: pa.array(column.normalise(series(received.text[column.name])).text)
            for column in dataset.columns
        }
        values = read(received, normalised, dataset, np.ones(len(found), bool))
        given = {name: value.to_pylist() for name, value in values.items()}
        done += queries.execute(
            connection,
            "queries/facets.write",
            items=[row.quarantine_id for row in found],
            **{name: given.get(name, [None] * len(found)) for name in _ALL},
        ).rowcount
    return done
