"""The API reference: every public name on the page of its topic, from its docstring."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import cascade
from cascade_pages.tables import code, plain, table


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One page: public names by the file that they live in (`homes`), and files shown as a whole (`parts`)."""

    page: str
    title: str
    text: str
    homes: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


TOPICS = (
    Topic(
        page="models",
        title="Models",
        text="Load modules and compositions, join them to a model, check it.",
        homes=("catalogue", "library", "compose", "quasi_steady", "check", "specs"),
    ),
    Topic(
        page="own",
        title="Your own models",
        text="Open files from outside safely, and make modules of them. See [the guide](../../guides/own_model.md).",
        homes=("own", "opening", "archive"),
        parts=("own", "opening", "archive"),
    ),
    Topic(
        page="runs",
        title="Runs and readouts",
        text="Simulate once or many times, treat, and read off what a clinic or an assay reports.",
        homes=("therapy", "simulate", "readouts", "evaluate", "population", "extinction", "bifurcation"),
    ),
    Topic(
        page="drugs",
        title="Drugs and regimens",
        text="Give drugs as a clinic does: kinetics, doses, routes, and what their concentration does.",
        homes=(
            "therapy.drugs",
            "therapy.regimens",
            "therapy.procedures",
            "treatment_effects",
            "treatment_runs",
            "treatment_report",
            "optimize",
        ),
    ),
    Topic(
        page="analyses",
        title="Targets and sensitivity",
        text="Rank targets, say how sure the ranking is, why a target works, and on what a readout depends.",
        homes=("targets", "ranking", "waterfall", "combinations", "analyze", "genes", "report"),
        parts=("sensitivity",),
    ),
    Topic(
        page="patients",
        title="Patients",
        text="Genotypes, cohorts, outcomes, survival, trials, detection, risk, and what is best for one patient.",
        homes=(
            "patients",
            "cohort",
            "cohort_report",
            "survival",
            "trial",
            "detection",
            "risk",
            "clones",
            "subgroups",
            "subgroup_effects",
            "personal",
            "personal_ranking",
            "outlook",
            "_patients",
        ),
    ),
    Topic(
        page="evidence",
        title="Evidence",
        text="Compare models with published facts; read and check the tables behind them.",
        homes=("validation", "validation_page"),
        parts=("evidence",),
    ),
    Topic(
        page="exchange",
        title="Other tools",
        text="Write models for other tools, prove that they say the same there, and take results back.",
        homes=("export", "portable", "certify", "names", "results"),
        parts=("certify", "portable", "names", "results", "export.tellurium"),
    ),
    Topic(
        page="plots",
        title="Plots",
        text="Functions of a result and an optional axis that return the axis. Each part is an attribute of"
        " `cascade`, such as `cascade.plot_ranking`.",
        parts=(
            "plot",
            "plot_cascade",
            "plot_clones",
            "plot_cohort",
            "plot_detection",
            "plot_personal",
            "plot_ranking",
            "plot_risk",
            "plot_sensitivity",
            "plot_survival",
            "plot_synergy",
            "plot_treatment",
            "plot_waterfall",
        ),
    ),
    Topic(page="cluster", title="Cluster", text="Many machines instead of one.", parts=("cluster",)),
    Topic(
        page="errors",
        title="Errors",
        text="Every error that is raised on purpose is a `CascadeError`: its message says what was found, where, and"
        " what to do.",
        homes=("errors",),
        parts=("errors",),
    ),
    Topic(page="units", title="Units", text="See also the [list of factors](#unit-table).", parts=("units",)),
)
OTHER = Topic(page="other", title="Other names", text="Public names that have no topic yet.")


def api_pages() -> dict[str, str]:
    """Return the pages of the API reference."""
    by_topic = names_by_topic()
    topics = [topic for topic in (*TOPICS, OTHER) if by_topic[topic.page] or topic.parts]
    pages = {f"api/{topic.page}.md": _page(topic, by_topic[topic.page]) for topic in topics}
    rows = [
        [f"{{py:obj}}`~cascade.{name}`", plain(_first_line(name)), f"[{topic.title}](#api-{topic.page})"]
        for topic in topics
        for name in by_topic[topic.page]
    ]
    index = (
        "(api-reference)=\n# Python reference\n\nThe public names, loaded with `import cascade`.\n\n"
        + table(("name", "what it does", "topic"), sorted(rows))
        + "\n```{toctree}\n:maxdepth: 1\n\n"
        + "\n".join(topic.page for topic in topics)
        + "\n```\n"
    )
    return pages | {"api/index.md": index}


def names_by_topic() -> dict[str, list[str]]:
    """Sort the public names into topics by the file that they live in."""
    found: dict[str, list[str]] = {topic.page: [] for topic in (*TOPICS, OTHER)}
    for name in cascade.__all__:
        found[_page_of(getattr(cascade, name).__module__)].append(name)
    return found


def _page_of(module: str) -> str:
    """Return the page of a file: that of the file itself, or else of its package."""
    pages = {f"cascade.{home}": topic.page for topic in TOPICS for home in topic.homes}
    return pages.get(module) or pages.get(module.rpartition(".")[0], OTHER.page)


def names_of(part: str) -> list[str]:
    """Return the public functions and classes of a file or package, in the order of the source."""
    module = import_module(f"cascade.{part}")
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if _documented(module, name)]
    return [name for name in vars(module) if _documented(module, name) and _lives_in(module, name)]


def _documented(module: ModuleType, name: str) -> bool:
    thing = getattr(module, name)
    return not name.startswith("_") and (inspect.isfunction(thing) or inspect.isclass(thing))


def _lives_in(module: ModuleType, name: str) -> bool:
    return str(getattr(module, name).__module__) == module.__name__


def _first_line(name: str) -> str:
    return (inspect.getdoc(getattr(cascade, name)) or "").partition("\n")[0]


def _page(topic: Topic, names: list[str]) -> str:
    text = f"(api-{topic.page})=\n# {topic.title}\n\n{topic.text}\n\n"
    text += _entries([f"cascade.{name}" for name in names])
    for part in topic.parts:
        shown = [f"cascade.{part}.{name}" for name in names_of(part) if name not in cascade.__all__]
        if not shown:
            continue
        heading = f"## {code('cascade.' + part)}\n\n" if len(topic.parts) > 1 or names else ""
        about = plain((inspect.getdoc(import_module(f"cascade.{part}")) or "").partition("\n")[0])
        text += f"{heading}{about}\n\n{_entries(shown)}" if heading or not names else _entries(shown)
    return text


def _entries(names: list[str]) -> str:
    lines: list[str] = []
    for name in names:
        lines += [
            f".. {_directive(name)}:: {name}",
            *([] if _directive(name) == "autofunction" else ["   :members:"]),
            "",
        ]
    return "```{eval-rst}\n" + "\n".join(lines) + "```\n\n" if lines else ""


def _directive(name: str) -> str:
    module, _, last = name.rpartition(".")
    thing = getattr(cascade if module == "cascade" else import_module(module), last)
    if not inspect.isclass(thing):
        return "autofunction"
    return "autoexception" if issubclass(thing, BaseException) else "autoclass"
