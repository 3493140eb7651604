"""The command that brings a user's own model: import."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli._options import Json, check_folder, pairs_of, say
from cascade.errors import CascadeError, ModuleError

if TYPE_CHECKING:
    from cascade.own import OwnModule

commands = typer.Typer()


@commands.command(
    "import",
    epilog="Examples: `cascade import tian2013.xml`, `cascade import tian2013.ant --time-unit hour --concentration uM "
    "--propose`, `cascade import tian2013.ant --time-unit hour --unit TGF0=uM --port c_tgfb=TGF0 --like emt "
    "--out tian2013`",
)
def import_model(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="SBML (.xml, .sbml) or Antimony (.ant).")],
    out: Annotated[
        Path | None, typer.Option(help="Module folder to make; without, only the report is printed.")
    ] = None,
    time_unit: Annotated[str | None, typer.Option(help="Unit of time, if the file states none: hour")] = None,
    concentration: Annotated[
        str | None, typer.Option(help="Unit of concentrations, if the file states none: uM")
    ] = None,
    unit: Annotated[list[str] | None, typer.Option(metavar="SYMBOL=UNIT", help="Unit of a symbol: k1=per_hour")] = None,
    volume: Annotated[
        list[str] | None, typer.Option(metavar="COMPARTMENT=LITRES", help="Volume of a compartment: cell=3.3e-12")
    ] = None,
    port: Annotated[
        list[str] | None, typer.Option(metavar="PORT=SYMBOL", help="A port: c_tgfb=TGFb, or a formula: a_emt=ZEB/3.2")
    ] = None,
    like: Annotated[str | None, typer.Option(metavar="NAME", help="Module whose ports are looked for: emt")] = None,
    propose: Annotated[
        bool, typer.Option("--propose", help="Take the units that follow from the formulas for what has none.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Turn an SBML or Antimony model into a module: days, nM, ports, a table; and report every conversion."""
    from cascade.own import read_module, write_module_folder

    if out is not None:
        check_folder(out)
    units = _texts(unit, "--unit")
    ports = _texts(port, "--port") or None
    volumes = pairs_of(volume, "--volume")
    try:
        if propose:
            units = _proposed(file, time_unit, concentration, units) | units
        module = read_module(
            file, name=out.absolute().name if out else None, ports=ports, like=like, time_unit=time_unit,
            concentration_unit=concentration, units=units, volumes=volumes,
        )  # fmt: skip
    except ModuleError as error:
        raise ModuleError(_in_options(str(error))) from error
    lines = module.conversion.lines()
    if out is not None:
        lines.append(f"wrote {write_module_folder(module, out)}")
    say(_data(module), as_json, "\n".join(lines))


def _proposed(file: Path, time_unit: str | None, concentration: str | None, units: dict[str, str]) -> dict[str, str]:
    from cascade.own import propose_units

    return propose_units(file, time_unit=time_unit, concentration_unit=concentration, units=units)


_OPTIONS = (
    (r"time_unit='(\w+)'", r"--time-unit \1"),
    (r"time_unit=\.\.\.", "--time-unit UNIT"),
    (r"units=\{'(\w+)': '(\w+)'\}", r"--unit \1=\2"),
    (r"units=\{'(\w+)': \.\.\.\}", r"--unit \1=UNIT"),
    (r"volumes=\{'(\w+)': litres\}", r"--volume \1=LITRES"),
    (r"propose_units\(\) returns the proposals", "--propose takes the proposals"),
)


def _in_options(text: str) -> str:
    """Write the arguments that an error of `read_module` names as options of the command."""
    for argument, option in _OPTIONS:
        text = re.sub(argument, option, text)
    return text


def _data(module: OwnModule) -> dict[str, Any]:
    conversion = module.conversion
    return {
        "name": module.name,
        "time_unit": conversion.time_unit,
        "time_factor": conversion.time_factor,
        "changes": [asdict(change) for change in conversion.changes],
        "ports": [asdict(port) for port in conversion.ports],
        "unmatched": list(conversion.unmatched),
        "parameters": [asdict(row) for row in module.parameters],
    }


def _texts(items: list[str] | None, option: str) -> dict[str, str]:
    """Read what is written as NAME=TEXT."""
    found: dict[str, str] = {}
    for item in items or []:
        key, equal, text = (part.strip() for part in item.partition("="))
        if not (key and equal and text):
            raise CascadeError(f"{option} {item!r}: write it as NAME=VALUE, for example {option} k1=per_hour")
        if key in found:
            raise CascadeError(f"{option} gives {key!r} twice; give it once")
        found[key] = text
    return found
