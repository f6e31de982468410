"""What a command did, line by line."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from pgmpy_em_ext.cli.errors import say
from pgmpy_em_ext.cli.files import Given

if TYPE_CHECKING:
    import pandas as pd
    from pgmpy.base import DAG

    from pgmpy_em_ext.conditional_gaussian_em import ConditionalGaussianEM
    from pgmpy_em_ext.types import CPDColumn
    from pgmpy_em_ext.weighted_em import WeightedEM

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
        ("rows", _count_rows(reduction.n_rows, reduction.total_weight)),
        ("holes", f"{reduction.n_missing_cells:,}"),
        ("distinct rows", f"{reduction.n_distinct_rows:,}"),
        *_tell_of_runs(estimator),
    ]
    if estimator.unidentified_rows_:
        rows.append(("unidentified", _name_columns("parent configurations without data", estimator.unidentified_rows_)))
    return rows + _other_columns(reduction.promoted_latents, reduction.ignored_columns)


def continuous_summary(estimator: "ConditionalGaussianEM", given: Given, sample_weight: Any) -> list[tuple[str, str]]:
    """Say in short what a fit of a network with continuous variables did."""
    import numpy as np

    weight = np.ones(len(given.table)) if sample_weight is None else sample_weight
    names = [name for name in given.model.nodes() if name in given.table.columns]
    known = given.table.loc[weight > 0, names]
    empty = [name for name in names if known[name].isna().all()]
    rows = [
        ("rows", _count_rows(len(given.table), float(weight.sum()))),
        ("discrete", ", ".join(map(str, given.discrete)) or "none"),
        ("continuous", ", ".join(map(str, given.continuous))),
        ("holes", f"{int(known.drop(columns=empty).isna().sum().sum()):,}"),
        *_tell_of_runs(estimator),
    ]
    if estimator.floored_:
        rows.append(("at their floor", _name_columns("variances", estimator.floored_)))
    promoted = [name for name in empty if name not in given.model.latents]
    return rows + _other_columns(promoted, estimator.ignored_columns_)


def _count_rows(n_rows: int, total_weight: float) -> str:
    return f"{n_rows:,}" + ("" if total_weight == n_rows else f" (weights: {total_weight:,.6g})")


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
        ("still to gain", f"about {estimator.gap_:.2g} nats"),
        ("log-likelihood", f"{estimator.log_likelihood_:.6f}"),
        ("free parameters", f"{estimator.n_parameters_:,}"),
        ("AIC", f"{estimator.aic_:.6f}"),
        ("BIC", f"{estimator.bic_:.6f}"),
    ]


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
