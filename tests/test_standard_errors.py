"""Standard errors: complete data, the brute-force Hessian, what has none, and coverage."""

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from problems import ProblemCase, brute_force, cases, random_parameters, sample_codes

from pgmpy_em_ext import EnumerationEStep, ExactEStep, MemoryBudgetError
from pgmpy_em_ext._tools import checks
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.em.step import Problem, init, step
from pgmpy_em_ext.inference.answers import cpd_frames
from pgmpy_em_ext.uncertainty.bootstrap import climb
from pgmpy_em_ext.uncertainty.standard_errors import REASONS, Reason, standard_errors


def problem_of(network, evidence, pseudo_count=0.0, fixed=(), engine=None):
    engine = engine or ExactEStep()
    of_node = [network.index[name] for name in fixed]
    family = Categorical(
        network, np.full(network.n_cells, float(pseudo_count)), np.isin(network.family_of_column, of_node)
    )
    return Problem(engine, engine.prepare(network, evidence), family)


def settle(problem, parameters, n_steps=3000):
    """Run EM until a step changes nothing that could be seen."""
    state = init(problem, parameters)
    for _ in range(n_steps):
        following = step(problem, state)
        if np.abs(following.parameters - state.parameters).max() < 1e-11:
            break
        state = following
    return state.parameters


def complete_case(n_rows=200, seed=0):
    network = build_network("ABC", {"B": "A", "C": "AB"}, {"A": [0, 1], "B": [0, 1, 2], "C": [0, 1]})
    rng = np.random.default_rng(seed)
    truth = network.normalize(0.5 + rng.random(network.n_cells))
    return ProblemCase(network, truth, sample_codes(network, truth, n_rows, rng), np.ones(n_rows))


def with_holes(case, share=0.3, seed=1):
    codes = case.codes.copy()
    codes[np.random.default_rng(seed).random(codes.shape) < share] = -1
    return case._replace(codes=codes)


@pytest.mark.parametrize("pseudo_count", [0.0, 0.7])
def test_complete_data_have_the_multinomial_variance(pseudo_count):
    case = complete_case()
    network = case.network
    problem = problem_of(network, case.evidence, pseudo_count)
    estimate = settle(problem, case.parameters)
    found = standard_errors(problem, network, estimate)
    counts = network.column_sums(brute_force(case)[0] + pseudo_count)[network.column_of_cell]
    np.testing.assert_allclose(found.errors**2, estimate * (1 - estimate) / counts, rtol=1e-12)
    assert found.asymmetry == 0
    assert (found.reasons == Reason.NONE).all()


@pytest.mark.parametrize("pseudo_count", [0.0, 0.7])
def test_complete_data_by_an_engine_that_knows_no_blocks(pseudo_count):
    case = complete_case()
    own, other = (problem_of(case.network, case.evidence, pseudo_count, engine=e) for e in (None, EnumerationEStep()))
    estimate = settle(own, case.parameters)
    expected, found = (standard_errors(problem, case.network, estimate) for problem in (own, other))
    np.testing.assert_allclose(found.errors, expected.errors, rtol=1e-7)


def hessian(objective, n_coordinates, h=2e-4):
    """Second differences."""
    found = np.empty((n_coordinates, n_coordinates))
    for i, j in product(range(n_coordinates), repeat=2):
        if j > i:
            continue
        total = 0.0
        for one, other in product([h, -h], repeat=2):
            moved = np.zeros(n_coordinates)
            moved[i] += one
            moved[j] += other
            total += np.sign(one * other) * objective(moved)
        found[i, j] = found[j, i] = total / (4 * h * h)
    return found


@given(case=cases(max_nodes=3, max_card=3, max_rows=8, deterministic=False))
@settings(max_examples=100)
def test_the_errors_are_those_of_the_hessian_by_brute_force(case):
    """In other coordinates: all but the last entry of a column, as they are."""
    network, weight = case.network, 5 * case.weight
    case = case._replace(weight=weight)
    problem = problem_of(network, case.evidence, pseudo_count=1)
    estimate = settle(problem, case.parameters)
    found = standard_errors(problem, network, estimate)
    column, last = network.column_of_cell, network.column_starts + network.column_sizes - 1
    populated = network.column_sums(init(problem, estimate).statistics.counts) >= 1
    free = np.setdiff1d(np.flatnonzero(populated[column]), last)
    assume(0 < len(free) <= 12 and estimate.min() > 0.01)
    jacobian = np.zeros((network.n_cells, len(free)))
    jacobian[free, np.arange(len(free))] = 1
    jacobian[last[column[free]], np.arange(len(free))] = -1

    def objective(moved):
        parameters = estimate + jacobian @ moved
        return brute_force(case._replace(parameters=parameters))[1] + np.log(parameters).sum()

    information = -hessian(objective, len(free))
    values = np.linalg.eigvalsh(information)
    assume(values[0] > 1e-2 * values[-1])
    errors = np.sqrt(np.diag(jacobian @ np.linalg.inv(information) @ jacobian.T))
    known = populated[column] & (network.column_sizes > 1)[column]
    np.testing.assert_allclose(found.errors[known], errors[known], rtol=2e-3)
    assert found.asymmetry < 1e-6
    np.testing.assert_array_equal(found.reasons[known], Reason.NONE)


@given(case=cases(max_nodes=5, max_rows=12))
@settings(max_examples=60)
def test_there_is_an_error_or_a_reason(case):
    problem = problem_of(case.network, case.evidence)
    found = standard_errors(problem, case.network, climb(problem, case.parameters))
    has_error = np.isin(found.reasons, [Reason.NONE, Reason.FIXED])
    assert (found.errors[has_error] >= 0).all()
    assert np.isnan(found.errors[~has_error]).all()
    assert found.asymmetry < 1e-5


def test_twice_the_data_halve_the_variance():
    case = with_holes(complete_case())
    once, twice = (problem_of(case.network, case.evidence._replace(weight=k * case.evidence.weight)) for k in (1, 2))
    estimate = settle(once, case.parameters)
    one, other = (standard_errors(problem, case.network, estimate).errors for problem in (once, twice))
    np.testing.assert_allclose(one**2, 2 * other**2, rtol=1e-9)


def test_holes_make_the_errors_larger():
    case = complete_case()
    holes = with_holes(case)
    full, part = (problem_of(case.network, one.evidence) for one in (case, holes))
    less, more = (standard_errors(p, case.network, settle(p, case.parameters)).errors for p in (full, part))
    assert (more > less).mean() > 0.9


def test_engines_agree():
    case = with_holes(complete_case(60))
    found = []
    for engine in (ExactEStep(backend="numpy"), ExactEStep(backend="numba"), EnumerationEStep()):
        problem = problem_of(case.network, case.evidence, engine=engine)
        found.append(standard_errors(problem, case.network, settle(problem, case.parameters)))
    for other in found[1:]:
        np.testing.assert_allclose(other.errors, found[0].errors, rtol=1e-6)
        np.testing.assert_array_equal(other.reasons, found[0].reasons)


def test_independent_blocks_do_not_change_each_other():
    """Four copies of a network, side by side, moved in the same E-steps; their rows are of different length."""
    states, parents, rows = {}, {}, []
    for copy in "WXYZ":
        states |= {f"{copy}{k}": [0, 1] for k in range(2 if copy == "Z" else 3)}
        parents |= {f"{copy}1": [f"{copy}0"]} | ({} if copy == "Z" else {f"{copy}2": [f"{copy}1"]})
    whole = build_network(list(states), parents, states)
    rng = np.random.default_rng(0)
    truth = whole.normalize(0.5 + rng.random(whole.n_cells))
    rows = sample_codes(whole, truth, 300, rng)
    rows[rng.random(rows.shape) < 0.2] = -1
    case = ProblemCase(whole, truth, rows, np.ones(len(rows)))
    problem = problem_of(whole, case.evidence)
    assert problem.engine.blocks(problem.plan).n_blocks == 4
    together = standard_errors(problem, whole, settle(problem, truth))
    for copy in "WXYZ":
        nodes = [whole.index[name] for name in states if name[0] == copy]
        names = [whole.names[node] for node in nodes]
        part = build_network(names, {n: parents.get(n, []) for n in names}, {n: [0, 1] for n in names})
        apart = ProblemCase(part, part.flatten([whole.block(truth, n) for n in nodes]), rows[:, nodes], case.weight)
        problem = problem_of(part, apart.evidence)
        alone = standard_errors(problem, part, settle(problem, apart.parameters))
        expected = part.flatten([whole.block(together.errors, node) for node in nodes])
        np.testing.assert_allclose(alone.errors, expected, rtol=1e-6)


def test_what_is_fixed_has_no_error():
    case = with_holes(complete_case())
    network = case.network
    free, fixed = (problem_of(network, case.evidence, fixed=names) for names in ((), "A"))
    estimate = settle(free, case.parameters)
    one, other = (standard_errors(problem, network, estimate) for problem in (free, fixed))
    assert (network.block(other.reasons, 0) == Reason.FIXED).all()
    assert (network.block(other.errors, 0) == 0).all()
    rest = slice(network.offsets[1], None)
    assert (other.errors[rest] <= one.errors[rest] * (1 + 1e-9)).all()


def test_a_variable_of_one_state_is_certain():
    network = build_network("AB", {"B": "A"}, {"A": [0], "B": [0, 1]})
    problem = problem_of(network, Evidence(np.array([[0, 0], [0, 1]]), np.array([3.0, 1.0]), np.arange(2)))
    found = standard_errors(problem, network, np.array([1.0, 0.75, 0.25]))
    np.testing.assert_array_equal(found.reasons, [Reason.FIXED, Reason.NONE, Reason.NONE])
    np.testing.assert_allclose(found.errors, [0, np.sqrt(3) / 8, np.sqrt(3) / 8])


def test_entries_on_the_boundary_are_held():
    """The third state of A never occurs: the others have the errors that they have without it."""
    network = build_network("AB", {"B": "A"}, {"A": [0, 1, 2], "B": [0, 1]})
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [-1, 0], [-1, 1], [0, -1]])
    evidence = Evidence(codes, np.array([10.0, 5.0, 4.0, 9.0, 5.0, 6.0, 3.0]), np.arange(7))
    problem = problem_of(network, evidence)
    estimate = settle(problem, np.array([0.5, 0.5, 0.0, 0.6, 0.4, 0.3, 0.7, 0.5, 0.5]))
    found = standard_errors(problem, network, estimate)
    few, boundary = Reason.FEW_RECORDS, Reason.BOUNDARY
    np.testing.assert_array_equal(found.reasons, [0, 0, boundary, 0, 0, 0, 0, few, few])
    smaller = build_network("AB", {"B": "A"}, {"A": [0, 1], "B": [0, 1]})
    kept = [0, 1, 3, 4, 5, 6]
    expected = standard_errors(problem_of(smaller, evidence), smaller, estimate[kept]).errors
    np.testing.assert_allclose(found.errors[kept], expected, rtol=1e-7)


def test_a_column_at_the_boundary_has_no_errors():
    network = build_network("A", {}, {"A": [0, 1]})
    problem = problem_of(network, Evidence(np.array([[0]]), np.array([3.0]), np.arange(1)))
    found = standard_errors(problem, network, np.array([1.0, 0.0]))
    assert (found.reasons == Reason.BOUNDARY).all()
    assert np.isnan(found.errors).all()


def latent_class(probabilities, n_records, rng, share=(0.4, 0.6)):
    """Two latent classes; rows of all patterns, with multinomial weights."""
    n_items = len(probabilities[0])
    names = ["H", *(f"X{item}" for item in range(n_items))]
    network = build_network(names, dict.fromkeys(names[1:], "H"), {name: [0, 1] for name in names}, latents="H")
    columns = [np.column_stack([1 - np.array(p), p]) for p in zip(*probabilities, strict=True)]
    truth = network.flatten([np.array(share), *columns])
    codes = np.array(list(product([-1], *[[0, 1]] * n_items)))
    joint = [
        share[h] * np.prod([columns[item][h][codes[:, 1 + item]] for item in range(n_items)], axis=0) for h in (0, 1)
    ]
    evidence = Evidence(codes, n_records * sum(joint), np.arange(len(codes)))
    return network, truth, evidence


def test_what_is_not_identified_is_marked_and_the_rest_is_not():
    """Two items do not tell two classes; a third variable, observed with holes of its own, is known."""
    network, truth, evidence = latent_class([[0.2, 0.3], [0.8, 0.7]], 500, None)
    problem = problem_of(network, evidence)
    found = standard_errors(problem, network, settle(problem, truth))
    assert (found.reasons == Reason.NOT_IDENTIFIED).all()
    assert np.isnan(found.errors).all()
    joined = build_network(
        ["H", "X0", "X1", "Z"], {"X0": ["H"], "X1": ["H", "Z"]}, {name: [0, 1] for name in ["H", "X0", "X1", "Z"]}
    )
    codes = np.array(list(product([-1], [0, 1], [0, 1], [0, 1])) + [(-1, 0, 1, -1)])
    weight = np.array([30.0, 20, 10, 40, 25, 20, 5, 50, 10])
    problem = problem_of(joined, Evidence(codes, weight, np.arange(9)))
    found = standard_errors(
        problem, joined, settle(problem, random_parameters(joined, np.random.default_rng(0)), 30000)
    )
    assert (joined.block(found.reasons, 3) == Reason.NONE).all()
    assert (joined.block(found.reasons, 0) == Reason.NOT_IDENTIFIED).all()


def test_three_items_identify_two_classes():
    network, truth, evidence = latent_class([[0.2, 0.3, 0.2], [0.8, 0.7, 0.9]], 500, None)
    found = standard_errors(problem_of(network, evidence), network, truth)
    assert (found.reasons == Reason.NONE).all()
    assert found.asymmetry < 1e-7


def test_a_saddle_is_no_maximum():
    network, _, evidence = latent_class([[0.2, 0.3, 0.2], [0.8, 0.7, 0.9]], 500, None)
    problem = problem_of(network, evidence)
    saddle = settle(problem, network.uniform)
    found = standard_errors(problem, network, saddle)
    items = slice(network.offsets[1], None)
    assert (found.reasons[items] == Reason.NOT_A_MAXIMUM).all()


def test_what_is_no_maximum_does_not_spoil_the_rest():
    """An entry that EM would make larger again, in one of the columns, where few cells are missing."""
    case = with_holes(complete_case(), share=0.05)
    problem = problem_of(case.network, case.evidence)
    estimate = settle(problem, case.parameters)
    expected = standard_errors(problem, case.network, estimate)
    estimate[-2:] = [1 - 1e-4, 1e-4]
    found = standard_errors(problem, case.network, estimate)
    assert (found.reasons[-2:] == Reason.NOT_A_MAXIMUM).all()
    assert (found.reasons[: case.network.offsets[2]] == Reason.NONE).all()
    np.testing.assert_allclose(found.errors[:2], expected.errors[:2], rtol=0.05)


def test_a_prior_makes_the_errors_smaller():
    case = with_holes(complete_case())
    without, prior = (problem_of(case.network, case.evidence, c) for c in (0, 20))
    more, less = (standard_errors(p, case.network, settle(p, case.parameters)).errors for p in (without, prior))
    assert (less < more).all()


def coverage(network, truth, evidence, n_records, n_simulations, seed):
    """Share of the 95 % intervals that hold the truth; the graph is compiled once, and gets new weights."""
    rng = np.random.default_rng(seed)
    problem = problem_of(network, evidence)
    inside = []
    for _ in range(n_simulations):
        weight = rng.multinomial(n_records, evidence.weight / evidence.weight.sum()).astype(float)
        drawn = problem._replace(plan=problem.engine.reweighted(problem.plan, weight))
        estimate = settle(drawn, truth, 300)
        found = standard_errors(drawn, network, estimate)
        inside.append(np.abs(estimate - truth)[found.reasons == 0] < 1.96 * found.errors[found.reasons == 0])
    assert np.mean([len(one) for one in inside]) > 0.99 * network.n_cells
    return np.concatenate(inside).mean()


def test_intervals_cover_the_truth_with_holes():
    """Five free parameters, 1000 times: the share of 95 % has itself an error of some 0.3 percent."""
    network = build_network("AB", {"B": "A"}, {"A": [0, 1], "B": [0, 1, 2]})
    truth = np.array([0.4, 0.6, 0.2, 0.3, 0.5, 0.5, 0.3, 0.2])
    joint = 0.49 * network.block(truth, 0)[:, None] * network.block(truth, 1)
    joint = np.append(joint, 3 / 7 * joint.sum(axis=0, keepdims=True), axis=0)  # three of ten cells are missing
    joint = np.append(joint, 3 / 7 * joint.sum(axis=1, keepdims=True), axis=1)
    codes = np.array(list(product([0, 1, -1], [0, 1, 2, -1])))
    evidence = Evidence(codes, joint.ravel(), np.arange(len(codes)))
    assert 0.93 < coverage(network, truth, evidence, 600, 1000, seed=0) < 0.97


def test_intervals_cover_the_truth_of_a_latent_class():
    network, truth, evidence = latent_class([[0.2, 0.25, 0.2, 0.3], [0.8, 0.7, 0.85, 0.75]], 1, None)
    assert 0.93 < coverage(network, truth, evidence, 1500, 300, seed=0) < 0.97


def test_too_many_joined_parameters_are_refused(monkeypatch):
    network, truth, evidence = latent_class([[0.2, 0.3, 0.2], [0.8, 0.7, 0.9]], 500, None)
    monkeypatch.setattr(checks, "MAX_JOINED", 6)
    with pytest.raises(MemoryBudgetError, match="the data joins 7 parameters"):
        standard_errors(problem_of(network, evidence), network, truth)


def test_frames():
    network = build_network("AB", {"B": "A"}, {"A": ["x", "y"], "B": [0, 1]})
    evidence = Evidence(np.array([[0, 0], [0, 1]]), np.array([3.0, 1.0]), np.arange(2))
    found = standard_errors(problem_of(network, evidence), network, np.array([1.0, 0.0, 0.75, 0.25, 0.5, 0.5]))
    errors, reasons = cpd_frames(network, found.errors), cpd_frames(network, found.texts)
    assert errors["B"].to_numpy()[0, 0] == pytest.approx(np.sqrt(3) / 8)
    assert reasons["B"].iloc[0].to_list() == ["", "fewer than one record"]
    assert reasons["A"].squeeze().to_list() == ["boundary", "boundary"]
    assert len(REASONS) == len(Reason)
