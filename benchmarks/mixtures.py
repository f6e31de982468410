"""Time EM of Gaussian mixtures by scikit-learn and by `ConditionalGaussianEM`, from the same start; then with holes.

scikit-learn's "diag" is a latent class above independent columns; its "full" is a chain of regressions, each column on
all before it. Both sides make the same number of EM steps, and an iteration is the difference of a long fit and a
short one over their steps.
"""

import warnings

import common
import numpy as np
import pandas as pd
from pgmpy.base import DAG
from pgmpy.factors.discrete import TabularCPD
from sklearn.mixture import GaussianMixture

from pgmpy_em_ext import ConditionalGaussianCPD, ConditionalGaussianEM

N_ROWS, N_COLUMNS, N_COMPONENTS = 100_000, 5, 3
MISSING_SHARE = 0.1
SHORT, LONG = 2, 32
REPEATS = 5
COLUMNS = [f"x{number}" for number in range(N_COLUMNS)]
STATES = list(range(N_COMPONENTS))


def draw_points(rows: int, seed: int = 0) -> np.ndarray:
    """Draw rows of three overlapping normal distributions."""
    rng = np.random.default_rng(seed)
    label = rng.choice(N_COMPONENTS, size=rows, p=[0.5, 0.3, 0.2])
    turn = np.eye(N_COLUMNS) + 0.4 * rng.normal(size=(N_COMPONENTS, N_COLUMNS, N_COLUMNS))
    center = 1.5 * rng.normal(size=(N_COMPONENTS, N_COLUMNS))
    return np.einsum("nij,nj->ni", turn[label], rng.normal(size=(rows, N_COLUMNS))) + center[label]


def draw_start(points: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give weights, means and covariances to start from: equal weights, some rows, the columns' variances."""
    rng = np.random.default_rng(seed)
    means = points[rng.choice(len(points), N_COMPONENTS, replace=False)]
    return np.full(N_COMPONENTS, 1 / N_COMPONENTS), means, np.tile(np.diag(points.var(axis=0)), (N_COMPONENTS, 1, 1))


def fit_theirs(points: np.ndarray, kind: str, steps: int) -> GaussianMixture:
    """Make some EM steps with scikit-learn."""
    weights, means, covariances = draw_start(points)
    precisions = np.linalg.inv(covariances)
    mixture = GaussianMixture(
        N_COMPONENTS,
        covariance_type=kind,
        tol=0,
        reg_covar=0,
        max_iter=steps,
        weights_init=weights,
        means_init=means,
        precisions_init=np.array([np.diag(each) for each in precisions]) if kind == "diag" else precisions,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged, which was not asked for
        return mixture.fit(points)


def fit_ours(points: np.ndarray, table: pd.DataFrame, kind: str, steps: int, n_jobs: int) -> ConditionalGaussianEM:
    """Make as many steps with `ConditionalGaussianEM`."""
    weights, means, covariances = draw_start(points)
    start = {"class": TabularCPD("class", N_COMPONENTS, weights[:, None])}
    edges = [("class", name) for name in COLUMNS]
    for place, name in enumerate(COLUMNS):
        parents = COLUMNS[:place] if kind == "full" else []
        edges += [(parent, name) for parent in parents]
        beta = np.column_stack([means[:, place], np.zeros((N_COMPONENTS, len(parents)))])
        std = np.sqrt(covariances[:, place, place])
        start[name] = ConditionalGaussianCPD(name, beta, std, parents, ["class"], {"class": STATES})
    estimator = ConditionalGaussianEM(
        init_cpds=start, n_init=1, max_iter=steps, n_jobs=n_jobs, show_progress=False, **common.STEP_BY_STEP
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(DAG(edges, latents={"class"}), table)


def measure(kind: str, rows: int, threads: str) -> dict[str, float]:
    """Time one iteration of each side, and ours with holes, taking turns."""
    points, n_jobs = draw_points(rows), common.THREADS[threads]
    whole = pd.DataFrame(points, columns=COLUMNS)
    holes = whole.mask(np.random.default_rng(2).random(whole.shape) < MISSING_SHARE)
    sides = {
        "theirs": lambda steps: fit_theirs(points, kind, steps),
        "ours": lambda steps: fit_ours(points, whole, kind, steps, n_jobs),
        "ours_with_holes": lambda steps: fit_ours(points, holes, kind, steps, n_jobs),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    found = {}
    for side in sides.values():
        side(SHORT)
    for _ in range(REPEATS):
        for name, side in sides.items():
            short_s, _ = common.clock(lambda side=side: side(SHORT))
            long_s, found[name] = common.clock(lambda side=side: side(LONG))
            times[name].append((long_s - short_s) / (LONG - SHORT) * 1e3)
    medians = {f"{name}_ms": float(np.median(each)) for name, each in times.items()}
    return {
        **medians,
        "ratio": medians["theirs_ms"] / medians["ours_ms"],
        "holes_ratio": medians["ours_with_holes_ms"] / medians["ours_ms"],
        "steps_compared": LONG,
        "theirs_log_likelihood": found["theirs"].score(points) * rows,
        "ours_log_likelihood": found["ours"].log_likelihood_,
    }


def main() -> None:
    """Measure both kinds with one thread and with all."""
    options = common.arguments(__doc__)
    records = [
        common.isolated(measure, kind=kind, rows=N_ROWS, threads=threads)
        for kind in ("diag", "full")
        for threads in common.THREADS
    ]
    common.save(__file__, options, mixtures=records)


if __name__ == "__main__":
    main()
