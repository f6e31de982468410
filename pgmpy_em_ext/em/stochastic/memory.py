"""What a run with sampled E-steps remembers from step to step."""

from typing import NamedTuple

from pgmpy_em_ext.e_step.statistics import Chains
from pgmpy_em_ext.types import FloatArray, IntArray

TAIL = ("statistics", "target", "target^2", "point", "point^2", "target*point", "target*last", "last")
"""What is added up over the steps after the drift, but for the last row: smoothed statistics; the EM step's
target; the point that it starts from; the target before."""


class NoisyMemory(NamedTuple):
    """What a run needs to go on, bit for bit.

    Attributes
    ----------
    seed, step : int
        Of its chains.
    states : int ndarray of shape (n_chains, n_nodes)
        Of its chains.
    n_drawn : int
        Draws of an E-step; where steps are made when they are sure, those for the current parameters.
    statistics : float ndarray of shape (n_cells,)
        Expected counts, smoothed as the schedule says.
    n_steady : int
        Steps since the parameters have ceased to drift; 0 before.
    sums : float ndarray of shape (len(`TAIL`), n_cells)
        Over these steps; see `TAIL`.
    reference : float ndarray of shape (n_cells,)
        Parameters when they began, from which the sums count.
    rate : float
        EM's rate of convergence as it was measured; negative before.
    resolution : float ndarray of shape (n_cells,)
        See `SamplingNoise`.
    means : float ndarray of shape (at most `drift.MAX_MEANS`, n_cells)
        Of the E-steps' counts over ``length`` steps each.
    length : int
        See there.
    partial : float ndarray of shape (n_cells,)
        Sum over the steps of the mean that is not complete.
    n_partial : int
        How many these are.
    batches : float ndarray of shape (`draws.N_BATCHES` or 0, n_cells)
        Of the draws for the current parameters, where steps are made when they are sure.
    gains : float ndarray of shape (at most 4,)
        What the last steps have gained, in nats.
    loss : float
        How far the estimate may be from the maximum, in nats; infinite while it is not known.
    is_done : bool
        Whether the run has met its precision.
    """

    seed: int
    step: int
    states: IntArray
    n_drawn: int
    statistics: FloatArray
    n_steady: int
    sums: FloatArray
    reference: FloatArray
    rate: float
    resolution: FloatArray
    means: FloatArray
    length: int
    partial: FloatArray
    n_partial: int
    batches: FloatArray
    gains: FloatArray
    loss: float
    is_done: bool

    @property
    def chains(self) -> Chains:
        """Where the random draws stand."""
        return Chains(int(self.seed), int(self.step), self.states)

    def follow(self, chains: Chains) -> "NoisyMemory":
        """Note where the random draws stand now."""
        return self._replace(step=chains.step, states=chains.states)
