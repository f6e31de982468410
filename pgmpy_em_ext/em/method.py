"""What tells exact from sampled E-steps to the loop."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pgmpy_em_ext.em.progress import Progress, RunResult
from pgmpy_em_ext.em.step import EMState, Problem
from pgmpy_em_ext.em.stopping import StoppingRule
from pgmpy_em_ext.types import BoolArray


class Run(Protocol):
    """What the loop looks at between two steps: a state that its observer sees, and the progress to it."""

    @property
    def state(self) -> EMState:
        """The current state."""
        ...

    @property
    def progress(self) -> Progress:
        """What the run needs to go on later."""
        ...


RunT = TypeVar("RunT", bound=Run)


class Method(ABC, Generic[RunT]):
    """How a run begins, goes from step to step, and ends; `loop.run` calls these and knows no more.

    Configuration only: what changes from step to step is in the run, a `NamedTuple` of the method's own.
    """

    is_monotone: ClassVar[bool]
    """Whether its objectives never fall, but for rounding."""

    @abstractmethod
    def begin(
        self,
        problem: Problem,
        progress: Progress,
        rule: StoppingRule,
        state: EMState | None,
        racing: BoolArray | None,
    ) -> RunT:
        """Evaluate the start, or take up where a run was laid down; ``state`` is what is known of it."""

    def has_ended(self, run: RunT) -> bool:
        """Say whether nothing was left to do when the run was laid down."""
        return False

    @abstractmethod
    def stop_reason(self, run: RunT, rule: StoppingRule) -> str | None:
        """Say why the run is at its end; None where it is not."""

    def look_beyond(self, run: RunT, rule: StoppingRule) -> tuple[RunT, bool]:
        """Look for something higher where the run has converged; says whether the run goes on from there."""
        return run, False

    @abstractmethod
    def advance(self, run: RunT, rule: StoppingRule) -> RunT:
        """Make a step: a proposal, then an E-step."""

    @abstractmethod
    def conclude(self, run: RunT, rule: StoppingRule, status: str) -> RunResult:
        """Turn the run's end into its result."""

    @abstractmethod
    def recall(self, arrays: dict[str, Any]) -> Any:
        """Make the memory of a run again from its fields, as a checkpoint has kept them."""
