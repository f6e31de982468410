"""Whether the end of a run is a maximum, or a saddle point or a valley that it only crept along."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.cpd_family._base import Chart
from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.em.blocks import block_sums
from pgmpy_em_ext.em.step import EMState, Problem, choose, evaluate, objectives
from pgmpy_em_ext.exceptions import ImpossibleEvidenceError
from pgmpy_em_ext.types import BoolArray, FloatArray

N_VECTORS = 20
"""Lanczos vectors; an E-step each."""

DISPLACEMENT = 1e-4
"""How far the gradient is looked at for its derivative, in the coordinate that moves most: radians, in tables."""

TURNS = (0.5, -0.5, 0.25, -0.25, 0.1, -0.1, 0.03, -0.03)
"""How far to go along a direction in which the objective curves upwards, in the coordinate that moves most."""

LENGTHS = (1.0, 4.0, 2.0, 0.5, 0.25, 0.1, 0.03, 0.01)
"""How much of a Newton step to try; as many as `TURNS`, since blocks of both kinds are tried together."""

CURVED = 1e-5
"""Curvature, relative to the complete-data information, that is more than rounding."""

FLAT = 0.01
"""Curvature, relative to the complete-data information, below which a valley is looked at more closely: EM's rate is
above 0.99 there, and Newton steps are long."""

SIDE = 0.03
"""How far to either side, in the coordinate that moves most, its bend is looked at."""

TRUSTED = 0.5
"""Kantorovich's bound: up to this ratio of the curvature's change over a Newton step to the curvature itself, there is
a maximum where the step leads."""

NOTHING = 1e-3
"""What part of its share of ``tol`` a block must seem to lack before its valley is doubted."""

WIDEST = 1000.0
"""How much wider a gap is taken to be at most: predictions that were wrong were so by less, as a rule."""

RECORD = 4.0
"""The information in one record, which is added to the metric: what columns without data do is of no interest."""

LEAST_GAIN = 0.01
"""What part of ``tol`` a step away from a saddle point must gain: the way down from its ridge begins flat."""

LEVEL = 1e-3
"""Curvature, relative to the complete-data information, that is too small to tell what lies some way off."""

N_CLIMBS = 10
"""EM steps from a point along flat directions."""

NOISE = 0.1
"""Share of a random vector in the first one: at a saddle point the gradient itself says nothing."""


class Outlook(NamedTuple):
    """What lies beyond the end of a run.

    Attributes
    ----------
    state : EMState
        Where to go on from.
    left : bool ndarray of shape (n_blocks + 1,)
        Blocks that have found something higher; none where all are at a maximum.
    unfinished : bool ndarray of shape (n_blocks + 1,)
        These, those that are known to lack something without having found the way, and those in valleys that may go
        on beyond the maximum that the Hessian predicts.
    gap : float ndarray of shape (n_blocks + 1,)
        Distance of each block's objective from that of the maximum nearby, in nats, as the
        Hessian predicts it; wider where the Hessian changes on the way there.
    n_e_steps : int
        E-steps that it took to tell.
    """

    state: EMState
    left: BoolArray
    unfinished: BoolArray
    gap: FloatArray
    n_e_steps: int


def look_beyond(
    problem: Problem, blocks: Blocks, state: EMState, active: BoolArray, tol: float, *, may_doubt: bool = True
) -> Outlook:
    """Look for what a run that has stopped may have missed, and go there.

    Near a saddle point the gradient vanishes, and in a long valley it is small, so that EM,
    and estimates from its last steps, take either for a maximum. The Hessian tells them
    apart. Lanczos' method, begun at the gradient, gives its part in the space that matters, in
    all blocks at once; products with the Hessian are differences of gradients. A block in
    which the objective curves upwards goes along that direction; one that a Newton step
    would raise makes it.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    blocks : Blocks
        Which families belong together.
    state : EMState
        The end of a run.
    active : bool ndarray of shape (n_blocks + 1,)
        Blocks to look at.
    tol : float
        In nats: what all blocks together may still lack.
    may_doubt : bool
        Whether a block is unfinished where its Newton step cannot be trusted; else its gap is wider.

    Notes
    -----
    Cost: `N_VECTORS` E-steps; len(`TURNS`) more where there is something to try; `N_CLIMBS` + 1 more where the
    objective is flat in some direction; two more in a valley so long that EM's rate is above 0.99.

    References
    ----------
    Golub & Van Loan (2013), Matrix Computations, sections 10.1 and 11.3.
    """
    prober = _Prober(problem, blocks, state, active)
    view = prober.view()
    too_low = view.gap > tol / max(blocks.n_blocks, 1)
    promising = active & (view.upwards | too_low)
    promising[-1] = False
    best, before = _try_lengths(prober, view, promising), objectives(blocks, state)
    left = promising & (objectives(blocks, best) - before > LEAST_GAIN * tol)
    flat = view.flat & active & ~left
    if flat.any():
        climbed = _climb_from_flat(prober, view, flat)
        risen = flat & (objectives(blocks, climbed) - before > LEAST_GAIN * tol)
        best, left = choose(problem, blocks, risen, climbed, best), left | risen
    unfinished, gap = left | (promising & too_low), view.gap
    if not unfinished.any():
        share = tol / max(blocks.n_blocks, 1)
        widening = prober.widening(view, active & (gap > NOTHING * share))
        unfinished, gap = (widening > 1) & may_doubt, gap * widening
    return Outlook(choose(problem, blocks, left, best, state), left, unfinished, gap, prober.n_e_steps)


def _try_lengths(prober: "_Prober", view: "_View", promising: BoolArray) -> EMState:
    """Go different lengths upwards, or along Newton steps, and keep the best of each block."""
    problem, blocks = prober.problem, prober.blocks
    best = prober.state
    if not promising.any():
        return best
    turns = view.upwards[blocks.of_cell]
    for turn, length in zip(TURNS, LENGTHS, strict=True):
        displacement = np.where(turns, turn * view.direction, length * view.newton_step)
        trial = prober.evaluate(np.where(promising[blocks.of_cell], displacement, 0.0))
        if trial is not None:
            better = objectives(blocks, trial) > objectives(blocks, best)
            best = choose(problem, blocks, better, trial, best)
    return best


def _climb_from_flat(prober: "_Prober", view: "_View", flat: BoolArray) -> EMState:
    """Go some way along directions in which the objective hardly curves, and make EM steps from there.

    Equal components of a mixture are such a point: to split them gains nothing to second order, and only from some
    distance on does EM drive them apart. So is a point on a ridge of parameters that the data does not determine,
    where nothing comes of it.
    """
    displacement = np.where(flat[prober.blocks.of_cell], TURNS[0] * view.along_flat, 0.0)
    state = prober.evaluate(displacement)
    for _ in range(N_CLIMBS):
        following = None if state is None else prober.climb(state)
        if following is None:
            break
        state = following
    return prober.state if state is None else state


class _View(NamedTuple):
    """The Hessian near a state, as far as its Krylov space shows it; see `look_beyond`.

    ``flattest`` is the smallest curvature downwards of each block, positive, and ``step_length`` the length of its
    Newton step, both in coordinates in which the damped complete-data information is the identity.
    """

    direction: FloatArray
    upwards: BoolArray
    newton_step: FloatArray
    gap: FloatArray
    flattest: FloatArray
    step_length: FloatArray
    flat: BoolArray
    along_flat: FloatArray


class _Prober:
    """Looks around a state; vectors are in coordinates that make the damped complete-data information the identity."""

    def __init__(self, problem: Problem, blocks: Blocks, state: EMState, active: BoolArray) -> None:
        self.problem, self.blocks, self.state, self.active = problem, blocks, state, active
        self.chart: Chart = problem.family.chart(state.parameters, state.statistics.counts)
        self.n_e_steps = 0
        self._moves = active[blocks.of_cell] & self.chart.metric.informed
        self._whitening = self.chart.metric.damped(RECORD)

    def evaluate(self, displacement: FloatArray) -> EMState | None:
        """Evaluate a displaced position, one E-step; None where it makes some row impossible."""
        self.n_e_steps += 1
        position = self.chart.position + displacement
        try:
            parameters = self.problem.family.retract(position, self.state.parameters, self.state.parameters)
            return evaluate(self.problem, self.state, parameters, self.active)
        except ImpossibleEvidenceError:
            return None

    def climb(self, state: EMState) -> EMState | None:
        """Make an EM step in the blocks that are looked at; None where it makes some row impossible."""
        self.n_e_steps += 1
        target = self.problem.family.maximize(state.statistics.counts, state.parameters)
        try:
            return evaluate(self.problem, state, target, self.active)
        except ImpossibleEvidenceError:
            return None

    def view(self) -> _View:
        """Find in each block the direction that curves most upwards, the Newton step, and its gain."""
        gradient = self._tangent(self._whitening.whiten(self.chart.gradient))
        vectors, curvature, share = self._eigenvectors(gradient)
        part = np.array([self._sums(vector * gradient) for vector in vectors])
        along = np.einsum("vb,bvk->bk", part, share)
        concave = curvature < -CURVED
        downwards = np.where(concave, -curvature, 1.0)
        gap = np.where(concave, along**2 / (2 * downwards), 0.0).sum(axis=1)
        step = np.where(concave, along / downwards, 0.0)
        weight = np.einsum("bvk,bk->vb", share, step)
        is_flat = (np.abs(curvature) <= LEVEL) & self._are_informed(vectors, share, np.abs(curvature) <= LEVEL)
        mixed = np.einsum("bvk,bk->vb", share, is_flat * np.random.default_rng(1).normal(size=N_VECTORS))
        direction, newton_step, along_flat = (np.zeros_like(gradient) for _ in range(3))
        for number, vector in enumerate(vectors):
            direction += share[:, number, -1][self.blocks.of_cell] * vector
            newton_step += weight[number][self.blocks.of_cell] * vector
            along_flat += mixed[number][self.blocks.of_cell] * vector
        upwards = curvature[:, -1] > CURVED
        unwhiten = self._whitening.unwhiten
        flat = self._sums(along_flat**2) > 0
        flat[-1] = False
        return _View(
            self._turn(unwhiten(direction)),
            upwards,
            unwhiten(newton_step),
            gap,
            flattest=np.where(concave, downwards, np.inf).min(axis=1),
            step_length=np.sqrt((step**2).sum(axis=1)),
            flat=flat,
            along_flat=self._turn(unwhiten(along_flat)),
        )

    def widening(self, view: _View, asked: BoolArray) -> FloatArray:
        """Say by how much to widen the gaps of blocks in valleys that may go on beyond their predicted maximum, >= 1.

        Kantorovich's theorem says when a Newton step can be trusted: with m the smallest curvature, s the step's length
        and L a bound on how fast the Hessian changes, where L s / m <= 1/2. Second differences of the gradient along
        the step, two E-steps, tell L. Where the ratio is larger, the gap is taken to be so many times as large.

        References
        ----------
        Kantorovich (1948); Ortega & Rheinboldt (1970), Iterative Solution of Nonlinear Equations, theorem 12.6.2.
        """
        asked = asked & (view.flattest < FLAT) & (view.step_length > 0)
        asked[-1] = False
        nothing = np.ones(len(asked))
        if not asked.any():
            return nothing
        moved = np.where(asked[self.blocks.of_cell], SIDE * self._turn(view.newton_step), 0.0)
        change = -2 * self.chart.gradient
        for displacement in (moved, -moved):
            there = self.evaluate(displacement)
            if there is None:
                return nothing
            position = self.chart.position + displacement
            chart = self.problem.family.chart(there.parameters, there.statistics.counts, position)
            change = change + chart.gradient
        part = np.sqrt(self._ratio(self._sums(moved**2), self._sums(view.newton_step**2)))  # of the Newton step
        bend = np.sqrt(self._sums(self._tangent(self._whitening.whiten(change)) ** 2))
        lipschitz = self._ratio(bend, (part * view.step_length) ** 2)
        ratio = self._ratio(np.where(asked, lipschitz * view.step_length, 0.0), TRUSTED * view.flattest)
        return np.clip(ratio, 1.0, WIDEST)

    @staticmethod
    def _ratio(one: FloatArray, other: FloatArray) -> FloatArray:
        """Divide; 0 where there is nothing to divide by."""
        return np.divide(one, other, out=np.zeros_like(one), where=other > 0)

    def _are_informed(self, vectors: list[FloatArray], share: FloatArray, asked: BoolArray) -> BoolArray:
        """Mark the directions of which complete data would tell more than the damping does: shape of ``asked``."""
        found = np.zeros_like(asked)
        for number in np.flatnonzero(asked.any(axis=0)).tolist():
            direction = np.zeros_like(vectors[0])
            for place, vector in enumerate(vectors):
                direction += share[:, place, number][self.blocks.of_cell] * vector
            displacement = self._whitening.unwhiten(direction)
            found[:, number] = self._sums(self.chart.metric.squares(displacement)) > 0.5 * self._sums(direction**2)
        return found

    def _turn(self, displacement: FloatArray) -> FloatArray:
        """Scale a displacement so that each block's longest coordinate is one."""
        longest = np.zeros(self.blocks.n_blocks + 1)
        np.maximum.at(longest, self.blocks.of_cell, np.abs(displacement))
        return displacement / np.where(longest > 0, longest, 1.0)[self.blocks.of_cell]

    def _eigenvectors(self, gradient: FloatArray) -> tuple[list[FloatArray], FloatArray, FloatArray]:
        """Diagonalise each block's Hessian in its Krylov space.

        Returns
        -------
        vectors : list of float ndarrays of shape (n_cells,)
            Of each block an orthonormal basis of the space.
        curvature : float ndarray of shape (n_blocks + 1, n_vectors)
            Eigenvalues, in rising order.
        share : float ndarray of shape (n_blocks + 1, n_vectors, n_vectors)
            The eigenvectors, in this basis.
        """
        noise = self._tangent(np.random.default_rng(0).normal(size=len(gradient)))
        following, _ = self._unit(self._unit(gradient)[0] + NOISE * self._unit(noise)[0])
        vectors: list[FloatArray] = []
        matrix = np.zeros((self.blocks.n_blocks + 1, N_VECTORS, N_VECTORS))
        for number in range(N_VECTORS):
            vectors.append(following)
            product = self._hessian_times(following)
            matrix[:, number, number] = self._sums(product * following)
            for _ in range(2):  # twice is enough to stay orthogonal in floating point
                for vector in vectors:
                    product = product - self._sums(product * vector)[self.blocks.of_cell] * vector
            following, size = self._unit(product)
            if number + 1 < N_VECTORS:
                matrix[:, number, number + 1] = matrix[:, number + 1, number] = size
        return vectors, *np.linalg.eigh(matrix)

    def _hessian_times(self, vector: FloatArray) -> FloatArray:
        """Multiply by the Hessian: the difference of two gradients; zero where one cannot be had."""
        displacement = self._whitening.unwhiten(vector)
        turned = DISPLACEMENT * self._turn(displacement)
        there = self.evaluate(turned)
        if there is None:
            return np.zeros_like(vector)
        position = self.chart.position + turned
        gradient = self.problem.family.chart(there.parameters, there.statistics.counts, position).gradient
        size = self._sums(turned * turned)
        whole = self._sums(displacement * displacement)
        factor = np.sqrt(np.divide(whole, size, out=np.zeros_like(size), where=size > 0))
        change = (gradient - self.chart.gradient) * factor[self.blocks.of_cell]
        return self._tangent(self._whitening.whiten(change))

    def _tangent(self, vector: FloatArray) -> FloatArray:
        """Take out what leaves the coordinates' surface, and what does not move."""
        return np.where(self._moves, self.problem.family.tangent(self.chart.position, vector), 0.0)

    def _unit(self, vector: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Scale each block's part to length one; a part that is only rounding becomes zero."""
        size = np.sqrt(self._sums(vector * vector))
        size = np.where(size > 1e-10, size, 0.0)
        inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
        return vector * inverse[self.blocks.of_cell], size

    def _sums(self, vector: FloatArray) -> FloatArray:
        return block_sums(self.blocks, vector)
