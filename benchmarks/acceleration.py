"""Count E-steps until the objective is near its limit, for plain EM and each method of acceleration.

On the problems of ``latent_problems.py``. E-steps are counted, not seconds: the figures are the same on every machine.
"""

import common
import numpy as np
from latent_problems import PROBLEMS

from pgmpy_em_ext import WeightedEM
from pgmpy_em_ext.em.acceleration import ACCELERATIONS
from pgmpy_em_ext.em.exact import ExactEM
from pgmpy_em_ext.em.loop import run
from pgmpy_em_ext.em.progress import Progress, RunResult
from pgmpy_em_ext.em.step import Problem
from pgmpy_em_ext.em.stopping import StoppingRule
from pgmpy_em_ext.prepare.tables import Prepared, make_starts, prepare

METHODS = {"plain EM": None, "squarem": "squarem", "lbfgs": "lbfgs", "auto": "auto"}
NEAR = 0.01
"""Nats from the limit at which E-steps are counted."""

QUICK_STARTS, FULL_STARTS = 5, 20
MAX_ITER = 60_000


def build(name: str, n_starts: int) -> tuple[Problem, Prepared, list[np.ndarray]]:
    """Prepare a problem, and draw starts."""
    latent = PROBLEMS[name]()
    estimator = WeightedEM(latent_card=latent.latent_card, state_names=latent.state_names)
    prepared = prepare(estimator, latent.model, latent.data, latent.weight)
    engine = prepared.settings.engine
    problem = Problem(engine, engine.prepare(prepared.network, prepared.evidence), prepared.family)
    return problem, prepared, [start.parameters for start in make_starts(prepared, 0, n_starts)]


def rule(prepared: Prepared, tol: float, probes: bool) -> StoppingRule:
    """Stop as a fit with latents does."""
    weight = prepared.total_weight
    return StoppingRule(tol, None, MAX_ITER, 20, None, total_weight=weight, probes_saddles=probes)


def steps_to(result: RunResult) -> int:
    """Count E-steps until the objective was near its own limit."""
    return int(np.argmax(np.array(result.history) >= result.history[-1] - NEAR)) + 1


def measure(problem: str, method: str, n_starts: int) -> dict[str, float]:
    """Run one method from several starts: to its limit, and to where it stops by itself."""
    prepared_problem, prepared, starts = build(problem, n_starts)
    accelerator = ACCELERATIONS[METHODS[method]]
    near, plain_near, stopped, gaps, objectives, lowest = [], [], [], [], [], 0.0
    for start in starts:
        limit = run(prepared_problem, Progress(start), rule(prepared, 1e-8, False), method=ExactEM(accelerator))
        near.append(steps_to(limit))
        objectives.append(limit.state.objective)
        plain_near.append(steps_to(run(prepared_problem, Progress(start), rule(prepared, 1e-8, False))))
        fit = run(prepared_problem, Progress(start), rule(prepared, 1e-3, True), method=ExactEM(accelerator))
        stopped.append(fit.progress.n_e_steps)
        further = run(prepared_problem, Progress(fit.state.parameters), rule(prepared, 1e-10, False))
        gaps.append(further.state.objective - fit.state.objective)
        history = np.array(limit.history)
        lowest = min(lowest, float((np.diff(history) / (1 + np.abs(history[1:]))).min()))
    return {
        "near": float(np.median(near)),
        "saving": float(np.median(np.array(plain_near) / np.array(near))),
        "stopped": float(np.median(stopped)),
        "largest_gap": float(np.max(gaps)),
        "largest_fall": -lowest,
        "mean_objective": float(np.mean(objectives)),
    }


def main() -> None:
    """Measure all problems with all methods."""
    options = common.arguments(__doc__)
    n_starts = FULL_STARTS if options.full else QUICK_STARTS
    records = [
        common.isolated(measure, problem=problem, method=method, n_starts=n_starts)
        for problem in PROBLEMS
        for method in METHODS
    ]
    common.save(__file__, options, runs=records)


if __name__ == "__main__":
    main()
