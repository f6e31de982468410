"""Elimination of some variables of one row, the others given, and the chains made of it: compiled.

The structure is derived while the numbers are computed, so that nothing is kept for each row but
its states: a product over some variables is laid out when it is needed. What `forward` leaves in the
workspace is what `draw` and `hand_back` read.

Where a product would range over more than a given number of cells, `forward` multiplies the factors
in several groups instead (mini-buckets), and what comes out is no longer exact: `draw` then
draws from a distribution that is close to the posterior, and says how close each draw was.

All functions stand in this one file: numba compiles anew what has changed in the file of a kernel, and does not
look at other files that it calls. Importing it needs numba.

References
----------
Dechter (1999), Artificial Intelligence 113 (bucket elimination). Dechter & Rish (2003), J. ACM 50(2)
(mini-buckets). Liu & Ihler (2011), ICML (the norms by which their messages are made). Jensen, Kong & Kjaerulff
(1995), Int. J. Human-Computer Studies 42 (blocking Gibbs sampling). Tierney (1994), Ann. Stat. 22 (independence
Metropolis-Hastings).
"""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.compiling import compiled, entry_point
from pgmpy_em_ext.types import FloatArray, IntArray

SMALLEST = 1e-150
"""Tables that add up to less are multiplied again with every factor scaled."""

MAX_AXES = 64
"""Variables that one table ranges over: as many as a family can have members."""

# Columns of the workspace's integer tables.
POSITION, HEAD, STEP_FIRST, AXIS_OF, CARD = range(5)
BASE, ENTRY, N_ENTRIES, ORIGIN, FOLLOWING, IN_BUCKET, GROUP, USED = range(8)
TABLE, SIZE, MESSAGE, AXIS, N_AXES, FACTOR, N_FACTORS, STRIDES, NODE = range(9)

# What a draw is for: keys that keep the random numbers of different purposes apart.
LIKELIHOOD, START, SWEEP = range(3)

# What may keep a chain from running: the last column of ``moves``.
IMPOSSIBLE, NO_START = 1, 2


@compiled
def mix(key, number):  # type: ignore[no-untyped-def]
    """Hash a key and a number to a new key: the finaliser of SplitMix64.

    Keys that are made from a seed, an iteration and a row give every row random numbers of its own,
    whichever thread works on it and whatever came before.

    References
    ----------
    Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA.
    """
    z = np.uint64(key) + (np.uint64(number) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def uniform(rng):  # type: ignore[no-untyped-def]
    """Draw from [0, 1); ``rng`` is a uint64 ndarray with the key and how many numbers were drawn from it."""
    rng[1] += np.uint64(1)
    return np.float64(mix(rng[0], rng[1]) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled
def choose_state(weights, low, high, rng):  # type: ignore[no-untyped-def]
    """Draw one of the entries low .. high - 1 in proportion to their weights; -1 where all are zero."""
    total = 0.0
    for i in range(low, high):
        total += weights[i]
    threshold = uniform(rng) * total
    chosen, reached = low - 1, 0.0
    for i in range(low, high):
        if weights[i] > 0.0:
            chosen = i
            reached += weights[i]
            if reached > threshold:
                break
    return chosen - low


@compiled
def sort_by(nodes, place):  # type: ignore[no-untyped-def]
    """Sort nodes by their place, in place; few are far from it."""
    for k in range(1, len(nodes)):
        node, at = nodes[k], k
        while at > 0 and place[nodes[at - 1]] > place[node]:
            nodes[at] = nodes[at - 1]
            at -= 1
        nodes[at] = node


class Workspace(NamedTuple):
    """Scratch for the elimination of one row's variables.

    ``values`` begins with the parameters, and messages follow; ``adjoint`` is as long. ``table`` has
    the products of all steps. ``node``, ``factor`` and ``step`` have the columns named above;
    ``entry`` is a pool of what factors range over (position of the variable, stride), ``axis`` of what
    tables range over (position, cardinality), ``strides`` of the factors' strides along a table's axes,
    the eliminated variable first. ``places`` is scratch.
    """

    values: FloatArray
    adjoint: FloatArray
    table: FloatArray
    shift: FloatArray
    product: FloatArray
    node: IntArray
    factor: IntArray
    entry: IntArray
    step: IntArray
    axis: IntArray
    strides: IntArray
    groups: IntArray
    places: IntArray


@compiled
def make_workspace(parameters, net, room):  # type: ignore[no-untyped-def]
    """Make scratch; ``room`` is the number of table cells, and scales what else depends on the structure."""
    n_nodes, n_factors = len(net.card), len(net.card) + len(net.member) + 1
    pool = 16 * n_factors + room
    values = np.empty(len(parameters) + room)
    values[: len(parameters)] = parameters
    node = np.full((n_nodes + 2, 5), -1, dtype=np.int64)
    return Workspace(
        values,
        np.zeros(len(values)),
        np.empty(room),
        np.empty(n_factors),
        np.empty(np.max(net.card)),
        node,
        np.empty((n_factors, 8), dtype=np.int64),
        np.empty((pool, 2), dtype=np.int64),
        np.empty((n_factors, 9), dtype=np.int64),
        np.empty((pool, 2), dtype=np.int64),
        np.empty(pool, dtype=np.int64),
        np.empty((n_factors, MAX_AXES + 1), dtype=np.int64),
        np.empty(room, dtype=np.int64),
    )


@compiled
def _collect_families(net, states, families, low, high, ws):  # type: ignore[no-untyped-def]
    """Make a factor of every family, its given members fixed, and hand it to its first variable."""
    n_factors, pool = 0, 0
    node, factor, entry = ws.node, ws.factor, ws.entry
    for k in range(low, high):
        family = families[k]
        base, count, first = net.offset[family], 0, len(node)
        for j in range(net.member_first[family], net.member_first[family + 1]):
            member, stride = net.member[j], net.stride[j]
            p = node[member, POSITION]
            if p < 0:
                base += states[member] * stride
                continue
            entry[pool + count, 0], entry[pool + count, 1] = p, stride
            count += 1
            first = min(first, p)
        if count == 0:
            continue
        factor[n_factors, BASE], factor[n_factors, ORIGIN] = base, k - low
        factor[n_factors, ENTRY], factor[n_factors, N_ENTRIES] = pool, count
        factor[n_factors, FOLLOWING] = node[first, HEAD]
        node[first, HEAD] = n_factors
        n_factors += 1
        pool += count
    return n_factors, pool


@compiled
def _form_groups(ws, p, max_table_size):  # type: ignore[no-untyped-def]
    """Divide a variable's factors into groups, the widest first; a group's table grows up to the limit.

    The axes of group g are left in ``ws.groups[g]``, in rising order, and how many they are in its last column.
    """
    node, factor, entry, groups = ws.node, ws.factor, ws.entry, ws.groups
    n, n_groups = 0, 0
    following = node[p, HEAD]
    while following >= 0:
        place = n
        while place > 0 and factor[factor[place - 1, IN_BUCKET], N_ENTRIES] < factor[following, N_ENTRIES]:
            factor[place, IN_BUCKET] = factor[place - 1, IN_BUCKET]
            place -= 1
        factor[place, IN_BUCKET] = following
        n += 1
        following = factor[following, FOLLOWING]
    for i in range(n):
        f = factor[i, IN_BUCKET]
        first, last = factor[f, ENTRY], factor[f, ENTRY] + factor[f, N_ENTRIES]
        chosen = n_groups
        for g in range(n_groups):
            before = float(node[p, CARD])
            for a in range(groups[g, MAX_AXES]):
                before *= node[groups[g, a], CARD]
            after = before
            for e in range(first, last):
                q = entry[e, 0]
                found = q == p
                for a in range(groups[g, MAX_AXES]):
                    found = found or groups[g, a] == q
                if not found:
                    after *= node[q, CARD]
            if after == before or after <= max_table_size:
                chosen = g
                break
        if chosen == n_groups:
            groups[chosen, MAX_AXES] = 0
            n_groups += 1
        factor[i, GROUP] = chosen
        count = groups[chosen, MAX_AXES]
        for e in range(first, last):
            q = entry[e, 0]
            place = count
            while place > 0 and groups[chosen, place - 1] > q:
                place -= 1
            if q == p or (place > 0 and groups[chosen, place - 1] == q):
                continue
            for a in range(count, place, -1):
                groups[chosen, a] = groups[chosen, a - 1]
            groups[chosen, place] = q
            count += 1
        groups[chosen, MAX_AXES] = count
    return n, n_groups


@compiled
def _lay_out(ws, p, g, n_bucket, s):  # type: ignore[no-untyped-def]
    """Note a step's axes, and its factors' strides along them; returns False where there is no room."""
    node, factor, entry, step, axis, strides = ws.node, ws.factor, ws.entry, ws.step, ws.axis, ws.strides
    n_axes = ws.groups[g, MAX_AXES]
    axis_at, used_at, stride_at = step[s, AXIS], step[s, FACTOR], step[s, STRIDES]
    if axis_at + n_axes > len(axis) or stride_at + n_bucket * (n_axes + 1) > len(strides):
        return False
    node[p, AXIS_OF] = 0
    size = 1
    for a in range(n_axes):
        q = ws.groups[g, a]
        axis[axis_at + a, 0], axis[axis_at + a, 1] = q, node[q, CARD]
        node[q, AXIS_OF] = a + 1
        size *= node[q, CARD]
    n_used = 0
    for i in range(n_bucket):
        if factor[i, GROUP] != g:
            continue
        f = factor[i, IN_BUCKET]
        for a in range(n_axes + 1):
            strides[stride_at + a] = 0
        for e in range(factor[f, ENTRY], factor[f, ENTRY] + factor[f, N_ENTRIES]):
            strides[stride_at + node[entry[e, 0], AXIS_OF]] = entry[e, 1]
        factor[used_at + n_used, USED] = f
        n_used += 1
        stride_at += n_axes + 1
    step[s, N_AXES], step[s, N_FACTORS], step[s, SIZE] = n_axes, n_used, size
    return True


@compiled
def _find_places(ws, s, j):  # type: ignore[no-untyped-def]
    """List where one of a step's factors is read, for each configuration of the axes, the first axis fastest.

    Returns
    -------
    int
        The factor's stride along the variable that is eliminated.
    """
    places, axis, strides = ws.places, ws.axis, ws.strides
    first, n_axes = ws.step[s, AXIS], ws.step[s, N_AXES]
    stride_at = ws.step[s, STRIDES] + j * (n_axes + 1)
    places[0] = ws.factor[ws.factor[ws.step[s, FACTOR] + j, USED], BASE]
    filled = 1
    for a in range(n_axes):
        stride = strides[stride_at + a + 1]
        for digit in range(1, axis[first + a, 1]):
            for i in range(filled):
                places[digit * filled + i] = places[i] + digit * stride
        filled *= axis[first + a, 1]
    return strides[stride_at]


@compiled
def _multiply_by(ws, s, card, j):  # type: ignore[no-untyped-def]
    """Multiply a step's table by one of its factors."""
    at, values, cells, places = ws.step[s, TABLE], ws.values, ws.table, ws.places
    stride = _find_places(ws, s, j)
    if card == 2:
        for i in range(ws.step[s, SIZE]):
            cells[at + 2 * i] *= values[places[i]]
            cells[at + 2 * i + 1] *= values[places[i] + stride]
        return
    for i in range(ws.step[s, SIZE]):
        for x in range(card):
            cells[at + i * card + x] *= values[places[i] + x * stride]


@compiled
def _multiply(ws, s, card):  # type: ignore[no-untyped-def]
    """Fill a step's table with the product of its factors; returns the sum."""
    at, n_cells = ws.step[s, TABLE], ws.step[s, SIZE] * card
    for i in range(at, at + n_cells):
        ws.table[i] = 1.0
    for j in range(ws.step[s, N_FACTORS]):
        _multiply_by(ws, s, card, j)
    total = 0.0
    for i in range(at, at + n_cells):
        total += ws.table[i]
    return total


@compiled
def _scale_to_one(ws, s, cells):  # type: ignore[no-untyped-def]
    """Scale a step's table to a largest entry of one, in place; returns the logarithm of what that was."""
    at, highest = ws.step[s, TABLE], 0.0
    for i in range(at, at + cells):
        highest = max(highest, ws.table[i])
    if highest == 0.0:
        return 0.0
    for i in range(at, at + cells):
        ws.table[i] /= highest
    return np.log(highest)


@compiled
def _multiply_scaled(ws, s, card):  # type: ignore[no-untyped-def]
    """Multiply factor by factor, the table scaled each time; returns the logarithm of the scale."""
    at, cells = ws.step[s, TABLE], ws.step[s, SIZE] * card
    for i in range(at, at + cells):
        ws.table[i] = 1.0
    shift = 0.0
    for j in range(ws.step[s, N_FACTORS]):
        _multiply_by(ws, s, card, j)
        shift += _scale_to_one(ws, s, cells)
    return shift


@compiled
def _sum_out(ws, s, card, power):  # type: ignore[no-untyped-def]
    """Turn a step's table into its message, scaled to sum to one; returns what it was divided by.

    With several groups the message is a norm of each column, whose product bounds the sum of products
    (Hoelder's inequality) and treats the groups alike.
    """
    at, size, message = ws.step[s, TABLE], ws.step[s, SIZE], ws.step[s, MESSAGE]
    values, cells = ws.values, ws.table
    total = 0.0
    for i in range(size):
        column, highest = 0.0, 1.0
        if power > 1:  # relative to the largest entry, lest powers underflow
            highest = 0.0
            for x in range(card):
                highest = max(highest, cells[at + x])
        for x in range(card):
            relative = cells[at + x] / highest if highest > 0.0 else 0.0
            entry = relative
            for _ in range(1, power):
                entry *= relative
            column += entry
        if power == 2:
            column = np.sqrt(column)
        elif power > 2:
            column = column ** (1.0 / power)
        column *= highest
        values[message + i] = column
        total += column
        at += card
    if total > 0.0:
        for i in range(size):
            values[message + i] /= total
    return total


@compiled
def _hand_on(ws, s, f, pool):  # type: ignore[no-untyped-def]
    """Make a factor of a step's message, and hand it to its first variable; False where there is no room."""
    first, n_axes = ws.step[s, AXIS], ws.step[s, N_AXES]
    if pool + n_axes > len(ws.entry):
        return False
    ws.factor[f, BASE], ws.factor[f, ORIGIN] = ws.step[s, MESSAGE], -1
    ws.factor[f, ENTRY], ws.factor[f, N_ENTRIES] = pool, n_axes
    stride = 1
    for a in range(n_axes):
        ws.entry[pool + a, 0], ws.entry[pool + a, 1] = ws.axis[first + a, 0], stride
        stride *= ws.axis[first + a, 1]
    q = ws.axis[first, 0]
    ws.factor[f, FOLLOWING] = ws.node[q, HEAD]
    ws.node[q, HEAD] = f
    return True


@compiled
def forward(net, states, nodes, low, high, families, family_low, family_high, max_table_size, n_parameters, ws):  # type: ignore[no-untyped-def]
    """Eliminate some variables of a row, the others given.

    Parameters
    ----------
    net : NetworkArrays
        The network.
    states : int64 ndarray of shape (n_nodes,)
        The row; of the variables that are eliminated nothing is read.
    nodes : int64 ndarray
        ``nodes[low:high]`` are eliminated, in this order.
    families : int64 ndarray
        ``families[family_low:family_high]`` are multiplied; those without any of these variables
        are passed over.
    max_table_size : float
        Cells of a table at most, where its factors can be multiplied in groups; infinite for exact
        elimination.
    n_parameters : int
        Where messages begin in ``ws.values``.
    ws : Workspace
        Scratch, for what follows.

    Returns
    -------
    n_steps : int
        -1 where the workspace has no room.
    log_scale : float
        The log of the sum over all configurations, where no variable has several groups; -inf
        where it is zero. What such variables contribute `draw` adds.
    """
    node, step = ws.node, ws.step
    for p in range(high - low):
        node[nodes[low + p], POSITION] = p
        node[p, HEAD] = -1
        node[p, CARD] = net.card[nodes[low + p]]
    n_factors, pool = _collect_families(net, states, families, family_low, family_high, ws)
    s, table_at, message_at = np.int64(0), np.int64(0), np.int64(n_parameters)
    axis_at, used_at, stride_at = np.int64(0), np.int64(0), np.int64(0)
    log_scale, has_room = 0.0, True
    for p in range(high - low):
        node[p, STEP_FIRST] = s
        n_bucket, n_groups = _form_groups(ws, p, max_table_size)
        for g in range(n_groups):
            step[s, TABLE], step[s, MESSAGE], step[s, NODE] = table_at, message_at, nodes[low + p]
            step[s, AXIS], step[s, FACTOR], step[s, STRIDES] = axis_at, used_at, stride_at
            has_room = _lay_out(ws, p, g, n_bucket, s)
            card, size = node[p, CARD], step[s, SIZE]
            has_room = has_room and table_at + size * card <= len(ws.table) and message_at + size <= len(ws.values)
            if not has_room:
                break
            ws.shift[s] = 0.0
            if _multiply(ws, s, card) < SMALLEST:
                ws.shift[s] = _multiply_scaled(ws, s, card)
            elif n_groups > 1:  # powers are taken below
                ws.shift[s] = _scale_to_one(ws, s, size * card)
            total = _sum_out(ws, s, card, n_groups)
            if n_groups == 1:
                log_scale += np.log(total) + ws.shift[s]
            elif total == 0.0:
                log_scale = -np.inf
            n_axes = step[s, N_AXES]
            if n_axes > 0:
                has_room = _hand_on(ws, s, n_factors, pool)
                if not has_room:
                    break
                n_factors += 1
            pool += n_axes
            axis_at += n_axes
            used_at += step[s, N_FACTORS]
            stride_at += step[s, N_FACTORS] * (n_axes + 1)
            table_at += size * card
            message_at += size
            s += 1
        if not has_room:
            break
    node[high - low, STEP_FIRST] = s
    for p in range(high - low):
        node[nodes[low + p], POSITION] = -1
    return (s if has_room else np.int64(-1)), log_scale


@compiled
def _configuration(ws, s, states, nodes, low):  # type: ignore[no-untyped-def]
    """Find the number of the configuration that the row's states give a step's axes."""
    first, index, stride = ws.step[s, AXIS], 0, 1
    for a in range(first, first + ws.step[s, N_AXES]):
        index += states[nodes[low + ws.axis[a, 0]]] * stride
        stride *= ws.axis[a, 1]
    return index


@compiled
def draw(states, nodes, low, high, is_given, rng, ws):  # type: ignore[no-untyped-def]
    """Draw what `forward` has eliminated, in reverse order, into the row.

    Parameters
    ----------
    states : int64 ndarray of shape (n_nodes,)
        The row; written.
    nodes, low, high
        As for `forward`.
    is_given : bool
        Nothing is drawn: the row's own states are weighed, as if they had been drawn.
    rng : uint64 ndarray of shape (2,)
        See `uniform`.

    Returns
    -------
    float
        Log of what makes up for groups in the draw's importance weight, which is this plus the
        log scale of `forward`: 0 where there are none; -inf where the draw led nowhere, or what
        was given has probability zero.
    """
    correction = 0.0
    for p in range(high - low - 1, -1, -1):
        node, first, last, card = nodes[low + p], ws.node[p, STEP_FIRST], ws.node[p + 1, STEP_FIRST], ws.node[p, CARD]
        if last == first + 1:
            start = ws.step[first, TABLE] + _configuration(ws, first, states, nodes, low) * card
            if is_given:
                if not ws.table[start + states[node]] > 0.0:
                    return -np.inf
                continue
            chosen = choose_state(ws.table, start, start + card, rng)
            if chosen < 0:
                return -np.inf
            states[node] = chosen
            continue
        total = 0.0
        for x in range(card):
            ws.product[x] = 1.0
        for s in range(first, last):
            index = _configuration(ws, s, states, nodes, low)
            start = ws.step[s, TABLE] + index * card
            for x in range(card):
                ws.product[x] *= ws.table[start + x]
            correction += ws.shift[s]
            if ws.step[s, N_AXES] > 0:
                correction -= np.log(ws.values[ws.step[s, MESSAGE] + index])
        for x in range(card):
            total += ws.product[x]
        if not total > 0.0 or (is_given and not ws.product[states[node]] > 0.0):
            return -np.inf
        correction += np.log(total)
        if not is_given:
            states[node] = choose_state(ws.product, np.int64(0), card, rng)
    return correction


@compiled
def hand_back(share, share_at, weight, n_steps, counts, counts_at, marginals, marginal_first, card, ws):  # type: ignore[no-untyped-def]
    """Add the expected counts of what `forward` has summed out without groups, the other variables given, in place.

    Parameters
    ----------
    share : float64 ndarray
        With what part of the weight each family is counted that `forward` was given, from
        ``share_at`` on.
    weight : float
        In records.
    n_steps : int
        From `forward`.
    counts : float64 ndarray
        Expected counts, from ``counts_at`` on.
    marginals : float64 ndarray
        Posteriors of variables, added up without weight, from ``marginal_first[node]`` on; none are
        wanted where it is empty.
    """
    table, adjoint, step, factor, places = ws.table, ws.adjoint, ws.step, ws.factor, ws.places
    for s in range(n_steps):
        for i in range(step[s, MESSAGE], step[s, MESSAGE] + step[s, SIZE]):
            adjoint[i] = 0.0 if step[s, N_AXES] > 0 else 1.0
    for s in range(n_steps - 1, -1, -1):
        at, message, size, c = step[s, TABLE], step[s, MESSAGE], step[s, SIZE], card[step[s, NODE]]
        for i in range(size):
            total, wanted, start = 0.0, adjoint[message + i], at + i * c
            for x in range(start, start + c):
                total += table[x]
            for x in range(start, start + c):  # divided first: the inverse of a subnormal sum would overflow
                table[x] = table[x] / total * wanted if total > 0.0 else 0.0
        if len(marginals) > 0:
            place = marginal_first[step[s, NODE]]
            for i in range(size):
                for x in range(c):
                    marginals[place + x] += table[at + i * c + x]
        for j in range(step[s, N_FACTORS]):
            origin = factor[factor[step[s, FACTOR] + j, USED], ORIGIN]
            if origin < 0:
                stride = _find_places(ws, s, j)
                for i in range(size):
                    for x in range(c):
                        adjoint[places[i] + x * stride] += table[at + i * c + x]
            elif share[share_at + origin] > 0.0:
                stride, part = _find_places(ws, s, j), weight * share[share_at + origin]
                for i in range(size):
                    for x in range(c):
                        counts[counts_at + places[i] + x * stride] += part * table[at + i * c + x]


@compiled
def _eliminate(net, states, nodes, low, high, families, family_low, family_high, limit, parameters, ws):  # type: ignore[no-untyped-def]
    """Call `forward` with as much room as it needs; returns the workspace too, which may be another one."""
    while True:
        n_steps, log_scale = forward(
            net, states, nodes, low, high, families, family_low, family_high, limit, len(parameters), ws
        )
        if n_steps >= 0:
            return n_steps, log_scale, ws
        ws = make_workspace(parameters, net, 4 * len(ws.table))


@compiled
def _find_start(tasks, c, states, scratch, n_tries, rng, ws):  # type: ignore[no-untyped-def]
    """Choose one of several draws by its weight; False where all led nowhere."""
    low, high = tasks.node_first[c], tasks.node_first[c + 1]
    reached, found = -np.inf, False
    for attempt in range(n_tries):
        log_weight = draw(scratch, tasks.node, low, high, False, rng, ws)
        if log_weight > -np.inf:
            larger, smaller = max(reached, log_weight), min(reached, log_weight)
            reached = larger + np.log1p(np.exp(smaller - larger))
            if uniform(rng) < np.exp(log_weight - reached):
                for k in range(low, high):
                    states[tasks.node[k]] = scratch[tasks.node[k]]
                found = True
        if found and attempt >= 7:
            break
    return found


@compiled
def _weigh(tasks, c, scratch, log_scale, n_tries, log_weights, rng, ws):  # type: ignore[no-untyped-def]
    """Draw for the likelihood; where fewer than two draws lead somewhere, go on until two do.

    The mean of their weights, over the number of draws but one that it took, is then right on average (Girshick,
    Mosteller & Savage 1946, Ann. Math. Stat. 17); the mean over all draws would be too large, since it is
    only taken where those before were too few.
    """
    low, high, n, n_found, mean = tasks.node_first[c], tasks.node_first[c + 1], len(log_weights), 0, -np.inf
    attempt = 0
    while attempt < n or (n_found < 2 and log_scale > -np.inf and attempt < n_tries):
        weight = draw(scratch, tasks.node, low, high, False, rng, ws)
        if attempt < n:
            log_weights[attempt] = log_scale + weight
        attempt += 1
        if weight > -np.inf:
            n_found += 1
            mean = weight if n_found == 1 else max(mean, weight) + np.log1p(np.exp(-abs(mean - weight))) - np.log(2.0)
    if attempt > n and n_found > 0:
        log_weights[:] = -np.inf
        log_weights[0] = log_scale + mean + np.log(n / (attempt - 1))  # written as a mean over n


@compiled
def _batch_size(batch, n_batches, n_draws):  # type: ignore[no-untyped-def]
    """How many of the draws fall into a batch: those d with d * n_batches // n_draws == batch."""
    return (n_draws * (batch + 1) + n_batches - 1) // n_batches - (n_draws * batch + n_batches - 1) // n_batches


@entry_point
def run_chains(  # type: ignore[no-untyped-def]
    net, tasks, low, high, plan, parameters, states, keys, n_draws, counts, log_weights, moves, marginals, marginal_at
):  # fmt: skip
    """Let the chains of some components go on, and add up what they say, in place.

    A sweep makes a joint move, whose proposal comes from elimination in groups and so can reach every
    completion; then it draws block by block, each given the rest, and counts the exact expectation
    in each block before it is drawn.

    Parameters
    ----------
    net : NetworkArrays
        The network.
    tasks : Tasks
        All components that are sampled; those from ``low`` to ``high`` are worked on.
    plan : SamplingPlan
        How much is drawn.
    parameters : float64 ndarray of shape (n_cells,)
        CPD entries.
    states : int32 ndarray of shape (n_chains, n_nodes)
        Completed rows; -1 where a chain has not begun. Written.
    keys : uint64 ndarray of shape (2,)
        Of the random numbers of this E-step's chains, and of those that estimate the likelihood.
    n_draws : int64 ndarray of shape (n_tasks,)
        Draws of each component that are counted.
    counts : float64 ndarray of shape ((n_batches + 1) * n_cells,)
        Expected counts, batch by batch; the last part is of components that one block covers, and
        free of noise.
    log_weights : float64 ndarray of shape (n_tasks, n_likelihood)
        Natural logs of the importance weights of independent draws.
    moves : int64 ndarray of shape (n_tasks, 3)
        Joint moves to other completions that were proposed and accepted, and what has kept the chain from running.
    marginals : float64 ndarray
        Posteriors of single variables, added up over draws; empty where they are not wanted.
    marginal_at : int64 ndarray of shape (n_chains, n_nodes)
        Where each begins.
    """
    n_nodes = len(net.card)
    whole, ws = make_workspace(parameters, net, 1024), make_workspace(parameters, net, 1024)
    rng = np.zeros(2, dtype=np.uint64)
    row, scratch = np.empty(n_nodes, dtype=np.int64), np.empty(n_nodes, dtype=np.int64)
    for c in range(low, high):
        chain, first, last = tasks.chain[c], tasks.node_first[c], tasks.node_first[c + 1]
        block_low, block_high = tasks.block_first[c], tasks.block_first[c + 1]
        is_exact = block_high - block_low == 1
        for v in range(n_nodes):
            row[v] = states[chain, v]
            scratch[v] = row[v]
        n_steps, log_scale, whole = _eliminate(
            net, row, tasks.node, first, last, tasks.family, tasks.family_first[c], tasks.family_first[c + 1],
            np.inf if is_exact else plan.limit, parameters, whole,
        )  # fmt: skip
        rng[0], rng[1] = mix(mix(keys[1], tasks.number[c]), LIKELIHOOD), 0
        if is_exact:
            log_weights[c] = log_scale
        else:
            _weigh(tasks, c, scratch, log_scale, plan.n_tries, log_weights[c], rng, whole)
        if log_scale == -np.inf:
            moves[c, 2] = IMPOSSIBLE
            continue
        own = mix(keys[0], tasks.number[c])
        rng[0], rng[1] = mix(own, START), 0
        is_new = row[tasks.node[first]] < 0 or draw(row, tasks.node, first, last, True, rng, whole) == -np.inf
        if is_new and not _find_start(tasks, c, row, scratch, plan.n_tries, rng, whole):
            moves[c, 2] = NO_START
            continue
        if not is_exact and log_weights.shape[1] > 0 and np.max(log_weights[c]) == -np.inf:
            # No draw has led anywhere, but the chain's own state tells that the row is possible.
            at_start = log_scale + draw(row, tasks.node, first, last, True, rng, whole)
            log_weights[c, 0] = at_start + np.log(log_weights.shape[1] / (plan.n_tries + 1))
        rng[0], rng[1] = mix(own, SWEEP), 0
        if is_exact:  # nothing is left to chance but the draw
            draw(row, tasks.node, first, last, False, rng, whole)
            hand_back(
                tasks.block_share, tasks.block_family_first[block_low], tasks.weight[c], n_steps,
                counts, plan.n_batches * len(parameters), marginals, marginal_at[chain], net.card, whole,
            )  # fmt: skip
        n_burn = plan.burn_in if is_new else 0
        for sweep in range(0 if is_exact else n_burn + n_draws[c] * plan.thin):
            current = draw(row, tasks.node, first, last, True, rng, whole)
            proposed = draw(scratch, tasks.node, first, last, False, rng, whole)
            is_other = False
            for k in range(first, last):
                is_other = is_other or row[tasks.node[k]] != scratch[tasks.node[k]]
            moves[c, 0] += 1 if is_other else 0
            if np.log(uniform(rng)) < proposed - current and is_other:
                moves[c, 1] += 1
                for k in range(first, last):
                    row[tasks.node[k]] = scratch[tasks.node[k]]
            number = sweep - n_burn
            is_counted = number >= 0 and (number + 1) % plan.thin == 0
            batch = (number // plan.thin) * plan.n_batches // n_draws[c] if is_counted else 0
            for b in range(block_low, block_high):
                start, stop = tasks.block_node_first[b], tasks.block_node_first[b + 1]
                family_low, family_high = tasks.block_family_first[b], tasks.block_family_first[b + 1]
                n_steps, log_scale, ws = _eliminate(
                    net, row, tasks.block_node, start, stop, tasks.block_family, family_low, family_high,
                    np.inf, parameters, ws,
                )  # fmt: skip
                if log_scale == -np.inf:  # the numbers have left the range of floating point: begin anew
                    break
                draw(row, tasks.block_node, start, stop, False, rng, ws)
                if is_counted:
                    hand_back(
                        tasks.block_share, family_low, tasks.weight[c] / _batch_size(batch, plan.n_batches, n_draws[c]),
                        n_steps, counts, batch * len(parameters), marginals, marginal_at[chain], net.card, ws,
                    )  # fmt: skip
            if log_scale == -np.inf:
                moves[c, 2] = NO_START
                break
        for k in range(first, last):
            states[chain, tasks.node[k]] = row[tasks.node[k]] if moves[c, 2] == 0 else -1


@compiled
def _complete(net, nodes, row, parameters, rng):  # type: ignore[no-untyped-def]
    """Draw a component's variables, parents before children, each given its parents alone."""
    for node in nodes:
        base = net.offset[node]
        for j in range(net.member_first[node], net.member_first[node + 1] - 1):  # the last member is the child
            base += row[net.member[j]] * net.stride[j]
        row[node] = choose_state(parameters, base, base + net.card[node], rng)


@compiled
def _cell(net, family, row):  # type: ignore[no-untyped-def]
    """Index a family's parameter in a completed row."""
    cell = net.offset[family]
    for j in range(net.member_first[family], net.member_first[family + 1]):
        cell += row[net.member[j]] * net.stride[j]
    return cell


@entry_point
def weigh_draws(net, tasks, low, high, place, parameters, codes, key, n_draws, n_batches, counts, log_weights):  # type: ignore[no-untyped-def]
    """Complete components by drawing each variable given its parents, and weigh the draws by what is observed.

    The draws are made twice, from the same random numbers: first to find their weights, then to add
    them up. A batch says what the estimate would be, to first order, if its draws were all there are.

    Parameters
    ----------
    net, tasks, low, high, parameters
        As in `run_chains`.
    place : int64 ndarray of shape (n_nodes,)
        Position of each variable in a topological order.
    codes : int ndarray of shape (n_chains, n_nodes)
        Rows, -1 where missing.
    key : uint64
        Of the random numbers.
    n_draws, n_batches : int
        Draws of each component, and batches of them.
    counts : float64 ndarray of shape (n_batches * n_cells,)
        Expected counts, batch by batch; added to. None are wanted where it is empty.
    log_weights : float64 ndarray of shape (n_tasks, n_draws)
        Written.
    """
    n_cells, rng = len(parameters), np.zeros(2, dtype=np.uint64)
    row = np.empty(len(net.card), dtype=np.int64)
    share, seen, touched = (
        np.zeros((n_batches, n_cells)),
        np.zeros(n_cells, dtype=np.bool_),
        np.empty(n_cells, np.int64),
    )
    for c in range(low, high):
        chain = tasks.chain[c]
        for v in range(len(row)):
            row[v] = codes[chain, v]
        nodes = tasks.node[tasks.node_first[c] : tasks.node_first[c + 1]].copy()
        sort_by(nodes, place)
        families = tasks.family[tasks.family_first[c] : tasks.family_first[c + 1]]
        own = mix(key, tasks.number[c])
        highest = -np.inf
        rng[0], rng[1] = own, 0
        for d in range(n_draws):
            _complete(net, nodes, row, parameters, rng)
            weight = 0.0
            for family in families:
                if codes[chain, family] >= 0:
                    weight += np.log(parameters[_cell(net, family, row)])
            log_weights[c, d] = weight
            highest = max(highest, weight)
        if len(counts) == 0 or highest == -np.inf:
            continue
        total, n_touched = 0.0, 0
        for d in range(n_draws):
            total += np.exp(log_weights[c, d] - highest)
        batch_total = np.zeros(n_batches)
        rng[0], rng[1] = own, 0
        for d in range(n_draws):
            _complete(net, nodes, row, parameters, rng)
            part, batch = np.exp(log_weights[c, d] - highest) / total, d * n_batches // n_draws
            batch_total[batch] += part
            for family in families:
                cell = _cell(net, family, row)
                share[batch, cell] += part
                if not seen[cell]:
                    seen[cell] = True
                    touched[n_touched] = cell
                    n_touched += 1
        for k in range(n_touched):
            cell, mean = touched[k], 0.0
            for batch in range(n_batches):
                mean += share[batch, cell]
            for batch in range(n_batches):
                off = share[batch, cell] - mean * batch_total[batch]
                counts[batch * n_cells + cell] += tasks.weight[c] * (mean + n_batches * off)
                share[batch, cell] = 0.0
            seen[cell] = False
