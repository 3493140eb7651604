"""The catalog of bad input: every case comes out as an error of cascade's tree that says what, where and what to do.

Nothing crashes the interpreter, hangs, shows a traceback in the command, or gives a number. Each case is tried in a
child process that is kept as long as it lives.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input.case import STATUS
from bad_input.catalog import CASES
from bad_input.child import Child

LIMIT = 150.0
"""Seconds for a case; all take less than a few, but machines that are shared are slow at times."""


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    found = Child()
    yield found
    found.close()


def test_the_catalog_is_large():
    assert len(CASES) >= 60
    assert sum(bool(case.command) for case in CASES.values()) >= 60


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_words(name: str, tmp_path: Path, child: Child) -> None:
    case = CASES[name]
    found = child.ask("bad_input.catalog:enter", (name, str(tmp_path)), LIMIT)
    if case.error == STATUS:
        assert found.kind == "done", found.text
        assert re.search(case.says, found.value, re.DOTALL), found.value
    else:
        assert (found.kind, found.name) == ("refused", case.error), found.text or found.value
        assert re.search(case.says, found.text, re.DOTALL), found.text
    if not case.command:
        return
    arguments = [part.replace("{}", str(tmp_path)) for part in case.command]
    found = child.ask("bad_input.child:command", arguments, LIMIT)
    assert found.kind == "done", found.text
    code, out, errors = found.value
    assert code == 2, (out, errors)
    assert errors.count("cascade: ") == 1 and "Traceback" not in out + errors, errors
    assert re.search(case.says, errors, re.DOTALL), errors


@pytest.mark.parametrize("name", ["runs: NaN", "runs: growth without bound"])
def test_the_command_says_the_same_in_a_process_of_its_own(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    if case.error == STATUS:
        case.door(tmp_path)
    arguments = [part.replace("{}", str(tmp_path)) for part in case.command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-m", "cascade.cli", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=LIMIT,
    )
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("cascade: "), done.stderr
    assert re.search(case.says, done.stderr) and "Traceback" not in done.stderr


def test_a_death_and_a_hang_of_the_child_are_seen(child: Child) -> None:
    assert child.ask("os:kill_self", None, LIMIT).kind == "raw"
    assert child.ask("os:_exit", 3, LIMIT).kind == "died"
    assert child.ask("time:sleep", 60, 0.5).kind == "hung"
    assert child.ask("builtins:len", [1, 2], LIMIT).value == 2
