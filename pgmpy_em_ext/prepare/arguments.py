"""Check the estimator's arguments and translate them, before any work."""

import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pgmpy.factors.discrete import TabularCPD
from pgmpy.parameter_estimator import DiscreteBayesianEstimator, DiscreteMLE

from pgmpy_em_ext import e_step as e_step_package
from pgmpy_em_ext._tools.checks import check_integer, check_n_jobs, check_number
from pgmpy_em_ext._tools.registry import lookup
from pgmpy_em_ext.cpd_family import prior as prior_module
from pgmpy_em_ext.cpd_family.prior import K2, BDeu, Dirichlet, Prior
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.schedule import read_schedule
from pgmpy_em_ext.em.acceleration import ACCELERATIONS, Accelerator
from pgmpy_em_ext.em.exact import ExactEM
from pgmpy_em_ext.em.method import Method
from pgmpy_em_ext.em.stochastic import StochasticEM
from pgmpy_em_ext.start import initializer as initializer_module
from pgmpy_em_ext.start.initializer import AvailableCaseStart, Initializer

Kinds = type[Any] | tuple[type[Any], ...]
"""Classes of CPDs that an estimator knows."""


class Settings(NamedTuple):
    """The estimator's arguments, checked.

    Attributes
    ----------
    engine : EStep
        Computes expected statistics.
    accelerator : Accelerator
        Where the next E-step is made.
    prior : Prior or None
        None is maximum likelihood.
    strategy : Initializer or None
        Where to start; None where CPDs are given.
    mixes_starts : bool
        Whether every other random start is near the uniform: nothing was said of where to
        start.
    init_cpds, fixed_cpds : dict
        `TabularCPD`s by variable.
    fixed_names : tuple
        Variables whose CPD is fixed at its starting value.
    """

    engine: EStep
    accelerator: Accelerator
    prior: Prior | None
    strategy: Initializer | None
    mixes_starts: bool
    init_cpds: dict[Hashable, TabularCPD]
    fixed_cpds: dict[Hashable, TabularCPD]
    fixed_names: tuple[Hashable, ...]


def check_settings(estimator: Any) -> Settings:
    """Check every argument of a `WeightedEM` that can be checked without model and data.

    Raises
    ------
    ValueError, TypeError
        The message names the argument, what is allowed and what came.
    """
    accelerator = check_run(estimator)
    check_number("atol", estimator.atol, optional=True)
    check_integer("batch_size", estimator.batch_size, low=1)
    strategy, init_cpds = _read_init(estimator.init_cpds)
    fixed_cpds, fixed_names = read_fixed(estimator.fixed_cpds, TabularCPD)
    engine = lookup(estimator.e_step, EStep, e_step_package, "e_step")
    return Settings(
        engine=engine,
        accelerator=accelerator,
        prior=read_prior(estimator.prior, estimator.m_step_estimator),
        strategy=strategy,
        mixes_starts=estimator.init_cpds is None,
        init_cpds=init_cpds,
        fixed_cpds=fixed_cpds,
        fixed_names=fixed_names,
    )


def check_run(estimator: Any) -> Accelerator:
    """Check the arguments that say how runs are made, which all estimators have; returns the method of acceleration."""
    check_number("tol", estimator.tol)
    check_number("max_time", estimator.max_time, optional=True, positive=True)
    check_integer("max_iter", estimator.max_iter, low=0)
    check_integer("n_init", estimator.n_init, low=1, optional=True)
    check_integer("seed", estimator.seed, low=0, optional=True)
    check_n_jobs(estimator.n_jobs)
    if not _is_known(estimator.acceleration):
        raise ValueError(f"acceleration must be one of {list(ACCELERATIONS)}. Got: {estimator.acceleration!r}.")
    if estimator.callback is not None and not isinstance(estimator.callback, Callable):  # type: ignore[arg-type]
        raise TypeError(f"callback must be callable, or None. Got: {type(estimator.callback).__name__}.")
    _check_checkpoint(estimator)
    return ACCELERATIONS[estimator.acceleration]


def _is_known(acceleration: Any) -> bool:
    return acceleration is None or (isinstance(acceleration, str) and acceleration in ACCELERATIONS)


def choose_method(settings: Settings, estimator: Any, engine: EStep, *, is_exact: bool) -> Method[Any]:
    """Take exact EM with its acceleration; or, where E-steps are sampled, a schedule, which rules some arguments out.

    A noisy objective tells nothing of a single step, so that it is not accelerated, and a
    change of parameters may be noise.
    """
    if is_exact:
        return ExactEM(settings.accelerator)
    for name, neutral, way_out in (
        ("acceleration", ("auto", None), "Use acceleration='auto' or None"),
        ("atol", (None,), "Use atol=None; tol and the schedule's precision end a run"),
    ):
        given = getattr(estimator, name)
        if given not in neutral:
            raise ValueError(
                f"{name}={given!r} needs an exact e_step, whose objective can be compared from step to step. "
                f"Got: {type(engine).__name__}. {way_out}."
            )
    return StochasticEM(read_schedule(getattr(engine, "schedule", "saem")))


def _check_checkpoint(estimator: Any) -> None:
    if estimator.checkpoint is None:
        return
    if not isinstance(estimator.checkpoint, (str, os.PathLike)):
        raise TypeError(f"checkpoint must be a path, or None. Got: {type(estimator.checkpoint).__name__}.")
    folder = Path(estimator.checkpoint).absolute().parent
    if not os.access(folder, os.W_OK):
        raise ValueError(f"checkpoint cannot be written to {str(folder)!r}: no such folder, or not writable.")
    if estimator.seed is None:
        raise ValueError("checkpoint needs a seed, so that the fit that goes on starts as the first did: give seed=0.")


def read_prior(prior: Any, m_step_estimator: Any) -> Prior | None:
    """Turn ``prior`` or ``m_step_estimator`` into a prior object."""
    if m_step_estimator is not None:
        if prior is not None:
            raise ValueError("prior and m_step_estimator both say what to add to the counts: give one of them.")
        return _prior_of_estimator(m_step_estimator)
    if prior is None:
        return None
    if isinstance(prior, Mapping):
        return Dirichlet(dict(prior))
    return lookup(prior, Prior, prior_module, "prior")


def _prior_of_estimator(estimator: Any) -> Prior | None:
    """Read one of pgmpy's complete-data estimators as the prior that it stands for."""
    if isinstance(estimator, DiscreteMLE):
        return None
    if not isinstance(estimator, DiscreteBayesianEstimator):
        raise TypeError(
            "m_step_estimator must be an instance of pgmpy's DiscreteMLE or DiscreteBayesianEstimator, or None. "
            f"Got: {estimator!r}. For other pseudo counts pass prior=Dirichlet(...)."
        )
    kind = str(estimator.prior_type).lower()
    if kind == "k2":
        return K2()
    if kind == "bdeu":
        return BDeu(estimator.equivalent_sample_size)
    if kind == "dirichlet":
        return Dirichlet({} if estimator.pseudo_counts is None else estimator.pseudo_counts)
    raise ValueError(f"m_step_estimator has prior_type {estimator.prior_type!r}. Known: ['K2', 'BDeu', 'dirichlet'].")


def _name(kinds: Kinds) -> str:
    return " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))


def by_variable(cpds: Mapping[Any, Any], argument: str, kinds: Kinds) -> dict[Hashable, Any]:
    """Check that a dict of CPDs has those of the right kinds, each under its own variable."""
    for name, cpd in cpds.items():
        if not isinstance(cpd, kinds):
            wanted = _name(kinds)
            raise TypeError(f"{argument}[{name!r}] must be a {wanted}. Got: {type(cpd).__name__}.")
        if cpd.variable != name:
            raise ValueError(f"{argument}[{name!r}] is the CPD of {cpd.variable!r}; put it under its own name.")
    return dict(cpds)


def _read_init(given: Any) -> tuple[Initializer | None, dict[Hashable, TabularCPD]]:
    if given is None:
        return AvailableCaseStart(), {}
    if isinstance(given, Mapping):
        return None, by_variable(given, "init_cpds", TabularCPD)
    return lookup(given, Initializer, initializer_module, "init_cpds"), {}


def read_fixed(given: Any, kinds: Kinds) -> tuple[dict[Hashable, Any], tuple[Hashable, ...]]:
    """Read ``fixed_cpds``: CPDs of these kinds by variable, and the variables that are fixed, with a CPD or without."""
    if given is None:
        return {}, ()
    if isinstance(given, Mapping):
        cpds = by_variable(given, "fixed_cpds", kinds)
        return cpds, tuple(cpds)
    if isinstance(given, str) or not isinstance(given, Iterable):
        wanted = _name(kinds)
        raise TypeError(f"fixed_cpds must be a dict of {wanted}s, a list of variables, or None. Got: {given!r}.")
    cpds = {cpd.variable: cpd for cpd in given if isinstance(cpd, kinds)}
    names = tuple(item.variable if isinstance(item, kinds) else item for item in given)
    unusable = [name for name in names if not isinstance(name, Hashable)]
    if unusable:
        raise TypeError(f"fixed_cpds names {unusable[0]!r}, which cannot be a variable.")
    return cpds, names
