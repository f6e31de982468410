"""From what the user gives to what EM needs: checked, and as arrays."""

import logging
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pgmpy.factors.discrete import TabularCPD

from pgmpy_em_ext.arrays.network import Network, build_network
from pgmpy_em_ext.cpd_family.categorical import Categorical, read_cpd
from pgmpy_em_ext.cpd_family.prior import Prior
from pgmpy_em_ext.data.checks import check_columns, check_weight, note_ignored
from pgmpy_em_ext.data.encoding import encode_table, number_rows, read_table
from pgmpy_em_ext.data.reduction import (
    EmptyRows,
    Reduction,
    count_empty,
    observed_whole,
    reduce_rows,
    take_sample,
    to_evidence,
)
from pgmpy_em_ext.data.rows import EncodedData, Evidence
from pgmpy_em_ext.data.states import MODEL, States, resolve_states
from pgmpy_em_ext.networks.structure import Structure, declared_states, read_structure
from pgmpy_em_ext.prepare.arguments import Settings, check_settings
from pgmpy_em_ext.start.initializer import GivenStart, NearUniformStart, RandomStart, StartContext, check_parameters
from pgmpy_em_ext.start.starts import Start, Starts, lay_out_starts
from pgmpy_em_ext.start.symmetry import unlinked_nodes
from pgmpy_em_ext.types import BoolArray, FloatArray

logger = logging.getLogger(__name__)

NEAR_UNIFORM_TURN = 4
"""Every so many-th start of the default is near the uniform."""


class Prepared(NamedTuple):
    """A fit's input, checked and translated.

    Rows of weight zero are left out from the start: neither their cells nor their states
    count. Rows that observe nothing are part of the evidence, since an engine may impute them
    (those that prune barren variables do not), but not of the sample.
    ``unlinked`` are the variables that the data never shows together with any of their
    children: latents, and what behaves like one.
    """

    settings: Settings
    structure: Structure
    states: States
    network: Network
    evidence: Evidence
    family: Categorical
    fixed_blocks: dict[int, FloatArray]
    reduction: Reduction
    ignored_columns: tuple[Hashable, ...]
    n_rows: int
    n_zero_weight: int
    unlinked: tuple[int, ...]

    @property
    def empty(self) -> EmptyRows:
        """The rows that observe nothing."""
        return count_empty(self.reduction)

    @property
    def sample(self) -> Evidence:
        """The evidence without the rows that observe nothing."""
        return take_sample(self.evidence)

    @property
    def total_weight(self) -> float:
        """The size of the sample, in records."""
        return float(self.sample.weight.sum())

    @property
    def has_hidden(self) -> bool:
        """Whether a variable is hidden, so that the likelihood may have several maxima."""
        return bool(self.network.latents or self.unlinked)


def prepare(estimator: Any, model: Any, data: Any, sample_weight: Any) -> Prepared:
    """Check everything that a fit is given and translate it to arrays.

    Parameters
    ----------
    estimator : WeightedEM
        Its arguments are read.
    model, data, sample_weight
        As `WeightedEM.fit` takes them.

    Raises
    ------
    ValueError, TypeError
        Whatever cannot be used, before any inference.
    """
    settings = check_settings(estimator)
    structure = read_structure(model)
    ignored = check_columns(data, structure.names)
    note_ignored(ignored)
    weight = check_weight(sample_weight, data)
    note_small_weights(weight[weight > 0])
    prepared, _ = prepare_tables(
        settings, structure, data, weight, state_names=estimator.state_names, latent_card=estimator.latent_card
    )
    return prepared._replace(ignored_columns=tuple(ignored))


def prepare_tables(
    settings: Settings,
    structure: Structure,
    data: pd.DataFrame,
    weight: FloatArray,
    *,
    state_names: Mapping[Hashable, Sequence[Hashable]] | None,
    latent_card: Mapping[Hashable, int] | None,
) -> tuple[Prepared, EncodedData]:
    """Translate a discrete network and its columns to arrays.

    Parameters
    ----------
    settings : Settings
        Checked.
    structure : Structure
        The discrete variables.
    data : pandas.DataFrame
        Its columns are checked.
    weight : float ndarray of shape (n_rows,)
        Checked; rows of weight zero are left out.
    state_names, latent_card
        As the user gave them.

    Returns
    -------
    prepared : Prepared
        What a fit needs.
    encoded : EncodedData
        The rows themselves, before equal ones are counted together.
    """
    counted = weight > 0
    rows = number_rows(data)
    table = read_table(rows if counted.all() else rows[counted], structure.names)
    states = resolve_states(
        structure.names,
        structure.latents,
        table,
        state_names,
        latent_card,
        [
            ("init_cpds", declared_states(settings.init_cpds)),
            ("fixed_cpds", declared_states(settings.fixed_cpds)),
            (MODEL, declared_states(structure.cpds)),
        ],
    )
    network = build_network(structure.names, structure.parents, states.names, states.latents)
    fixed_blocks = _read_fixed_blocks(network, settings, structure)
    encoded = encode_table(network, table, weight[counted], states.sources)
    reduction = reduce_rows(encoded)
    evidence = to_evidence(reduction)
    family = Categorical(
        network,
        pseudo_counts=_pseudo_counts(settings.prior, network),
        fixed=np.isin(network.family_of_column, list(fixed_blocks)),
    )
    prepared = Prepared(
        settings,
        structure,
        states,
        network,
        evidence,
        family,
        fixed_blocks,
        reduction,
        ignored_columns=(),
        n_rows=len(data),
        n_zero_weight=int(len(data) - counted.sum()),
        unlinked=unlinked_nodes(network, evidence.codes),
    )
    return prepared, encoded


def _pseudo_counts(prior: Prior | None, network: Network) -> FloatArray:
    """Resolve the prior, and check that its counts add up."""
    if prior is None:
        return np.zeros(network.n_cells)
    counts = np.asarray(prior.resolve(network), dtype=float)
    if counts.shape != (network.n_cells,) or not (counts >= 0).all():
        raise ValueError(
            f"{type(prior).__name__}.resolve must return {network.n_cells} numbers >= 0, one for each CPD entry. "
            f"Got: shape {counts.shape}, smallest {counts.min(initial=np.inf)}."
        )
    with np.errstate(over="ignore"):
        if not np.isfinite(counts.sum()):
            raise ValueError("the prior's pseudo counts add up to more than a number can hold. Give smaller ones.")
    return counts


def note_small_weights(weight: FloatArray) -> None:
    """Say that weights are records, where they look like shares."""
    if weight.sum() < 0.1 * len(weight):
        logger.warning(
            "The weights of %d rows add up to %.6g. Weights are numbers of records: tol and bic_ are in records too. "
            "If the weights are shares, multiply them by the number of records.",
            len(weight),
            weight.sum(),
        )


def make_starts(prepared: Prepared, seed: int | None, n_init: int | None) -> Starts:
    """Lay out the starting parameters of all runs.

    The first run starts as the strategy says. Further ones do where it is random, else
    they start from a random draw; with the default strategy every fourth one starts near the
    uniform. Fixed CPDs are the same in all.
    """
    network, settings = prepared.network, prepared.settings
    strategy = settings.strategy or _given_start(network, settings.init_cpds)
    codes = prepared.evidence.codes
    unseen = [node for node in range(network.n_nodes) if not observed_whole(network, node, codes).any()]
    context = StartContext(
        network,
        prepared.evidence,
        prepared.family.pseudo_counts,
        prepared.structure.cpds,
        frozenset(unseen),
        seed=0,
    )
    is_random = strategy.is_random(context)

    def make(number: int, run_seed: int) -> Start:
        chosen = strategy if number == 0 or is_random else RandomStart()
        if is_random and is_near_uniform(settings, number):
            chosen = NearUniformStart()
        parameters = check_parameters(network, chosen.start(context._replace(seed=run_seed)), type(chosen).__name__)
        for node, block in prepared.fixed_blocks.items():
            network.block(parameters, node)[...] = block
        return Start(run_seed, chosen.get_class_tag("name") or "init_cpds", parameters)

    hidden = sorted({*prepared.unlinked, *network.latents}) if is_random else []
    return lay_out_starts(make, seed, n_init, [partial(cells_around, network, node) for node in hidden])


def is_near_uniform(settings: Settings, number: int) -> bool:
    """Say whether a run's tables start near the uniform."""
    return settings.mixes_starts and number % NEAR_UNIFORM_TURN == NEAR_UNIFORM_TURN - 1


def cells_around(network: Network, node: int) -> BoolArray:
    """Mark the entries of a variable's own CPD and of its children's: shape (n_cells,)."""
    return np.isin(network.family_of_cell, [node, *network.children[node]])


def _given_start(network: Network, cpds: dict[Hashable, TabularCPD]) -> GivenStart:
    blocks = [(cpd.variable, read_cpd(network, cpd, "init_cpds")) for cpd in cpds.values()]
    return GivenStart({network.index[name]: block for name, block in blocks})


def _read_fixed_blocks(network: Network, settings: Settings, structure: Structure) -> dict[int, FloatArray]:
    """Find the CPDs that are never updated, as family blocks."""
    blocks = {}
    for name in settings.fixed_names:
        if name not in network.index:
            raise ValueError(f"fixed_cpds names {name!r}, which the model does not have. Known: {list(network.names)}.")
        sources = [
            ("fixed_cpds", settings.fixed_cpds),
            ("init_cpds", settings.init_cpds),
            ("the model", structure.cpds),
        ]
        for source, cpds in sources:
            if name in cpds:
                blocks[network.index[name]] = read_cpd(network, cpds[name], source)
                break
        else:
            raise ValueError(
                f"fixed_cpds names {name!r}, but neither init_cpds nor the model has its CPD. "
                f"Pass fixed_cpds={{{name!r}: TabularCPD(...)}}."
            )
    return blocks


def read_parameters(model: Any) -> tuple[Network, FloatArray]:
    """Read a model whose CPDs are all known.

    Parameters
    ----------
    model : DiscreteBayesianNetwork
        With a CPD for every variable.

    Returns
    -------
    network : Network
        Structure and states, as the CPDs declare them.
    parameters : float ndarray of shape (n_cells,)
        The CPDs' entries.

    Raises
    ------
    ValueError
        A variable has no CPD, or a CPD is none.
    """
    structure = read_structure(model)
    absent = [name for name in structure.names if name not in structure.cpds]
    if absent:
        raise ValueError(f"the model has no CPD of {absent}: fit it first, or add them with model.add_cpds(...).")
    states = declared_states(structure.cpds)
    network = build_network(structure.names, structure.parents, states, structure.latents)
    blocks = [read_cpd(network, structure.cpds[name], "the model") for name in network.names]
    return network, network.flatten(blocks)
