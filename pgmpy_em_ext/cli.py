"""The command line: files in, `WeightedEM` or `ConditionalGaussianEM`, files out.

pgmpy takes seconds to import, so whatever needs it is imported inside the commands.
"""

import re
import sys
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from pgmpy_em_ext.layout import align

if TYPE_CHECKING:
    import pandas as pd
    from pgmpy.base import DAG

    from pgmpy_em_ext.conditional_gaussian_em import ConditionalGaussianEM
    from pgmpy_em_ext.prior import Prior
    from pgmpy_em_ext.types import CPDColumn
    from pgmpy_em_ext.weighted_em import WeightedEM

USER_ERRORS = (click.ClickException, ValueError, TypeError, OSError, ImportError)
"""What a user can put right; anything else is our fault and keeps its traceback."""

IN_OUR_WORDS = (
    (r"declare it with model\.latents = \{\.\.\., '(.*?)'\}", r"name it with --latent \1"),
    (r"set model\.latents without the variable", "leave out its --latent, unless the network's file calls it latent"),
    (r"declare the state with state_names=\{.*?\}", "add the state to the network's file"),
    (r"by (the fitted model|the model's CPDs)", "by the network's file"),
    (r"^latent_card says (\d+) states for '(.*?)', but", r"--latent \2=\1, but"),
    (r", or leave latent_card out", ""),
    (r"^init_cpds( |=)'(\w+)'", r"--init \2"),
    (r"^init_cpds: ", "--init model: "),
    (r"come from init_cpds", "come from the network's file"),
    (r"give (discrete|continuous)=\[\.\.\., '(.*?)'\]", r"say --\1 \2"),
    (r"^e_step '", "--e-step '"),
    (r"^(tol|max_iter|max_time|seed) must", lambda found: f"--{found[1].replace('_', '-')} must"),
    (r"^n_init must", "--restarts must"),
    (r"^n_jobs must", "--jobs must"),
)
"""Patterns of messages that speak to Python, and what to say on the command line."""

ERROR_STATUS = 2
SHOWN_ROWS = 3

CONTINUOUS_STARTS = ("kmeans++", "random", "complete_case", "model")
"""What --init may be in a network with continuous variables."""


class Given(NamedTuple):
    """A network and a table, read and matched.

    Attributes
    ----------
    model : DAG
        The network of the file, its latent variables as the user wants them.
    table : pandas.DataFrame
        Missing cells are marked, and columns of continuous variables are numbers.
    texts : pandas.DataFrame
        The same before numbers were read.
    discrete, continuous : list
        The variables of each kind.
    cards : dict
        Numbers of states of latent variables, where the user gives them.
    note : str
        What to tell of it.
    """

    model: "DAG"
    table: "pd.DataFrame"
    texts: "pd.DataFrame"
    discrete: list[Hashable]
    continuous: list[Hashable]
    cards: dict[str, int]
    note: str


class Said(NamedTuple):
    """What the user says of variables.

    Attributes
    ----------
    latents : tuple of str
        Names, or names with a number of states.
    discrete, continuous : tuple of str
        Names.
    """

    latents: tuple[str, ...] = ()
    discrete: tuple[str, ...] = ()
    continuous: tuple[str, ...] = ()


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
@click.option("--restarts", type=int, help="Runs, of which the best is kept; by default 16 with latents, else 1.")
@click.option("--weights", metavar="COLUMN", help="Column with the weight of each row.")
@click.option(
    "--init",
    metavar="STRATEGY",
    help="Where to start: available_case (the default), complete_case, marginal_mode, nearest_neighbor, random, "
    "prior, uniform, or model (the file's CPDs). With continuous variables: kmeans++ (the default), random, "
    "complete_case, or model.",
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
    help="exact, enumeration, variable_elimination or belief_propagation; with continuous variables exact.",
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
    from pgmpy_em_ext.formats import check_ending, check_folder
    from pgmpy_em_ext.tables import read_weights

    check_folder(output)
    check_ending(output)
    given = _read(network, data, marks, Said(latents, discrete, continuous))
    _check_early(given, output)
    show_progress = not quiet and sys.stderr.isatty()
    make = _continuous_estimator if given.continuous else _discrete_estimator
    estimator = make(given, show_progress=show_progress, **options)
    table, sample_weight = given.table, None
    if weights is not None:
        sample_weight = read_weights(table, weights, set(given.model.nodes()))
        table = table.drop(columns=weights)
    with _short_warnings():
        estimator.fit(given.model, table, sample_weight=sample_weight)
        _write_network(output, estimator, given.model)
    if not quiet:
        _say_note(given.note)
        rows = _continuous_summary(estimator, given, sample_weight) if given.continuous else _summary(estimator)
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
    from pgmpy_em_ext.formats import check_folder
    from pgmpy_em_ext.tables import keep_texts, table_ending, write_table

    check_folder(output)
    table_ending(output)
    given = _read(network, data, marks)
    table = given.table
    with _short_warnings():
        filled: Any = _from_model(given, seed=seed).impute(table, how=_read_how(how, given))
        write_table(output, keep_texts(filled[list(table.columns)], given.texts, given.continuous))
    if not quiet:
        _say_note(given.note)
        known = [name for name in given.model.nodes() if name in table.columns]
        n_filled = int(table[known].isna().sum().sum())
        rows = [("rows", f"{len(table):,}"), *_columns(given.model, table), ("cells filled", f"{n_filled:,}")]
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

    from pgmpy_em_ext.encoding import check_weight
    from pgmpy_em_ext.formats import check_folder
    from pgmpy_em_ext.tables import read_weights, table_ending, write_table

    if output is not None:
        check_folder(output)
        table_ending(output)
    given = _read(network, data, marks)
    model, table = given.model, given.table
    weight = check_weight(None if weights is None else read_weights(table, weights, set(model.nodes())), table)
    samples = _from_model(given).score_samples(table)
    if output is not None:
        write_table(output, pd.DataFrame({"row": range(len(table)), "log_likelihood": samples}))
    if not quiet:
        _say_note(given.note)
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


def _columns(model: "DAG", table: "pd.DataFrame") -> list[tuple[str, str]]:
    """Say which variables have no column, and are taken as unobserved, and which columns are ignored."""
    absent = [name for name in model.nodes() if name not in table.columns]
    ignored = [str(name) for name in table.columns if name not in model.nodes()]
    return [("without a column", ", ".join(absent) or "none"), ("ignored columns", ", ".join(ignored) or "none")]


def _say_note(note: str) -> None:
    """Say what was read in an unusual way; only when all went well, since an error is told in one line."""
    if note:
        _say("note", note)


def _read(network: Path, data: Path, marks: tuple[str, ...], said: Said | None = None) -> Given:
    """Read a network and a table, whose missing cells are marked by the network's states."""
    from pgmpy_em_ext.structure import declared_states, read_any_structure
    from pgmpy_em_ext.tables import default_marks, mark_missing, read_numbers, read_table

    said = Said() if said is None else said
    model = _read_model(network)
    raw = read_table(data)
    cards = _declare_latents(model, said.latents, network)
    kinds = _known_kinds(model, said, cards, network)
    structure = read_any_structure(model)
    declared = declared_states(structure.cpds)
    states = {name: () if kinds.get(name) == "continuous" else declared.get(name, ()) for name in structure.names}
    texts, kept = mark_missing(raw, states, marks or default_marks(data))
    numbers = [name for name, kind in kinds.items() if kind == "continuous"]
    table = read_numbers(texts, numbers, [name for name in structure.names if name not in kinds])
    discrete, continuous = _sort_variables(model, table, kinds)
    model = model if continuous else _as_discrete(model)
    return Given(model, table, texts, discrete, continuous, cards, _note_marks(kept))


def _read_model(network: Path) -> "DAG":
    """Read a network's file, or a structure's, by its ending."""
    from pgmpy_em_ext.conditional_gaussian_network import ConditionalGaussianNetwork
    from pgmpy_em_ext.formats import CONDITIONAL_GAUSSIAN, EDGE_LISTS, ending_of, read_edges, read_network

    if ending_of(network) == CONDITIONAL_GAUSSIAN:
        return ConditionalGaussianNetwork.load(network)
    return read_edges(network) if ending_of(network) in EDGE_LISTS else read_network(network)


def _note_marks(kept: Mapping[str, list[Hashable]]) -> str:
    """Say which of the usual marks were read as states."""
    if not kept:
        return ""
    found = ", ".join(f"{mark!r} in {columns}" for mark, columns in kept.items())
    marks_to_name = " ".join(f"--missing {mark!r}" for mark in (*kept, "?"))
    return f"read as states, as the network declares them: {found}. To make them missing: {marks_to_name}."


def _declare_latents(model: "DAG", given: tuple[str, ...], network: Path) -> dict[str, int]:
    """Make nodes latent, in place, beside those that the file calls so, and give the cardinalities that are named."""
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
        model.latents = names | set(model.latents)  # pgmpy hands out a copy, so that adding to it does nothing
    return cards


def _known_kinds(model: "DAG", said: Said, cards: Mapping[str, int], network: Path) -> dict[Hashable, str]:
    """Say which variables are "discrete", and which "continuous", as far as it is known without the table.

    What the user says comes first, then the file: CPDs of normal distributions make variables continuous; the formats
    that declare states for all variables make them discrete; a structure alone says nothing.
    """
    from pgmpy.models import DiscreteBayesianNetwork

    from pgmpy_em_ext.conditional_gaussian_network import ConditionalGaussianNetwork

    kinds: dict[Hashable, str] = {}
    if isinstance(model, ConditionalGaussianNetwork):
        kinds = dict.fromkeys(model.discrete_nodes, "discrete") | dict.fromkeys(model.continuous_nodes, "continuous")
    elif isinstance(model, DiscreteBayesianNetwork):
        kinds = dict.fromkeys(model.nodes(), "discrete")
    kinds |= dict.fromkeys(cards, "discrete")
    for kind, names in (("discrete", said.discrete), ("continuous", said.continuous)):
        for name in names:
            if name not in model.nodes():
                raise ValueError(f"--{kind} {name}: {network} has no node {name!r}. Known: {list(model.nodes())}.")
            kinds[name] = kind
    for name in said.continuous:
        if name in said.discrete:
            raise ValueError(f"{name!r} is named by both --discrete and --continuous. Leave one out.")
        if name in cards:
            raise ValueError(f"--latent {name}={cards[name]}: {name!r} is continuous, and has no states. Leave out =.")
    return kinds


def _sort_variables(
    model: "DAG", table: "pd.DataFrame", kinds: Mapping[Hashable, str]
) -> tuple[list[Hashable], list[Hashable]]:
    """Sort variables into discrete and continuous ones, those of unknown kind by their columns."""
    from pgmpy_em_ext.kinds import find_kinds
    from pgmpy_em_ext.structure import read_any_structure

    structure = read_any_structure(model)
    discrete, continuous = ([name for name in kinds if kinds[name] == kind] for kind in ("discrete", "continuous"))
    if len(discrete) == len(structure.names):
        return list(structure.names), []
    return find_kinds(structure.names, structure.parents, table, discrete=discrete, continuous=continuous)


def _as_discrete(model: "DAG") -> "DAG":
    """Turn a network whose variables are all discrete into pgmpy's own kind."""
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork

    from pgmpy_em_ext.conditional_gaussian_network import ConditionalGaussianNetwork

    if not isinstance(model, ConditionalGaussianNetwork):
        return model
    found = DiscreteBayesianNetwork()
    found.add_nodes_from(model.nodes())
    found.add_edges_from(model.edges())
    found.add_cpds(*(cpd for cpd in model.cpds if isinstance(cpd, TabularCPD)))
    found.latents = set(model.latents)
    return found


def _check_early(given: Given, output: Path) -> None:
    """Find what the output's format cannot hold before the fit, not after it."""
    from pgmpy_em_ext.encoding import observed_states, read_table
    from pgmpy_em_ext.formats import CONDITIONAL_GAUSSIAN, check_ending, check_names, ending_of
    from pgmpy_em_ext.structure import declared_states, read_any_structure
    from pgmpy_em_ext.tagged_json import write_value

    check_ending(output, given.continuous)
    declared = declared_states(read_any_structure(given.model).cpds)
    observed = observed_states(read_table(given.table, given.discrete))
    states = {name: declared.get(name, observed.get(name, ())) for name in given.discrete}
    if ending_of(output) != CONDITIONAL_GAUSSIAN:
        check_names(output, states)
        return
    for name, names in states.items():
        for state in names:
            write_value(state, f"{name!r}: the state")


def _discrete_estimator(
    given: Given, *, init: str | None, restarts: int | None, prior: str | None, jobs: int, **options: Any
) -> "WeightedEM":
    """Make the estimator of a discrete network."""
    from pgmpy_em_ext.weighted_em import WeightedEM

    return WeightedEM(
        latent_card=given.cards, init_cpds=init, n_init=restarts, prior=_parse_prior(prior), n_jobs=jobs, **options
    )


def _continuous_estimator(
    given: Given,
    *,
    init: str | None,
    restarts: int | None,
    prior: str | None,
    jobs: int,
    e_step: str,
    **options: Any,
) -> "ConditionalGaussianEM":
    """Make the estimator of a network with continuous variables; refuse what it does not know."""
    from pgmpy_em_ext.conditional_gaussian_em import ConditionalGaussianEM

    if e_step != "exact":
        raise ValueError(f"--e-step {e_step}: with continuous variables only exact is known. Leave it out.")
    if init not in (None, *CONTINUOUS_STARTS):
        raise ValueError(f"--init {init}: with continuous variables known are {', '.join(CONTINUOUS_STARTS)}.")
    if prior is not None and not given.discrete:
        raise ValueError(f"--prior {prior} is for discrete variables, and the network has none. Leave it out.")
    from_file = init == "model"
    return ConditionalGaussianEM(
        discrete=given.discrete,
        continuous=given.continuous,
        latent_card=given.cards,
        init_cpds=_cpds_of_file(given) if from_file else init,
        n_init=1 if from_file and restarts is None else restarts,
        prior=_parse_prior(prior),
        n_jobs=jobs,
        **options,
    )


def _cpds_of_file(given: Given) -> dict[Hashable, Any]:
    """Give the file's CPDs, one of each variable and of its kind."""
    from pgmpy.factors.discrete import TabularCPD

    found = {
        cpd.variable: cpd
        for cpd in getattr(given.model, "cpds", [])
        if isinstance(cpd, TabularCPD) == (cpd.variable in given.discrete)
    }
    absent = [name for name in given.model.nodes() if name not in found]
    if absent:
        raise ValueError(f"--init model needs a CPD of every variable, but the network's file has none for {absent}.")
    return found


def _from_model(given: Given, **arguments: Any) -> "WeightedEM | ConditionalGaussianEM":
    """Make an estimator with the file's own CPDs."""
    from pgmpy_em_ext.conditional_gaussian_em import ConditionalGaussianEM
    from pgmpy_em_ext.weighted_em import WeightedEM

    return (ConditionalGaussianEM if given.continuous else WeightedEM).from_model(given.model, **arguments)


def _read_how(how: str, given: Given) -> str:
    """Translate --how for the estimator: it calls the fillings cell by cell "mode", or "mean" if some are numbers."""
    if how == "mean" and not given.continuous:
        raise click.BadParameter(
            "'mean' is not one of 'mode', 'sample' where all variables are discrete.",
            click.get_current_context(),
            param_hint="'--how'",
        )
    return "mean" if how == "mode" and given.continuous else how


def _write_network(output: Path, estimator: "WeightedEM | ConditionalGaussianEM", model: "DAG") -> None:
    """Write a fitted network in the format of the file's ending."""
    from pgmpy_em_ext.conditional_gaussian_network import ConditionalGaussianNetwork
    from pgmpy_em_ext.formats import CONDITIONAL_GAUSSIAN, ending_of, write_network

    if ending_of(output) != CONDITIONAL_GAUSSIAN:
        write_network(output, estimator.parameters_, model.name)
        return
    fitted = ConditionalGaussianNetwork()
    fitted.add_nodes_from(model.nodes())
    fitted.add_edges_from(model.edges())
    fitted.latents = set(model.latents)
    fitted.add_cpds(*estimator.parameters_)
    fitted.save(output)


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
    """Say in short what a fit of a discrete network did."""
    reduction = estimator.reduction_
    rows = [
        ("rows", _count_rows(reduction.n_rows, reduction.total_weight)),
        ("holes", f"{reduction.n_missing_cells:,}"),
        ("distinct rows", f"{reduction.n_distinct_rows:,}"),
        *_tell_of_runs(estimator),
    ]
    if estimator.unidentified_rows_:
        rows.append(("unidentified", _name_columns("parent configurations without data", estimator.unidentified_rows_)))
    return rows + _other_columns(reduction.promoted_latents, reduction.ignored_columns)


def _continuous_summary(estimator: "ConditionalGaussianEM", given: Given, sample_weight: Any) -> list[tuple[str, str]]:
    """Say in short what a fit of a network with continuous variables did."""
    import numpy as np

    weight = np.ones(len(given.table)) if sample_weight is None else sample_weight
    names = [name for name in given.model.nodes() if name in given.table.columns]
    known = given.table.loc[weight > 0, names]
    empty = [name for name in names if known[name].isna().all()]
    rows = [
        ("rows", _count_rows(len(given.table), float(weight.sum()))),
        ("discrete", ", ".join(map(str, given.discrete)) or "none"),
        ("continuous", ", ".join(map(str, given.continuous))),
        ("holes", f"{int(known.drop(columns=empty).isna().sum().sum()):,}"),
        *_tell_of_runs(estimator),
    ]
    if estimator.floored_:
        rows.append(("at their floor", _name_columns("variances", estimator.floored_)))
    promoted = [name for name in empty if name not in given.model.latents]
    return rows + _other_columns(promoted, estimator.ignored_columns_)


def _count_rows(n_rows: int, total_weight: float) -> str:
    return f"{n_rows:,}" + ("" if total_weight == n_rows else f" (weights: {total_weight:,.6g})")


def _other_columns(empty: Sequence[Hashable], ignored: Sequence[Hashable]) -> list[tuple[str, str]]:
    """Name the columns without a value, and those that are no variables."""
    rows = []
    if empty:
        rows.append(("empty columns", ", ".join(map(str, empty)) + " (taken as latent)"))
    if ignored:
        rows.append(("ignored columns", ", ".join(map(str, ignored))))
    return rows


def _tell_of_runs(estimator: "WeightedEM | ConditionalGaussianEM") -> list[tuple[str, str]]:
    """Say how the runs went, and what they found."""
    ended = "yes" if estimator.converged_ else f"no ({estimator.status_})"
    return [
        ("runs", _runs(estimator)),
        ("iterations", f"{estimator.n_iter_:,}"),
        ("converged", ended),
        ("still to gain", f"about {estimator.gap_:.2g} nats"),
        ("log-likelihood", f"{estimator.log_likelihood_:.6f}"),
        ("free parameters", f"{estimator.n_parameters_:,}"),
        ("AIC", f"{estimator.aic_:.6f}"),
        ("BIC", f"{estimator.bic_:.6f}"),
    ]


def _runs(estimator: "WeightedEM | ConditionalGaussianEM") -> str:
    """Count the runs, those that were dropped on the way, and those that found the best."""
    n_runs = len(estimator.restarts_)
    n_dropped = sum(record.status == "dropped" for record in estimator.restarts_)
    told = f" ({n_dropped:,} dropped on the way, the best reached by {estimator.replicated_:,})"
    return f"{n_runs:,}" + told * (n_runs > 1)


def _name_columns(what: str, found: "Sequence[CPDColumn]") -> str:
    """Count columns of CPDs, and name the first."""
    shown = [
        f"{row.variable} | " + ", ".join(f"{name}={state}" for name, state in row.parents.items())
        if row.parents
        else str(row.variable)
        for row in found[:SHOWN_ROWS]
    ]
    more = "; ..." if len(found) > SHOWN_ROWS else ""
    return f"{len(found):,} {what}: {'; '.join(shown)}{more}"
