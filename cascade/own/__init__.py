"""Bring your own model: SBML or Antimony of a user becomes a module that composes like a shipped one.

Names are loaded when first used: the child process that reads Antimony needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cascade.own.comparison import compare_with_source as compare_with_source
    from cascade.own.folder import write_module_folder as write_module_folder
    from cascade.own.module import OwnModule as OwnModule
    from cascade.own.module import propose_units as propose_units
    from cascade.own.module import read_module as read_module
    from cascade.own.ports import propose_ports as propose_ports
    from cascade.own.replacing import replace_module as replace_module
    from cascade.own.report import Conversion as Conversion
    from cascade.own.report import Converted as Converted
    from cascade.own.report import Matched as Matched

_HOME = {
    "Conversion": "report",
    "Converted": "report",
    "Matched": "report",
    "OwnModule": "module",
    "compare_with_source": "comparison",
    "propose_ports": "ports",
    "propose_units": "module",
    "read_module": "module",
    "replace_module": "replacing",
    "write_module_folder": "folder",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'cascade.own' has no attribute {name!r}")
    return getattr(import_module(f"cascade.own.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
