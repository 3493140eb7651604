"""Small models for tests, written in Antimony."""

from __future__ import annotations

import locale
import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from cascade._canonical import symbol_table
from cascade.specs import Model, Parameter

# Shared machines are slow at times; a push is judged on the same examples each time.
settings.register_profile("shared", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def keep_locale() -> Iterator[None]:
    """Take back what COPASI does to a process: its import sets the locale to C, so that files are read as ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


def sbml_of(text: str) -> str:
    """Return the SBML of one Antimony model."""
    import antimony

    antimony.clearPreviousLoads()
    code = antimony.loadAntimonyString(f"model small()\n{text}\nend")
    assert code >= 0, antimony.getLastError()
    found: str = antimony.getSBMLString("small")
    antimony.clearPreviousLoads()
    return found


@pytest.fixture(scope="session")
def make_sbml() -> Callable[[str], str]:
    """Antimony text -> SBML text."""
    return sbml_of


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Model]:
    """Antimony text -> Model; `lower` gives constants a lower bound, `aliases` more names."""

    def make(text: str, lower: dict[str, float] | None = None, aliases: dict[str, str] | None = None) -> Model:
        flat = sbml_of(text)
        symbols = symbol_table(flat)
        rows = tuple(
            Parameter(id=s.id, name=s.name, nominal=s.initial, unit=s.unit, lower=(lower or {}).get(s.id))
            for s in symbols.values()
            if s.kind == "parameter" and s.role == "constant" and s.initial is not None
        )
        names = {name: name for name, s in symbols.items() if s.kind != "reaction"}
        return Model(name="small", flat=flat, parameters=rows, ids={**names, **(aliases or {})})

    return make
