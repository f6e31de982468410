"""The order in which variables are eliminated, one for all rows."""

import math

from pgmpy_em_ext.network import Network


def moral_graph(network: Network) -> list[set[int]]:
    """Join the members of every family: the neighbours of each node."""
    neighbours: list[set[int]] = [set() for _ in range(network.n_nodes)]
    for family in network.families:
        for node in family.members:
            neighbours[node].update(family.members)
    for node, found in enumerate(neighbours):
        found.discard(node)
    return neighbours


def _fill_cost(neighbours: list[set[int]], log_card: list[float], node: int) -> tuple[float, float]:
    """Weight of the edges that eliminating the node would add, then the size of its table."""
    around = neighbours[node]
    fill = 0.0
    for other in around:
        missing = around - neighbours[other]
        fill += log_card[other] * sum(log_card[third] for third in missing if third > other)
    return fill, sum(log_card[other] for other in around)


def elimination_order(network: Network) -> tuple[int, ...]:
    """Order the variables by weighted min-fill on the moral graph.

    The greedy rule eliminates the node whose new edges weigh least, an edge
    weighing the product of its ends' log cardinalities; ties go to the smaller
    table, then to the earlier variable, so that the order is deterministic.

    Notes
    -----
    Time: a node that adds no edge is best whatever the others cost, so that costs which an
    elimination has changed are computed again only when no such node is known. A hub with
    hundreds of leaves is scored twice, not once for each leaf.

    References
    ----------
    Koller & Friedman (2009), Probabilistic Graphical Models, section 9.4.3.
    """
    neighbours = moral_graph(network)
    log_card = [math.log2(max(card, 2)) for card in network.cardinalities]
    costs = {node: (*_fill_cost(neighbours, log_card, node), node) for node in range(network.n_nodes)}
    stale: set[int] = set()
    order = []
    while costs:
        best = min((cost for node, cost in costs.items() if node not in stale), default=None)
        if stale and (best is None or best[0] > 0):
            costs.update((node, (*_fill_cost(neighbours, log_card, node), node)) for node in stale)
            stale.clear()
            best = min(costs.values())
        assert best is not None  # some node is left, and its cost is known
        fill, _, node = best
        del costs[node]
        order.append(node)
        affected = _eliminate(neighbours, node)
        if fill > 0:
            affected = affected.union(*(neighbours[other] for other in affected))
        stale |= affected & costs.keys()
    return tuple(order)


def _eliminate(neighbours: list[set[int]], node: int) -> set[int]:
    """Join a node's neighbours and take the node away, in place; returns the neighbours."""
    around = neighbours[node]
    neighbours[node] = set()
    for other in around:
        neighbours[other] |= around
        neighbours[other] -= {other, node}
    return around
