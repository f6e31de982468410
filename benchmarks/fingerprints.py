"""Print a fingerprint of the answers of thirteen fits: two versions of the package agree in all bits if these agree.

Run it on both, ``PYTHONPATH=other/checkout python benchmarks/fingerprints.py``, and compare. Public names only, so that
it runs on versions whose inside differs.
"""

import hashlib
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork

from pgmpy_em_ext import (
    ConditionalGaussianEM,
    ConditionalGaussianNetwork,
    GibbsEStep,
    LikelihoodWeightingEStep,
    LinearGaussianEM,
    WeightedEM,
)

N_ROWS = 400
QUIET = {"show_progress": False, "seed": 0}
CHAIN = [("A", "B"), ("B", "C"), ("A", "C"), ("C", "D"), ("D", "E")]


class Interruption(Exception):  # noqa: N818 - not an error of the package
    """Ends a fit from its callback."""


def draw_discrete() -> pd.DataFrame:
    """Draw a chain of five variables with two to four states, with holes."""
    rng = np.random.default_rng(0)
    codes = np.zeros((N_ROWS, 5), dtype=int)
    for column in range(5):
        noise = rng.integers(0, 2 + column % 3, N_ROWS)
        codes[:, column] = np.where(rng.random(N_ROWS) < 0.6, codes[:, column - 1] % (2 + column % 3), noise)
    return pd.DataFrame(codes, columns=list("ABCDE"), dtype=object).mask(rng.random(codes.shape) < 0.2)


def draw_continuous() -> pd.DataFrame:
    """Draw two groups of four correlated columns, with holes, beside a discrete one."""
    rng = np.random.default_rng(1)
    group = rng.integers(0, 2, N_ROWS)
    values = rng.normal(size=(N_ROWS, 1)) + rng.normal(size=(N_ROWS, 4)) + 3 * group[:, None]
    table = pd.DataFrame(values, columns=list("wxyz")).mask(rng.random(values.shape) < 0.15)
    return table.assign(g=np.where(rng.random(N_ROWS) < 0.3, None, np.array(["a", "b"], dtype=object)[group]))


def latent_class() -> DiscreteBayesianNetwork:
    """Make a latent class of the five discrete variables."""
    return DiscreteBayesianNetwork([("H", name) for name in "ABCDE"], latents={"H"})


def fit_discrete(**settings: object) -> list[object]:
    """Fit the chain."""
    estimator = WeightedEM(**QUIET, **settings).fit(DiscreteBayesianNetwork(CHAIN), draw_discrete())
    return [estimator.log_likelihood_, *(cpd.get_values() for cpd in estimator.parameters_)]


def fit_weighted() -> list[object]:
    """Fit the chain with weights."""
    weight = np.random.default_rng(2).gamma(1.0, size=N_ROWS)
    estimator = WeightedEM(**QUIET).fit(DiscreteBayesianNetwork(CHAIN), draw_discrete(), sample_weight=weight)
    return [estimator.log_likelihood_, *(cpd.get_values() for cpd in estimator.parameters_)]


def fit_latent(**settings: object) -> list[object]:
    """Fit a latent class, with all that is said of its starts."""
    estimator = WeightedEM(latent_card={"H": 3}, **QUIET, **settings).fit(latent_class(), draw_discrete())
    ends = [record.objective for record in estimator.restarts_]
    return [estimator.log_likelihood_, ends, *(cpd.get_values() for cpd in estimator.parameters_)]


def fit_resumed() -> list[object]:
    """Fit a latent class that is interrupted, and goes on from its checkpoint."""

    def interrupt(iteration: object) -> None:
        if iteration.run == 3:
            raise Interruption

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fit.npz"
        try:
            fit_latent(n_init=6, checkpoint=path, callback=interrupt)
        except Interruption:
            return fit_latent(n_init=6, checkpoint=path)
    raise RuntimeError("the fit was not interrupted")


def ask_discrete() -> list[object]:
    """Ask a fitted chain about its rows."""
    data = draw_discrete()
    estimator = WeightedEM(**QUIET).fit(DiscreteBayesianNetwork(CHAIN), data)
    answers = [estimator.score_samples(data), *(frame.to_numpy() for frame in estimator.predict_proba(data).values())]
    errors = estimator.standard_errors()
    return [*answers, estimator.log_likelihood_, *(frame.to_numpy(dtype=float) for frame in errors.errors.values())]


def fit_linear(latents: frozenset[str] = frozenset()) -> list[object]:
    """Fit four columns in a row, or a factor behind them."""
    edges = [("F", name) for name in "wxyz"] if latents else [("w", "x"), ("x", "y"), ("w", "y"), ("y", "z")]
    model = LinearGaussianBayesianNetwork(edges, latents=set(latents))
    estimator = LinearGaussianEM(**QUIET).fit(model, draw_continuous()[list("wxyz")])
    return [estimator.log_likelihood_, *([*cpd.beta, cpd.std] for cpd in estimator.parameters_)]


def fit_mixed(edges: list[tuple[str, str]], latents: set[str], **settings: object) -> list[object]:
    """Fit a network of both kinds of variables."""
    model = ConditionalGaussianNetwork(edges, latents=latents)
    estimator = ConditionalGaussianEM(variance_prior=(2.0, 0.1), **QUIET, **settings).fit(model, draw_continuous())
    cpds = [getattr(cpd, "beta", None) if hasattr(cpd, "beta") else cpd.get_values() for cpd in estimator.parameters_]
    return [estimator.log_likelihood_, *cpds, estimator.score_samples(draw_continuous())]


CASES: dict[str, Callable[[], list[object]]] = {
    "discrete": fit_discrete,
    "plain EM": lambda: fit_discrete(acceleration=None),
    "MAP": lambda: fit_discrete(prior="BDeu"),
    "weighted": fit_weighted,
    "latent": fit_latent,
    "likelihood weighting": lambda: fit_discrete(
        e_step=LikelihoodWeightingEStep(n_samples=20, max_table_size=4), max_iter=30
    ),
    "sampled": lambda: fit_discrete(e_step=GibbsEStep(max_table_size=4), max_iter=30),
    "checkpoint resumed": fit_resumed,
    "questions and errors": ask_discrete,
    "linear Gaussian": fit_linear,
    "factor": lambda: fit_linear(frozenset("F")),
    "mixture": lambda: fit_mixed([("k", name) for name in "wxyz"], {"k"}, latent_card={"k": 2}),
    "mixed with holes": lambda: fit_mixed([("g", name) for name in "wxyz"] + [("w", "x"), ("x", "y")], set()),
}


def fingerprint(answers: list[object]) -> str:
    """Hash numbers to the last bit."""
    found = hashlib.sha256()
    for answer in answers:
        found.update(np.ascontiguousarray(answer, dtype=float).tobytes())
    return found.hexdigest()[:16]


def main() -> None:
    """Print a line a case."""
    warnings.simplefilter("ignore")
    for name, case in CASES.items():
        answers = case()
        print(f"{name:22} {fingerprint(answers)} {float(np.ravel(answers[0])[0]):.10f}", flush=True)


if __name__ == "__main__":
    main()
