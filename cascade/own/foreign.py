"""Reads Antimony text of strangers: in a child process with limits, which sees an empty folder and no other file."""

from __future__ import annotations

import re
from contextlib import chdir
from tempfile import TemporaryDirectory

from cascade._child import ask_child
from cascade.errors import ModuleError

MAX_CHARACTERS = 2_000_000
TIME_LIMIT = 60.0

_SILENT = re.compile(r'//[^\n]*|#[^\n]*|/\*.*?\*/|"""[\s\S]*?"""|```[\s\S]*?```|"[^"\n]*"', re.DOTALL)
_IMPORT = re.compile(r"\bimport\b")


def sbml_of_antimony(text: str, where: str, time_limit: float = TIME_LIMIT) -> str:
    """Return the SBML of the main model of an Antimony text.

    Raises
    ------
    ModuleError
        If the text imports other files, is too long, cannot be parsed, or takes too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise ModuleError(f"{where}: {len(text)} characters of Antimony; the limit is {MAX_CHARACTERS}")
    if "\0" in text or not text.strip():
        raise ModuleError(f"{where}: no Antimony text; give `model name() ... end`")
    if _IMPORT.search(_SILENT.sub(" ", text)):
        raise ModuleError(f"{where}: imports another file; put the models into one text")
    with TemporaryDirectory() as empty:
        question = {"text": text, "folder": empty}
        answer = ask_child("cascade.own.foreign:read", question, where, time_limit=time_limit)
    if "sbml" not in answer:
        raise ModuleError(f"{where}: {answer['error']}")
    return str(answer["sbml"])


def read(question: dict[str, str]) -> dict[str, str]:
    """Read Antimony in the child process, which stands in an empty folder."""
    import antimony

    with chdir(question["folder"]):
        if antimony.loadAntimonyString(question["text"]) < 0:
            return {"error": str(antimony.getLastError()).strip()}
        return {"sbml": str(antimony.getSBMLString(antimony.getMainModuleName()))}
