"""Every exact engine against the full joint, on random networks and data; the invariants of the E-step."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import ProblemCase, brute_force, cases, random_parameters, sample_codes, to_frame, to_pgmpy

import pgmpy_em_ext.e_step
from pgmpy_em_ext import EStep, ExactEStep, ImpossibleEvidenceError, MemoryBudgetError, WeightedEM
from pgmpy_em_ext._tools.registry import named_classes
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family.categorical import write_cpd
from pgmpy_em_ext.data.reduction import merge, reduce_rows, to_evidence
from pgmpy_em_ext.data.rows import EncodedData
from pgmpy_em_ext.e_step.exact import compile as compile_module
from pgmpy_em_ext.e_step.exact import engine as engine_module
from pgmpy_em_ext.e_step.exact import groups, packed, sections, shapes, zeros
from pgmpy_em_ext.e_step.exact import order as order_module
from pgmpy_em_ext.e_step.exact.compile import barren, compile_evidence, find_roles
from pgmpy_em_ext.e_step.exact.engine import make_plan
from pgmpy_em_ext.e_step.exact.order import greedy_order, members, moral_graph, predicted_reads, rank_orders
from pgmpy_em_ext.e_step.exact.packed import PackedSweeps
from pgmpy_em_ext.e_step.exact.sweep import GroupedSweeps, beliefs, forward

KNOWN = {
    name: found for name, found in named_classes(EStep, pgmpy_em_ext.e_step).items() if found.get_class_tag("exact")
}
BACKENDS = ["numpy", "numba", "numba in sections"]
chosen_backend = "numpy"


@pytest.fixture(scope="module", params=BACKENDS, autouse=True)
def backend(request):
    """Run everything on every backend; in sections, however small the graph."""
    global chosen_backend
    chosen_backend = request.param
    with pytest.MonkeyPatch.context() as patch:
        if chosen_backend == "numba in sections":
            patch.setattr(sections, "READS_PER_SECTION", 20)
            patch.setattr(sections, "READS_PER_SHARED_VALUE", 1e-3)
        yield


def exact(**arguments):
    return ExactEStep(backend=chosen_backend.split()[0], **arguments)


def engine_named(name):
    return exact() if name == "exact" else KNOWN[name]()


def plan_of(case, graph):
    sweeps = GroupedSweeps(graph) if chosen_backend == "numpy" else PackedSweeps.of(graph)
    return make_plan(case.network, case.evidence, graph, sweeps)


TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}


def statistics(engine, case, parameters=None):
    plan = engine.prepare(case.network, case.evidence)
    return engine.expected_statistics(plan, case.parameters if parameters is None else parameters)


def live_cells(case):
    """Cells of the families that are barren in no row: where pruning changes nothing."""
    dead = barren(case.network, case.codes < 0).any(axis=0)
    return ~dead[case.network.family_of_column][case.network.column_of_cell]


def test_the_known_engines():
    assert set(KNOWN) == {"auto", "belief_propagation", "enumeration", "exact", "variable_elimination"}


@pytest.mark.parametrize("name", ["enumeration", "exact"])
@given(case=cases())
def test_own_engines_equal_the_full_joint(name, case):
    engine = exact(prune_barren=False) if name == "exact" else engine_named(name)
    counts, log_likelihood = brute_force(case)
    found = statistics(engine, case)
    np.testing.assert_allclose(found.counts, counts, **TOLERANCE)
    assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-10, abs=1e-10)


@given(case=cases(max_nodes=6))
def test_small_blocks_of_factors_and_hashed_keys_equal_the_full_joint(case):
    """What large problems alone would reach: products of products, and families looked up by hash."""
    counts, log_likelihood = brute_force(case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile_module, "MAX_INPUTS", 2)
        patch.setattr(compile_module, "_DENSE", 1)
        found = statistics(exact(prune_barren=False), case)
    np.testing.assert_allclose(found.counts, counts, **TOLERANCE)
    assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("name", ["variable_elimination", "belief_propagation"])
@given(case=cases(max_nodes=5, max_rows=4))
def test_pgmpy_engines_equal_the_full_joint(name, case):
    counts, log_likelihood = brute_force(case)
    found = statistics(engine_named(name), case)
    np.testing.assert_allclose(found.counts, counts, **TOLERANCE)
    assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-10, abs=1e-10)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(300))
def test_campaign_of_larger_networks(seed):
    """Up to ten nodes, as many as the full joint allows."""
    rng = np.random.default_rng(seed)
    n_nodes = int(rng.integers(7, 11))
    parents = {j: [i for i in range(j) if rng.random() < 0.4][:3] for j in range(n_nodes)}
    network = build_network(range(n_nodes), parents, {i: list(range(rng.integers(1, 4))) for i in range(n_nodes)})
    parameters = random_parameters(network, rng, rng.choice([0, 0.3]))
    codes = sample_codes(network, parameters, 8, rng)
    codes[rng.random(codes.shape) < rng.random()] = -1
    case = ProblemCase(network, parameters, codes, rng.gamma(1, size=8))
    counts, log_likelihood = brute_force(case)
    found = statistics(exact(prune_barren=False), case)
    np.testing.assert_allclose(found.counts, counts, **TOLERANCE)
    assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-10, abs=1e-10)


@given(case=cases())
def test_pruning_changes_barren_families_alone(case):
    pruned, full = statistics(exact(), case), statistics(exact(prune_barren=False), case)
    assert pruned.log_likelihood == pytest.approx(full.log_likelihood, rel=1e-12, abs=1e-12)
    live = live_cells(case)
    np.testing.assert_allclose(pruned.counts[live], full.counts[live], **TOLERANCE)


@given(case=cases())
def test_counts_of_a_family_add_up_to_the_rows_where_it_is_not_barren(case):
    dead = barren(case.network, case.codes < 0)
    found = statistics(exact(), case)
    for node in range(case.network.n_nodes):
        expected = case.weight[~dead[:, node]].sum()
        assert case.network.block(found.counts, node).sum() == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(case=cases())
def test_adjoints_of_a_step_add_up_to_its_weight(case):
    graph = groups.group_steps(exact().prepare(case.network, case.evidence).graph)
    forward_pass = forward(graph, case.parameters)
    adjoint = np.zeros(graph.n_values)
    for group, table in zip(reversed(graph.groups), reversed(forward_pass.tables), strict=True):
        outgoing = adjoint[group.output]
        outgoing[group.start[group.is_root]] = group.weight[group.is_root]
        np.testing.assert_allclose(np.add.reduceat(outgoing, group.start), group.weight, rtol=1e-12)
        belief = beliefs(group, table, outgoing)
        for factor in group.inputs:
            np.add.at(adjoint, factor.ravel(), belief.ravel())


@given(case=cases(deterministic=False, max_nodes=4))
def test_counts_are_the_gradient_of_the_log_likelihood(case):
    engine = exact()
    found = statistics(engine, case)
    step = 1e-6
    for cell in range(0, case.network.n_cells, 3):
        up, down = case.parameters.copy(), case.parameters.copy()
        up[cell] *= 1 + step
        down[cell] *= 1 - step
        slope = statistics(engine, case, up).log_likelihood - statistics(engine, case, down).log_likelihood
        assert slope / (2 * step) == pytest.approx(found.counts[cell], rel=1e-4, abs=1e-5)


@given(case=cases(), seed=st.integers(0, 99))
def test_leaving_out_what_zeros_make_zero_does_not_matter(case, seed):
    """Nor to other parameters with these zeros, some of which are zero by chance."""
    engine = exact()
    plan = engine.prepare(case.network, case.evidence)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zeros, "FEW", 0)
        patch.setattr(zeros, "SMALL", 0)
        patch.setattr(zeros, "WORTHWHILE", 1)
        pruned = engine.without_zeros(plan, case.parameters == 0)
    rng = np.random.default_rng(seed)
    moved = case.parameters * rng.random(len(case.parameters))
    moved[rng.random(len(moved)) < 0.1] = 0
    for parameters in (case.parameters, moved):
        try:
            expected = engine.expected_statistics(plan, parameters)
        except ImpossibleEvidenceError as error:
            with pytest.raises(ImpossibleEvidenceError, match=re.escape(str(error))):
                engine.expected_statistics(pruned, parameters)
            continue
        found = engine.expected_statistics(pruned, parameters)
        np.testing.assert_allclose(found.counts, expected.counts, rtol=1e-12, atol=1e-13)
        assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12, abs=1e-12)


@given(case=cases(), seed=st.integers(0, 99))
def test_row_order_does_not_change_a_bit(case, seed):
    order = np.random.default_rng(seed).permutation(len(case.codes))
    shuffled = case._replace(codes=case.codes[order], weight=case.weight[order])
    one, other = statistics(exact(), case), statistics(exact(), shuffled)
    np.testing.assert_array_equal(one.counts, other.counts)
    assert one.log_likelihood == other.log_likelihood


@given(case=cases(), cut=st.integers(0, 12))
def test_chunks_do_not_change_a_bit(case, cut):
    rows = EncodedData(case.codes, case.weight, np.arange(len(case.codes)))
    left, right = (
        reduce_rows(EncodedData(*(part[piece] for part in rows))) for piece in (slice(cut), slice(cut, None))
    )
    whole = to_evidence(reduce_rows(rows))
    for merged in (merge(left, right), merge(right, left)):
        for expected, found in zip(whole, to_evidence(merged), strict=True):
            np.testing.assert_array_equal(found, expected)


@given(case=cases())
def test_whole_weights_equal_repetition_and_zero_weights_deletion(case):
    weight = np.arange(len(case.codes)) % 3
    weight[0] = 2
    weighted = case._replace(weight=weight.astype(float))
    repeated = case._replace(codes=np.repeat(case.codes, weight, axis=0), weight=np.ones(weight.sum()))
    one, other = statistics(exact(), weighted), statistics(exact(), repeated)
    np.testing.assert_array_equal(one.counts, other.counts)
    assert one.log_likelihood == other.log_likelihood


@given(case=cases(max_rows=30))
def test_threads_do_not_change_a_bit(case):
    one, other = statistics(exact(n_jobs=1), case), statistics(exact(n_jobs=3), case)
    np.testing.assert_array_equal(one.counts, other.counts)
    assert one.log_likelihood == other.log_likelihood


@given(case=cases(), seed=st.integers(0, 99))
def test_the_elimination_order_does_not_matter(case, seed):
    order = np.random.default_rng(seed).permutation(case.network.n_nodes).tolist()
    plan = plan_of(case, compile_evidence(case.network, case.evidence, [order], cost=groups.COST))
    expected = statistics(exact(), case)
    found = exact().expected_statistics(plan, case.parameters)
    np.testing.assert_allclose(found.counts, expected.counts, **TOLERANCE)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12, abs=1e-12)


@given(case=cases())
def test_sharing_steps_does_not_matter(case):
    graph = compile_evidence(case.network, case.evidence, share=False, cost=groups.COST)
    expected = statistics(exact(), case)
    found = exact().expected_statistics(plan_of(case, graph), case.parameters)
    np.testing.assert_allclose(found.counts, expected.counts, **TOLERANCE)
    assert graph.n_steps >= exact().prepare(case.network, case.evidence).graph.n_steps


@given(case=cases(), seed=st.integers(0, 99))
def test_the_order_of_variables_and_states_does_not_matter(case, seed):
    rng = np.random.default_rng(seed)
    network = case.network
    order = rng.permutation(network.n_nodes).tolist()
    flips = [rng.permutation(card) for card in network.cardinalities]  # new state k is old state flips[k]
    parents = {i: [network.names[p] for p in network.families[i].parents] for i in range(network.n_nodes)}
    states = {i: network.state_names[i] for i in range(network.n_nodes)}
    other = build_network(order, parents, states)
    parameters = np.empty(other.n_cells)
    codes = np.empty_like(case.codes)
    for new, old in enumerate(order):
        members = network.families[old].members
        assert [other.names[m] for m in other.families[new].members] == list(members)
        block = network.block(case.parameters, old)[np.ix_(*(flips[m] for m in members))]
        other.block(parameters, new)[...] = block
        codes[:, new] = np.where(case.codes[:, old] < 0, -1, np.argsort(flips[old])[case.codes[:, old]])
    one = statistics(exact(), case)
    two = statistics(exact(), ProblemCase(other, parameters, codes, case.weight))
    assert two.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-12, abs=1e-12)
    for new, old in enumerate(order):
        members = network.families[old].members
        expected = network.block(one.counts, old)[np.ix_(*(flips[m] for m in members))]
        np.testing.assert_allclose(other.block(two.counts, new), expected, **TOLERANCE)


@given(case=cases(deterministic=False))
def test_rows_without_any_observation_have_no_effect(case):
    padded = case._replace(
        codes=np.vstack([case.codes, np.full((1, case.network.n_nodes), -1)]), weight=np.append(case.weight, 5.0)
    )
    one, other = statistics(exact(), case), statistics(exact(), padded)
    np.testing.assert_allclose(one.counts, other.counts, **TOLERANCE)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-10)


@given(case=cases())
def test_without_missing_cells_the_counts_are_counts(case):
    rng = np.random.default_rng(0)
    complete = case._replace(codes=sample_codes(case.network, case.parameters, len(case.codes), rng))
    found = statistics(exact(), complete)
    expected = np.zeros(case.network.n_cells)
    for node in range(case.network.n_nodes):
        np.add.at(expected, case.network.cells(node, complete.codes), case.weight)
    np.testing.assert_allclose(found.counts, expected, rtol=1e-15)


class TestImpossibleEvidence:
    """A row of probability zero is named, by every engine; there is never a NaN."""

    @pytest.fixture
    def case(self):
        network = build_network("HXY", {"X": "H", "Y": "X"}, {"H": [0, 1], "X": ["a", "b"], "Y": ["c", "d"]})
        # X copies H; Y copies X.
        parameters = np.array([0.5, 0.5, 1, 0, 0, 1, 1, 0, 0, 1], dtype=float)
        codes = np.array([[-1, 0, 0], [-1, 0, 0], [0, -1, 1]])
        return ProblemCase(network, parameters, codes, np.ones(3))

    @pytest.mark.parametrize("name", sorted(KNOWN))
    def test_hidden_contradiction(self, case, name):
        with pytest.raises(ImpossibleEvidenceError, match=r"row 2 \(counting from 0\).*H=0, Y='d'") as caught:
            statistics(engine_named(name), case)
        assert caught.value.row == 2
        assert caught.value.values == {"H": 0, "Y": "d"}

    @pytest.mark.parametrize("name", sorted(KNOWN))
    def test_observed_contradiction(self, case, name):
        observed = case._replace(codes=np.array([[-1, 0, 0], [-1, 1, 0], [-1, 0, 0]]))
        with pytest.raises(ImpossibleEvidenceError, match=r"row 1 .*X='b', Y='c'"):
            statistics(engine_named(name), observed)

    @pytest.mark.parametrize("name", sorted(KNOWN))
    def test_the_first_such_row_of_the_table_is_named(self, case, name):
        """Not the first in the order of the codes, in which the evidence is kept."""
        later = case._replace(codes=np.array([[0, 0, 0], [1, -1, 0], [0, 1, 1], [0, 0, 1]]), weight=np.ones(4))
        with pytest.raises(ImpossibleEvidenceError, match="row 1 ") as caught:
            statistics(engine_named(name), later)
        assert caught.value.row == 1

    def test_the_row_is_named_also_where_few_rows_fit_into_the_budget(self):
        """The search for it takes rows apart, which needs more memory than the fit."""
        network = build_network(range(15), {14: range(14)}, {i: [0, 1] for i in range(15)})
        parameters = np.concatenate([np.full(28, 0.5), np.tile([1.0, 0.0], 2**14)])
        codes = np.full((300, 15), -1)
        codes[:, 14] = np.arange(300) == 299
        codes[:, 0] = np.arange(300) % 2
        case = ProblemCase(network, parameters, codes, np.ones(300))
        with pytest.raises(ImpossibleEvidenceError, match="row 299 "):
            statistics(exact(memory_budget=10**7), case)

    def test_products_beyond_floating_point_are_an_error_that_names_a_row(self):
        """A cause whose states differ by 1e-400 in what they say of 216 items, and one more item."""
        items = range(1, 217)
        network = build_network(range(218), {**{i: [0] for i in items}, 217: [0]}, {i: [0, 1] for i in range(218)})
        item = [[0.99, 0.01], [0.01, 0.99]]
        parameters = np.concatenate([[0.5, 0.5], *(np.ravel(item) for _ in items), [0.0, 1.0, 1.0, 0.0]])
        codes = np.zeros((1, 218), dtype=int)
        codes[0, 0] = -1
        case = ProblemCase(network, parameters, codes, np.ones(1))
        with pytest.raises(ImpossibleEvidenceError, match="row 0 "):
            statistics(exact(), case)

    @given(case=cases(), seed=st.integers(0, 9))
    def test_an_answer_or_the_error_and_never_a_nan(self, case, seed):
        parameters = random_parameters(case.network, np.random.default_rng(seed), zero_share=0.5)
        found = {}
        for name in ("enumeration", "exact"):
            try:
                found[name] = statistics(engine_named(name), case, parameters)
            except ImpossibleEvidenceError as error:
                found[name] = error
        if isinstance(found["enumeration"], ImpossibleEvidenceError):
            assert isinstance(found["exact"], ImpossibleEvidenceError)
            assert str(found["exact"]) == str(found["enumeration"])
            return
        assert np.isfinite(found["exact"].counts).all()
        assert found["exact"].log_likelihood == pytest.approx(found["enumeration"].log_likelihood, abs=1e-9)


class TestManyFactors:
    """A latent cause of hundreds of items: the products neither underflow nor lose digits."""

    @pytest.fixture
    def case(self):
        n_items = 300
        rng = np.random.default_rng(0)
        names = list(range(n_items + 1))
        network = build_network(names, {i: [0] for i in names[1:]}, {i: list(range(20 if i else 3)) for i in names})
        parameters = random_parameters(network, rng)
        codes = sample_codes(network, parameters, 20, rng)
        codes[rng.random(codes.shape) < 0.1] = -1
        codes[:, 0] = -1
        return ProblemCase(network, parameters, codes, np.ones(20))

    def test_equals_enumeration(self, case):
        with_items_enumerated = engine_named("enumeration")
        items_observed = np.maximum(case.codes, 0)
        items_observed[:, 0] = -1
        dense = case._replace(codes=items_observed)
        expected = statistics(with_items_enumerated, dense)
        found = statistics(exact(), dense)
        assert found.log_likelihood < 20 * -745  # exp(-745) is the smallest number above zero
        assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
        np.testing.assert_allclose(found.counts, expected.counts, **TOLERANCE)

    def test_cost_grows_with_the_number_of_factors(self, case):
        graph = exact().prepare(case.network, case.evidence).graph
        assert graph.n_steps < 2 * 20 * 300 / (compile_module.MAX_INPUTS - 1)


class TestBackends:
    def test_auto_takes_numba_where_the_graph_repays_it(self):
        rng = np.random.default_rng(0)
        network = build_network(range(40), {i: [i - 1] for i in range(1, 40)}, {i: [0, 1, 2] for i in range(40)})
        parameters = random_parameters(network, rng)
        for n_rows, expected in ((5, GroupedSweeps), (3000, PackedSweeps)):
            codes = sample_codes(network, parameters, n_rows, rng)
            codes[rng.random(codes.shape) < 0.5] = -1
            case = ProblemCase(network, parameters, codes, np.ones(n_rows))
            assert type(ExactEStep().prepare(network, case.evidence).sweeps) is expected

    def test_without_numba_numpy_serves(self, monkeypatch):
        monkeypatch.setattr(packed, "has_numba", lambda: False)
        network = build_network("HX", {"X": "H"}, {"H": [0, 1], "X": [0, 1]})
        case = ProblemCase(network, np.full(6, 0.5), np.array([[-1, 0]]), np.ones(1))
        monkeypatch.setattr(engine_module, "TINY", 0)
        assert type(ExactEStep().prepare(network, case.evidence).sweeps) is GroupedSweeps

    def test_numba_that_cannot_be_imported(self, monkeypatch, caplog):
        def fail():
            raise ImportError("Numba needs NumPy 2.4 or less")

        monkeypatch.setattr(packed, "load_kernel", fail)
        monkeypatch.setattr(engine_module, "TINY", 0)
        network = build_network("HX", {"X": "H"}, {"H": [0, 1], "X": [0, 1]})
        case = ProblemCase(network, np.full(6, 0.5), np.array([[-1, 0]]), np.ones(1))
        assert type(ExactEStep().prepare(network, case.evidence).sweeps) is GroupedSweeps
        assert "numba cannot be imported, so that the E-steps run in numpy: Numba needs" in caplog.text
        with pytest.raises(ImportError, match="Numba needs NumPy"):
            ExactEStep(backend="numba").prepare(network, case.evidence)

    def test_templates_are_computed_in_pieces(self, monkeypatch):
        rng = np.random.default_rng(0)
        network = build_network(range(8), {i: [i - 1] for i in range(1, 8)}, {i: [0, 1, 2] for i in range(8)})
        parameters = random_parameters(network, rng)
        codes = sample_codes(network, parameters, 50, rng)
        codes[rng.random(codes.shape) < 0.5] = -1
        case = ProblemCase(network, parameters, codes, np.ones(50))
        whole = exact().prepare(network, case.evidence).graph.shapes.templates
        monkeypatch.setattr(shapes, "_CHUNK", 5)
        np.testing.assert_array_equal(exact().prepare(network, case.evidence).graph.shapes.templates, whole)


class TestZeros:
    """A long chain of copies, of which the end is observed: all else follows."""

    @pytest.fixture
    def case(self, monkeypatch):
        monkeypatch.setattr(zeros, "SMALL", 0)
        n_nodes, card = 30, 4
        network = build_network(
            range(n_nodes), {i: [i - 1] for i in range(1, n_nodes)}, {i: list(range(card)) for i in range(n_nodes)}
        )
        parameters = np.concatenate([np.full(card, 1 / card), np.tile(np.eye(card).ravel(), n_nodes - 1)])
        codes = np.full((card, n_nodes), -1)
        codes[:, -1] = np.arange(card)
        return ProblemCase(network, parameters, codes, np.arange(1.0, card + 1))

    def test_cells_are_left_out(self, case):
        engine = exact()
        plan = engine.prepare(case.network, case.evidence)
        pruned = engine.without_zeros(plan, case.parameters == 0)
        found = engine.expected_statistics(pruned, case.parameters)
        np.testing.assert_allclose(case.network.block(found.counts, 3), np.diag(case.weight))
        if chosen_backend == "numpy":
            assert pruned.sweeps is plan.sweeps
            return
        before = sum(section.n_table_cells for section in plan.sweeps.packed.sections)
        after = sum(section.n_table_cells for section in pruned.sweeps.packed.sections)
        assert after == 4 * 29 < before  # one for each hidden node of each row

    def test_few_zeros_change_nothing(self, case):
        engine = exact()
        plan = engine.prepare(case.network, case.evidence)
        assert engine.without_zeros(plan, np.arange(case.network.n_cells) == 5).sweeps is plan.sweeps

    def test_in_a_small_graph_zeros_change_nothing(self, case, monkeypatch):
        monkeypatch.setattr(zeros, "SMALL", 10_000)
        engine = exact()
        plan = engine.prepare(case.network, case.evidence)
        assert engine.without_zeros(plan, case.parameters == 0).sweeps is plan.sweeps

    def test_a_fit_leaves_them_out_and_zeros_that_keep_rows_away_stay(self, case, monkeypatch):
        """The start's zeros alone keep records from a column: it is not made uniform, as the full graph tells."""
        pruned = []
        original = zeros.leave_out_zeros
        monkeypatch.setattr(packed, "leave_out_zeros", lambda *given: pruned.append(original(*given)) or pruned[-1])
        model = to_pgmpy(case.network)
        start = {name: write_cpd(case.network, name, case.parameters) for name in case.network.names}
        data = to_frame(case.network, case.codes)
        fits = [
            WeightedEM(init_cpds=start, e_step=ExactEStep(backend=backend), latent_card=dict.fromkeys(range(29), 4))
            for backend in ("numba", "numpy")
        ]
        for fit in fits:
            fit.fit(model, data)
        assert len(pruned) == 1
        for one, other in zip(fits[0].parameters_, fits[1].parameters_, strict=True):
            np.testing.assert_allclose(one.get_values(), other.get_values(), atol=1e-12)
        assert fits[0].unidentified_rows_ == fits[1].unidentified_rows_


class TestTinyProbabilities:
    """Parameters whose products leave the range of floating point."""

    @pytest.mark.parametrize("exponent", [-30, -64, -66, -150, -290])
    def test_five_of_them(self, exponent):
        network = build_network(range(6), {i: [0] for i in range(1, 6)}, {i: [0, 1] for i in range(6)})
        tiny = 10.0**exponent
        parameters = np.concatenate([[0.5, 0.5], np.tile([tiny, 1 - tiny, 3 * tiny, 1 - 3 * tiny], 5)])
        case = ProblemCase(network, parameters, np.array([[-1, 0, 0, 0, 0, 0], [-1, 1, 1, 1, 0, 1]]), np.ones(2))
        expected, found = statistics(engine_named("enumeration"), case), statistics(exact(), case)
        np.testing.assert_allclose(found.counts, expected.counts, rtol=1e-12)
        assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-13)

    # Six factors of 1e-50 stay within one table's range of 1e300: see "What is exact" on the page of mathematics.
    @given(case=cases(deterministic=False), exponent=st.sampled_from([-10, -30, -50]))
    def test_anywhere(self, case, exponent):
        rng = np.random.default_rng(0)
        parameters = np.where(rng.random(len(case.parameters)) < 0.7, case.parameters * 10.0**exponent, case.parameters)
        expected = statistics(engine_named("enumeration"), case, parameters)
        found = statistics(exact(prune_barren=False), case, parameters)
        np.testing.assert_allclose(found.counts, expected.counts, rtol=1e-9, atol=1e-12)
        assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)


class TestEliminationOrder:
    @pytest.mark.parametrize("rule", order_module.RULES)
    def test_a_tree_is_ordered_without_fill(self, rule):
        network = build_network(range(7), {i: [(i - 1) // 2] for i in range(1, 7)}, {i: [0, 1] for i in range(7)})
        neighbours = [set(members(found)) for found in moral_graph(network)]
        for node in greedy_order(network, rule):
            assert len(neighbours[node]) <= 1
            for other in neighbours[node]:
                neighbours[other].discard(node)

    @pytest.mark.parametrize("rule", order_module.RULES)
    @given(case=cases(max_nodes=6, max_rows=1))
    def test_the_greedy_choice_is_the_best_at_every_turn(self, rule, case):
        """With costs computed afresh for all variables each time; ties may be broken by what is known."""
        graph = order_module._start(case.network)
        left = set(range(case.network.n_nodes))
        for node in greedy_order(case.network, rule):
            assert rule(graph, node)[0] <= min(rule(graph, other)[0] for other in left)
            left.discard(node)
            order_module._eliminate(graph.neighbours, node, filled=True)

    def test_a_hub_is_scored_twice_and_not_for_each_leaf(self):
        calls = []

        def rule(graph, node):
            calls.append(node)
            return order_module._weighted_fill(graph, node)

        leaves = range(1, 300)
        network = build_network(range(300), {i: [0] for i in leaves}, {i: [0, 1] for i in range(300)})
        assert sorted(greedy_order(network, rule)) == list(range(300))
        assert calls.count(0) <= 3
        assert len(calls) < 2 * 300

    @given(case=cases(max_rows=6))
    def test_what_is_predicted_is_what_is_read_without_sharing(self, case):
        roles = find_roles(case.network, case.evidence.codes, prune_barren=True)
        for order in rank_orders(case.network, *roles):
            graph = compile_evidence(case.network, case.evidence, [order], share=False, cost=groups.COST)
            if graph.n_steps and graph.shapes.card.min() > 1:  # products of many factors take steps of their own
                assert predicted_reads(case.network, order, *roles) == graph.n_reads

    def test_the_order_is_the_one_that_reads_least_of_the_missing_patterns_at_hand(self):
        """Not the structure alone decides: other holes, another order."""
        rng = np.random.default_rng(0)
        names = range(12)
        parents = {node: [other for other in range(node) if rng.random() < 0.4] for node in names}
        network = build_network(names, parents, {node: list(range(rng.integers(2, 5))) for node in names})
        chosen = set()
        for _ in range(20):
            codes = np.zeros((5, 12), dtype=int)
            codes[rng.random(codes.shape) < rng.random()] = -1
            evidence = to_evidence(reduce_rows(EncodedData(codes, np.ones(5), np.arange(5))))
            orders = rank_orders(network, *find_roles(network, evidence.codes, prune_barren=True))
            reads = [compile_evidence(network, evidence, [o], share=False, cost=groups.COST).n_reads for o in orders]
            assert reads == sorted(reads)
            chosen.add(orders[0])
        assert len(chosen) > 1

    def test_sampled_patterns_are_few_where_rows_are_long(self):
        assert len(order_module.sample_patterns(10_000, 10_000 * 100)) == 40
        assert len(order_module.sample_patterns(10_000, 10_000)) == order_module.MAX_PATTERNS
        assert order_module.sample_patterns(3, 0).tolist() == [0, 1, 2]

    def test_a_second_order_is_tried_where_the_first_does_not_fit(self):
        """A hub in the middle of a star: eliminated first it joins all leaves."""
        network = build_network(range(20), {i: [0] for i in range(1, 20)}, {i: [0, 1] for i in range(20)})
        codes = np.full((1, 20), -1)
        evidence = to_evidence(reduce_rows(EncodedData(codes, np.ones(1), np.arange(1))))
        hub_first, hub_last = range(20), range(19, -1, -1)
        arguments = {"prune_barren": False, "memory_budget": 10**5, "cost": groups.COST}
        with pytest.raises(MemoryBudgetError, match="a table of 1,048,576 cells"):
            compile_evidence(network, evidence, [hub_first], **arguments)
        assert compile_evidence(network, evidence, [hub_first, hub_last], **arguments).n_steps >= 20


class TestMemoryBudget:
    """What does not fit is refused before it is allocated, with the size, the variables and the way out."""

    def test_refusal(self):
        n_parents = 40
        names = [f"cause {i}" for i in range(n_parents)]
        parents = {f"link {i} {j}": [names[i], names[j]] for i in range(n_parents) for j in range(i)}
        network = build_network([*names, *parents], parents, dict.fromkeys([*names, *parents], (0, 1)))
        codes = np.zeros((1, network.n_nodes), dtype=int)
        codes[:, :n_parents] = -1
        evidence = to_evidence(reduce_rows(EncodedData(codes, np.ones(1), np.arange(1))))
        with pytest.raises(MemoryBudgetError) as caught:
            exact(memory_budget=10**6).prepare(network, evidence)
        message = str(caught.value)
        assert "memory budget of 1,000,000 bytes" in message
        assert re.search(r"[\d,]{13,} cells", message)
        assert "'cause 1" in message
        assert "ExactEStep(memory_budget=...)" in message
