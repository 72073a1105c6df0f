"""Drafts of rules become rules, with a second person where one is needed; every version stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from app import cli, rule_book
from app.actions import Desk
from app.actions import rules as actions
from app.auth import ForbiddenError, Operator, Role
from etl import datasets, rule_drafts, rules
from etl.rule_definition import RuleDefinition, RuleError
from etl.rule_drafts import OutdatedError, SecondPersonError
from tests.conftest import Pipeline
from tests.integration.test_actions import audit, sale
from tests.shipped_rules import shipped_again

NEW = RuleDefinition(
    code="region_known",
    column_name="region",
    kind="one_of",
    message="region not known",
    parameters={"values": ["North", "South"]},
    ordinal=5,
)


@pytest.fixture(autouse=True)
def put_back(pipeline: Pipeline) -> Iterator[None]:
    with shipped_again(pipeline.engine):
        yield


def desk_of(pipeline: Pipeline, name: str = "ada", **changes: Any) -> Desk:
    return Desk(
        engine=pipeline.engine,
        settings=pipeline.settings.model_copy(update=changes),
        operator=Operator(name=name, role=Role.STEWARD, origin="test"),
    )


@pytest.fixture
def desk(pipeline: Pipeline) -> Desk:
    return desk_of(pipeline)


def rule_id(pipeline: Pipeline, code: str, dataset: str = "sales") -> int:
    return int(
        pipeline.value(
            "select rule_id from dq.rule where code = :c and dataset = :d", c=code, d=dataset
        )
    )


def stored(pipeline: Pipeline, found_id: int) -> RuleDefinition:
    with pipeline.engine.connect() as connection:
        return rule_drafts.definition(connection, found_id)[2]


def codes(pipeline: Pipeline, *, drafted: bool = False) -> list[str]:
    with pipeline.engine.connect() as connection:
        found = rules.drafted if drafted else rules.active
        return [rule.code for rule in found(connection, "sales")]


def test_a_new_rule_judges_once_it_is_activated(pipeline: Pipeline, desk: Desk) -> None:
    draft = actions.draft_rule(desk, "sales", NEW, reason="only these are ours")
    assert "region_known" not in codes(pipeline)
    assert codes(pipeline, drafted=True)[0] == "region_known"
    pipeline.land("a.json", [sale(1), sale(2, region="east")])
    assert pipeline.run("sales")["batches"][0]["invalid_records"] == 0
    with pipeline.engine.connect() as connection:
        expected = rules.fingerprint(rules.drafted(connection, "sales"))
    done = actions.activate_drafts(desk, [draft])
    assert (done.activated, done.outdated) == ((draft,), ())
    pipeline.land("b.json", [sale(3), sale(4, region="east")])
    run = pipeline.run("sales")
    assert run["rule_set"] == expected
    assert pipeline.rows("select dq_errors from dq.quarantine") == [("region not known",)]
    assert pipeline.rows(
        "select origin, version, updated_by from dq.rule where code = 'region_known'"
    ) == [("operator", 1, "ada")]
    with pipeline.engine.connect() as connection:
        listed = rule_book.listed(connection, dataset="sales")
    assert (listed[0]["code"], listed[0]["fired"], listed[0]["lately"]) == ("region_known", 1, 1)
    assert [row[0] for row in audit(pipeline)] == ["rule.draft", "rule.activate"]


def test_a_change_makes_a_version_that_a_release_does_not_overwrite(
    pipeline: Pipeline, desk: Desk
) -> None:
    found = rule_id(pipeline, "price_zero")
    before = stored(pipeline, found)
    version = pipeline.value("select version from dq.rule where rule_id = :r", r=found)
    wished = replace(before, message="free of charge", owner="ada", stop_records=9, stop_rate=0.5)
    draft = actions.draft_rule(desk, "sales", wished, rule_id=found, version=version)
    actions.activate_drafts(desk, [draft])
    assert stored(pipeline, found) == wished
    with pipeline.engine.begin() as connection:
        rules.ship(connection, datasets.get("sales"))
    assert stored(pipeline, found) == wished
    with pipeline.engine.connect() as connection:
        versions = rule_book.versions(connection, found)
    assert [one["version"] for one in versions[:2]] == [version + 1, version]
    assert versions[0]["changed_by"] == "ada"
    assert versions[0]["changes"] == [
        "message: price 0 → free of charge",
        "owner: none → ada",
        "stops from (records): none → 9",
        "stops from (fraction): none → 0.5",
    ]
    back = actions.go_back(desk, found, version=version)
    actions.activate_drafts(desk, [back])
    assert stored(pipeline, found) == before
    assert pipeline.value("select version from dq.rule where rule_id = :r", r=found) == version + 2
    with pytest.raises(RuleError, match="no version 999"):
        actions.go_back(desk, found, version=999)


def test_a_second_person_activates_unless_one_person_works_here(pipeline: Pipeline) -> None:
    ada = desk_of(pipeline, rule_approval="required")
    draft = actions.draft_rule(ada, "sales", NEW)
    with pytest.raises(SecondPersonError, match="ada made draft"):
        actions.activate_drafts(ada, [draft])
    assert pipeline.value("select status from dq.rule_draft") == "draft"
    actions.activate_drafts(desk_of(pipeline, "bob", rule_approval="required"), [draft])
    assert pipeline.rows("select status, made_by, decided_by from dq.rule_draft") == [
        ("activated", "ada", "bob")
    ]
    assert not actions.needs_second_person(desk_of(pipeline))
    assert actions.needs_second_person(desk_of(pipeline, address="revenue.example"))
    assert not actions.needs_second_person(
        desk_of(pipeline, address="revenue.example", rule_approval="none")
    )


def test_who_may_not_is_refused_and_it_is_audited(pipeline: Pipeline, desk: Desk) -> None:
    draft = actions.draft_rule(desk, "sales", NEW)
    clerk = replace(desk, operator=Operator(name="eve", role=Role.OPERATOR, origin="test"))
    found = rule_id(pipeline, "price_zero")
    for act in (
        lambda: actions.draft_rule(clerk, "sales", NEW),
        lambda: actions.switch_rule(clerk, found, is_active=False),
        lambda: actions.move_rule(clerk, found, is_up=True),
        lambda: actions.go_back(clerk, found, version=1),
        lambda: actions.withdraw_draft(clerk, draft),
        lambda: actions.activate_drafts(clerk, [draft]),
        lambda: actions.import_rules(clerk, b"", name="x.yaml"),
    ):
        with pytest.raises(ForbiddenError, match="needs the role steward"):
            act()
    assert sum("refused" in (row[4] or {}) for row in audit(pipeline)) == 7
    assert pipeline.value("select status from dq.rule_draft") == "draft"


def test_a_draft_is_outdated_once_its_rule_changed(pipeline: Pipeline, desk: Desk) -> None:
    found = rule_id(pipeline, "price_zero")
    stale = actions.switch_rule(desk, found, is_active=False)
    fresh = actions.draft_rule(desk, "sales", NEW)
    with pipeline.engine.begin() as connection:
        connection.execute(
            text("update dq.rule set version = version + 1 where rule_id = :r"), {"r": found}
        )
    assert "price_zero" in codes(pipeline, drafted=True)
    done = actions.activate_drafts(desk, [stale, fresh])
    assert (done.activated, done.outdated) == ((fresh,), (stale,))
    assert "price_zero" in codes(pipeline)
    assert pipeline.rows("select status from dq.rule_draft order by draft_id") == [
        ("outdated",),
        ("activated",),
    ]
    with pytest.raises(OutdatedError, match="changed this rule meanwhile"):
        actions.draft_rule(
            desk,
            "sales",
            replace(stored(pipeline, found), owner="x"),
            rule_id=found,
            version=1_000_000,
        )


def test_repetitions_are_refused_also_when_the_other_one_came_later(
    pipeline: Pipeline, desk: Desk
) -> None:
    with pytest.raises(RuleError, match=r"the rule price_missing .* judges the same"):
        actions.draft_rule(
            desk,
            "sales",
            replace(NEW, column_name="price", kind="not_null", parameters={}, judges="received"),
        )
    draft = actions.draft_rule(desk, "sales", NEW)
    with pytest.raises(RuleError, match="the code region_known is taken"):
        actions.draft_rule(desk, "sales", replace(NEW, parameters={"values": ["East"]}))
    with pytest.raises(RuleError, match=r"the rule region_known .* contradicts"):
        actions.draft_rule(desk, "sales", replace(NEW, code="b", parameters={"values": ["East"]}))
    with pipeline.engine.begin() as connection:
        connection.execute(
            text(
                "insert into dq.rule (dataset, code, ordinal, column_name, kind, parameters, "
                "judges, severity, message, origin) values ('sales', 'late', 1, 'region', "
                """'one_of', '{"values": ["East"]}', 'normalised', 'reject', 'late', 'operator')"""
            )
        )
    with pytest.raises(RuleError, match=r"the rule late .* contradicts"):
        actions.activate_drafts(desk, [draft])
    assert pipeline.value("select status from dq.rule_draft") == "draft"


def test_a_newer_draft_takes_the_place_of_the_one_before(pipeline: Pipeline, desk: Desk) -> None:
    found = rule_id(pipeline, "price_zero")
    first = actions.switch_rule(desk, found, is_active=False)
    second = actions.draft_rule(
        desk, "sales", replace(stored(pipeline, found), owner="ada"), rule_id=found
    )
    assert pipeline.rows("select draft_id, status from dq.rule_draft order by draft_id") == [
        (first, "withdrawn"),
        (second, "draft"),
    ]
    actions.withdraw_draft(desk, second)
    with pytest.raises(RuleError, match="is withdrawn already"):
        actions.activate_drafts(desk, [second])
    with pytest.raises(RuleError, match="is the rule as it is"):
        actions.draft_rule(desk, "sales", stored(pipeline, found), rule_id=found)


@pytest.mark.parametrize("is_up", [True, False])
def test_a_rule_moves_one_place(pipeline: Pipeline, desk: Desk, is_up: bool) -> None:
    before = codes(pipeline)
    place = before.index("quantity_invalid")
    found = rule_id(pipeline, "quantity_invalid")
    for _ in range(3):  # at last no number is left between
        actions.activate_drafts(desk, actions.move_rule(desk, found, is_up=is_up))
        other = place - 1 if is_up else place + 1
        before[place], before[other] = before[other], before[place]
        assert codes(pipeline) == before
        actions.activate_drafts(desk, actions.move_rule(desk, found, is_up=not is_up))
        before[place], before[other] = before[other], before[place]
        assert codes(pipeline) == before


def test_the_first_rule_cannot_move_up(pipeline: Pipeline, desk: Desk) -> None:
    with pytest.raises(RuleError, match="the first one already"):
        actions.move_rule(desk, rule_id(pipeline, "transaction_id_missing"), is_up=True)
    with pytest.raises(RuleError, match="the last one already"):
        actions.move_rule(desk, rule_id(pipeline, "customer_unknown"), is_up=False)


# Files ----------------------------------------------------------------------------------


def test_an_import_drafts_only_what_differs(pipeline: Pipeline, desk: Desk) -> None:
    with pipeline.engine.connect() as connection:
        whole = rule_book.as_yaml(connection)
    assert actions.import_rules(desk, whole.encode(), name="rules.yaml") == []
    changed = whole.replace("message: price 0\n", "message: free\n  owner: ada\n")
    changed = changed.replace(
        "sales:\n",
        "sales:\n- {code: b, column: region, kind: not_null, message: no region, order: 1}\n",
    )
    assert len(actions.import_rules(desk, changed.encode(), name="rules.yaml")) == 2
    assert actions.import_rules(desk, changed.encode(), name="rules.yaml") == []
    with pipeline.engine.connect() as connection:
        drafts = rule_book.waiting(connection, "sales")
        assert rule_book.as_yaml(connection) == whole
    assert [draft["changes"] for draft in drafts] == [
        [],
        ["message: price 0 → free", "owner: none → ada"],
    ]
    actions.activate_drafts(desk, [draft["draft_id"] for draft in drafts])
    with pipeline.engine.connect() as connection:
        assert "message: free" in rule_book.as_yaml(connection, dataset="sales")
    # as it was before the draft: the draft is withdrawn
    assert len(actions.import_rules(desk, whole.encode(), name="rules.yaml")) == 1
    with pipeline.engine.connect() as connection:
        now = rule_book.as_yaml(connection)
    assert actions.import_rules(desk, now.encode(), name="rules.yaml") == []
    assert pipeline.value("select count(*) from dq.rule_draft where status = 'draft'") == 0


def test_an_import_that_conflicts_makes_no_draft_at_all(pipeline: Pipeline, desk: Desk) -> None:
    file = """\
sales:
- {code: a, column: region, kind: one_of, parameters: {values: [North]}, message: a, order: 1}
- {code: b, column: region, kind: one_of, parameters: {values: [South]}, message: b, order: 2}
"""
    with pytest.raises(RuleError, match=r"line 2, rule a: the rule b .* contradicts"):
        actions.import_rules(desk, file.encode(), name="x.yaml")
    assert pipeline.value("select count(*) from dq.rule_draft") == 0


def test_the_commands_list_export_and_import(pipeline: Pipeline) -> None:
    run = CliRunner().invoke
    listed = run(cli.cli, ["rules"])
    assert listed.exit_code == 0, listed.output
    assert "quantity must be a whole number from 1" in " ".join(listed.output.split())
    file = pipeline.settings.home / "rules.yaml"
    assert run(cli.cli, ["rules", "export", str(file), "--dataset", "sales"]).exit_code == 0
    written = file.read_text()
    assert "code: price_zero" in written
    file.write_text(written.replace("message: price 0\n", "message: free\n"))
    result = run(cli.cli, ["rules", "import", str(file), "--json"])
    assert result.exit_code == 0, result.output
    assert pipeline.value("select rule ->> 'message' from dq.rule_draft") == "free"
    file.write_text("sales: 5")
    refused = run(cli.cli, ["rules", "import", str(file)])
    assert "line 1" in str(refused.exception)
