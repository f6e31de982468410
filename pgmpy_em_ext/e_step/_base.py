"""The protocol that every E-step engine follows."""

from abc import abstractmethod
from typing import Any, ClassVar

from skbase.base import BaseObject

from pgmpy_em_ext.network import Network
from pgmpy_em_ext.types import Blocks, BoolArray, Evidence, ExpectedStatistics, FloatArray


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
        fall of the objective is reported as a fault.
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

    def summary(self, plan: Any) -> dict[str, int]:
        """Tell the sizes of a plan, for ``reduction_``; none by default."""
        return {}
