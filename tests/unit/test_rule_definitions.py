"""Which rules can be, which stand in each other's way, and rules as a file."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.rule_book import differences
from etl import datasets, rule_file, validate
from etl.rule_definition import RuleDefinition, RuleError, check, check_beside
from etl.rule_file import read, written

SALES = datasets.get("sales")


def rule(**changes: Any) -> RuleDefinition:
    values: dict[str, Any] = {
        "code": "region_known",
        "column_name": "region",
        "kind": "one_of",
        "message": "region not known",
        "parameters": {"values": ["North", "South"]},
    }
    return RuleDefinition(**{**values, **changes})


def prices(**parameters: Any) -> RuleDefinition:
    return rule(column_name="price", kind="between", parameters=parameters, code="a_price")


@pytest.mark.parametrize("name", datasets.names())
def test_the_shipped_rules_pass(name: str) -> None:
    dataset = datasets.get(name)
    shipped = [
        RuleDefinition(
            code=one.code,
            column_name=one.column,
            kind=one.kind,
            message=one.message,
            severity=one.severity.value,
            judges=one.judges.value,
            parameters=dict(one.parameters),
        )
        for one in dataset.rules
    ]
    for one in shipped:
        check(dataset, one)
        check_beside(one, [other for other in shipped if other is not one])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (rule(code="Region"), "small letters"),
        (rule(code="r" * 61), "60 characters"),
        (rule(message=" "), "message must not be empty"),
        (rule(message="m" * 201), "200 characters"),
        (rule(message="a\nb"), "no line breaks"),
        (rule(message="a; b"), "stands between messages"),
        (rule(owner=""), "owner must not be empty"),
        (rule(kind="sql"), "no kind 'sql'"),
        (rule(column_name="colour"), "no column 'colour'"),
        (rule(severity="drop"), "severity must be one of"),
        (rule(judges="raw"), "judges must be one of"),
        (rule(active="yes"), "active must be"),
        (rule(ordinal=-1), "order must be"),
        (rule(ordinal=True), "order must be"),
        (rule(parameters={"values": []}), "at least one value"),
        (rule(parameters={"values": ["a", "a"]}), "same value twice"),
        (rule(parameters={"values": [1]}), "must be text"),
        (rule(parameters={"values": "North"}), "must be a list"),
        (rule(parameters={"values": ["a"], "sql": "x"}), "no parameter 'sql'"),
        (rule(parameters={}), "needs the parameter values"),
        (rule(kind="matches", parameters={"pattern": "("}), "no regular expression"),
        (rule(kind="matches", parameters={"pattern": "a)(b"}), "no regular expression"),
        (rule(kind="matches", parameters={"pattern": "(?=a)"}), "no regular expression"),
        (rule(kind="matches", parameters={"pattern": r"(a)\1"}), "no regular expression"),
        (rule(kind="matches", parameters={"pattern": "\x00"}), "NUL"),
        (rule(kind="max_length", parameters={"length": 0}), "from 1 to"),
        (rule(kind="max_length", parameters={"length": "5"}), "whole number"),
        (rule(kind="max_length", parameters={"length": True}), "whole number"),
        (rule(kind="between", parameters={"min": 1}), "cannot judge region"),
        (rule(kind="not_ambiguous", parameters={}), "cannot judge region"),
        (prices(min=2, max=1), "above max"),
        (prices(min=2, below="2.0"), "not below"),
        (prices(min="much"), "min must be a number"),
        (prices(min=float("inf")), "min must be a number"),
        (prices(whole=True), "no column of whole numbers"),
        (prices(required=1), "true or false"),
        (
            rule(column_name="price", kind="not_equal", parameters={"value": "x"}),
            "must be a number",
        ),
        (
            rule(
                column_name="price",
                kind="total_below",
                parameters={"factor": "region", "fraction": "discount", "below": 1},
            ),
            "factor must be a column of numbers",
        ),
        (
            rule(kind="references", parameters={"table": "pg_authid", "column": "rolname"}),
            "can only warn",
        ),
        (
            rule(
                kind="references",
                severity="warn",
                parameters={"table": "pg_authid", "column": "rolname"},
            ),
            "table must be one of",
        ),
        (rule(warn_records=0), "warn_records must be"),
        (rule(stop_rate=1.5), "stop_rate must be"),
        (rule(warn_rate=0.5, stop_rate=0.5), "warn_rate must be below stop_rate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_rule_that_cannot_be_is_refused_with_the_reason(
    wrong: RuleDefinition, reason: str
) -> None:
    with pytest.raises(RuleError, match=reason):
        check(SALES, wrong)


@pytest.mark.parametrize(
    "right",
    [
        rule(),
        rule(kind="matches", parameters={"pattern": "(?i)[a-zé]+"}),
        prices(min=1, max=1),
        prices(min="0.1", below=2),
        rule(column_name="quantity", kind="between", parameters={"whole": True}),
        rule(
            column_name="customer_id",
            kind="references",
            severity="warn",
            parameters={"table": "silver.customers", "column": "customer_id"},
        ),
        rule(warn_records=1, warn_rate=0.01, stop_records=10, stop_rate=1, owner="ada"),
    ],
)
def test_a_rule_that_can_be_passes_and_judges(right: RuleDefinition) -> None:
    check(SALES, right)
    assert right.column_name in right.sentence


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (rule(), rule(column_name="category"), "the code region_known is taken"),
        (rule(), rule(code="b", severity="warn"), "the rule b .* judges the same already"),
        (rule(parameters={"values": ["x", "y"]}), rule(code="b", parameters={"values": ["y", "x"]}),
         "judges the same"),
        (prices(min=1), rule(code="b", column_name="price", kind="between",
                             parameters={"min": "1.00", "whole": False}), "judges the same"),
        (prices(min=5), rule(code="b", column_name="price", kind="between",
                             parameters={"max": 4}), "the rule b .* contradicts: no number of price"),
        (prices(below=5), rule(code="b", column_name="price", kind="greater_than",
                               parameters={"value": 5}), "contradicts"),
        (prices(max=5), rule(code="b", column_name="price", kind="greater_than",
                             parameters={"value": 5}), "contradicts"),
        (rule(), rule(code="b", parameters={"values": ["East"]}), "none of the allowed values"),
        (rule(parameters={"values": ["N"]}), rule(code="b", kind="not_equal",
                                                  parameters={"value": "N"}), "none of the allowed"),
        (rule(), rule(code="b", kind="max_length", parameters={"length": 4}), "none of the allowed"),
    ],
)  # fmt: skip
def test_repetitions_and_contradictions_name_the_other_rule(
    one: RuleDefinition, other: RuleDefinition, reason: str
) -> None:
    for first, second in ((one, other), (other, one)):
        with pytest.raises(RuleError, match=reason if first is one else "rule"):
            check_beside(first, [second])


@pytest.mark.parametrize(
    "other",
    [
        rule(code="b", active=False),
        rule(code="b", judges="received"),
        rule(code="b", column_name="category"),
        rule(code="b", severity="warn", parameters={"values": ["East"]}),
        rule(code="b", parameters={"values": ["South", "East"]}),
        rule(code="b", kind="not_equal", parameters={"value": "North"}),
    ],
)
def test_rules_that_go_together_pass(other: RuleDefinition) -> None:
    check_beside(rule(), [other])


# Files ----------------------------------------------------------------------------------

words = st.text(min_size=1, max_size=12).map(str.strip).filter(lambda text: text.isprintable())
words = words.filter(lambda text: text and "; " not in text)
values = st.text(min_size=1, max_size=8).filter(lambda text: "\x00" not in text)
amounts = st.integers(-(10**12), 10**12) | st.decimals(-999, 999, places=3).map(str)
kinds = st.one_of(
    st.tuples(st.just("region"), st.just("not_null"), st.just({})),
    st.tuples(
        st.just("region"),
        st.just("one_of"),
        st.lists(values, min_size=1, max_size=3, unique=True).map(lambda v: {"values": v}),
    ),
    st.tuples(st.just("price"), st.just("between"), amounts.map(lambda v: {"min": v})),
    st.tuples(
        st.just("quantity"),
        st.just("between"),
        st.fixed_dictionaries({"whole": st.booleans(), "required": st.booleans()}),
    ),
    st.tuples(st.just("price"), st.just("not_equal"), amounts.map(lambda v: {"value": v})),
    st.tuples(st.just("category"), st.just("not_equal"), values.map(lambda v: {"value": v})),
)


@st.composite
def definitions(draw: st.DrawFn) -> RuleDefinition:
    column, kind, parameters = draw(kinds)
    records = st.none() | st.integers(1, 50)
    return RuleDefinition(
        code=draw(st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)),
        column_name=column,
        kind=kind,
        parameters=parameters,
        message=draw(words),
        severity=draw(st.sampled_from(["reject", "warn"])),
        judges=draw(st.sampled_from(["received", "normalised"])),
        ordinal=draw(st.integers(0, 1000)),
        active=draw(st.booleans()),
        owner=draw(st.none() | words),
        warn_records=draw(records),
        stop_rate=draw(st.none() | st.floats(1e-9, 1)),
    )


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(st.lists(definitions(), max_size=4, unique_by=lambda one: one.code))
def test_a_file_gives_back_the_rules_that_were_written(rules: list[RuleDefinition]) -> None:
    text = written({"sales": rules})
    found = read(text.encode())
    assert sorted((one.rule for one in found), key=lambda r: r.code) == sorted(
        rules, key=lambda r: r.code
    )
    assert written({"sales": [one.rule for one in found]}) == text
    lines = text.splitlines()
    assert all(one.rule.code in lines[one.line - 1] for one in found)


GOOD = """\
sales:
- code: region_known
  column: region
  kind: one_of
  parameters: {values: [North]}
  message: region not known
  order: 5
"""


def test_what_a_file_leaves_out_is_usual() -> None:
    [found] = read(b"\xef\xbb\xbf" + GOOD.encode())
    assert (found.dataset, found.line) == ("sales", 2)
    assert found.rule == rule(parameters={"values": ["North"]}, ordinal=5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD.replace("sales", "sails"), "line 1: there is no feed 'sails'"),
        (GOOD + GOOD, "line 8: sales stands twice"),
        (GOOD + GOOD.partition("\n")[2], "line 8, rule region_known: it stands in line 2"),
        (GOOD.replace("kind: one_of", "kind: no_of"), "line 2, rule region_known: there is no kind"),
        (GOOD.replace("[North]", "[no]"), "line 2, rule region_known: .* in quotes"),
        (GOOD.replace("order", "odour"), r"there is no 'odour' \(line 7\)"),
        (GOOD.replace("  message: region not known\n", ""), "rule region_known: message is missing"),
        (GOOD.replace("5", "!!python/object/apply:os.system ['x']"), "line 7: this is no YAML"),
        (GOOD.replace("[North]", "&a [*a]"), "line 5: anchors and aliases"),
        (GOOD.replace("{values", "{{values"), "rule region_known|no YAML"),
        ("sales: 5", "line 1: sales must hold a list"),
        ("- 5", "line 1: the file must hold feeds"),
        ("sales: [5]", "line 1, rule .*: line 1: a rule must hold names"),
        ("", "the file must hold feeds"),
        ("a: [", "line 1: this is no YAML"),
        ("[" * 5000, "nested too deeply"),
        ("a: \x00", "no YAML"),
        (GOOD.replace("5", "2024-01-01"), "order must be a whole number"),
        (GOOD.replace("5", "9999-99-99"), "line 2|no YAML"),
        ("? [a]\n: 1", "there is no feed"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_line_and_rule(text: str, reason: str) -> None:
    with pytest.raises(RuleError, match=reason):
        read(text.encode())


def test_a_file_that_is_too_large_or_no_text_is_refused() -> None:
    with pytest.raises(RuleError, match="larger than"):
        read(b" " * (rule_file.LARGEST_FILE + 1))
    with pytest.raises(RuleError, match="UTF-8"):
        read(b"\xff\xfe\xff")


def test_limits_stand_in_the_sentence() -> None:
    assert (
        validate.sentence_of("between", "quantity", {"min": 1, "below": "2.5", "required": True})
        == "quantity must be a number from 1 below 2.5, and given"
    )


def test_of_parameters_only_those_that_differ_are_told() -> None:
    before = prices(min=0, max=10).as_dict()
    assert differences(before, prices(min=1, max=10).as_dict()) == ["parameters: min 0 → min 1"]
    assert differences(before, prices(min=0).as_dict()) == ["parameters: max 10 → none"]
    assert differences(before, before) == []
