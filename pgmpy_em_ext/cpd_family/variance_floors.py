"""The least that residual variances may be, where the likelihood would go to infinity as they go to zero."""

import numpy as np

from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.types import FloatArray

COLLAPSED = 1e-6
"""The floor of a regression that its rows do not hold up, as part of the column's variance."""

DIGITS = 64 * np.finfo(float).eps
"""A residual of this part of the members' values is rounding."""


def variance_floors(network: HybridNetwork, rows: HybridRows, chosen: float | None) -> list[FloatArray]:
    """Say how small the residual variance of each regression may become.

    The likelihood has a bound where more rows than the regression has coefficients observe all of its members, and
    the states of its discrete parents: they cannot all be met exactly, so that a variance of zero makes them
    impossible. Then the floor is what double precision can tell from none, which sound data never meets. Elsewhere a
    component of a mixture may collapse onto rows, or missing values be such that the others are met exactly: there
    the floor is `COLLAPSED`. Either depends on the data alone, so that EM climbs under a constraint that stays.

    Parameters
    ----------
    network, rows
        Standardised data.
    chosen : float or None
        The user's floor for all regressions.

    Returns
    -------
    list of float ndarrays of shape (n_configs,)
        For each variable, in standardised units.
    """
    if chosen is not None:
        return [np.full(int(n_configs), chosen) for n_configs in network.net.n_configs]
    reach = _reach(network, rows)
    floors = []
    for node, n_configs in enumerate(network.net.n_configs.tolist()):
        members = [*network.net.parents(node), node]
        complete = ~np.isnan(rows.values[:, members]).any(axis=1)
        config = network.configuration_of(node, rows.codes[complete])
        n_rows = np.bincount(config + 1, minlength=n_configs + 1)[1:]
        rounding = (DIGITS * reach[members].sum()) ** 2
        floors.append(np.where(n_rows > len(members), min(rounding, COLLAPSED), COLLAPSED))
    return floors


def _reach(network: HybridNetwork, rows: HybridRows) -> FloatArray:
    """Give the largest value of each column in the user's units, over its scale: what its rounding is relative to."""
    units = network.units
    largest = np.abs(np.nan_to_num(rows.values)).max(axis=0, initial=0.0)
    return np.asarray(1.0 + largest + np.abs(units.center) / units.scale)
