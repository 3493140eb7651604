"""Writes drug folders for tests, so that no test hangs on the numbers of a shipped drug."""

from __future__ import annotations

from pathlib import Path

from cascade.catalogue import load_module
from cascade.evidence import write_parameters
from cascade.specs import Parameter

STATED = '[regimens.stated]\ntitle = "stated"\nroute = "stated"\n'


def make_drug(
    folder: Path,
    name: str,
    structure: str = "exposure",
    *,
    port: str = "",
    target: str = "kdr",
    regimens: str = STATED,
    spread: dict[str, float] | None = None,
    **values: float,
) -> Path:
    """Write a drug with the effect `emax*(c/ec50)^hill/(1 + ...)` on a target, or added to a port.

    `values` replace constants of the structure; `ec50`, `emax`, `hill` are those of the action (1, 1, 1); `spread`
    makes constants uncertain, log-normal with this standard deviation.
    """
    path = folder / name
    path.mkdir(parents=True)
    module = load_module(structure)
    ports = {each.id for each in module.ports}
    tier = "exposure" if structure == "exposure" else "pharmacokinetics"
    numbers = {row.id: (row.nominal, row.unit) for row in module.parameters if row.id not in ports}
    numbers |= {"ec50": (1.0, "nM"), "emax": (1.0, "dimensionless"), "hill": (1.0, "dimensionless")}
    numbers |= {} if tier == "exposure" else {"m_molar": (1.0, "g_per_mmole")}
    rows = [_row(key, values.get(key, value), unit, (spread or {}).get(key)) for key, (value, unit) in numbers.items()]
    write_parameters(path / "parameters.tsv", rows)
    through = f'port = "{port}"\n' if port else ""
    (path / "drug.toml").write_text(
        f'title = "{name.capitalize()}"\ndrug_class = "test"\ntier = "{tier}"\nstructure = "{structure}"\n'
        f'[[actions]]\ntarget = "{target}"\n{through}ec50 = "ec50"\nmaximum = "emax"\nhill = "hill"\n{regimens}'
    )
    return path


def _row(name: str, value: float, unit: str, spread: float | None) -> Parameter:
    import math

    fixed = {"id": name, "name": name, "nominal": value, "unit": unit, "note": "value of a test"}
    if spread is None:
        return Parameter(**fixed, lower=value, upper=value)
    return Parameter(
        **fixed, lower=value * math.exp(-4 * spread), upper=value * math.exp(4 * spread), estimate=True,
        prior="log-normal", prior_parameters=(math.log(value), spread), evidence="measured",
    )  # fmt: skip
