"""Which parts of each row are sampled, and in which blocks: compiled.

A row's missing variables fall apart into components. One whose elimination needs no table above the
limit stays exact. Another is covered with blocks, sets of variables that can be eliminated
exactly, given the others: the complement of a block is its cutset.

References
----------
Jensen, Kong & Kjaerulff (1995), Int. J. Human-Computer Studies 42 (blocking Gibbs sampling). Bidyuk & Dechter
(2007), JAIR 28 (cutsets).
"""

import numpy as np

from pgmpy_em_ext.e_step.compiling import compiled, entry_point
from pgmpy_em_ext.e_step.sampled.kernel import sort_by


@compiled
def _room(array, length):  # type: ignore[no-untyped-def]
    """Give the array itself, or a longer copy where it is too short."""
    if length <= len(array):
        return array
    longer = np.empty(max(length, 2 * len(array)), dtype=array.dtype)
    longer[: len(array)] = array
    return longer


@compiled
def _find_component(net, start, alive, absent, visited, stack):  # type: ignore[no-untyped-def]
    """Visit the missing variables that families join to one of them; returns how many lie on the stack."""
    stack[0], count, done = start, 1, 0
    visited[start] = True
    while done < count:
        node = stack[done]
        done += 1
        for t in range(net.touching_first[node], net.touching_first[node + 1]):
            family = net.touching[t]
            if absent[family]:
                continue
            for j in range(net.member_first[family], net.member_first[family + 1]):
                other = net.member[j]
                if alive[other] and not visited[other]:
                    visited[other] = True
                    stack[count] = other
                    count += 1
    return count


@compiled
def _hand_scope(pool, first, length, in_block, rank, after, head, following, factor):  # type: ignore[no-untyped-def]
    """Hand a factor to the first of its variables that comes later and is in the block."""
    destination = len(rank)
    for e in range(first, first + length):
        if in_block[pool[e]] and rank[pool[e]] > after:
            destination = min(destination, rank[pool[e]])
    if destination < len(rank):
        following[factor] = head[destination]
        head[destination] = factor


@compiled
def _victim(pool, first, length, card, covered, node):  # type: ignore[no-untyped-def]
    """Choose what leaves the block so that a table becomes smaller: what other blocks have, and comes last."""
    last, last_covered = -1, -1
    for e in range(first, first + length):
        if card[pool[e]] > 1:
            last = pool[e]
            if covered[pool[e]]:
                last_covered = pool[e]
    if last_covered >= 0:
        return last_covered
    return node if covered[node] else last


@compiled
def _choose_block(net, nodes, families, covered, in_block, rank, limit):  # type: ignore[no-untyped-def]
    """Eliminate a component's sets of variables; what makes a table too large leaves the block.

    Parameters
    ----------
    nodes, families : int64 ndarrays
        Of the component, nodes in the elimination order.
    covered : bool ndarray of shape (n_nodes,)
        Variables that earlier blocks have.
    in_block : bool ndarray of shape (n_nodes,)
        Written; all of the component's variables at the beginning.
    rank : int64 ndarray of shape (n_nodes,)
        Position of each in ``nodes``.
    limit : float
        Cells of a table at most; infinite to find out how large they become.

    Returns
    -------
    largest, total : float
        Cells of the largest table, and of all.
    """
    m = len(nodes)
    head = np.full(m, -1, dtype=np.int64)
    n_factors = len(families)
    following = np.empty(n_factors + m, dtype=np.int64)
    first = np.empty(n_factors + m + 1, dtype=np.int64)
    pool = np.empty(64 * m + 64, dtype=np.int64)
    used = 0
    for k in range(n_factors):
        first[k] = used
        for j in range(net.member_first[families[k]], net.member_first[families[k] + 1]):
            if in_block[net.member[j]]:
                pool = _room(pool, used + 1)
                pool[used] = net.member[j]
                used += 1
        first[k + 1] = used
        _hand_scope(pool, first[k], used - first[k], in_block, rank, -1, head, following, k)
    joined = np.full(m, -1, dtype=np.int64)
    largest, total = 0.0, 0.0
    for p in range(m):
        node = nodes[p]
        low, size = used, float(net.card[node])
        factor = head[p] if in_block[node] else -1
        while factor >= 0:  # unite the scopes
            for e in range(first[factor], first[factor + 1]):
                other = pool[e]
                if in_block[other] and other != node and joined[rank[other]] != p:
                    joined[rank[other]] = p
                    pool = _room(pool, used + 1)
                    place = used
                    while place > low and rank[pool[place - 1]] > rank[other]:
                        pool[place] = pool[place - 1]
                        place -= 1
                    pool[place] = other
                    used += 1
                    size *= net.card[other]
            factor = following[factor]
        while size > limit and used > low and in_block[node]:
            out = _victim(pool, low, used - low, net.card, covered, node)
            if out < 0:
                break
            in_block[out] = False
            if out == node:
                used = low
                break
            kept = low
            for e in range(low, used):
                if pool[e] != out:
                    pool[kept] = pool[e]
                    kept += 1
            used = kept
            size /= net.card[out]
        if not in_block[node]:
            factor = head[p]
            while factor >= 0:
                after = following[factor]
                _hand_scope(
                    pool, first[factor], first[factor + 1] - first[factor], in_block, rank, p, head, following, factor
                )
                factor = after
            continue
        largest, total = max(largest, size), total + size
        if used > low:
            first[n_factors], first[n_factors + 1] = low, used
            _hand_scope(pool, low, used - low, in_block, rank, p, head, following, n_factors)
            n_factors += 1
    return largest, total


@entry_point
def measure_rows(net, alive, absent):  # type: ignore[no-untyped-def]
    """Predict what exact elimination of each component of each row takes.

    Parameters
    ----------
    net : NetworkArrays
        With the elimination order.
    alive : bool ndarray of shape (n_rows, n_nodes)
        Missing variables to infer.
    absent : bool ndarray of shape (n_rows, n_nodes)
        Families that have no part in the row.

    Returns
    -------
    component : int32 ndarray of shape (n_rows, n_nodes)
        The component of each variable, numbered over all rows; -1 where it is not missing.
    row : int64 ndarray of shape (n_components,)
        The row of each.
    largest, total : float64 ndarrays of shape (n_components,)
        Cells of its largest table, and of all its tables.
    """
    n_rows, n_nodes = alive.shape
    component = np.full((n_rows, n_nodes), -1, dtype=np.int32)
    row = np.empty(1024, dtype=np.int64)
    largest, total = np.empty(1024), np.empty(1024)
    place = np.empty(n_nodes, dtype=np.int64)
    place[net.order] = np.arange(n_nodes)
    stack, rank = np.empty(n_nodes, dtype=np.int64), np.empty(n_nodes, dtype=np.int64)
    nobody, in_block = np.zeros(n_nodes, dtype=np.bool_), np.zeros(n_nodes, dtype=np.bool_)
    n = 0
    for r in range(n_rows):
        visited = np.zeros(n_nodes, dtype=np.bool_)
        for start in net.order:
            if not alive[r, start] or visited[start]:
                continue
            count = _find_component(net, start, alive[r], absent[r], visited, stack)
            nodes = stack[:count].copy()
            sort_by(nodes, place)
            for p in range(count):
                rank[nodes[p]] = p
                in_block[nodes[p]] = True
                component[r, nodes[p]] = n
            families = families_of(net, nodes, absent[r])
            row, largest, total = _room(row, n + 1), _room(largest, n + 1), _room(total, n + 1)
            row[n] = r
            largest[n], total[n] = _choose_block(net, nodes, families, nobody, in_block, rank, np.inf)
            in_block[nodes] = False
            n += 1
    return component, row[:n], largest[:n], total[:n]


@compiled
def families_of(net, nodes, absent):  # type: ignore[no-untyped-def]
    """List the families that contain some of the nodes, in rising order."""
    taken = np.zeros(len(net.card), dtype=np.bool_)
    for node in nodes:
        for t in range(net.touching_first[node], net.touching_first[node + 1]):
            taken[net.touching[t]] = not absent[net.touching[t]]
    return np.flatnonzero(taken)


@entry_point
def cover_components(net, nodes, node_first, absent, limit):  # type: ignore[no-untyped-def]
    """Cover components with blocks.

    Parameters
    ----------
    net : NetworkArrays
        With the elimination order.
    nodes, node_first : int64 ndarrays
        Component c has the variables ``nodes[node_first[c]:node_first[c + 1]]``, in that order.
    absent : bool ndarray of shape (n_components, n_nodes)
        Families that have no part in the component's row.
    limit : float
        Cells of a block's tables at most.

    Returns
    -------
    family_first, family : int64 ndarrays
        The families that contain some of each component's variables.
    block_first : int64 ndarray of shape (n_components + 1,)
        Where each component's blocks begin.
    block_node_first, block_node : int64 ndarrays
        The variables of each block, in the elimination order.
    block_family_first, block_family : int64 ndarrays
        The families that each block needs.
    block_share : float64 ndarray
        With what part of the weight each of these is counted in the block: each family is counted
        where most of its variables are summed out, which leaves it the least noise.
    """
    n, n_nodes = len(node_first) - 1, len(net.card)
    block_first, family_first = np.zeros(n + 1, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    family_list = np.empty(1024, dtype=np.int64)
    block_node_first, block_family_first = np.zeros(1024, dtype=np.int64), np.zeros(1024, dtype=np.int64)
    block_node, block_family = np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.int64)
    block_share = np.empty(1024)
    rank = np.empty(n_nodes, dtype=np.int64)
    b, n_entries, n_shares = 0, 0, 0
    for c in range(n):
        own = nodes[node_first[c] : node_first[c + 1]]
        families = families_of(net, own, absent[c])
        family_first[c + 1] = family_first[c] + len(families)
        family_list = _room(family_list, family_first[c + 1])
        family_list[family_first[c] : family_first[c + 1]] = families
        for p in range(len(own)):
            rank[own[p]] = p
        covered = np.zeros(n_nodes, dtype=np.bool_)
        most, ties = np.zeros(n_nodes, dtype=np.int64), np.zeros(n_nodes, dtype=np.int64)
        n_covered = 0
        while n_covered < len(own):
            in_block = np.zeros(n_nodes, dtype=np.bool_)
            in_block[own] = True
            _choose_block(net, own, families, covered, in_block, rank, limit)
            block_node = _room(block_node, n_entries + len(own))
            for node in own:
                if in_block[node]:
                    block_node[n_entries] = node
                    n_entries += 1
                    n_covered += 0 if covered[node] else 1
                    covered[node] = True
            for family in families:
                inside = _count_inside(net, family, in_block)
                if inside > most[family]:
                    most[family], ties[family] = inside, 0
                ties[family] += 1 if inside == most[family] else 0
            block_node_first, b = _room(block_node_first, b + 2), b + 1
            block_node_first[b] = n_entries
        block_first[c + 1] = b
        block_family_first = _room(block_family_first, b + 1)
        for block in range(block_first[c], b):
            in_block = np.zeros(n_nodes, dtype=np.bool_)
            in_block[block_node[block_node_first[block] : block_node_first[block + 1]]] = True
            block_family = _room(block_family, n_shares + len(families))
            block_share = _room(block_share, n_shares + len(families))
            for family in families:
                inside = _count_inside(net, family, in_block)
                if inside > 0:  # every family has a variable in some block
                    block_family[n_shares] = family
                    block_share[n_shares] = 1.0 / ties[family] if inside == most[family] else 0.0
                    n_shares += 1
            block_family_first[block + 1] = n_shares
    return (
        family_first,
        family_list[: family_first[n]],
        block_first,
        block_node_first[: b + 1],
        block_node[:n_entries],
        block_family_first[: b + 1],
        block_family[:n_shares],
        block_share[:n_shares],
    )


@compiled
def _count_inside(net, family, in_block):  # type: ignore[no-untyped-def]
    """Count a family's members in a block."""
    inside = 0
    for j in range(net.member_first[family], net.member_first[family + 1]):
        inside += 1 if in_block[net.member[j]] else 0
    return inside
