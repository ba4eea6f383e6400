"""The dashboard for Grafana, and the alerts in the docs, ask for what the Prometheus observer exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from holdfast.metrics.observer import OPERATIONS, OUTCOMES
from holdfast.metrics.prometheus import PrometheusObserver

DASHBOARD = json.loads((files("holdfast.contrib") / "grafana/dashboard.json").read_text("utf-8"))
DOCS = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "observability.md"

#: The labels that Prometheus itself adds to what it collects.
TARGET_LABELS = {"job", "instance"}


def exported() -> dict[str, dict[str, set[str]]]:
    """Return each exported series, and the values of each of its labels."""
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry)
    for operation in OPERATIONS:
        for outcome in OUTCOMES:
            observer.timed(operation, 0.001, outcome)
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def dashboard_queries() -> list[str]:
    """Return every query of the dashboard, with a span in place of Grafana's variable."""
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [query.replace("$__rate_interval", "5m") for query in queries]


def documented_alerts() -> list[str]:
    """Return the expressions of the table of alerts."""
    table = DOCS.read_text("utf-8").partition("| in Prometheus |")[2]
    return [query.replace("\\|", "|") for query in re.findall(r"\| `([^`]+)` \|$", table, re.MULTILINE)]


def nodes_of(query: str) -> list[Any]:
    """Return every part of *query*, which must be valid PromQL."""
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(query), pre_visit=found.append)
    return found


def selectors_of(query: str) -> Iterator[Any]:
    """Yield the selectors of series in *query*."""
    for node in nodes_of(query):
        if isinstance(node, promql_parser.MatrixSelector):
            yield node.vector_selector
        elif isinstance(node, promql_parser.VectorSelector):
            yield node


@pytest.mark.parametrize("query", [*dashboard_queries(), *documented_alerts()])
def test_every_query_asks_for_what_is_exported(query: str) -> None:
    """A query is valid PromQL, and each series, label and value of a label in it is one that the observer exports."""
    series = exported()
    grouped = [
        label
        for node in nodes_of(query)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None
        for label in node.modifier.labels
    ]
    names = set[str]()
    for selector in selectors_of(query):
        labels = series[selector.name]
        names |= labels.keys()
        for matcher in selector.matchers.matchers:
            if matcher.name not in TARGET_LABELS:
                assert all(value in labels[matcher.name] for value in matcher.value.split("|"))
    assert names >= set(grouped)


def labels_of(node: Any) -> set[str] | None:
    """Return the labels that the samples of *node* have, besides those of the target; None for a number."""
    if isinstance(node, promql_parser.AggregateExpr):
        return set(node.modifier.labels) if node.modifier is not None else set()
    if isinstance(node, promql_parser.VectorSelector):
        return set(exported()[str(node.name)])
    if isinstance(node, promql_parser.MatrixSelector):
        return labels_of(node.vector_selector)
    if isinstance(node, promql_parser.Call):
        kept = labels_of(node.args[-1]) or set()
        return kept - {"le"} if node.func.name == "histogram_quantile" else kept
    if isinstance(node, promql_parser.BinaryExpr):
        left = labels_of(node.lhs)
        return labels_of(node.rhs) if left is None else left
    assert isinstance(node, promql_parser.NumberLiteral), node
    return None


@pytest.mark.parametrize("query", [*dashboard_queries(), *documented_alerts()])
def test_both_sides_of_an_operation_have_the_same_labels(query: str) -> None:
    """Prometheus pairs samples whose labels are equal: a condition on two sides with other labels is never met."""
    for node in nodes_of(query):
        if isinstance(node, promql_parser.BinaryExpr):
            sides = [labels for labels in map(labels_of, (node.lhs, node.rhs)) if labels is not None]
            assert all(labels == sides[0] for labels in sides)


def test_every_counter_and_the_histogram_are_on_the_dashboard() -> None:
    """Each event and each part of the histogram is in some panel."""
    shown = {selector.name for query in dashboard_queries() for selector in selectors_of(query)}
    assert shown == {name for name in exported() if not name.endswith("_created") or name == "holdfast_created_total"}


def test_the_alerts_are_found() -> None:
    """The docs have as many alerts as rows, so that none is passed over here."""
    assert len(documented_alerts()) >= 7


def test_legends_name_labels_of_their_queries() -> None:
    """A legend's ``{{label}}`` is a label that its query keeps."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            kept = re.findall(r"by \(([^)]*)\)", target["expr"])
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert any(label in names.split(", ") for names in kept), target


def test_the_dashboard_fits_grafana() -> None:
    """It has an id, panels that do not overlap, and asks the data source and the job that its reader chooses."""
    assert DASHBOARD["uid"] == "holdfast-sessions"
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "job"]
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells
        taken |= cells
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert 'job=~"$job"' in target["expr"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
