"""How sure a fit is, in pgmpy's layout: states by parent configurations."""

from collections.abc import Hashable

import pandas as pd

from pgmpy_em_ext.answers import count_frames
from pgmpy_em_ext.bootstrap import percentile_interval
from pgmpy_em_ext.network import Network
from pgmpy_em_ext.standard_errors import StandardErrors
from pgmpy_em_ext.types import FloatArray

Frames = dict[Hashable, pd.DataFrame]
"""A table for each variable, laid out as its CPD."""


def error_frames(network: Network, found: StandardErrors) -> Frames:
    """Label standard errors; NaN where there is none."""
    return count_frames(network, found.errors)


def reason_frames(network: Network, found: StandardErrors) -> Frames:
    """Label the reasons why entries have no standard error, "" where they have one."""
    return count_frames(network, found.texts)


def interval_frames(network: Network, draws: FloatArray, level: float = 0.95) -> tuple[Frames, Frames]:
    """Label the lower and the upper ends of percentile intervals.

    Parameters
    ----------
    network : Network
        Structure and states.
    draws : float ndarray of shape (n, n_cells)
        What `bootstrap` returns.
    level : float, default 0.95
        Share of the replicates within.
    """
    low, high = percentile_interval(draws, level)
    return count_frames(network, low), count_frames(network, high)
