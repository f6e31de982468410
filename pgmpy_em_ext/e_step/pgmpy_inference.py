"""E-steps by pgmpy's own inference classes, one query for each distinct row and unobserved family."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

import networkx as nx
import numpy as np
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork
from pgmpy.utils import compat_fns

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.impossible import impossible_evidence
from pgmpy_em_ext.e_step.statistics import ExpectedStatistics
from pgmpy_em_ext.types import MISSING, FloatArray, IntArray

Query = Callable[[list[int], dict[str, int]], FloatArray]
"""From variables and evidence to the joint posterior of the variables, an array with one axis for each."""


class RowsPlan(NamedTuple):
    """Nothing is prepared but the rows themselves."""

    network: Network
    evidence: Evidence


def _label(node: int) -> str:
    """Name of a variable in the network that pgmpy works on."""
    return f"x{node}"


def to_model(network: Network, parameters: FloatArray, nodes: Iterable[int]) -> DiscreteBayesianNetwork:
    """Build a pgmpy network of some nodes and their parents, with numbered variables and states.

    The numbers are there so that no name of the user's can confuse a query.
    """
    model = DiscreteBayesianNetwork()
    for node in nodes:
        family = network.families[node]
        model.add_node(_label(node))
        model.add_edges_from([(_label(parent), _label(node)) for parent in family.parents])
        cpd = TabularCPD(
            _label(node),
            network.cardinalities[node],
            network.cpd_values(parameters, node),
            evidence=[_label(parent) for parent in family.parents] or None,
            evidence_card=[network.cardinalities[parent] for parent in family.parents] or None,
        )
        model.add_cpds(cpd)
    return model


def connected_components(network: Network) -> list[list[int]]:
    """Split the variables into blocks that no edge joins, each sorted."""
    graph = nx.Graph()
    graph.add_nodes_from(range(network.n_nodes))
    graph.add_edges_from((parent, family.child) for family in network.families for parent in family.parents)
    return [sorted(nodes) for nodes in nx.connected_components(graph)]


class PgmpyEStep(EStep):
    """Base class of E-steps that ask a pgmpy inference object about every distinct row.

    The posterior of each unobserved family comes from one query. The likelihood comes
    from the identity P(O) = P(O, m) / P(m | O): the numerator is a product of CPD entries,
    the denominator a chain of queries, one for each missing variable, with m chosen as
    each query's most probable state.
    """

    @abstractmethod
    def make_inference(self, model: DiscreteBayesianNetwork) -> Any:
        """Make the pgmpy object that answers ``query(variables, evidence, show_progress)``.

        ``model`` is one connected component of the network.
        """

    def prepare(self, network: Network, evidence: Evidence) -> RowsPlan:
        """Keep the rows; see `EStep.prepare`."""
        return RowsPlan(network, evidence)

    def expected_statistics(self, plan: RowsPlan, parameters: FloatArray) -> ExpectedStatistics:
        """Query row by row; see `EStep.expected_statistics`."""
        network, evidence = plan
        # pgmpy builds no junction tree of a disconnected network, and a query needs its own component alone.
        components = connected_components(network)
        inferences = [self.make_inference(to_model(network, parameters, nodes)) for nodes in components]
        labels = [{_label(node) for node in nodes} for nodes in components]
        component_of = {node: number for number, nodes in enumerate(components) for node in nodes}

        def query(nodes: list[int], states: dict[str, int]) -> FloatArray:
            number = component_of[nodes[0]]
            evidence = {label: state for label, state in states.items() if label in labels[number]}
            factor = inferences[number].query([_label(node) for node in nodes], evidence=evidence, show_progress=False)
            values = np.asarray(compat_fns.to_numpy(factor.values), dtype=float)
            return values.transpose([factor.variables.index(_label(node)) for node in nodes])

        counts = np.zeros(network.n_cells)
        log_likelihood = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):  # pgmpy divides by the probability of the evidence
            for row in np.argsort(evidence.first_row).tolist():
                codes, weight = evidence.codes[row], float(evidence.weight[row])
                logarithm = _log_likelihood(network, parameters, codes, query)
                if not np.isfinite(logarithm):
                    raise impossible_evidence(network, evidence, parameters, np.array([row]))
                log_likelihood += weight * logarithm
                _add_family_posteriors(network, codes, weight, query, counts)
        return ExpectedStatistics(counts, log_likelihood)


def _states(codes: IntArray) -> dict[str, int]:
    """Evidence of one row, as pgmpy takes it."""
    return {_label(node): int(code) for node, code in enumerate(codes) if code != MISSING}


def _log_likelihood(network: Network, parameters: FloatArray, codes: IntArray, query: Query) -> float:
    """Log-probability of one row's observed states; not finite where it is zero."""
    completed = codes.astype(np.int64)
    log_posterior = 0.0
    for node in np.flatnonzero(codes == MISSING).tolist():
        posterior = query([node], _states(completed))
        if not posterior.sum() > 0:  # zero or NaN: the evidence is impossible
            return -np.inf
        completed[node] = int(posterior.argmax())
        log_posterior += float(np.log(posterior[completed[node]]))
    cells = [int(network.cells(node, completed[None])[0]) for node in range(network.n_nodes)]
    return float(np.log(parameters[cells]).sum()) - log_posterior


def _add_family_posteriors(network: Network, codes: IntArray, weight: float, query: Query, counts: FloatArray) -> None:
    """Add one row's posterior of every family to the counts, in place."""
    for node, family in enumerate(network.families):
        missing = [member for member in family.members if codes[member] == MISSING]
        index = tuple(slice(None) if codes[member] == MISSING else int(codes[member]) for member in family.members)
        posterior = query(missing, _states(codes)) if missing else 1.0
        network.block(counts, node)[index] += weight * posterior


class VariableEliminationEStep(PgmpyEStep):
    """Ask pgmpy's `VariableElimination`."""

    _tags: ClassVar[dict[str, Any]] = {"name": "variable_elimination"}

    def make_inference(self, model: DiscreteBayesianNetwork) -> Any:
        """Make a `VariableElimination`; see `PgmpyEStep.make_inference`."""
        from pgmpy.inference import VariableElimination  # loads statsmodels, and warns

        return VariableElimination(model)


class BeliefPropagationEStep(PgmpyEStep):
    """Ask pgmpy's `BeliefPropagation`, which calibrates a junction tree for every query."""

    _tags: ClassVar[dict[str, Any]] = {"name": "belief_propagation"}

    def make_inference(self, model: DiscreteBayesianNetwork) -> Any:
        """Make a `BeliefPropagation`; see `PgmpyEStep.make_inference`."""
        from pgmpy.inference import BeliefPropagation  # loads statsmodels, and warns

        return BeliefPropagation(model)
