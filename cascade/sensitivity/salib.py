"""The door of SALib: what it raises comes out as an error of cascade."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cascade.errors import AnalysisError


@contextmanager
def asking_salib(what: str) -> Iterator[None]:
    """Turn an error of SALib, numpy or scipy inside the block into one of cascade's; also a decorator."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise AnalysisError(
            f"SALib cannot compute {what}: {type(error).__name__}: {error}; look at the design and its output, or take"
            " another method"
        ) from error
