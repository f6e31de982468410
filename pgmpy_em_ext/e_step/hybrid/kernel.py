"""Missing continuous variables integrated out, row by row: compiled.

A family with the members v = (child, parents) says that a'v - b has variance s, with a = (1, -coefficients). Over the
missing members, the sum of these quadratic forms is a normal distribution in its precision form, whose size is the
number of missing variables, however many are observed.

Importing it needs numba.

References
----------
Lauritzen & Jensen (2001), Stable local computation with conditional Gaussian distributions, Statistics and Computing
11. Rue & Held (2005), Gaussian Markov Random Fields, section 2.2 (the precision form).
"""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.compiling import compiled, entry_point
from pgmpy_em_ext.types import FloatArray, IntArray

LOG_TWO_PI = float(np.log(2 * np.pi))


class Scratch(NamedTuple):
    """Room for one row: precision and its factor, linear term, conditional mean and covariance, a family's members."""

    precision: FloatArray
    linear: FloatArray
    mean: FloatArray
    covariance: FloatArray
    place: IntArray
    value: FloatArray
    member: IntArray


@compiled
def make_scratch(n_nodes):  # type: ignore[no-untyped-def]
    """Make room for rows in which every variable is missing."""
    return Scratch(
        np.empty((n_nodes, n_nodes)),
        np.empty(n_nodes),
        np.empty(n_nodes),
        np.empty((n_nodes, n_nodes)),
        np.full(n_nodes, -1, dtype=np.int64),
        np.empty(n_nodes + 1),
        np.empty(n_nodes + 1, dtype=np.int64),
    )


@compiled
def _read_family(net, f, values, row, scratch):  # type: ignore[no-untyped-def]
    """List a family's members, the child last, with their values in the row; returns how many they are."""
    count = 0
    for j in range(net.parent_first[f], net.parent_first[f + 1]):
        scratch.member[count] = net.parent[j]
        count += 1
    scratch.member[count] = f
    count += 1
    for j in range(count):
        scratch.value[j] = values[row, scratch.member[j]]
    return count


@compiled
def _assemble(net, families, configs, parameters, values, row, n_missing, scratch):  # type: ignore[no-untyped-def]
    """Add up the families' quadratic forms over the missing variables, which ``scratch.place`` numbers.

    Returns
    -------
    constant : float
        Sum of what does not depend on them: squared observed residuals over variances.
    log_scale : float
        Sum of the logarithms of 2 pi times the variances.
    """
    precision, linear, place = scratch.precision, scratch.linear, scratch.place
    for i in range(n_missing):
        linear[i] = 0.0
        for j in range(n_missing):
            precision[i, j] = 0.0
    constant, log_scale = 0.0, 0.0
    for k in range(len(families)):
        f = families[k]
        count = _read_family(net, f, values, row, scratch)
        base = net.offset[f] + configs[k] * (count + 1)  # intercept, coefficients, variance
        variance = parameters[base + count]
        log_scale += LOG_TWO_PI + np.log(variance)
        rest = -parameters[base]
        for j in range(count):
            if place[scratch.member[j]] < 0:
                a = 1.0 if j == count - 1 else -parameters[base + 1 + j]
                rest += a * scratch.value[j]
        constant += rest * rest / variance
        for i in range(count):
            p = place[scratch.member[i]]
            if p < 0:
                continue
            a = (1.0 if i == count - 1 else -parameters[base + 1 + i]) / variance
            linear[p] -= a * rest
            for j in range(count):
                q = place[scratch.member[j]]
                if q >= 0:
                    precision[p, q] += a * (1.0 if j == count - 1 else -parameters[base + 1 + j])
    return constant, log_scale


@compiled
def _factorize(n, scratch):  # type: ignore[no-untyped-def]
    """Turn the precision into its Cholesky factor, in place; returns half its log-determinant, -inf where it fails."""
    a, half = scratch.precision, 0.0
    for j in range(n):
        for k in range(j):
            a[j, j] -= a[j, k] * a[j, k]
        if not a[j, j] > 0.0:
            return -np.inf
        a[j, j] = np.sqrt(a[j, j])
        half += np.log(a[j, j])
        for i in range(j + 1, n):
            for k in range(j):
                a[i, j] -= a[i, k] * a[j, k]
            a[i, j] /= a[j, j]
    return half


@compiled
def _solve_mean(n, scratch):  # type: ignore[no-untyped-def]
    """Solve for the conditional mean; returns the linear term's square in the metric of the covariance."""
    a, mean, square = scratch.precision, scratch.mean, 0.0
    for i in range(n):
        mean[i] = scratch.linear[i]
        for k in range(i):
            mean[i] -= a[i, k] * mean[k]
        mean[i] /= a[i, i]
        square += mean[i] * mean[i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            mean[i] -= a[k, i] * mean[k]
        mean[i] /= a[i, i]
    return square


@compiled
def _invert(n, scratch):  # type: ignore[no-untyped-def]
    """Compute the conditional covariance from the Cholesky factor, column by column."""
    a, c = scratch.precision, scratch.covariance
    for column in range(n):
        for i in range(column, n):
            total = 1.0 if i == column else 0.0
            for k in range(column, i):
                total -= a[i, k] * c[k, column]
            c[i, column] = total / a[i, i]
        for i in range(n - 1, column - 1, -1):
            total = c[i, column]
            for k in range(i + 1, n):
                total -= a[k, i] * c[k, column]
            c[i, column] = total / a[i, i]
        for i in range(column, n):
            c[column, i] = c[i, column]


@compiled
def _add_moments(net, families, configs, values, row, weight, scratch, moments):  # type: ignore[no-untyped-def]
    """Add a row's expected moments of (1, parents, child) to those of its families."""
    place = scratch.place
    for k in range(len(families)):
        f = families[k]
        count = _read_family(net, f, values, row, scratch)
        at = net.moment_offset[f] + configs[k] * ((count + 1) * (count + 2) // 2)
        for j in range(count):
            if place[scratch.member[j]] >= 0:
                scratch.value[j] = scratch.mean[place[scratch.member[j]]]
        moments[at] += weight
        at += 1
        for i in range(count):
            p = place[scratch.member[i]]
            moments[at] += weight * scratch.value[i]
            at += 1
            for j in range(i + 1):
                q = place[scratch.member[j]]
                product = scratch.value[i] * scratch.value[j]
                if p >= 0 and q >= 0:
                    product += scratch.covariance[p, q]
                moments[at] += weight * product
                at += 1


@entry_point
def sweep(  # type: ignore[no-untyped-def]
    net, kinds, tasks, low, high, parameters, values, shares, log_density, moments, is_single
):  # fmt: skip
    """Integrate the missing continuous variables of some tasks out; add what they say to the moments, in place.

    Parameters
    ----------
    net : GaussianArrays
        The continuous families.
    kinds : Kinds
        What tasks of a kind have in common.
    tasks : Tasks
        Rows, or parts of rows; those from ``low`` to ``high`` are worked on.
    parameters : float64 ndarray
        Intercept, coefficients and variance of each family under each configuration of its discrete parents.
    values : float64 ndarray of shape (n_rows, n_nodes)
        Rows; what stands where a value is missing is not read.
    shares : float64 ndarray of shape (n_entries,)
        Probability of each task's configurations; empty where only densities are wanted.
    log_density : float64 ndarray of shape (n_entries,)
        Written: natural log of the density of the observed values under each configuration; not where it is empty.
    moments : float64 ndarray
        Added to: expected moments of (1, parents, child), lower triangle row by row.
    is_single : bool
        Whether tasks have one configuration each, whose share is 1.
    """
    scratch = make_scratch(len(net.offset) - 1)
    for t in range(low, high):
        kind, row = tasks.kind[t], tasks.row[t]
        nodes = kinds.node[kinds.node_first[kind] : kinds.node_first[kind + 1]]
        families = kinds.family[kinds.family_first[kind] : kinds.family_first[kind + 1]]
        n, n_families = len(nodes), len(families)
        for i in range(n):
            scratch.place[nodes[i]] = i
        first = tasks.entry_first[t]
        for d in range(tasks.entry_first[t + 1] - first):
            share = 1.0 if is_single or len(shares) == 0 else shares[first + d]
            if share == 0.0:
                continue
            at = kinds.config_first[kind] + d * n_families
            configs = kinds.config[at : at + n_families]
            constant, log_scale = _assemble(net, families, configs, parameters, values, row, n, scratch)
            half = _factorize(n, scratch)
            square = _solve_mean(n, scratch) if half > -np.inf else np.nan
            if len(log_density) > 0:
                log_density[first + d] = -0.5 * (log_scale + constant - square) - half + 0.5 * n * LOG_TWO_PI
            if len(moments) > 0:
                _invert(n, scratch)
                _add_moments(net, families, configs, values, row, tasks.weight[t] * share, scratch, moments)
        for i in range(n):
            scratch.place[nodes[i]] = -1


@entry_point
def complete_rows(net, kinds, tasks, low, high, parameters, values, normals, deviations):  # type: ignore[no-untyped-def]
    """Fill the missing values of some rows, each with one configuration, in place.

    Parameters
    ----------
    net, kinds, tasks, low, high, parameters
        As in `sweep`.
    values : float64 ndarray of shape (n_rows, n_nodes)
        Written where a value is missing: its conditional mean, or a draw.
    normals : float64 ndarray of shape (n_rows, n_nodes)
        Standard normal numbers from which draws are made; means are wanted where it is empty.
    deviations : float64 ndarray of shape (n_rows, n_nodes)
        Written where a value is missing: its conditional standard deviation.
    """
    scratch = make_scratch(len(net.offset) - 1)
    for t in range(low, high):
        kind, row = tasks.kind[t], tasks.row[t]
        nodes = kinds.node[kinds.node_first[kind] : kinds.node_first[kind + 1]]
        families = kinds.family[kinds.family_first[kind] : kinds.family_first[kind + 1]]
        n = len(nodes)
        for i in range(n):
            scratch.place[nodes[i]] = i
        at = kinds.config_first[kind]
        _assemble(net, families, kinds.config[at : at + len(families)], parameters, values, row, n, scratch)
        _factorize(n, scratch)
        _solve_mean(n, scratch)
        _invert(n, scratch)
        if len(normals) > 0:  # with the precision L L', the solution of L' x = z has its inverse as covariance
            for i in range(n - 1, -1, -1):
                scratch.linear[i] = normals[row, nodes[i]]
                for k in range(i + 1, n):
                    scratch.linear[i] -= scratch.precision[k, i] * scratch.linear[k]
                scratch.linear[i] /= scratch.precision[i, i]
                scratch.mean[i] += scratch.linear[i]
        for i in range(n):
            values[row, nodes[i]] = scratch.mean[i]
            deviations[row, nodes[i]] = np.sqrt(scratch.covariance[i, i])
            scratch.place[nodes[i]] = -1
