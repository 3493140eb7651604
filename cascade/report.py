"""The report: one self-contained HTML page, the ranking as tables, and the figures as files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade import plot, plot_cascade, plot_ranking, plot_synergy, plot_waterfall, verdict
from cascade._files import make_folder, safe_cell, write_dataset, write_text, written
from cascade._report_people import people_context, people_figures
from cascade._style import embed, new_figure, render
from cascade._words import percent
from cascade.errors import AnalysisError
from cascade.readouts import readout
from cascade.wiring import draw_wiring

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from cascade.specs import Model

DRAWN = 30
"""Targets in the forest plot of the report; the table holds all."""

_PANELS = (
    (("primary_tumor__n_tumor", "endpoints__n_burden"), 12.0),
    (("endpoints__p_ctc_positive", "endpoints__p_dtc_positive"), None),
    (("endpoints__p_overt",), None),
    (("emt__a_emt", "hypoxia_vegf__a_hif", "pdl1_immune__a_pd1"), None),
)
"""What the report shows of the untreated patient, if the model has it; decades of a logarithmic scale, or None."""

_CLINIC = ("h_since_surgery", "h_cumulative", "f_lethal", "p_ctc_positive", "p_overt")
"""Variables of `endpoints` that the figure of the clinical course needs, beside those of the organs."""


def write_report(
    folder: str | Path,
    model: Model,
    ranking: xr.Dataset,
    untreated: xr.Dataset,
    command: str,
    *,
    stages: xr.Dataset | None = None,
    pairs: xr.Dataset | None = None,
) -> Path:
    """Write `report.html`, `ranking.csv`, `ranking.nc` and `figures/*.png` into a folder.

    Parameters
    ----------
    folder : str or Path
        Made if it does not exist; files of these names are replaced.
    model : Model
        The untreated model.
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`.
    untreated : xarray.Dataset
        One run of the model, with all variables.
    command : str
        What made the ranking; printed so that a reader can repeat it.
    stages : xarray.Dataset, optional
        Result of `cascade.waterfall` for leading targets: why they work.
    pairs : xarray.Dataset, optional
        Result of `cascade.combine_targets` for leading targets.

    Returns
    -------
    Path
        The page. It needs no network and no other file.
    """
    folder = Path(folder)
    make_folder(folder / "figures")
    _write_table(folder / "ranking.csv", ranking)
    write_dataset(folder / "ranking.nc", ranking)
    figures = {
        name: embed(figure, folder / "figures" / f"{name}.png")
        for name, figure in (_figures(model, ranking, untreated) | _more_figures(stages, pairs)).items()
    }
    context = _context(model, ranking, untreated, command) | {"figures": figures}
    return write_text(folder / "report.html", render("report.html.j2", context))


def _write_table(path: Path, ranking: xr.Dataset) -> None:
    """Write one row per window and target, the main window first."""
    texts = [str(name) for name, c in ranking.coords.items() if c.dims == ("target",) and name != "target"]
    numbers = [
        str(n) for n, v in ranking.data_vars.items() if "target" in v.dims and set(v.dims) <= {"target", "window"}
    ]
    texts += [name for name in numbers if ranking[name].dtype.kind not in "fiu"]
    numbers = [name for name in numbers if name not in texts]
    main = str(ranking.attrs["window"])
    windows = [main, *(str(w) for w in ranking["window"].values if w != main)]
    with written(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["window", "target", *texts, *numbers])
        for window in windows:
            table = ranking.sel(window=window)
            for index, target in enumerate(ranking["target"].values):
                row = table.isel(target=index)
                cells: list[object] = [window, str(target), *(str(row[name].item()) for name in texts)]
                cells += [float(row[name]) for name in numbers]
                writer.writerow([safe_cell(cell) for cell in cells])


def _figures(model: Model, ranking: xr.Dataset, untreated: xr.Dataset) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    if ranking["rank"].sel(window=ranking.attrs["window"]).notnull().any():
        figures["forest"] = _draw_forest(ranking)
        figures |= _ranking_figures(ranking) | people_figures(ranking)
    if "mu_star" in ranking and ranking["mu_star"].notnull().any():
        figures["morris"] = new_figure(8.6, 6.2)
        plot.morris(ranking, figures["morris"].subplots(), top=20)
    figures["untreated"] = _draw_untreated(untreated)
    if _has_clinic(untreated):
        figures["clinic"] = _draw_clinic(untreated)
    if len(model.instances) > 1:
        figures["wiring"] = new_figure(13, 5.6)
        draw_wiring(model, figures["wiring"].subplots())
    return figures


def _ranking_figures(ranking: xr.Dataset) -> dict[str, Figure]:
    """When, where and how much: what a ranking tells beside the order."""
    figures = {"settling": new_figure(9, 3.6)}
    plot_ranking.settling(ranking, figures["settling"].subplots())
    shown = min(plot_ranking.SHOWN, ranking.sizes["target"])
    height = 1.4 + 0.27 * shown
    if ranking.sizes["window"] > 1:
        figures["windows"] = new_figure(9, height)
        plot_ranking.windows(ranking, figures["windows"].subplots())
    if "organ_effect" in ranking:
        figures["organs"] = new_figure(9, height)
        plot_ranking.organs(ranking, figures["organs"].subplots())
    if "dose_effect" in ranking and (ranking.sizes["fraction"] > 1 or "opposite_effect" in ranking):
        figures["doses"] = new_figure(9, height)
        plot_ranking.doses(ranking, figures["doses"].subplots())
    return figures


def _more_figures(stages: xr.Dataset | None, pairs: xr.Dataset | None) -> dict[str, Figure]:
    """Why the leading targets work, and what they do together."""
    figures: dict[str, Figure] = {}
    if stages is not None:
        drawn = [str(name) for name in stages["treatment"].values[stages["reason"].values == "ok"]][:3]
        if drawn:
            figures["stages"] = new_figure(5 * len(drawn), 4.2)
            for name, axis in zip(drawn, figures["stages"].subplots(1, len(drawn), squeeze=False)[0], strict=True):
                plot_waterfall.waterfall(stages, axis, treatment=name)
    if pairs is not None:
        figures["pairs"] = new_figure(13, 5.4)
        left, right = figures["pairs"].subplots(1, 2)
        plot_synergy.synergy_matrix(pairs, left, measure="bliss")
        excess = abs(pairs["grid_bliss"].mean(("dose_first", "dose_second")))
        plot_synergy.synergy_map(pairs, str(pairs["pair"].values[int(excess.values.argmax())]), right)
    return figures


def _draw_forest(ranking: xr.Dataset) -> Figure:
    """Effects and hazard ratios side by side, one row per target."""
    shown = min(DRAWN, ranking.sizes["target"])
    figure = new_figure(11, 1.6 + 0.26 * shown)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.2, 1))
    plot.forest(ranking, left, top=shown)
    plot.forest(ranking, right, top=shown, measure="hazard_ratio")
    right.tick_params(axis="y", labelleft=False)
    if right.get_legend() is not None:
        right.get_legend().remove()
    return figure


def _draw_untreated(untreated: xr.Dataset) -> Figure:
    panels = [(tuple(n for n in names if n in untreated), decades) for names, decades in _PANELS]
    panels = [(names, decades) for names, decades in panels if names]
    if not panels:
        drawable = [str(n) for n, v in untreated.data_vars.items() if "time" in v.dims]
        if not drawable:
            raise AnalysisError("the untreated dataset holds no trajectory; simulate it with all variables recorded")
        panels = [((name,), None) for name in drawable[:4]]
    rows = (len(panels) + 1) // 2
    figure = new_figure(11, 3.2 * rows)
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for axis, (names, decades) in zip(axes, panels, strict=False):
        plot.trajectories(untreated, names, axis, log=decades is not None, decades=decades or 12)
        _mark_surgery(axis, untreated)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    return figure


def _has_clinic(untreated: xr.Dataset) -> bool:
    """Tell whether the run is of a patient with organs, who is followed for a year after surgery."""
    names = {str(name) for name in untreated.data_vars}
    organs = any(name.endswith("__n_lesions_involved") for name in names)
    if not organs or not {f"endpoints__{name}" for name in _CLINIC} | {"primary_tumor__t_surgery"} <= names:
        return False
    return bool(readout(untreated, "p_metastasis_free_by_year:1").notnull().all())


def _draw_clinic(untreated: xr.Dataset) -> Figure:
    """What happens to patients like this one: hazard by year, survival, organs, cells in the blood and risk."""
    figure = new_figure(11, 7.2)
    axes = figure.subplots(2, 2).ravel()
    for draw, axis in zip(
        (
            plot_cascade.hazard_by_year,
            plot_cascade.survival,
            plot_cascade.organ_pattern,
            plot_cascade.ctc_and_risk,
        ),
        axes,
        strict=True,
    ):
        draw(untreated, axis)
    return figure


def _mark_surgery(axis: Any, untreated: xr.Dataset) -> None:
    days = untreated["time"].values
    if "primary_tumor__t_surgery" not in untreated:
        return
    when = float(untreated["primary_tumor__t_surgery"].values.reshape(-1)[-1])
    if 0 <= when <= days[-1]:
        years = days[-1] - days[0] > 730.5
        axis.axvline(when / 365.25 if years else when, color="#666666", linewidth=1, linestyle=":")


def _context(model: Model, ranking: xr.Dataset, untreated: xr.Dataset, command: str) -> dict[str, Any]:
    attrs = ranking.attrs
    rows = verdict.rows(ranking)
    for row in rows:
        row["odd"] = row["group"].isdigit() and int(row["group"]) % 2 == 1
    main = str(attrs["window"])
    surgery = "primary_tumor__t_surgery" in untreated
    share = percent(float(attrs["fraction"]))
    return {
        "title": f"Which targets {'and drugs ' if 'drugs' in attrs else ''}lower the {attrs['readout_meaning']}?",
        "subtitle": f"Model {model.name}, {_size(model)}; {attrs['readout']}, {main} treatment.",
        "verdict": verdict.sentences(ranking),
        "attrs": attrs,
        "rows": rows,
        "drugs": any(row["kind"] == "drug" for row in rows),
        "missing": bool((ranking["missing_share"] > 0).any()),
        "drawn": min(DRAWN, len(rows)),
        "effect_header": f"{verdict.effect_header(ranking)}, {main}",
        "windows": _meanings(ranking),
        "relevant": percent(float(attrs["relevant_share"])),
        "window_words": f"{main}: {share} of the activity blocked, or as much added",
        "untreated_caption": "The patient with nominal parameters, untreated. Metastases are expected numbers: means"
        " over patients with these parameters." + (" The dotted line marks surgery." if surgery else ""),
        "screened": "parameters" if "evidence" in ranking else "modules",
        "evidence": verdict.evidence_counts(model),
        "assumed": verdict.assumed(ranking),
        "reasons": verdict.reasons(ranking),
        "command": command,
        "provenance": _provenance(model, ranking),
    } | people_context(model, ranking)


def _meanings(ranking: xr.Dataset) -> list[str]:
    """Say what each window is, where its name does not."""
    if "window_meaning" not in ranking:
        return []
    pairs = zip(ranking["window"].values, ranking["window_meaning"].values, strict=True)
    return [f"{name}: {meaning}" for name, meaning in pairs if str(name) != str(meaning)]


def _size(model: Model) -> str:
    instances, modules = len(model.instances), len(set(model.instances.values()))
    return f"{modules} modules" if modules == instances else f"{instances} instances of {modules} modules"


def _provenance(model: Model, ranking: xr.Dataset) -> list[tuple[str, str]]:
    names = {
        "model": "model",
        "model_sha256": "SHA-256 of the flat SBML",
        "screening_model_sha256": "SHA-256 with the treatments",
        "seed": "seed",
        "samples": "parameter sets drawn",
        "patients": "patients",
        "morris_trajectories": "Morris trajectories",
        "years": "simulated years",
        "points": "output rows",
        "cascade_version": "cascade",
        "roadrunner_version": "libRoadRunner",
        "libsbml_version": "libSBML",
        "salib_version": "SALib",
        "solver": "solver",
        "relative_tolerance": "relative tolerance",
        "absolute_tolerance": "absolute tolerance",
    }
    found = [(label, str(ranking.attrs[key])) for key, label in names.items() if key in ranking.attrs]
    if model.hash != ranking.attrs.get("model_sha256", model.hash):
        raise AnalysisError(
            f"the ranking was made with another model (SHA-256 {ranking.attrs['model_sha256'][:12]}..., "
            f"this one has {model.hash[:12]}...); rank this model again"
        )
    return found
