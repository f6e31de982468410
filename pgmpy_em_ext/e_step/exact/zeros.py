"""Leave out of a packed graph what zeros among the parameters make zero.

A CPD entry that is zero, and has no pseudo count, stays zero: EM multiplies it. In networks
with many deterministic CPDs nearly all table cells are products with such an entry, or lead only
to such products. What is left is listed cell by cell.
"""

import numpy as np

from pgmpy_em_ext.e_step.exact.sections import PackedGraph, Section
from pgmpy_em_ext.types import BoolArray, IntArray

FEW = 0.05
"""Share of zeros among the parameters below which it is not worth looking what follows from them."""

SMALL = 500_000
"""Table cells up to which it is not worth it either: a sweep takes milliseconds, and more kernels would be loaded."""

WORTHWHILE = 0.3
"""Share of the table cells that may be left: a listed cell costs more than one whose place follows from its number."""


def leave_out_zeros(packed: PackedGraph, zero: BoolArray) -> PackedGraph:
    """Keep the table cells that can be positive and of which something positive can come.

    Parameters
    ----------
    packed : PackedGraph
        All cells.
    zero : bool ndarray of shape (n_cells,)
        Parameters that are zero and stay so.

    Returns
    -------
    PackedGraph
        The same one where the graph is small, zeros are few, or too much is left.
    """
    n_table_cells = sum(section.n_table_cells for section in packed.sections)
    if n_table_cells <= SMALL or np.count_nonzero(zero) <= FEW * len(zero):
        return packed
    tables = _useful(packed, zero)
    n_left = sum(int(np.count_nonzero(table)) for table in tables)
    if n_left > WORTHWHILE * n_table_cells:
        return packed
    sections = tuple(_list_cells(section, table) for section, table in zip(packed.sections, tables, strict=True))
    return packed._replace(sections=sections)


def _useful(packed: PackedGraph, zero: BoolArray) -> list[IntArray]:
    """Mark the cells to keep, section by section: forward, what is possible; back, what it is used for."""
    from pgmpy_em_ext.e_step.exact import kernel

    n_shared = packed.n_shared
    first = np.zeros(n_shared, dtype=np.uint8)
    first[: packed.n_cells] = ~zero
    tables: list[IntArray] = []
    for number, section in enumerate(packed.sections):
        possible = first if number == 0 else np.zeros(section.n_values, dtype=np.uint8)
        possible[:n_shared] = first
        table = np.empty(section.n_table_cells, dtype=np.uint8)
        kernel.possible_cells(possible, table, *section.layout)
        tables.append(table)
    shared = np.zeros(n_shared, dtype=np.uint8)
    for number in range(len(tables) - 1, -1, -1):
        section = packed.sections[number]
        # The first section comes last: by then all others have marked what they read of it.
        useful = shared if number == 0 else np.zeros(section.n_values, dtype=np.uint8)
        useful[section.steps[section.roots, 2]] = 1
        kernel.useful_cells(useful, tables[number], *section.layout)
        if number:
            shared |= useful[:n_shared]
    return tables


def _list_cells(section: Section, table: IntArray) -> Section:
    """Write out the cells that are left: every step has a shape of its own."""
    from pgmpy_em_ext.e_step.exact import kernel

    shape = section.shapes[section.steps[:, 0]]
    n_inputs, size = shape[:, 0], shape[:, 2]
    n_before = shape[:, 1] * size
    kept_until = np.append(0, np.cumsum(table, dtype=np.int64))
    bounds = kept_until[np.append(0, np.cumsum(n_before))]
    n_cells = np.diff(bounds)
    n_entries = n_cells * (n_inputs + 1)
    start = np.cumsum(n_entries) - n_entries
    templates = np.empty(int(n_entries.sum()), dtype=np.int32)
    kernel.list_cells(table, templates, section.steps, section.shapes, section.template, section.templates)
    first_input = np.cumsum(n_inputs) - n_inputs
    of_input = np.repeat(np.arange(len(shape)), n_inputs)
    factor = np.arange(len(of_input)) - first_input[of_input]
    runs = section.runs.copy()
    runs[:, 2:] = bounds[section.runs[:, :2]]
    return section._replace(
        steps=np.column_stack([np.arange(len(shape)), section.steps[:, 1:]]),
        shapes=np.stack([n_inputs, n_cells, size, first_input, start + n_inputs * n_cells], axis=1),
        template=start[of_input] + factor * n_cells[of_input],
        templates=templates,
        runs=runs,
        n_table_cells=int(bounds[-1]),
    )
