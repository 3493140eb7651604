"""The run-anywhere certificate: one file, several simulators, every symbol at every time."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import libsbml
import numpy as np

from cascade.certify import _compare
from cascade.certify._child import Outcome, run_engine
from cascade.certify._subject import Subject, compared, findings_of, lacking, length_of, subject_of
from cascade.certify.certificate import Apart, Certificate, EngineRun, Verdict
from cascade.errors import ValueSettingError, unknown_name
from cascade.specs import Issue, Model

__all__ = ["ENGINES", "Apart", "Certificate", "EngineRun", "certify"]

ENGINES: Mapping[str, str] = {
    "roadrunner": "libRoadRunner",
    "copasi": "COPASI",
    "scipy": "SciPy",
    "amici": "AMICI",
    "cascade": "cascade.simulate",
}
"""The engines by id."""

_WORKS_ON = {"scipy": "on an own reading of the SBML", "cascade": "of the model"}
"""What an engine solves, if that is not the file as it reads it itself."""

USUAL_ENGINES = ("roadrunner", "copasi", "scipy")

TIME_LIMIT = 1800.0
"""Seconds that one engine may take: libRoadRunner needs minutes to load a composition, which it writes out."""


def certify(
    source: Model | str | Path,
    *,
    file: str | Path | None = None,
    end: float | None = None,
    points: int = 201,
    engines: Sequence[str] | None = None,
    amici: str | Path | None = None,
    tolerance: float = 1e-4,
    relative_tolerance: float = 1e-10,
    absolute_tolerance: float = 1e-18,
    time_limit: float = TIME_LIMIT,
    out: str | Path | None = None,
) -> Certificate:
    """Run one SBML file in several simulators and compare every symbol at every output time.

    Species, and every compartment and parameter that a rule or an event changes, are compared in the meaning that their
    id has in formulas.

    Parameters
    ----------
    source : Model, str or Path
        A model, of which the flat SBML is run; or the path of an SBML file, which is opened by `open_sbml`.
    file : str or Path, optional
        A file that claims to be the model `source`: it is run instead, and compared with the model's own simulation.
    end : float, optional
        Length of the run, in the time unit of the file; by default that of the composition, else 25 years.
    points : int
        Rows, evenly spaced from 0 to `end`.
    engines : sequence of str, optional
        Out of `roadrunner`, `copasi`, `scipy`, `amici`; by default the first three, and AMICI if it is installed. All
        of them must give a result. The simulation of a given model always takes part.
    amici : str or Path, optional
        Interpreter of another environment that has AMICI. AMICI compiles C++: seconds for a module, hours for a
        composition of many.
    tolerance : float
        Largest relative deviation that counts as agreement.
    relative_tolerance, absolute_tolerance : float
        Of every engine.
    time_limit : float
        Seconds that each engine may take.
    out : str or Path, optional
        Folder for `certificate.json`, `certificate.html` and the file that was run.

    Returns
    -------
    Certificate

    Raises
    ------
    SBMLError
        If the file is malformed or unsafe.
    ValueSettingError, UnknownNameError
        If a setting cannot be used.

    Notes
    -----
    Takes seconds for a module, and minutes for a composition: each engine runs in a process of its own.
    """
    settings = _Settings(
        points=points, tolerance=tolerance, relative=relative_tolerance, absolute=absolute_tolerance, limit=time_limit
    )
    chosen = _engines(engines, amici)
    subject = subject_of(source, file)
    length = length_of(subject, end)
    findings = findings_of(subject)
    outcomes, names = _run(subject, chosen, settings, length, None if amici is None else str(amici))
    certificate = _judged(subject, outcomes, names, settings, length, findings)
    if out is not None:
        from cascade.certify.page import write_certificate

        write_certificate(out, certificate, subject.text)
    return certificate


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """The numbers of a request, checked."""

    points: int
    tolerance: float
    relative: float
    absolute: float
    limit: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise ValueSettingError(f"{name} is {value!r}; give a finite number above 0")
        if not (isinstance(self.points, int) and 2 <= self.points <= 100_000):
            raise ValueSettingError(f"points is {self.points!r}; give a whole number from 2 to 100000")


def _engines(asked: Sequence[str] | None, amici: str | Path | None) -> tuple[str, ...]:
    if asked is None:
        found = (*USUAL_ENGINES, *(("amici",) if amici is not None or _amici_here() else ()))
    elif isinstance(asked, str) or not asked:
        raise ValueSettingError(f"engines is {asked!r}; give a list of names, such as ['roadrunner', 'copasi']")
    else:
        found = tuple(dict.fromkeys(asked))
    for name in found:
        if name not in ENGINES or name == "cascade":
            raise unknown_name("engine", name, [each for each in ENGINES if each != "cascade"], "certify")
    if amici is not None and not Path(amici).is_file():
        raise ValueSettingError(f"amici is {str(amici)!r}, which is no file; give the Python of an environment with it")
    return found


def _amici_here() -> bool:
    """Tell whether AMICI is installed here; a folder that happens to have its name is not it."""
    spec = find_spec("amici")
    return spec is not None and spec.origin is not None


def _run(
    subject: Subject, engines: tuple[str, ...], settings: _Settings, end: float, amici: str | None
) -> tuple[dict[str, Outcome], list[str]]:
    names = compared(subject)
    if not names:
        raise ValueSettingError(f"{subject.name}: nothing in this model changes, so there is nothing to compare")
    with tempfile.TemporaryDirectory(prefix="cascade_certify_") as place:
        path = Path(place) / "model.xml"
        path.write_text(subject.text, encoding="utf-8")
        ask: dict[str, Any] = {
            "file": str(path),
            "end": end,
            "points": settings.points,
            "names": names,
            "relative_tolerance": settings.relative,
            "absolute_tolerance": settings.absolute,
        }
        if subject.model is not None:
            own = Path(place) / "own.xml"
            own.write_text(subject.model.flat, encoding="utf-8")
            ask["model"] = str(own)
            engines = (*engines, "cascade")
        found = {engine: run_engine(engine, ask, settings.limit, amici) for engine in engines}
    return found, [name for name, _ in names]


def _judged(
    subject: Subject,
    outcomes: Mapping[str, Outcome],
    names: list[str],
    settings: _Settings,
    end: float,
    findings: tuple[Issue, ...],
) -> Certificate:
    values = {engine: each.answer.values for engine, each in outcomes.items() if each.answer is not None}
    times = np.linspace(0.0, end, settings.points)
    pairs: tuple[Apart, ...] = ()
    skipped = {"cascade": lacking(subject, names)}
    answer = outcomes["scipy"].answer if "scipy" in outcomes else None
    floor = np.zeros((len(times), len(names)))
    if values:
        resolution = None if answer is None else answer.resolution
        floor = _compare.floors(values, resolution, settings.tolerance, settings.absolute)
    pairs, deviations = _compare.compare(values, skipped, names, times, floor)
    deviations.attrs |= _environment()
    model = libsbml.readSBMLFromString(subject.text).getModel()
    return Certificate(
        name=subject.name,
        verdict=_verdict(outcomes, pairs, settings.tolerance, findings),
        sha256=sha256(subject.text.encode()).hexdigest(),
        end=end,
        points=settings.points,
        time_unit=model.getTimeUnits() or "units of time",
        tolerance=settings.tolerance,
        engines=tuple(_engine_run(engine, outcome) for engine, outcome in outcomes.items()),
        pairs=pairs,
        deviations=deviations,
        findings=findings,
        outlier=_compare.outlier(pairs, settings.tolerance),
    )


def _engine_run(engine: str, outcome: Outcome) -> EngineRun:
    answer = outcome.answer
    return EngineRun(
        engine=engine,
        name=ENGINES[engine],
        version=answer.version if answer else "",
        works_on=_WORKS_ON.get(engine, ""),
        status=outcome.status,
        seconds=round(outcome.seconds, 3),
        options=answer.options if answer else {},
    )


def _verdict(
    outcomes: Mapping[str, Outcome], pairs: tuple[Apart, ...], tolerance: float, findings: tuple[Issue, ...]
) -> Verdict:
    if any(not pair.largest <= tolerance for pair in pairs):
        return "disagrees"
    if any(outcome.answer is None for outcome in outcomes.values()) or not pairs:
        return "incomplete"
    return "findings" if any(issue.severity == "error" for issue in findings) else "agrees"


def _environment() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0], "platform": platform.platform(terse=True), "numpy": np.__version__}
    found["libsbml"] = libsbml.getLibSBMLDottedVersion()
    try:
        found["cascade"] = version("metastatic-cascade")
    except PackageNotFoundError:
        found["cascade"] = "unknown"
    return found
