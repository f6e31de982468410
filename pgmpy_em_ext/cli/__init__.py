"""The command line: files in, `WeightedEM` or `ConditionalGaussianEM`, files out.

pgmpy takes seconds to import, so whatever needs it is imported inside the commands.
"""

from pgmpy_em_ext.cli.commands import main

__all__ = ["main"]
