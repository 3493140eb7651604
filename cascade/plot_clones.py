"""Clones of a tumor over time: the numbers, the share of mixed clusters among seeds, and a picture of both descent
and size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._style import COLORS, clean, legend, new_axis
from cascade.clones._joins import MIXED, instance_of
from cascade.clones.phylogeny import Phylogeny, phylogeny_of
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_DAYS_PER_YEAR = 365.25


def clone_sizes(dataset: xr.Dataset, phylogeny: Any = None) -> xr.DataArray:
    """Return the tumor cells of each clone.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.simulate`, with `<clone>__n_tumor` of the clones.
    phylogeny : Phylogeny, mapping, pandas.DataFrame, or path, optional
        Gives the order, the names and the parents; without it every variable `<clone>__n_tumor` is a clone.

    Returns
    -------
    xarray.DataArray
        Over `clone` and the dimensions of the run, in cells; coordinate `parent` by clone if a phylogeny was given.

    Raises
    ------
    AnalysisError
        If the run holds no clones, or not those of the phylogeny.
    """
    import xarray

    if phylogeny is None:
        names = {
            str(name)[: -len("__n_tumor")]: str(name) for name in dataset.data_vars if _is_clone(str(name), dataset)
        }
        tree = None
    else:
        tree = phylogeny_of(phylogeny)
        names = {clone.name: f"{instance_of(tree, clone.name)}__n_tumor" for clone in tree.clones}
    missing = [variable for variable in names.values() if variable not in dataset]
    if not names or missing:
        raise AnalysisError(
            f"this run holds no {', '.join(missing) or '<clone>__n_tumor'}; simulate a model with these clones"
            " (with_clones), and"
            " record that variable"
        )
    found = xarray.concat(
        [dataset[variable] for variable in names.values()], "clone", coords="minimal", compat="override"
    )
    found = found.assign_coords(clone=list(names)).rename("n_tumor")
    found.attrs = {"units": "cell", "long_name": "tumor cells of the clone"}
    if tree is not None:
        found = found.assign_coords(parent=("clone", [clone.parent for clone in tree.clones]))
    return found


def _is_clone(name: str, dataset: xr.Dataset) -> bool:
    instance, _, local = name.partition("__")
    return local == "n_tumor" and instance not in ("primary_tumor", "endpoints") and not instance.startswith("blood_")


def _is_cluster_in_blood(name: str) -> bool:
    return name.startswith("blood_") and name.endswith("__n_ctc_cluster")


def polyclonal_share(dataset: xr.Dataset) -> xr.Dataset:
    """Return how many clusters, and how many of the distant metastases so far, are of several clones.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.simulate` of a model made by `with_clones(..., polyclonal=...)`, with all variables recorded.

    Returns
    -------
    xarray.Dataset
        `f_cluster`: share of the clusters in blood that hold several clones; `f_metastasis`: share of the expected
        distant metastases so far (the cumulative hazard) that such clusters founded. NaN where there is none.

    Raises
    ------
    AnalysisError
        If the model has no polyclonal clusters, or the run did not record what is needed.
    """
    import xarray

    mixed = [str(name) for name in dataset.data_vars if str(name).endswith(f"_{MIXED}_lesions__h_cumulative")]
    clusters = [str(name) for name in dataset.data_vars if _is_cluster_in_blood(str(name))]
    own = f"blood_{MIXED}__n_ctc_cluster"
    if not mixed or own not in clusters or "endpoints__h_cumulative" not in dataset:
        raise AnalysisError(
            "this run has no polyclonal clusters; compose with_clones(composition, phylogeny, polyclonal=...)"
            " and record all"
            " variables"
        )
    # nodes have lesions too, but no part in the hazard of distant metastasis
    distant = [name for name in mixed if not name.startswith("lymph_node")]
    total, everywhere = dataset["endpoints__h_cumulative"], sum(dataset[name] for name in clusters)
    found = xarray.Dataset(
        {
            "f_cluster": (dataset[own] / everywhere.where(everywhere > 0)),  # type: ignore[union-attr]
            "f_metastasis": sum(dataset[name] for name in distant) / total.where(total > 0),
        }
    )
    for name, text in {
        "f_cluster": "clusters of several clones",
        "f_metastasis": "metastases of several clones",
    }.items():
        found[name].attrs = {"units": "dimensionless", "long_name": text}
    return found


def plot_clones(dataset: xr.Dataset, phylogeny: Any = None, axis: Axes | None = None, *, relative: bool = True) -> Axes:
    """Draw the clones of a tumor over time, every clone inside its parent (a Muller plot).

    Parameters
    ----------
    dataset : xarray.Dataset
        One run of `cascade.simulate`, without sample dimensions.
    phylogeny : Phylogeny, mapping, pandas.DataFrame, or path, optional
        Without it clones are stacked in the order of their names.
    axis : matplotlib.axes.Axes, optional
    relative : bool
        Shares of the tumor (by default), or numbers of cells.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    AnalysisError
        If the run holds no clones, or many runs.
    """
    sizes = clone_sizes(dataset, phylogeny)
    if set(sizes.dims) != {"clone", "time"}:
        raise AnalysisError(f"plot_clones draws one run, not the dimensions {sizes.dims}; choose one with .isel")
    tree = None if phylogeny is None else phylogeny_of(phylogeny)
    cells = sizes.transpose("clone", "time").clip(min=0)
    total = cells.sum("clone")
    shown = (cells / total.where(total >= 1)).fillna(0) if relative else cells
    rows = dict(zip(map(str, shown["clone"].values), shown.values, strict=True))
    layers = [(name, rows[name]) for name in rows] if tree is None else _nested(tree, tree.founder.name, rows)
    colors = {name: COLORS[place % len(COLORS)] for place, name in enumerate(rows)}
    axis = new_axis(axis, (6.4, 3.6))
    years = shown["time"].values / _DAYS_PER_YEAR
    bottom = np.zeros(len(years))
    for name, height in layers:
        axis.fill_between(years, bottom, bottom + height, color=colors[name], linewidth=0)
        bottom = bottom + height
    axis.set_xlabel("years since the first tumor cell", fontsize=10)
    axis.set_ylabel("share of the tumor" if relative else "tumor cells", fontsize=10)
    axis.set_xlim(years[0], years[-1])
    axis.set_ylim(bottom=0)
    clean(axis)
    legend(axis, colors)
    return axis


def _nested(tree: Phylogeny, name: str, rows: dict[str, NDArray[np.float64]]) -> list[tuple[str, NDArray[np.float64]]]:
    """Return layers from bottom to top: half of a clone, its children, the other half."""
    inside = [layer for child in tree.children(name) for layer in _nested(tree, child.name, rows)]
    return [(name, rows[name] / 2), *inside, (name, rows[name] / 2)] if inside else [(name, rows[name])]
