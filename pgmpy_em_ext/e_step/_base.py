"""The protocol that every E-step engine follows."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from skbase.base import BaseObject

from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.statistics import Blocks, Chains, ExpectedStatistics
from pgmpy_em_ext.types import BoolArray, FloatArray


class EStep(BaseObject):
    """Base class of E-step engines.

    An engine is configuration: its constructor stores what it is given. The work
    is in two methods. `prepare` does all that depends on the data alone, once;
    `expected_statistics` is called in every iteration, possibly from several
    threads at once, and must not change the plan.

    Tags
    ----
    name : str
        The name by which ``WeightedEM(e_step=...)`` finds the engine.
    exact : bool
        Whether the statistics are free of sampling noise. Under an exact engine a
        fall of the objective is reported as a fault; one that is not is run by a schedule
        for noisy E-steps, through `start_chains` and `draw_statistics`.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": None, "exact": True}

    @abstractmethod
    def prepare(self, network: Network, evidence: Evidence) -> Any:
        """Do once what depends on the data alone.

        Parameters
        ----------
        network : Network
            Structure and layout.
        evidence : Evidence
            Distinct rows and their weights.

        Returns
        -------
        object
            The plan that `expected_statistics` takes.

        Raises
        ------
        MemoryBudgetError
            Where the engine's budget does not suffice.
        """

    def settle(self, network: Network, evidence: Evidence) -> tuple["EStep", Any]:
        """Prepare, and say which engine does the work: another one, where it does it better.

        Returns
        -------
        engine : EStep
            By default this one.
        plan : object
            What its `prepare` returned.
        """
        return self, self.prepare(network, evidence)

    def is_exact(self, plan: Any) -> bool:
        """Whether the statistics of this plan are free of sampling noise; by default what the tag says."""
        return bool(self.get_tag("exact"))

    def usual_draws(self, plan: Any) -> int:
        """Say how many draws of each row an E-step makes that is not told; for engines that are not exact."""
        return int(getattr(self, "n_samples", 1))

    def start_chains(self, plan: Any, seed: int) -> Chains:
        """Make what a run of E-steps hands on from one to the next; for engines that are not exact.

        Parameters
        ----------
        plan : object
            What `prepare` returned; not modified.
        seed : int
            Of all random draws of the run, >= 0.
        """
        return Chains(seed, 0, np.zeros((0, 0), dtype=np.int64))

    def draw_statistics(
        self, plan: Any, parameters: FloatArray, chains: Chains, n_samples: int | None = None
    ) -> tuple[ExpectedStatistics, Chains]:
        """Estimate expected counts and log-likelihood, and go on with the chains; for engines that are not exact.

        Parameters
        ----------
        plan : object
            What `prepare` returned; not modified.
        parameters : float ndarray of shape (network.n_cells,)
            As in `expected_statistics`.
        chains : Chains
            Where the run's draws stand; not modified.
        n_samples : int, optional
            Draws of each row; by default what the engine's constructor says.

        Returns
        -------
        statistics : ExpectedStatistics
            With ``noise``, where the engine knows it.
        chains : Chains
            Where they stand now.
        """
        return self.expected_statistics(plan, parameters), chains._replace(step=chains.step + 1)

    def refine_log_likelihood(self, plan: Any, parameters: FloatArray, chains: Chains) -> tuple[float, float]:
        """Estimate the log-likelihood at the end of a run, and its standard error; for engines that are not exact.

        The arguments are those of `draw_statistics`. By default one more E-step tells.

        Returns
        -------
        log_likelihood, error : float
            In nats; an infinite error where it is not known.
        """
        found, _ = self.draw_statistics(plan, parameters, chains)
        return found.log_likelihood, np.inf if found.noise is None else found.noise.log_likelihood_error

    def without_zeros(self, plan: Any, zero: BoolArray) -> Any:
        """Prepare for parameters some of which are zero and stay so; by default this changes nothing.

        Parameters
        ----------
        plan : object
            What `prepare` returned; not modified.
        zero : bool ndarray of shape (network.n_cells,)
            Entries that are zero whenever the new plan is used.

        Returns
        -------
        object
            A plan that yields the same statistics for such parameters.
        """
        return plan

    def reweighted(self, plan: Any, weight: FloatArray) -> Any:
        """Prepare the same rows with other weights; None, the default, where that is no less work than `prepare`.

        Parameters
        ----------
        plan : object
            What `prepare` returned; not modified.
        weight : float ndarray of shape (n_distinct,)
            New weights of the evidence's rows, in records; rows of weight 0 count for nothing.

        Returns
        -------
        object or None
            A plan that yields what `prepare` would for the evidence with these weights.
        """
        return None

    def row_weights(self, plan: Any) -> FloatArray | None:
        """Give the weights that `reweighted` would replace, in records; None, the default, where it is not known."""
        return None

    def blocks(self, plan: Any) -> Blocks | None:
        """Tell which families the data joins; None, the default, where the engine does not know.

        An engine that knows takes a further argument in `expected_statistics`, ``active``, a
        bool ndarray of shape (n_blocks + 1,) that marks what to evaluate, and returns
        ``block_log_likelihood``.
        """
        return None

    @abstractmethod
    def expected_statistics(self, plan: Any, parameters: FloatArray) -> ExpectedStatistics:
        """Compute expected family counts and the log-likelihood of the observed data.

        Parameters
        ----------
        plan : object
            What `prepare` returned; not modified.
        parameters : float ndarray of shape (network.n_cells,)
            CPD entries in the flat layout of `Network`; not modified.

        Returns
        -------
        ExpectedStatistics
            Counts in the same layout, and the log-likelihood of these parameters.

        Raises
        ------
        ImpossibleEvidenceError
            A row has probability zero under the parameters.
        """

    def n_operations(self, plan: Any) -> float:
        """Estimate the elementary operations of one E-step, some four nanoseconds each; infinite where not known.

        It decides how many starts are carried to their ends, so that it must depend on the plan alone.
        """
        return np.inf

    def summary(self, plan: Any) -> dict[str, int]:
        """Tell the sizes of a plan, for ``reduction_``; none by default."""
        return {}
