"""The command of clones: a phylogeny in, their sizes over time out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import cascade
from cascade._files import write_dataset, written
from cascade.cli._options import Index, Plot, Settings, Structure, check_suffix, index_sets, pairs_of, structure_options
from cascade.errors import CascadeError

commands = typer.Typer()


@commands.command(epilog="Example: `cascade clones breast_lite tree.tsv --years 8 --polyclonal 0.5 --plot clones.png`")
def clones(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Shipped composition, or path of a folder.")],
    table: Annotated[
        Path, typer.Argument(metavar="PHYLOGENY", help="Tab-separated: clone, parent, and what a clone has of its own.")
    ],
    years: Annotated[float, typer.Option(help="Time to simulate, in years of 365.25 days.")] = 10.0,
    polyclonal: Annotated[float, typer.Option(help="Share of the clusters that mix clones.")] = 0.0,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option(help="Write the run: .nc")] = None,
    plot: Plot = None,
    index: Index = None,
    structure: Structure = None,
) -> None:
    """Grow a tumor with the clones of a phylogeny; shares at diagnosis give mutation probabilities."""
    from cascade.clones import with_clones
    from cascade.clones._joins import instance_of
    from cascade.clones.phylogeny import read_phylogeny
    from cascade.plot_clones import clone_sizes, plot_clones

    check_suffix(out, (".nc",))
    check_suffix(plot, (".png", ".svg", ".pdf"))
    tree = read_phylogeny(table)
    composition = with_clones(
        cascade.load_composition(name, index_sets(index), structure_options(structure)), tree, polyclonal=polyclonal
    )
    model = cascade.compose(composition)
    run = cascade.simulate(model, years=years, points=401, values=pairs_of(settings, "--set"))
    if str(run["status"].item()) != "ok":
        raise CascadeError(f"the run failed: {run['status'].item()}")
    sizes = clone_sizes(run, tree)
    whole = sizes.sum("clone")
    row = int(whole.argmax("time"))
    typer.echo(f"{'clone':<24} {'parent':<24} {'mutation/division':>18} {'share at the largest size':>26}")
    for clone in tree.clones:
        mutation = model.parameter(f"{instance_of(tree, clone.name)}.f_mutation").nominal
        share = float(sizes.sel(clone=clone.name)[row] / whole[row])
        typer.echo(f"{clone.name:<24} {clone.parent or '-':<24} {mutation:>18.4g} {share:>26.4g}")
    if out:
        write_dataset(out, run)
        typer.echo(f"wrote {out}")
    if plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axis = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
        plot_clones(run, tree, axis)
        with written(plot) as path:
            figure.savefig(path, dpi=160)
        plt.close(figure)
        typer.echo(f"wrote {plot}")
