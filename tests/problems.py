"""Random networks and data, and the plain answers to hold against the engines."""

import itertools
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork
from scipy.stats import multivariate_normal

from pgmpy_em_ext.arrays.network import Network, build_network
from pgmpy_em_ext.data.reduction import reduce_rows, to_evidence
from pgmpy_em_ext.data.rows import EncodedData, Evidence


class ProblemCase(NamedTuple):
    """A network, parameters, and rows of positive probability with weights."""

    network: Network
    parameters: np.ndarray
    codes: np.ndarray
    weight: np.ndarray

    @property
    def evidence(self) -> Evidence:
        rows = EncodedData(self.codes, self.weight, np.arange(len(self.codes)))
        return to_evidence(reduce_rows(rows))


def random_parameters(network, rng, zero_share=0.0):
    """Columns from Dirichlet(0.7), some entries zero; no column is zero throughout."""
    draws = rng.gamma(0.7, size=network.n_cells) + 1e-3
    draws[rng.random(network.n_cells) < zero_share] = 0
    empty = network.column_sums(draws)[network.column_of_cell] == 0
    draws[empty] = 1
    return draws / network.column_sums(draws)[network.column_of_cell]


def sample_codes(network, parameters, n_rows, rng):
    """Complete rows, drawn from the network."""
    codes = np.zeros((n_rows, network.n_nodes), dtype=np.int64)
    for node in network.topological_order:
        parents = network.families[node].parents
        table = network.block(parameters, node)
        columns = table[tuple(codes[:, parent] for parent in parents)] if parents else np.tile(table, (n_rows, 1))
        threshold = rng.random((n_rows, 1)) * columns.sum(axis=1, keepdims=True)
        codes[:, node] = (np.cumsum(columns, axis=1) <= threshold).sum(axis=1)
    return codes


@st.composite
def cases(draw, max_nodes=6, max_card=4, max_rows=12, deterministic=True):
    """Draw a case: any DAG, cardinalities 1 to 4, any missing pattern, fractional weights."""
    n_nodes = draw(st.integers(1, max_nodes))
    cards = draw(st.lists(st.integers(1, max_card), min_size=n_nodes, max_size=n_nodes))
    edges = draw(st.lists(st.booleans(), min_size=n_nodes * (n_nodes - 1) // 2, max_size=n_nodes * (n_nodes - 1) // 2))
    order = draw(st.permutations(range(n_nodes)))
    parents = {name: [] for name in range(n_nodes)}
    for (i, j), present in zip(itertools.combinations(range(n_nodes), 2), edges, strict=True):
        if present and len(parents[order[j]]) < 3:
            parents[order[j]].append(order[i])
    network = build_network(range(n_nodes), parents, {i: list(range(card)) for i, card in enumerate(cards)})
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    zero_share = draw(st.sampled_from([0.0, 0.0, 0.3])) if deterministic else 0.0
    parameters = random_parameters(network, rng, zero_share)
    codes = sample_codes(network, parameters, draw(st.integers(1, max_rows)), rng)
    codes[rng.random(codes.shape) < draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))] = -1
    weight = rng.choice([0.25, 1.0, 2.0, 3.7], size=len(codes))
    return ProblemCase(network, parameters, codes, weight)


def brute_force(case):
    """Expected counts and log-likelihood by the full joint, in plain Python."""
    network = case.network
    counts = np.zeros(network.n_cells)
    log_likelihood = 0.0
    for codes, weight in zip(case.codes.tolist(), case.weight.tolist(), strict=True):
        choices = [range(card) if code < 0 else [code] for code, card in zip(codes, network.cardinalities, strict=True)]
        weighed = []
        for states in itertools.product(*choices):
            cells = [
                int(network.offsets[node]) + sum(states[m] * s for m, s in zip(family.members, strides, strict=True))
                for node, (family, strides) in enumerate(zip(network.families, network.strides, strict=True))
            ]
            weighed.append((math.prod(case.parameters[cell] for cell in cells), cells))
        total = math.fsum(probability for probability, _ in weighed)
        log_likelihood += weight * math.log(total)
        for probability, cells in weighed:
            counts[cells] += weight * probability / total
    return counts, log_likelihood


def to_pgmpy(network, parameters=None, latents=()):
    """The same network as a pgmpy model, with CPDs where parameters are given."""
    model = DiscreteBayesianNetwork()
    model.add_nodes_from(network.names)
    model.latents = set(latents)
    for family in network.families:
        model.add_edges_from([(network.names[p], network.names[family.child]) for p in family.parents])
    if parameters is not None:
        for node, family in enumerate(network.families):
            model.add_cpds(
                TabularCPD(
                    network.names[node],
                    network.cardinalities[node],
                    network.block(parameters, node).reshape(-1, network.cardinalities[node]).T,
                    evidence=[network.names[p] for p in family.parents] or None,
                    evidence_card=[network.cardinalities[p] for p in family.parents] or None,
                    state_names={network.names[m]: list(network.state_names[m]) for m in family.members},
                )
            )
    return model


def to_frame(network, codes):
    """Rows as a table of state names, None where missing."""
    columns = {}
    for node, name in enumerate(network.names):
        states = [*network.state_names[node], None]  # the code -1 picks the last
        columns[name] = pd.Series([states[code] for code in codes[:, node]], dtype=object)
    return pd.DataFrame(columns)


def condition(mean, covariance, values):
    """Conditional mean of a row, conditional covariance, and the log-density of what it observes."""
    missing, seen = np.isnan(values), ~np.isnan(values)
    filled, left = values.copy(), np.zeros_like(covariance)
    if not seen.any():
        return mean.copy(), covariance.copy(), 0.0
    gain = covariance[np.ix_(missing, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    filled[missing] = mean[missing] + gain @ (values[seen] - mean[seen])
    left[np.ix_(missing, missing)] = covariance[np.ix_(missing, missing)] - gain @ covariance[np.ix_(seen, missing)]
    return filled, left, multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)]).logpdf(values[seen])
