"""Which parameters the data can tell apart: the rank of the scores of its rows."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from networkx.utils import UnionFind

from pgmpy_em_ext._tools.checks import check_joined
from pgmpy_em_ext.arrays.columns import ColumnList
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.e_step.exact.scores import row_counts
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

RANK_TOLERANCE = 1e-8
"""Singular values below this share of the largest count as zero. Rounding leaves some 1e-15; what is
known, but hardly, can be as small as 1e-6."""

SUPPORT = 1e-6
"""Entries of a null vector below this share of the largest count as zero."""

FIRST_ROWS = 1000
"""Rows looked at before others, at least; three times as many as there are parameters, if that is more."""

N_DRAWS = 2
"""Random parameters tried: by bad luck one draw can lie where the rank is lower than nearly everywhere."""


class Identifiability(NamedTuple):
    """What the data can tell, whatever the values of the parameters (but for special ones).

    Attributes
    ----------
    n_parameters : int
        Free parameters.
    rank : int
        How many functions of them the data determines.
    confounded : list of ColumnList
        Columns that can be changed together without a change in any row's probability. No group
        falls apart into smaller ones.
    without_data : ColumnList
        Columns that no row says anything about.
    smallest_kept : float
        The smallest singular value that counts, relative to the largest; 1 where nothing needs inference.
    largest_dropped : float
        The largest that counts as zero, relative to the largest; 0 where there is none. The wider the gap between
        the two, the surer is the rank.
    """

    n_parameters: int
    rank: int
    confounded: list[ColumnList]
    without_data: ColumnList
    smallest_kept: float
    largest_dropped: float

    @property
    def deficiency(self) -> int:
        """How many free parameters the data leaves open, columns without data included."""
        return self.n_parameters - self.rank


class Cells(NamedTuple):
    """What there is to tell apart.

    Attributes
    ----------
    parameters : float ndarray of shape (n_cells,)
        Where the scores are taken.
    cell : int ndarray of shape (n_scores,)
        The entries whose log-odds are in question, block by block.
    block : int ndarray of shape (n_scores,)
        The independent block of each.
    n_settled : int
        Parameters that need no inference to be told.
    unreached : bool ndarray of shape (n_columns,)
        Free columns that no row reaches.
    """

    parameters: FloatArray
    cell: IntArray
    block: IntArray
    n_settled: int
    unreached: BoolArray


class Spectrum(NamedTuple):
    """One block's scores, as far as rows have been looked at.

    Attributes
    ----------
    rank : int
        Of the scores.
    null : float ndarray of shape (n_null, n_scores)
        A basis of the directions that change no row's probability, scores scaled to one.
    silent : bool ndarray of shape (n_scores,)
        Scores that are zero in every row.
    smallest_kept, largest_dropped : float
        Singular values, relative to the largest.
    """

    rank: int
    null: FloatArray
    silent: BoolArray
    smallest_kept: float
    largest_dropped: float

    @property
    def is_full(self) -> bool:
        """Whether everything can be told."""
        return self.rank == len(self.silent)


def identifiability(
    network: Network,
    family: Categorical,
    evidence: Evidence,
    seed: int | None = None,
    parameters: FloatArray | None = None,
) -> Identifiability:
    """Find out which parameters rows like these determine, however many there are of each.

    Parameters
    ----------
    network : Network
        Structure and layout.
    family : Categorical
        Which columns are fixed. The prior does not count: it is not data.
    evidence : Evidence
        The distinct rows; their weights do not matter.
    seed : int, optional
        Of the random parameters.
    parameters : float ndarray of shape (n_cells,), optional
        Values of the fixed columns. Without, they are random too.

    Returns
    -------
    Identifiability

    Raises
    ------
    MemoryBudgetError
        A block has more than 20,000 parameters.

    Notes
    -----
    The score of a row is the derivative of its log-probability by the log-odds of the free
    columns. At random parameters the rank of all rows' scores is, with probability one, the
    number of functions of the parameters that the rows' probabilities determine nearby. It says
    nothing of labellings: the states of a latent variable can always be renamed.

    Independent blocks of families are judged one by one, and families that need no inference
    are known wherever they have data. An entry that no row reaches, in a column that rows do
    reach, is known too: it is zero. Rows are looked at in batches, of which nothing is kept but
    a triangular matrix a block; further rows are looked at where the first leave something open.

    Cost: a sweep for each row, and the square of a block's number of parameters times the
    number of rows; memory for that square.

    References
    ----------
    Goodman (1974), Biometrika 61(2), 215-231. Mohan & Pearl (2021), JASA 116(534), on data that
    is not missing at random.

    Examples
    --------
    A latent class with two binary items: five parameters, but four patterns.

    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> states = {name: [0, 1] for name in "HXY"}
    >>> network = build_network("HXY", {"X": "H", "Y": "H"}, states, latents="H")
    >>> codes = np.array([[-1, 0, 0], [-1, 0, 1], [-1, 1, 0], [-1, 1, 1]])
    >>> family = Categorical(network, np.zeros(10), np.zeros(5, dtype=bool))
    >>> found = identifiability(network, family, Evidence(codes, np.ones(4), np.arange(4)), seed=0)
    >>> found.n_parameters, found.rank, [column.variable for column in found.confounded[0]]
    (5, 3, ['H', 'X', 'X', 'Y', 'Y'])
    """
    rng = np.random.default_rng(seed)
    best: list[Spectrum] = []
    for _ in range(N_DRAWS):
        cells = _choose_cells(network, family, evidence, _draw(network, family, parameters, rng))
        found = _spectra(network, cells, evidence)
        best = [max(pair, key=lambda one: one.rank) for pair in zip(best or found, found, strict=True)]
        if all(one.is_full for one in best):
            break
    return _summarize(network, family, cells, best)


def _draw(network: Network, family: Categorical, parameters: FloatArray | None, rng: np.random.Generator) -> FloatArray:
    """Draw parameters, no entry close to zero; fixed columns keep theirs."""
    drawn = network.normalize(0.2 + rng.standard_exponential(network.n_cells))
    if parameters is None:
        return drawn
    return np.where(family.fixed[network.column_of_cell], parameters, drawn)


def _choose_cells(network: Network, family: Categorical, evidence: Evidence, drawn: FloatArray) -> Cells:
    """Find what the rows reach, and choose a reference state for every column.

    Entries that no row reaches are zero at every maximum. In the parameters that the
    scores are taken at they are, so that they are not mistaken for something unknown.
    """
    engine = ExactEStep()
    plan = engine.prepare(network, evidence)
    blocks, column = engine.blocks(plan), network.column_of_cell
    reached = engine.expected_statistics(plan, drawn).counts > 0
    is_free = ~family.fixed[column]
    unreached = (network.column_sums(reached.astype(np.float64)) == 0) & ~family.fixed
    kept = np.where(reached | unreached[column] | ~is_free, drawn, 0.0)
    first = np.unique(column[reached], return_index=True)[1]
    others = np.setdiff1d(np.flatnonzero(reached & is_free), np.flatnonzero(reached)[first])
    cell = others[blocks.of_cell[others] < blocks.n_blocks]
    cell = cell[np.argsort(blocks.of_cell[cell], kind="stable")]
    free_columns = ~family.fixed & ~unreached
    n_settled = int((network.column_sizes - 1)[free_columns].sum()) - len(cell)
    return Cells(network.normalize(kept), cell, blocks.of_cell[cell], n_settled, unreached)


def _spectra(network: Network, cells: Cells, evidence: Evidence) -> list[Spectrum]:
    """Give the spectrum of every block, from as many rows as it takes."""
    bounds = np.append(np.flatnonzero(np.diff(cells.block, prepend=-1)), len(cells.block))
    parts = [slice(low, high) for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
    check_joined(max((part.stop - part.start for part in parts), default=0))
    triangles = [np.zeros((0, part.stop - part.start)) for part in parts]
    found: dict[int, Spectrum] = {}
    for rows in _portions(len(evidence.codes), max(FIRST_ROWS, 3 * len(cells.cell))):
        open_parts = [number for number in range(len(parts)) if number not in found or not found[number].is_full]
        if not open_parts:
            break
        for counts in row_counts(network, cells.parameters, evidence.codes[rows]):
            scores = _scores(network, cells, counts)
            for number in open_parts:
                stacked = np.vstack([triangles[number], scores[:, parts[number]]])
                triangles[number] = np.asarray(np.linalg.qr(stacked, mode="r"))
        found |= {number: _spectrum(triangles[number]) for number in open_parts}
    return [found[number] for number in range(len(parts))]


def _portions(n_rows: int, n_first: int) -> Iterator[IntArray]:
    """Divide rows into evenly spaced ones, and the others."""
    stride = -(-n_rows // n_first)
    numbers = np.arange(n_rows)
    yield numbers[::stride]
    if stride > 1:
        yield numbers[numbers % stride > 0]


def _scores(network: Network, cells: Cells, counts: FloatArray) -> FloatArray:
    """Differentiate each row's log-probability: (n_rows, n_scores)."""
    sums = np.add.reduceat(counts, network.column_starts, axis=1)
    return counts[:, cells.cell] - sums[:, network.column_of_cell[cells.cell]] * cells.parameters[cells.cell]


def _spectrum(triangle: FloatArray) -> Spectrum:
    """Take a block's scores apart, each score scaled to one."""
    size = np.linalg.norm(triangle, axis=0)
    silent = size <= RANK_TOLERANCE
    heard = np.flatnonzero(~silent)
    if len(heard) == 0:
        return Spectrum(0, np.zeros((0, len(silent))), silent, 1.0, 0.0)
    _, values, vectors = np.linalg.svd(triangle[:, heard] / size[heard])
    values = np.append(values, np.zeros(len(heard) - len(values))) / values[0]
    rank = int((values > RANK_TOLERANCE).sum())
    null = np.zeros((len(heard) - rank, len(silent)))
    null[:, heard] = vectors[rank:]
    dropped = values[rank] if rank < len(values) else 0.0
    return Spectrum(rank, null, silent, float(values[rank - 1]), float(dropped))


def _summarize(network: Network, family: Categorical, cells: Cells, spectra: list[Spectrum]) -> Identifiability:
    """Put the blocks together, and name the columns."""
    silent = np.concatenate([np.zeros(0, dtype=bool), *(one.silent for one in spectra)])
    column = network.column_of_cell[cells.cell]
    n_silent = np.bincount(column[silent], minlength=len(cells.unreached))
    unheard = cells.unreached | ((n_silent == network.column_sizes - 1) & (n_silent > 0))
    groups: list[list[int]] = []
    start = 0
    for one in spectra:
        own = column[start : start + len(one.silent)]
        alone = np.eye(len(own))[one.silent & ~unheard[own]]
        groups += _groups(np.vstack([one.null, alone]), own)
        start += len(one.silent)
    return Identifiability(
        n_parameters=family.n_free,
        rank=cells.n_settled + sum(one.rank for one in spectra),
        confounded=[network.name_columns(np.array(group)) for group in groups],
        without_data=network.name_columns(np.flatnonzero(unheard)),
        smallest_kept=min((one.smallest_kept for one in spectra), default=1.0),
        largest_dropped=max((one.largest_dropped for one in spectra), default=0.0),
    )


def _groups(null: FloatArray, column: IntArray) -> list[list[int]]:
    """Join the columns that take part in one null vector, after row reduction.

    Which columns are joined then does not depend on the basis that is given: the supports of
    a reduced basis are circuits, and these connect whatever any null vector connects.
    """
    joined = UnionFind()
    for vector in _reduce(null):
        joined.union(*column[np.abs(vector) > SUPPORT * np.abs(vector).max()].tolist())
    return sorted(sorted(group) for group in joined.to_sets())


def _reduce(basis: FloatArray) -> FloatArray:
    """Bring a basis to reduced row echelon form; the largest entry of what is left is the pivot."""
    reduced = basis.copy()
    used = np.zeros(len(basis), dtype=bool)
    for _ in range(len(basis)):
        left = np.where(used[:, None], 0.0, np.abs(reduced))
        row, pivot = np.unravel_index(left.argmax(), left.shape)
        reduced[row] /= reduced[row, pivot]
        factor = reduced[:, pivot].copy()
        factor[row] = 0.0
        reduced -= factor[:, None] * reduced[row]
        reduced[:, pivot] = 0.0
        reduced[row, pivot] = 1.0
        used[row] = True
    return reduced
