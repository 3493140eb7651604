"""COMBINE archive: SBML, SED-ML of the standard analyses and metadata in one file that other tools execute."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as xml

from cascade._files import written
from cascade.archive import read_archive
from cascade.errors import SBMLError, ValueSettingError
from cascade.evaluate import time_grid
from cascade.export.citations import Citation, citations
from cascade.export.compact import compact, is_large
from cascade.export.sedml import ambiguous, scanned_constant, standard_analyses, used_symbols
from cascade.simulate import DAYS_PER_YEAR
from cascade.specs import Model, Solver

PRECISE = Solver(relative_tolerance=1e-8, absolute_tolerance=1e-12)
"""Tolerances of an archive: results of other tools shall differ by what the tools do, not by how well they solve."""

MANIFEST = "http://identifiers.org/combine.specifications/omex-manifest"
_FORMAT = "http://identifiers.org/combine.specifications/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TERMS = "http://purl.org/dc/terms/"
_CARD = "http://www.w3.org/2006/vcard/ns#"
LICENSE = "https://www.apache.org/licenses/LICENSE-2.0"
CREATOR = "The cascade developers"

FIXED = 315_532_800
"""Seconds to 1980-01-01, the first day that a zip file can tell: the date of an archive unless SOURCE_DATE_EPOCH says
another, so that a model always makes the same bytes."""

_LAST = 4_354_819_198
"""Seconds to the last moment that a zip file can tell."""


def write_omex(
    model: Model,
    path: Path,
    *,
    years: float | None = None,
    points: int | None = None,
    scan: str | None = None,
    solver: Solver = PRECISE,
) -> Path:
    """Write a COMBINE archive that tellurium, COPASI and others execute.

    Parameters
    ----------
    model : Model
        Any model; a treated one is written with its doses.
    path : Path
        The archive, `.omex`.
    years : float, optional
        Length of the time course; by default that of analyses of the model.
    points : int, optional
        Rows; by default twelve a year.
    scan : str, optional
        Name of the constant to scan; by default the strength of the first treatment or an uncertain constant.
    solver : Solver
        Tolerances that the SED-ML tells the other tools.

    Returns
    -------
    Path
        The archive. It holds `manifest.xml`, the flat SBML, the compact SBML of a large model, which is what the
        SED-ML runs then, the hierarchical SBML if there is one, `simulation.sedml`,
        `metadata.rdf` and `README.md`. The same model gives the same bytes; the date is that of the environment
        variable SOURCE_DATE_EPOCH, or 1980-01-01.

    Raises
    ------
    UnknownNameError
        If the model has no constant `scan`.
    ValueSettingError
        If a number cannot be used, or start values depend on `scan`.
    FileError
        If the file cannot be written.
    """
    grid = time_grid(model, years, points)
    name = re.sub(r"[^A-Za-z0-9_]+", "_", model.name) or "model"
    days = grid["years"] * DAYS_PER_YEAR
    fast = is_large(model)
    source = f"{name}_compact.xml" if fast else f"{name}.xml"
    analyses = standard_analyses(model, source, days=days, points=grid["points"], solver=solver, scan=scan)
    moment = _date()
    sources = citations(model)
    files = {"simulation.sedml": (f"{_FORMAT}sed-ml", analyses)}
    files[f"{name}.xml"] = (f"{_FORMAT}sbml.level-3.version-2", model.flat)
    if fast:
        files[source] = (f"{_FORMAT}sbml.level-3.version-2", compact(model, used_symbols(model)))
    if model.hierarchical is not None:
        files[f"{name}_comp.xml"] = (f"{_FORMAT}sbml.level-3.version-2", model.hierarchical)
    files["metadata.rdf"] = (f"{_FORMAT}omex-metadata", _metadata(model, moment, sources))
    files["README.md"] = ("http://purl.org/NET/mediatypes/text/markdown", _readme(model, name, grid, scan, sources))
    content = {"manifest.xml": _manifest({where: kind for where, (kind, _) in files.items()})}
    _write(Path(path), content | {where: text for where, (_, text) in files.items()}, moment)
    return Path(path)


def _date() -> datetime:
    text = os.environ.get("SOURCE_DATE_EPOCH", str(FIXED))
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise ValueSettingError(f"SOURCE_DATE_EPOCH is {text!r}; give whole seconds since 1970, or leave it unset")
    return datetime.fromtimestamp(min(max(int(text), FIXED), _LAST), tz=UTC)


def _write(path: Path, content: Mapping[str, str], moment: datetime) -> None:
    """Write a zip file in which nothing depends on the machine or the hour."""
    with written(path) as beside:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for where, text in content.items():
                entry = zipfile.ZipInfo(where, moment.timetuple()[:6])
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, text.encode())
        if any(content[name] != text for name, text in read_archive(beside).items()):
            raise SBMLError(f"{path}: the archive does not hold the model that was written; the disk may be faulty")


def _manifest(formats: Mapping[str, str]) -> str:
    root = xml.Element("omexManifest", {"xmlns": "http://identifiers.org/combine.specifications/omex-manifest"})
    entries = {".": f"{_FORMAT}omex", "./manifest.xml": MANIFEST}
    for where, kind in (entries | {f"./{name}": kind for name, kind in formats.items()}).items():
        master = {"master": "true"} if where.endswith(".sedml") else {}
        xml.SubElement(root, "content", {"location": where, "format": kind} | master)
    return _text(root)


def _metadata(model: Model, moment: datetime, sources: tuple[Citation, ...]) -> str:
    """Return who, when, what, under which license and after which sources, as RDF."""
    spaces = {"xmlns:rdf": _RDF, "xmlns:dcterms": _TERMS, "xmlns:vCard": _CARD}
    root = xml.Element("rdf:RDF", spaces)
    about = xml.SubElement(root, "rdf:Description", {"rdf:about": "."})
    xml.SubElement(about, "dcterms:title").text = model.name
    words = f"Model {model.name!r} of metastasis with its standard analyses"
    if model.interventions:
        words += "; treated: " + ", ".join(each.label or each.target for each in model.interventions)
    xml.SubElement(about, "dcterms:description").text = words
    bag = xml.SubElement(xml.SubElement(about, "dcterms:creator"), "rdf:Bag")
    creator = xml.SubElement(bag, "rdf:li", {"rdf:parseType": "Resource"})
    xml.SubElement(creator, "vCard:organization-name").text = CREATOR
    created = xml.SubElement(about, "dcterms:created", {"rdf:parseType": "Resource"})
    xml.SubElement(created, "dcterms:W3CDTF").text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    xml.SubElement(about, "dcterms:license", {"rdf:resource": LICENSE})
    xml.SubElement(about, "dcterms:identifier").text = f"sha256:{model.hash}"
    for source in sources:
        if source.doi:
            where = {"rdf:resource": f"https://doi.org/{source.doi}"}
            xml.SubElement(about, "dcterms:references", where)
        else:
            xml.SubElement(about, "dcterms:references").text = str(source)
    return _text(root)


def _readme(model: Model, name: str, grid: Mapping[str, float], scan: str | None, sources: tuple[Citation, ...]) -> str:
    constant = scanned_constant(model, scan)
    lines = [
        f"# {model.name}",
        "",
        f"- `{name}.xml`: the model, flat SBML L3V2 (SHA-256 {model.hash})",
        *(
            [f"- `{name}_compact.xml`: the same states in formulas that tools compile quickly"]
            if is_large(model)
            else []
        ),
        *([f"- `{name}_comp.xml`: the same, hierarchical (comp package)"] if model.hierarchical is not None else []),
        f"- `simulation.sedml`: a time course of {grid['years']:g} years in {grid['points']} rows"
        + (f", and a scan of `{constant}`" if constant else ""),
        "- `metadata.rdf`: creators, license, sources. A date of 1980-01-01 stands for none.",
        "",
        "Time is in days, cells are counted, concentrations are in nmol/l (nM) unless the SBML says otherwise.",
        "Run it with `tellurium.executeCombineArchive`, or open it in COPASI or any tool that reads SED-ML.",
    ]
    if model.interventions:
        lines += ["", "## Treatments", "", *(f"- {each.label or each.target}" for each in model.interventions)]
    left_out = ambiguous(model)
    if left_out:
        lines += ["", "## Not in the reports", "", "Amounts in compartments whose size is not 1 (tools disagree):", ""]
        lines += [f"- `{each}`" for each in left_out]
    if sources:
        links = [f" https://doi.org/{each.doi}" if each.doi else "" for each in sources]
        lines += ["", "## Sources", "", *(f"- {each}{link}" for each, link in zip(sources, links, strict=True))]
    return "\n".join(lines) + "\n"


def _text(root: xml.Element) -> str:
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"
