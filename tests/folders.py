"""Writes module and composition folders for tests."""

from __future__ import annotations

from pathlib import Path

from cascade.build import write_module
from cascade.evidence import write_parameters
from cascade.specs import Parameter

SOURCE = """
model source(k_make, c_a, a_full)
  compartment tissue = 1;
  species c_a in tissue;
  c_a has nM; a_full has dimensionless;
  c_a = 0;
  a_full := c_a/(c_a + ec50_a);
  make: => c_a; tissue*v_make*k_make;
  lose: c_a => ; tissue*k_lose*c_a;
end
"""
SINK = """
model sink(c_in, a_in, c_b, n_x)
  compartment tissue = 1;
  species c_b in tissue;
  substanceOnly species n_x in tissue;
  c_b has nM; n_x has cell;
  c_b = init_b; n_x = init_x;
  gain: => c_b; tissue*k_gain*c_in;
  lose: c_b => ; tissue*k_lose*(1 + a_in)*c_b;
  grow: => n_x; k_grow*n_x;
end
"""


def number(name: str, value: float, unit: str, **more: object) -> Parameter:
    """Return a row that is assumed for the test."""
    return Parameter(id=name, name=name, nominal=value, unit=unit, note="value of a test", **more)  # type: ignore[arg-type]


ROWS = {
    "source": [
        number("k_make", 1, "dimensionless"),
        number("v_make", 2, "nM_per_day"),
        number("k_lose", 0.5, "per_day"),
        number("ec50_a", 3, "nM"),
    ],
    "sink": [
        number("c_in", 1, "nM"),
        number("a_in", 0, "dimensionless"),
        number("k_gain", 0.3, "per_day"),
        number("k_lose", 0.2, "per_day"),
        number("init_b", 1, "nM"),
        number("init_x", 5, "cell"),
        number("k_grow", 0.1, "per_day"),
    ],
}
STRUCTURE = {"source": SOURCE, "sink": SINK}


def make_module(folder: Path, name: str, structure: str | None = None, rows: list[Parameter] | None = None) -> Path:
    """Write and build a module folder."""
    path = folder / name
    path.mkdir(parents=True)
    (path / f"{name}.ant").write_text(structure or STRUCTURE[name])
    write_parameters(path / "parameters.tsv", ROWS[name] if rows is None else rows)
    (path / "README.md").write_text(f"# {name}\n")
    write_module(path)
    return path


def make_composition(
    folder: Path,
    joins: dict[str, str],
    rows: list[Parameter] | None = None,
    instances: dict[str, str] | None = None,
    more: str = "",
) -> Path:
    """Write a composition of `source` and `sink` beside their folders."""
    for name in STRUCTURE:
        if not (folder / name).is_dir():
            make_module(folder, name)
    path = folder / "pair"
    path.mkdir(exist_ok=True)
    lines = [more, "[instances]"]
    lines += [f'{key} = "../{module}"' for key, module in (instances or {"up": "source", "down": "sink"}).items()]
    lines += ["[joins]"] + [f"'{reader}' = '{formula}'" for reader, formula in joins.items()]
    (path / "composition.toml").write_text("\n".join(lines))
    if rows:
        write_parameters(path / "parameters.tsv", rows)
    return path


def make_shipped_composition(folder: Path, instances: dict[str, str], joins: dict[str, str], more: str = "") -> Path:
    """Write a composition of shipped modules; `more` holds further tables, such as groups."""
    path = folder / "shipped"
    path.mkdir(exist_ok=True)
    lines = ["[instances]"] + [f'{key} = "{module}"' for key, module in instances.items()]
    lines += ["[joins]"] + [f"'{reader}' = '{formula}'" for reader, formula in joins.items()]
    (path / "composition.toml").write_text("\n".join([*lines, more]))
    return path
