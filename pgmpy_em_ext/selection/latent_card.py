"""How many states a latent variable has: a fit for each number, and a criterion to choose by."""

import re
import warnings
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pgmpy import config
from pgmpy.models import DiscreteBayesianNetwork
from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from pgmpy_em_ext.estimators.weighted_em import WeightedEM
from pgmpy_em_ext.selection.candidates import Candidate, Task, check_task
from pgmpy_em_ext.selection.folds import deal_folds, score_fold, summarize_folds
from pgmpy_em_ext.types import FloatArray


class LatentCardSelection(NamedTuple):
    """What `select_latent_card` found.

    Attributes
    ----------
    table : pandas.DataFrame
        A row for each candidate, in the order in which they were given. A column for each
        latent with its number of states; then ``n_parameters``, ``log_likelihood``,
        ``aic`` and ``bic`` of the fit to all rows. For the criterion "held_out" also
        ``held_out``, the mean log-likelihood of a held-out record, ``held_out_error``, its
        standard error over the folds, and ``n_impossible``, the records that had
        probability zero when they were held out. ``converged``: whether all fits did.
        ``replicated``: how many runs of the fit to all rows came within 0.1 nats of the
        best, where the estimator counts them. ``chosen``: True for the best.
    best : dict
        The chosen number of states of each latent.
    estimator : WeightedEM
        The chosen candidate's, fitted to all rows.
    model : DiscreteBayesianNetwork
        A copy of the model with the CPDs of that fit.
    """

    table: pd.DataFrame
    best: dict[Hashable, int]
    estimator: WeightedEM
    model: DiscreteBayesianNetwork


def select_latent_card(
    model: Any,
    data: pd.DataFrame,
    cards: Mapping[Any, Iterable[int]],
    criterion: str = "bic",
    *,
    estimator: WeightedEM | None = None,
    sample_weight: Any = None,
    n_folds: int = 5,
    seed: int | None = None,
    show_progress: bool = True,
) -> LatentCardSelection:
    """Fit a model with several numbers of states of its latent variables, and choose one.

    Parameters
    ----------
    model : DiscreteBayesianNetwork or DAG
        The structure, as `WeightedEM.fit` takes it. Not modified.
    data : pandas.DataFrame
        As for `WeightedEM.fit`. Not modified.
    cards : dict of iterables of int
        Candidate numbers of states >= 1 by latent variable, such as ``{"H": range(1, 7)}``.
        With several latents, all combinations are fitted. A number given twice counts once.
        Other latents keep what ``estimator`` says.
    criterion : {"bic", "aic", "held_out"}, default "bic"
        "bic" and "aic": the smaller, the better. "held_out": the log-likelihood of records
        that were held out of the fit, by cross-validation; the larger, the better. What
        differs by less than the estimator's ``tol`` can tell is a tie, which fewer
        parameters win.
    estimator : WeightedEM, optional
        The settings of all fits: prior, n_init, n_jobs and so on. It is cloned, not fitted.
        ``callback`` and ``max_time`` are for each fit. By default ``WeightedEM()``.
    sample_weight : array-like of shape (n_rows,), optional
        Records that each row stands for. "held_out" deals records, not rows, into folds: a row
        of weight 3 is three records. A fraction of a record stays in one piece. Rows without any value are not
        dealt: they say nothing of any candidate.
    n_folds : int, default 5
        Folds of equal size, for "held_out" only.
    seed : int, optional
        Of all fits and of the folds; by default the estimator's.
    show_progress : bool, default True
        Show a progress bar over all fits, unless pgmpy's ``config.SHOW_PROGRESS`` is off.

    Returns
    -------
    LatentCardSelection
        The table of all candidates, the best, its fitted estimator and its model.

    Raises
    ------
    ValueError, TypeError
        For any argument that cannot be used. Every candidate's start is evaluated before the
        first fit, so that one that cannot be fitted is found then.

    Warns
    -----
    ConvergenceWarning, UserWarning
        One warning for all fits that warned, with the candidates; another where a
        candidate makes held-out records impossible.

    Notes
    -----
    Cost: a fit for each candidate, and with "held_out" ``n_folds`` more.

    In each fold the variables have the states of the whole table. Without a prior, a state
    that none of the other folds shows has probability zero, and the held-out log-likelihood
    is -inf: the candidate forbids what happened. ``n_impossible`` counts such records. A
    prior, even a weak one, is the remedy: ``WeightedEM(prior=Dirichlet(0.1))``.

    AIC and BIC count parameters, and are derived for models whose parameters the data can
    tell. A latent with too many states is not such a model: see the page on how many states.

    References
    ----------
    Schwarz (1978), Ann. Stat. 6(2), 461-464. Akaike (1974), IEEE Trans. Autom. Control 19(6),
    716-723. Smyth (2000), Stat. Comput. 10(1), 63-72. Drton & Plummer (2017), J. R. Stat. Soc.
    B 79(2), 323-380.

    Examples
    --------
    Four yes-no questions whose answers go together, all yes or all no in most rows.

    >>> import pandas as pd
    >>> from pgmpy.models import DiscreteBayesianNetwork
    >>> rows = [(0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 0, 1), (1, 0, 1, 1), (1, 1, 0, 1)]
    >>> data = pd.DataFrame(rows, columns=["A", "B", "C", "D"])
    >>> model = DiscreteBayesianNetwork([("H", item) for item in data.columns], latents={"H"})
    >>> found = select_latent_card(
    ...     model, data, {"H": [1, 2]}, sample_weight=[40, 40, 5, 5, 5], seed=0, show_progress=False
    ... )
    >>> found.best
    {'H': 2}
    >>> found.table[["H", "n_parameters", "bic", "chosen"]].round(1)
       H  n_parameters    bic  chosen
    0  1             4  541.8   False
    1  2             9  268.8    True
    """
    task = check_task(model, data, cards, criterion, estimator, sample_weight, n_folds, seed)
    for candidate in task.candidates:
        _try(task, candidate)
    shown = show_progress and config.SHOW_PROGRESS
    with tqdm(total=task.n_fits, unit="fit", disable=not shown) as bar:
        fitter = _Fitter(task, bar)
        for candidate in task.candidates:
            fitter.fit(candidate, candidate.estimator, task.weight)
        if criterion == "held_out":
            _hold_out(task, fitter)
    table = _tabulate(task, fitter)
    chosen = task.candidates[int(np.flatnonzero(table["chosen"])[0])]
    fitter.warn()
    if criterion == "held_out":
        _warn_of_the_impossible(table, task)
    return LatentCardSelection(table, dict(chosen.cards), chosen.estimator, _build_model(task, chosen.estimator))


def _try(task: Task, candidate: Candidate) -> None:
    """Evaluate a candidate's start, and so find what keeps it from being fitted."""
    trial = candidate.estimator.clone().set_params(max_iter=0, n_init=1, max_time=None, callback=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no step is made; the fit itself warns
        _fit_noted(trial, task, task.weight, candidate.label)


def _fit_noted(estimator: WeightedEM, task: Task, weight: FloatArray, label: str) -> None:
    """Fit, and tell an error which candidate it is about."""
    try:
        estimator.fit(task.model, task.data, weight)
    except Exception as error:
        error.add_note(f"The candidate was {label}.")
        raise


class _Fitter:
    """Fits, counts the fits on the progress bar, and keeps what they warn of."""

    def __init__(self, task: Task, bar: Any) -> None:
        self._task = task
        self._bar = bar
        self._kinds: dict[str, tuple[str, Counter[str]]] = {}
        self._is_convergence = False
        self._n_warned = 0
        self.unfinished: set[str] = set()

    def fit(self, candidate: Candidate, estimator: WeightedEM, weight: FloatArray) -> None:
        """Fit a candidate's estimator, in place, and keep the warnings."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            _fit_noted(estimator, self._task, weight, candidate.label)
        if not estimator.converged_:
            self.unfinished.add(candidate.label)
        ours = [warning for warning in caught if issubclass(warning.category, UserWarning)]
        for warning in ours:
            self._record(candidate.label, warning)
        self._n_warned += bool(ours)
        for warning in caught:
            if warning not in ours:  # not about the fit: some library's
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        self._bar.set_postfix_str(candidate.label, refresh=False)
        self._bar.update(1)

    def _record(self, label: str, warning: warnings.WarningMessage) -> None:
        """Put warnings together that differ in their numbers only."""
        text = str(warning.message)
        _, counter = self._kinds.setdefault(re.sub(r"\d+", "#", text), (text, Counter()))
        counter[label] += 1
        self._is_convergence |= issubclass(warning.category, ConvergenceWarning)

    def warn(self) -> None:
        """Say in one warning what all the fits had to say."""
        if not self._kinds:
            return
        parts = []
        for text, counter in self._kinds.values():
            labels = [label if count == 1 else f"{label} ({count} fits)" for label, count in counter.items()]
            parts.append(f"{'; '.join(labels)}: {text}")
        warnings.warn(
            f"{self._n_warned} of {self._task.n_fits} fits warned. {' '.join(parts)}",
            ConvergenceWarning if self._is_convergence else UserWarning,
            stacklevel=3,
        )


def _hold_out(task: Task, fitter: _Fitter) -> None:
    """Fit every candidate without each fold, and score the fold; all candidates see the same folds."""
    rng = np.random.default_rng(task.candidates[0].estimator.seed)
    for held_out in deal_folds(task.sample, task.n_folds, rng):
        inside = held_out > 0
        for candidate in task.candidates:
            whole = candidate.estimator
            # The whole table's states: a state that only the fold shows is no error.
            fold = whole.clone().set_params(state_names=whole.state_names_)
            fitter.fit(candidate, fold, task.weight - held_out)
            log_likelihoods = fold.score_samples(task.data.loc[inside])
            candidate.folds.append(score_fold(log_likelihoods, held_out[inside]))


def _tabulate(task: Task, fitter: _Fitter) -> pd.DataFrame:
    """Make the table of all candidates, and choose."""
    fitted = [candidate.estimator for candidate in task.candidates]
    table = pd.DataFrame([candidate.cards for candidate in task.candidates])
    for column in ("n_parameters", "log_likelihood", "aic", "bic"):
        table[column] = [getattr(estimator, f"{column}_") for estimator in fitted]
    if task.criterion == "held_out":
        summaries = [summarize_folds(candidate.folds) for candidate in task.candidates]
        table["held_out"] = [summary.mean for summary in summaries]
        table["held_out_error"] = [summary.standard_error for summary in summaries]
        table["n_impossible"] = [summary.n_impossible for summary in summaries]
    table["converged"] = [candidate.label not in fitter.unfinished for candidate in task.candidates]
    replicated = [getattr(estimator, "replicated_", None) for estimator in fitted]
    if any(count is not None for count in replicated):
        table["replicated"] = replicated
    table["chosen"] = np.arange(len(table)) == _choose(table, task)
    return table


def _choose(table: pd.DataFrame, task: Task) -> int:
    """Find the best row; among those that the fits' precision does not tell apart, that of fewest parameters."""
    tol = float(task.candidates[0].estimator.tol)  # in nats, of the whole log-likelihood
    if task.criterion == "held_out":
        loss, precision = -table["held_out"].to_numpy(), tol / float(task.sample.sum())
    else:
        loss, precision = table[task.criterion].to_numpy(), 2 * tol
    tied = np.flatnonzero(loss <= loss.min() + precision)
    return int(tied[np.argmin(table["n_parameters"].to_numpy()[tied])])


def _warn_of_the_impossible(table: pd.DataFrame, task: Task) -> None:
    """Say where the criterion is -inf, and so tells little."""
    found = [
        candidate.label for candidate, count in zip(task.candidates, table["n_impossible"], strict=True) if count > 0
    ]
    if not found:
        return
    where = "; ".join(found)
    if len(found) == len(table):
        where = "every candidate, so that the one of fewest parameters was chosen"
    warnings.warn(
        f"held_out is -inf for {where}. Held-out records have probability zero there: without a prior, what the other "
        "folds do not show is impossible. Give the estimator one, such as WeightedEM(prior=Dirichlet(0.1)).",
        UserWarning,
        stacklevel=3,
    )


def _build_model(task: Task, estimator: WeightedEM) -> DiscreteBayesianNetwork:
    """Copy the structure and add the fitted CPDs."""
    model = DiscreteBayesianNetwork()
    model.add_nodes_from(task.structure.names)
    model.add_edges_from(task.model.edges())
    model.latents = set(task.structure.latents)
    model.add_cpds(*(cpd.copy() for cpd in estimator.parameters_))
    return model
