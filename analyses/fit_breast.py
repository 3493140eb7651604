"""Which founding, soil, dormancy and spread bring the breast composition closest to its calibrated facts?

Thirteen numbers are fitted at once, by least squares with weak log-normal priors, to hazards by period of operated
ER-positive patients, the risk by tumor size, the organ of first presentation, the organs involved at autopsy and marrow
positivity. The facts are those of `evidence.tsv` (with their sources); this script repeats their targets with the
weights of the fit. With `--quick` it compares the shipped numbers with the facts; without, it fits anew (about ten
minutes) and prints the numbers for `parameters.tsv`.
"""

from __future__ import annotations

import argparse
import math
import sys

import numpy as np
import xarray as xr

import cascade

ORGANS = ("bone", "lung", "liver", "brain", "lymph_node")
SIZES = np.array([1.75, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
CELLS = math.pi / 6 * SIZES**3 * 1e9
FREE = {
    "disseminated__k_found": 2.0,
    "lung__w_soil": 2.0,
    "liver__w_soil": 2.0,
    "brain__w_soil": 2.0,
    "lymph_node__w_soil": 2.0,
    "lesions__k_switch_angiogenic": 0.5,
    "lesions__k_grow": 0.2,
    "lesions__f_angiogenic_dormant": 0.1,
    "lung__w_vessel": 1.0,
    "cohort_ibcsg": 2.0,
    "sigma_potential": 0.25,
    "sigma_ibcsg": 0.25,
    "cohort_autopsy": 1.0,
}
"""Fitted constants and the spread (natural logarithm) of their prior; the three soft organs share w_vessel."""

HAZARDS = {(0, 5): (0.099, 0.15), (5, 10): (0.054, 0.15), (10, 15): (0.029, 0.25), (15, 20): (0.028, 0.25)}
HAZARDS |= {(20, 25): (0.013, 0.4), (1, 2): (0.152, 0.15)}
RISK = (0.271, 0.42, 0.567, 0.665, 0.728, 0.838, 0.813)
FIRST = {"bone": (0.668, 0.08), "lung": (0.184, 0.05), "liver": (0.123, 0.05), "brain": (0.025, 0.02)}
AUTOPSY = {"bone": (0.71, 0.06), "lung": (0.71, 0.06), "liver": (0.62, 0.06), "brain": (0.22, 0.06)}
AUTOPSY |= {"lymph_node": (0.55, 0.08)}
MARROW = (0.306, 0.05)

_NEEDED = ("h_since_surgery", "h_cumulative", "h_at_surgery", "f_lethal", "p_dtc_positive")


def recorded() -> list[str]:
    """Return the variables that the facts need."""
    names = [f"endpoints__{name}" for name in _NEEDED] + ["primary_tumor__t_surgery"]
    for organ in ORGANS:
        for chain in (f"{organ}_lesions", f"{organ}_metastases_lesions"):
            names += [f"{chain}__h_cumulative", f"{chain}__n_lesions_involved"]
    return names


def simulate(model: cascade.Model, numbers: dict[str, float]) -> xr.Dataset:
    """Run the median patient, one patient a tumor size, and the dying patient."""
    sizes = np.concatenate([[model.parameter("primary_tumor.n_surgery").nominal], CELLS])
    sizes = np.append(sizes, sizes[0])
    potential = np.append(np.ones(len(CELLS) + 1), numbers["cohort_autopsy"])
    values = {name: value for name, value in numbers.items() if not name.startswith(("cohort_", "sigma_"))}
    for organ in ("liver", "brain"):
        values[f"{organ}__w_vessel"] = values["lung__w_vessel"]
    values["primary_tumor__n_surgery"] = xr.DataArray(sizes, dims="case")
    values["f_metastatic_potential"] = xr.DataArray(potential, dims="case")
    solver = cascade.Solver(relative_tolerance=1e-5)
    return cascade.simulate(model, years=38, points=38 * 24 + 1, values=values, record=recorded(), solver=solver)


def facts(model: cascade.Model, numbers: dict[str, float]) -> list[tuple[str, float, float, float]]:
    """Return every fact as its name, the model's value, the published one, and the weighted difference."""
    runs = simulate(model, numbers)
    by_year = cascade.readout(runs, "h_since_surgery_by_year")
    patient, dying = runs.isel(case=0), runs.isel(case=-1)
    median = numbers["cohort_ibcsg"] * by_year.isel(case=0)
    free = cascade.population_risk(median, numbers["sigma_ibcsg"])["p_metastasis_free"]
    log_free = {0: 0.0} | {int(year): float(np.log(free.sel(year=year))) for year in free["year"].values}
    found = []
    for (first, last), (value, width) in HAZARDS.items():
        rate = (log_free[first] - log_free[last]) / (last - first)
        found.append((f"annual hazard, years {first} to {last}", rate, value, math.log(rate / value) / width))
    risk = cascade.population_risk(by_year.sel(year=25), numbers["sigma_potential"])["p_overt"].values[1:-1]
    found += [(f"risk at {s:g} cm", r, v, (r - v) / 0.04) for s, r, v in zip(SIZES, risk, RISK, strict=True)]
    site, involved = cascade.readout(patient, "f_first_site"), cascade.readout(dying, "p_involved")
    for words, table, values in (("first site", FIRST, site), ("autopsy", AUTOPSY, involved)):
        for organ, (value, width) in table.items():
            got = float(values.sel(organ=organ))
            found.append((f"{words}, {organ}", got, value, (got - value) / width))
    marrow = float(cascade.readout(patient, "p_dtc_positive_at_surgery"))
    return [*found, ("marrow-positive at surgery", marrow, MARROW[0], (marrow - MARROW[0]) / MARROW[1])]


def fit(model: cascade.Model, start: dict[str, float]) -> dict[str, float]:
    """Fit the free constants, in logarithms."""
    from scipy.optimize import least_squares

    origin, width = np.log([start[name] for name in FREE]), np.array(list(FREE.values()))

    def residuals(point: np.ndarray) -> np.ndarray:
        rows = facts(model, dict(zip(FREE, map(float, np.exp(point)), strict=True)))
        return np.append([row[3] for row in rows], (point - origin) / width)

    upper = np.full(len(FREE), np.inf)
    upper[list(FREE).index("lesions__f_angiogenic_dormant")] = math.log(0.99)
    solution = least_squares(residuals, origin, bounds=(-np.inf, upper), diff_step=0.02, max_nfev=7, verbose=2)
    return dict(zip(FREE, map(float, np.exp(solution.x)), strict=True))


def main(arguments: list[str] | None = None) -> int:
    """Print the facts beside the model; exit code 1 if they are missed by more than two widths on average."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="compare the shipped numbers, do not fit")
    quick = parser.parse_args(arguments).quick
    model = cascade.compose(cascade.load_composition("breast"))
    numbers = {name: model.parameter(name).nominal for name in FREE}
    if not quick:
        numbers = fit(model, numbers)
        for name, value in numbers.items():
            print(f"{name:<34}{value:.4g}")
    rows = facts(model, numbers)
    print(f"{'fact':<34}{'model':>10}{'published':>12}{'difference in widths':>24}")
    for name, got, value, difference in rows:
        print(f"{name:<34}{got:>10.4g}{value:>12.4g}{difference:>24.2f}")
    spread = math.sqrt(sum(row[3] ** 2 for row in rows) / len(rows))
    print(f"root mean square difference: {spread:.2f} widths")
    return 0 if spread < 2 else 1


if __name__ == "__main__":
    sys.exit(main())
