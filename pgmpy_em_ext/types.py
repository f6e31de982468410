"""Aliases of arrays, the code of a missing cell, and how a column of a CPD is named."""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MISSING = -1
"""The code of a missing cell and of a latent variable."""

IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


class CPDColumn(NamedTuple):
    """A column of a CPD: the distribution of a variable under one parent configuration.

    Attributes
    ----------
    variable : hashable
        The child.
    parents : dict
        The state of each parent; empty where there is none.
    """

    variable: Hashable
    parents: dict[Hashable, Hashable]
