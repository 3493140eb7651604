"""The module reference: a page for every shipped module and composition, from its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cascade
from cascade.build import module_options
from cascade.catalogue import library_folder, module_folder, module_title
from cascade.composition_file import Written, read_composition
from cascade.evidence import read_parameters
from cascade.facts import Fact, read_facts
from cascade.specs import Port
from cascade_pages.tables import code, number, numbers_table, plain, sources, table

_DIRECTION = {"in": "reads", "out": "writes"}


def module_pages() -> dict[str, str]:
    """Return the pages of the module reference by path."""
    modules = cascade.module_names()
    compositions = all_compositions()
    pages = {f"modules/{name}.md": _module(name) for name in modules}
    pages |= {f"compositions/{name}.md": _composition(name) for name in compositions}
    return pages | {
        "modules/index.md": _index(list(modules)),
        "compositions/index.md": _composition_index(compositions),
    }


def all_compositions() -> list[str]:
    """Return the names of the shipped compositions, those that only others extend included."""
    return sorted(path.parent.name for path in (library_folder() / "compositions").glob("*/composition.toml"))


def toctree(names: list[str]) -> str:
    """List pages of the same folder without showing them."""
    return "```{toctree}\n:maxdepth: 1\n:hidden:\n\n" + "\n".join(names) + "\n```\n"


def _index(names: list[str]) -> str:
    rows = []
    for name in names:
        module = cascade.load_module(name)
        ways = [port.direction for port in module.ports]
        uncertain = sum(row.estimate for row in module.parameters)
        counts = [str(ways.count("in")), str(ways.count("out")), str(len(module.parameters)), str(uncertain)]
        rows.append([f"[{name}](#module-{name})", plain(module_title(name)), *counts])
    return (
        "(module-reference)=\n# Modules\n\nEvery shipped module, from its folder in `sbml_models/`. A module runs"
        " alone, and is joined with others through its ports (see [the words](../../glossary.md)). Numbers count as"
        " uncertain where virtual patients differ in them.\n\n"
        + table(("module", "what it models", "reads", "writes", "numbers", "uncertain"), rows)
        + "\n"
        + toctree(names)
    )


def _composition_index(names: list[str]) -> str:
    rows = []
    for name in names:
        written = read_composition(_composition_folder(name))
        bases = ", ".join(f"[{base.name}](#composition-{base.name})" for base in written.bases)
        runs = "yes" if name in cascade.composition_names() else "no, others extend it"
        rows.append([f"[{name}](#composition-{name})", plain(written.title), bases, runs])
    return (
        "(composition-reference)=\n# Compositions\n\nWhich modules are joined, how, and with which values of their"
        " own.\n\n" + table(("composition", "what it is", "extends", "runs"), rows) + "\n" + toctree(names)
    )


def _composition_folder(name: str) -> Path:
    return library_folder() / "compositions" / name


def _module(name: str) -> str:
    module, folder = cascade.load_module(name), module_folder(name)
    parts = [f"(module-{name})=", *prose(folder, name, ""), "## Ports, as the SBML declares them"]
    parts += [_ports(module.ports), "## Numbers", f"{len(module.parameters)} constants, from `parameters.tsv`."]
    parts += [numbers_table(module.parameters)]
    parts += list(facts_section(folder, name))
    parts += list(_options(folder))
    return "\n\n".join(parts) + "\n"


def _ports(ports: tuple[Port, ...]) -> str:
    rows = [[code(p.id), _DIRECTION[p.direction], code(p.unit), plain(p.name)] for p in ports]
    return table(("port", "the module", "unit", "meaning"), rows)


def prose(folder: Path, name: str, inserted: str) -> Iterator[str]:
    """Yield the README, with a generated section before its first one."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else f"# {name}\n"
    text = re.sub(r"\]\(\.\./(?:\.\./)?(\w+)/README\.md\)", _link, text)
    title, _, body = text.partition("\n")
    title = re.sub(r"^# (\w+):", r"# `\1`:", title)
    intro, first, rest = body.partition("\n## ")
    yield title
    yield intro.strip()
    yield inserted.strip()
    if first:
        yield "## " + rest.strip()


def _link(match: re.Match[str]) -> str:
    name = match.group(1)
    return f"](#{'module' if name in cascade.module_names() else 'composition'}-{name})"


def facts_section(folder: Path, name: str) -> Iterator[str]:
    """Yield the published facts of a folder, if it has any."""
    path = folder / "evidence.tsv"
    if not path.is_file():
        return
    facts = read_facts(path)
    yield "## Published facts"
    yield (
        f"`cascade validate {name}` computes each of the {len(facts)} facts of `evidence.tsv` with the model and says"
        " which it meets and which it misses. A *calibrated* fact was used to set a constant; a *predicted* one was"
        " not."
    )
    yield table(("fact", "published", "accepted of the model", "basis", "role", "source", "note"), map(_fact, facts))


def _fact(fact: Fact) -> list[str]:
    unit = "" if fact.unit == "dimensionless" else f" {code(fact.unit)}"
    what = plain(fact.quantity) + (f" ({plain(fact.conditions)})" if fact.conditions else "")
    value = "direction only" if fact.value is None else f"{number(fact.value)}{unit}"
    where = f" ({plain(fact.where)})" if fact.where else ""
    return [
        f"{code(fact.id)} {what}",
        value + (f", {plain(fact.spread)}" if fact.spread else ""),
        _interval(fact.lower, fact.upper) + unit,
        fact.basis,
        fact.role,
        sources(fact.source) + where,
        plain(fact.note),
    ]


def _interval(lower: float | None, upper: float | None) -> str:
    if lower is None:
        return f"at most {number(upper)}"
    return f"at least {number(lower)}" if upper is None else f"{number(lower)} to {number(upper)}"


def _options(folder: Path) -> Iterator[str]:
    options = module_options(folder)
    if options:
        yield "## Options of the structure"
        yield "Set with `load_module(name, option=...)` or `--structure MODULE.OPTION=N`."
        yield table(("option", "default"), [[code(name), str(value)] for name, value in options.items()])


def _composition(name: str) -> str:
    folder = _composition_folder(name)
    written = read_composition(folder)
    base = read_composition(written.bases[-1]) if written.bases else Written(path=folder)
    parts = [f"(composition-{name})=", *prose(folder, name, f"## Parts\n\n{_parts(written, base)}")]
    parts += ["## Wiring", _wiring(written, base)]
    own = folder / "parameters.tsv"
    if own.is_file():
        rows = read_parameters(own)
        parts += [
            "## Numbers of its own",
            f"{len(rows)} constants, and values of single instances (`instance.constant`).",
        ]
        parts += [numbers_table(rows)]
    parts += list(facts_section(folder, name))
    return "\n\n".join(parts) + "\n"


def _parts(written: Written, base: Written) -> str:
    parts = [
        f"Extends [{base.path.name}](#composition-{base.path.name}){_own_parts(written, base)}."
        if base.instances
        else ""
    ]
    if written.years:
        parts.append(f"Analyses simulate {written.years:g} years unless told otherwise.")
    sets = {name: members for name, members in written.index.items() if base.index.get(name) != members}
    if sets:
        rows = [[code(name), ", ".join(map(code, members)) or "none"] for name, members in sets.items()]
        parts.append(table(("index set", "members"), rows))
    instances = {key: module for key, module in written.instances.items() if base.instances.get(key) != module}
    if instances:
        rows = [[code(key), f"[{module}](#module-{module})"] for key, module in instances.items()]
        parts.append(table(("instance", "module"), rows))
    groups = {name: members for name, members in written.groups.items() if base.groups.get(name) != members}
    if groups:
        rows = [[code(name), ", ".join(map(code, members)), _shared(name, written)] for name, members in groups.items()]
        parts.append(table(("group", "members", "constants"), rows))
    rest = {
        module: states for module, states in written.quasi_steady.items() if base.quasi_steady.get(module) != states
    }
    if rest:
        rows = [[code(module), ", ".join(map(code, states))] for module, states in rest.items()]
        parts.append(table(("module", "states replaced by their quasi-steady value"), rows))
    return "\n\n".join(part for part in parts if part)


def _own_parts(written: Written, base: Written) -> str:
    same = all(
        getattr(written, part) == getattr(base, part) for part in ("index", "instances", "groups", "quasi_steady")
    )
    return ", with the same parts" if same else "; below is what differs"


def _shared(group: str, written: Written) -> str:
    return "in common" if group in written.shared else "each its own"


def _wiring(written: Written, base: Written) -> str:
    joins = {reader: formula for reader, formula in written.joins.items() if base.joins.get(reader) != formula}
    gone = [reader for reader in base.joins if reader not in written.joins]
    if not joins and not gone:
        return f"That of [{base.path.name}](#composition-{base.path.name})."
    rows = [[code(reader), code(" ".join(formula.split()))] for reader, formula in joins.items()]
    text = table(("input", "reads"), rows) if rows else ""
    if base.instances:
        text = f"That of [{base.path.name}](#composition-{base.path.name}), with these joins of its own:\n\n{text}"
    return text + (f"\nLeft out: {', '.join(map(code, gone))}." if gone else "")
