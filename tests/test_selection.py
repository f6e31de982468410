"""How many states a latent variable has: published choices, recovery, and what a caller relies on."""

import logging
import warnings

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from pgmpy.base import DAG
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork
from sklearn.exceptions import ConvergenceWarning
from test_published import CARCINOMA, VALUES

from pgmpy_em_ext import Dirichlet, ExactEStep, WeightedEM, select_latent_card
from pgmpy_em_ext.selection import latent_card as module
from pgmpy_em_ext.selection.folds import FoldScore, count_records, deal_folds, score_fold, summarize_folds

WEAK = WeightedEM(prior=Dirichlet(0.1), n_init=5)


def star(items, latent="H"):
    return DiscreteBayesianNetwork([(latent, item) for item in items], latents={latent})


def patterns_of(table, **settings):
    items = [column for column in table.columns if column != "n"]
    return select_latent_card(star(items), table, sample_weight=table["n"], seed=0, **settings)


def draw(card, n_items=6, n_rows=600, seed=0):
    """Rows of a latent with well separated states: in state k most items answer k."""
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, card, (n_rows, 1))
    wrong = rng.random((n_rows, n_items)) < 0.2
    return pd.DataFrame(
        np.where(wrong, rng.integers(0, 3, (n_rows, n_items)), hidden), columns=list("ABCDEF")[:n_items]
    )


SMALL = draw(2, n_items=4, n_rows=80)


def quiet(*args, **kwargs):
    """Select, whatever the fits warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return select_latent_card(*args, **kwargs)


class TestPublished:
    """R package poLCA, its manual pages."""

    def test_carcinoma(self):
        estimator = WeightedEM(n_init=20, max_iter=20_000, tol=1e-4)
        found = patterns_of(CARCINOMA, cards={"H": range(1, 5)}, estimator=estimator)
        assert found.best == {"H": 3}
        np.testing.assert_allclose(found.table["log_likelihood"][1:], [-317.2568, -293.705, -289.2858], atol=1e-3)
        assert found.table["bic"][2] == pytest.approx(697.1357, abs=1e-3)
        assert found.table["aic"][2] == pytest.approx(633.41, abs=6e-3)
        assert found.table["n_parameters"].tolist() == [7, 15, 23, 31]
        assert found.table["chosen"].tolist() == [False, False, True, False]
        assert found.table["converged"].all()
        assert found.table.columns.tolist()[0] == "H"

    def test_values(self):
        found = patterns_of(VALUES, cards={"H": [1, 2, 3]}, estimator=WeightedEM(max_iter=20_000))
        assert found.best == {"H": 2}
        np.testing.assert_allclose(found.table["log_likelihood"], [-543.6498, -504.4677, -503.3011], atol=3e-3)


class TestRecovery:
    @pytest.mark.parametrize("criterion", ["bic", "aic", "held_out"])
    @pytest.mark.parametrize("card", [1, 3])
    def test_the_true_number(self, criterion, card):
        found = quiet(star("ABCDEF"), draw(card), {"H": range(1, 5)}, criterion, estimator=WEAK, n_folds=3, seed=1)
        assert found.best == {"H": card}

    def test_two_latents(self):
        data = pd.concat([draw(3, 4), draw(2, 4, seed=1).set_axis(list("WXYZ"), axis=1)], axis=1)
        edges = [("H", item) for item in "ABCD"] + [("K", item) for item in "WXYZ"]
        model = DiscreteBayesianNetwork(edges, latents={"H", "K"})
        found = quiet(model, data, {"H": [2, 3, 4], "K": [1, 2]}, estimator=WEAK, seed=0)
        assert found.best == {"H": 3, "K": 2}
        assert found.table[["H", "K"]].to_numpy().tolist() == [[2, 1], [2, 2], [3, 1], [3, 2], [4, 1], [4, 2]]

    def test_holes_and_columns_to_ignore(self):
        whole = draw(2, n_rows=500)
        data = whole.mask(np.random.default_rng(0).random(whole.shape) < 0.2).assign(Note="x")
        assert quiet(star("ABCDEF"), data, {"H": [1, 2, 3]}, estimator=WEAK, seed=0).best == {"H": 2}


class TestWhatComesBack:
    def test_the_model_and_the_estimator(self):
        model = star("ABCD")
        found = quiet(model, SMALL, {"H": [1, 2]}, estimator=WeightedEM(prior="K2"), seed=0)
        assert found.model.check_model()
        assert found.model.latents == {"H"}
        assert set(found.model.edges()) == set(model.edges())
        assert found.model.get_cpds() == found.estimator.parameters_
        assert found.estimator.state_names_["H"] == [0, 1]
        assert found.estimator.prior == "K2"
        assert found.table["log_likelihood"][1] == found.estimator.log_likelihood_

    def test_the_input_is_left_alone(self):
        model, data, estimator = star("ABCD"), SMALL.copy(), WeightedEM(latent_card={"H": 5}, seed=3)
        quiet(model, data, {"H": [1, 2]}, estimator=estimator, seed=4)
        assert model.get_cpds() == []
        assert model.latents == {"H"}
        pd.testing.assert_frame_equal(data, SMALL)
        assert not estimator.is_fitted
        assert (estimator.latent_card, estimator.seed) == ({"H": 5}, 3)

    def test_a_fitted_model_does_not_matter(self):
        model = star("ABCD")
        fresh = quiet(model, SMALL, {"H": [2, 3]}, seed=0)
        model.fit(SMALL, estimator=WeightedEM(latent_card={"H": 4}, seed=0, n_init=1))
        pd.testing.assert_frame_equal(quiet(model, SMALL, {"H": [2, 3]}, seed=0).table, fresh.table)

    def test_a_dag(self):
        dag = DAG([("H", item) for item in "ABCD"], latents={"H"})
        assert isinstance(quiet(dag, SMALL, {"H": [1, 2]}, seed=0).model, DiscreteBayesianNetwork)

    def test_an_empty_column_is_latent(self):
        data = SMALL.assign(H=None)
        model = DiscreteBayesianNetwork([("H", item) for item in "ABCD"])
        found = quiet(model, data, {"H": [1, 2]}, seed=0)
        assert found.table["bic"].equals(quiet(star("ABCD"), SMALL, {"H": [1, 2]}, seed=0).table["bic"])

    def test_other_latents_keep_their_number(self):
        model = star("ABCD")
        model.add_edge("K", "A")
        model.latents = {"H", "K"}
        found = quiet(model, SMALL, {"H": [1]}, estimator=WeightedEM(latent_card={"K": 3, "H": 9}, n_init=1), seed=0)
        assert [len(found.estimator.state_names_[name]) for name in "HK"] == [1, 3]

    def test_order_and_repetition_of_candidates(self):
        found = quiet(star("ABCD"), SMALL, {"H": iter([3, 1, 3])}, seed=0)
        assert found.table["H"].tolist() == [3, 1]

    def test_replicated_runs_where_they_are_counted(self, monkeypatch):
        assert ("replicated" in quiet(star("ABCD"), SMALL, {"H": [1]}, seed=0).table) == hasattr(
            WeightedEM(seed=0).fit(star("ABCD"), SMALL), "replicated_"
        )
        monkeypatch.setattr(WeightedEM, "replicated_", 7, raising=False)
        table = quiet(star("ABCD"), SMALL, {"H": [1, 2]}, estimator=WeightedEM(n_init=1), seed=0).table
        assert "replicated" in table

    def test_a_tie_goes_to_fewer_parameters(self):
        """A latent apart from all data changes no likelihood, so that held-out records cannot tell."""
        model = DiscreteBayesianNetwork([("A", "B")])
        model.add_node("H")
        model.latents = {"H"}
        found = quiet(model, SMALL, {"H": [3, 1, 2]}, "held_out", estimator=WeightedEM(prior="K2"), seed=0)
        assert found.best == {"H": 1}

    @pytest.mark.parametrize(("criterion", "unit"), [("held_out", 1e-3 / len(SMALL)), ("aic", -2e-3), ("bic", -2e-3)])
    @pytest.mark.parametrize(("lead", "chosen"), [(0.5, 1), (2.0, 0)])
    def test_a_tie_is_what_tol_cannot_tell(self, criterion, unit, lead, chosen):
        """``tol`` is in nats of the whole log-likelihood; AIC and BIC are twice that, held_out is a mean."""
        task = module.check_task(star("ABCD"), SMALL, {"H": [2, 1]}, criterion, None, None, 5, None)
        table = pd.DataFrame({criterion: [-1.0 + lead * unit, -1.0], "n_parameters": [9, 4]})
        assert module._choose(table, task) == chosen


class TestWeightsAndSeeds:
    def test_weights_equal_repetition(self):
        counted = SMALL.value_counts().rename("n").reset_index()
        settings = {"cards": {"H": [1, 2, 3]}, "seed": 0, "estimator": WeightedEM(n_init=3)}
        weighted = quiet(star("ABCD"), counted, sample_weight=counted["n"], **settings)
        repeated = quiet(star("ABCD"), counted.loc[counted.index.repeat(counted["n"])], **settings)
        pd.testing.assert_frame_equal(weighted.table, repeated.table)

    def test_weights_are_records_when_held_out(self):
        counted = SMALL.value_counts().rename("n").reset_index()
        settings = {"cards": {"H": [1]}, "criterion": "held_out", "estimator": WeightedEM(prior="K2"), "n_folds": 20}
        weighted = quiet(star("ABCD"), counted, sample_weight=counted["n"], seed=0, **settings).table
        repeated = quiet(star("ABCD"), counted.loc[counted.index.repeat(counted["n"])], seed=1, **settings).table
        error = weighted["held_out_error"][0]
        assert weighted["held_out"][0] == pytest.approx(repeated["held_out"][0], abs=0.2 * error)
        assert error == pytest.approx(repeated["held_out_error"][0], rel=0.5)

    def test_a_row_of_weight_zero_is_none(self):
        data = pd.concat([SMALL, pd.DataFrame([[9, 9, 9, 9]], columns=list("ABCD"))], ignore_index=True)
        weight = np.append(np.ones(len(SMALL)), 0)
        settings = {"criterion": "held_out", "estimator": WEAK, "seed": 0}
        with_zero = quiet(star("ABCD"), data, {"H": [1, 2]}, sample_weight=weight, **settings)
        without = quiet(star("ABCD"), SMALL, {"H": [1, 2]}, **settings)
        pd.testing.assert_frame_equal(with_zero.table, without.table)

    @pytest.mark.parametrize("criterion", ["bic", "held_out"])
    def test_the_same_seed_and_any_number_of_threads(self, criterion):
        first, second = (
            quiet(star("ABCD"), SMALL, {"H": [1, 3]}, criterion, estimator=WEAK.clone().set_params(n_jobs=n), seed=5)
            for n in (1, 2)
        )
        pd.testing.assert_frame_equal(first.table, second.table, check_exact=True)
        assert first.model.get_cpds() == second.model.get_cpds()

    def test_the_seed_outranks_the_estimators(self):
        tables = [
            quiet(star("ABCD"), SMALL, {"H": [2]}, "held_out", estimator=WEAK.clone().set_params(seed=own), seed=given)
            for own, given in [(1, 2), (2, None), (1, None)]
        ]
        held_out = [found.table["held_out"][0] for found in tables]
        assert held_out[0] == held_out[1] != held_out[2]


class TestHeldOut:
    def test_against_folds_by_hand(self):
        weight = np.arange(len(SMALL)) % 3 + 0.5
        estimator = WeightedEM(prior="K2", n_init=1)
        found = quiet(
            star("ABCD"), SMALL, {"H": [2]}, "held_out", estimator=estimator, sample_weight=weight, n_folds=4, seed=7
        )
        names = {**{item: [0, 1, 2] for item in "ABCD"}, "H": [0, 1]}
        by_hand = WeightedEM(prior="K2", n_init=1, seed=7, state_names=names)
        means, sums = [], []
        for fold in deal_folds(weight, 4, np.random.default_rng(7)):
            by_hand.fit(star("ABCD"), SMALL, weight - fold)
            means.append(by_hand.score(SMALL, fold))
            sums.append(means[-1] * fold.sum())
        row = found.table.iloc[0]
        assert row["held_out"] == pytest.approx(sum(sums) / weight.sum(), rel=1e-12)
        assert row["held_out_error"] == pytest.approx(np.std(means, ddof=1) / 2, rel=1e-12)

    def test_a_state_that_only_one_row_shows(self):
        data = SMALL.astype(object)
        data.loc[3, "A"] = "rare"
        data = data.astype({"A": str})
        message = (
            r"held_out is -inf for every candidate, so that the one of fewest parameters was chosen\. Held-out records "
            r"have probability zero there: .*prior=Dirichlet\(0\.1\)"
        )
        with pytest.warns(UserWarning, match=message):
            found = select_latent_card(star("ABCD"), data, {"H": [1]}, "held_out", estimator=None, seed=0)
        assert found.table["n_impossible"].tolist() == [1.0]
        assert found.table["held_out"].tolist() == [-np.inf]
        assert found.table["held_out_error"].isna().all()
        cured = select_latent_card(star("ABCD"), data, {"H": [1]}, "held_out", estimator=WEAK, seed=0)
        assert cured.table["n_impossible"].tolist() == [0.0]
        assert np.isfinite(cured.table["held_out"][0])

    def test_an_impossible_candidate_is_named_and_loses(self):
        """Plain EM goes on until entries are zero; accelerated, it ends before, and they are only very small."""
        with warnings.catch_warnings(record=True) as caught:  # some fits may warn too
            warnings.simplefilter("always")
            found = patterns_of(
                CARCINOMA,
                cards={"H": [1, 4]},
                criterion="held_out",
                estimator=WeightedEM(max_iter=20_000, acceleration=None),
            )
        texts = [str(warning.message) for warning in caught]
        assert sum(text.startswith("held_out is -inf for H=4. Held-out records") for text in texts) == 1
        assert found.best == {"H": 1}
        assert found.table["n_impossible"].tolist()[0] == 0

    def test_leave_one_out(self):
        data = SMALL.head(6)
        found = quiet(star("ABCD"), data, {"H": [1]}, "held_out", estimator=WeightedEM(prior="K2"), n_folds=6, seed=0)
        assert np.isfinite(found.table["held_out"][0])


class TestFolds:
    @pytest.mark.parametrize("weight", [[1.0] * 7, [3.0, 0, 2.5, 0.25], [0.5] * 5, [1e8, 1.0], [2.7, 0.1, 1.9]])
    def test_they_add_up_and_are_equal(self, weight):
        weight = np.array(weight)
        folds = np.array(list(deal_folds(weight, 3, np.random.default_rng(0))))
        np.testing.assert_allclose(folds.sum(axis=0), weight, rtol=1e-12)
        assert (folds >= 0).all()
        assert (folds.sum(axis=1) > 0).all()
        assert (weight - folds >= 0).all()
        pieces = np.ceil(folds).sum(axis=1)
        assert pieces.max() - pieces.min() <= 1

    def test_a_fraction_stays_in_one_piece(self):
        folds = np.array(list(deal_folds(np.array([0.5, 1.5, 2.5]), 2, np.random.default_rng(1))))
        assert ((folds % 1 > 0).sum(axis=0) == 1).all()

    def test_count(self):
        assert count_records(np.array([3.0, 0.0, 2.5, 0.25])) == 7

    def test_scores(self):
        scores = [score_fold(np.array([-1.0, -2.0]), np.array([1.0, 2.0])), FoldScore(-1.0, 1.0, 0.0)]
        assert scores[0] == (-5.0, 3.0, 0.0)
        summary = summarize_folds(scores)
        assert (summary.mean, summary.n_impossible) == (-1.5, 0.0)
        assert summary.standard_error == pytest.approx(abs(-5 / 3 + 1) / 2)
        impossible = summarize_folds([score_fold(np.array([-np.inf, -1.0]), np.array([2.0, 1.0])), scores[1]])
        assert impossible.mean == -np.inf
        assert np.isnan(impossible.standard_error)
        assert impossible.n_impossible == 2.0


class TestWarnings:
    def test_one_for_all_that_did_not_converge(self):
        estimator = WeightedEM(max_iter=25, tol=1e-10, n_init=1)
        message = (
            r"^2 of 3 fits warned\. H=3; H=4: EM did not converge within max_iter=25 steps: raise max_iter or tol\.$"
        )
        with pytest.warns(ConvergenceWarning, match=message) as caught:
            found = select_latent_card(
                star("ABCDEFG"), CARCINOMA, {"H": [1, 3, 4]}, estimator=estimator, sample_weight=CARCINOMA["n"], seed=0
            )
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert found.table["converged"].tolist() == [True, False, False]

    def test_folds_count(self):
        estimator = WeightedEM(max_iter=25, tol=1e-10, n_init=1, prior=Dirichlet(0.1))
        with pytest.warns(ConvergenceWarning, match=r"^4 of 8 fits warned\. H=4 \(4 fits\): EM did not"):
            patterns_of(CARCINOMA, cards={"H": [1, 4]}, criterion="held_out", estimator=estimator, n_folds=3)

    def test_texts_that_differ_in_numbers_are_one(self, monkeypatch):
        fit = WeightedEM.fit

        def warn(self, *args):
            warnings.warn(f"only {self.latent_card['H']} of 10 runs", UserWarning, stacklevel=2)
            return fit(self, *args)

        monkeypatch.setattr(WeightedEM, "fit", warn)
        with pytest.warns(UserWarning, match=r"^2 of 2 fits warned\. H=1; H=2: only 1 of 10 runs$") as caught:
            select_latent_card(star("ABCD"), SMALL, {"H": [1, 2]}, estimator=WEAK, seed=0)
        assert not issubclass(caught[0].category, ConvergenceWarning)

    def test_others_warnings_pass(self, monkeypatch):
        fit = WeightedEM.fit

        def warn(self, *args):
            warnings.warn("old", DeprecationWarning, stacklevel=2)
            return fit(self, *args)

        monkeypatch.setattr(WeightedEM, "fit", warn)
        with pytest.warns(DeprecationWarning, match="old"):
            select_latent_card(star("ABCD"), SMALL, {"H": [1]}, estimator=WEAK, seed=0)

    def test_one_that_was_stopped_is_in_the_table(self):
        estimator = WeightedEM(callback=lambda iteration: iteration.n_iter == 1, n_init=1)
        found = select_latent_card(star("ABCD"), SMALL, {"H": [2]}, estimator=estimator, seed=0)
        assert found.table["converged"].tolist() == [False]

    def test_the_bar_counts_all_fits(self, monkeypatch, capsys):
        monkeypatch.setattr(module.config, "SHOW_PROGRESS", True)
        settings = {"criterion": "held_out", "n_folds": 2, "estimator": WEAK, "seed": 0}
        quiet(star("ABCD"), SMALL, {"H": [1, 2]}, **settings)
        assert "6/6" in capsys.readouterr().err
        quiet(star("ABCD"), SMALL, {"H": [1, 2]}, show_progress=False, **settings)
        monkeypatch.setattr(module.config, "SHOW_PROGRESS", False)
        quiet(star("ABCD"), SMALL, {"H": [1, 2]}, **settings)
        assert capsys.readouterr().err == ""


class TestErrors:
    @pytest.fixture(autouse=True)
    def _no_work(self, monkeypatch, request):
        def refuse(*_):
            raise AssertionError("an E-step was prepared before the input was checked")

        if "inference" not in request.keywords:
            monkeypatch.setattr(ExactEStep, "prepare", refuse)

    @staticmethod
    def refuse(message, error=ValueError, *, model=None, data=SMALL, cards=None, **settings):
        with pytest.raises(error, match=message) as caught:
            select_latent_card(model or star("ABCD"), data, {"H": [1, 2]} if cards is None else cards, **settings)
        return caught.value

    def test_an_unknown_latent(self):
        message = r"cards names \['K'\], which the model does not have\. Known: \['H', 'A', 'B', 'C', 'D'\]\."
        self.refuse(message, cards={"K": [1, 2]})

    def test_an_observed_variable(self):
        message = (
            r"cards names 'A', whose states are the data's \(such as 0\): only a latent variable has a number of "
            r"states to choose\. The model's latents: \['H'\]\."
        )
        self.refuse(message, cards={"A": [1, 2]})

    def test_a_node_without_a_column(self):
        self.refuse("node 'C' has no column in the data and is not latent", cards={"D": [2]}, data=SMALL[["A", "B"]])

    @pytest.mark.parametrize("cards", [[1, 2], {}, 3, "H"])
    def test_no_dict(self, cards):
        message = (
            r"cards must be a dict of latent variables and numbers of states, such as \{'H': range\(1, 7\)\}\. Got: "
        )
        self.refuse(message, TypeError, cards=cards)

    @pytest.mark.parametrize("given", [[], range(0), 3, "123", None])
    def test_no_candidates(self, given):
        message = r"cards of 'H' must be numbers of states, such as range\(1, 7\)\. Got: "
        self.refuse(message, cards={"H": given})

    @pytest.mark.parametrize("card", [0, -1, 2.0, True, "2", None])
    def test_no_number_of_states(self, card):
        self.refuse(rf"cards of 'H' must be integers >= 1\. Got: {card!r}\.", cards={"H": [2, card]})

    def test_a_name_of_the_table(self):
        message = "cards names 'bic', but a column of the table has that name: rename the variable."
        self.refuse(message, model=star("ABCD", "bic"), cards={"bic": [1]})

    def test_an_unknown_criterion(self):
        self.refuse(r"criterion must be one of \['bic', 'aic', 'held_out'\]\. Got: 'BIC'\.", criterion="BIC")

    @pytest.mark.parametrize(("n_folds", "error"), [(1, ValueError), (2.0, TypeError), (None, TypeError)])
    def test_folds_that_are_none(self, n_folds, error):
        self.refuse(rf"n_folds must be an integer >= 2\. Got: {n_folds}\.", error, n_folds=n_folds)

    def test_more_folds_than_records(self):
        message = r"n_folds=5 is more than the 4 records that can be held out\. Give fewer\."
        self.refuse(message, data=SMALL.head(4), criterion="held_out")
        self.refuse(message, data=SMALL.head(3), criterion="held_out", sample_weight=[2, 0, 1.5])

    def test_too_many_records_to_deal(self):
        message = (
            r"sample_weight adds up to 80,000,000,000 records, more than the 999,999,999 that criterion='held_out'"
        )
        self.refuse(message, criterion="held_out", sample_weight=np.full(len(SMALL), 1e9))

    @pytest.mark.parametrize("model", ["H -> A", nx.DiGraph([("H", "A")])])
    def test_another_kind_of_model(self, model):
        self.refuse("model must be a pgmpy DiscreteBayesianNetwork or DAG. Got: ", TypeError, model=model)

    @pytest.mark.parametrize("estimator", ["WeightedEM", WeightedEM, 3])
    def test_another_estimator(self, estimator):
        self.refuse("estimator must be a WeightedEM, or None. Got: ", TypeError, estimator=estimator)

    def test_a_checkpoint(self, tmp_path):
        message = "the estimator has a checkpoint, which is a file for one fit, and there are several: leave it out."
        self.refuse(message, estimator=WeightedEM(checkpoint=tmp_path / "fit.npz", seed=0))

    def test_a_latent_card_that_is_none(self):
        message = "the estimator's latent_card must be a dict, or None. Got: list."
        self.refuse(message, TypeError, estimator=WeightedEM(latent_card=[2]))

    def test_the_estimators_settings(self):
        self.refuse("max_iter must be an integer >= 0. Got: -1.", estimator=WeightedEM(max_iter=-1))
        self.refuse("seed must be an integer >= 0, or None. Got: -1.", seed=-1)

    def test_data_and_weights(self):
        self.refuse(r"data must be a pandas DataFrame. Got: list. Convert it: pandas.DataFrame\(", TypeError, data=[1])
        self.refuse("sample_weight must be one number for each of the 80 rows", sample_weight=[1])

    def test_a_latent_whose_states_are_named(self, monkeypatch):
        """The candidate that contradicts is found before any is fitted, and named."""
        error = self.refuse(
            "latent_card says 1 states for 'H', but 2 come from state_names",
            estimator=WeightedEM(state_names={"H": ["low", "high"]}),
        )
        assert error.__notes__ == ["The candidate was H=1."]

    @pytest.mark.inference
    def test_a_candidate_that_no_start_fits(self, monkeypatch):
        start = {"H": TabularCPD("H", 2, [[0.5], [0.5]])}
        monkeypatch.setattr(module._Fitter, "fit", None)
        error = self.refuse(
            "latent_card says 3 states for 'H', but 2 come from init_cpds",
            cards={"H": [2, 3]},
            estimator=WeightedEM(init_cpds=start),
        )
        assert error.__notes__ == ["The candidate was H=3."]


def test_the_trial_is_not_heard_of(caplog):
    """Neither its warning nor the user's callback."""
    runs = []
    estimator = WeightedEM(callback=lambda iteration: runs.append(iteration.n_iter), n_init=1)
    with caplog.at_level(logging.WARNING, logger="pgmpy_em_ext"):
        found = select_latent_card(star("ABCD"), SMALL, {"H": [1]}, estimator=estimator, seed=0)
    assert len(runs) == found.estimator.n_iter_ + 1
    assert not caplog.records
