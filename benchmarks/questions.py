"""Time the questions about rows, on ALARM with 20 % missing cells and CPDs that are known."""

import common

from pgmpy_em_ext import WeightedEM

NETWORK = "alarm"
N_ROWS = 100_000
QUESTIONS = {
    "score_samples": WeightedEM.score_samples,
    "predict_proba": WeightedEM.predict_proba,
    "impute": WeightedEM.impute,
    "impute, how='sample'": lambda estimator, table: estimator.impute(table, how="sample", seed=0),
    "expected_counts": WeightedEM.expected_counts,
}


def measure(question: str, rows: int, threads: str) -> dict[str, float]:
    """Time one question about all rows."""
    example, table = common.simulate(NETWORK, rows)
    model = common.bare_model(example.network)
    model.add_cpds(*common.to_cpds(example.network, example.parameters))
    estimator = WeightedEM.from_model(model, n_jobs=common.THREADS[threads])
    ask = QUESTIONS[question]
    ask(estimator, table[: common.WARM_UP_ROWS])
    with common.peak_memory() as memory:
        seconds, _ = common.clock(lambda: ask(estimator, table), 3)
    return {"seconds": seconds, "us_per_row": seconds / rows * 1e6, **memory}


def main() -> None:
    """Measure all questions with one thread and with all."""
    options = common.arguments(__doc__)
    records = [
        common.isolated(measure, question=question, rows=N_ROWS, threads=threads)
        for question in QUESTIONS
        for threads in common.THREADS
    ]
    common.save(__file__, options, questions=records)


if __name__ == "__main__":
    main()
