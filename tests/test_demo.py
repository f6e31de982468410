import re

import numpy as np
import pytest
from click.testing import CliRunner

from pgmpy_em_ext.cli import main
from pgmpy_em_ext.cli.demo import HIDDEN, align_hidden, check_same, cpds_of, distance, draw_truth, make_holes, relabel
from pgmpy_em_ext.io.networks import read_network


@pytest.fixture(scope="module")
def truth():
    return draw_truth(500, seed=1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "made" / "here"
    result = CliRunner().invoke(main, ["demo", "--rows", "2000", "--seed", "1", "--output", str(folder)])
    assert result.exit_code == 0, result.stderr
    return result.stdout, folder


def numbers(text, label):
    """The numbers in the line that begins with a label."""
    line = next(line for line in text.splitlines() if line.startswith(label + " "))
    return [float(number.replace(",", "")) for number in re.findall(r"(?<=\s)-?[\d,.]+(?=\s|$)", line[len(label) :])]


def test_em_beats_counting(demo):
    text, _ = demo
    em, whole = numbers(text, "EM, all rows"), numbers(text, "counting, complete rows *")
    available, true = numbers(text, "counting, complete families *"), numbers(text, "the true network")
    assert em[0] > true[0] > available[0] > whole[0]
    assert true[1] == 0 < em[1] < available[1] < whole[1]
    assert numbers(text, "rows") == [2000]
    assert numbers(text, "rows without a hole")[0] < 10


def test_written_network_answers(demo):
    text, folder = demo
    assert read_network(folder / "alarm-fitted.bif").check_model()
    assert numbers(text, "fitted")[0] == pytest.approx(numbers(text, "true")[0], abs=0.1)


def test_same_seed_same_output(demo, tmp_path):
    text, folder = demo
    again = CliRunner().invoke(main, ["demo", "--rows", "2000", "--seed", "1", "--output", str(tmp_path)])
    assert again.stdout.replace(str(tmp_path), str(folder)) == text


def test_few_rows(tmp_path):
    result = CliRunner().invoke(main, ["demo", "--rows", "20", "--output", str(tmp_path)])
    assert result.exit_code == 0, result.stderr


def test_bad_arguments(tmp_path):
    result = CliRunner().invoke(main, ["demo", "--rows", "0"])
    assert result.exit_code == 2
    assert "'--rows': 0 is not in the range x>=1" in result.stderr


def test_holes(truth):
    data = make_holes(truth.rows, seed=1)
    assert HIDDEN not in data
    assert data.isna().mean(axis=None) == pytest.approx(0.2, abs=0.02)


def test_alignment_undoes_a_relabelling(truth):
    hidden = truth.network.index[HIDDEN]
    swapped = relabel(truth.network, truth.parameters, hidden, (1, 0))
    assert distance(truth, truth.parameters) == 0
    assert distance(truth, swapped) > 0.01
    np.testing.assert_array_equal(align_hidden(truth, swapped), truth.parameters)


def test_difference_is_found(truth):
    uniform = 1 / truth.network.column_sums(np.ones(truth.network.n_cells))[truth.network.column_of_cell]
    with pytest.raises(ValueError, match=r"the network that was read back differs from the fitted one by 0\.72\."):
        check_same(truth.network, cpds_of(truth.network, uniform), truth.model)
