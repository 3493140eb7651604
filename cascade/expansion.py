"""Index sets: `{organ}` in an id stands for every member of the set `organ`.

A placeholder that is bound keeps its member; one that is free runs over all of them, the first one slowest.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from cascade.errors import CompositionError, unknown_name

Sets = Mapping[str, tuple[str, ...]]
"""Index sets with their members."""

REFERENCE = re.compile(r"\b([A-Za-z]\w*)\.([A-Za-z]\w*)\b")
"""`instance.port` in a formula."""

SUM = re.compile(r"\bsum\(\s*([A-Za-z]\w*)\.([A-Za-z]\w*)\s*\)")
"""`sum(group.port)` in a formula."""

MAX_MEMBERS = 2_000
"""Members of an index set, and names that one text with placeholders may stand for."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ID = re.compile(r"^[a-z](?:_?[a-z0-9]+)*$")


def placeholders(text: str) -> tuple[str, ...]:
    """Return the index sets that a text names, each once, in their order."""
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))


def fill(text: str, bound: Mapping[str, str], sets: Sets, where: str) -> str:
    """Replace every placeholder of a text by the member to which it is bound.

    Raises
    ------
    UnknownNameError
        If a placeholder names no index set.
    CompositionError
        If a placeholder is not bound, or a brace stands alone.
    """
    for name in placeholders(text):
        _require_known(name, sets, where)
        if name not in bound:
            raise CompositionError(
                f"{where}: {{{name}}} stands on the right side only; name it on the left side too, "
                "or sum over a group: sum(group.port)"
            )
    filled = _PLACEHOLDER.sub(lambda match: bound[match[1]], text)
    if "{" in filled or "}" in filled:
        raise CompositionError(f"{where}: a brace stands alone in {text!r}; write a placeholder as {{set}}")
    return filled


def expand(
    text: str, sets: Sets, where: str, bound: Mapping[str, str] | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what a text stands for, with the member to which each placeholder is bound.

    Parameters
    ----------
    text : str
        An id with placeholders, such as `{organ}_{lineage}`.
    sets : mapping of str to tuple of str
        Index sets.
    where : str
        Where the text stands, for messages.
    bound : mapping of str to str, optional
        Placeholders that already have a member; only the others run.
    """
    bound = bound or {}
    free = [name for name in placeholders(text) if name not in bound]
    for name in free:
        _require_known(name, sets, where)
    count = math.prod(len(sets[name]) for name in free)
    if count > MAX_MEMBERS:
        raise CompositionError(f"{where}: {text!r} stands for {count} names; the limit is {MAX_MEMBERS}")
    for members in product(*(sets[name] for name in free)):
        chosen = {**bound, **dict(zip(free, members, strict=True))}
        yield fill(text, chosen, sets, where), chosen


def resolve_sets(index: Mapping[str, Sequence[str]], where: str) -> dict[str, tuple[str, ...]]:
    """Return index sets with the sets that they contain written out.

    Parameters
    ----------
    index : mapping of str to sequence of str
        Members of each set; a member may be a template of other sets, such as `{clone}`.
    where : str
        Where the sets stand, for messages.

    Raises
    ------
    UnknownNameError
        If a set contains one that does not exist.
    CompositionError
        If sets contain each other in a circle, the name of a set or a member is not in snake case, or a set has a
        member twice.
    """
    sets: dict[str, tuple[str, ...]] = {}
    for name in index:
        _resolve_set(name, index, sets, (), where)
    return {name: sets[name] for name in index}


def _resolve_set(
    name: str, index: Mapping[str, Sequence[str]], sets: dict[str, tuple[str, ...]], above: tuple[str, ...], where: str
) -> None:
    if name in above:
        raise CompositionError(f"{where}: index sets contain each other in a circle: {' in '.join((*above, name))}")
    if name in sets:
        return
    _require_id(name, f"{where}: the name of an index set is")
    for inner in (inner for text in index[name] for inner in placeholders(text)):
        _require_known(inner, index, f"{where}, index set {name!r}")
        _resolve_set(inner, index, sets, (*above, name), where)
    members = [member for text in index[name] for member, _ in expand(text, sets, f"{where}: index set {name!r}")]
    if len(members) > MAX_MEMBERS:
        raise CompositionError(f"{where}: index set {name!r} has {len(members)} members; the limit is {MAX_MEMBERS}")
    for member in members:
        _require_id(member, f"{where}: index set {name!r} has the member")
    twice = sorted(member for member, count in Counter(members).items() if count > 1)
    if twice:
        raise CompositionError(f"{where}: index set {name!r} has {', '.join(twice)} twice")
    sets[name] = tuple(members)


def _require_known(name: str, sets: Mapping[str, object], where: str) -> None:
    if name not in sets:
        raise unknown_name("index set", name, sets, where)


def _require_id(text: str, what: str) -> None:
    if not _ID.match(text):
        raise CompositionError(f"{what} {text!r}; use lower snake case without double underscores")
