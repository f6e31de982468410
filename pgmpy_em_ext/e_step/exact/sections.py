"""An elimination graph packed for the compiled sweeps: flat arrays, in sections that threads take apart."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import ranges
from pgmpy_em_ext.e_step.exact.graph import EliminationGraph
from pgmpy_em_ext.types import FloatArray, IntArray

READS_PER_SECTION = 250_000
"""Factors read in a section at least: about a millisecond, many times what handing it to a thread takes."""

READS_PER_SHARED_VALUE = 20
"""Factors read in a section at least for each shared value, of which every section has a copy to fill and add up."""

MAX_SECTIONS = 16
"""More threads than that are not served by one E-step."""


class Section(NamedTuple):
    """Steps that one thread works on, with an address space of its own.

    Its value vector begins with what all sections share: the parameters, and the
    messages of the first section, which the others read. Its own messages follow.

    Attributes
    ----------
    steps : int64 ndarray of shape (n_steps, 3)
        Shape, first input and the message's place in the value vector.
    sources : int32 ndarray of shape (total number of inputs,)
        Where in the value vector each input begins.
    weight : float ndarray of shape (n_steps,)
        Total weight of the rows that use each step, in records.
    number : int ndarray of shape (n_steps,)
        Number of each step in the graph.
    block : int ndarray of shape (n_steps,)
        The independent block of each step.
    roots : int ndarray of shape (n_roots,)
        The steps that nothing reads.
    n_values : int
        Length of the value vector.
    runs : int64 ndarray of shape (n_blocks, 4)
        Of each independent block: first step and end, first table cell and end.
    n_table_cells : int
        Length of the tables.
    shapes : int64 ndarray of shape (n_shapes, 5)
        Number of inputs, states summed out, scope configurations, first input, and -1. Where
        cells are left out: number of inputs, number of cells, length of the message, first
        input, and the start of one more template, which says which entry of the message
        each cell is added to.
    template, templates : ndarray
        As in `Shapes`.
    """

    steps: IntArray
    sources: IntArray
    weight: FloatArray
    number: IntArray
    block: IntArray
    roots: IntArray
    n_values: int
    runs: IntArray
    n_table_cells: int
    shapes: IntArray
    template: IntArray
    templates: IntArray

    @property
    def layout(self) -> tuple[IntArray, ...]:
        """What every kernel reads of a section, in the order of their arguments."""
        return self.steps, self.sources, self.shapes, self.template, self.templates


class PackedGraph(NamedTuple):
    """An elimination graph in sections.

    Attributes
    ----------
    sections : tuple of Section
        The first computes what several others read, and goes first.
    n_cells : int
        Number of parameters.
    n_shared : int
        Length of the part of the value vector that all sections share.
    """

    sections: tuple[Section, ...]
    n_cells: int
    n_shared: int


def pack_graph(graph: EliminationGraph) -> PackedGraph:
    """Divide the steps into sections, and give every message its place.

    The division depends on the graph alone, so that results are the same for any
    number of threads. Within a section the steps of an independent block stand side by side.
    """
    block_of_step, n_blocks, is_root = graph.block_of_step, graph.blocks.n_blocks, graph.is_root
    steps, shapes = graph.steps, graph.shapes
    n_cells = len(graph.base_counts)
    section = _assign_sections(graph, n_cells)
    size = shapes.size[steps.shape]
    chosen = [np.flatnonzero(section == number) for number in range(int(section.max(initial=0)) + 1)]
    chosen = [numbers[np.argsort(block_of_step[numbers], kind="stable")] for numbers in chosen]
    n_shared = n_cells + int(size[chosen[0]].sum())
    place = np.empty(graph.n_steps, dtype=np.int64)
    for number, numbers in enumerate(chosen):
        place[numbers] = (n_shared if number else n_cells) + np.cumsum(size[numbers]) - size[numbers]
    sources = np.where(steps.source >= 0, steps.source, place[np.maximum(-1 - steps.source, 0)]).astype(np.int32)
    dense = np.full_like(shapes.card, -1)
    kinds = np.stack([shapes.n_inputs, shapes.card, shapes.size, shapes.first_input, dense], axis=1)
    sections = []
    for numbers in chosen:
        shape = steps.shape[numbers]
        n_inputs = shapes.n_inputs[shape]
        cells = np.cumsum(np.append(0, (shapes.card * shapes.size)[shape]))
        first = np.searchsorted(block_of_step[numbers], np.arange(n_blocks + 1))
        sections.append(
            Section(
                steps=np.stack([shape, np.cumsum(n_inputs) - n_inputs, place[numbers]], axis=1),
                sources=sources[ranges(steps.first_input[numbers], n_inputs)],
                weight=steps.weight[numbers],
                number=numbers,
                block=block_of_step[numbers],
                roots=np.flatnonzero(is_root[numbers]),
                n_values=int((place[numbers] + size[numbers]).max(initial=n_shared)),
                runs=np.stack([first[:-1], first[1:], cells[first[:-1]], cells[first[1:]]], axis=1),
                n_table_cells=int(cells[-1]),
                shapes=kinds,
                template=shapes.template,
                templates=shapes.templates,
            )
        )
    return PackedGraph(tuple(sections), n_cells, n_shared)


def _assign_sections(graph: EliminationGraph, n_cells: int) -> IntArray:
    """Give every step a section: that of all roots which depend on it, or 0 where they differ.

    Roots are dealt out in their order, so that each section has its share of the work; the work
    of a step is shared among the steps that read its message.
    """
    size = graph.shapes.size[graph.steps.shape]
    n_sections = min(graph.n_reads // READS_PER_SECTION, MAX_SECTIONS)
    n_shared = n_cells
    while True:
        n_sections = min(n_sections, int(graph.n_reads // (READS_PER_SHARED_VALUE * n_shared)))
        if n_sections < 2:
            return np.zeros(graph.n_steps, dtype=np.int64)
        section = _deal_out(graph, n_sections)
        n_shared = n_cells + int(size[section == 0].sum())
        if n_sections * READS_PER_SHARED_VALUE * n_shared <= graph.n_reads:
            return section


def _deal_out(graph: EliminationGraph, n_sections: int) -> IntArray:
    """Give every step a section, given how many there are."""
    steps, shapes = graph.steps, graph.shapes
    n_inputs = shapes.n_inputs[steps.shape]
    work = (shapes.card * shapes.size)[steps.shape] * n_inputs
    section = np.zeros(graph.n_steps, dtype=np.int64)
    is_message = steps.source < 0
    reader = np.repeat(np.arange(graph.n_steps), n_inputs)[is_message]
    read = -1 - steps.source[is_message]
    n_readers = np.bincount(read, minlength=graph.n_steps)
    level = steps.level[reader]
    by_level = np.argsort(level, kind="stable")
    edges = np.split(by_level, np.flatnonzero(np.diff(level[by_level])) + 1)
    load = work.astype(np.float64)
    for edge in edges:
        np.add.at(load, reader[edge], load[read[edge]] / n_readers[read[edge]])
    roots = np.flatnonzero(graph.is_root)
    filled = np.cumsum(load[roots])
    section[roots] = 1 + np.minimum((filled / filled[-1] * n_sections).astype(np.int64), n_sections - 1)
    lowest = np.where(section > 0, section, n_sections + 1)
    highest = section
    for edge in reversed(edges):
        np.minimum.at(lowest, read[edge], lowest[reader[edge]])
        np.maximum.at(highest, read[edge], highest[reader[edge]])
    return np.where(lowest == highest, highest, 0)
