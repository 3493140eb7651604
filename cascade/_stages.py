"""The stages of the cascade: which reaction of which module belongs to which, and the chain of cells between them.

After the primary tumor the cascade is linear in the cells: each makes others at rates that do not depend on their
number. Here that chain is found in a flat model, from the hazard back to the tumor. What one module hands to the next
(a flux such as `v_shed_single`) is a link of its own, so that each rate belongs to one stage only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from cascade._canonical import Symbol, symbol_table
from cascade._sbml import read_document, symbols, write_document
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import libsbml

    from cascade.specs import Model

TUMOR = "tumor_growth"
STAGES: dict[str, str] = {
    TUMOR: "growth of the primary tumor and time of surgery",
    "invasion": "invasion",
    "intravasation": "intravasation, into blood and lymph",
    "circulation": "survival in circulation until arrest",
    "extravasation": "arrest in the organs and extravasation",
    "dormancy": "dormancy: survival and exit",
    "founding": "founding of lesions",
    "outgrowth": "outgrowth to overt metastasis",
}
"""The stages, from the tumor to the overt metastasis, and what they are."""

MEMBERS: tuple[tuple[str, str], ...] = (
    ("clone.invade_*", "invasion"),
    ("clone.leave_*", "intravasation"),
    ("clone.v_shed_*", "intravasation"),
    ("clone.v_lymph", "intravasation"),
    ("circulation.*", "circulation"),
    *((f"disseminated_cells.{what}", "extravasation") for what in ("arrest_*", "cloak_*", "extravasate_*")),
    ("disseminated_cells.die_arrested*", "extravasation"),
    *((f"disseminated_cells.{what}", "dormancy") for what in ("settle_*", "scatter_*", "awaken", "die_*")),
    ("disseminated_cells.found_*", "founding"),
    ("disseminated_cells.v_found", "founding"),
    *((f"lesions.{what}", "dormancy") for what in ("escape_*", "clear_*", "switch_*", "lose_*")),
    *((f"lesions.{what}", "outgrowth") for what in ("found", "grow_*", "shrink_*", "eliminate_*", "enter_*", "detect")),
    ("lesions.k_hazard", "outgrowth"),
    ("endpoints.k_hazard", "outgrowth"),
)
"""Reactions and fluxes (`module.name`, `*` for any) and their stage; the first that fits counts.

A lesion enters dormancy at the rate of its growth, so that entry is outgrowth; leaving or dying there is dormancy.
"""

BURDEN = (("clone", "n_tumor"), ("primary_tumor", "f_surface"), ("primary_tumor", "f_resected"))
"""How large the primary is and whether it is in place; wherever the chain reads these, growth of the tumor acts."""

OUTSIDE = (("clone", "n_grown"), ("lesions", "n_overt"), ("lesions", "n_burden"))
"""Species of these modules that are no links: the primary, which is given, and what is counted after detection."""

SOURCES = ("invasion", "intravasation")
"""Stages whose rates may depend on the tumor instead of cells of the chain."""

HAZARD = "endpoints__k_hazard"
"""The rate at which lesions seeded by the primary are detected: where the chain ends."""


@dataclass(frozen=True)
class Flow:
    """One rate of the chain.

    Attributes
    ----------
    id : str
        Variable of `Chain.flat` that holds it.
    name, stage : str
        Reaction or flux, and its stage.
    makes : tuple of (str, float)
        Links that grow by it, and by how many for each event.
    takes : str
        Link that is lost by it; empty if none.
    """

    id: str
    name: str
    stage: str
    makes: tuple[tuple[str, float], ...]
    takes: str = ""


@dataclass(frozen=True)
class Chain:
    """Links from the tumor to the hazard: species, quasi-steady species, and fluxes between modules.

    Attributes
    ----------
    flat : str
        The model with every rate of the chain as a variable.
    species, steady, fluxes : tuple of str
        Flat ids of the links: with a rate of change; at their quasi-steady value; handed from module to module.
    flows : tuple of Flow
    organs : mapping of str to str
        What the hazard reads to the instance that it comes from.
    burden : tuple of str
        Variables of the primary tumor (`BURDEN`).
    """

    flat: str
    species: tuple[str, ...]
    steady: tuple[str, ...]
    fluxes: tuple[str, ...]
    flows: tuple[Flow, ...]
    organs: Mapping[str, str]
    burden: tuple[str, ...]

    @property
    def links(self) -> tuple[str, ...]:
        """All links."""
        return (*self.species, *self.steady, *self.fluxes)


def read_chain(model: Model, stages: Mapping[str, str] | None = None) -> Chain:
    """Find the chain of a model.

    Parameters
    ----------
    model : Model
    stages : mapping of str to str, optional
        Stage of the reactions and fluxes of modules of one's own: `{"my_module.*": "circulation"}`; an instance may be
        named instead of its module. Counts before `MEMBERS`.

    Raises
    ------
    AnalysisError
        If the model has no hazard, or a reaction or flux of the chain belongs to no stage.
    """
    return _Finder(model, _members(stages or {})).chain()


def _members(stages: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for name, stage in stages.items():
        if stage not in STAGES or stage == TUMOR:
            known = ", ".join(known for known in STAGES if known != TUMOR)
            raise AnalysisError(f"the stage of {name!r} is {stage!r}; give one of {known}")
        if "." not in name:
            raise AnalysisError(f"stages names {name!r}; write module.reaction, or module.* for all of a module")
    return (*stages.items(), *MEMBERS)


class _Finder:
    """Walks from the hazard back to the tumor."""

    def __init__(self, model: Model, members: tuple[tuple[str, str], ...]) -> None:
        self.model, self.members = model, members
        self.symbols: Mapping[str, Symbol] = symbol_table(model.flat)
        self.document = read_document(model.flat, model.name)
        sbml = self.document.getModel()
        self.rules = {rule.getVariable(): rule.getMath() for rule in sbml.getListOfRules() if rule.isAssignment()}
        self.changes = {reaction.getId(): _net(sbml, reaction) for reaction in sbml.getListOfReactions()}
        self.candidates = self._candidates()
        self._cells: dict[str, bool] = {}

    def chain(self) -> Chain:
        if HAZARD not in self.rules:
            raise AnalysisError(
                f"model {self.model.name!r} has no variable {HAZARD!r}, the hazard whose stages are asked for; take"
                " `endpoints` and its joins into the composition"
            )
        flows: dict[str, Flow] = {}
        links: dict[str, None] = {}
        todo = [HAZARD]
        while todo:
            name = todo.pop()
            for flow, math in self._into(name):
                if flow.id in flows:
                    continue
                flows[flow.id] = flow
                self._write(flow.id, math)
                new = [link for link in self._read(math, _owner(flow.name)) if link not in links]
                links |= dict.fromkeys(new)
                todo += new
        if not links:
            raise AnalysisError(f"{HAZARD!r} counts no lesion that a reaction changes; the stages cannot be identified")
        species = [link for link in links if link in self.candidates]
        return Chain(
            flat=write_document(self.document),
            species=tuple(link for link in species if self.symbols[link].role == "integrated"),
            steady=tuple(link for link in species if self.symbols[link].role != "integrated"),
            fluxes=tuple(link for link in links if link not in self.candidates),
            flows=tuple(flows.values()),
            organs={link: _owner(link) for link in self._read(self.rules[HAZARD], _owner(HAZARD))},
            burden=self._burden(),
        )

    def _candidates(self) -> frozenset[str]:
        """Return the species that can be links: those that reactions change in the modules of the table."""
        touched = {name for net in self.changes.values() for name in net}
        outside = {f"{owner}__{name}" for module, name in OUTSIDE for owner in self._instances(module)}
        return frozenset(name for name in touched - outside if self._known(_owner(name)))

    def _instances(self, module: str) -> list[str]:
        return [owner for owner, kind in self.model.instances.items() if kind == module]

    def _known(self, owner: str) -> bool:
        modules = (owner, self.model.instances.get(owner, ""))
        return any(name.partition(".")[0] in modules for name, _ in self.members)

    def _into(self, link: str) -> Iterator[tuple[Flow, libsbml.ASTNode]]:
        """Yield every rate at which a link is made or lost."""
        sbml = self.document.getModel()
        if link not in self.candidates:
            yield Flow(f"flow_of_{link}", link, self._stage(link), ((link, 1.0),)), self.rules[link]
            return
        if not self.symbols[link].amount:
            raise AnalysisError(f"{link!r} is a concentration; a chain of cells counts amounts (hasOnlySubstanceUnits)")
        for name, net in self.changes.items():
            if link not in net:
                continue
            law = sbml.getReaction(name).getKineticLaw()
            if law is None or law.getNumLocalParameters():
                raise AnalysisError(f"reaction {name!r} has no rate, or one with local parameters; it cannot be read")
            chain = {key: number for key, number in net.items() if key in self.candidates}
            taken = [key for key, number in chain.items() if number < 0]
            if len(taken) > 1 or any(chain[key] != -1 for key in taken):
                raise AnalysisError(f"reaction {name!r} takes several cells at once; those of a chain are independent")
            makes = tuple((key, number) for key, number in chain.items() if number > 0)
            yield Flow(f"flow_of_{name}", name, self._stage(name), makes, taken[0] if taken else ""), law.getMath()

    def _stage(self, name: str) -> str:
        owner, module = _owner(name), self.model.instances.get(_owner(name), "")
        local = name.removeprefix(f"{owner}__")
        for pattern, stage in self.members:
            if any(fnmatchcase(f"{who}.{local}", pattern) for who in (owner, module) if who):
                return stage
        raise AnalysisError(
            f"{local!r} of instance {owner!r} (module {module!r}) is on the way of the cells and belongs to no stage,"
            f' so the stages cannot be identified; say which: stages={{"{module or owner}.{local}": ...}}, one of '
            + ", ".join(stage for stage in STAGES if stage != TUMOR)
        )

    def _read(self, math: libsbml.ASTNode, owner: str) -> Iterator[str]:
        """Yield the links that a formula reads; variables of its own instance are looked into."""
        for name in sorted(symbols(math)):
            if name in self.candidates:
                yield name
            elif self._has_cells(name):
                other = _owner(name)
                if other != owner and other in self.model.instances:
                    self._stage(name)
                    yield name
                else:
                    yield from self._read(self.rules[name], owner)

    def _has_cells(self, name: str) -> bool:
        """Tell whether a variable is computed from cells of the chain."""
        if name not in self._cells:
            self._cells[name] = False
            math = self.rules.get(name)
            found = math is not None and name not in self.candidates
            self._cells[name] = found and any(
                other in self.candidates or self._has_cells(other) for other in symbols(math)
            )
        return self._cells[name]

    def _write(self, name: str, math: libsbml.ASTNode) -> None:
        """Make a rate a variable of the model."""
        sbml = self.document.getModel()
        parameter = sbml.createParameter()
        parameter.setId(name)
        parameter.setConstant(False)
        rule = sbml.createAssignmentRule()
        rule.setVariable(name)
        rule.setMath(math)

    def _burden(self) -> tuple[str, ...]:
        found = []
        for module, name in BURDEN:
            owners = self._instances(module)
            missing = [owner for owner in owners or [module] if f"{owner}.{name}" not in self.model.ids]
            if missing:
                raise AnalysisError(
                    f"the growth of the tumor is read from {name!r} of the module {module!r}, which {missing[0]!r} does"
                    f" not have in model {self.model.name!r}; give a module of your own this name and output"
                )
            found += [self.model.ids[f"{owner}.{name}"] for owner in owners]
        return tuple(dict.fromkeys(found))


def _net(sbml: Any, reaction: Any) -> dict[str, float]:
    """Return what a reaction changes, quasi-steady species (which a rule computes) included."""
    net: dict[str, float] = {}
    references: Iterable[tuple[Any, int]] = [
        *((each, -1) for each in reaction.getListOfReactants()),
        *((each, 1) for each in reaction.getListOfProducts()),
    ]
    for reference, sign in references:
        name = reference.getSpecies()
        if not sbml.getSpecies(name).getBoundaryCondition() or sbml.getRule(name) is not None:
            net[name] = net.get(name, 0.0) + sign * reference.getStoichiometry()
    return {name: number for name, number in net.items() if number}


def _owner(name: str) -> str:
    return name.partition("__")[0] if "__" in name else ""
