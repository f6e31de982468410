"""What a command did, line by line."""

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from pgmpy_em_ext.cli.errors import say
from pgmpy_em_ext.cli.files import Given

if TYPE_CHECKING:
    import pandas as pd
    from pgmpy.base import DAG

    from pgmpy_em_ext.estimators.conditional_gaussian_em import ConditionalGaussianEM
    from pgmpy_em_ext.estimators.weighted_em import WeightedEM
    from pgmpy_em_ext.prepare.account import ReductionSummary
    from pgmpy_em_ext.types import CPDColumn

SHOWN_ROWS = 3


def say_notes(notes: Sequence[str]) -> None:
    """Say what was read in an unusual way; only when all went well, since an error is told in one line."""
    for note in notes:
        say("note", note)


def columns_without_use(model: "DAG", table: "pd.DataFrame") -> list[tuple[str, str]]:
    """Say which variables have no column, and are taken as unobserved, and which columns are ignored."""
    absent = [name for name in model.nodes() if name not in table.columns]
    ignored = [str(name) for name in table.columns if name not in model.nodes()]
    return [("without a column", ", ".join(absent) or "none"), ("ignored columns", ", ".join(ignored) or "none")]


def summary(estimator: "WeightedEM") -> list[tuple[str, str]]:
    """Say in short what a fit of a discrete network did."""
    reduction = estimator.reduction_
    rows = [
        ("rows", _count_rows(reduction)),
        ("holes", f"{reduction.n_missing_cells:,}"),
        ("distinct rows", f"{reduction.n_distinct_rows:,}"),
        *_tell_of_runs(estimator),
    ]
    if estimator.unidentified_rows_:
        rows.append(("unidentified", _name_columns("parent configurations without data", estimator.unidentified_rows_)))
    return rows + _other_columns(reduction.promoted_latents, reduction.ignored_columns)


def continuous_summary(estimator: "ConditionalGaussianEM", given: Given) -> list[tuple[str, str]]:
    """Say in short what a fit of a network with continuous variables did."""
    reduction = estimator.reduction_
    rows = [
        ("rows", _count_rows(reduction)),
        ("discrete", ", ".join(map(str, given.discrete)) or "none"),
        ("continuous", ", ".join(map(str, given.continuous))),
        ("holes", f"{reduction.n_missing_cells:,}"),
        *_tell_of_runs(estimator),
    ]
    if estimator.floored_:
        rows.append(("at their floor", _name_columns("variances", estimator.floored_)))
    return rows + _other_columns(reduction.promoted_latents, reduction.ignored_columns)


def _count_rows(reduction: "ReductionSummary") -> str:
    """Count the rows, what they weigh, and those that observe nothing."""
    notes = []
    if reduction.total_weight != reduction.n_rows:
        notes.append(f"weights: {reduction.total_weight:,.6g}")
    if reduction.n_empty_rows:
        notes.append(f"without any value, left out: {reduction.n_empty_rows:,}")
    return f"{reduction.n_rows:,}" + (f" ({'; '.join(notes)})" if notes else "")


def _other_columns(empty: Sequence[Hashable], ignored: Sequence[Hashable]) -> list[tuple[str, str]]:
    """Name the columns without a value, and those that are no variables."""
    rows = []
    if empty:
        rows.append(("empty columns", ", ".join(map(str, empty)) + " (taken as latent)"))
    if ignored:
        rows.append(("ignored columns", ", ".join(map(str, ignored))))
    return rows


def _tell_of_runs(estimator: "WeightedEM | ConditionalGaussianEM") -> list[tuple[str, str]]:
    """Say how the runs went, and what they found."""
    ended = "yes" if estimator.converged_ else f"no ({estimator.status_})"
    return [
        ("runs", _runs(estimator)),
        ("iterations", f"{estimator.n_iter_:,}"),
        ("converged", ended),
        ("still to gain", _in_nats(estimator.gap_)),
        ("log-likelihood", f"{estimator.log_likelihood_:.6f}"),
        ("free parameters", f"{estimator.n_parameters_:,}"),
        ("AIC", f"{estimator.aic_:.6f}"),
        ("BIC", f"{estimator.bic_:.6f}"),
    ]


def _in_nats(gap: float) -> str:
    """Put an estimated distance into words; an infinite one is that of a run too short to tell."""
    return "not known: the run was too short to tell" if math.isinf(gap) else f"about {gap:.2g} nats"


def _runs(estimator: "WeightedEM | ConditionalGaussianEM") -> str:
    """Count the runs, and the independent starts that lead to the best maximum."""
    n_runs = len(estimator.restarts_)
    told = f", the best found by {estimator.replicated_:,} of {estimator.n_starts_:,} starts"
    return f"{n_runs:,}" + told * (n_runs > 1)


def _name_columns(what: str, found: "Sequence[CPDColumn]") -> str:
    """Count columns of CPDs, and name the first."""
    shown = [
        f"{row.variable} | " + ", ".join(f"{name}={state}" for name, state in row.parents.items())
        if row.parents
        else str(row.variable)
        for row in found[:SHOWN_ROWS]
    ]
    more = "; ..." if len(found) > SHOWN_ROWS else ""
    return f"{len(found):,} {what}: {'; '.join(shown)}{more}"
