"""Which parameters the data can tell apart: known answers."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from problems import cases

from pgmpy_em_ext import ExactEStep, MemoryBudgetError
from pgmpy_em_ext._tools import checks
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family.categorical import Categorical
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.exact import scores
from pgmpy_em_ext.uncertainty import identifiability as module
from pgmpy_em_ext.uncertainty.identifiability import identifiability


def family_of(network, fixed=()):
    of_node = [network.index[name] for name in fixed]
    return Categorical(network, np.zeros(network.n_cells), np.isin(network.family_of_column, of_node))


def evidence_of(codes):
    codes = np.unique(np.asarray(codes), axis=0)
    return Evidence(codes, np.ones(len(codes)), np.arange(len(codes)))


def latent_class(n_classes, n_items, n_copies=1):
    """Latent classes with binary items, and all patterns of the items."""
    names, parents, states = [], {}, {}
    for copy in range(n_copies):
        hidden, items = f"H{copy}", [f"X{copy}{item}" for item in range(n_items)]
        names += [hidden, *items]
        parents |= {item: [hidden] for item in items}
        states |= {hidden: range(n_classes)} | {item: range(2) for item in items}
    latents = [name for name in names if name.startswith("H")]
    network = build_network(names, parents, states, latents)
    rows = product(*([-1] if name in latents else [0, 1] for name in names))
    return network, evidence_of(list(rows))


def missing_by_itself(edges, **cards):
    """R says whether X is observed; all patterns."""
    parents = {name: [parent for parent, child in edges if child == name] for name in cards}
    network = build_network(list(cards), parents, {name: range(card) for name, card in cards.items()})
    rows = np.array(list(product(*map(range, cards.values()))))
    names = list(cards)
    rows[rows[:, names.index("R")] == 0, names.index("X")] = -1
    return network, evidence_of(rows)


def variables(group):
    return sorted({column.variable for column in group})


@pytest.mark.parametrize(
    ("n_classes", "n_items", "rank", "n_parameters"), [(2, 2, 3, 5), (2, 3, 7, 7), (3, 4, 13, 14), (3, 5, 17, 17)]
)
def test_latent_classes(n_classes, n_items, rank, n_parameters):
    """Goodman (1974): three classes and four items are short of one, although 15 patterns seem to suffice for 14."""
    network, evidence = latent_class(n_classes, n_items)
    found = identifiability(network, family_of(network), evidence, seed=0)
    assert (found.rank, found.n_parameters, found.deficiency) == (rank, n_parameters, n_parameters - rank)
    assert len(found.confounded) == (rank < n_parameters)
    assert found.without_data == []
    assert found.largest_dropped < 1e-13 < 1e-3 < found.smallest_kept


@pytest.mark.parametrize(
    ("edges", "cards", "rank", "n_parameters"),
    [
        (["XR"], {"X": 2, "R": 2}, 2, 3),
        (["XY", "XR"], {"X": 2, "Y": 2, "R": 2}, 5, 5),
        (["XY", "XR", "YR"], {"X": 2, "Y": 2, "R": 2}, 5, 7),
        (["XY", "XR"], {"X": 3, "Y": 2, "R": 2}, 7, 8),
    ],
)
def test_missing_not_at_random(edges, cards, rank, n_parameters):
    """X is missing exactly where R is 0. Mohan and Pearl (2021)."""
    network, evidence = missing_by_itself(edges, **cards)
    found = identifiability(network, family_of(network), evidence, seed=1)
    assert (found.rank, found.n_parameters) == (rank, n_parameters)


def test_the_confounded_columns_are_named():
    network, evidence = missing_by_itself(["XY", "XR"], X=3, Y=2, R=2)
    (group,) = identifiability(network, family_of(network), evidence, seed=0).confounded
    assert group == [("X", {}), ("R", {"X": 0}), ("R", {"X": 1}), ("R", {"X": 2})]


def test_groups_do_not_mix_what_is_independent():
    network, evidence = latent_class(2, 2, n_copies=2)
    found = identifiability(network, family_of(network), evidence, seed=0)
    assert found.deficiency == 4
    assert [variables(group) for group in found.confounded] == [["H0", "X00", "X01"], ["H1", "X10", "X11"]]


def test_groups_within_a_block_are_minimal():
    """H and K are joined by Z, which tells nothing of H: it is the same for all of its states."""
    states = {name: [0, 1] for name in "HXYKZAB"}
    network = build_network("HXYKZAB", {"X": "H", "Y": "H", "Z": "K", "A": "K", "B": "K"}, states, latents="HK")
    free = [[0, 1] if name not in "HK" else [-1] for name in network.names]
    evidence = evidence_of(list(product(*free)))
    (group,) = identifiability(network, family_of(network), evidence, seed=0).confounded
    assert variables(group) == ["H", "X", "Y"]


def test_what_is_fixed_can_make_the_rest_known():
    network, evidence = latent_class(2, 2)
    assert identifiability(network, family_of(network, ["X00"]), evidence, seed=0).deficiency == 0
    useless = np.full(network.n_cells, 0.5)  # a fixed item that does not depend on the class
    found = identifiability(network, family_of(network, ["X00"]), evidence, seed=0, parameters=useless)
    assert (found.n_parameters, found.rank) == (3, 1)


def test_columns_without_data_are_listed_apart():
    network = build_network("AB", {"B": "A"}, {"A": ["x", "y"], "B": [0, 1, 2]})
    found = identifiability(network, family_of(network), evidence_of([[0, 0], [0, 1], [0, -1]]), seed=0)
    assert found.without_data == [("B", {"A": "y"})]
    assert (found.n_parameters, found.rank, found.confounded) == (5, 3, [])
    assert identifiability(network, family_of(network, "B"), evidence_of([[0, 0]]), seed=0).without_data == []


def test_a_missing_cause_of_something_constant_is_without_data():
    network = build_network("AB", {"B": "A"}, {"A": [0, 1], "B": [0]})
    found = identifiability(network, family_of(network), evidence_of([[-1, 0]]), seed=0)
    assert found.without_data == [("A", {})]
    assert (found.rank, found.confounded) == (0, [])


def test_a_state_that_no_row_shows_is_known_to_be_zero():
    """Also where inference is needed. Given A = 1, B is never 0; whether it is 1 or 2, one record tells, or none."""
    network = build_network("ABC", {"B": "A", "C": "B"}, {"A": [0, 1], "B": [0, 1, 2], "C": [0, 1]})
    family = family_of(network, "C")
    known = np.array([0.5, 0.5, *[0.2, 0.3, 0.5] * 2, 1, 0, 0, 1, 0, 1.0])  # C tells whether B is 0
    rows = [[0, -1, 0], [0, 0, 0], [1, -1, 1], [1, 1, 1]]
    found = identifiability(network, family, evidence_of(rows), seed=0, parameters=known)
    assert (found.n_parameters, found.rank, found.confounded) == (5, 5, [])
    found = identifiability(network, family, evidence_of(rows[:3]), seed=0, parameters=known)
    assert (found.n_parameters, found.rank, found.confounded) == (5, 4, [[("B", {"A": 1})]])
    assert found.without_data == []


@given(case=cases(max_nodes=4))
@settings(max_examples=60)
def test_the_rank_is_that_of_all_scores(case):
    """Row by row, by an engine that is asked about one row at a time."""
    network, evidence = case.network, case.evidence
    family = family_of(network)
    found = identifiability(network, family, evidence, seed=0)
    cells = module._choose_cells(
        network, family, evidence, module._draw(network, family, None, np.random.default_rng(0))
    )
    rows = []
    for row in range(len(evidence.codes)):
        engine = ExactEStep(backend="numpy")
        one = Evidence(evidence.codes[[row]], np.ones(1), np.zeros(1, dtype=int))
        rows.append(engine.expected_statistics(engine.prepare(network, one), cells.parameters).counts)
    matrix = module._scores(network, cells, np.array(rows))
    size = np.linalg.norm(matrix, axis=0)
    ranks = [
        np.linalg.matrix_rank((matrix / np.where(size > 1e-8, size, np.inf))[:, cells.block == block], tol=1e-8)
        for block in np.unique(cells.block)
    ]
    assert found.rank == cells.n_settled + sum(ranks)
    assert found.rank <= found.n_parameters
    assert (found.deficiency > 0) == bool(found.confounded or any(_size(network, c) > 1 for c in found.without_data))


def _size(network, column):
    return network.cardinalities[network.index[column.variable]]


@given(case=cases())
def test_counts_of_rows_add_up_to_those_of_the_e_step(case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "VALUES_PER_BATCH", 3 * case.network.n_cells)
        batches = list(scores.row_counts(case.network, case.parameters, case.evidence.codes))
    counts = case.evidence.weight @ np.vstack(batches)
    engine = ExactEStep()
    expected = engine.expected_statistics(engine.prepare(case.network, case.evidence), case.parameters).counts
    np.testing.assert_allclose(counts, expected, rtol=1e-10, atol=1e-10)


def test_complete_rows_tell_everything_that_they_reach():
    rng = np.random.default_rng(0)
    network = build_network("ABC", {"B": "A", "C": "AB"}, {name: range(3) for name in "ABC"})
    codes = rng.integers(0, 3, (12, 3))
    found = identifiability(network, family_of(network), evidence_of(codes), seed=0)
    n_seen = len(np.unique(codes[:, 0])) + len(np.unique(codes[:, :2], axis=0))
    assert found.confounded == []
    assert found.deficiency == 2 * len(found.without_data)
    assert len(found.without_data) == 12 - n_seen
    assert (found.smallest_kept, found.largest_dropped) == (1.0, 0.0)


@pytest.mark.parametrize(("n_items", "deficiency"), [(2, 2), (6, 0)])
def test_further_rows_are_looked_at_where_the_first_do_not_suffice(monkeypatch, n_items, deficiency):
    network, evidence = latent_class(2, n_items)
    monkeypatch.setattr(module, "FIRST_ROWS", 2)
    monkeypatch.setattr(module, "_portions", lambda n_rows, n_first: np.array_split(np.arange(n_rows), 4))
    found = identifiability(network, family_of(network), evidence, seed=0)
    assert found.deficiency == deficiency


@pytest.mark.parametrize(("n_rows", "n_first"), [(1, 10), (10, 10), (11, 10), (1000, 30)])
def test_portions_are_all_rows(n_rows, n_first):
    portions = list(module._portions(n_rows, n_first))
    assert len(portions[0]) <= n_first
    np.testing.assert_array_equal(np.sort(np.concatenate(portions)), np.arange(n_rows))


def test_the_seed_decides():
    network, evidence = latent_class(2, 3)
    one, same, other = (identifiability(network, family_of(network), evidence, seed) for seed in (0, 0, 1))
    assert one == same
    assert one.smallest_kept != other.smallest_kept


def test_too_many_joined_parameters_are_refused(monkeypatch):
    network, evidence = latent_class(2, 3)
    monkeypatch.setattr(checks, "MAX_JOINED", 6)
    with pytest.raises(MemoryBudgetError, match="the data joins 7 parameters in one matrix, more than the 6 that"):
        identifiability(network, family_of(network), evidence, seed=0)
