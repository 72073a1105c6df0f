"""The half of the linter that reads the semantic model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from app.metrics import METRICS
from app.powerbi import gold, tmdl
from app.powerbi import model as models
from app.powerbi.tmdl_reader import Node, TmdlError, column_of, parse

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DAX = re.compile(
    r"(?P<text>\"(?:[^\"]|\"\")*\")|(?:(?P<table>'(?:[^']|'')+'|\w+)\s*)?\[(?P<name>[^\]]+)\]|"
    r"(?P<quoted>'(?:[^']|'')+')|(?P<function>[A-Za-z][\w.]*)\s*\(|(?P<open>\()|(?P<close>\))"
)
_FUNCTIONS = frozenset(
    {"AVERAGE", "CALCULATE", "COUNT", "COUNTROWS", "DATESYTD", "DISTINCTCOUNT", "DIVIDE", "FALSE"}
    | {"FILTER", "KEEPFILTERS", "MAX", "MIN", "SUM", "TOTALYTD", "TRUE"}
)
_M_SOURCE = re.compile(
    r"let\n"
    r"\tSource = PostgreSQL\.Database\((?P<parameters>[\w, ]*)\),\n"
    r'\tData = Source\{\[Schema="(?P<schema>\w+)", Item="(?P<item>\w+)"\]\}\[Data\]\n'
    r"in\n"
    r"\tData"
)
_PARAMETER = re.compile(
    r'"(?P<value>(?:[^"]|"")*)" meta \[IsParameterQuery=true, Type="Text", '
    r"IsParameterQueryRequired=true\]"
)
Found = list[tuple[str, str]]


@dataclass(kw_only=True)
class Known:
    """What the model holds, as far as it could be read."""

    columns: dict[str, dict[str, str]] = field(default_factory=dict)  # table -> column -> type
    measures: dict[str, dict[str, str]] = field(default_factory=dict)  # table -> measure -> DAX
    parameters: dict[str, str] = field(default_factory=dict)  # name -> value
    modes: set[str] = field(default_factory=set)


def check(texts: Mapping[str, str], folder: str) -> tuple[Known, Found]:
    """Return what the model holds and what is wrong with it, as pairs of file and message."""
    roots: dict[str, list[Node]] = {}
    found: Found = []
    for path, text in texts.items():
        if path.startswith(f"{folder}/") and path.endswith(".tmdl"):
            try:
                roots[path] = parse(text)
            except TmdlError as error:
                found.append((path, f"line {error.line}: {error.message}"))
    model = _Model(folder, roots, set(texts))
    found += model.findings()
    return model.known, found


class _Model:
    def __init__(self, folder: str, roots: Mapping[str, list[Node]], paths: set[str]) -> None:
        self.folder = folder
        self.roots = roots
        self.paths = paths
        self.known = Known()
        self.tables = {
            node.name: (path, node)
            for path, nodes in roots.items()
            for node in nodes
            if node.keyword == "table"
        }
        for name, (_, table) in self.tables.items():
            self.known.columns[name] = {
                column.name: column.properties.get("dataType") or ""
                for column in table.all("column")
            }
            self.known.measures[name] = {
                measure.name: measure.expression for measure in table.all("measure")
            }

    def findings(self) -> Iterator[tuple[str, str]]:
        yield from self._files()
        yield from self._tags()
        yield from self._parameters()
        for name, (path, table) in self.tables.items():
            yield from ((path, message) for message in self._table(name, table))
        yield from self._metrics()
        yield from self._cycles()
        yield from self._relationships()
        yield from self._date_table()
        yield from self._modes()

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def _nodes(self, name: str, keyword: str) -> list[Node]:
        return [node for node in self.roots.get(self._path(name), ()) if node.keyword == keyword]

    def _files(self) -> Iterator[tuple[str, str]]:
        wanted = [
            "database.tmdl",
            "model.tmdl",
            "expressions.tmdl",
            "relationships.tmdl",
            f"roles/{tmdl.ROLE}.tmdl",
            *(f"tables/{name}.tmdl" for name in gold.tables()),
        ]
        for name in wanted:
            if self._path(name) not in self.paths:
                yield self._path(name), "is missing"
        for node in self._nodes("database.tmdl", "database"):
            level = node.properties.get("compatibilityLevel")
            if level != str(tmdl.COMPATIBILITY_LEVEL):
                yield (
                    self._path("database.tmdl"),
                    f"compatibilityLevel is {level}, not {tmdl.COMPATIBILITY_LEVEL}",
                )
        seen: set[str] = set()
        for path, nodes in self.roots.items():
            for node in nodes:
                if node.keyword == "table":
                    if node.name not in gold.tables():
                        yield path, f"table {node.name} is none of the gold tables"
                    if not path.endswith(f"/tables/{node.name}.tmdl"):
                        yield path, f"table {node.name} must stand in tables/{node.name}.tmdl"
                    if node.name.lower() in seen:
                        yield path, f"table {node.name} is there twice"
                    seen.add(node.name.lower())
        if self._path("model.tmdl") in self.roots:
            yield from self._references()
        yield from self._roles()

    def _references(self) -> Iterator[tuple[str, str]]:
        path = self._path("model.tmdl")
        if len(self._nodes("model.tmdl", "model")) != 1:
            yield path, "must hold one model"
        for node in self._nodes("model.tmdl", "model"):
            version = node.properties.get("defaultPowerBIDataSourceVersion")
            if version != "powerBI_V3":
                yield path, f"defaultPowerBIDataSourceVersion is {version}, not powerBI_V3"
            if "discourageImplicitMeasures" not in node.properties:
                yield path, "model must say discourageImplicitMeasures; measures add up"
        referred = [(node.of, node.name) for node in self._nodes("model.tmdl", "ref")]
        there = {("table", name) for name in self.tables} | {
            ("role", name) for name in self._role()
        }
        for kind, name in sorted(there - set(referred)):
            yield path, f"ref {kind} {name} is missing"
        for reference in referred:
            what = f"ref {reference[0]} {reference[1]}"
            if reference not in there:
                yield path, f"{what} refers to nothing"
            if referred.count(reference) > 1:
                yield path, f"{what} is there twice"

    def _role(self) -> dict[str, tuple[str, Node]]:
        return {
            node.name: (path, node)
            for path, nodes in self.roots.items()
            for node in nodes
            if node.keyword == "role"
        }

    def _roles(self) -> Iterator[tuple[str, str]]:
        for name, (path, node) in self._role().items():
            if not path.endswith(f"/roles/{name}.tmdl"):
                yield path, f"role {name} must stand in roles/{name}.tmdl"
            if node.properties.get("modelPermission") != "read":
                yield path, f"role {name} must have modelPermission: read"

    def _tags(self) -> Iterator[tuple[str, str]]:
        seen: dict[str, str] = {}
        for path, nodes in self.roots.items():
            for node in _walk(nodes):
                what = f"{node.keyword} {node.name}"
                if node.keyword == "relationship":
                    tag: str | None = node.name
                elif node.keyword in {"table", "column", "measure", "expression"}:
                    tag = node.properties.get("lineageTag")
                else:
                    continue
                if tag is None or not _UUID.fullmatch(tag):
                    yield path, f"{what}: the lineage tag {tag!r} is no UUID"
                elif tag in seen:
                    yield path, f"{what}: the lineage tag {tag} is that of {seen[tag]} too"
                else:
                    seen[tag] = what

    def _parameters(self) -> Iterator[tuple[str, str]]:
        path = self._path("expressions.tmdl")
        for node in self._nodes("expressions.tmdl", "expression"):
            found = _PARAMETER.fullmatch(node.expression)
            if found is None:
                yield path, f"expression {node.name} is no required text parameter"
                continue
            if node.name in self.known.parameters:
                yield path, f"expression {node.name} is there twice"
            value = found["value"].replace('""', '"').replace("#(#)(", "#(")
            self.known.parameters[node.name] = value
            if not value:
                yield path, f"expression {node.name} is empty"
        used = {
            name
            for _, table in self.tables.values()
            for partition in table.all("partition")
            for name in re.findall(
                r"\w+",
                (_M_SOURCE.fullmatch(partition.properties.get("source") or "") or {1: ""})[1],
            )
        }
        for name in self.known.parameters:
            if name not in used:
                yield path, f"expression {name} is used by no partition"

    def _table(self, name: str, table: Node) -> Iterator[str]:
        if not table.description:
            yield f"table {name} has no description"
        names: set[str] = set()
        for node in (*table.all("column"), *table.all("measure")):
            if node.name.lower() in names:
                yield f"{node.keyword} {node.name} is a name that {name} has already"
            names.add(node.name.lower())
            if not node.description:
                yield f"{node.keyword} {node.name} has no description"
        declared = gold.tables().get(name)
        if declared is not None:
            yield from self._columns(name, table, declared)
        for measure in table.all("measure"):
            yield from self._measure(measure, name)
        partitions = table.all("partition")
        if len(partitions) != 1:
            yield f"table {name} must have one partition, not {len(partitions)}"
        for partition in partitions:
            yield from self._partition(partition, name)

    def _columns(self, name: str, table: Node, declared: gold.Table) -> Iterator[str]:
        known = {column.name: column for column in declared.columns}
        there = {column.name for column in table.all("column")}
        for missing in sorted(known.keys() - there):
            yield f"column {missing} of gold.{name} is missing"
        for column in table.all("column"):
            source = column.properties.get("sourceColumn")
            if column.name not in known or source not in known:
                yield f"column {column.name}: gold.{name} has no column {source}"
                continue
            if source != column.name:
                yield f"column {column.name} reads another column, {source}"
            of = known[column.name]
            if (given := column.properties.get("dataType")) != models.TYPES[of.family]:
                yield (
                    f"column {column.name}: dataType {given} does not fit {of.type}, "
                    f"which is {models.TYPES[of.family]}"
                )
            if column.description != of.comment:
                yield f"column {column.name}: its description is not the database's comment"
            if ("isKey" in column.properties) != of.is_key:
                yield f"column {column.name}: isKey must be that of the primary key"
            if column.properties.get("summarizeBy") != "none":
                yield f"column {column.name}: summarizeBy must be none; measures add up"
            if given not in {"string", "boolean"} and not column.properties.get("formatString"):
                yield f"column {column.name} has no formatString"
            if of.name in models.HIDDEN and "isHidden" not in column.properties:
                yield f"column {column.name} must be hidden; it serves no analysis"
            wanted = models.SORTED_BY.get((name, column.name))
            sort = column.properties.get("sortByColumn")
            if wanted and sort is None:
                yield f"column {column.name} must be sorted by {wanted}"
            if sort is not None and sort not in there:
                yield f"column {column.name} is sorted by {sort}, which {name} has not"

    def _measure(self, measure: Node, home: str) -> Iterator[str]:
        if not measure.properties.get("formatString"):
            yield f"measure {measure.name} has no formatString"
        others = [
            table
            for table, measures in self.known.measures.items()
            if table != home and measure.name in measures
        ]
        if others:
            yield f"measure {measure.name} is in {others[0]} too"
        depth = 0
        for found in _DAX.finditer(measure.expression):
            depth += bool(found["open"] or found["function"]) - bool(found["close"])
            if found["function"] and found["function"].upper() not in _FUNCTIONS:
                yield f"measure {measure.name} calls {found['function']}, which is not known here"
            if found["quoted"] and found["quoted"].strip("'") not in self.known.columns:
                yield f"measure {measure.name} names the table {found['quoted']}, which is not there"
            if found["name"]:
                yield from self._reference(measure.name, found["table"], found["name"])
        if depth:
            yield f"measure {measure.name} has parentheses that do not match"

    def _reference(self, measure: str, table: str | None, name: str) -> Iterator[str]:
        if table is None:
            if not any(name in measures for measures in self.known.measures.values()):
                yield f"measure {measure} refers to [{name}], which is no measure"
            return
        table = table.strip("'")
        if table not in self.known.columns:
            yield f"measure {measure} names the table '{table}', which is not there"
        elif name not in self.known.columns[table] and name not in self.known.measures[table]:
            yield f"measure {measure} refers to '{table}'[{name}], which is not there"

    def _partition(self, partition: Node, table: str) -> Iterator[str]:
        mode = partition.properties.get("mode")
        if mode not in {"import", "directQuery"}:
            yield f"partition {partition.name}: mode {mode} is neither import nor directQuery"
        else:
            self.known.modes.add(mode)
        found = _M_SOURCE.fullmatch(partition.properties.get("source") or "")
        if partition.expression != "m" or found is None:
            yield f"partition {partition.name} is not M that reads a table of PostgreSQL"
            return
        if found["schema"] != gold.SCHEMA or found["item"] != table:
            yield (
                f"partition {partition.name} reads {found['schema']}.{found['item']}, "
                f"not {gold.SCHEMA}.{table}"
            )
        given = re.findall(r"\w+", found["parameters"])
        for name in given:
            if name not in self.known.parameters:
                yield f"partition {partition.name} uses the parameter {name}, which is not defined"
        for name in tmdl.PARAMETERS:
            if name not in given:
                yield f"partition {partition.name} does not use the parameter {name}"

    def _metrics(self) -> Iterator[tuple[str, str]]:
        path = self._path(f"tables/{models.MEASURES_HOME}.tmdl")
        if path not in self.roots:
            return
        there = self.known.measures.get(models.MEASURES_HOME, {})
        for metric in METRICS:
            if metric.title not in there:
                yield path, f"measure {metric.title} of the catalogue is missing"
            elif there[metric.title] != metric.dax:
                yield path, f"measure {metric.title} is not the DAX of the catalogue"
        for name in there.keys() - {metric.title for metric in METRICS}:
            yield path, f"measure {name} is not in the catalogue"

    def _cycles(self) -> Iterator[tuple[str, str]]:
        graph = {
            name: {
                found["name"]
                for found in _DAX.finditer(dax)
                if found["name"] and found["table"] is None
            }
            for measures in self.known.measures.values()
            for name, dax in measures.items()
        }
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            yield (
                self._path(f"tables/{models.MEASURES_HOME}.tmdl"),
                f"measures refer to each other in a circle: {' → '.join(error.args[1])}",
            )

    def _relationships(self) -> Iterator[tuple[str, str]]:
        path = self._path("relationships.tmdl")
        if path not in self.roots:
            return
        foreign = {
            ((key.table, key.column), (key.to_table, key.to_column)) for key in gold.foreign_keys()
        }
        ends: list[tuple[tuple[str, str], tuple[str, str]]] = []
        for node in self._nodes("relationships.tmdl", "relationship"):
            pair = []
            for side in ("fromColumn", "toColumn"):
                try:
                    table, column = column_of(node.properties.get(side) or "")
                except ValueError:
                    yield path, f"relationship {node.name}: {side} is no column"
                    break
                if column not in self.known.columns.get(table, {}):
                    yield (
                        path,
                        f"relationship {node.name}: {side} {table}.{column} is not in the model",
                    )
                    break
                pair.append((table, column))
            else:
                yield from ((path, message) for message in self._join(node, pair, foreign))
                ends.append((pair[0], pair[1]))
        for one, other in dict.fromkeys(ends):
            if ends.count((one, other)) > 1:
                yield (
                    path,
                    f"the relationship of {'.'.join(one)} to {'.'.join(other)} is there twice",
                )
        for one, other in sorted(foreign - set(ends)):
            yield path, f"the relationship of {'.'.join(one)} to {'.'.join(other)} is missing"

    def _join(
        self,
        node: Node,
        pair: list[tuple[str, str]],
        foreign: set[tuple[tuple[str, str], tuple[str, str]]],
    ) -> Iterator[str]:
        (table, column), (to_table, to_column) = pair
        what = f"relationship {node.name} of {table}.{column} to {to_table}.{to_column}"
        if self.known.columns[table][column] != self.known.columns[to_table][to_column]:
            yield f"{what} joins columns of different types"
        if to_table in gold.tables() and gold.tables()[to_table].key != to_column:
            yield f"{what} does not lead to the key of {to_table}"
        if node.properties.get("crossFilteringBehavior", "oneDirection") != "oneDirection":
            yield f"{what} filters both ways"
        if node.properties.get("isActive", "true") != "true":
            yield f"{what} is not active"
        relies = "relyOnReferentialIntegrity" in node.properties
        is_foreign = (pair[0], pair[1]) in foreign
        if relies and not is_foreign:
            yield f"{what} relies on referential integrity that no foreign key keeps"
        if self.known.modes == {"directQuery"} and is_foreign and not relies:
            yield f"{what} should rely on referential integrity in DirectQuery"

    def _date_table(self) -> Iterator[tuple[str, str]]:
        if models.DATE_TABLE not in self.tables:
            return
        path, table = self.tables[models.DATE_TABLE]
        if table.properties.get("dataCategory") != "Time":
            yield path, f"table {table.name} is not marked as date table: dataCategory: Time"
        key = next((one for one in table.all("column") if one.name == models.DATE_KEY), None)
        if key is not None and "isKey" not in key.properties:
            yield path, f"column {key.name} of the date table must have isKey"
        relationships = self._path("relationships.tmdl")
        if relationships in self.roots and not any(
            node.properties.get("toColumn") == f"{models.DATE_TABLE}.{models.DATE_KEY}"
            for node in self._nodes("relationships.tmdl", "relationship")
        ):
            yield relationships, f"the date table {models.DATE_TABLE} is related to nothing"

    def _modes(self) -> Iterator[tuple[str, str]]:
        if len(self.known.modes) > 1:
            for name, (path, table) in self.tables.items():
                for partition in table.all("partition"):
                    yield (
                        path,
                        f"partition {name} is {partition.properties.get('mode')}, others are not",
                    )


def _walk(nodes: list[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _walk(node.children)
