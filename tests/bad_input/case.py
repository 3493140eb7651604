"""A case of bad input: how it is made, through which door it comes, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Door = Callable[[Path], Any]

STATUS = "status"


@dataclass(frozen=True)
class Case:
    """One case.

    `door` makes the input in an empty folder and gives it to a public verb. `error` is the class of cascade's tree that
    comes out, and `says` a pattern of its message: what was found, where, what to do; or `error` is `STATUS`, the door
    returns the status of a run that failed, and `says` is its reason. `command` are the arguments by which the same
    comes through the command, with `{}` for the folder.
    """

    name: str
    door: Door
    error: str
    says: str
    command: tuple[str, ...] = ()
