"""Rows that are alike: what they miss, and of which missing discrete variables their continuous families speak."""

import math
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import sorted_rows
from pgmpy_em_ext.arrays.gaussian import GaussianArrays
from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.e_step.exact.compile import barren as barren_discrete
from pgmpy_em_ext.types import MISSING, BoolArray, IntArray

WORD = 63
"""Discrete variables in a set that is one signed number."""

ELIMINATED, SINGLE, DIRECT = range(3)
"""Lots of kinds: those that the discrete engine sums, those with nothing to sum, those that are summed directly."""

MAX_CELLS = 2**24
"""Positions of table entries that a direct group's list may hold; beyond, elimination shares more."""

MAX_NUMBERS = 2**14
"""Numbers that may be kept of a row of a direct group: a density and the conditional means under each configuration."""


class Patterns(NamedTuple):
    """Rows that agree on what is missing, and on the states of the continuous variables' discrete parents.

    Attributes
    ----------
    of_row : int ndarray of shape (n_rows,)
        Pattern of each row.
    missing, dead : bool ndarrays of shape (n_patterns, n_continuous)
        Missing continuous variables; those of them that are left out.
    codes : int ndarray of shape (n_patterns, n_discrete)
        Of the discrete parents; what others hold means nothing.
    is_direct : bool ndarray of shape (n_patterns,)
        Whether the completions of their rows are summed up directly.
    """

    of_row: IntArray
    missing: BoolArray
    dead: BoolArray
    codes: IntArray
    is_direct: BoolArray


def barren(net: GaussianArrays, missing: BoolArray) -> BoolArray:
    """Mark each row's missing variables without an observed descendant, which integrate to one.

    Parameters
    ----------
    net : GaussianArrays
        Nodes in a topological order.
    missing : bool ndarray of shape (n_rows, n_nodes)
        Where a value is missing.
    """
    dead = missing.copy()
    for node in range(net.n_nodes - 1, -1, -1):
        for parent in net.parents(node):
            dead[:, parent] &= dead[:, node]
    return dead


def dead_codes(network: Network, codes: IntArray, nodes: tuple[int, ...]) -> BoolArray:
    """Mark each row's missing discrete variables that nothing observed depends on, which sum to one.

    Parameters
    ----------
    network : Network
        The discrete network.
    codes : int ndarray of shape (n_rows, n_discrete)
        States.
    nodes : tuple of int
        Missing variables of which the rows' continuous values speak.
    """
    silent = codes == MISSING
    silent[:, list(nodes)] = False
    return barren_discrete(network, silent)


def members(words: IntArray) -> tuple[int, ...]:
    """List the discrete variables of a set given as bits."""
    return tuple(
        place * WORD + bit for place, word in enumerate(words.tolist()) for bit in range(WORD) if (word >> bit) & 1
    )


class PatternParts(NamedTuple):
    """Patterns divided by the missing discrete variables that their families speak of: the kinds of tasks.

    Attributes
    ----------
    pattern : int ndarray of shape (n_kinds,)
        The pattern of each.
    lot : int ndarray of shape (n_kinds,)
        `ELIMINATED`, `SINGLE` or `DIRECT`, in rising order.
    words : int ndarray of shape (n_words, n_kinds)
        The set of missing discrete variables, as bits. Within a lot kinds of equal sets stand together.
    node_first, node, family_first, family
        As in `Kinds`.
    """

    pattern: IntArray
    lot: IntArray
    words: IntArray
    node_first: IntArray
    node: IntArray
    family_first: IntArray
    family: IntArray


def divide(network: HybridNetwork, patterns: Patterns) -> PatternParts:
    """Divide each pattern's families by the missing discrete variables that they speak of."""
    above = _missing_above(network, patterns)
    pattern, family = np.nonzero(~patterns.dead)
    words = [above[pattern, family, word] for word in range(above.shape[2])]
    is_single = np.logical_and.reduce([word == 0 for word in words])
    lot = np.where(is_single, SINGLE, np.where(patterns.is_direct[pattern], DIRECT, ELIMINATED))
    first, kind = sorted_rows([lot, *words, pattern])
    by_kind = np.argsort(kind, kind="stable")
    kind, family = kind[by_kind], family[by_kind]
    edges = np.arange(len(first) + 1)
    is_missing = patterns.missing[pattern[first][kind], family]
    return PatternParts(
        pattern[first],
        lot[first],
        np.stack([word[first] for word in words]),
        np.searchsorted(kind[is_missing], edges),
        family[is_missing],
        np.searchsorted(kind, edges),
        family,
    )


def find_patterns(network: HybridNetwork, rows: HybridRows, *, prune_barren: bool = True) -> Patterns:
    """Group rows whose continuous variables are alike but for their values.

    Parameters
    ----------
    network, rows
        Structure and data.
    prune_barren : bool
        Whether barren variables are left out.
    """
    missing = np.isnan(rows.values)
    relevant = sorted({parent for parents in network.discrete_parents for parent in parents})
    columns = [rows.codes[:, node].astype(np.int64) for node in relevant]
    columns += [*missing.astype(np.int64).T, np.zeros(len(missing), dtype=np.int64)]  # one column at least
    first, of_row = sorted_rows(columns)
    found = missing[first]
    dead = barren(network.net, found) if prune_barren else np.zeros_like(found)
    return Patterns(of_row, found, dead, rows.codes[first].astype(np.int64), np.zeros(len(first), dtype=bool))


def _missing_above(network: HybridNetwork, patterns: Patterns) -> IntArray:
    """Find the missing discrete variables that each family speaks of, itself or joined by missing continuous ones.

    Returns
    -------
    int64 ndarray of shape (n_patterns, n_families, n_words)
        Sets of discrete variables, as bits.
    """
    n_patterns, n_families = patterns.missing.shape
    n_words = max(-(-network.n_discrete // WORD), 1)
    above = np.zeros((n_patterns, n_families, n_words), dtype=np.int64)
    for family, parents in enumerate(network.discrete_parents):
        for parent in parents:
            bit = np.int64(1) << np.int64(parent % WORD)
            above[patterns.codes[:, parent] == MISSING, family, parent // WORD] |= bit
    if not above.any():
        return above
    joins = _joining_variables(network.net, patterns.missing)
    while True:
        before = above.copy()
        for node, families in (*joins, *reversed(joins)):
            concerned = patterns.missing[:, node, None] & ~patterns.dead[:, families]
            joined = np.bitwise_or.reduce(np.where(concerned[:, :, None], above[:, families], 0), axis=1)
            above[:, families] |= np.where(concerned[:, :, None], joined[:, None], 0)
        if (above == before).all():
            return above


def _joining_variables(net: GaussianArrays, missing: BoolArray) -> list[tuple[int, list[int]]]:
    """List the variables that are missing somewhere, with their own family and their children's."""
    families: list[list[int]] = [[node] for node in range(net.n_nodes)]
    for child in range(net.n_nodes):
        for parent in net.parents(child):
            families[parent].append(child)
    return [(node, families[node]) for node in np.flatnonzero(missing.any(axis=0)).tolist()]


def mark_direct(network: HybridNetwork, rows: HybridRows, patterns: Patterns) -> Patterns:
    """Find the rows whose completions can be summed up directly, and keep them apart from the others.

    That is so where the continuous values speak of a single set of missing discrete variables, beside which nothing
    else that is discrete and missing counts.
    """
    parts = divide(network, patterns)
    grouped = np.flatnonzero(parts.lot != SINGLE)
    is_lone = np.bincount(parts.pattern[grouped], minlength=len(patterns.missing)) == 1
    own = grouped[is_lone[parts.pattern[grouped]]]
    number = np.full(len(patterns.missing), -1)
    first, number[parts.pattern[own]] = sorted_rows(list(parts.words[:, own]))
    sets = [members(parts.words[:, kind]) for kind in own[first]]
    is_direct = np.zeros(len(rows.weight), dtype=bool)
    for place, nodes in enumerate(sets):
        chosen = np.flatnonzero(number[patterns.of_row] == place)
        codes = rows.codes[chosen]
        alive = (codes == MISSING) & ~dead_codes(network.discrete, codes, nodes)
        chosen = chosen[alive.sum(axis=1) == len(nodes)]
        if len(chosen) > 0 and _is_small(network.discrete, nodes, rows.codes[chosen], patterns):
            is_direct[chosen] = True
    first, of_row = sorted_rows([patterns.of_row, is_direct.astype(np.int64)])
    old = patterns.of_row[first]
    return Patterns(of_row, patterns.missing[old], patterns.dead[old], patterns.codes[old], is_direct[first])


def _is_small(network: Network, nodes: tuple[int, ...], codes: IntArray, patterns: Patterns) -> bool:
    """Whether a set's configurations are few enough for all of them to be kept at once."""
    n_configs = math.prod(network.cardinalities[node] for node in nodes)
    n_missing = int((patterns.missing & ~patterns.dead).sum(axis=1).max())
    if n_configs * max(n_missing, 1) > MAX_NUMBERS or n_configs * network.n_nodes > MAX_CELLS:
        return False
    n_codes = len(sorted_rows(list(codes.T.astype(np.int64)))[0])
    return n_codes * n_configs * network.n_nodes <= MAX_CELLS
