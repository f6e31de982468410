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
    Time: after each elimination only the nodes within two steps of it are
    scored again.

    References
    ----------
    Koller & Friedman (2009), Probabilistic Graphical Models, section 9.4.3.
    """
    neighbours = moral_graph(network)
    log_card = [math.log2(max(card, 2)) for card in network.cardinalities]
    costs = {node: (*_fill_cost(neighbours, log_card, node), node) for node in range(network.n_nodes)}
    order = []
    while costs:
        node = min(costs.values())[2]
        del costs[node]
        order.append(node)
        around = neighbours[node]
        affected = set(around)
        for other in around:
            affected |= neighbours[other]
            neighbours[other] |= around
            neighbours[other] -= {other, node}
        neighbours[node] = set()
        for other in affected & costs.keys():
            costs[other] = (*_fill_cost(neighbours, log_card, other), other)
    return tuple(order)
