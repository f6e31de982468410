"""Name the row that has probability zero, or of which draws say too little."""

from collections.abc import Iterable

import numpy as np

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.importance import MIN_EFFECTIVE
from pgmpy_em_ext.exceptions import DegenerateWeightsError, ImpossibleEvidenceError
from pgmpy_em_ext.types import MISSING, FloatArray


def impossible_evidence(
    network: Network, evidence: Evidence, parameters: FloatArray, impossible: np.ndarray
) -> ImpossibleEvidenceError:
    """Make the error for the impossible row that stands first in the user's table.

    Parameters
    ----------
    network : Network
        Structure and state names.
    evidence : Evidence
        Distinct rows.
    parameters : float ndarray of shape (n_cells,)
        Under which they are impossible.
    impossible : int ndarray
        Positions in the evidence of the impossible rows.

    Returns
    -------
    ImpossibleEvidenceError
        It names the states of one family where a single CPD entry is to blame, else all
        observed states.
    """
    row = int(impossible[np.argmin(evidence.first_row[impossible])])
    codes = evidence.codes[row]
    return ImpossibleEvidenceError(
        int(evidence.first_row[row]), network.observed_states(codes, _culprit(network, parameters, codes))
    )


def _culprit(network: Network, parameters: FloatArray, codes: np.ndarray) -> tuple[int, ...] | None:
    """Find a family that is fully observed in a cell of probability zero."""
    for node, family in enumerate(network.families):
        members = list(family.members)
        if (codes[members] != MISSING).all() and parameters[network.cells(node, codes[None])[0]] == 0:
            return family.members
    return None


def degenerate_weights(
    network: Network,
    evidence: Evidence,
    row: int,
    families: Iterable[int],
    n_draws: int,
    effective: float,
    engine: str,
) -> DegenerateWeightsError:
    """Make the error for a row whose draws say too little.

    Parameters
    ----------
    network, evidence
        As in `impossible_evidence`.
    row : int
        Position in the evidence.
    families : iterable of int
        What was weighed: the message lists what the row observes of them.
    n_draws : int
        How much was drawn.
    effective : float
        The effective sample size.
    engine : str
        The engine's class, of which more samples can be asked.
    """
    members = sorted({member for node in families for member in network.families[node].members})
    states = network.observed_states(evidence.codes[row], members)
    observed = ", ".join(f"{name}={state!r}" for name, state in states.items())
    if effective == 0:
        finding = f"all {n_draws:,} draws of what it misses have weight zero, and it may be impossible"
    else:
        finding = (
            f"the weights of the {n_draws:,} draws of what it misses are degenerate: their effective sample size is "
            f"{effective:.2f}, less than {MIN_EFFECTIVE:g}"
        )
    return DegenerateWeightsError(
        f"row {evidence.first_row[row]} (counting from 0), which observes {observed}: {finding}. Take more samples, "
        f'{engine}(n_samples=...), or another engine, e_step="auto" or e_step="exact".'
    )
