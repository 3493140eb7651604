"""The stage at diagnosis: size of the primary, lymph nodes, distant metastasis, by the AJCC for breast cancer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from cascade.errors import unknown_name

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]

SIZES_MM = (20.0, 50.0)
"""Largest diameter (mm) of T1 and of T2; AJCC Cancer Staging Manual, 8th edition, 2017, chapter of the breast."""

STAGES = ("T1 N0", "T1 N+", "T2 N0", "T2 N+", "T3 N0", "T3 N+", "M1")
"""Every patient is in one. T and N are those of patients without distant metastasis."""

_GROUPS: dict[str, tuple[str, ...]] = {
    "I": ("T1 N0",),
    "II": ("T1 N+", "T2 N0", "T2 N+", "T3 N0"),
    "III": ("T3 N+",),
    "IV": ("M1",),
    "M0": STAGES[:-1],
}

STAGE_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {stage: (stage,) for stage in STAGES}
    | {part: tuple(stage for stage in STAGES if part in stage.split()) for part in ("T1", "T2", "T3", "N0", "N+")}
    | _GROUPS
)
"""What a marginal may be a share of: a stage, a part of it, or a group, as the stages that it is made of.

III lacks what the model does not have: invasion of skin and chest wall (T4), and four or more nodes (N2, N3), which are
in II or III by the size. Only T of breast cancer goes by these sizes: that of the pancreas by 20 and 40 mm, those of
colon and prostate by what the tumor invades.

Nodes of the model depend too much on size: of 394 patients of the cohort `breast_er`, 21 % have involved nodes at 5 to
10 mm, 50 % at 10 to 20, 78 % at 20 to 30, 88 % at 30 to 50 and all above. Registries have a straight line (Carter et
al. 1989, Cancer 63:181, abstract), from about a fifth to 70 % (recalled).
"""


def stage_chances(diameter: ArrayLike, p_node: ArrayLike, p_metastasis: ArrayLike) -> Numbers:
    """Return the chance of each patient to be diagnosed in each stage.

    Parameters
    ----------
    diameter : array of patients
        Diameter of the primary (mm).
    p_node : array of patients
        Chance of involved regional lymph nodes.
    p_metastasis : array of patients
        Chance of overt distant metastasis; taken as independent of the nodes, as the counts of lesions of one patient
        are Poisson and independent.

    Returns
    -------
    array of patients x stages
        In the order of `STAGES`; the chances of a patient add up to 1, and are NaN if anything is unknown.
    """
    size, node, distant = (np.asarray(each, dtype=float) for each in (diameter, p_node, p_metastasis))
    held = np.searchsorted(SIZES_MM, size, side="left")[:, None] == np.arange(3)
    found = np.stack([1 - node, node], axis=1)[:, None, :] * held[:, :, None] * (1 - distant)[:, None, None]
    found = np.concatenate([found.reshape(len(size), 6), distant[:, None]], axis=1)
    return np.where(np.isfinite(size)[:, None], found, np.nan)


def stages_of(name: str, where: str) -> list[int]:
    """Return the places in `STAGES` of what a name means.

    Raises
    ------
    UnknownNameError
        If it means nothing; `where` says who asked.
    """
    if name not in STAGE_NAMES:
        raise unknown_name("stage", name, STAGE_NAMES, where)
    return [STAGES.index(stage) for stage in STAGE_NAMES[name]]


def needs_nodes(places: list[int]) -> bool:
    """Do some stages hold patients without involved nodes and not those with, or the other way round?"""
    return any((first in places) != (first + 1 in places) for first in (0, 2, 4))
