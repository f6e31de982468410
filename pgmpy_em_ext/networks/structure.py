"""What a pgmpy model says: its variables, parents, latents and CPDs."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import networkx as nx
from pgmpy.base import DAG
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DynamicBayesianNetwork, FunctionalBayesianNetwork, LinearGaussianBayesianNetwork

from pgmpy_em_ext.networks.conditional_gaussian_network import ConditionalGaussianNetwork

NOT_DISCRETE = (
    ConditionalGaussianNetwork,
    DynamicBayesianNetwork,
    FunctionalBayesianNetwork,
    LinearGaussianBayesianNetwork,
)
"""Networks of other kinds, which are derived from DAG too."""


class Structure(NamedTuple):
    """A pgmpy model, read.

    Attributes
    ----------
    names : tuple
        The variables, in the order of ``model.nodes()``.
    parents : dict
        The parents of each.
    latents : tuple
        Those that the model declares latent.
    cpds : dict
        The `TabularCPD`s that the model has, by variable.
    """

    names: tuple[Hashable, ...]
    parents: dict[Hashable, list[Hashable]]
    latents: tuple[Hashable, ...]
    cpds: dict[Hashable, TabularCPD]


def read_structure(model: Any) -> Structure:
    """Read a model and check that it is a discrete, acyclic and non-empty network.

    Raises
    ------
    TypeError
        Neither a `DiscreteBayesianNetwork` nor a plain `DAG`.
    ValueError
        No nodes, or a cycle; the message names the cycle.
    """
    if not isinstance(model, DAG) or isinstance(model, NOT_DISCRETE):
        raise TypeError(f"model must be a pgmpy DiscreteBayesianNetwork or DAG. Got: {type(model).__name__}.")
    return read_any_structure(model)


def read_any_structure(model: DAG) -> Structure:
    """Read a model of any kind: its variables, their parents, which are latent, and its tables.

    Raises
    ------
    ValueError
        No nodes, or a cycle; the message names the cycle.
    """
    if len(model.nodes()) == 0:
        raise ValueError("the model has no nodes; add at least one with model.add_node(...).")
    if not nx.is_directed_acyclic_graph(model):
        cycle = [edge[0] for edge in nx.find_cycle(model)]
        raise ValueError(f"the model has a cycle through {cycle}; a Bayesian network must be acyclic. Remove an edge.")
    names = tuple(model.nodes())
    parents = {name: list(model.predecessors(name)) for name in names}
    return Structure(
        names=names,
        parents=parents,
        latents=tuple(name for name in names if name in model.latents),
        cpds={cpd.variable: cpd for cpd in getattr(model, "cpds", []) if isinstance(cpd, TabularCPD)},
    )


def declared_states(cpds: Mapping[Hashable, TabularCPD]) -> dict[Hashable, Sequence[Hashable]]:
    """Collect the states that CPDs declare: a variable's own CPD counts more than its children's."""
    own = {cpd.variable: cpd.state_names[cpd.variable] for cpd in cpds.values()}
    as_parent = {name: states for cpd in cpds.values() for name, states in cpd.state_names.items()}
    return {**as_parent, **own}
