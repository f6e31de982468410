"""The command line: files in, `WeightedEM`, files out.

pgmpy takes seconds to import, so whatever needs it is imported inside the commands.
"""

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pgmpy_em_ext.layout import align

if TYPE_CHECKING:
    import pandas as pd
    from pgmpy.models import DiscreteBayesianNetwork

    from pgmpy_em_ext.prior import Prior
    from pgmpy_em_ext.weighted_em import WeightedEM

USER_ERRORS = (click.ClickException, ValueError, TypeError, OSError, ImportError)
"""What a user can put right; anything else is our fault and keeps its traceback."""

IN_OUR_WORDS = (
    (r"declare it with model\.latents = \{\.\.\., '(.*?)'\}", r"name it with --latent \1"),
    (r"set model\.latents without the variable", "leave out its --latent"),
    (r"declare the state with state_names=\{.*?\}", "add the state to the network's file"),
    (r"by (the fitted model|the model's CPDs)", "by the network's file"),
    (r"^latent_card says (\d+) states for '(.*?)', but", r"--latent \2=\1, but"),
    (r", or leave latent_card out", ""),
    (r"^init_cpds( |=)'(\w+)'", r"--init \2"),
    (r"^e_step '", "--e-step '"),
    (r"^(tol|max_iter|max_time|seed) must", lambda found: f"--{found[1].replace('_', '-')} must"),
    (r"^n_init must", "--restarts must"),
    (r"^n_jobs must", "--jobs must"),
)
"""Patterns of messages that speak to Python, and what to say on the command line."""

ERROR_STATUS = 2
SHOWN_ROWS = 3


def _say(kind: str, message: str) -> None:
    """Write one line to stderr."""
    click.echo(f"pgmpy-em: {kind}: {' '.join(message.split())}", err=True)


class OneLineErrors(click.Group):
    """A group of commands that reports a user's error in one line, with status 2."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **options: Any
    ) -> NoReturn:
        """Run a command and leave the program."""
        options["standalone_mode"] = False  # so that errors reach us
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=FutureWarning, module=r"pgmpy\b")
                status = super().main(args, prog_name, **options)
        except click.Abort:
            _say("error", "interrupted; nothing was written.")
            sys.exit(130)
        except USER_ERRORS as error:
            _say("error", _explain(error))
            sys.exit(ERROR_STATUS)
        sys.exit(status if isinstance(status, int) else 0)


def _explain(error: Exception) -> str:
    """Give an error's message in the words of the command line, and for a wrong call the way to the help."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()} Try '{error.ctx.command_path} --help'."
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}."
    message = str(error)
    for in_python, here in IN_OUR_WORDS:
        message = re.sub(in_python, here, message)
    return message


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Turn warnings into single lines on stderr, without file and line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"pgmpy\b")
        yield
    for warning in caught:
        _say("warning", str(warning.message))


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
            help="Text that marks a missing cell; repeatable. By default the usual ones: empty, ?, NA, NaN, null, "
            "None and so on, unless the network has a state of that name.",
        ),
        _path("--data", required=True, help="Table: .csv, .tsv (also .gz) or .parquet."),
        _path("--network", required=True, help="Network: .bif, .xmlbif, .xdsl or .net (also .gz)."),
    ):
        command = decorate(command)
    return command


@click.group(cls=OneLineErrors, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pgmpy_em_ext", prog_name="pgmpy-em")
def main() -> None:
    """Fit discrete Bayesian networks to incomplete data, and use them."""


@main.command()
@_data_options
@_path("--output", required=True, help="The fitted network; same endings as --network.")
@click.option(
    "--latent",
    "latents",
    multiple=True,
    metavar="NODE[=STATES]",
    help="A node that is never observed, with its number of states; repeatable.",
)
@click.option("--prior", metavar="NAME[:NUMBER]", help="BDeu:10, K2 or Dirichlet:0.5; none by default.")
@click.option("--restarts", type=int, help="Runs, of which the best is kept; by default 16 with latents, else 1.")
@click.option("--weights", metavar="COLUMN", help="Column with the weight of each row.")
@click.option(
    "--init",
    metavar="STRATEGY",
    help="Where to start: available_case (the default), complete_case, marginal_mode, nearest_neighbor, random, "
    "prior, uniform, or model (the file's CPDs).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of all random starts.")
@click.option("--tol", type=float, default=1e-3, show_default=True, help="Nats to the optimum at which to stop.")
@click.option("--max-iter", type=int, default=1000, show_default=True, help="Steps of a run at most.")
@click.option("--max-time", type=float, metavar="SECONDS", help="Time after which the best so far is kept.")
@click.option(
    "--e-step",
    metavar="ENGINE",
    default="exact",
    show_default=True,
    help="exact, enumeration, variable_elimination or belief_propagation.",
)
@click.option("--jobs", type=int, default=1, show_default=True, help="Runs side by side; -1 for all processors.")
def fit(
    network: Path,
    data: Path,
    output: Path,
    marks: tuple[str, ...],
    quiet: bool,
    latents: tuple[str, ...],
    prior: str | None,
    restarts: int | None,
    weights: str | None,
    init: str | None,
    seed: int,
    tol: float,
    max_iter: int,
    max_time: float | None,
    e_step: str,
    jobs: int,
) -> None:
    """Estimate a network's CPDs from a table with holes.

    The network's file gives the structure and the states. All rows are used,
    whatever is missing in them.

    Example: pgmpy-em fit --network asia.bif --data asia.csv --output fitted.bif
    """
    from pgmpy_em_ext.formats import check_folder, check_names, write_network
    from pgmpy_em_ext.tables import read_weights
    from pgmpy_em_ext.weighted_em import WeightedEM

    check_folder(output)
    check_names(output, {})
    model, table, note = _read(network, data, marks)
    cards = _declare_latents(model, latents, network)
    _check_early(model, table, output)
    estimator = WeightedEM(
        latent_card=cards,
        max_iter=max_iter,
        n_jobs=jobs,
        seed=seed,
        init_cpds=init,
        show_progress=not quiet and sys.stderr.isatty(),
        e_step=e_step,
        prior=_parse_prior(prior),
        n_init=restarts,
        tol=tol,
        max_time=max_time,
    )
    sample_weight = None
    if weights is not None:
        sample_weight = read_weights(table, weights, set(model.nodes()))
        table = table.drop(columns=weights)
    with _short_warnings():
        estimator.fit(model, table, sample_weight=sample_weight)
        write_network(output, estimator.parameters_, model.name)
    if not quiet:
        _say_note(note)
        click.echo(align([*_summary(estimator), ("written", str(output))], "<<"))


@main.command()
@_data_options
@_path("--output", required=True, help="The filled table; same endings as --data.")
@click.option("--how", type=click.Choice(["mode", "sample"]), default="mode", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of --how sample.")
def impute(network: Path, data: Path, output: Path, marks: tuple[str, ...], quiet: bool, how: str, seed: int) -> None:
    """Fill the holes of a table by a fitted network.

    "mode" fills each cell with its most probable state, "sample" draws all cells of
    a row together. Other columns stay as they are; none is added.
    """
    from pgmpy_em_ext.formats import check_folder
    from pgmpy_em_ext.tables import table_ending, write_table
    from pgmpy_em_ext.weighted_em import WeightedEM

    check_folder(output)
    table_ending(output)
    model, table, note = _read(network, data, marks)
    with _short_warnings():
        filled = WeightedEM.from_model(model, seed=seed).impute(table, how=how)
        write_table(output, filled)
    if not quiet:
        _say_note(note)
        known = [name for name in model.nodes() if name in table.columns]
        n_filled = int(table[known].isna().sum().sum())
        rows = [("rows", f"{len(table):,}"), *_columns(model, table), ("cells filled", f"{n_filled:,}")]
        click.echo(align([*rows, ("written", str(output))], "<<"))


@main.command()
@_data_options
@click.option("--weights", metavar="COLUMN", help="Column with the weight of each row.")
@_path("--rows", "output", help="Table to write: the log-likelihood of each row.")
def score(
    network: Path, data: Path, marks: tuple[str, ...], quiet: bool, weights: str | None, output: Path | None
) -> None:
    """Compute the log-likelihood of a table under a fitted network, in nats."""
    import numpy as np
    import pandas as pd

    from pgmpy_em_ext.encoding import check_weight
    from pgmpy_em_ext.formats import check_folder
    from pgmpy_em_ext.tables import read_weights, table_ending, write_table
    from pgmpy_em_ext.weighted_em import WeightedEM

    if output is not None:
        check_folder(output)
        table_ending(output)
    model, table, note = _read(network, data, marks)
    given = None if weights is None else read_weights(table, weights, set(model.nodes()))
    weight = check_weight(given, table)
    samples = WeightedEM.from_model(model).score_samples(table)
    if output is not None:
        write_table(output, pd.DataFrame({"row": range(len(table)), "log_likelihood": samples}))
    if not quiet:
        _say_note(note)
    counted = weight > 0
    impossible = np.flatnonzero(counted & np.isneginf(samples))
    if len(impossible):
        first = f"{impossible[0]} (counting from 0)"
        _say("warning", f"rows that are impossible under the network: {len(impossible):,}; the first is row {first}.")
    total = float(samples[counted] @ weight[counted])
    rows = []
    if not quiet:
        others = table.drop(columns=[] if weights is None else weights)
        rows = [("rows", f"{len(table):,}"), ("weight", f"{weight.sum():,.6g}"), *_columns(model, others)]
    rows += [("log-likelihood", f"{total:.6f}"), ("mean of a row", f"{total / weight.sum():.6f}")]
    click.echo(align(rows, "<<"))


@main.command()
@click.option("--rows", type=click.IntRange(min=1), default=10_000, show_default=True, help="Rows to draw.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_path("--output", default="demo-output", show_default=True, help="Folder for the fitted network.")
def demo(rows: int, seed: int, output: Path) -> None:
    """Fit ALARM to data with holes and a hidden variable, and compare with the truth."""
    from pgmpy_em_ext.demo import run_demo

    with _short_warnings():
        run_demo(rows, seed, output)


def _columns(model: "DiscreteBayesianNetwork", table: "pd.DataFrame") -> list[tuple[str, str]]:
    """Say which variables have no column, and are taken as unobserved, and which columns are ignored."""
    absent = [name for name in model.nodes() if name not in table.columns]
    ignored = [str(name) for name in table.columns if name not in model.nodes()]
    return [("without a column", ", ".join(absent) or "none"), ("ignored columns", ", ".join(ignored) or "none")]


def _say_note(note: str) -> None:
    """Say what was read in an unusual way; only when all went well, since an error is told in one line."""
    if note:
        _say("note", note)


def _read(network: Path, data: Path, marks: tuple[str, ...]) -> tuple["DiscreteBayesianNetwork", "pd.DataFrame", str]:
    """Read a network and a table, whose missing cells are marked by the network's states; and what to tell of it."""
    from pgmpy_em_ext.formats import read_network
    from pgmpy_em_ext.structure import declared_states, read_structure
    from pgmpy_em_ext.tables import default_marks, mark_missing, read_table

    model = read_network(network)
    structure = read_structure(model)
    declared = declared_states(structure.cpds)
    states = {name: declared.get(name, ()) for name in structure.names}
    table, kept = mark_missing(read_table(data), states, marks or default_marks(data))
    if not kept:
        return model, table, ""
    found = ", ".join(f"{mark!r} in {columns}" for mark, columns in kept.items())
    marks_to_name = " ".join(f"--missing {mark!r}" for mark in (*kept, "?"))
    note = f"read as states, as the network declares them: {found}. To make them missing: {marks_to_name}."
    return model, table, note


def _declare_latents(model: "DiscreteBayesianNetwork", given: tuple[str, ...], network: Path) -> dict[str, int]:
    """Make nodes latent, in place, and give the cardinalities that are named."""
    cards = {}
    names = set()
    for text in given:
        name, equals, number = text.rpartition("=") if "=" in text else (text, "", "")
        if name not in model.nodes():
            raise ValueError(f"--latent {text}: {network} has no node {name!r}. Known: {list(model.nodes())}.")
        if equals and not number.isdecimal():
            raise ValueError(f"--latent {text}: the number of states must be an integer >= 1. Got: {number!r}.")
        names.add(name)
        if equals:
            cards[name] = int(number)
    if names:
        model.latents = names  # pgmpy hands out a copy, so that adding to it does nothing
    return cards


def _check_early(model: "DiscreteBayesianNetwork", table: "pd.DataFrame", output: Path) -> None:
    """Find names that the output's format cannot hold before the fit, not after it."""
    from pgmpy_em_ext.encoding import observed_states, read_table
    from pgmpy_em_ext.formats import check_names
    from pgmpy_em_ext.structure import declared_states, read_structure

    structure = read_structure(model)
    declared = declared_states(structure.cpds)
    observed = observed_states(read_table(table, structure.names))
    check_names(output, {name: declared.get(name, observed.get(name, ())) for name in structure.names})


def _parse_prior(text: str | None) -> "Prior | None":
    """Read a prior such as BDeu:10."""
    from pgmpy_em_ext import prior as prior_module
    from pgmpy_em_ext.prior import Prior
    from pgmpy_em_ext.registry import lookup

    if text is None:
        return None
    name, colon, number = text.partition(":")
    found = lookup(name, Prior, prior_module, "--prior")
    if not colon:
        return found
    if not found.get_params():
        raise ValueError(f"--prior {text}: {name} takes no number. Write --prior {name}.")
    try:
        count = float(number)
    except ValueError:
        raise ValueError(f"--prior {text}: {number!r} is no number. Write it as in --prior {name}:10.") from None
    if not 0 <= count < float("inf"):
        raise ValueError(f"--prior {text}: the number must be >= 0.")
    return type(found)(count)


def _summary(estimator: "WeightedEM") -> list[tuple[str, str]]:
    """Say in short what a fit did."""
    reduction = estimator.reduction_
    weights = "" if reduction.total_weight == reduction.n_rows else f" (weights: {reduction.total_weight:,.6g})"
    ended = "yes" if estimator.converged_ else f"no ({estimator.status_})"
    rows = [
        ("rows", f"{reduction.n_rows:,}{weights}"),
        ("holes", f"{reduction.n_missing_cells:,}"),
        ("distinct rows", f"{reduction.n_distinct_rows:,}"),
        ("runs", _runs(estimator)),
        ("iterations", f"{estimator.n_iter_:,}"),
        ("converged", ended),
        ("still to gain", f"about {estimator.gap_:.2g} nats"),
        ("log-likelihood", f"{estimator.log_likelihood_:.6f}"),
        ("free parameters", f"{estimator.n_parameters_:,}"),
        ("AIC", f"{estimator.aic_:.6f}"),
        ("BIC", f"{estimator.bic_:.6f}"),
    ]
    if estimator.unidentified_rows_:
        rows.append(("unidentified", _unidentified(estimator)))
    if reduction.promoted_latents:
        rows.append(("empty columns", ", ".join(map(str, reduction.promoted_latents)) + " (taken as latent)"))
    if reduction.ignored_columns:
        rows.append(("ignored columns", ", ".join(map(str, reduction.ignored_columns))))
    return rows


def _runs(estimator: "WeightedEM") -> str:
    """Count the runs, those that were dropped on the way, and those that found the best."""
    n_runs = len(estimator.restarts_)
    n_dropped = sum(record.status == "dropped" for record in estimator.restarts_)
    told = f" ({n_dropped:,} dropped on the way, the best reached by {estimator.replicated_:,})"
    return f"{n_runs:,}" + told * (n_runs > 1)


def _unidentified(estimator: "WeightedEM") -> str:
    """Name the first parent configurations that no row reaches."""
    found = estimator.unidentified_rows_
    shown = [
        f"{row.variable} | " + ", ".join(f"{name}={state}" for name, state in row.parents.items())
        for row in found[:SHOWN_ROWS]
    ]
    more = "; ..." if len(found) > SHOWN_ROWS else ""
    return f"{len(found):,} parent configurations without data: {'; '.join(shown)}{more}"
