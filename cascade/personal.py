"""The page of one patient: the risk, what would change it, how sure that is, and what to measure next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade import _patient_words as words
from cascade import plot_personal
from cascade._files import make_folder, write_dataset, write_text
from cascade._next_tests import idle_tests, next_test, tests
from cascade._style import embed, new_figure, render
from cascade._words import percent
from cascade.outlook import only_patient, patient_outlook
from cascade.specs import Model
from cascade.therapy.regimens import Regimen

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def patient_report(
    model: Model,
    patient: xr.Dataset,
    *,
    folder: str | Path,
    drugs: Sequence[str | Regimen] = (),
    targets: Sequence[str] = (),
    command: str = "",
    **options: Any,
) -> Path:
    """Write a page about one patient, one sheet in print: `report.html`, `outlook.nc`, `figures/*.png` in a folder.

    Parameters
    ----------
    model : Model
    patient : xarray.Dataset
        A cohort of one: `cohort.sel(patient="P7")`, of `cascade.read_patients` or `cascade.sample_cohort`.
    folder : str or Path
        Made if it does not exist; files of these names are replaced.
    drugs, targets : sequence
        What might be given; at least one.
    command : str
        What made the page; printed so that a reader can repeat it.
    **options
        Of `cascade.patient_outlook`: draws, window, years, seed, workers, ...

    Returns
    -------
    Path
        The page. It needs no network and no other file.
    """
    one = only_patient(patient)
    outlook = patient_outlook(model, one, drugs=drugs, targets=targets, **options)
    return write_patient(folder, one, outlook, command)


def write_patient(folder: str | Path, patient: xr.Dataset, outlook: xr.Dataset, command: str) -> Path:
    """Write the page of a patient from what `cascade.patient_outlook` found; see `patient_report`."""
    folder = make_folder(folder)
    make_folder(folder / "figures")
    write_dataset(folder / "outlook.nc", outlook)
    figures = {name: embed(figure, folder / "figures" / f"{name}.png") for name, figure in _figures(outlook).items()}
    attrs = outlook.attrs
    context = {
        "title": f"Patient {attrs['patient']} in {attrs['model']}",
        "subtitle": f"Simulated {attrs['draws']} times with other values of the {attrs['redrawn']} numbers of which"
        " nothing is known for this patient.",
        "verdict": words.verdict(outlook),
        "warnings": words.warnings(outlook),
        "known": words.known(patient, attrs),
        "missing": words.missing(patient, attrs),
        "risks": words.risks(outlook),
        "assumed": words.assumed(attrs),
        "organs": words.organs(outlook),
        "given": f"Given {attrs['window_meaning'] or attrs['window']}; a target is blocked by"
        f" {percent(float(attrs['fraction']))} for all of that time, a drug as its regimen says.",
        "year": attrs["sorted_year"],
        "effects": words.effects(outlook),
        "helpless": percent(float(attrs["p_none"])),
        "next": next_test(outlook),
        "tests": tests(outlook),
        "idle_tests": idle_tests(outlook),
        "limits": _LIMITS,
        "figures": figures,
        "command": command or "cascade.patient_report(...)",
        "provenance": [(key, str(attrs[key])) for key in _PROVENANCE if key in attrs],
    }
    return write_text(folder / "report.html", render("patient.html.j2", context))


_PROVENANCE = (
    "model", "model_sha256", "patient", "seed", "draws", "effective_draws", "years", "window", "cascade_version",
    "roadrunner_version", "libsbml_version", "solver", "relative_tolerance", "absolute_tolerance",
)  # fmt: skip

_LIMITS = (
    "This is a research model, not for treatment decisions. The ranges hold what is not known of this patient's"
    " numbers; they do not hold what the model leaves out or has wrong, and the chance of one patient cannot be"
    " checked on that patient. Drugs have no toxicity here, no dose is missed, and a drug does what its table says"
    " and nothing else. Risks are of overt distant metastasis after surgery, in a patient who dies of nothing"
    " else. Numbers that a genotype sets are taken as exact, and numbers are drawn as if they were independent."
)


def _figures(outlook: xr.Dataset) -> dict[str, Figure]:
    found = {"risk": new_figure(6.4, 4.0), "reductions": new_figure(6.4, 1.2 + 0.38 * outlook.sizes["target"])}
    plot_personal.risk_course(outlook, found["risk"].subplots())
    plot_personal.reductions(outlook, found["reductions"].subplots())
    if outlook.sizes["test"]:
        found["tests"] = new_figure(6.4, 1.2 + 0.32 * outlook.sizes["test"])
        plot_personal.tests(outlook, found["tests"].subplots())
    return found
