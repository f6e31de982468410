"""Checks of single numbers, with one wording for all."""

import math
from numbers import Integral, Real
from typing import Any

from pgmpy_em_ext.exceptions import MemoryBudgetError

MAX_JOINED = 20_000
"""Parameters of one matrix at most: three gigabytes, and hours for its eigenvectors."""


def check_number(name: str, value: Any, *, optional: bool = False, positive: bool = False) -> None:
    """Check that an argument is a finite number >= 0, or > 0."""
    if optional and value is None:
        return
    allowed = ("a number > 0" if positive else "a number >= 0") + (", or None" if optional else "")
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be {allowed}. Got: {value!r}.")
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{name} must be {allowed}. Got: {value!r}.")


def check_integer(name: str, value: Any, *, low: int | None = None, optional: bool = False) -> None:
    """Check that an argument is an integer, not below a bound."""
    if optional and value is None:
        return
    allowed = "an integer" + (f" >= {low}" if low is not None else "") + (", or None" if optional else "")
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be {allowed}. Got: {value!r}.")
    if low is not None and value < low:
        raise ValueError(f"{name} must be {allowed}. Got: {value!r}.")


def check_n_jobs(value: Any, *, optional: bool = False) -> None:
    """Check a number of threads as joblib has it."""
    check_integer("n_jobs", value, optional=optional)
    if value == 0:
        raise ValueError("n_jobs must be an integer other than 0: the number of threads, or -1 for all. Got: 0.")


def check_joined(n_joined: int) -> None:
    """Refuse a matrix over more parameters than can be worked on."""
    if n_joined > MAX_JOINED:
        raise MemoryBudgetError(
            f"the data joins {n_joined:,} parameters in one matrix, more than the {MAX_JOINED:,} that are supported. "
            "Fix some CPDs with fixed_cpds; for standard errors, use the bootstrap instead."
        )
