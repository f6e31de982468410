"""Missing continuous variables integrated out: compiled.

A family with the members v = (child, parents) says that a'v - b has variance s, with a = (1, -coefficients). Over the
missing members, the sum of these quadratic forms is a normal distribution in its precision form, whose size is the
number of missing variables, however many are observed. Its precision depends on what is missing and on the discrete
parents' states, not on the values: rows of a kind share its factor, and what is left to do for each is vectorised.

Importing it needs numba.

References
----------
Lauritzen & Jensen (2001), Stable local computation with conditional Gaussian distributions, Statistics and Computing
11. Rue & Held (2005), Gaussian Markov Random Fields, section 2.2 (the precision form).
"""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.compiling import compiled, compiled_inline, compiled_sum, entry_point
from pgmpy_em_ext.types import FloatArray, IntArray

LOG_TWO_PI = float(np.log(2 * np.pi))

SMALLEST_LOG = -745.2
"""Numbers below this have an exponential of zero."""

CANCELLED = 1e-6
"""Part of its terms that a sum must have, for enough digits to be left."""

N_REFINEMENTS = 4
"""Times that conditional means are solved for again, where variances are of very different sizes."""

N_SIDE_BY_SIDE = 256
"""Rows worked on together: few enough that the values of a hundred variables stay in a core's cache."""


class Scratch(NamedTuple):
    """Room for some rows of a kind under one configuration.

    Attributes
    ----------
    precision, covariance : float64 ndarrays of shape (n_nodes, n_nodes)
        Of the missing variables; the former becomes its Cholesky factor.
    place : int64 ndarray of shape (n_nodes,)
        Number of each variable among the missing ones; -1 where observed.
    linear, mean : float64 ndarrays of shape (n_nodes, N_SIDE_BY_SIDE)
        Linear term, then its whitened form, and conditional mean of the missing variables.
    residual, square, weighted : float64 ndarrays of shape (N_SIDE_BY_SIDE,) at least
        Working space.
    number, at : int64 ndarrays of shape (n_nodes,)
        Of a family's missing members: their numbers, and where they stand in it, the child last.
    slope : float64 ndarray of shape (n_nodes,)
        Their coefficients in its residual.
    """

    precision: FloatArray
    covariance: FloatArray
    place: IntArray
    linear: FloatArray
    mean: FloatArray
    residual: FloatArray
    square: FloatArray
    weighted: FloatArray
    number: IntArray
    at: IntArray
    slope: FloatArray


@compiled
def make_scratch(n_nodes):  # type: ignore[no-untyped-def]
    """Make room for rows in which every variable is missing."""
    return Scratch(
        np.empty((n_nodes, n_nodes)),
        np.empty((n_nodes, n_nodes)),
        np.full(n_nodes, -1, dtype=np.int64),
        np.empty((n_nodes, N_SIDE_BY_SIDE)),
        np.empty((n_nodes, N_SIDE_BY_SIDE)),
        np.empty(N_SIDE_BY_SIDE),
        np.empty(N_SIDE_BY_SIDE),
        np.empty(max(n_nodes, N_SIDE_BY_SIDE)),
        np.empty(n_nodes, dtype=np.int64),
        np.empty(n_nodes, dtype=np.int64),
        np.empty(n_nodes),
    )


@compiled_inline
def _find_missing(parent, first, last, f, parameters, base, place, number, at, slope):  # type: ignore[no-untyped-def]
    """List a family's missing members: numbers, places and coefficients, of which the child's is 1; returns how many.

    Loops over families take arrays out of their tuples first: within a loop each look into a tuple counts references.
    """
    found = 0
    for j in range(first, last):
        p = place[parent[j]]
        if p >= 0:
            number[found] = p
            at[found] = j - first
            slope[found] = -parameters[base + 1 + j - first]
            found += 1
    if place[f] >= 0:
        number[found] = place[f]
        at[found] = last - first
        slope[found] = 1.0
        found += 1
    return found


@compiled
def _assemble(net, families, configs, parameters, n_missing, scratch):  # type: ignore[no-untyped-def]
    """Add up the families' precisions over the missing variables, which ``scratch.place`` numbers.

    Returns
    -------
    float
        Sum of the logarithms of 2 pi times the variances.
    """
    parent_first, parent, offset = net.parent_first, net.parent, net.offset
    precision, place, number, at, slope = scratch.precision, scratch.place, scratch.number, scratch.at, scratch.slope
    for i in range(n_missing):
        for j in range(n_missing):
            precision[i, j] = 0.0
    log_scale = 0.0
    for k in range(len(families)):
        f = families[k]
        first, last = parent_first[f], parent_first[f + 1]
        base = offset[f] + configs[k] * (last - first + 2)  # intercept, coefficients, variance
        variance = parameters[base + last - first + 1]
        log_scale += LOG_TWO_PI + np.log(variance)
        found = _find_missing(parent, first, last, f, parameters, base, place, number, at, slope)
        for i in range(found):
            for j in range(found):
                precision[number[i], number[j]] += slope[i] / variance * slope[j]
    return log_scale


@compiled
def _factorize(n, scratch):  # type: ignore[no-untyped-def]
    """Turn the precision into its Cholesky factor, in place; returns half its log-determinant.

    Zeros are skipped: missing variables that no family joins cost nothing together. -inf where a pivot has lost its
    digits to those before.
    """
    a, diagonal, half = scratch.precision, scratch.weighted, 0.0
    for j in range(n):
        diagonal[j] = a[j, j]
    for j in range(n):
        if not a[j, j] > CANCELLED * diagonal[j]:
            return -np.inf
        a[j, j] = np.sqrt(a[j, j])
        half += np.log(a[j, j])
        for i in range(j + 1, n):
            if a[i, j] != 0.0:
                a[i, j] /= a[j, j]
                for k in range(j + 1, i + 1):
                    a[i, k] -= a[i, j] * a[k, j]
    return half


@compiled
def _rotate_in(own, n, factor):  # type: ignore[no-untyped-def]
    """Add the square of a row to the matrix whose factor is given, by Givens rotations; the row is used up."""
    for j in range(n):
        if own[j] == 0.0:
            continue
        length = np.hypot(factor[j, j], own[j])
        cosine, sine = factor[j, j] / length, own[j] / length
        factor[j, j] = length
        for i in range(j + 1, n):
            above, below = factor[i, j], own[i]
            factor[i, j] = cosine * above + sine * below
            own[i] = cosine * below - sine * above


@compiled
def _triangulate(net, families, configs, parameters, n, scratch):  # type: ignore[no-untyped-def]
    """Compute the precision's factor as `_factorize` does, without the precision; -inf where it is singular.

    Each family's row of coefficients, over its standard deviation, is rotated into the factor. That keeps the digits
    of what families say loosely beside what others say sharply; their squares, added up, would lose them.
    """
    factor, own = scratch.precision, scratch.weighted
    parent_first, parent, offset = net.parent_first, net.parent, net.offset
    place, number, at, slope = scratch.place, scratch.number, scratch.at, scratch.slope
    for i in range(n):
        for j in range(n):
            factor[i, j] = 0.0
    for k in range(len(families)):
        f = families[k]
        first, last = parent_first[f], parent_first[f + 1]
        base = offset[f] + configs[k] * (last - first + 2)
        found = _find_missing(parent, first, last, f, parameters, base, place, number, at, slope)
        deviation = np.sqrt(parameters[base + last - first + 1])
        for i in range(n):
            own[i] = 0.0
        for i in range(found):
            own[number[i]] = slope[i] / deviation
        _rotate_in(own, n, factor)
    half = 0.0
    for j in range(n):
        if not factor[j, j] > 0.0:
            return -np.inf
        half += np.log(factor[j, j])
    return half


@compiled
def _invert(n, scratch):  # type: ignore[no-untyped-def]
    """Compute the conditional covariance from the Cholesky factor, row by row; zeros are skipped."""
    a, c = scratch.precision, scratch.covariance
    for column in range(n):
        own = c[column]
        for i in range(column, n):
            own[i] = 1.0 if i == column else 0.0
        for k in range(column, n):
            if own[k] != 0.0:
                own[k] /= a[k, k]
                for i in range(k + 1, n):
                    own[i] -= a[i, k] * own[k]
        for k in range(n - 1, column - 1, -1):
            if own[k] != 0.0:
                own[k] /= a[k, k]
                for i in range(column, k):
                    own[i] -= a[k, i] * own[k]
        for i in range(column, n):
            c[i, column] = own[i]


@compiled
def _values(node, values, row, n, place, mean):  # type: ignore[no-untyped-def]
    """View a variable's values in some rows; its conditional means where it is missing."""
    return values[node, row : row + n] if place[node] < 0 else mean[place[node], :n]


@compiled
def _find_residuals(net, f, base, parameters, values, row, n, with_means, scratch):  # type: ignore[no-untyped-def]
    """Write a family's residuals in some rows to ``scratch.residual``; missing values are their means, or 0."""
    residual, place, mean = scratch.residual, scratch.place, scratch.mean
    first, intercept = net.parent_first[f], parameters[base]
    if place[f] < 0 or with_means:
        value = _values(f, values, row, n, place, mean)
        for b in range(n):
            residual[b] = value[b] - intercept
    else:
        for b in range(n):
            residual[b] = -intercept
    for j in range(net.parent_first[f + 1] - first):
        parent = net.parent[first + j]
        if place[parent] < 0 or with_means:
            _subtract(residual, parameters[base + 1 + j], _values(parent, values, row, n, place, mean), n)


@compiled
def _add_residuals(  # type: ignore[no-untyped-def]
    net, families, configs, parameters, values, row, n, n_missing, with_means, scratch
):
    """Sum the linear terms of the rows, ``scratch.linear``: what residuals say.

    Missing values are their means, or 0.
    """
    parent_first, parent, offset = net.parent_first, net.parent, net.offset
    place, number, at, slope = scratch.place, scratch.number, scratch.at, scratch.slope
    for i in range(n_missing):
        linear = scratch.linear[i]
        for b in range(n):
            linear[b] = 0.0
    for k in range(len(families)):
        f = families[k]
        first, last = parent_first[f], parent_first[f + 1]
        base = offset[f] + configs[k] * (last - first + 2)
        found = _find_missing(parent, first, last, f, parameters, base, place, number, at, slope)
        if found == 0:
            continue
        inverse = 1.0 / parameters[base + last - first + 1]
        _find_residuals(net, f, base, parameters, values, row, n, with_means, scratch)
        for i in range(found):
            _subtract(scratch.linear[number[i]], inverse * slope[i], scratch.residual, n)


@compiled
def _add_squares(net, families, configs, parameters, values, row, n, scratch):  # type: ignore[no-untyped-def]
    """Sum the squared residuals over variances at the conditional means, ``scratch.square``.

    That is what the quadratic form has at its minimum. As a difference, of what it has at 0 and what the linear terms
    take off, it would lose all digits where variances are small.
    """
    residual, square = scratch.residual, scratch.square
    for b in range(n):
        square[b] = 0.0
    for k in range(len(families)):
        f = families[k]
        n_parents = net.parent_first[f + 1] - net.parent_first[f]
        base = net.offset[f] + configs[k] * (n_parents + 2)
        inverse = 1.0 / parameters[base + n_parents + 1]
        _find_residuals(net, f, base, parameters, values, row, n, True, scratch)
        for b in range(n):
            square[b] += inverse * residual[b] * residual[b]


@compiled_inline
def _residual_of_one(parent, first, last, f, parameters, base, values, row, place, mean):  # type: ignore[no-untyped-def]
    """Compute a family's residual in a single row, missing values taken from ``mean``."""
    residual = (values[f, row] if place[f] < 0 else mean[place[f], 0]) - parameters[base]
    for j in range(first, last):
        p = place[parent[j]]
        value = values[parent[j], row] if p < 0 else mean[p, 0]
        residual -= parameters[base + 1 + j - first] * value
    return residual


@compiled
def _add_residuals_of_one(net, families, configs, parameters, values, row, n_missing, scratch):  # type: ignore[no-untyped-def]
    """Sum a single row's residuals as `_add_residuals` does, without vectors, which cost more than they save."""
    parent_first, parent, offset = net.parent_first, net.parent, net.offset
    place, number, at, slope = scratch.place, scratch.number, scratch.at, scratch.slope
    linear, mean = scratch.linear, scratch.mean
    for i in range(n_missing):
        linear[i, 0] = mean[i, 0] = 0.0
    for k in range(len(families)):
        f = families[k]
        first, last = parent_first[f], parent_first[f + 1]
        base = offset[f] + configs[k] * (last - first + 2)
        found = _find_missing(parent, first, last, f, parameters, base, place, number, at, slope)
        if found > 0:
            residual = _residual_of_one(parent, first, last, f, parameters, base, values, row, place, mean)
            scaled = residual / parameters[base + last - first + 1]
            for i in range(found):
                linear[number[i], 0] -= slope[i] * scaled


@compiled
def _square_of_one(net, families, configs, parameters, values, row, scratch):  # type: ignore[no-untyped-def]
    """Sum a single row's squared residuals as `_add_squares` does."""
    parent_first, parent, offset = net.parent_first, net.parent, net.offset
    place, mean, square = scratch.place, scratch.mean, 0.0
    for k in range(len(families)):
        f = families[k]
        first, last = parent_first[f], parent_first[f + 1]
        base = offset[f] + configs[k] * (last - first + 2)
        residual = _residual_of_one(parent, first, last, f, parameters, base, values, row, place, mean)
        square += residual * residual / parameters[base + last - first + 1]
    scratch.square[0] = square


@compiled
def _solve_mean_of_one(n_missing, scratch):  # type: ignore[no-untyped-def]
    """Solve for a single row's conditional mean as `_solve_means` does."""
    factor, linear, mean = scratch.precision, scratch.linear, scratch.mean
    for i in range(n_missing):
        own = linear[i, 0]
        for k in range(i):
            own -= factor[i, k] * linear[k, 0]
        linear[i, 0] = own / factor[i, i]
    for i in range(n_missing - 1, -1, -1):
        own = linear[i, 0]
        for k in range(i + 1, n_missing):
            own -= factor[k, i] * mean[k, 0]
        mean[i, 0] = own / factor[i, i]


@compiled
def _condition(  # type: ignore[no-untyped-def]
    net, families, configs, parameters, values, row, n, n_missing, n_refinements, scratch
):
    """Write the conditional means of some rows.

    Where the factor was rotated, sharp residuals drown what loose ones say, until means are such that they are small:
    so what is left at the means is solved for again.
    """
    if n_missing > 0 and n == 1:
        _add_residuals_of_one(net, families, configs, parameters, values, row, n_missing, scratch)
        _solve_mean_of_one(n_missing, scratch)
    elif n_missing > 0:
        _add_residuals(net, families, configs, parameters, values, row, n, n_missing, False, scratch)
        _solve_means(n, n_missing, False, scratch)
    for _ in range(n_refinements):
        _add_residuals(net, families, configs, parameters, values, row, n, n_missing, True, scratch)
        _solve_means(n, n_missing, True, scratch)


@compiled
def _measure(net, families, configs, parameters, values, row, constant, log_density, scratch):  # type: ignore[no-untyped-def]
    """Write the log-densities of some rows, whose conditional means are known."""
    if len(log_density) == 1:
        _square_of_one(net, families, configs, parameters, values, row, scratch)
    else:
        _add_squares(net, families, configs, parameters, values, row, len(log_density), scratch)
    for b in range(len(log_density)):
        log_density[b] = constant - 0.5 * scratch.square[b]


@compiled
def _subtract(own, factor, other, n):  # type: ignore[no-untyped-def]
    """Subtract a multiple of one vector from another, in place; zeros are skipped."""
    if factor != 0.0:
        for b in range(n):
            own[b] -= factor * other[b]


@compiled
def _solve_means(n, n_missing, is_change, scratch):  # type: ignore[no-untyped-def]
    """Write the rows' conditional means, or add what they are to change by.

    By the Cholesky factor, not by the covariance, which would lose half the digits where variances are small.
    """
    factor, linear, mean = scratch.precision, scratch.linear, scratch.mean
    for i in range(n_missing):
        own, inverse = linear[i], 1.0 / factor[i, i]
        for k in range(i):
            _subtract(own, factor[i, k], linear[k], n)
        for b in range(n):
            own[b] *= inverse
    for i in range(n_missing - 1, -1, -1):
        own, inverse, found = linear[i], 1.0 / factor[i, i], mean[i]
        for k in range(i + 1, n_missing):
            _subtract(own, factor[k, i], linear[k], n)
        for b in range(n):
            own[b] *= inverse
            found[b] = found[b] + own[b] if is_change else own[b]


@compiled_sum
def _product(one, other, n):  # type: ignore[no-untyped-def]
    """Sum the products of two vectors; in several sums at once, which the order of additions is left open for."""
    total = 0.0
    for b in range(n):
        total += one[b] * other[b]
    return total


@compiled_sum
def _weigh(shares, value, weighted, n):  # type: ignore[no-untyped-def]
    """Write the products of shares and values; returns their sum, and that of shares times squares."""
    total, square = 0.0, 0.0
    for b in range(n):
        product = shares[b] * value[b]
        weighted[b] = product
        total += product
        square += product * value[b]
    return total, square


@compiled_sum
def _total(one, n):  # type: ignore[no-untyped-def]
    """Sum a vector, as `_product` does."""
    total = 0.0
    for b in range(n):
        total += one[b]
    return total


@compiled
def _add_moments_of_one(net, families, configs, parameters, values, row, share, scratch, moments):  # type: ignore[no-untyped-def]
    """Add a single row's moments as `_add_moments` does, without vectors, which cost more than they save."""
    parent_first, parent, offset, moment_offset = net.parent_first, net.parent, net.offset, net.moment_offset
    place, mean, own = scratch.place, scratch.mean, scratch.weighted
    for k in range(len(families)):
        f = families[k]
        first, last = parent_first[f], parent_first[f + 1]
        n_parents = last - first
        base = offset[f] + configs[k] * (n_parents + 2)
        at = moment_offset[f] + configs[k] * ((n_parents + 2) * (n_parents + 3) // 2)
        moments[at] += share
        at += 1
        for i in range(n_parents + 1):
            if i == n_parents:
                own[i] = _residual_of_one(parent, first, last, f, parameters, base, values, row, place, mean)
            else:
                node = parent[first + i]
                own[i] = values[node, row] if place[node] < 0 else mean[place[node], 0]
            moments[at] += share * own[i]
            at += 1
            for j in range(i + 1):
                moments[at] += share * own[i] * own[j]
                at += 1


@compiled
def _add_moments(net, families, configs, parameters, values, row, shares, scratch, moments):  # type: ignore[no-untyped-def]
    """Add the rows' moments of (1, parents, residual), at their conditional means; returns the sum of the shares."""
    if len(shares) == 1:
        _add_moments_of_one(net, families, configs, parameters, values, row, shares[0], scratch, moments)
        return shares[0]
    weighted, place, mean, n = scratch.weighted, scratch.place, scratch.mean, len(shares)
    total = _total(shares, n)
    for k in range(len(families)):
        f = families[k]
        first = net.parent_first[f]
        n_parents = net.parent_first[f + 1] - first
        at = net.moment_offset[f] + configs[k] * ((n_parents + 2) * (n_parents + 3) // 2)
        moments[at] += total
        at += 1
        for i in range(n_parents + 1):
            if i == n_parents:
                base = net.offset[f] + configs[k] * (n_parents + 2)
                _find_residuals(net, f, base, parameters, values, row, n, True, scratch)
                weight, square = _weigh(shares, scratch.residual, weighted, n)
            else:
                value = _values(net.parent[first + i], values, row, n, place, mean)
                weight, square = _weigh(shares, value, weighted, n)
            moments[at] += weight
            for j in range(i):
                other = _values(net.parent[first + j], values, row, n, place, mean)
                moments[at + 1 + j] += _product(weighted, other, n)
            moments[at + 1 + i] += square
            at += i + 2
    return total


@compiled
def _add_covariances(net, families, configs, parameters, total, n_missing, scratch, moments):  # type: ignore[no-untyped-def]
    """Add the conditional covariances, once for all rows that share them, to the moments."""
    parent_first, parent, offset, moment_offset = net.parent_first, net.parent, net.offset, net.moment_offset
    covariance, place, along = scratch.covariance, scratch.place, scratch.weighted
    number, at, slope = scratch.number, scratch.at, scratch.slope
    for k in range(len(families)):
        f = families[k]
        first, last = parent_first[f], parent_first[f + 1]
        n_parents = last - first
        base = offset[f] + configs[k] * (n_parents + 2)
        found = _find_missing(parent, first, last, f, parameters, base, place, number, at, slope)
        if found == 0:
            continue
        begin = moment_offset[f] + configs[k] * ((n_parents + 2) * (n_parents + 3) // 2)
        of_residual = begin + (n_parents + 1) * (n_parents + 2) // 2 + 1
        variance, size = 0.0, 0.0
        for i in range(found):
            along[i] = 0.0
            for j in range(found):
                along[i] += covariance[number[i], number[j]] * slope[j]
            variance += slope[i] * along[i]
            size += slope[i] * slope[i] * covariance[number[i], number[i]]
        if variance < CANCELLED * size:
            variance = _variance_along(found, number, slope, n_missing, scratch)
        moments[of_residual + n_parents] += total * variance
        for i in range(found):
            if at[i] == n_parents:
                continue
            moments[of_residual + at[i]] += total * along[i]
            behind = begin + (at[i] + 1) * (at[i] + 2) // 2 + 1  # the products of those before, and with the constant
            for j in range(i + 1):
                moments[behind + at[j]] += total * covariance[number[i], number[j]]


@compiled
def _variance_along(found, number, slope, n_missing, scratch):  # type: ignore[no-untyped-def]
    """Compute the conditional variance of a residual by the Cholesky factor.

    As a sum of squares, where what the covariances add up to would be rounding: a child that its parents all but
    determine is missing together with them.
    """
    factor, own = scratch.precision, scratch.linear
    for i in range(n_missing):
        own[i, 0] = 0.0
    for i in range(found):
        own[number[i], 0] = slope[i]
    total = 0.0
    for i in range(n_missing):
        for k in range(i):
            own[i, 0] -= factor[i, k] * own[k, 0]
        own[i, 0] /= factor[i, i]
        total += own[i, 0] * own[i, 0]
    return total


@compiled
def _prepare(net, nodes, families, configs, parameters, scratch):  # type: ignore[no-untyped-def]
    """Factorise what all rows of a kind share under a configuration.

    Returns
    -------
    constant : float
        Of their log-densities; NaN where it fails.
    n_refinements : int
        How often their means are to be refined.
    """
    n, n_refinements = len(nodes), 0
    log_scale = _assemble(net, families, configs, parameters, n, scratch)
    half = _factorize(n, scratch)
    if half == -np.inf:
        half, n_refinements = _triangulate(net, families, configs, parameters, n, scratch), N_REFINEMENTS
    if half == -np.inf:
        return np.nan, 0
    return 0.5 * n * LOG_TWO_PI - 0.5 * log_scale - half, n_refinements


@compiled
def _number(nodes, scratch):  # type: ignore[no-untyped-def]
    """Give the missing variables of a kind their numbers."""
    for i in range(len(nodes)):
        scratch.place[nodes[i]] = i


@compiled
def _forget(nodes, scratch):  # type: ignore[no-untyped-def]
    """Undo `_number`."""
    for i in range(len(nodes)):
        scratch.place[nodes[i]] = -1


@entry_point
def sweep(net, kinds, low, high, parameters, values, shares, log_density, moments):  # type: ignore[no-untyped-def]
    """Integrate the missing continuous variables of some tasks out; add what they say to the moments, in place.

    Parameters
    ----------
    net : GaussianArrays
        The continuous families.
    kinds : Kinds
        What tasks of a kind have in common.
    low, high : int
        Which tasks to work on.
    parameters : float64 ndarray
        Intercept, coefficients and variance of each family under each configuration of its discrete parents.
    values : float64 ndarray of shape (n_nodes, n_rows)
        By variable, those of a kind side by side; what stands where a value is missing is not read.
    shares : float64 ndarray of shape (n_entries,)
        Expected records of each task under each of its configurations; not read where ``moments`` is empty.
    log_density : float64 ndarray of shape (n_entries,)
        Written: natural log of the density of the observed values under each configuration; not where it is empty.
    moments : float64 ndarray
        Added to: expected moments of (1, parents, residual), lower triangle row by row; not where it is empty.
    """
    scratch = make_scratch(len(net.offset) - 1)
    n_kinds = len(kinds.task_first) - 1
    kind = np.searchsorted(kinds.task_first, low, side="right") - 1
    while kind < n_kinds and kinds.task_first[kind] < high:
        nodes = kinds.node[kinds.node_first[kind] : kinds.node_first[kind + 1]]
        families = kinds.family[kinds.family_first[kind] : kinds.family_first[kind + 1]]
        n_missing, n_families = len(nodes), len(families)
        _number(nodes, scratch)
        first, last = max(low, kinds.task_first[kind]), min(high, kinds.task_first[kind + 1])
        shift = kinds.entry_first[kind] - kinds.task_first[kind]
        for d in range(kinds.n_configs[kind]):
            at = kinds.config_first[kind] + d * n_families
            configs = kinds.config[at : at + n_families]
            constant, n_refinements = _prepare(net, nodes, families, configs, parameters, scratch)
            total = 0.0
            for start in range(first, last, N_SIDE_BY_SIDE):
                n = min(start + N_SIDE_BY_SIDE, last) - start
                entry = start + shift + d * kinds.entry_stride[kind]
                row = start - kinds.task_first[kind] + kinds.row_first[kind]
                _condition(net, families, configs, parameters, values, row, n, n_missing, n_refinements, scratch)
                if len(log_density) > 0:
                    own = log_density[entry : entry + n]
                    _measure(net, families, configs, parameters, values, row, constant, own, scratch)
                if len(moments) > 0:
                    own_shares = shares[entry : entry + n]
                    total += _add_moments(net, families, configs, parameters, values, row, own_shares, scratch, moments)
            if len(moments) > 0 and n_missing > 0:
                _invert(n_missing, scratch)
                _add_covariances(net, families, configs, parameters, total, n_missing, scratch, moments)
        _forget(nodes, scratch)
        kind += 1


@compiled
def _solve_transposed(nodes, normals, deviation, scratch):  # type: ignore[no-untyped-def]
    """Turn standard normal numbers z into a draw: with the precision L L', the covariance of L'^-1 z is its inverse."""
    n = len(nodes)
    for i in range(n - 1, -1, -1):
        deviation[i] = normals[nodes[i]]
        for k in range(i + 1, n):
            deviation[i] -= scratch.precision[k, i] * deviation[k]
        deviation[i] /= scratch.precision[i, i]


@entry_point
def complete_rows(net, kinds, parameters, values, shares, normals, center, mean, square):  # type: ignore[no-untyped-def]
    """Sum what the configurations say of the missing values: their conditional means and squares, or draws.

    Parameters
    ----------
    net, kinds, parameters, values
        As in `sweep`.
    shares : float64 ndarray of shape (n_entries,)
        Probability of each task's configurations.
    normals : float64 ndarray of shape (n_nodes, n_rows)
        Standard normal numbers from which draws are made; means are wanted where it is empty.
    center : float64 ndarray of shape (n_nodes, n_rows)
        From where squares are measured.
    mean, square : float64 ndarrays of shape (n_nodes, n_rows)
        Added to, where a value is missing: its conditional mean, or a draw; and its expected squared distance from the
        center.
    """
    scratch = make_scratch(len(net.offset) - 1)
    deviation = np.zeros(len(net.offset) - 1)
    for kind in range(len(kinds.task_first) - 1):
        nodes = kinds.node[kinds.node_first[kind] : kinds.node_first[kind + 1]]
        families = kinds.family[kinds.family_first[kind] : kinds.family_first[kind + 1]]
        n_missing, n_families = len(nodes), len(families)
        _number(nodes, scratch)
        shift = kinds.entry_first[kind] - kinds.task_first[kind]
        for d in range(kinds.n_configs[kind]):
            at = kinds.config_first[kind] + d * n_families
            configs = kinds.config[at : at + n_families]
            _, n_refinements = _prepare(net, nodes, families, configs, parameters, scratch)
            _invert(n_missing, scratch)
            for start in range(kinds.task_first[kind], kinds.task_first[kind + 1], N_SIDE_BY_SIDE):
                n = min(start + N_SIDE_BY_SIDE, kinds.task_first[kind + 1]) - start
                row = start - kinds.task_first[kind] + kinds.row_first[kind]
                _condition(net, families, configs, parameters, values, row, n, n_missing, n_refinements, scratch)
                for b in range(n):
                    share = shares[start + b + shift + d * kinds.entry_stride[kind]]
                    if len(normals) > 0:
                        _solve_transposed(nodes, normals[:, row + b], deviation, scratch)
                    for i in range(n_missing):
                        found = scratch.mean[i, b] + deviation[i]
                        mean[nodes[i], row + b] += share * found
                        off = found - center[nodes[i], row + b]
                        square[nodes[i], row + b] += share * (scratch.covariance[i, i] + off * off)
        _forget(nodes, scratch)


@compiled
def _exponentiate(values, largest, n):  # type: ignore[no-untyped-def]
    """Take the exponential of what values are below the largest, in place; at no cost where it is 1 or 0."""
    for b in range(n):
        below = values[b] - largest[b]
        if below == 0.0:
            values[b] = 1.0
        elif below < SMALLEST_LOG:
            values[b] = 0.0
        else:
            values[b] = np.exp(below)


@compiled
def _under(d, precision, mean, scratch):  # type: ignore[no-untyped-def]
    """Give a configuration its own Cholesky factor and conditional means."""
    return Scratch(
        precision[d],
        scratch.covariance,
        scratch.place,
        scratch.linear,
        mean[d],
        scratch.residual,
        scratch.square,
        scratch.weighted,
        scratch.number,
        scratch.at,
        scratch.slope,
    )


@compiled
def _share_out(joint, log_prior, pattern, weight, largest, total, log_likelihood):  # type: ignore[no-untyped-def]
    """Sum over the configurations of some rows: log-densities, ``joint``, become expected records."""
    n_configs, n = len(joint), len(pattern)
    for b in range(n):
        largest[b] = -np.inf
        total[b] = 0.0
    for d in range(n_configs):
        own = joint[d]
        _add_prior(own, log_prior[d], pattern)
        for b in range(n):
            largest[b] = own[b] if own[b] > largest[b] else largest[b]
    for d in range(n_configs):
        own = joint[d]
        _exponentiate(own, largest, n)
        for b in range(n):
            total[b] += own[b]
    for b in range(n):
        log_likelihood[b] = np.log(total[b]) + largest[b]
        total[b] = weight[b] / total[b]
    for d in range(n_configs):
        own = joint[d]
        for b in range(n):
            own[b] *= total[b]


@compiled
def _add_prior(log_density, log_prior, pattern):  # type: ignore[no-untyped-def]
    """Add to some rows' log-densities under a configuration its log-probability, by the rows' patterns."""
    if len(log_prior) == 1:
        only = log_prior[0]
        for b in range(len(pattern)):
            log_density[b] += only
    else:
        for b in range(len(pattern)):
            log_density[b] += log_prior[pattern[b]]


@compiled
def _add_by_pattern(shares, pattern, records):  # type: ignore[no-untyped-def]
    """Add some rows' expected records to those of their patterns."""
    if len(records) == 1:
        records[0] += _total(shares, len(shares))
    else:
        for b in range(len(shares)):
            records[pattern[b]] += shares[b]


@entry_point
def sweep_directly(  # type: ignore[no-untyped-def]
    net, kinds, low, high, parameters, values, log_prior, pattern, weight, shares, log_likelihood, records, moments
):
    """Integrate the missing continuous variables of some tasks out, and sum over their missing discrete ones.

    Parameters
    ----------
    net, kinds, low, high, parameters, values
        As in `sweep`; tasks of a single direct group.
    log_prior : float64 ndarray of shape (n_configs, n_patterns)
        Log-probability of each configuration, together with what is observed and discrete.
    pattern : int64 ndarray of shape (high - low,)
        The column of the prior that each task has.
    weight : float64 ndarray of shape (high - low,)
        In records.
    shares : float64 ndarray of shape (n_entries,)
        Written, unless it is empty: expected records of each task under each configuration.
    log_likelihood : float64 ndarray of shape (high - low,)
        Written: in nats; not finite for impossible rows, which get no records.
    records : float64 ndarray of shape (n_configs, n_patterns)
        Added to: expected records by pattern.
    moments : float64 ndarray
        Added to, as in `sweep`.
    """
    n_configs = len(log_prior)
    scratch = make_scratch(len(net.offset) - 1)
    largest, total = np.empty(N_SIDE_BY_SIDE), np.empty(N_SIDE_BY_SIDE)
    constants, totals, n_refinements = np.empty(n_configs), np.empty(n_configs), np.empty(n_configs, dtype=np.int64)
    joint = np.empty((n_configs, N_SIDE_BY_SIDE))
    kind = np.searchsorted(kinds.task_first, low, side="right") - 1
    end = np.searchsorted(kinds.task_first, high)
    room = (kinds.node_first[kind + 1 : end + 1] - kinds.node_first[kind:end]).max()
    precision, mean = np.empty((n_configs, room, room)), np.empty((n_configs, room, N_SIDE_BY_SIDE))
    for k in range(kind, end):
        nodes = kinds.node[kinds.node_first[k] : kinds.node_first[k + 1]]
        families = kinds.family[kinds.family_first[k] : kinds.family_first[k + 1]]
        n_missing, n_families = len(nodes), len(families)
        _number(nodes, scratch)
        configs = kinds.config[kinds.config_first[k] : kinds.config_first[k] + n_configs * n_families]
        configs = configs.reshape((n_configs, n_families))
        for d in range(n_configs):
            own = _under(d, precision, mean, scratch)
            constants[d], n_refinements[d] = _prepare(net, nodes, families, configs[d], parameters, own)
            totals[d] = 0.0
        first, last = max(low, kinds.task_first[k]), min(high, kinds.task_first[k + 1])
        for start in range(first, last, N_SIDE_BY_SIDE):
            n = min(start + N_SIDE_BY_SIDE, last) - start
            row = start - kinds.task_first[k] + kinds.row_first[k]
            for d in range(n_configs):
                own = _under(d, precision, mean, scratch)
                _condition(net, families, configs[d], parameters, values, row, n, n_missing, n_refinements[d], own)
                _measure(net, families, configs[d], parameters, values, row, constants[d], joint[d, :n], own)
            own_pattern = pattern[start - low : start - low + n]
            own_weight = weight[start - low : start - low + n]
            own_log_likelihood = log_likelihood[start - low : start - low + n]
            _share_out(joint, log_prior, own_pattern, own_weight, largest, total, own_log_likelihood)
            for d in range(n_configs):
                own = _under(d, precision, mean, scratch)
                found = joint[d, :n]
                totals[d] += _add_moments(net, families, configs[d], parameters, values, row, found, own, moments)
                _add_by_pattern(found, own_pattern, records[d])
                if len(shares) > 0:
                    entry = kinds.entry_first[k] + d * kinds.entry_stride[k] + start - kinds.task_first[k]
                    shares[entry : entry + n] = found
        if n_missing > 0:
            for d in range(n_configs):
                own = _under(d, precision, mean, scratch)
                _invert(n_missing, own)
                _add_covariances(net, families, configs[d], parameters, totals[d], n_missing, own, moments)
        _forget(nodes, scratch)
