"""SQUAREM: extrapolation along two EM steps, in the parameters themselves."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.cpd_family._base import CPDFamily
from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.em.acceleration._base import Accelerator, Point, Proposal
from pgmpy_em_ext.em.blocks import block_sums
from pgmpy_em_ext.types import BoolArray, FloatArray

N_FIRST_EM_STEPS = 10
"""EM steps before the first extrapolation."""

FACTOR = 4.0
"""The longest extrapolation grows or shrinks by this, where it is reached or refused."""


class Memory(NamedTuple):
    """What SQUAREM remembers of a run.

    Attributes
    ----------
    origin : float ndarray of shape (n_cells,)
        Where the cycle began, one EM step ago.
    ready : bool ndarray of shape (n_blocks + 1,)
        Blocks that have made the cycle's EM step.
    longest : float ndarray of shape (n_blocks + 1,)
        The longest extrapolation that is tried.
    n_steps : int ndarray of shape ()
        Proposals so far.
    """

    origin: FloatArray
    ready: BoolArray
    longest: FloatArray
    n_steps: np.ndarray


class SQUAREM(Accelerator):
    """Squared extrapolation with the third of the published step lengths, monotone.

    A cycle is an EM step and an extrapolation along it and the next one, whose length is
    taken from how little the two differ. Two E-steps a cycle; an extrapolation that lowers
    a block's objective is refused, and the block goes on from its EM step.

    References
    ----------
    Varadhan & Roland (2008), Scand. J. Stat. 35(2), 335-353, section 6.
    """

    memory_type = Memory

    def start(self, blocks: Blocks) -> Memory:
        """Begin with EM steps."""
        n_parts = blocks.n_blocks + 1
        return Memory(np.zeros(0), np.zeros(n_parts, dtype=bool), np.full(n_parts, FACTOR), np.array(0))

    def propose(self, memory: Memory, point: Point, family: CPDFamily, blocks: Blocks) -> Proposal:
        """Extrapolate in the blocks whose EM step is made; see `Accelerator.propose`."""
        if not memory.ready.any():
            return Proposal(point.target, ~memory.ready)
        first = point.parameters - memory.origin
        second = point.target - point.parameters - first
        length = self._lengths(memory, first, second, blocks)[blocks.of_cell]
        extrapolated = memory.origin + 2 * length * first + length**2 * second
        proposed = family.keep_inside(extrapolated, point.target)
        return Proposal(np.where(memory.ready[blocks.of_cell], proposed, point.target), ~memory.ready)

    @staticmethod
    def _lengths(memory: Memory, first: FloatArray, second: FloatArray, blocks: Blocks) -> FloatArray:
        """How far to extrapolate in each block; 1 would be the second EM step."""
        size, bend = block_sums(blocks, first * first), block_sums(blocks, second * second)
        ratio = np.sqrt(np.divide(size, bend, out=np.ones_like(size), where=bend > 0))
        return np.clip(ratio, 1.0, memory.longest)

    def learn(
        self, memory: Memory, before: Point, after: Point, refused: BoolArray, steps_left: FloatArray, blocks: Blocks
    ) -> Memory:
        """Begin a new cycle, or go on to the extrapolation; see `Accelerator.learn`."""
        longest = memory.longest
        if memory.ready.any():
            first = before.parameters - memory.origin
            second = before.target - before.parameters - first
            reached = memory.ready & (self._lengths(memory, first, second, blocks) >= longest)
            longest = np.where(reached & ~refused, longest * FACTOR, longest)
            longest = np.where(refused, np.maximum(longest / FACTOR, FACTOR), longest)
        n_steps = memory.n_steps + 1
        ready = ~memory.ready if n_steps >= N_FIRST_EM_STEPS else memory.ready
        return Memory(before.parameters, ready, longest, n_steps)
