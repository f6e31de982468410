"""Time one EM step of pgmpy's `DiscreteEM` and of `WeightedEM`, on the 319 students of the README.

Both start from the same CPDs and make the same number of steps in the same run; the
preparation of the data is included.
"""

import statistics
import time
import warnings
from itertools import product

import pandas as pd

warnings.simplefilter("ignore")  # pgmpy's deprecations at import, and ours that 20 steps are not enough

from pgmpy.models import DiscreteBayesianNetwork  # noqa: E402
from pgmpy.parameter_estimator import DiscreteEM  # noqa: E402

from pgmpy_em_ext import WeightedEM  # noqa: E402

STEPS = 20
REPEATS = 5


def main() -> None:
    """Print both times and their ratio."""
    questions = ["LieExam", "LiePaper", "Fraud", "CopyExam"]
    patterns = pd.DataFrame(product(["no", "yes"], repeat=4), columns=questions)
    students = [207, 46, 7, 5, 13, 4, 1, 2, 10, 3, 1, 2, 11, 4, 1, 2]
    data = patterns.loc[patterns.index.repeat(students)].reset_index(drop=True)
    model = DiscreteBayesianNetwork([("Kind", question) for question in questions], latents={"Kind"})
    start = WeightedEM(init_cpds="random", n_init=1, max_iter=0, seed=3, show_progress=False).fit(model, data)
    cpds = {cpd.variable: cpd for cpd in start.parameters_}
    times: dict[str, list[float]] = {"DiscreteEM": [], "WeightedEM": []}
    for _ in range(REPEATS):  # in turns, so that a busy machine slows both
        for name, estimator in (
            ("DiscreteEM", DiscreteEM(init_cpds=cpds, max_iter=STEPS, show_progress=False)),
            ("WeightedEM", WeightedEM(init_cpds=cpds, max_iter=STEPS, tol=0, show_progress=False)),
        ):
            begin = time.perf_counter()
            estimator.fit(model, data)
            times[name].append((time.perf_counter() - begin) / STEPS * 1e3)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratio = medians["DiscreteEM"] / medians["WeightedEM"]
    print(f"\n319 rows, one latent, {STEPS} steps, milliseconds a step, the data's preparation included:")
    print(f"DiscreteEM {medians['DiscreteEM']:.1f}, WeightedEM {medians['WeightedEM']:.2f}, ratio {ratio:.0f}")


if __name__ == "__main__":
    main()
