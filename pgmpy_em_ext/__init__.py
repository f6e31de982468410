"""Expectation-Maximization for pgmpy's discrete and linear Gaussian Bayesian networks.

``__init__.pyi`` lists the public names. They are imported when they are first used: pgmpy takes a second or more.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
