"""Saltelli blocks as sums over replicates: what the pick-freeze estimators are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cascade.sensitivity.failures import extremes

if TYPE_CHECKING:
    import numpy as np

    from cascade.sensitivity.design import Design


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Outputs of a pick-freeze design, centered and scaled; NaN where a run failed.

    Attributes
    ----------
    a, b : numpy.ndarray
        Replicates x rows x outputs.
    ab, ba : numpy.ndarray
        Sets x replicates x rows x outputs: A with the columns of the set from B, and the other way round (no set if
        the design has no second order).
    center, scale : numpy.ndarray
        Mean of the valid outputs of A and B, and their largest distance from it; one per output.
    """

    a: np.ndarray = field(repr=False)
    b: np.ndarray = field(repr=False)
    ab: np.ndarray = field(repr=False)
    ba: np.ndarray = field(repr=False)
    center: np.ndarray = field(repr=False)
    scale: np.ndarray = field(repr=False)

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest valid output of all runs."""
        import numpy as np

        low = [np.fmin.reduce(y, axis=tuple(range(y.ndim - 1))) for y in (self.a, self.b, self.ab, self.ba) if y.size]
        high = [np.fmax.reduce(y, axis=tuple(range(y.ndim - 1))) for y in (self.a, self.b, self.ab, self.ba) if y.size]
        return np.fmin.reduce(low), np.fmax.reduce(high)

    def product_of_a_and_b(self) -> np.ndarray:
        """Mean product of A and B, whose runs share nothing."""
        import numpy as np

        product = self.a * self.b
        valid = np.isfinite(product)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(valid, product, 0.0).sum(axis=(0, 1)) / valid.sum(axis=(0, 1)))


def split(design: Design, matrix: np.ndarray) -> Blocks:
    """Take the outputs of a design (runs x outputs, NaN where a run failed) apart."""
    import numpy as np

    sets, rows = len(design.sets), design.details["rows"]
    members = matrix.reshape(design.samples, rows, -1, matrix.shape[1])
    base = members[:, :, :2]
    valid = np.isfinite(base)
    with np.errstate(invalid="ignore", divide="ignore"):
        center = np.where(valid, base, 0.0).sum(axis=(0, 1, 2)) / valid.sum(axis=(0, 1, 2))
    scale = np.abs(np.where(valid, base - center, 0.0)).max(axis=(0, 1, 2))
    parts = np.moveaxis((members - center) / np.where(scale > 0, scale, 1.0), 2, 0)
    return Blocks(a=parts[0], b=parts[1], ab=parts[2 : 2 + sets], ba=parts[2 + sets :], center=center, scale=scale)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Sums of the outputs of A and B over each replicate, replicates x outputs, and the runs that they lack."""

    count: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    planned: int
    farthest: np.ndarray

    def variance(self, *, leave_out: bool = False) -> np.ndarray:
        """Return the variance of the output, or that without each replicate."""
        import numpy as np

        count, total, squares = (_gather(part, leave_out) for part in (self.count, self.total, self.squares))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(squares / count - (total / count) ** 2)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and greatest variance if the failed runs had given something in the range of the others."""
        valid = self.count.sum(axis=0) / self.planned
        most = self.squares.sum(axis=0) / self.planned + (1 - valid) * self.farthest
        return valid * self.variance(), most


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums of a product of outputs over the rows of each replicate, replicates x names x outputs.

    `least` and `greatest` are the mean product over all rows if the failed runs had given something in the range of
    the others.
    """

    count: np.ndarray
    total: np.ndarray
    least: np.ndarray
    greatest: np.ndarray

    def over(self, spread: Spread, *, leave_out: bool = False) -> np.ndarray:
        """Return the mean product over the variance: an index; or that without each replicate that has a part in it."""
        import numpy as np

        variance = spread.variance(leave_out=leave_out)
        variance = variance.reshape(*variance.shape[:-1], *(1,) * (self.total.ndim - 2), variance.shape[-1])
        with np.errstate(invalid="ignore", divide="ignore"):
            index = _gather(self.total, leave_out) / _gather(self.count, leave_out) / variance
        return np.where(self.count > 0, index, np.nan) if leave_out else index

    def bounds(self, spread: Spread) -> dict[str, np.ndarray]:
        """Return between which values the index lies, whatever the failed runs would have given."""
        import numpy as np

        with np.errstate(invalid="ignore", divide="ignore"):
            low = [self.least / variance for variance in spread.bounds()]
            high = [self.greatest / variance for variance in spread.bounds()]
        return {"lower": np.minimum(*low), "upper": np.maximum(*high)}


def _gather(sums: np.ndarray, leave_out: bool) -> np.ndarray:
    import numpy as np

    total = sums.sum(axis=0)
    return np.asarray(total - sums if leave_out else total)


def variance_sums(blocks: Blocks) -> Spread:
    """Sum A and B over the rows of each replicate."""
    import numpy as np

    both = np.concatenate([blocks.a, blocks.b], axis=1)
    valid = np.isfinite(both)
    filled = np.where(valid, both, 0.0)
    return Spread(
        count=valid.sum(axis=1),
        total=filled.sum(axis=1),
        squares=(filled**2).sum(axis=1),
        planned=both.shape[0] * both.shape[1],
        farthest=np.maximum(*(end**2 for end in blocks.ends)),
    )


def set_sums(blocks: Blocks) -> dict[str, Sums]:
    """Sum the products of the first-order ("S1") and total ("ST") estimators of every set."""
    first = [_sum(blocks, _saltelli, blocks.a, blocks.b, ab) for ab in blocks.ab]
    total = [_sum(blocks, _jansen, blocks.a, ab) for ab in blocks.ab]
    return {"S1": _stack(first), "ST": _stack(total)}


def _saltelli(a: np.ndarray, b: np.ndarray, ab: np.ndarray) -> np.ndarray:
    product: np.ndarray = b * (ab - a)
    return product


def _jansen(a: np.ndarray, ab: np.ndarray) -> np.ndarray:
    product: np.ndarray = 0.5 * (a - ab) ** 2
    return product


def second_order_sums(blocks: Blocks) -> Sums:
    """Sum the products that give the closed second-order index of every pair of sets, replicates x names x names."""
    import numpy as np

    sets = len(blocks.ab)
    shape = (blocks.a.shape[0], sets, sets, blocks.a.shape[-1])
    count, total = np.zeros(shape), np.zeros(shape)
    for i in range(sets):
        for j in range(sets):
            product = blocks.ba[i] * blocks.ab[j] - blocks.a * blocks.b
            valid = np.isfinite(product)
            # The pair has two such products, one in each direction; their mean has less noise than either.
            for pair in {(i, j), (j, i)}:
                count[:, *pair] += valid.sum(axis=1)
                total[:, *pair] += np.where(valid, product, 0.0).sum(axis=1)
    unused = np.full(shape[1:], np.nan)
    return Sums(count=count, total=total, least=unused, greatest=unused)


def overlap(design: Design) -> np.ndarray:
    """Say for each pair of sets whether they share a column; a set does with itself."""
    import numpy as np

    member = np.array([[column in chosen for column in range(len(design.columns))] for chosen in design.sets.values()])
    return np.asarray(member.astype(int) @ member.T.astype(int) > 0)


def _sum(blocks: Blocks, product: Callable[..., np.ndarray], *outputs: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return count and sum over valid rows by replicate, and the least and greatest mean over all rows."""
    import numpy as np

    values = product(*outputs)
    valid = np.isfinite(values)
    total = np.where(valid, values, 0.0).sum(axis=1)
    least, greatest = values, values
    if not valid.all():
        least, greatest = extremes(product, outputs, *blocks.ends)
        if product is _jansen:  # it is least where the failed run gives the same as the other
            least = np.where(valid, values, 0.0)
    return valid.sum(axis=1), total, least.mean(axis=(0, 1)), greatest.mean(axis=(0, 1))


def _stack(parts: list[tuple[np.ndarray, ...]]) -> Sums:
    """Put the sums of all sets together: replicates x names x outputs."""
    import numpy as np

    count, total, least, greatest = (list(part) for part in zip(*parts, strict=True))
    return Sums(
        count=np.stack(count, axis=1), total=np.stack(total, axis=1), least=np.stack(least), greatest=np.stack(greatest)
    )
