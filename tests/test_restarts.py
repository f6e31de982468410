"""Best of N, callbacks, time limits, checkpoints, the progress bar: the same answer whatever the workers."""

import contextlib
import time
import warnings
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
import pgmpy
import pytest
from pgmpy.base import DAG
from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork
from sklearn.exceptions import ConvergenceWarning

from pgmpy_em_ext import ConditionalGaussianEM, ExactEStep, Iteration, LinearGaussianEM, WeightedEM
from pgmpy_em_ext.prepare import mixed as hybrid_prepare
from pgmpy_em_ext.prepare.tables import make_starts, prepare
from pgmpy_em_ext.restarts import checkpoint
from pgmpy_em_ext.restarts.race import (
    HALVING,
    PATIENT,
    Signatures,
    Standing,
    compare,
    count_replications,
    enter_perturbed,
    enter_reserve,
    halve,
    join_copies,
    readmit,
    start_race,
)
from pgmpy_em_ext.start.initializer import RandomStart
from pgmpy_em_ext.start.starts import Start, Starts, run_seeds

pytestmark = pytest.mark.filterwarnings("ignore::pgmpy_em_ext.exceptions.NotReplicatedWarning")


@pytest.fixture
def model():
    return DiscreteBayesianNetwork([("H", item) for item in "ABCDE"], latents={"H"})


@pytest.fixture
def data():
    """Few rows, three classes, five items of three states, holes: several local maxima."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([0.7] * 3, size=(3, 5))
    latent = rng.integers(0, 3, 60)
    codes = (np.cumsum(shares[latent], axis=2) < rng.random((60, 5, 1))).sum(axis=2)
    return pd.DataFrame(codes, columns=list("ABCDE"), dtype=object).mask(rng.random((60, 5)) < 0.1)


def bits(estimator):
    """Everything that a fit returns, without rounding."""
    values = [cpd.get_values().tobytes() for cpd in estimator.parameters_]
    return values, estimator.history_, estimator.restarts_, estimator.objective_


class TestBestOfN:
    def test_the_best_is_kept_and_the_maxima_differ(self, model, data):
        estimator = WeightedEM(latent_card={"H": 3}, seed=0).fit(model, data)
        objectives = [record.objective for record in estimator.restarts_]
        independent = [record for record in estimator.restarts_ if record.start != "perturbed"]
        assert 16 <= len(independent) == estimator.n_starts_ <= 40
        assert 8 <= len(objectives) - len(independent) <= 20
        assert estimator.objective_ == max(objectives) == max(estimator.history_)
        assert max(objectives) - min(objectives) > 1
        assert {record.status for record in estimator.restarts_} == {"converged", "joined", "dropped"}
        dropped = [record.end for record in estimator.restarts_ if record.status == "dropped"]
        assert max(dropped) < max(objectives) - 0.8  # 1 below what another had reached then, and 0.1 at most to go
        assert all(record.end == record.objective for record in estimator.restarts_ if record.status == "converged")
        assert all(record.end >= record.objective - 0.01 for record in estimator.restarts_)
        assert estimator.replicated_ == sum(record.end > estimator.objective_ - 0.1 for record in independent)
        assert estimator.n_e_steps_ == sum(record.n_e_steps for record in estimator.restarts_)

    def test_a_start_leads_where_its_run_alone_leads(self, model, data):
        """What `end` says of runs that were left to others is true."""
        estimator = WeightedEM(latent_card={"H": 3}, seed=0).fit(model, data)
        joined = [record for record in estimator.restarts_ if record.status == "joined" and record.start != "perturbed"]
        assert len(joined) >= 3
        for record in joined:
            settings = {"latent_card": {"H": 3}, "seed": record.seed, "init_cpds": record.start, "n_init": 1}
            assert WeightedEM(**settings).fit(model, data).objective_ == pytest.approx(record.end, abs=0.02)

    def test_a_surrounding_process_backend_is_not_used(self, model, data):
        seen = []
        with joblib.parallel_config("loky"):
            estimator = WeightedEM(n_jobs=2, n_init=2, seed=0, callback=seen.append).fit(model, data)
        assert {iteration.run for iteration in seen} == {0, 1}
        assert bits(estimator) == bits(WeightedEM(n_init=2, seed=0).fit(model, data))

    @pytest.mark.parametrize("n_jobs", [2, -1])
    def test_any_number_of_workers_gives_the_same_bits(self, model, data, n_jobs):
        settings = {"latent_card": {"H": 3}, "seed": 0, "n_init": 6}
        alone = WeightedEM(**settings).fit(model, data)
        together = WeightedEM(n_jobs=n_jobs, **settings).fit(model, data)
        assert bits(alone) == bits(together)

    def test_row_order_does_not_change_a_bit(self, model, data):
        weight = np.random.default_rng(1).random(len(data))
        order = np.random.default_rng(2).permutation(len(data))
        settings = {"latent_card": {"H": 3}, "seed": 0, "n_init": 2}
        one = WeightedEM(**settings).fit(model, data, weight)
        other = WeightedEM(**settings).fit(model, data.iloc[order], weight[order])
        assert bits(one) == bits(other)

    def test_fitting_twice_is_fitting_once(self, model, data):
        estimator = WeightedEM(seed=0, n_init=2)
        assert bits(estimator.fit(model, data)) == bits(estimator.fit(model, data))

    def test_more_restarts_are_better_on_the_whole(self, model, data):
        """Not each time: a run that would have ended higher can be dropped for one that looked better."""
        means = [
            np.mean([WeightedEM(latent_card={"H": 3}, seed=s, n_init=n).fit(model, data).objective_ for s in range(10)])
            for n in (1, 4, 16)
        ]
        assert means[0] + 0.5 < means[1]
        assert means[1] + 0.1 < means[2]

    def test_a_records_seed_and_start_repeat_its_run(self, model, data):
        estimator = WeightedEM(latent_card={"H": 3}, seed=0, n_init=4).fit(model, data)
        assert [record.start for record in estimator.restarts_] == [
            *["available_case"] * 3,
            "near_uniform",
        ]
        kept = [record for record in estimator.restarts_ if record.status == "converged"]
        assert len(kept) >= 2
        for record in kept:
            settings = {"latent_card": {"H": 3}, "seed": record.seed, "init_cpds": record.start, "n_init": 1}
            assert WeightedEM(**settings).fit(model, data).restarts_ == [record]

    def test_near_uniform_starts_are_near_the_uniform(self, model, data):
        distance = {}
        for start in ("available_case", "near_uniform"):
            with pytest.warns(ConvergenceWarning):
                fit = WeightedEM(init_cpds=start, seed=0, n_init=1, max_iter=0).fit(model, data)
            tables = [cpd.get_values() for cpd in fit.parameters_]
            distance[start] = np.mean([np.abs(table - 1 / len(table)).mean() for table in tables])
        assert 0.01 < distance["near_uniform"] < 0.4 * distance["available_case"]

    def test_further_starts_of_a_fixed_strategy_are_random(self, model, data):
        observed = DiscreteBayesianNetwork([("A", "B"), ("B", "C")])
        estimator = WeightedEM(n_init=2, seed=0, init_cpds="uniform").fit(observed, data)
        first = WeightedEM(init_cpds="uniform").fit(observed, data)
        assert estimator.restarts_[0].start == first.restarts_[0].start == "uniform"
        for record in estimator.restarts_[1:]:
            drawn = WeightedEM(init_cpds="random", seed=record.seed).fit(observed, data)
            assert drawn.restarts_[0][:2] == record[:2]
            assert drawn.objective_ == pytest.approx(record.end, abs=0.01)

    def test_the_number_of_runs(self, model, data):
        observed = DiscreteBayesianNetwork([("A", "B")])
        assert len(WeightedEM().fit(observed, data).restarts_) == 1
        assert len(WeightedEM(init_cpds="random").fit(observed, data).restarts_) == 1
        fitted = WeightedEM(n_init=1, seed=0).fit(model, data)
        given = {cpd.variable: cpd for cpd in fitted.parameters_}
        assert len(WeightedEM(init_cpds=given).fit(model, data).restarts_) == 1
        del given["H"]
        assert WeightedEM(init_cpds=given, seed=0).fit(model, data).n_starts_ >= 16

    def test_seeds(self):
        assert run_seeds(5, 3)[0] == 5
        assert run_seeds(5, 3) == run_seeds(5, 9)[:3]
        assert len(set(run_seeds(5, 100))) == 100
        assert run_seeds(None, 2) != run_seeds(None, 2)

    def test_unfinished_losers_are_logged(self, model, data, caplog):
        for seed in range(20):
            settings = {"latent_card": {"H": 3}, "seed": seed, "n_init": 2}
            whole = WeightedEM(**settings).fit(model, data)
            if max(record.n_iter for record in whole.restarts_) > whole.n_iter_:
                break
        with caplog.at_level("WARNING"):
            estimator = WeightedEM(max_iter=whole.n_iter_, **settings).fit(model, data)
        assert estimator.converged_
        assert f"1 of 2 runs ended by max_iter={whole.n_iter_} before they converged" in caplog.text


class TestCallback:
    def test_it_sees_every_evaluation(self, model, data):
        seen = []
        estimator = WeightedEM(n_init=2, seed=0, callback=seen.append).fit(model, data)
        assert all(isinstance(iteration, Iteration) for iteration in seen)
        for run, record in enumerate(estimator.restarts_):
            mine = [iteration for iteration in seen if iteration.run == run]
            assert [iteration.n_iter for iteration in mine] == list(range(record.n_iter + 1))
            assert mine[-1].objective == record.objective
            assert mine[-1].objective == mine[-1].log_likelihood + mine[-1].log_prior

    def test_it_may_stop_the_fit(self, model, data):
        estimator = WeightedEM(seed=0, callback=lambda iteration: iteration.n_iter == 4).fit(model, data)
        assert estimator.n_iter_ == 4
        assert estimator.status_ == "callback"
        assert not estimator.converged_
        assert len(estimator.restarts_) == 1

    def test_it_stops_the_runs_of_other_threads_too(self, model, data):
        estimator = WeightedEM(
            seed=0, n_init=4, n_jobs=4, tol=0, max_iter=10**6, callback=lambda iteration: iteration.n_iter == 30
        ).fit(model, data)
        assert {record.status for record in estimator.restarts_} <= {"callback", "joined", "dropped"}
        assert max(record.n_iter for record in estimator.restarts_) < 10**6
        assert estimator.status_ == "callback"

    def test_its_errors_end_the_runs_of_other_threads_too(self, model, data):
        last = []

        def fail(iteration):
            last.append(time.monotonic())
            if iteration.run == 1 and iteration.n_iter == 5:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            WeightedEM(seed=0, n_init=4, n_jobs=4, tol=0, max_iter=10**6, callback=fail).fit(model, data)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and time.monotonic() - last[-1] < 0.5:
            time.sleep(0.1)
        assert time.monotonic() - last[-1] >= 0.5  # no thread calls any more

    def test_its_errors_reach_the_caller(self, model, data):
        with pytest.raises(ZeroDivisionError):
            WeightedEM(seed=0, callback=lambda _: 1 / 0).fit(model, data)


class Clock:
    """A clock that the callback moves, so that no test depends on how busy the machine is."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def advance(self, seconds):
        self.now += seconds


class TestMaxTime:
    @pytest.fixture
    def clock(self, monkeypatch):
        return Clock(monkeypatch)

    def test_the_best_so_far_is_returned(self, model, data, clock):
        message = r"max_time=20 seconds have passed: of 16 runs 2 were cut short and 14 not begun\. The best so far"
        with pytest.warns(ConvergenceWarning, match=message):
            estimator = WeightedEM(seed=0, max_time=20, tol=0, callback=lambda _: clock.advance(1)).fit(model, data)
        assert estimator.status_ == "max_time"
        assert [record.n_iter for record in estimator.restarts_] == [16, 3]
        assert {record.status for record in estimator.restarts_} == {"max_time"}
        assert estimator.objective_ == max(record.objective for record in estimator.restarts_)

    def test_a_cut_run_is_said_even_when_an_earlier_one_is_best(self, model, data, clock):
        def slow(iteration):
            if iteration.run == 1:
                clock.advance(1)

        with pytest.warns(ConvergenceWarning, match="of 2 runs 1 were cut short and 0 not begun"):
            estimator = WeightedEM(seed=0, n_init=2, max_time=34, callback=slow).fit(model, data)
        assert [record.status for record in estimator.restarts_] == ["converged", "max_time"]

    def test_a_callback_that_stops_is_not_taken_for_the_clock(self, model, data):
        estimator = WeightedEM(seed=0, max_time=3600, callback=lambda iteration: iteration.n_iter == 4)
        assert estimator.fit(model, data).status_ == "callback"

    def test_starts_are_made_when_they_are_needed(self, model, data, monkeypatch):
        """As if a start took a second: of ten thousand no more are made than there is time for."""
        now = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        made = []

        class Slow(RandomStart):
            def start(self, context):
                made.append(context.seed)
                now[0] += 1.0
                return super().start(context)

        with pytest.warns(ConvergenceWarning, match="max_time=3 seconds have passed: of 10000 runs .* not begun"):
            found = WeightedEM(seed=0, n_init=10_000, max_time=3, init_cpds=Slow()).fit(model, data)
        assert len(made) == 3
        assert [record.seed for record in found.restarts_] == made[: len(found.restarts_)]
        made.clear()
        every = WeightedEM(seed=0, n_init=5, init_cpds=Slow()).fit(model, data)
        assert made == [record.seed for record in every.restarts_] == run_seeds(0, 5)

    @pytest.mark.parametrize("kind", ["mixture", "factors"])
    def test_continuous_starts_are_made_when_they_are_needed(self, kind, monkeypatch):
        rng = np.random.default_rng(0)
        data = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
        edges = [("k", name) for name in data]
        now, made = [0.0], []
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        start = hybrid_prepare.available_case_start

        def slow(*arguments):
            made.append(1)
            now[0] += 1.0
            return start(*arguments)

        monkeypatch.setattr(hybrid_prepare, "available_case_start", slow)
        estimator, network = {
            "mixture": (ConditionalGaussianEM, DAG),
            "factors": (LinearGaussianEM, LinearGaussianBayesianNetwork),
        }[kind]
        with pytest.warns(ConvergenceWarning, match="max_time=3 seconds have passed: of 10000 runs .* not begun"):
            estimator(seed=0, n_init=10_000, max_time=3).fit(network(edges, latents={"k"}), data)
        assert len(made) == 3

    def test_starts_do_not_depend_on_when_they_are_made(self, model, data):
        arguments = prepare(WeightedEM(latent_card={"H": 3}), model, data, None), 0, 6
        forwards, backwards = make_starts(*arguments), make_starts(*arguments)
        later = [backwards[number] for number in (-1, 4, 3, 2, 1, 0)][::-1]
        for one, other in zip(forwards, later, strict=True):
            assert one[:2] == other[:2]
            assert one.parameters.tobytes() == other.parameters.tobytes()

    def test_a_tiny_limit_still_evaluates_the_start(self, model, data):
        with pytest.warns(ConvergenceWarning, match="max_time"):
            estimator = WeightedEM(seed=0, max_time=1e-9).fit(model, data)
        assert estimator.n_iter_ == 0
        assert np.isfinite(estimator.objective_)


class InterruptedFitError(Exception):
    """Stands for a machine that goes down."""


class TestCheckpoint:
    @pytest.fixture(autouse=True)
    def _save_always(self, monkeypatch):
        monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN_SAVES", 0.0)

    @pytest.mark.parametrize("stop", [(0, 0), (0, 7), (1, 3), (2, 12)])
    def test_an_interrupted_fit_goes_on_to_the_same_bits(self, model, data, tmp_path, stop):
        settings = {"latent_card": {"H": 3}, "seed": 0, "n_init": 3}
        path = tmp_path / "fit.npz"
        steps = []

        def interrupt(iteration):
            steps.append(iteration)
            if (iteration.run, iteration.n_iter) == stop:
                raise InterruptedFitError

        with pytest.raises(InterruptedFitError):
            WeightedEM(callback=interrupt, checkpoint=path, **settings).fit(model, data)
        resumed = []
        again = WeightedEM(callback=resumed.append, checkpoint=path, **settings).fit(model, data)
        assert bits(again) == bits(WeightedEM(**settings).fit(model, data))
        # Nothing is made again but the evaluation of where each run stood.
        seen = {(iteration.run, iteration.n_iter) for iteration in steps + resumed}
        assert seen == {(run, n) for run, record in enumerate(again.restarts_) for n in range(record.n_iter + 1)}
        assert len(steps) + len(resumed) <= len(seen) + len(again.restarts_)

    def test_a_finished_fit_is_read_back(self, model, data, tmp_path):
        settings = {"seed": 0, "n_init": 2, "checkpoint": str(tmp_path / "fit.npz")}
        one = WeightedEM(**settings).fit(model, data)
        assert bits(one) == bits(WeightedEM(**settings).fit(model, data))

    def test_more_iterations_go_on(self, model, data, tmp_path):
        settings = {"seed": 0, "n_init": 1, "checkpoint": tmp_path / "fit.npz"}
        with pytest.warns(ConvergenceWarning):
            WeightedEM(max_iter=5, **settings).fit(model, data)
        longer = WeightedEM(**settings).fit(model, data)
        assert bits(longer) == bits(WeightedEM(seed=0, n_init=1).fit(model, data))

    def test_more_iterations_go_on_in_a_race_too(self, model, data, tmp_path):
        settings = {"latent_card": {"H": 3}, "seed": 0, "n_init": 6}
        with pytest.warns(ConvergenceWarning):
            WeightedEM(max_iter=10, checkpoint=tmp_path / "fit.npz", **settings).fit(model, data)
        longer = WeightedEM(checkpoint=tmp_path / "fit.npz", **settings).fit(model, data)
        assert bits(longer) == bits(WeightedEM(**settings).fit(model, data))

    @pytest.mark.parametrize(("max_iter", "seed"), [pytest.param(5, 0, marks=pytest.mark.campaign), (40, 1)])
    def test_more_iterations_go_on_by_default(self, model, data, tmp_path, max_iter, seed):
        """Runs near the best, and those of the reserve, are not begun from where `max_iter` has cut others."""
        settings = {"latent_card": {"H": 2}, "seed": seed, "checkpoint": tmp_path / "fit.npz"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            short = WeightedEM(max_iter=max_iter, **settings).fit(model, data)
        if not short.converged_:
            assert all(record.start != "perturbed" for record in short.restarts_)
        longer = WeightedEM(**settings).fit(model, data)
        whole = WeightedEM(latent_card={"H": 2}, seed=seed).fit(model, data)
        for one, other in zip(bits(longer), bits(whole), strict=True):
            if (
                one is not longer.restarts_
            ):  # a run that was cut may have looked beyond its end, which the whole fit leaves
                assert one == other
        assert [record[:2] for record in longer.restarts_] == [record[:2] for record in whole.restarts_]

    @pytest.mark.parametrize(
        "share", [0.9, *(pytest.param(share, marks=pytest.mark.campaign) for share in (0.3, 0.7, 0.99, 1.1))]
    )
    def test_the_default_goes_on_to_the_same_bits(self, model, data, tmp_path, share):
        settings = {"latent_card": {"H": 2}, "seed": 2}
        end = pytest.raises(InterruptedFitError) if share < 1 else contextlib.nullcontext()
        self.interrupt_and_resume(model, data, tmp_path / "fit.npz", share, settings, end)

    @staticmethod
    def interrupt_and_resume(model, data, path, share, settings, end):
        """Fit; fit again until some share of the steps is made, which ends as told; go on; and compare all bits."""
        seen = []
        whole = WeightedEM(callback=lambda iteration: seen.append(iteration) and None, **settings).fit(model, data)
        left = [int(share * len(seen))]

        def interrupt(iteration):
            left[0] -= 1
            if left[0] == 0:
                raise InterruptedFitError

        with end:
            WeightedEM(callback=interrupt, checkpoint=path, **settings).fit(model, data)
        assert bits(WeightedEM(checkpoint=path, **settings).fit(model, data)) == bits(whole)

    def test_a_larger_tol_suffices(self, model, data, tmp_path):
        settings = {"seed": 0, "n_init": 2, "checkpoint": tmp_path / "fit.npz"}
        WeightedEM(tol=1e-6, **settings).fit(model, data)
        again = WeightedEM(tol=1.0, **settings).fit(model, data)
        assert again.converged_
        assert again.gap_ < 1.0

    def test_another_atol_is_another_fit(self, model, data, tmp_path):
        settings = {"seed": 0, "n_init": 1, "checkpoint": tmp_path / "fit.npz"}
        WeightedEM(atol=0.1, **settings).fit(model, data)
        with pytest.raises(ValueError, match="belongs to another fit"):
            WeightedEM(**settings).fit(model, data)

    @pytest.mark.parametrize("acceleration", ["auto", "squarem", "lbfgs", None])
    @pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
    def test_every_method_goes_on_to_the_same_bits(self, model, data, tmp_path, acceleration, share):
        settings = {"latent_card": {"H": 3}, "seed": 1, "n_init": 5, "acceleration": acceleration, "max_iter": 5000}
        end = pytest.raises(InterruptedFitError)
        self.interrupt_and_resume(model, data, tmp_path / "fit.npz", share, settings, end)

    def test_another_fits_file_is_refused(self, model, data, tmp_path):
        path = tmp_path / "fit.npz"
        WeightedEM(seed=0, n_init=1, checkpoint=path).fit(model, data)
        with pytest.raises(ValueError, match=r"checkpoint '.*fit.npz' belongs to another fit.*Delete it"):
            WeightedEM(seed=0, n_init=1, checkpoint=path).fit(model, data.iloc[1:])
        with pytest.raises(ValueError, match="belongs to another fit"):
            WeightedEM(seed=0, n_init=1, checkpoint=path, prior="K2").fit(model, data)
        with pytest.raises(ValueError, match="belongs to another fit"):
            WeightedEM(seed=1, n_init=1, checkpoint=path).fit(model, data)
        with pytest.raises(ValueError, match="belongs to another fit"):
            WeightedEM(seed=0, n_init=1, checkpoint=path, e_step=ExactEStep(prune_barren=False)).fit(model, data)

    def test_a_broken_file_is_refused(self, model, data, tmp_path):
        path = tmp_path / "fit.npz"
        path.write_text("not an archive")
        self.refuse_broken(model, data, path)
        path.write_bytes(b"")
        self.refuse_broken(model, data, path)
        with path.open("wb") as file:
            np.save(file, np.ones(3))
        self.refuse_broken(model, data, path)
        WeightedEM(seed=0, n_init=1, checkpoint=tmp_path / "whole.npz").fit(model, data)
        path.write_bytes((tmp_path / "whole.npz").read_bytes()[:-40])
        self.refuse_broken(model, data, path)

    @staticmethod
    def refuse_broken(model, data, path):
        with pytest.raises(ValueError, match=r"checkpoint '.*fit.npz' is no checkpoint, or is damaged"):
            WeightedEM(seed=0, n_init=1, checkpoint=path).fit(model, data)

    def test_a_folder_that_does_not_exist(self, model, data, tmp_path):
        with pytest.raises(ValueError, match=r"checkpoint cannot be written to '.*nowhere': no such folder"):
            WeightedEM(seed=0, checkpoint=tmp_path / "nowhere" / "fit.npz").fit(model, data)


class TestProgressBar:
    def test_steps_of_a_single_run(self, model, data, monkeypatch, capsys):
        monkeypatch.setattr(pgmpy.config, "SHOW_PROGRESS", True)
        estimator = WeightedEM(seed=0, n_init=1).fit(model, data)
        shown = capsys.readouterr().err
        assert f"{estimator.n_iter_}/1000" in shown
        assert f"log_likelihood={estimator.log_likelihood_:.4f}" in shown

    def test_runs(self, model, data, monkeypatch, capsys):
        monkeypatch.setattr(pgmpy.config, "SHOW_PROGRESS", True)
        estimator = WeightedEM(seed=0, n_init=3).fit(model, data)
        shown = capsys.readouterr().err
        assert "3/3" in shown
        assert f"log_likelihood={estimator.log_likelihood_:.4f}" in shown

    @pytest.mark.parametrize(("global_setting", "own"), [(False, True), (True, False)])
    def test_off(self, model, data, monkeypatch, capsys, global_setting, own):
        monkeypatch.setattr(pgmpy.config, "SHOW_PROGRESS", global_setting)
        WeightedEM(seed=0, n_init=2, show_progress=own).fit(model, data)
        assert capsys.readouterr().err == ""


class TestRace:
    """Runs of three blocks, of which some are contested."""

    def start(self, n_runs, differing, pace=HALVING, n_reserve=0, n_perturbed=0):
        return start_race(np.isin(np.arange(3), differing), n_runs, n_reserve, n_perturbed, pace)

    def stand(self, reached, gap=0.01):
        """Say where runs stand: `reached` in the first block, all the same in the others."""
        reached = np.column_stack([reached, np.zeros((len(reached), 2))])
        return Standing(reached, np.full(reached.shape, gap), reached)

    def signatures(self, *values):
        """Make signatures of one cell a block."""
        return Signatures({run: np.array([value, 0.0, 0.0]) for run, value in enumerate(values)}, np.arange(3), 3)

    def test_blocks_on_which_all_starts_agree_are_run_once(self):
        race = self.start(4, [1])
        assert race.contested.tolist() == [False, True, False, False]
        assert race.racing[0].tolist() == [True, True, True, True]
        assert race.racing[1].tolist() == [False, True, False, True]
        assert race.in_race.all()
        assert self.start(4, []).in_race.tolist() == [True, False, False, False]
        assert self.start(4, []).is_final

    def test_the_better_half_goes_on_in_each_block_by_itself(self):
        predicted = np.zeros((12, 3))
        predicted[:, 0] = np.arange(12)
        predicted[:, 1] = -np.arange(12)
        standing = Standing(predicted, np.full(predicted.shape, np.inf), predicted)
        race = compare(self.start(12, [0, 1]), standing, None, HALVING, 0.01)
        assert np.flatnonzero(race.racing[:, 0]).tolist() == [6, 7, 8, 9, 10, 11]
        assert np.flatnonzero(race.racing[:, 1]).tolist() == [0, 1, 2, 3, 4, 5]
        assert (race.is_final, race.n_steps) == (False, 32)
        race = compare(race, standing, None, HALVING, 0.01)
        assert np.flatnonzero(race.racing[:, 0]).tolist() == [9, 10, 11]
        assert race.is_final
        assert race.n_steps == 64

    def test_of_equal_runs_the_earlier_go_on(self):
        race = halve(self.start(5, [0]), np.zeros((5, 3)), 2)
        assert np.flatnonzero(race.racing[:, 0]).tolist() == [0, 1, 2]

    @pytest.mark.parametrize(("gap", "n_going"), [(0.01, 2), (0.2, 8), (np.inf, 8)])
    def test_where_steps_are_cheap_only_those_that_end_low_are_left(self, gap, n_going):
        standing = self.stand(-np.arange(8.0), gap)
        race = compare(self.start(8, [0], PATIENT), standing, self.signatures(*range(8)), PATIENT, 0.01)
        assert np.flatnonzero(race.racing[:, 0]).tolist() == list(range(n_going))
        assert not race.is_final

    def test_a_copy_joins_the_run_that_is_ahead(self):
        reached = [-5.0, -5.001, -5.002, -9.0]
        race = join_copies(self.start(4, [0]), self.stand(reached), self.signatures(0.3, 0.31, 0.9, 0.3), 0.001)
        assert race.racing[:, 0].tolist() == [
            True,
            False,
            True,
            True,
        ]  # the third has other parameters, the last is lower
        assert race.leader[:, 0].tolist() == [0, 0, 2, 3]
        assert race.leader[:, 1:].tolist() == [[run, run] for run in range(4)]

    def test_who_has_joined_follows_when_its_leader_joins(self):
        signatures = self.signatures(0.3, 0.31, 0.3)
        race = join_copies(self.start(3, [0]), self.stand([-np.inf, -5.0, -5.001]), signatures, 0.001)
        assert race.leader[:, 0].tolist() == [0, 1, 1]
        race = join_copies(race, self.stand([-4.999, -5.0, -5.001]), signatures, 0.001)
        assert race.leader[:, 0].tolist() == [0, 0, 0]
        assert race.racing[:, 0].tolist() == [True, False, False]

    def test_runs_that_are_still_far_from_their_ends_join_nobody(self):
        race = join_copies(self.start(2, [0]), self.stand([-5.0, -5.0], gap=1.0), self.signatures(0.3, 0.3), 0.01)
        assert race.racing[:, 0].all()

    def test_three_runs_go_on_at_one_objective_whatever_their_parameters(self):
        """Where the data does not determine the parameters, these differ at one and the same maximum."""
        signatures = self.signatures(0.0, 0.2, 0.4, 0.6, 0.8)
        race = join_copies(self.start(5, [0]), self.stand([-5.0] * 5), signatures, 0.01)
        assert np.flatnonzero(race.racing[:, 0]).tolist() == [0, 1, 2]
        assert set(race.leader[3:, 0].tolist()) <= {0, 1, 2}

    def test_a_dropped_run_that_stood_higher_is_taken_back(self):
        reached = np.zeros((4, 3))
        race = halve(self.start(4, [0]), reached, 2)
        assert readmit(race, reached, 0.001) is None
        reached[3, 0], reached[2, 0] = 0.01, 0.0005
        back = readmit(race, reached, 0.001)
        assert np.flatnonzero(back.racing[:, 0]).tolist() == [0, 1, 3]
        assert readmit(back, reached, 0.001) is None

    def test_a_reserve_enters_where_it_is_wanted(self):
        race = self.start(6, [0, 1], PATIENT, n_reserve=3)
        assert race.racing[:, 0].tolist() == [True, True, True, False, False, False]
        race = enter_reserve(race, np.array([False, True, True]), 2, PATIENT)
        assert race.racing[:, 0].tolist() == [True, True, True, False, False, False]
        assert race.racing[:, 1].tolist() == [True, True, True, True, True, False]
        assert enter_reserve(race, np.array([False, False, True]), 2, PATIENT) is None
        race = enter_reserve(race, np.array([True, False, False]), 2, PATIENT)
        assert race.n_entered == 6
        assert enter_reserve(race, np.array([True, True, True]), 2, PATIENT) is None

    def test_only_independent_starts_replicate(self):
        race = self.start(3, [0], PATIENT, n_perturbed=2)
        race = enter_perturbed(race, np.zeros((2, 3)), np.zeros(3), PATIENT)
        assert race.racing[:, 0].all()
        reached = np.zeros((5, 3))
        reached[:, 0] = [-5, -5.05, -7, -5, -5]
        assert count_replications(race, reached, 0.1)[0] == 2
        reached[4, 0] = -4
        assert count_replications(race, reached, 0.1)[0] == 0
        joined = race._replace(leader=race.leader.copy(), racing=race.racing.copy())
        joined.leader[0, 0], joined.racing[0, 0] = 4, False
        assert count_replications(joined, reached, 0.1)[0] == 1


class TestStarts:
    def test_each_is_made_once_and_when_it_is_asked_for(self):
        made = []

        def make(number, seed):
            made.append(number)
            return Start(seed, "drawn", np.array([float(seed)]))

        starts = Starts(make, [7, 8, 9])
        assert len(starts) == 3
        assert made == []
        assert starts[1].parameters.tolist() == [8.0]
        assert [start.seed for start in starts[1:]] == [8, 9]
        assert starts[-1] is starts[2]
        assert made == [1, 2]
        with pytest.raises(IndexError):
            starts[3]


class TestSeveralBlocks:
    """Two latent class models that touch nowhere."""

    @pytest.fixture
    def both(self):
        rng = np.random.default_rng(1)
        columns = {}
        for name in "AB":
            shares = rng.dirichlet([0.7] * 3, size=(3, 4))
            latent = rng.integers(0, 3, 60)
            codes = (np.cumsum(shares[latent], axis=2) < rng.random((60, 4, 1))).sum(axis=2)
            columns |= {f"{name}{item}": codes[:, item] for item in range(4)}
        edges = [(f"H{name}", f"{name}{item}") for name in "AB" for item in range(4)]
        return DiscreteBayesianNetwork(edges, latents={"HA", "HB"}), pd.DataFrame(columns)

    settings: ClassVar = {"latent_card": {"HA": 3, "HB": 3}, "seed": 0}

    def test_the_best_of_each_is_put_together(self, both):
        whole = WeightedEM(**self.settings).fit(*both)
        assert whole.history_[-1] == whole.objective_
        assert len(whole.history_) == whole.n_iter_ + 1
        assert whole.objective_ >= max(record.objective for record in whole.restarts_)
        total = 0.0
        for name in "AB":
            model = DiscreteBayesianNetwork([(f"H{name}", f"{name}{item}") for item in range(4)], latents={f"H{name}"})
            part = WeightedEM(latent_card={f"H{name}": 3}, seed=0, n_init=64).fit(model, both[1])
            total += part.objective_
        assert whole.objective_ <= total + 0.01
        gains = []
        for seed in range(8):
            fit = WeightedEM(**{**self.settings, "seed": seed}, n_init=2).fit(*both)
            gains.append(fit.objective_ - max(record.objective for record in fit.restarts_))
            assert fit.score_samples(both[1]).sum() == pytest.approx(fit.log_likelihood_, abs=1e-9)
            assert fit.history_[-1] == fit.objective_
        assert min(gains) >= 0
        assert max(gains) > 0.1

    def test_a_block_whose_start_is_given_is_run_once(self, both):
        first = WeightedEM(**self.settings, n_init=1).fit(*both)
        given = {cpd.variable: cpd for cpd in first.parameters_ if cpd.variable.startswith(("HB", "B"))}
        evaluated = []

        class Spy(ExactEStep):
            def expected_statistics(self, plan, parameters, active=None):
                evaluated.append(None if active is None else active[:-1].tolist())
                return super().expected_statistics(plan, parameters, active)

        fit = WeightedEM(**self.settings, init_cpds=given, n_init=6, e_step=Spy()).fit(*both)
        n_evaluated = [sum(active is None or active[block] for active in evaluated) for block in range(2)]
        assert min(n_evaluated) <= 5 + fit.restarts_[0].n_e_steps
        assert max(n_evaluated) > min(n_evaluated) + 5 * 15
