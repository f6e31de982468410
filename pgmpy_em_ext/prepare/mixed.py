"""From what the user gives to what EM needs, in networks with continuous variables: checked, and as arrays."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from pgmpy.factors.discrete import TabularCPD

from pgmpy_em_ext._tools.checks import check_number
from pgmpy_em_ext._tools.packing import distinct_rows
from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.cpd_family._base import CPDFamily
from pgmpy_em_ext.cpd_family.categorical import read_cpd
from pgmpy_em_ext.cpd_family.gaussian_cpd import LOWEST_VARIANCE, check_precision, check_range, read_block
from pgmpy_em_ext.cpd_family.joint import join
from pgmpy_em_ext.cpd_family.linear_gaussian import LinearGaussian
from pgmpy_em_ext.cpd_family.variance_floors import variance_floors
from pgmpy_em_ext.data.checks import check_columns, check_weight, note_ignored
from pgmpy_em_ext.data.reduction import reduce_rows, to_evidence
from pgmpy_em_ext.data.rows import EncodedData
from pgmpy_em_ext.data.values import find_latents, merge_rows, order_network, read_values, standardize
from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.networks.structure import Structure
from pgmpy_em_ext.prepare.account import ReductionSummary
from pgmpy_em_ext.prepare.arguments import Kinds, Settings, by_variable, check_run, read_fixed, read_prior
from pgmpy_em_ext.prepare.tables import (
    Prepared,
    cells_around,
    is_near_uniform,
    make_starts,
    note_small_weights,
    prepare_tables,
)
from pgmpy_em_ext.start.clusters import DRAWS, cluster, find_causes
from pgmpy_em_ext.start.gaussian import available_case_start, draw_latent_coefficients
from pgmpy_em_ext.start.initializer import AvailableCaseStart, CompleteCaseStart, Initializer, NearUniformStart
from pgmpy_em_ext.start.starts import Start, Starts, lay_out_starts
from pgmpy_em_ext.types import MISSING, BoolArray, FloatArray

STRATEGIES = (*DRAWS, "complete_case")
"""Starts that have a name."""

CLOUD_TURNS = ("kmeans++", "random_from_data", "random")
"""How runs start in turn where rows are clustered by their values: far apart, close together, and nearly alike."""

LINE_TURNS = ("lines", *CLOUD_TURNS)
"""The same where they are clustered by regressions."""


class Continuous(NamedTuple):
    """What the user says of continuous families.

    Attributes
    ----------
    variance_prior : (float, float) or None
        Shape and scale of the inverse gamma prior.
    ridge : float
        In records.
    variance_floor : float or None
        Part of a column's variance; None where the data decides.
    strategy : str or None
        Where to start; None for the default.
    init_cpds, fixed_cpds : dict
        CPDs of all variables, by name.
    fixed_names : tuple
        Variables whose CPD is never updated.
    """

    variance_prior: tuple[float, float] | None
    ridge: float
    variance_floor: float | None
    strategy: str | None
    init_cpds: Mapping[Hashable, Any]
    fixed_cpds: Mapping[Hashable, Any]
    fixed_names: tuple[Hashable, ...]


class PreparedHybrid(NamedTuple):
    """A fit's input, checked and translated.

    Attributes
    ----------
    network : HybridNetwork
        Structure, layout and units.
    rows : HybridRows
        Distinct rows of positive weight that observe something, standardised.
    tables : Prepared
        The discrete part alone, which may have no variable.
    family : CPDFamily
        All families.
    continuous : LinearGaussian
        The continuous ones.
    given : dict
        Blocks of continuous families where the first run starts, by number.
    fixed : dict
        Blocks of continuous families that are never updated.
    strategy : str or None
        How runs start.
    reduction : ReductionSummary
        What was merged and what was ignored; the engine's sizes are not known yet.
    """

    network: HybridNetwork
    rows: HybridRows
    tables: Prepared
    family: CPDFamily
    continuous: LinearGaussian
    given: dict[int, FloatArray]
    fixed: dict[int, FloatArray]
    strategy: str | None
    reduction: ReductionSummary

    @property
    def total_weight(self) -> float:
        """The size of the sample, in records: the sum of the weights of rows that observe something."""
        return float(self.rows.weight.sum())

    @property
    def has_hidden(self) -> bool:
        """Whether a variable is hidden, so that the likelihood may have several maxima."""
        return bool(self.network.latents) or self.tables.has_hidden

    @property
    def has_holes(self) -> bool:
        """Whether any cell is missing."""
        return bool(np.isnan(self.rows.values).any() or (self.rows.codes < 0).any())

    @property
    def density_shift(self) -> float:
        """What the log-likelihood in the user's units has more than that of standardised values, in nats."""
        return float(self.rows.weight @ self.network.units.log_density_shift(self.rows.values))


def check_arguments(estimator: Any, kinds: Kinds) -> tuple[Settings, Continuous]:
    """Check an estimator's arguments, as far as they need neither model nor data.

    Parameters
    ----------
    estimator : object
        `LinearGaussianEM` or `ConditionalGaussianEM`.
    kinds : class or tuple of classes
        CPDs that it knows.

    Returns
    -------
    settings : Settings
        How runs are made, and what is said of discrete families.
    continuous : Continuous
        What is said of continuous ones.
    """
    accelerator = check_run(estimator)
    check_number("ridge", estimator.ridge)
    _check_variance_floor(estimator.variance_floor)
    _check_variance_prior(estimator.variance_prior)
    init_cpds, strategy = {}, None
    if isinstance(estimator.init_cpds, Mapping):
        init_cpds = by_variable(estimator.init_cpds, "init_cpds", kinds)
    elif estimator.init_cpds is not None:
        strategy = estimator.init_cpds
        if not (isinstance(strategy, str) and strategy in STRATEGIES):
            raise ValueError(
                f"init_cpds must be a dict of CPDs, one of {list(STRATEGIES)}, or None. Got: {strategy!r}."
            )
    fixed_cpds, fixed_names = read_fixed(estimator.fixed_cpds, kinds)
    init_tables, fixed_tables = (
        {name: cpd for name, cpd in cpds.items() if isinstance(cpd, TabularCPD)} for cpds in (init_cpds, fixed_cpds)
    )
    settings = Settings(
        engine=ExactEStep(),
        accelerator=accelerator,
        prior=read_prior(getattr(estimator, "prior", None), None),
        strategy=None if init_tables else _table_start(strategy),
        mixes_starts=estimator.init_cpds is None,
        init_cpds=init_tables,
        fixed_cpds=fixed_tables,
        fixed_names=fixed_names,
    )
    continuous = Continuous(
        estimator.variance_prior,
        estimator.ridge,
        estimator.variance_floor,
        strategy,
        init_cpds,
        fixed_cpds,
        fixed_names,
    )
    return settings, continuous


def _table_start(strategy: str | None) -> Initializer:
    """Say where tables start."""
    return CompleteCaseStart() if strategy == "complete_case" else AvailableCaseStart()


def _check_variance_floor(floor: Any) -> None:
    if floor is None:
        return
    check_number("variance_floor", floor, positive=True)
    if floor < LOWEST_VARIANCE:
        raise ValueError(
            f"variance_floor must be at least {LOWEST_VARIANCE:g}: smaller ones are lost to rounding where values are "
            f"missing. Got: {floor}. None lets the data decide."
        )


def _check_variance_prior(prior: Any) -> None:
    if prior is None:
        return
    if not isinstance(prior, (tuple, list)) or len(prior) != 2:
        raise ValueError(f"variance_prior must be (shape, scale), or None. Got: {prior!r}.")
    for name, value in zip(("shape", "scale"), prior, strict=True):
        check_number(f"variance_prior's {name}", value, positive=True)


def prepare_hybrid(
    structure: Structure,
    discrete: Sequence[Hashable],
    data: Any,
    sample_weight: Any,
    settings: Settings,
    continuous: Continuous,
    *,
    state_names: Mapping[Hashable, Sequence[Hashable]] | None = None,
    latent_card: Mapping[Hashable, int] | None = None,
) -> PreparedHybrid:
    """Check a table and translate it and the network to arrays.

    Parameters
    ----------
    structure : Structure
        All variables.
    discrete : sequence
        Those that are discrete.
    data, sample_weight
        As ``fit`` takes them.
    settings : Settings
        What is said of the discrete families, and how they start.
    continuous : Continuous
        What is said of the continuous ones.
    state_names, latent_card
        States of discrete variables.

    Raises
    ------
    TypeError, ValueError
        Whatever cannot be used, before any inference.
    """
    _check_names(structure, discrete, continuous)
    ignored = check_columns(data, structure.names)
    note_ignored(ignored)
    weight = check_weight(sample_weight, data)
    note_small_weights(weight[weight > 0])
    part = _restrict(structure, discrete)
    own = settings._replace(fixed_names=tuple(name for name in settings.fixed_names if name in set(discrete)))
    tables, encoded = prepare_tables(own, part, data, weight, state_names=state_names, latent_card=latent_card)
    names = [name for name in structure.names if name not in set(discrete)]
    kept = np.flatnonzero(weight > 0)
    values = read_values(data, names)[kept]
    latents = find_latents(names, structure.latents, data.columns.to_list(), values)
    network = order_network(names, structure.parents, latents, tables.network)
    place = [names.index(name) for name in network.names]
    table = HybridRows(encoded.codes, values[:, place], weight[kept], kept)
    observed = table.observes() | (not table.observes().any())
    if not names:  # equal rows are merged already, in sums that `WeightedEM` makes too
        sample = tables.sample
        rows = HybridRows(sample.codes, np.zeros((len(sample.weight), 0)), *sample[1:])
    else:
        rows = merge_rows(table if observed.all() else table.take(np.flatnonzero(observed)))
    declared = set(structure.latents)
    reduction = ReductionSummary(
        n_rows=len(data),
        n_zero_weight=len(data) - len(kept),
        n_empty_rows=int((~observed).sum()),
        empty_weight=float(table.weight[~observed].sum()),
        total_weight=float(weight.sum()),
        n_missing_cells=_count_holes(network, table),
        n_distinct_rows=len(rows.weight),
        n_missing_patterns=len(distinct_rows(list(np.hstack([rows.codes == MISSING, np.isnan(rows.values)]).T))[0]),
        ignored_columns=tuple(ignored),
        promoted_latents=tuple(name for name in (*tables.states.promoted, *latents) if name not in declared),
        engine={},
    )
    network, rows = standardize(network, rows)
    fixed = _read_fixed(network, continuous)
    family = _make_family(network, rows, continuous, fixed)
    given = {
        node: _lift(_read_start(network, continuous.init_cpds[name]), family, node)
        for node, name in enumerate(network.names)
        if name in continuous.init_cpds
    }
    every = join([tables.family, family])
    return PreparedHybrid(network, rows, tables, every, family, given, fixed, continuous.strategy, reduction)


def _count_holes(network: HybridNetwork, rows: HybridRows) -> int:
    """Count the missing cells of variables that are not latent."""
    observable = list(network.discrete.observable)
    own = [node for node in range(len(network.names)) if node not in network.latents]
    return int((rows.codes[:, observable] == MISSING).sum() + np.isnan(rows.values[:, own]).sum())


def _check_names(structure: Structure, discrete: Sequence[Hashable], continuous: Continuous) -> None:
    """Refuse CPDs of variables that there are not, and regressions of discrete ones."""
    known = set(structure.names)
    for argument, given in (("init_cpds", continuous.init_cpds), ("fixed_cpds", continuous.fixed_names)):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(
                f"{argument} has CPDs for {unknown}, which the model does not have. Known: {list(structure.names)}."
            )

    for argument, cpds in (("init_cpds", continuous.init_cpds), ("fixed_cpds", continuous.fixed_cpds)):
        for name in discrete:
            if name in cpds and not isinstance(cpds[name], TabularCPD):
                raise TypeError(
                    f"{argument}: {name!r} is discrete, so that its CPD must be a TabularCPD. "
                    f"Got: {type(cpds[name]).__name__}."
                )


def _restrict(structure: Structure, names: Sequence[Hashable]) -> Structure:
    """Take a part of a structure; no parent is left out."""
    own = set(names)
    return Structure(
        names=tuple(names),
        parents={name: structure.parents[name] for name in names},
        latents=tuple(name for name in structure.latents if name in own),
        cpds={name: cpd for name, cpd in structure.cpds.items() if name in own},
    )


def _make_family(
    network: HybridNetwork, rows: HybridRows, continuous: Continuous, given: Mapping[int, FloatArray]
) -> LinearGaussian:
    shape, scale = continuous.variance_prior or (0.0, 0.0)
    net = network.net
    fixed = np.zeros(net.n_nodes, dtype=bool)
    fixed[list(given)] = True
    # Nothing tells the unit of a latent variable without parents: mean 0 and variance 1 by convention.
    fixed[[node for node in network.latents if not net.parents(node) and not network.discrete_parents[node]]] = True
    floor = variance_floors(network, rows, continuous.variance_floor)
    return LinearGaussian(net, floor, float(shape), float(scale), float(continuous.ridge), fixed)


def _read_fixed(network: HybridNetwork, continuous: Continuous) -> dict[int, FloatArray]:
    """Find the continuous families that are never updated, with their blocks."""
    fixed = {}
    for name in continuous.fixed_names:
        if name not in network.names:
            continue  # the discrete part looks after its own
        sources = (("fixed_cpds", continuous.fixed_cpds), ("init_cpds", continuous.init_cpds))
        known = [(source, cpds[name]) for source, cpds in sources if name in cpds]
        if not known:
            raise ValueError(f"fixed_cpds names {name!r}, but init_cpds does not have its CPD. Pass it in either.")
        source, cpd = known[0]
        block = check_precision(read_block(network, cpd, source), cpd, source)
        fixed[network.names.index(name)] = check_range(block, cpd, source)
    return fixed


def _read_start(network: HybridNetwork, cpd: Any) -> FloatArray:
    return check_range(read_block(network, cpd, "init_cpds"), cpd, "init_cpds")


def _lift(block: FloatArray, family: LinearGaussian, node: int) -> FloatArray:
    """Lift variances to their floor: from below it, the first M-step would have to lower the likelihood."""
    block[:, -1] = np.maximum(block[:, -1], family.floor[node])
    return block


def make_hybrid_starts(prepared: PreparedHybrid, seed: int | None, n_init: int | None) -> Starts:
    """Lay out the starting parameters of all runs.

    Latent discrete causes of continuous variables start from clusters of rows, other ones in each run, and by default
    drawn in several ways that take turns; everything else starts as its kind does by default. The first run starts
    from the CPDs that are given.
    """
    tables = prepared.tables
    if prepared.network.net.n_nodes == 0:
        return make_starts(tables, seed, n_init)
    turns = _find_turns(prepared)

    def make(number: int, run_seed: int) -> Start:
        rng = np.random.default_rng(run_seed)
        strategy = turns[number % len(turns)]
        rows = _start_rows(prepared, rng, strategy)
        parameters = available_case_start(prepared.network, prepared.continuous, rows)
        draw_latent_coefficients(prepared.network, prepared.continuous, parameters, rng)
        is_given = number == 0 and bool(prepared.given or tables.settings.init_cpds)
        for blocks in (prepared.given if is_given else {}, prepared.fixed):
            for node, block in blocks.items():
                prepared.network.net.block(parameters, node)[...] = block
        parameters = np.concatenate([_start_tables(tables, rows, run_seed, number), parameters])
        return Start(run_seed, "init_cpds" if is_given else strategy, parameters)

    return lay_out_starts(make, seed, n_init, _find_hidden(prepared))


def _find_hidden(prepared: PreparedHybrid) -> list[Callable[[], BoolArray]]:
    """List what marks the parameters around each hidden variable, of either kind; see `Starts`."""
    network, tables = prepared.network, prepared.tables
    discrete = sorted({*tables.unlinked, *tables.network.latents})
    return [
        *(partial(_mark_around_discrete, network, node) for node in discrete),
        *(partial(_mark_around_continuous, network, node) for node in network.latents),
    ]


def _mark_around_discrete(network: HybridNetwork, node: int) -> BoolArray:
    children = [child for child, parents in enumerate(network.discrete_parents) if node in parents]
    return np.concatenate([cells_around(network.discrete, node), _mark_families(network, children)])


def _mark_around_continuous(network: HybridNetwork, node: int) -> BoolArray:
    own = [node, *(child for child in range(network.net.n_nodes) if node in network.net.parents(child))]
    return np.concatenate([np.zeros(network.n_cells, dtype=bool), _mark_families(network, own)])


def _mark_families(network: HybridNetwork, nodes: Sequence[int]) -> BoolArray:
    """Mark the parameters of some continuous families."""
    return np.isin(np.repeat(np.arange(network.net.n_nodes), np.diff(network.net.offset)), nodes)


def _find_turns(prepared: PreparedHybrid) -> tuple[str, ...]:
    """Name the ways in which runs start, which take turns."""
    if prepared.strategy is not None:
        return (prepared.strategy,)
    causes = find_causes(prepared.network)
    if causes:
        return LINE_TURNS if any(cause.has_covariates for cause in causes) else CLOUD_TURNS
    return ("random" if prepared.has_hidden else "available_case",)


def _start_rows(prepared: PreparedHybrid, rng: np.random.Generator, strategy: str) -> HybridRows:
    """Give the rows from which a start is estimated, with latent causes of continuous variables filled in."""
    network, rows = prepared.network, prepared.rows
    if strategy == "complete_case":
        observable = list(network.discrete.observable)
        own = [node for node in range(network.net.n_nodes) if node not in network.latents]
        whole = ~np.isnan(rows.values[:, own]).any(axis=1) & (rows.codes[:, observable] >= 0).all(axis=1)
        rows = rows.take(np.flatnonzero(whole)) if whole.any() else rows
    return rows._replace(codes=cluster(network, rows, rng, strategy if strategy in DRAWS else "kmeans++"))


def _start_tables(tables: Prepared, rows: HybridRows, seed: int, number: int) -> FloatArray:
    """Start the discrete families from rows in which some latent variables are filled in."""
    settings = tables.settings
    strategy = NearUniformStart() if is_near_uniform(settings, number) else AvailableCaseStart()
    evidence = to_evidence(reduce_rows(EncodedData(rows.codes, rows.weight, rows.row)))
    settings = settings._replace(strategy=strategy, mixes_starts=False)
    parameters = make_starts(tables._replace(evidence=evidence, settings=settings), seed, 1)[0].parameters
    if number == 0:
        for name, cpd in settings.init_cpds.items():
            node = tables.network.index[name]
            if node not in tables.fixed_blocks:
                tables.network.block(parameters, node)[...] = read_cpd(tables.network, cpd, "init_cpds")
    return parameters
