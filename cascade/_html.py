"""Compact HTML views for Jupyter: what is in it, wiring, units, where the numbers come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cascade.specs import Composition, Model, Module, Parameter, Report

_STYLE = (
    "<style>.cascade{font-size:13px;line-height:1.4}.cascade table{border-collapse:collapse;margin:4px 0}"
    ".cascade td,.cascade th{text-align:left;padding:2px 10px 2px 0;border-bottom:1px solid #ddd;font-weight:normal}"
    ".cascade th{color:#666}.cascade summary{cursor:pointer;color:#1f4e79}.cascade .note{color:#666}</style>"
)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _fold(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _page(title: str, note: str, *parts: str) -> str:
    return f'{_STYLE}<div class="cascade"><b>{escape(title)}</b> <span class="note">{escape(note)}</span>' + (
        "".join(parts) + "</div>"
    )


def _evidence(parameters: Sequence[Parameter]) -> str:
    kinds = Counter(row.evidence for row in parameters)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())


def _numbers(parameters: Sequence[Parameter], most: int = 200) -> str:
    rows = [
        (r.id, f"{r.nominal:.4g}", r.unit, r.evidence, "; ".join(r.source), r.conversion or r.note)
        for r in parameters[:most]
    ]
    rest = f"<div class='note'>... and {len(parameters) - most} more</div>" if len(parameters) > most else ""
    return _table(("id", "value", "unit", "evidence", "source", "how"), rows) + rest


def _instances(instances: Mapping[str, str]) -> str:
    modules = dict.fromkeys(instances.values())
    rows = [(module, ", ".join(name for name, found in instances.items() if found == module)) for module in modules]
    return _table(("module", "instances"), rows)


def module_html(module: Module) -> str:
    """View of a module: ports with direction and unit, numbers with source."""
    ports = _table(
        ("port", "direction", "unit", "meaning"), [(p.id, p.direction, p.unit, p.name) for p in module.ports]
    )
    return _page(
        f"Module {module.name}",
        f"{len(module.ports)} ports, {len(module.parameters)} numbers: {_evidence(module.parameters)}",
        ports,
        _fold("numbers and where they come from", _numbers(module.parameters)),
    )


def composition_html(composition: Composition) -> str:
    """View of a composition: instances, joins, own values."""
    instances = _instances({name: module.name for name, module in composition.instances.items()})
    joins = _table(("input", "driven by"), [(join.reader, join.formula) for join in composition.joins])
    own = [*composition.parameters, *composition.group_values.values(), *composition.overrides.values()]
    return _page(
        f"Composition {composition.name}",
        composition.title,
        instances,
        _fold(f"wiring: {len(composition.joins)} joins", joins),
        _fold(f"values of its own: {_evidence(own)}", _numbers(own)),
    )


def model_html(model: Model) -> str:
    """View of a model: instances, wiring with units, interventions, numbers with source."""
    instances = _instances(model.instances)
    wires = _table(("input", "driven by", "unit"), [(w.reader, w.formula, w.unit) for w in model.wiring])
    therapy = [(i.label or i.target, i.target, f"x {i.factor:g}", i.start, i.stop or "") for i in model.interventions]
    parts = [instances, _fold(f"wiring: {len(model.wiring)} inputs", wires)]
    if therapy:
        parts.append(_table(("intervention", "target", "effect", "from day", "to day"), therapy))
    parts.append(_fold("numbers and where they come from", _numbers(model.parameters)))
    uncertain = sum(row.estimate for row in model.parameters)
    note = f"{len(model.parameters)} numbers, {uncertain} uncertain: {_evidence(model.parameters)}; {model.hash[:12]}"
    return _page(f"Model {model.name}", note, *parts)


def report_html(report: Report) -> str:
    """View of a check: grades and findings."""
    grades = _table(("grade", "share"), [(name, f"{share:.0%}") for name, share in report.grades.items()])
    found = _table(
        ("severity", "where", "what", "what to do"), [(i.severity, i.where, i.what, i.fix) for i in report.issues]
    )
    return _page(f"Check of {report.name}", "passed" if report.ok else "failed", grades, found if report.issues else "")
