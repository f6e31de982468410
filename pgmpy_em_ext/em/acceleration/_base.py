"""The protocol between the EM loop and a method of acceleration."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pgmpy_em_ext.cpd_family._base import Chart, CPDFamily
from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.types import BoolArray, FloatArray


class Point(NamedTuple):
    """Where a run stands, as a method of acceleration sees it.

    Attributes
    ----------
    parameters : float ndarray of shape (n_cells,)
        The current parameters.
    target : float ndarray of shape (n_cells,)
        Where an EM step leads from there.
    chart : Chart or None
        Coordinates, gradient and metric; None for plain EM, which needs none.
    """

    parameters: FloatArray
    target: FloatArray
    chart: Chart | None


class Proposal(NamedTuple):
    """What to evaluate next.

    Attributes
    ----------
    parameters : float ndarray of shape (n_cells,)
        The proposed parameters.
    is_em : bool ndarray of shape (n_blocks + 1,)
        Blocks that are to make an EM step, which never lowers their objective. What is
        proposed for the others is accepted only where it does not lower theirs.
    """

    parameters: FloatArray
    is_em: BoolArray


class Accelerator(ABC):
    """Proposes, from what an E-step has found, where the next one is made.

    Every proposal costs one E-step, which yields both its objective and the EM step from
    it. Independent blocks of families are accelerated, accepted and refused each on its own.
    A method is configuration: what it remembers of a run is a `NamedTuple` of arrays, or of
    tuples of arrays, so that a checkpoint keeps it.
    """

    uses_chart: ClassVar[bool] = True
    memory_type: ClassVar[Callable[..., Any]]

    def recall(self, arrays: dict[str, Any]) -> Any:
        """Make a memory again from its fields."""
        return type(self).memory_type(**arrays)

    @abstractmethod
    def start(self, blocks: Blocks) -> Any:
        """Make the memory with which a run begins."""

    @abstractmethod
    def propose(self, memory: Any, point: Point, family: CPDFamily, blocks: Blocks) -> Proposal:
        """Propose what to evaluate next."""

    @abstractmethod
    def learn(
        self, memory: Any, before: Point, after: Point, refused: BoolArray, steps_left: FloatArray, blocks: Blocks
    ) -> Any:
        """Take note of what came of a proposal.

        Parameters
        ----------
        memory : NamedTuple
            As it was for the proposal; not modified.
        before, after : Point
            Where the run stood and where it stands.
        refused : bool ndarray of shape (n_blocks + 1,)
            Blocks whose proposal was refused, so that they have not moved.
        steps_left : float ndarray of shape (n_blocks + 1,)
            How many more steps plain EM would need in each block, as the last three
            suggest; infinite where nothing is known.
        blocks : Blocks
            Which cells belong together.
        """

    def forget(self, memory: Any, moved: BoolArray, blocks: Blocks) -> Any:
        """Begin anew in blocks that something else has moved; by default in all."""
        return self.start(blocks)


class PlainEM(Accelerator):
    """EM itself: no acceleration."""

    uses_chart: ClassVar[bool] = False
    memory_type = tuple

    def start(self, blocks: Blocks) -> tuple[()]:
        """Remember nothing."""
        return ()

    def propose(self, memory: tuple[()], point: Point, family: CPDFamily, blocks: Blocks) -> Proposal:
        """Make an EM step."""
        return Proposal(point.target, np.ones(blocks.n_blocks + 1, dtype=bool))

    def learn(
        self,
        memory: tuple[()],
        before: Point,
        after: Point,
        refused: BoolArray,
        steps_left: FloatArray,
        blocks: Blocks,
    ) -> tuple[()]:
        """Learn nothing."""
        return memory
