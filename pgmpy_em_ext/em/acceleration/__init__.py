"""Methods that reach EM's limit in fewer E-steps, one file each."""

from pgmpy_em_ext.em.acceleration._base import Accelerator, PlainEM, Point, Proposal
from pgmpy_em_ext.em.acceleration.lbfgs import LBFGS
from pgmpy_em_ext.em.acceleration.squarem import SQUAREM

__all__ = ["ACCELERATIONS", "LBFGS", "SQUAREM", "Accelerator", "PlainEM", "Point", "Proposal"]

ACCELERATIONS: dict[str | None, Accelerator] = {
    "auto": LBFGS(patient=True),
    "squarem": SQUAREM(),
    "lbfgs": LBFGS(patient=False),
    None: PlainEM(),
}
"""The methods by the names that ``WeightedEM(acceleration=...)`` takes."""
