"""Named queries read as Arrow tables: columns stay exact, and no row becomes a Python object."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.csv
from sqlalchemy import Connection, text

from etl.db import queries
from etl.db.connect import raw_cursor


def read(connection: Connection, name: str, schema: pa.Schema, /, **parameters: Any) -> pa.Table:
    """Return the rows of the query `<subject>.<name>`, which has no nulls, in the schema's columns."""
    subject, _, query = name.rpartition(".")
    statement = text(queries.load(subject)[query].rstrip().rstrip(";"))
    compiled = statement.bindparams(**parameters).compile(dialect=connection.dialect)
    buffer = io.BytesIO()
    with raw_cursor(connection) as cursor:
        # COPY takes no parameters of its own: the driver binds them into the query
        asked = cursor.mogrify(str(compiled), compiled.params).decode()
        cursor.copy_expert(f"copy ({asked}) to stdout (format csv)", buffer)
    if not buffer.tell():
        return schema.empty_table()
    return pyarrow.csv.read_csv(
        pa.py_buffer(buffer.getbuffer()),
        read_options=pyarrow.csv.ReadOptions(column_names=schema.names),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=schema, null_values=[], quoted_strings_can_be_null=False
        ),
    )
