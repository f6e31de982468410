"""The commands and their options."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pgmpy_em_ext.cli.columns import align
from pgmpy_em_ext.cli.errors import OneLineErrors, say, short_warnings
from pgmpy_em_ext.cli.estimators import continuous_estimator, discrete_estimator, from_model, read_how
from pgmpy_em_ext.cli.files import Said, check_early, read, write_network
from pgmpy_em_ext.cli.report import columns_without_use, continuous_summary, say_notes, summary


def _path(*names: str, **options: Any) -> Callable[[Callable], Callable]:
    """Declare an option that is a file."""
    return click.option(*names, type=click.Path(path_type=Path), **options)


def _data_options(command: Callable) -> Callable:
    """Declare the options of all commands that read a network and a table."""
    for decorate in (
        click.option("--quiet", is_flag=True, help="Print no summary, no notes and no progress bar."),
        click.option(
            "--missing",
            "marks",
            multiple=True,
            metavar="TEXT",
            help="Text that marks a missing cell, in place of the usual ones; repeatable. The usual ones are ?, NA, "
            "NaN, null, None and so on, unless the network has a state of that name. An empty cell is missing too.",
        ),
        _path("--data", required=True, help="Table: .csv, .tsv (also .gz) or .parquet."),
        _path(
            "--network",
            required=True,
            help="Network: .bif, .xmlbif, .xdsl or .net; with continuous variables .json; a structure alone: .csv or "
            ".tsv with the columns parent and child (each also .gz).",
        ),
    ):
        command = decorate(command)
    return command


@click.group(cls=OneLineErrors, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pgmpy_em_ext", prog_name="pgmpy-em")
def main() -> None:
    """Fit Bayesian networks to incomplete data, and use them."""


@main.command()
@_data_options
@_path(
    "--output",
    required=True,
    help="The fitted network: .bif, .xmlbif, .xdsl or .net; with continuous variables .json (each also .gz).",
)
@click.option(
    "--latent",
    "latents",
    multiple=True,
    metavar="NODE[=STATES]",
    help="A node that is never observed, with its number of states if it is discrete; repeatable.",
)
@click.option(
    "--continuous", multiple=True, metavar="NODE", help="A node that is a number, whatever the file says; repeatable."
)
@click.option(
    "--discrete", multiple=True, metavar="NODE", help="A node that has states, whatever the file says; repeatable."
)
@click.option("--prior", metavar="NAME[:NUMBER]", help="Of tables: BDeu:10, K2 or Dirichlet:0.5; none by default.")
@click.option(
    "--variance-prior",
    metavar="SHAPE:SCALE",
    help="Of continuous variables, standardised: inverse gamma; none by default. 1:0.01 keeps components of a mixture "
    "from collapsing.",
)
@click.option("--ridge", type=float, metavar="RECORDS", help="Of coefficients, standardised: draws them to 0.")
@click.option(
    "--variance-floor",
    type=float,
    metavar="SHARE",
    help="Of a column's variance, the least of its residuals; by default the data decides.",
)
@click.option("--restarts", type=int, help="Runs, of which the best is kept; by default 16 with latents, else 1.")
@click.option("--weights", metavar="COLUMN", help="Column with the weight of each row.")
@click.option(
    "--init",
    metavar="STRATEGY",
    help="Where to start: available_case (the default), complete_case, marginal_mode, nearest_neighbor, random, "
    "prior, uniform, or model (the file's CPDs). With continuous variables: kmeans++, random_from_data, lines, random "
    "(by default these take turns), complete_case, or model.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all random starts.")
@click.option("--tol", type=float, default=1e-3, show_default=True, help="Nats to the optimum at which to stop.")
@click.option("--max-iter", type=int, default=1000, show_default=True, help="Steps of a run at most.")
@click.option("--max-time", type=float, metavar="SECONDS", help="Time after which the best so far is kept.")
@click.option(
    "--e-step",
    metavar="ENGINE",
    default="auto",
    show_default=True,
    help="auto (exact while it fits into memory), exact, sampled, likelihood_weighting, approx_inference, "
    "enumeration, variable_elimination or belief_propagation; with continuous variables exact.",
)
@click.option("--jobs", type=int, default=1, show_default=True, help="Runs side by side; -1 for all processors.")
def fit(
    network: Path,
    data: Path,
    output: Path,
    marks: tuple[str, ...],
    quiet: bool,
    latents: tuple[str, ...],
    continuous: tuple[str, ...],
    discrete: tuple[str, ...],
    weights: str | None,
    **options: Any,
) -> None:
    """Estimate a network's CPDs from a table with holes.

    The network's file gives the structure, the states, and which variables are
    continuous; where it gives the structure alone, columns of numbers are
    continuous. All rows are used, whatever is missing in them.

    Example: pgmpy-em fit --network asia.bif --data asia.csv --output fitted.bif
    """
    from pgmpy_em_ext.io.networks import check_ending, check_folder
    from pgmpy_em_ext.io.tables import read_weights

    check_folder(output)
    check_ending(output)
    given = read(network, data, marks, Said(latents, discrete, continuous))
    check_early(given, output)
    show_progress = not quiet and sys.stderr.isatty()
    make = continuous_estimator if given.continuous else discrete_estimator
    estimator = make(given, show_progress=show_progress, **options)
    table, sample_weight = given.table, None
    if weights is not None:
        sample_weight = read_weights(table, weights, set(given.model.nodes()))
        table = table.drop(columns=weights)
    with short_warnings():
        estimator.fit(given.model, table, sample_weight=sample_weight)
        write_network(output, estimator, given.model)
    if not quiet:
        say_notes(given.notes)
        rows = continuous_summary(estimator, given) if given.continuous else summary(estimator)
        click.echo(align([*rows, ("written", str(output))], "<<"))


@main.command()
@_data_options
@_path("--output", required=True, help="The filled table; same endings as --data.")
@click.option(
    "--how",
    type=click.Choice(["mode", "mean", "sample"]),
    default="mode",
    show_default=True,
    help="Each cell by itself (mode; with continuous variables also called mean), or a draw.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of --how sample.")
def impute(network: Path, data: Path, output: Path, marks: tuple[str, ...], quiet: bool, how: str, seed: int) -> None:
    """Fill the holes of a table by a fitted network.

    "mode" fills each cell by itself: with its most probable state, or, if it is a
    number, with its mean given what the row observes. In networks with continuous
    variables "mean" is the same. "sample" draws all cells of a row together. Other
    columns stay as they are; none is added.
    """
    from pgmpy_em_ext.io.networks import check_folder
    from pgmpy_em_ext.io.tables import keep_texts, table_ending, write_table

    check_folder(output)
    table_ending(output)
    given = read(network, data, marks)
    table = given.table
    with short_warnings():
        filled: Any = from_model(given, seed=seed).impute(table, how=read_how(how, given))
        write_table(output, keep_texts(filled[list(table.columns)], given.texts, given.continuous))
    if not quiet:
        say_notes(given.notes)
        known = [name for name in given.model.nodes() if name in table.columns]
        n_filled = int(table[known].isna().sum().sum())
        rows = [
            ("rows", f"{len(table):,}"),
            *columns_without_use(given.model, table),
            ("cells filled", f"{n_filled:,}"),
        ]
        click.echo(align([*rows, ("written", str(output))], "<<"))


@main.command()
@_data_options
@click.option("--weights", metavar="COLUMN", help="Column with the weight of each row.")
@_path("--rows", "output", help="Table to write: the log-likelihood of each row.")
def score(
    network: Path, data: Path, marks: tuple[str, ...], quiet: bool, weights: str | None, output: Path | None
) -> None:
    """Compute the log-likelihood of a table under a fitted network, in nats.

    Of continuous variables it is the log-density, in the units of the table.
    """
    import numpy as np
    import pandas as pd

    from pgmpy_em_ext.data.checks import check_weight
    from pgmpy_em_ext.data.encoding import has_value, number_rows, read_table
    from pgmpy_em_ext.inference.answers import mean_log_likelihood
    from pgmpy_em_ext.io.networks import check_folder
    from pgmpy_em_ext.io.tables import read_weights, table_ending, write_table

    if output is not None:
        check_folder(output)
        table_ending(output)
    given = read(network, data, marks)
    model, table = given.model, given.table
    weight = check_weight(None if weights is None else read_weights(table, weights, set(model.nodes())), table)
    samples = from_model(given).score_samples(table)
    if output is not None:
        write_table(output, pd.DataFrame({"row": range(len(table)), "log_likelihood": samples}))
    if not quiet:
        say_notes(given.notes)
    counted = weight > 0
    impossible = np.flatnonzero(counted & np.isneginf(samples))
    if len(impossible):
        first = f"{impossible[0]} (counting from 0)"
        say("warning", f"rows that are impossible under the network: {len(impossible):,}; the first is row {first}.")
    observed = has_value(read_table(number_rows(table), model.nodes()))
    total, mean = float(samples[counted] @ weight[counted]), mean_log_likelihood(samples, weight, observed)
    rows = []
    if not quiet:
        others = table.drop(columns=[] if weights is None else weights)
        rows = [("rows", f"{len(table):,}"), ("weight", f"{weight.sum():,.6g}"), *columns_without_use(model, others)]
        if not observed.all():
            rows.insert(1, ("rows without any value", f"{(~observed).sum():,} (no part of the mean)"))
    rows += [("log-likelihood", f"{total:.6f}"), ("mean of a row", f"{mean:.6f}")]
    click.echo(align(rows, "<<"))


@main.command()
@click.option("--rows", type=click.IntRange(min=1), default=10_000, show_default=True, help="Rows to draw.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_path("--output", default="demo-output", show_default=True, help="Folder for the fitted network.")
def demo(rows: int, seed: int, output: Path) -> None:
    """Fit ALARM to data with holes and a hidden variable, and compare with the truth."""
    from pgmpy_em_ext.cli.demo import run_demo

    with short_warnings():
        run_demo(rows, seed, output)
