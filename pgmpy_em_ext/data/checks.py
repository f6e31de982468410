"""What a table and its weights must be, checked before any work."""

import logging
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pgmpy_em_ext.types import FloatArray

logger = logging.getLogger(__name__)


MAX_RECORDS = 2**53
"""Sum of weights at most. Beyond it records cannot be counted one by one, and ``tol`` is less than rounding."""


def check_columns(data: Any, names: Sequence[Hashable]) -> list[Hashable]:
    """Check that the data is a table with at most one column for each variable.

    Returns
    -------
    list
        The columns that are no variable of the model: see `note_ignored`.
    """
    if not isinstance(data, pd.DataFrame):
        kind = type(data)
        way_out = "data.to_pandas()" if hasattr(kind, "to_pandas") else "pandas.DataFrame(data, columns=[...])"
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        raise TypeError(f"data must be a pandas DataFrame. Got: {name}. Convert it: {way_out}.")
    known, columns = set(names), data.columns.to_list()
    duplicated = [name for name in data.columns[data.columns.duplicated()].unique() if name in known]
    if duplicated:
        raise ValueError(f"data has several columns named {duplicated}; keep one for each variable.")
    if len(data) == 0:
        raise ValueError("data has no rows; at least one is needed.")
    if columns and known.isdisjoint(columns):
        raise ValueError(f"none of the data's columns {columns} is a variable of the model. Known: {list(names)}.")
    return [name for name in columns if name not in known]


def note_ignored(columns: Sequence[Hashable]) -> None:
    """Say which columns are no variables."""
    if columns:
        logger.info("The columns %s are no variables of the model: ignored.", list(columns))


def check_weight(sample_weight: Any, data: pd.DataFrame) -> FloatArray:
    """Check a table's row weights; without any, every row weighs one record.

    Returns
    -------
    float ndarray of shape (n_rows,)
        Finite, >= 0, not all zero, of a sum that is at most `MAX_RECORDS`.
    """
    n_rows = len(data)
    if sample_weight is None:
        return np.ones(n_rows)
    try:
        given = np.asarray(sample_weight)
        weight = None if np.iscomplexobj(given) else np.array(sample_weight, dtype=float)
    except (TypeError, ValueError, OverflowError):
        weight = None
    if weight is None:
        raise ValueError("sample_weight must be real numbers that a float can hold, one for each row.")
    if weight.ndim != 1 or len(weight) != n_rows:
        raise ValueError(
            f"sample_weight must be one number for each of the {n_rows} rows. Got: an array of shape {weight.shape}."
        )
    wrong = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(wrong):
        raise ValueError(
            f"sample_weight must be finite and >= 0. Got: {weight[wrong[0]]} in row {wrong[0]} (counting from 0)."
        )
    with np.errstate(over="ignore"):
        total = float(weight.sum())
    if total == 0:
        raise ValueError("sample_weight is zero for every row; at least one must be positive.")
    if total > MAX_RECORDS:
        raise ValueError(
            f"sample_weight adds up to {total:,.6g} records, more than the {MAX_RECORDS:,} that double precision can "
            "count. Divide all weights by a constant."
        )
    _check_alignment(sample_weight, data)
    return weight


def _check_alignment(sample_weight: Any, data: pd.DataFrame) -> None:
    """Refuse a Series whose index is the table's in another order: by position it would weigh other rows."""
    if not isinstance(sample_weight, pd.Series) or sample_weight.index.equals(data.index):
        return
    if len(sample_weight) == len(data) and data.index.is_unique and set(sample_weight.index) == set(data.index):
        raise ValueError(
            "sample_weight has the data's index in another order, and weights go by position. "
            "Pass sample_weight.loc[data.index], or sample_weight.to_numpy() if the order is meant."
        )
