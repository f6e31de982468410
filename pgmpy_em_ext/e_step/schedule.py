"""How a run averages sampled E-steps, and how precise it must be: schedules for engines that are not exact."""

import sys
from typing import Any, ClassVar

from skbase.base import BaseObject

from pgmpy_em_ext._tools.checks import check_number
from pgmpy_em_ext._tools.registry import lookup


class Schedule(BaseObject):
    """Base class of schedules: configuration; what they mean is in `stochastic`.

    A run ends when the noise that is left in its estimate costs less than ``tol`` nats of the objective, or
    less than a part of what the estimate owes to the sample's size anyway: a maximum-likelihood
    estimate of p parameters lies, with its own data, p / 2 nats above the truth.

    Tags
    ----
    name : str
        The name by which ``schedule=...`` of an engine finds it.
    ascends : bool
        Whether a step is made only when it is surely one upwards, and drawn for until it is; else all
        are made, and averaged.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": None, "ascends": False}

    precision: float

    def check(self) -> None:
        """Check the arguments, before any work."""
        check_number("precision", self.precision)

    def nats(self, n_free: int, tol: float) -> float:
        """Say how far from the maximum a run of so many free parameters may end, in nats."""
        return max(tol, self.precision * n_free / 2)

    def step_size(self, n_steady: int) -> float:
        """Give the weight of the newest E-step; ``n_steady`` counts the steps since the drift has ended, from 1."""
        return 1.0


class Fixed(Schedule):
    """As many draws in every iteration, no memory of earlier ones; the estimate is an average.

    Parameters
    ----------
    precision : float, default 0.002
        See `Schedule`.

    References
    ----------
    Wei & Tanner (1990), J. Am. Stat. Assoc. 85(411). Polyak & Juditsky (1992), SIAM J. Control Optim. 30(4).
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "fixed"}

    def __init__(self, precision: float = 0.002) -> None:
        self.precision = precision
        super().__init__()


class SAEM(Schedule):
    """Stochastic approximation: each E-step moves the statistics by a part that decreases.

    While the parameters still drift, every E-step counts in full. Then the k-th one counts with
    k ** -exponent, so that noise averages out, and the estimate is an average over these.

    Parameters
    ----------
    exponent : float, default 0.7
        Between 0.5 and 1.
    precision : float, default 0.002
        See `Schedule`.

    References
    ----------
    Delyon, Lavielle & Moulines (1999), Ann. Stat. 27(1), 94-128. Kuhn & Lavielle (2004), ESAIM: P&S 8
    (with Markov chains).
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "saem"}

    def __init__(self, exponent: float = 0.7, precision: float = 0.002) -> None:
        self.exponent = exponent
        self.precision = precision
        super().__init__()

    def check(self) -> None:
        """Check the arguments, before any work."""
        super().check()
        check_number("exponent", self.exponent)
        if not 0.5 <= self.exponent <= 1:
            raise ValueError(f"exponent must be between 0.5 and 1. Got: {self.exponent!r}.")

    def step_size(self, n_steady: int) -> float:
        """Give the weight of the newest E-step; see `Schedule.step_size`."""
        return float(max(n_steady, 1) ** -self.exponent)


class Ascent(Schedule):
    """As many draws as it takes to be sure of every step.

    A step is made when the expected complete-data log-likelihood rises by more than ``z`` standard errors;
    else twice as much is drawn, anew. The run ends when what it may still gain is surely small.

    Parameters
    ----------
    z : float, default 1.645
        Standard errors to be sure.
    precision : float, default 0.002
        See `Schedule`.

    References
    ----------
    Caffo, Jank & Jones (2005), J. R. Stat. Soc. B 67(2), 235-251.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "ascent", "ascends": True}

    def __init__(self, z: float = 1.645, precision: float = 0.002) -> None:
        self.z = z
        self.precision = precision
        super().__init__()

    def check(self) -> None:
        """Check the arguments, before any work."""
        super().check()
        check_number("z", self.z)


def read_schedule(given: Any) -> Schedule:
    """Turn a schedule's name, class or instance into a checked instance."""
    schedule: Schedule = lookup(given, Schedule, sys.modules[__name__], "schedule")
    schedule.check()
    return schedule
