"""Files of networks and tables, read and matched; the fitted network, written."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    from pgmpy.base import DAG

    from pgmpy_em_ext.estimators.conditional_gaussian_em import ConditionalGaussianEM
    from pgmpy_em_ext.estimators.weighted_em import WeightedEM
    from pgmpy_em_ext.io.tables import UsualMarks


SHOWN_COLUMNS = 10
"""Columns that a note names for each text."""


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
    notes : list of str
        What to tell of it.
    """

    model: "DAG"
    table: "pd.DataFrame"
    texts: "pd.DataFrame"
    discrete: list[Hashable]
    continuous: list[Hashable]
    cards: dict[str, int]
    notes: list[str]


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


def read(network: Path, data: Path, marks: tuple[str, ...], said: Said | None = None) -> Given:
    """Read a network and a table, whose missing cells are marked by the network's states."""
    from pgmpy_em_ext.io.tables import default_marks, mark_missing, read_numbers, read_table
    from pgmpy_em_ext.networks.structure import declared_states, read_any_structure

    said = Said() if said is None else said
    model = _read_model(network)
    raw = read_table(data)
    cards = _declare_latents(model, said.latents, network)
    kinds = _known_kinds(model, said, cards, network)
    structure = read_any_structure(model)
    declared = declared_states(structure.cpds)
    states = {name: () if kinds.get(name) == "continuous" else declared.get(name, ()) for name in structure.names}
    texts, usual = mark_missing(raw, states, marks or default_marks(data))
    numbers = [name for name, kind in kinds.items() if kind == "continuous"]
    table = read_numbers(texts, numbers, [name for name in structure.names if name not in kinds])
    discrete, continuous = _sort_variables(model, table, kinds)
    model = model if continuous else _as_discrete(model)
    return Given(model, table, texts, discrete, continuous, cards, _note_marks(usual))


def _read_model(network: Path) -> "DAG":
    """Read a network's file, or a structure's, by its ending."""
    from pgmpy_em_ext.io.networks import CONDITIONAL_GAUSSIAN, EDGE_LISTS, ending_of, read_edges, read_network
    from pgmpy_em_ext.networks.conditional_gaussian_network import ConditionalGaussianNetwork

    if ending_of(network) == CONDITIONAL_GAUSSIAN:
        return ConditionalGaussianNetwork.load(network)
    return read_edges(network) if ending_of(network) in EDGE_LISTS else read_network(network)


def _note_marks(usual: "UsualMarks") -> list[str]:
    """Say which of the usual marks were read as missing, and which as states."""
    notes = []
    if usual.removed:
        found = "; ".join(_count_cells(mark, columns) for mark, columns in usual.removed.items())
        notes.append(
            f"read as missing: {found}. --missing replaces these marks by those that it names: to keep a text as a "
            "state, name the others, or with --missing '' none but empty cells."
        )
    if usual.kept:
        found = ", ".join(f"{mark!r} in {columns}" for mark, columns in usual.kept.items())
        marks_to_name = " ".join(f"--missing {mark!r}" for mark in (*usual.kept, "?"))
        notes.append(f"read as states, as the network declares them: {found}. To make them missing: {marks_to_name}.")
    return notes


def _count_cells(mark: str, columns: Mapping[Hashable, int]) -> str:
    """Say in how many cells of which columns a text was found."""
    shown = ", ".join(f"{name} ({count:,})" for name, count in list(columns.items())[:SHOWN_COLUMNS])
    others = list(columns.values())[SHOWN_COLUMNS:]
    more = f" and {len(others):,} more columns ({sum(others):,})" if others else ""
    return f"{mark!r} in {shown}{more}"


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

    from pgmpy_em_ext.networks.conditional_gaussian_network import ConditionalGaussianNetwork

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
    from pgmpy_em_ext.data.kinds import find_kinds
    from pgmpy_em_ext.networks.structure import read_any_structure

    structure = read_any_structure(model)
    discrete, continuous = ([name for name in kinds if kinds[name] == kind] for kind in ("discrete", "continuous"))
    if len(discrete) == len(structure.names):
        return list(structure.names), []
    return find_kinds(structure.names, structure.parents, table, discrete=discrete, continuous=continuous)


def _as_discrete(model: "DAG") -> "DAG":
    """Turn a network whose variables are all discrete into pgmpy's own kind."""
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork

    from pgmpy_em_ext.networks.conditional_gaussian_network import ConditionalGaussianNetwork

    if not isinstance(model, ConditionalGaussianNetwork):
        return model
    found = DiscreteBayesianNetwork()
    found.add_nodes_from(model.nodes())
    found.add_edges_from(model.edges())
    found.add_cpds(*(cpd for cpd in model.cpds if isinstance(cpd, TabularCPD)))
    found.latents = set(model.latents)
    return found


def check_early(given: Given, output: Path) -> None:
    """Find what the output's format cannot hold before the fit, not after it."""
    from pgmpy_em_ext.data.encoding import observed_states, read_table
    from pgmpy_em_ext.io.networks import CONDITIONAL_GAUSSIAN, check_ending, check_names, ending_of
    from pgmpy_em_ext.networks.json_values import write_value
    from pgmpy_em_ext.networks.structure import declared_states, read_any_structure

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


def write_network(output: Path, estimator: "WeightedEM | ConditionalGaussianEM", model: "DAG") -> None:
    """Write a fitted network in the format of the file's ending."""
    from pgmpy_em_ext.io.networks import CONDITIONAL_GAUSSIAN, ending_of, write_network
    from pgmpy_em_ext.networks.conditional_gaussian_network import ConditionalGaussianNetwork

    if ending_of(output) != CONDITIONAL_GAUSSIAN:
        write_network(output, estimator.parameters_, model.name)
        return
    fitted = ConditionalGaussianNetwork()
    fitted.add_nodes_from(model.nodes())
    fitted.add_edges_from(model.edges())
    fitted.latents = set(model.latents)
    fitted.add_cpds(*estimator.parameters_)
    fitted.save(output)
