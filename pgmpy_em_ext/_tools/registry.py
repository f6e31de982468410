"""Find engines, priors and initialisers by name, class or instance."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    """Import a package's modules, one level deep; a plain module stands for itself."""
    yield package
    for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
        yield importlib.import_module(f"{package.__name__}.{module.name}")


def named_classes(base: type, package: ModuleType) -> dict[str, type]:
    """Collect a base class's named subclasses in a package, by their ``name`` tag."""
    found: dict[str, Any] = {}
    for module in _modules(package):
        for _, candidate in inspect.getmembers(module, lambda member: inspect.isclass(member)):
            if issubclass(candidate, base) and (name := candidate.get_class_tag("name")) is not None:
                found[name] = candidate
    return dict(sorted(found.items()))


def lookup(given: Any, base: type, package: ModuleType, argument: str) -> Any:
    """Turn a name, a class or an instance into an instance.

    Parameters
    ----------
    given : str, class or instance
        What the user passed.
    base : type
        The base class that it must follow.
    package : module
        Where the known ones live.
    argument : str
        The argument's name, for messages.

    Raises
    ------
    ValueError
        An unknown name; the known ones are listed.
    TypeError
        Neither a name nor a subclass or instance of ``base``.
    """
    if inspect.isclass(given) and issubclass(given, base):
        return lookup(given(), base, package, argument)
    if isinstance(given, base):
        open_methods = [name for name, _ in inspect.getmembers(type(given), _is_abstract)]
        if open_methods:
            raise TypeError(f"{argument}: {type(given).__name__} does not define {open_methods[0]}.")
        return given
    known = named_classes(base, package)
    if not isinstance(given, str):
        raise TypeError(
            f"{argument} must be one of {list(known)}, or a class or instance of {base.__name__}. "
            f"Got: {type(given).__name__}."
        )
    by_lower = {name.lower(): found for name, found in known.items()}
    if given.lower() not in by_lower:
        raise ValueError(f"{argument} {given!r} is unknown. Known: {list(known)}.")
    return by_lower[given.lower()]()


def _is_abstract(member: Any) -> bool:
    """Whether a method is still to be defined; scikit-base's metaclass does not look."""
    return getattr(member, "__isabstractmethod__", False)
