"""L-BFGS with EM as its preconditioner, in the coordinates of the CPD family."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.cpd_family._base import Chart, CPDFamily
from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.em.acceleration._base import Accelerator, Point, Proposal
from pgmpy_em_ext.em.blocks import block_sums
from pgmpy_em_ext.types import BoolArray, FloatArray

N_PAIRS = 15
"""Steps that are remembered."""

N_FIRST_EM_STEPS = 5
"""EM steps before the first proposal: from a random start they gain most, and give the first pairs."""

SLOW = 8
"""How many more steps plain EM must need before it is worth leaving, by "auto"."""

SHORTER = 0.25
"""What part of a refused step is tried before the memory is given up."""


class Memory(NamedTuple):
    """What L-BFGS remembers of a run.

    Attributes
    ----------
    steps, changes : tuples of at most `N_PAIRS` float ndarrays of shape (n_cells,)
        Steps in the coordinates, and by how much each lowered the gradient.
    curvatures : tuple of float ndarrays of shape (n_blocks + 1,)
        Their products, block by block; 0 where a pair is of no use.
    scale : float ndarray of shape (n_blocks + 1,)
        By how much longer than EM's the step was that the last pair suggests.
    length : float ndarray of shape (n_blocks + 1,)
        What part of the next step is made; 0 for an EM step.
    engaged : bool ndarray of shape (n_blocks + 1,)
        Blocks that have left plain EM.
    n_steps : int ndarray of shape ()
        Proposals so far.
    """

    steps: tuple[FloatArray, ...]
    changes: tuple[FloatArray, ...]
    curvatures: tuple[FloatArray, ...]
    scale: FloatArray
    length: FloatArray
    engaged: BoolArray
    n_steps: np.ndarray


class LBFGS(Accelerator):
    """Limited-memory quasi-Newton steps that begin as EM steps.

    The inverse of the observed information is built up from the last steps, beginning with
    that of the complete-data information, which alone would give EM steps. The coordinates
    are those of the CPD family, in which an entry at zero is an ordinary point. A
    step that does not raise a block's objective is refused, and a quarter of it tried; if
    that is refused too, the block forgets what it knew and makes an EM step.

    Parameters
    ----------
    patient : bool
        Whether a block stays with EM while that is fast: until it would need more than
        `SLOW` further steps.

    References
    ----------
    Jamshidian & Jennrich (1997), J. R. Stat. Soc. B 59(3), 569-587. Nocedal & Wright (2006),
    Numerical Optimization, algorithm 7.4.
    """

    memory_type = Memory

    def __init__(self, patient: bool) -> None:
        self.patient = patient

    def start(self, blocks: Blocks) -> Memory:
        """Begin without pairs, all blocks with EM."""
        n_parts = blocks.n_blocks + 1
        return Memory((), (), (), np.ones(n_parts), np.ones(n_parts), np.zeros(n_parts, dtype=bool), np.array(0))

    def propose(self, memory: Memory, point: Point, family: CPDFamily, blocks: Blocks) -> Proposal:
        """Make a quasi-Newton step in the blocks that have left EM; see `Accelerator.propose`."""
        assert point.chart is not None
        n_pairs = sum((curvature > 0).astype(int) for curvature in memory.curvatures)
        is_em = ~memory.engaged | (n_pairs == 0) | (memory.length == 0)
        if is_em.all():
            return Proposal(point.target, is_em)
        with np.errstate(over="ignore", invalid="ignore"):  # a direction that is not finite is not taken
            direction = _direction(memory, point.chart, blocks)
            slope = block_sums(blocks, direction * point.chart.gradient)
        is_em |= ~(np.isfinite(slope) & (slope > 0))
        length = np.where(is_em, 0.0, memory.length)[blocks.of_cell]
        moved = point.chart.position + length * np.where(length > 0, direction, 0.0)
        proposed = family.retract(moved, point.target, point.parameters)
        return Proposal(np.where(is_em[blocks.of_cell], point.target, proposed), is_em)

    def learn(
        self, memory: Memory, before: Point, after: Point, refused: BoolArray, steps_left: FloatArray, blocks: Blocks
    ) -> Memory:
        """Keep the pair, and decide how each block goes on; see `Accelerator.learn`."""
        assert before.chart is not None
        assert after.chart is not None
        step = after.chart.position - before.chart.position
        change = before.chart.gradient - after.chart.gradient
        with np.errstate(over="ignore", invalid="ignore"):  # a pair that is not finite is of no use
            curvature = block_sums(blocks, step * change)
            size = block_sums(blocks, after.chart.metric.inverse_squares(change))
        curvature = np.where(np.isfinite(curvature) & (curvature > 0), curvature, 0.0)
        twice = refused & (memory.length < 1)
        length = np.where(twice, 0.0, np.where(refused, SHORTER, 1.0))
        curvatures = tuple(np.where(twice, 0.0, known) for known in memory.curvatures)
        usable = (curvature > 0) & (size > 0)
        scale = np.where(usable, curvature / np.where(usable, size, 1.0), memory.scale)
        engaged = memory.engaged | (memory.n_steps + 1 >= N_FIRST_EM_STEPS)
        if self.patient:
            engaged &= memory.engaged | (steps_left > SLOW)
        return Memory(
            (*memory.steps, step)[-N_PAIRS:],
            (*memory.changes, change)[-N_PAIRS:],
            (*curvatures, curvature)[-N_PAIRS:],
            np.where(twice, 1.0, scale),
            length,
            engaged,
            memory.n_steps + 1,
        )

    def forget(self, memory: Memory, moved: BoolArray, blocks: Blocks) -> Memory:
        """Give up the pairs of these blocks; see `Accelerator.forget`."""
        return memory._replace(
            curvatures=tuple(np.where(moved, 0.0, known) for known in memory.curvatures),
            scale=np.where(moved, 1.0, memory.scale),
            length=np.where(moved, 1.0, memory.length),
        )


def _direction(memory: Memory, chart: Chart, blocks: Blocks) -> FloatArray:
    """Multiply the gradient by the approximate inverse information: the two-loop recursion, all blocks at once."""
    rest = chart.gradient.copy()
    inverses = [np.divide(1.0, known, out=np.zeros_like(known), where=known > 0) for known in memory.curvatures]
    shares = []
    for step, change, inverse in zip(
        *(reversed(part) for part in (memory.steps, memory.changes, inverses)), strict=True
    ):
        shares.append(inverse * block_sums(blocks, step * rest))
        rest -= shares[-1][blocks.of_cell] * change
    direction = chart.metric.solve(rest) * memory.scale[blocks.of_cell]
    for step, change, inverse, share in zip(memory.steps, memory.changes, inverses, reversed(shares), strict=True):
        direction += (share - inverse * block_sums(blocks, change * direction))[blocks.of_cell] * step
    return direction
