"""E-step engines, one file or folder each, found by their ``name`` tag.

``__init__.pyi`` lists the names for those who extend the package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
