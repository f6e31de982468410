"""Time one EM step of pgmpy's `DiscreteEM` and of `WeightedEM`, on the same rows, from the same CPDs.

`DiscreteEM` drops rows with holes, so the data has none: the ALARM network with three hidden nodes, and the 319
students of the README.
"""

import logging
from itertools import product

import common
import pandas as pd
from pgmpy.models import DiscreteBayesianNetwork
from pgmpy.parameter_estimator import DiscreteEM

from pgmpy_em_ext import WeightedEM

HIDDEN = ["HYPOVOLEMIA", "LVFAILURE", "INSUFFANESTH"]
OUR_STEPS = 30
STUDENT_STEPS = 20
REPEATS = 5


def measure_hidden(rows: int, threads: str) -> dict[str, float]:
    """Time one step with three hidden nodes in ALARM; theirs is the difference between two steps and one."""
    logging.getLogger("pgmpy").setLevel(logging.ERROR)
    example = common.load("alarm")
    network = example.network
    table = common.to_table(network, common.draw_codes(example, rows)).drop(columns=HIDDEN)
    model = common.bare_model(network, latents=HIDDEN)
    states = common.state_names(network)
    states.update({name: list(range(len(states[name]))) for name in HIDDEN})  # the only names that theirs takes
    start = common.same_start(model, table, states, seed=0)
    n_jobs = common.THREADS[threads]
    cards = {name: len(states[name]) for name in HIDDEN}

    def run_theirs(steps: int) -> DiscreteEM:
        estimator = DiscreteEM(
            states, cards, init_cpds=start, max_iter=steps, atol=0, n_jobs=n_jobs, show_progress=False
        )
        return estimator.fit(model, table)

    with common.peak_memory() as our_memory:
        ours = common.time_fit(
            model, table, states, init_cpds=start, n_jobs=n_jobs, max_iter=OUR_STEPS, tol=0, acceleration=None
        )
    same = common.time_fit(model, table, states, 1, init_cpds=start, max_iter=2, **common.STEP_BY_STEP)
    timer = common.peer_timer(threads)
    one_s, _ = common.clock(lambda: run_theirs(1), 1, timer)
    with common.peak_memory() as their_memory:
        two_s, theirs = common.clock(lambda: run_theirs(2), 1, timer)
    return {
        "distinct_rows": len(table.drop_duplicates()),
        "theirs_s": two_s - one_s,
        "one_step_s": one_s,
        "two_steps_s": two_s,
        "ours_ms": ours["iteration_ms"],
        "ratio": (two_s - one_s) * 1e3 / ours["iteration_ms"],
        "steps_compared": 2,
        "theirs_log_likelihood": common.score(model, theirs.parameters_, table),
        "ours_log_likelihood": same["log_likelihood"],
        "theirs_work_mb": their_memory["work_mb"],
        "ours_work_mb": our_memory["work_mb"],
    }


def measure_students() -> dict[str, float]:
    """Time 20 steps on 319 rows of four questions with one latent variable, the data's preparation included."""
    questions = ["LieExam", "LiePaper", "Fraud", "CopyExam"]
    patterns = pd.DataFrame(product(["no", "yes"], repeat=4), columns=questions)
    students = [207, 46, 7, 5, 13, 4, 1, 2, 10, 3, 1, 2, 11, 4, 1, 2]
    table = patterns.loc[patterns.index.repeat(students)].reset_index(drop=True)
    model = DiscreteBayesianNetwork([("Kind", question) for question in questions], latents={"Kind"})
    first = WeightedEM(init_cpds="random", n_init=1, max_iter=0, seed=3, show_progress=False).fit(model, table)
    start = {cpd.variable: cpd for cpd in first.parameters_}
    ours = common.time_fit(model, table, {}, REPEATS, init_cpds=start, max_iter=STUDENT_STEPS, **common.STEP_BY_STEP)
    theirs = DiscreteEM(init_cpds=start, max_iter=STUDENT_STEPS, atol=0, show_progress=False)
    theirs_s, _ = common.clock(lambda: theirs.fit(model, table), REPEATS)
    return {
        "rows": len(table),
        "steps": STUDENT_STEPS,
        "theirs_ms": theirs_s / STUDENT_STEPS * 1e3,
        "ours_ms": ours["fit_s"] / STUDENT_STEPS * 1e3,
        "ratio": theirs_s / ours["fit_s"],
        "theirs_log_likelihood": common.score(model, theirs.parameters_, table),
        "ours_log_likelihood": ours["log_likelihood"],
    }


def main() -> None:
    """Measure both problems."""
    options = common.arguments(__doc__)
    sizes = [1_000, 10_000] if options.full else [1_000]
    hidden = [
        common.isolated(measure_hidden, rows=rows, threads=threads)
        for rows in sizes
        for threads in (common.THREADS if options.full else ["one"])
    ]
    common.save(__file__, options, hidden=hidden, students=[common.isolated(measure_students)])


if __name__ == "__main__":
    main()
