"""Rules as they are shipped, again, after a test changed some."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import Engine, text

from etl import datasets, rules

_FORGET = """
delete from dq.rule_draft;
delete from dq.violation where rule_id in (select rule_id from dq.rule where not (code = any(:codes)));
delete from dq.rule_count where rule_id in (select rule_id from dq.rule where not (code = any(:codes)));
delete from dq.rule_history
where rule_id in (select rule_id from dq.rule where not (code = any(:codes)));
delete from dq.rule where not (code = any(:codes));
update dq.rule set
    origin = 'shipped', active = true, owner = null, warn_records = null, warn_rate = null,
    stop_records = null, stop_rate = null, version = version + 1, updated_by = 'shipped'
where origin = 'operator'
"""


@contextlib.contextmanager
def shipped_again(engine: Engine) -> Iterator[None]:
    """Put the shipped rules back when the block ends."""
    yield
    codes = [rule.code for dataset in datasets.declared().values() for rule in dataset.rules]
    with engine.begin() as connection:
        for statement in _FORGET.split(";"):
            connection.execute(text(statement), {"codes": codes} if ":codes" in statement else {})
        for dataset in datasets.declared().values():
            rules.ship(connection, dataset)
