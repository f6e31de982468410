"""The loop of EM: one run from a start to its end."""

from typing import Any

from pgmpy_em_ext.em.exact import ExactEM
from pgmpy_em_ext.em.method import Method
from pgmpy_em_ext.em.progress import Observer, Progress, RunResult
from pgmpy_em_ext.em.step import EMState, Problem
from pgmpy_em_ext.em.stopping import StoppingRule
from pgmpy_em_ext.types import BoolArray


def run(
    problem: Problem,
    progress: Progress,
    rule: StoppingRule,
    observer: Observer | None = None,
    method: Method[Any] | None = None,
    state: EMState | None = None,
    racing: BoolArray | None = None,
) -> RunResult:
    """Iterate until the rule says stop.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    progress : Progress
        Starting parameters, or where an interrupted run stood.
    rule : StoppingRule
        When to stop.
    observer : callable, optional
        Called after every evaluation; a true result stops the run.
    method : Method, optional
        What a step is; by default plain EM with exact E-steps.
    state : EMState, optional
        That of the progress, where it is known and has been observed; else it is evaluated.
    racing : bool ndarray of shape (n_blocks + 1,), optional
        Blocks that climb; by default all.
    """
    method = method or ExactEM()
    is_new = state is None
    now = method.begin(problem, progress, rule, state, racing)
    if method.has_ended(now):
        return method.conclude(now, rule, "converged")
    while True:
        status = method.stop_reason(now, rule)
        is_stopped = observer is not None and is_new and observer(now.state, now.progress)
        is_new = True
        if status == "converged" and not is_stopped:
            now, goes_on = method.look_beyond(now, rule)
            if goes_on:
                continue
        if is_stopped:
            status = status or "callback"
        if status is not None:
            return method.conclude(now, rule, status)
        now = method.advance(now, rule)
