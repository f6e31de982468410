"""The two sweeps as compiled loops, over one section of a packed graph. Importing this module needs numba.

Few arguments and plain loops: what a new user waits for at the first fit is the
compilation of these functions, which is then kept on disk. They release the GIL, so that
sections run side by side in threads. What runs often is written out in place: numba counts
references to every array that a helper takes, which costs more than the helper's work.
"""

from collections.abc import Callable

import numba
import numpy as np

from pgmpy_em_ext.e_step.exact.sweep import SMALLEST_SCALE

_SMALLEST_SUM = 1e-280
"""Sums of a column below this may have lost digits as entries of a normalised message; they are added up again."""


def _compiled(function: Callable) -> Callable:
    """Compile at the first call; keep the machine code where some folder can be written to."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba finds no folder for its cache
        return numba.njit(nogil=True, error_model="numpy")(function)


@_compiled
def _rescale(values, table, at, step, steps, sources, shapes, template, templates):  # type: ignore[no-untyped-def]
    """Compute one step's table in logarithms, relative to its largest cell; returns the logarithm of that."""
    shape, j, out = steps[step, 0], steps[step, 1], steps[step, 2]
    n_inputs, card, size, q = shapes[shape, 0], shapes[shape, 1], shapes[shape, 2], shapes[shape, 3]
    highest = -np.inf
    for i in range(card * size):
        total = 0.0
        for factor in range(n_inputs):
            total += np.log(values[sources[j + factor] + templates[template[q + factor] + i]])
        table[at + i] = total
        highest = max(highest, total)
    for i in range(size):
        values[out + i] = 0.0
    for i in range(card * size):
        table[at + i] = np.exp(table[at + i] - highest) if highest > -np.inf else 0.0
        values[out + i % size] += table[at + i]
    return highest


@_compiled
def forward(values, table, scale, shift, runs, steps, sources, shapes, template, templates):  # type: ignore[no-untyped-def]
    """Compute the messages of some runs of steps: `sweep.forward` for one section.

    Parameters
    ----------
    values, table, scale, shift : float64 ndarrays
        What is written: messages, products, their sums, and logarithms taken out of them.
    runs : int64 ndarray of shape (n_runs, 4)
        First step and end, first table cell and end.
    steps, sources, shapes, template, templates
        As in `Section` and `PackedGraph`.
    """
    for run in range(runs.shape[0]):
        at = runs[run, 2]
        for t in range(runs[run, 0], runs[run, 1]):
            shape, j, out = steps[t, 0], steps[t, 1], steps[t, 2]
            n_inputs, card, size, q = shapes[shape, 0], shapes[shape, 1], shapes[shape, 2], shapes[shape, 3]
            cells = card * size
            v0, t0 = sources[j], template[q]
            if n_inputs == 1:
                for i in range(cells):
                    table[at + i] = values[v0 + templates[t0 + i]]
            elif n_inputs == 2:
                v1, t1 = sources[j + 1], template[q + 1]
                for i in range(cells):
                    table[at + i] = values[v0 + templates[t0 + i]] * values[v1 + templates[t1 + i]]
            else:
                v1, t1, v2, t2 = sources[j + 1], template[q + 1], sources[j + 2], template[q + 2]
                for i in range(cells):
                    product = values[v0 + templates[t0 + i]] * values[v1 + templates[t1 + i]]
                    table[at + i] = product * values[v2 + templates[t2 + i]]
                for factor in range(3, n_inputs):
                    v1, t1 = sources[j + factor], template[q + factor]
                    for i in range(cells):
                        table[at + i] *= values[v1 + templates[t1 + i]]
            total = 0.0
            for i in range(size):
                column = table[at + i]
                for x in range(1, card):
                    column += table[at + x * size + i]
                values[out + i] = column
                total += column
            shift[t] = 0.0
            if total < SMALLEST_SCALE:
                shift[t] = _rescale(values, table, at, t, steps, sources, shapes, template, templates)
                total = 0.0
                for i in range(size):
                    total += values[out + i]
            scale[t] = total
            if total > 0:
                for i in range(size):
                    values[out + i] /= total
            at += cells


@_compiled
def reverse(values, adjoint, table, scale, runs, steps, sources, shapes, template, templates):  # type: ignore[no-untyped-def]
    """Hand adjoints back through some runs of steps: `sweep.reverse` for one section.

    Parameters
    ----------
    values, table, scale
        What `forward` has left; overwritten.
    adjoint : float64 ndarray
        The weights of the roots, where their messages stand, and what later sections have
        handed back; the expected weight of every value is added.
    runs, steps, sources, shapes, template, templates
        As in `forward`.
    """
    for run in range(runs.shape[0] - 1, -1, -1):
        at = runs[run, 3]
        for t in range(runs[run, 1] - 1, runs[run, 0] - 1, -1):
            shape, j, out = steps[t, 0], steps[t, 1], steps[t, 2]
            n_inputs, card, size, q = shapes[shape, 0], shapes[shape, 1], shapes[shape, 2], shapes[shape, 3]
            cells = card * size
            at -= cells
            for i in range(size):
                column = values[out + i] * scale[t]
                if column < _SMALLEST_SUM:
                    column = 0.0
                    for x in range(card):
                        column += table[at + x * size + i]
                    if 0 < column < _SMALLEST_SUM:  # the ratio below could overflow
                        for x in range(card):
                            table[at + x * size + i] /= column
                        column = 1.0
                values[out + i] = adjoint[out + i] / column if column > 0 else 0.0
            for x in range(card):
                for i in range(size):
                    table[at + x * size + i] *= values[out + i]
            v0, t0 = sources[j], template[q]
            if n_inputs == 1:
                for i in range(cells):
                    adjoint[v0 + templates[t0 + i]] += table[at + i]
            else:
                v1, t1 = sources[j + 1], template[q + 1]
                for i in range(cells):
                    adjoint[v0 + templates[t0 + i]] += table[at + i]
                    adjoint[v1 + templates[t1 + i]] += table[at + i]
                for factor in range(2, n_inputs):
                    v0, t0 = sources[j + factor], template[q + factor]
                    for i in range(cells):
                        adjoint[v0 + templates[t0 + i]] += table[at + i]
