"""The certificate as a file for programs and as a page for people."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade import _html
from cascade._files import make_folder, write_text
from cascade._style import COLORS, GREY, clean, embed, new_figure, render
from cascade.certify.certificate import Apart, Certificate, EngineRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRAWN = 15
_LEAST = 1e-16
"""What is drawn for no deviation at all: a logarithmic axis has no zero."""


def write_certificate(folder: str | Path, certificate: Certificate, text: str) -> Path:
    """Write `certificate.json`, `certificate.html` and the file that was run; the folder is made if need be.

    Parameters
    ----------
    text : str
        The SBML text that was run; written as `<name>.xml`.

    Returns
    -------
    Path
        The page; it needs no network and no other file.
    """
    folder = make_folder(folder)
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in certificate.name) or "model"
    write_text(folder / f"{name}.xml", text)
    data = json.dumps(certificate.to_json(), indent=2, allow_nan=False) + "\n"
    write_text(folder / "certificate.json", data)
    return write_text(folder / "certificate.html", render("certificate.html.j2", _context(certificate)))


def _context(certificate: Certificate) -> dict[str, Any]:
    return {
        "title": f"Certificate of {certificate.name}: {certificate.verdict}",
        "sentences": certificate.sentences(),
        "engines": [
            {
                "name": _called(run),
                "version": run.version,
                "status": run.status,
                "ok": run.ok,
                "seconds": run.seconds,
                "options": ", ".join(f"{key} {value}" for key, value in run.options.items()),
            }
            for run in certificate.engines
        ],
        "symbols": certificate.deviations.sizes["symbol"],
        "points": certificate.points,
        "end": f"{certificate.end:g}",
        "time_unit": certificate.time_unit,
        "measure": certificate.deviations.attrs["measure"],
        "tolerance": f"{certificate.tolerance:g}",
        "pairs": [_pair(pair, certificate.tolerance) for pair in certificate.pairs],
        "figure": _figure(certificate),
        "findings": certificate.findings,
        "sha256": certificate.sha256,
        "environment": [(k, v) for k, v in certificate.deviations.attrs.items() if k != "measure"],
    }


def _called(run: EngineRun) -> str:
    return f"{run.name} {run.works_on}".strip()  # the version has a column of its own


def _pair(pair: Apart, tolerance: float) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "largest": f"{pair.largest:.2g}",
        "accepted": pair.largest <= tolerance,
        "symbol": pair.symbol,
        "time": f"{pair.time:.6g}",
        "first_value": f"{pair.values[0]:.9g}",
        "second_value": f"{pair.values[1]:.9g}",
    }


def _figure(certificate: Certificate) -> str:
    """Draw the deviation over time and by symbol; return the picture, or nothing if nothing was compared."""
    if not certificate.pairs:
        return ""
    figure = new_figure(12.6, 4.2)
    left, right = figure.subplots(1, 2)
    _draw_times(left, certificate)
    _draw_symbols(right, certificate)
    return embed(figure)


def _draw_times(axis: Axes, certificate: Certificate) -> None:
    found = certificate.deviations["by_time"]
    for place, pair in enumerate(found["pair"].values):
        shown = np.clip(found.values[place], _LEAST, 1e6)
        axis.plot(found["time"].values, shown, color=COLORS[place % len(COLORS)], linewidth=1.3, label=str(pair))
    axis.axhline(certificate.tolerance, color=GREY, linestyle="--", linewidth=1)
    axis.set_yscale("log")
    axis.set_xlabel(f"time ({certificate.time_unit})", fontsize=9)
    axis.set_ylabel("largest relative deviation", fontsize=9)
    axis.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    clean(axis)


def _draw_symbols(axis: Axes, certificate: Certificate) -> None:
    largest = certificate.deviations["by_symbol"].max("pair")
    order = np.argsort(-largest.values, kind="stable")[:_DRAWN][::-1]
    axis.barh(range(len(order)), np.clip(largest.values[order], _LEAST, 1e6), color=COLORS[0], height=0.7)
    axis.set_yticks(range(len(order)), [str(name) for name in largest["symbol"].values[order]])
    axis.axvline(certificate.tolerance, color=GREY, linestyle="--", linewidth=1)
    axis.set_xscale("log")
    axis.set_xlabel("largest relative deviation", fontsize=9)
    clean(axis, grid="x")
    axis.tick_params(axis="y", labelsize=7.5)


def certificate_html(certificate: Certificate) -> str:
    """View of a certificate in Jupyter: the verdict, the simulators, the pairs, the findings."""
    runs = [(_called(run), run.version, run.status, f"{run.seconds:.1f} s") for run in certificate.engines]
    pairs = [
        (f"{pair.first} and {pair.second}", f"{pair.largest:.2g}", pair.symbol, f"{pair.time:.6g}")
        for pair in certificate.pairs
    ]
    parts = ["".join(f"<div>{escape(sentence)}</div>" for sentence in certificate.sentences())]
    parts.append(_html._table(("simulator", "version", "result", "time"), runs))
    parts.append(_html._table(("two simulators", "largest deviation", "symbol", "at"), pairs))
    if certificate.findings:
        found = [(issue.severity, issue.where, issue.what, issue.fix) for issue in certificate.findings]
        parts.append(_html._table(("severity", "where", "what", "what to do"), found))
    return _html._page(f"Certificate of {certificate.name}", certificate.verdict, *parts)
