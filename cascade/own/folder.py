"""Writes a module that was made from a user's file as a module folder, of the same shape as the shipped ones."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from cascade._files import told
from cascade.build import build_module
from cascade.errors import ModuleError
from cascade.evidence import write_parameters
from cascade.own.module import OwnModule


def write_module_folder(module: OwnModule, folder: str | Path) -> Path:
    """Write `<name>.ant`, `<name>.xml`, `parameters.tsv` and `README.md`.

    Parameters
    ----------
    module : OwnModule
        What `read_module` returned.
    folder : str or Path
        A folder that does not exist yet and has the name of the module; the one above it must exist.

    Returns
    -------
    Path
        The folder; it can be given to `load_module` and to `cascade check`, and named in a `composition.toml`.

    Raises
    ------
    ModuleError
        If the folder exists or has another name, or its files do not give the module that was read.
    """
    path = Path(folder).expanduser().absolute()
    if not isinstance(module, OwnModule):
        raise ModuleError("write_module_folder() writes what read_module() returned; shipped modules have a folder")
    if path.name != module.name:
        raise ModuleError(f"the folder of {module.name!r} must have its name: write to {path.parent / module.name}, or "
                          f"read the file as read_module(..., name={path.name!r})")  # fmt: skip
    if path.exists():
        raise ModuleError(f"{path} is there already; remove it, or choose another place")
    if not path.parent.is_dir():
        raise ModuleError(f"cannot make {path}: the folder {path.parent} does not exist; make it first")
    with told("write", path), TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as place:
        made = Path(place) / path.name
        made.mkdir()
        _write(module, made)
        if build_module(made) != module.sbml:
            raise ModuleError(f"module {module.name!r} was changed after it was read: its files do not give it; "
                              "write it as read_module() returned it")  # fmt: skip
        made.rename(path)
    return path


def _write(module: OwnModule, folder: Path) -> None:
    (folder / f"{module.name}.ant").write_text(module.structure, encoding="utf-8")
    (folder / f"{module.name}.xml").write_text(module.sbml, encoding="utf-8")
    (folder / "README.md").write_text(_readme(module), encoding="utf-8")
    write_parameters(folder / "parameters.tsv", module.parameters)


def _readme(module: OwnModule) -> str:
    conversion = module.conversion
    lines = [f"# {module.name}: from {conversion.origin}", "", "Made by `cascade import`. Time in days, concentrations "
             "in nM; every number is in `parameters.tsv`, with its value in the source.", "", "## Ports", "",
             "| port | direction | unit | in the source | why |", "|---|---|---|---|---|"]  # fmt: skip
    lines += [
        f"| `{p.port}` | {p.direction} | {p.unit} | `{_cell(p.symbol)}` | {_cell(p.reason)} |" for p in conversion.ports
    ]
    lines += ["", "## What was converted", ""]
    lines += [f"- {_cell(line)}" for line in conversion.lines()]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
