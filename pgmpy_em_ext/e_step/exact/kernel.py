"""The two sweeps as compiled loops, over one section of a packed graph. Importing this module needs numba.

Few arguments and plain loops: what a new user waits for at the first fit is the
compilation of these functions, which is then kept on disk. They release the GIL, so that
sections run side by side in threads. What runs often is written out in place: numba counts
references to every array that a helper takes, which costs more than the helper's work.
"""

import numpy as np

from pgmpy_em_ext.e_step.compiling import entry_point
from pgmpy_em_ext.e_step.exact.sweep import SMALLEST_SCALE

_SMALLEST_SUM = 1e-280
"""Sums of a column below this may have lost digits as entries of a normalised message; they are added up again."""


@entry_point
def _rescale(values, table, at, step, steps, sources, shapes, template, templates):  # type: ignore[no-untyped-def]
    """Compute one step's table in logarithms, relative to its largest cell; returns the logarithm of that."""
    shape, j = steps[step, 0], steps[step, 1]
    n_inputs, card, size, q = shapes[shape, 0], shapes[shape, 1], shapes[shape, 2], shapes[shape, 3]
    column = shapes[shape, 4]
    cells = card * size if column < 0 else card
    highest = -np.inf
    for i in range(cells):
        total = 0.0
        for factor in range(n_inputs):
            total += np.log(values[sources[j + factor] + templates[template[q + factor] + i]])
        table[at + i] = total
        highest = max(highest, total)
    for i in range(cells):
        table[at + i] = np.exp(table[at + i] - highest) if highest > -np.inf else 0.0
    return highest


@entry_point
def _sum_out(values, table, at, step, steps, shapes, templates):  # type: ignore[no-untyped-def]
    """Add one step's table up into its message, and return the sum of that."""
    shape, out = steps[step, 0], steps[step, 2]
    card, size, column = shapes[shape, 1], shapes[shape, 2], shapes[shape, 4]
    for i in range(size):
        values[out + i] = 0.0
    for i in range(card * size if column < 0 else card):
        values[out + (i % size if column < 0 else templates[column + i])] += table[at + i]
    total = 0.0
    for i in range(size):
        total += values[out + i]
    return total


@entry_point
def forward(values, table, scale, shift, runs, steps, sources, shapes, template, templates):  # type: ignore[no-untyped-def]
    """Compute the messages of some runs of steps: `sweep.forward` for one section.

    Parameters
    ----------
    values, table, scale, shift : float64 ndarrays
        What is written: messages, products, their sums, and logarithms taken out of them.
    runs : int64 ndarray of shape (n_runs, 4)
        First step and end, first table cell and end.
    steps, sources, shapes, template, templates
        As in `Section`.
    """
    for run in range(runs.shape[0]):
        at = runs[run, 2]
        for t in range(runs[run, 0], runs[run, 1]):
            shape, j, out = steps[t, 0], steps[t, 1], steps[t, 2]
            n_inputs, card, size, q = shapes[shape, 0], shapes[shape, 1], shapes[shape, 2], shapes[shape, 3]
            column = shapes[shape, 4]
            cells = card * size if column < 0 else card
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
            if column < 0:
                for i in range(size):
                    message = table[at + i]
                    for x in range(1, card):
                        message += table[at + x * size + i]
                    values[out + i] = message
                    total += message
            else:
                for i in range(size):
                    values[out + i] = 0.0
                for i in range(cells):
                    values[out + templates[column + i]] += table[at + i]
                for i in range(size):
                    total += values[out + i]
            shift[t] = 0.0
            if total < SMALLEST_SCALE:
                shift[t] = _rescale(values, table, at, t, steps, sources, shapes, template, templates)
                total = _sum_out(values, table, at, t, steps, shapes, templates)
            scale[t] = total
            if total > 0:
                for i in range(size):
                    values[out + i] /= total
            at += cells


@entry_point
def _add_up_again(values, table, scale, at, step, steps, shapes, templates):  # type: ignore[no-untyped-def]
    """Give one step's message the sums of its table again, where they had become too small to keep their digits.

    Columns whose sums are so small that the ratio to them could overflow are scaled to one.
    """
    shape, out = steps[step, 0], steps[step, 2]
    card, size, column = shapes[shape, 1], shapes[shape, 2], shapes[shape, 4]
    cells = card * size if column < 0 else card
    _sum_out(values, table, at, step, steps, shapes, templates)
    for i in range(cells):
        total = values[out + (i % size if column < 0 else templates[column + i])]
        if 0 < total < _SMALLEST_SUM:
            table[at + i] /= total
    for i in range(size):
        values[out + i] = 1.0 if 0 < values[out + i] < _SMALLEST_SUM else values[out + i]


@entry_point
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
            column = shapes[shape, 4]
            cells = card * size if column < 0 else card
            at -= cells
            lost_digits = False
            for i in range(size):
                values[out + i] *= scale[t]
                lost_digits |= 0 < values[out + i] < _SMALLEST_SUM
            if lost_digits:
                _add_up_again(values, table, scale, at, t, steps, shapes, templates)
            for i in range(size):
                values[out + i] = adjoint[out + i] / values[out + i] if values[out + i] > 0 else 0.0
            if column < 0:
                for x in range(card):
                    for i in range(size):
                        table[at + x * size + i] *= values[out + i]
            else:
                for i in range(cells):
                    table[at + i] *= values[out + templates[column + i]]
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


@entry_point
def possible_cells(possible, table, steps, sources, shapes, template, templates):  # type: ignore[no-untyped-def]
    """Mark the table cells of a section that no zero makes zero, and the entries of its messages.

    Parameters
    ----------
    possible : uint8 ndarray of shape (n_values,)
        0 where a parameter, or a message of an earlier section, is zero; the section's own messages are written.
    table : uint8 ndarray of shape (n_table_cells,)
        Written.
    steps, sources, shapes, template, templates
        As in `Section`; without a column template.
    """
    at = 0
    for t in range(steps.shape[0]):
        shape, j, out = steps[t, 0], steps[t, 1], steps[t, 2]
        n_inputs, card, size, q = shapes[shape, 0], shapes[shape, 1], shapes[shape, 2], shapes[shape, 3]
        for i in range(size):
            possible[out + i] = 0
        for i in range(card * size):
            table[at + i] = 1
            for factor in range(n_inputs):
                table[at + i] &= possible[sources[j + factor] + templates[template[q + factor] + i]]
            possible[out + i % size] |= table[at + i]
        at += card * size


@entry_point
def useful_cells(useful, table, steps, sources, shapes, template, templates):  # type: ignore[no-untyped-def]
    """Take away the marks of cells that only lead to zeros further on.

    Parameters
    ----------
    useful : uint8 ndarray of shape (n_values,)
        1 for the messages of roots and for what later sections use; what is read by cells that stay is marked.
    table : uint8 ndarray of shape (n_table_cells,)
        What `possible_cells` has marked.
    steps, sources, shapes, template, templates
        As in `possible_cells`.
    """
    at = table.shape[0]
    for t in range(steps.shape[0] - 1, -1, -1):
        shape, j, out = steps[t, 0], steps[t, 1], steps[t, 2]
        n_inputs, card, size, q = shapes[shape, 0], shapes[shape, 1], shapes[shape, 2], shapes[shape, 3]
        at -= card * size
        for i in range(card * size):
            table[at + i] &= useful[out + i % size]
            if table[at + i]:
                for factor in range(n_inputs):
                    useful[sources[j + factor] + templates[template[q + factor] + i]] = 1


@entry_point
def list_cells(table, found, steps, shapes, template, templates):  # type: ignore[no-untyped-def]
    """Write out the templates of the cells that are left, step by step: of each input, then of the message.

    Parameters
    ----------
    table : uint8 ndarray of shape (n_table_cells,)
        What `useful_cells` has left.
    found : int32 ndarray of shape (sum over the steps of (n_inputs + 1) * n_cells,)
        Written.
    steps, shapes, template, templates
        As in `possible_cells`.
    """
    at, end = 0, 0
    for t in range(steps.shape[0]):
        shape = steps[t, 0]
        n_inputs, card, size, q = shapes[shape, 0], shapes[shape, 1], shapes[shape, 2], shapes[shape, 3]
        for factor in range(n_inputs + 1):
            for i in range(card * size):
                if table[at + i]:
                    found[end] = i % size if factor == n_inputs else templates[template[q + factor] + i]
                    end += 1
        at += card * size
