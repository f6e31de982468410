"""Name the row that has probability zero."""

import numpy as np

from pgmpy_em_ext.exceptions import ImpossibleEvidenceError
from pgmpy_em_ext.network import Network
from pgmpy_em_ext.types import MISSING, Evidence, FloatArray


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
