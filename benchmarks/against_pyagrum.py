"""Time EM by pyAgrum and by `WeightedEM` on the same rows, from the same CPDs.

pyAgrum's EM is exact too, and needs a prior: here 0.001 records in every CPD entry. Without noise it starts from the
CPDs that it is given, so that the log-likelihood after equally many textbook steps tells whether both compute the same.

Its iteration is the difference of two long runs, which other work on the machine easily spoils: with one thread it is
taken in processor time, which waiting does not lengthen, and both runs' times are kept in the result.
"""

import time

import common
import numpy as np
import pandas as pd
from pgmpy.factors.discrete import TabularCPD

from pgmpy_em_ext import Dirichlet, ExactEStep

PRIOR = 1e-3
SHORT_STEPS, STEPS = 2, 6  # the fewest that pyAgrum takes; enough more that the difference outweighs the noise
OUR_STEPS = 30
RATE = 1e-5
"""pyAgrum's own stopping: EM ends when the log-likelihood changes by less than this share of itself."""

QUICK = [("asia", 10_000), ("alarm", 10_000), ("insurance", 10_000), ("hailfinder", 1_000), ("win95pts", 500)]
QUICK += [("hepar2", 500)]
FULL = [("asia", 10_000), ("alarm", 10_000), ("insurance", 10_000), ("hailfinder", 10_000), ("win95pts", 1_000)]
FULL += [("hepar2", 1_000)]
BOTH_THREADS = {"asia", "alarm", "insurance"}
WHOLE_QUICK = [("asia", 10_000), ("alarm", 10_000)]
WHOLE_FULL = [*WHOLE_QUICK, ("insurance", 10_000)]


def to_pyagrum(cpds: list[TabularCPD]):
    """Write CPDs as a network of pyAgrum."""
    import pyagrum

    network = pyagrum.BayesNet()
    for cpd in cpds:
        states = [str(state) for state in cpd.state_names[cpd.variable]]
        network.add(pyagrum.LabelizedVariable(cpd.variable, "", states))
    for cpd in cpds:
        for parent in cpd.variables[1:]:
            network.addArc(parent, cpd.variable)
    for cpd in cpds:
        table = network.cpt(cpd.variable)
        axes = [cpd.variables.index(name) for name in reversed(table.names)]
        table[:] = np.ascontiguousarray(np.transpose(cpd.values, axes))
    return network


def from_pyagrum(network, cpds: list[TabularCPD]) -> list[TabularCPD]:
    """Read CPDs back, in the layout of those that pyAgrum was given."""
    found = []
    for cpd in cpds:
        table = network.cpt(cpd.variable)
        names = list(reversed(table.names))
        values = np.transpose(table.toarray(), [names.index(name) for name in cpd.variables])
        size, *parents = cpd.cardinality
        found.append(
            TabularCPD(
                cpd.variable, size, values.reshape(size, -1), cpd.variables[1:], parents, state_names=cpd.state_names
            )
        )
    return found


def fit_pyagrum(cpds: list[TabularCPD], table: pd.DataFrame, threads: str, steps: int | None = None):
    """Run pyAgrum's EM, for some steps or until it stops by itself.

    Returns
    -------
    figures : dict
        ``fit_s``, the loading of the table included; ``cpu_s``, processor time of all threads meanwhile; ``n_iter``.
    cpds : list of TabularCPD
        The result.
    """
    import pyagrum

    network = to_pyagrum(cpds)
    pyagrum.setNumberOfThreads(1 if threads == "one" else pyagrum.getMaxNumberOfThreads())
    begin, begin_cpu = time.perf_counter(), time.process_time()
    learner = pyagrum.BNLearner(table, network, ["?"])
    learner.useSmoothingPrior(PRIOR)
    if steps is None:
        learner.useEMWithRateCriterion(RATE, 0.0)
    else:
        learner.useEMWithDiffCriterion(1e-300, 0.0)
        learner.EMsetMaxIter(steps)
    learned = learner.learnParameters(network)
    figures = {
        "fit_s": time.perf_counter() - begin,
        "cpu_s": time.process_time() - begin_cpu,
        "n_iter": learner.EMnbrIterations(),
    }
    return figures, from_pyagrum(learned, cpds)


def _problem(name: str, rows: int):
    """Give the model, the data for either side, the states, and the start."""
    example, table = common.simulate(name, rows)
    model, states = common.bare_model(example.network), common.state_names(example.network)
    return model, table, table.fillna("?"), states, common.same_start(model, table, states)


def measure_iteration(name: str, rows: int, threads: str) -> dict[str, float]:
    """Time one iteration; pyAgrum's is the difference between a long run and a short one, for each step.

    ``theirs_s`` is processor time with one thread, wall time with several.
    """
    model, table, marked, states, start = _problem(name, rows)
    n_jobs = common.THREADS[threads]
    ours = common.time_fit(
        model, table, states, init_cpds=start, n_jobs=n_jobs, max_iter=OUR_STEPS, tol=0, acceleration=None
    )
    textbook = ExactEStep(prune_barren=False)
    same = common.time_fit(
        model,
        table,
        states,
        1,
        init_cpds=start,
        max_iter=STEPS,
        tol=0,
        acceleration=None,
        prior=Dirichlet(PRIOR),
        e_step=textbook,
    )
    shorter, _ = fit_pyagrum(list(start.values()), marked, threads, SHORT_STEPS)
    longer, learned = fit_pyagrum(list(start.values()), marked, threads, STEPS)
    wall_s, cpu_s = ((longer[key] - shorter[key]) / (STEPS - SHORT_STEPS) for key in ("fit_s", "cpu_s"))
    theirs_s = cpu_s if threads == "one" else wall_s
    return {
        "theirs_s": theirs_s,
        "theirs_wall_s": wall_s,
        "theirs_cpu_s": cpu_s,
        "shorter": shorter,
        "longer": longer,
        "ours_ms": ours["iteration_ms"],
        "ratio": theirs_s * 1e3 / ours["iteration_ms"],
        "cores_used": [run["cpu_s"] / run["fit_s"] for run in (shorter, longer)],
        "steps_compared": STEPS,
        "steps_of_shorter": SHORT_STEPS,
        "theirs_log_likelihood": common.score(model, learned, table),
        "ours_log_likelihood": same["log_likelihood"],
    }


def measure_whole(name: str, rows: int, threads: str) -> dict[str, float]:
    """Time a fit from a table until each side stops by itself, and until we are as good as they."""
    model, table, marked, states, start = _problem(name, rows)
    n_jobs = common.THREADS[threads]
    theirs, learned = fit_pyagrum(list(start.values()), marked, threads)
    theirs_s = theirs["cpu_s" if threads == "one" else "fit_s"]
    reached = common.score(model, learned, table)
    with common.peak_memory() as memory:
        ours = common.time_fit(model, table, states, init_cpds=start, n_jobs=n_jobs)
    equal = common.time_fit(model, table, states, init_cpds=start, n_jobs=n_jobs, until=reached)
    return {
        "theirs_s": theirs_s,
        "theirs_run": theirs,
        "theirs_iterations": theirs["n_iter"],
        "theirs_log_likelihood": reached,
        "ours_s": ours["fit_s"],
        "ours_iterations": ours["n_iter"],
        "ours_log_likelihood": ours["log_likelihood"],
        "ours_to_theirs_s": equal["fit_s"],
        "ratio": theirs_s / ours["fit_s"],
        "ratio_to_theirs": theirs_s / equal["fit_s"],
        **memory,
    }


def main() -> None:
    """Measure one iteration, and whole fits."""
    options = common.arguments(__doc__)
    common.require("pyagrum", "pyAgrum")
    iterations = [
        common.isolated(measure_iteration, name=name, rows=rows, threads=threads)
        for name, rows in (FULL if options.full else QUICK)
        for threads in common.THREADS
        if threads == "one" or (options.full and name in BOTH_THREADS)
    ]
    whole = [
        common.isolated(measure_whole, name=name, rows=rows, threads="one")
        for name, rows in (WHOLE_FULL if options.full else WHOLE_QUICK)
    ]
    common.save(__file__, options, iterations=iterations, whole=whole)


if __name__ == "__main__":
    main()
