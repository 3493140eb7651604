"""Do the reference values of the breast composition still hold?

The composition normalizes eight signals by their value in the untreated tumor at diagnosis, and a handful of its
numbers were set so that the tumor at diagnosis looks like the one of the literature. This script computes those values
anew from the shipped model and prints them beside what the tables hold and what was aimed at. Run it after any change
of a module; where a value has moved by more than a tenth, put the new one into the composition's `parameters.tsv`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np

import cascade


@dataclass(frozen=True)
class Row:
    """One quantity at diagnosis: what the model gives and what it should be."""

    quantity: str
    found: float
    low: float
    high: float
    unit: str
    source: str

    @property
    def holds(self) -> bool:
        """True if the value lies in its range."""
        return self.low <= self.found <= self.high


def rows() -> list[Row]:
    """Simulate the untreated patient and read the state on the last day before surgery."""
    model = cascade.compose(cascade.load_composition("breast"))
    run = cascade.simulate(model, years=20, points=20 * 73 + 1)
    surgery = float(run["primary_tumor__t_surgery"].isel(time=-1))
    day = {name: float(run[name].interp(time=surgery - 5)) for name in run.data_vars if "time" in run[name].dims}
    n = run["primary_tumor__n_tumor"].values
    growth = float(np.interp(1e9, n[: int(n.argmax())], run["primary_tumor__k_growth"].values[: int(n.argmax())]))
    late = run["endpoints__h_since_surgery"].interp(time=surgery + 10 * 365.25)

    def table(name: str) -> float:
        return model.parameter(name).nominal

    def near(quantity: str, found: float, held: float, unit: str) -> Row:
        return Row(quantity, found, 0.9 * held, 1.1 * held, unit, "parameters.tsv of the composition")

    return [
        near("f_adhesion_reference", day["emt__f_adhesion"], table("f_adhesion_reference"), "dimensionless"),
        near("k_kill_reference", day["pdl1_immune__k_kill"], table("pdl1_immune.k_kill_reference"), "per_day"),
        near("v_vesicle_reference", day["microenvironment__v_vesicle"], table("v_vesicle_reference"), "1e9/(ml day)"),
        near("f_stem_reference", day["csc_epi__f_stem"], table("f_stem_reference"), "dimensionless"),
        near("d_caf_reference", day["invasion__d_caf"], table("invasion.d_caf_reference"), "1e6/ml"),
        near("f_tam_reference", day["invasion__f_tam"], table("invasion.f_tam_reference"), "dimensionless"),
        near(
            "f_mesenchymal_reference",
            day["invasion__f_mesenchymal"],
            table("invasion.f_mesenchymal_reference"),
            "dimensionless",
        ),
        near(
            "a_matrix_reference",
            day["microenvironment__a_matrix"],
            table("invasion.a_matrix_reference"),
            "dimensionless",
        ),
        Row("doubling time at 1 ml", np.log(2) / growth, 66, 185, "day", "zhang2017: range from 66, mean 185 d"),
        Row("diameter at surgery", day["primary_tumor__diameter"], 19, 21, "mm", "by design, 2 cm"),
        Row("EMT score of the tumor", day["clone_1__a_emt"], 0.15, 0.25, "dimensionless", "by design, 0.2"),
        Row("oxygen", day["hypoxia_vegf__p_o2"], 7, 15, "mmHg", "mckeown2014: breast 10"),
        Row("TGF-beta of the stroma", day["microenvironment__c_tgfb"], 0.016, 0.07, "nM", "wang2022"),
        Row("CTC per 7.5 ml", day["endpoints__ctc_per_tube"], 0.1, 0.5, "cell", "janni2016: 20 % positive is 0.22"),
        Row("hazard, 10 years after surgery", float(late), 0.03, 0.5, "dimensionless", "order of the median patient"),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit code 1 if a value has left its range."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="accepted for uniformity; the script takes seconds")
    parser.parse_args(arguments)
    found = rows()
    print(f"{'quantity':<34}{'model':>12}  {'range':<24}{'unit':<16}source")
    for row in found:
        mark = "" if row.holds else "   <- outside"
        limits = f"{row.low:.4g} to {row.high:.4g}"
        print(f"{row.quantity:<34}{row.found:>12.4g}  {limits:<24}{row.unit:<16}{row.source}{mark}")
    return 0 if all(row.holds for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
