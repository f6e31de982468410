"""Estimators as the options of the command line ask for."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import click

from pgmpy_em_ext.cli.files import Given

if TYPE_CHECKING:
    from pgmpy_em_ext.cpd_family.prior import Prior
    from pgmpy_em_ext.estimators.conditional_gaussian_em import ConditionalGaussianEM
    from pgmpy_em_ext.estimators.weighted_em import WeightedEM

CONTINUOUS_STARTS = ("kmeans++", "random_from_data", "lines", "random", "complete_case", "model")
"""What --init may be in a network with continuous variables."""


def discrete_estimator(
    given: Given,
    *,
    init: str | None,
    restarts: int | None,
    prior: str | None,
    variance_prior: str | None,
    ridge: float | None,
    variance_floor: float | None,
    jobs: int,
    **options: Any,
) -> "WeightedEM":
    """Make the estimator of a discrete network; refuse what only continuous variables have."""
    from pgmpy_em_ext.estimators.weighted_em import WeightedEM

    of_continuous = {"variance-prior": variance_prior, "ridge": ridge, "variance-floor": variance_floor}
    for name, value in of_continuous.items():
        if value is not None:
            raise ValueError(f"--{name} {value} is for continuous variables, and the network has none. Leave it out.")
    return WeightedEM(
        latent_card=given.cards, init_cpds=init, n_init=restarts, prior=_parse_prior(prior), n_jobs=jobs, **options
    )


def continuous_estimator(
    given: Given,
    *,
    init: str | None,
    restarts: int | None,
    prior: str | None,
    variance_prior: str | None,
    ridge: float | None,
    variance_floor: float | None,
    jobs: int,
    e_step: str,
    **options: Any,
) -> "ConditionalGaussianEM":
    """Make the estimator of a network with continuous variables; refuse what it does not know."""
    from pgmpy_em_ext.estimators.conditional_gaussian_em import ConditionalGaussianEM

    if e_step not in ("auto", "exact"):
        raise ValueError(f"--e-step {e_step}: with continuous variables only exact is known. Leave it out.")
    if init not in (None, *CONTINUOUS_STARTS):
        raise ValueError(f"--init {init}: with continuous variables known are {', '.join(CONTINUOUS_STARTS)}.")
    if prior is not None and not given.discrete:
        raise ValueError(f"--prior {prior} is for discrete variables, and the network has none. Leave it out.")
    from_file = init == "model"
    if ridge is not None:
        options["ridge"] = ridge
    if variance_floor is not None:
        options["variance_floor"] = variance_floor
    return ConditionalGaussianEM(
        discrete=given.discrete,
        continuous=given.continuous,
        latent_card=given.cards,
        init_cpds=_cpds_of_file(given) if from_file else init,
        n_init=1 if from_file and restarts is None else restarts,
        prior=_parse_prior(prior),
        variance_prior=_parse_variance_prior(variance_prior),
        n_jobs=jobs,
        **options,
    )


def _cpds_of_file(given: Given) -> dict[Hashable, Any]:
    """Give the file's CPDs, one of each variable and of its kind."""
    from pgmpy.factors.discrete import TabularCPD

    found = {
        cpd.variable: cpd
        for cpd in getattr(given.model, "cpds", [])
        if isinstance(cpd, TabularCPD) == (cpd.variable in given.discrete)
    }
    absent = [name for name in given.model.nodes() if name not in found]
    if absent:
        raise ValueError(f"--init model needs a CPD of every variable, but the network's file has none for {absent}.")
    return found


def from_model(given: Given, **arguments: Any) -> "WeightedEM | ConditionalGaussianEM":
    """Make an estimator with the file's own CPDs."""
    from pgmpy_em_ext.estimators.conditional_gaussian_em import ConditionalGaussianEM
    from pgmpy_em_ext.estimators.weighted_em import WeightedEM

    return (ConditionalGaussianEM if given.continuous else WeightedEM).from_model(given.model, **arguments)


def read_how(how: str, given: Given) -> str:
    """Translate --how for the estimator: it calls the fillings cell by cell "mode", or "mean" if some are numbers."""
    if how == "mean" and not given.continuous:
        raise click.BadParameter(
            "'mean' is not one of 'mode', 'sample' where all variables are discrete.",
            click.get_current_context(),
            param_hint="'--how'",
        )
    return "mean" if how == "mode" and given.continuous else how


def _parse_variance_prior(text: str | None) -> tuple[float, float] | None:
    """Read shape and scale, such as 1:0.01."""
    if text is None:
        return None
    try:
        shape, scale = map(float, text.split(":"))
    except ValueError:
        raise ValueError(
            f"--variance-prior {text}: two numbers are needed, shape and scale. Write them as in 1:0.01."
        ) from None
    return shape, scale


def _parse_prior(text: str | None) -> "Prior | None":
    """Read a prior such as BDeu:10."""
    from pgmpy_em_ext._tools.registry import lookup
    from pgmpy_em_ext.cpd_family import prior as prior_module
    from pgmpy_em_ext.cpd_family.prior import Prior

    if text is None:
        return None
    name, colon, number = text.partition(":")
    found = lookup(name, Prior, prior_module, "--prior")
    if not colon:
        return found
    if not found.get_params():
        raise ValueError(f"--prior {text}: {name} takes no number. Write --prior {name}.")
    try:
        count = float(number)
    except ValueError:
        raise ValueError(f"--prior {text}: {number!r} is no number. Write it as in --prior {name}:10.") from None
    if not 0 <= count < float("inf"):
        raise ValueError(f"--prior {text}: the number must be >= 0.")
    return type(found)(count)
