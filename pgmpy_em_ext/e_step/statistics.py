"""What an E-step hands to the M-step, and how noisy it is."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.types import FloatArray, IntArray


class Blocks(NamedTuple):
    """Which families the data joins.

    The log-likelihood is a sum over independent blocks of families, each a function of
    its own families' parameters alone; so EM climbs, and stops, in each on its own.

    Attributes
    ----------
    of_family : int ndarray of shape (n_nodes,)
        The block of each family, from 0; ``n_blocks`` for families that need no inference.
    of_cell : int ndarray of shape (n_cells,)
        The same of each parameter.
    n_blocks : int
        Number of blocks.
    of_statistic : int ndarray of shape (n_statistics,), optional
        The same of each expected statistic; by default there is one for each parameter.
    """

    of_family: IntArray
    of_cell: IntArray
    n_blocks: int
    of_statistic: IntArray | None = None


class Chains(NamedTuple):
    """Where the random draws of one run of a sampled E-step stand.

    Attributes
    ----------
    seed : int
        Of all draws of the run.
    step : int
        E-steps made so far: with the seed it determines the next one's random numbers.
    states : int ndarray of shape (n_chains, n_nodes)
        Completed rows from which the next E-step's chains go on; empty for engines whose draws
        do not depend on earlier ones.
    """

    seed: int
    step: int
    states: IntArray


class SamplingNoise(NamedTuple):
    """How far statistics that were sampled may be off.

    Attributes
    ----------
    batch_counts : float ndarray of shape (n_batches, n_cells)
        Expected counts as batches of equally many draws estimate them; their mean is the
        estimate. A single batch says nothing of the error.
    log_likelihood_error : float
        Standard error of the log-likelihood, in nats.
    effective_sample_size : float
        The smallest of any row, in draws; what the log-likelihood of that row rests on.
    resolution : float ndarray of shape (n_cells,)
        What one draw adds to a count at most, in records; 0 where counts are exact.
    n_stuck : int
        Chains in which no joint move was accepted and the blocks alone may not reach all
        completions.
    """

    batch_counts: FloatArray
    log_likelihood_error: float
    effective_sample_size: float
    resolution: FloatArray
    n_stuck: int = 0

    @property
    def count_errors(self) -> FloatArray:
        """Standard errors of the counts, in records; infinite where a single batch tells nothing.

        The spread of the batches, and what a single draw adds: a completion too rare for any draw
        to have met it leaves no trace in the spread.
        """
        n_batches = len(self.batch_counts)
        if n_batches < 2:
            return np.where(self.resolution > 0, np.inf, 0.0)
        return np.hypot(self.batch_counts.std(axis=0, ddof=1) / np.sqrt(n_batches), self.resolution)


class ExpectedStatistics(NamedTuple):
    """What an E-step returns.

    Attributes
    ----------
    counts : float ndarray of shape (n_cells,)
        Expected counts of every family, in records, in the flat layout of `Network`.
    log_likelihood : float
        Log-likelihood of the observed data under the parameters that the counts
        were computed with, in nats, summed over records.
    block_log_likelihood : float ndarray of shape (n_blocks + 1,), optional
        Its parts, where the engine tells independent blocks of families apart; the last is
        that of the families outside. 0 for blocks at rest, whose counts are 0 too.
    noise : SamplingNoise, optional
        What is known of the error, where they were sampled.
    """

    counts: FloatArray
    log_likelihood: float
    block_log_likelihood: FloatArray | None = None
    noise: SamplingNoise | None = None
