"""Continuous families as pgmpy's CPDs, in the user's units, and back."""

from collections.abc import Hashable
from typing import Any

import numpy as np
from pgmpy.factors.continuous import LinearGaussianCPD

from pgmpy_em_ext._tools.labels import match_states
from pgmpy_em_ext.arrays.mixed import HybridNetwork
from pgmpy_em_ext.cpd_family.linear_gaussian import read_coefficients, write_coefficients
from pgmpy_em_ext.networks.conditional_gaussian_cpd import ConditionalGaussianCPD
from pgmpy_em_ext.types import FloatArray

LOWEST_VARIANCE = 1e-12
"""Part of a variable's variance that residuals must have, for half of the digits to be left."""

LARGEST = 1e150
"""Standardised coefficients and standard deviations must be below this, for their squares to be finite."""


def write_linear(network: HybridNetwork, node: int, block: FloatArray) -> LinearGaussianCPD:
    """Turn a family without discrete parents into a pgmpy CPD."""
    members = _members(network, node)
    beta, std = write_coefficients(block, network.units.center[members], network.units.scale[members])
    evidence = [network.names[parent] for parent in members[:-1]]
    return LinearGaussianCPD(network.names[node], beta[0].tolist(), float(std[0]), evidence)


def write_conditional(network: HybridNetwork, node: int, block: FloatArray) -> ConditionalGaussianCPD:
    """Turn a family into a CPD with a regression for each configuration of its discrete parents."""
    members = _members(network, node)
    beta, std = write_coefficients(block, network.units.center[members], network.units.scale[members])
    discrete = network.discrete
    parents = network.discrete_parents[node] if discrete else ()
    return ConditionalGaussianCPD(
        network.names[node],
        beta,
        std,
        evidence=[network.names[parent] for parent in members[:-1]],
        discrete_evidence=[discrete.names[parent] for parent in parents if discrete],
        state_names={discrete.names[parent]: list(discrete.state_names[parent]) for parent in parents if discrete},
    )


def read_block(network: HybridNetwork, cpd: Any, source: str) -> FloatArray:
    """Turn a CPD of either kind into a family's block: shape (n_configs, 2 + n_parents).

    Raises
    ------
    TypeError
        Neither a `LinearGaussianCPD` nor a `ConditionalGaussianCPD`.
    ValueError
        Other parents or states than the network's; a number that is not finite, or a standard deviation that is not
        positive.
    """
    if not isinstance(cpd, (LinearGaussianCPD, ConditionalGaussianCPD)):
        raise TypeError(
            f"{source}: {cpd.variable!r} is continuous, so that its CPD must be a LinearGaussianCPD or a "
            f"ConditionalGaussianCPD. Got: {type(cpd).__name__}."
        )
    node = network.names.index(cpd.variable)
    members = _members(network, node)
    evidence = [network.names[parent] for parent in members[:-1]]
    beta, std = np.atleast_2d(np.asarray(cpd.beta, dtype=float)), np.atleast_1d(np.asarray(cpd.std, dtype=float))
    if set(cpd.evidence) != set(evidence) or beta.shape[1] != len(evidence) + 1:
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} has the parents {list(cpd.evidence)} and {beta.shape[1]} "
            f"coefficients, but the model gives it the parents {evidence}, and an intercept."
        )
    if not (np.isfinite(beta).all() and np.isfinite(std).all() and (std > 0).all()):
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} must have finite coefficients and a standard deviation > 0. "
            f"Got: {np.asarray(cpd.beta).tolist()} and {np.asarray(cpd.std).tolist()}."
        )
    order = [list(cpd.evidence).index(parent) for parent in evidence]
    beta = beta[:, [0, *(1 + place for place in order)]]
    chosen = _order_configurations(network, node, cpd, source)
    return read_coefficients(beta[chosen], std[chosen], network.units.center[members], network.units.scale[members])


def check_range(block: FloatArray, cpd: Any, source: str) -> FloatArray:
    """Refuse numbers whose squares overflow."""
    if not ((np.abs(block[:, :-1]) < LARGEST).all() and (block[:, -1] < LARGEST**2).all()):
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} has a coefficient or a standard deviation whose square, in units "
            "of the columns' deviations, leaves the range of floating point. Give one that is nearer to the data."
        )
    return block


def check_precision(block: FloatArray, cpd: Any, source: str) -> FloatArray:
    """Refuse relations that are so nearly deterministic, or so loose, that rounding would decide.

    Missing values are integrated out by precisions, the inverses of variances, beside which those of other variables
    are lost.
    """
    variance = block[:, -1]
    if not ((variance >= LOWEST_VARIANCE) & (variance <= 1 / LOWEST_VARIANCE)).all():
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} has a standard deviation of less than a millionth, or more than a "
            "million times, of that of the variable, which is beyond the precision of the computation. Give one that "
            "is nearer to it, or take the variable out."
        )
    return block


def _members(network: HybridNetwork, node: int) -> list[int]:
    return [*network.net.parents(node), node]


def _order_configurations(network: HybridNetwork, node: int, cpd: Any, source: str) -> list[int]:
    """Say where each of the network's configurations of a variable's discrete parents stands in its CPD."""
    discrete = network.discrete
    names: list[Hashable] = [discrete.names[parent] for parent in network.discrete_parents[node]]
    given = list(getattr(cpd, "discrete_evidence", ()))
    if set(given) != set(names):
        raise ValueError(
            f"{source}: the CPD of {cpd.variable!r} has the discrete parents {given}, but the model gives it {names}."
        )
    if not names:
        return [0]
    positions = []
    for parent, name in zip(network.discrete_parents[node], names, strict=True):
        wanted, declared = discrete.state_names[parent], list(cpd.state_names[name])
        found = match_states(wanted, declared)
        if None in found or len(declared) != len(wanted):
            raise ValueError(
                f"{source}: the CPD of {cpd.variable!r} names the states {declared} of {name!r}; "
                f"they must be {list(wanted)}. Give the CPD these state_names."
            )
        positions.append(found)
    grid = np.indices(network.cards(node)).reshape(len(names), -1)
    digits = {name: np.array(position)[row] for name, position, row in zip(names, positions, grid, strict=True)}
    shape = [len(cpd.state_names[name]) for name in given]
    return np.ravel_multi_index([digits[name] for name in given], shape).tolist()
