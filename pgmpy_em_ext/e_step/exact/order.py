"""The order in which variables are eliminated, one for all rows: candidates, and the choice among them.

Sets of variables are bits of an integer, since what is done here is intersecting and counting
them, thousands of times.
"""

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.types import BoolArray

MAX_PATTERNS = 200
"""Rows whose missing patterns the candidates are compared on, at most."""

SAMPLED_CELLS = 4000
"""Missing cells of these rows together, about: some milliseconds for each candidate."""


class _Graph(NamedTuple):
    """A moral graph while variables are taken out of it.

    Attributes
    ----------
    neighbours : list of int
        The set of each variable's neighbours.
    log_card : list of float
        Logs to base 2 of the cardinalities; 1 at least, since a variable of one state is an axis too.
    alike : list of (float, int)
        The distinct entries of ``log_card``, each with the set of its variables.
    """

    neighbours: list[int]
    log_card: list[float]
    alike: list[tuple[float, int]]


def members(variables: int) -> Iterator[int]:
    """List the variables of a set, smallest first."""
    while variables:
        lowest = variables & -variables
        yield lowest.bit_length() - 1
        variables ^= lowest


def moral_graph(network: Network) -> list[int]:
    """Join the members of every family: the set of each node's neighbours."""
    neighbours = [0] * network.n_nodes
    for family in network.families:
        joined = sum(1 << node for node in family.members)
        for node in family.members:
            neighbours[node] |= joined & ~(1 << node)
    return neighbours


def _start(network: Network) -> _Graph:
    log_card = [math.log2(max(card, 2)) for card in network.cardinalities]
    alike = [
        (value, sum(1 << node for node, other in enumerate(log_card) if other == value)) for value in set(log_card)
    ]
    return _Graph(moral_graph(network), log_card, sorted(alike))


def _weight(graph: _Graph, variables: int) -> float:
    """Sum of log cardinalities: the log of a table's size."""
    return sum(value * (variables & mask).bit_count() for value, mask in graph.alike)


def _weighted_fill(graph: _Graph, node: int) -> tuple[float, float]:
    """Weight of the edges that eliminating the node would add, then the size of its table."""
    around = graph.neighbours[node]
    fill = 0.0
    for other in members(around):
        unjoined = around & ~graph.neighbours[other] & ~(1 << other)
        if unjoined:
            fill += graph.log_card[other] * _weight(graph, unjoined)
    return fill, _weight(graph, around)


def _fill(graph: _Graph, node: int) -> tuple[float, float]:
    """Count the edges that eliminating the node would add; then the size of its table."""
    around = graph.neighbours[node]
    fill = sum((around & ~graph.neighbours[other]).bit_count() - 1 for other in members(around))
    return fill, _weight(graph, around)


def _table(graph: _Graph, node: int) -> tuple[float, float]:
    """Size of the table that eliminating the node would take."""
    return _weight(graph, graph.neighbours[node] | 1 << node), 0.0


Rule = Callable[[_Graph, int], tuple[float, float]]

RULES: tuple[Rule, ...] = (_weighted_fill, _fill, _table)
"""What the greedy orders minimise, the best guess first."""


def greedy_order(network: Network, rule: Rule) -> tuple[int, ...]:
    """Order the variables greedily, the one that costs least first.

    Ties go to the earlier variable, so that the order is deterministic.

    Parameters
    ----------
    network : Network
        Structure and cardinalities.
    rule : callable
        Cost of a variable. One of no fill must be 0 whatever other variables there are.

    Notes
    -----
    Time: a cost that an elimination has changed is computed again when the variable comes
    up with what was known, or, since costs fall too, when nothing free of cost is known. A hub
    with hundreds of leaves is scored a few times, not once for each leaf.

    References
    ----------
    Koller & Friedman (2009), Probabilistic Graphical Models, section 9.4.3.
    """
    graph = _start(network)
    cost = [rule(graph, node) for node in range(network.n_nodes)]
    heap = [(*known, node) for node, known in enumerate(cost)]
    heapq.heapify(heap)
    left, stale = (1 << network.n_nodes) - 1, 0
    order: list[int] = []
    while left:
        entry = heapq.heappop(heap) if heap else None
        if stale and (entry is None or entry[0] > 0):
            if entry is not None:
                heapq.heappush(heap, entry)
            for node in members(stale):
                cost[node] = rule(graph, node)
                heapq.heappush(heap, (*cost[node], node))
            stale = 0
            continue
        assert entry is not None  # some variable is left, and nothing is stale
        node = entry[2]
        if not left >> node & 1 or stale >> node & 1 or entry[:2] != cost[node]:
            continue
        left &= ~(1 << node)
        order.append(node)
        stale = (stale | _eliminate(graph.neighbours, node, filled=cost[node][0] > 0)) & left
    return tuple(order)


def _eliminate(neighbours: list[int], node: int, *, filled: bool) -> int:
    """Join a node's neighbours and take the node away, in place; returns those whose costs may have changed."""
    around = neighbours[node]
    changed = around
    for other in members(around):
        neighbours[other] = (neighbours[other] | around) & ~(1 << other | 1 << node)
        if filled:
            changed |= neighbours[other]
    return changed


def sample_patterns(n_rows: int, n_alive: int) -> np.ndarray:
    """Choose rows to compare orders on, evenly spaced.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    n_alive : int
        Their variables to eliminate, all together.
    """
    wanted = min(n_rows, MAX_PATTERNS, max(SAMPLED_CELLS * n_rows // max(n_alive, 1), 8))
    return np.unique(np.linspace(0, n_rows - 1, wanted).astype(np.int64))


def predicted_reads(network: Network, order: Sequence[int], alive: BoolArray, dead: BoolArray) -> float:
    """Predict how many factors the elimination of some rows' missing variables reads, if no steps are shared.

    Parameters
    ----------
    network : Network
        Structure and cardinalities.
    order : sequence of int
        The elimination order.
    alive, dead : bool ndarrays of shape (n_rows, n_nodes)
        The variables to eliminate, and those that are barren.
    """
    families = [sum(1 << node for node in family.members) for family in network.families]
    cards = network.cardinalities
    rank = {node: position for position, node in enumerate(order)}
    total = 0.0
    for row_alive, row_dead in zip(alive, dead, strict=True):
        nodes = sorted(np.flatnonzero(row_alive).tolist(), key=rank.__getitem__)
        left = sum(1 << node for node in nodes)
        children = {child for node in nodes for child in (node, *network.children[node]) if not row_dead[child]}
        factors: dict[int, list[int]] = {node: [] for node in nodes}
        for child in children:
            scope = families[child] & left
            factors[min(members(scope), key=rank.__getitem__)].append(scope)
        for node in nodes:
            scope = _union(factors[node]) & ~(1 << node)
            total += math.prod(
                (cards[other] for other in members(scope)), start=float(len(factors[node]) * cards[node])
            )
            if scope:
                factors[min(members(scope), key=rank.__getitem__)].append(scope)
    return total


def _union(sets: Iterable[int]) -> int:
    joined = 0
    for variables in sets:
        joined |= variables
    return joined


def rank_orders(network: Network, alive: BoolArray, dead: BoolArray) -> list[tuple[int, ...]]:
    """List candidate elimination orders, the one that is predicted to cost least first.

    Parameters
    ----------
    network : Network
        Structure and cardinalities.
    alive, dead : bool ndarrays of shape (n_rows, n_nodes)
        As in `predicted_reads`.

    Returns
    -------
    list of tuple of int
        By weighted min-fill, by min-fill, by the smallest table, and children before their
        parents; of equal costs the earlier in this list.
    """
    rows = sample_patterns(len(alive), int(alive.sum()))
    alive, dead = alive[rows], dead[rows]
    candidates = [greedy_order(network, rule) for rule in RULES]
    candidates.append(tuple(reversed(network.topological_order)))
    distinct = list(dict.fromkeys(candidates))
    cost = [predicted_reads(network, order, alive, dead) for order in distinct]
    return [order for _, order in sorted(zip(cost, distinct, strict=True), key=lambda entry: entry[0])]
