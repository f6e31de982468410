"""How kernels are compiled. Importing this module needs numba.

What a kernel calls stands in the kernel's own file: numba's cache compiles anew what has changed there, and does not
look at other files.
"""

from collections.abc import Callable

import numba


def entry_point(function: Callable) -> Callable:
    """Compile what Python calls, at the first call; keep the machine code where some folder can be written to."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba finds no folder for its cache
        return numba.njit(nogil=True, error_model="numpy")(function)


compiled = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Compile what kernels call. Without the wrappers by which Python would call it, which take most of the time."""

compiled_sum = numba.njit(
    nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath={"reassoc", "contract"}
)
"""Compile a loop that adds up, in whatever order is fastest: one that the machine code fixes, not the threads."""

compiled_inline = numba.njit(nogil=True, error_model="numpy", inline="always")
"""Compile what is called for every few numbers, in the caller's place: a call with a dozen arrays costs more."""
