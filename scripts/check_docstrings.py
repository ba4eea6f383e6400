"""Check the docstrings of public names: each is there, and states what its users cannot see from the types.

For a class, the same holds for its public methods and properties, except for those of the store contract, which
`holdfast.stores.contract` documents once for every store. The rules:

- a function that returns a value says so, and says when it is None;
- an ``int`` or a ``float`` that is a time, a span or a size has its unit, there or in what the class or module says;
- an exception that the body raises is named, in the docstring or in that of the class.

What a function raises through another one is for its author to state; no program finds it.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from functools import cached_property
from types import FunctionType
from typing import Any, get_origin

from public_names import objects

from holdfast.stores.contract import CAPABILITIES, METHODS

#: Names of numbers that need a unit.
MEASURES = re.compile(r"(_at|_deadline|expires|timeout|lifetime|staleness|patience|interval|grace|bytes|size)$")
UNIT = re.compile(r"\b(milliseconds?|seconds?|bytes?|minutes?|hours?|epoch|number of)\b")
#: What says that a function returns something. A docstring may begin with what it makes or opens.
RETURNS = re.compile(r"\b(returns?|yields?|decorator)\b|^(Whether|Make|Open|Give)\b", re.IGNORECASE)

#: Methods that the contract documents.
OF_CONTRACT = {*METHODS, *CAPABILITIES.values()}

#: Raised to Python itself, whose meaning is fixed.
OF_PYTHON = {"AttributeError", "KeyError", "NotImplementedError", "AssertionError", "StopIteration"}


def members(name: str, named: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield *named*, and each public method and property of a class, with its full name and the docstring around it."""
    yield name, named, ""
    if isinstance(named, type) and named.__module__.startswith("holdfast"):
        around = f"{inspect.getdoc(named)}\n{inspect.getdoc(inspect.getmodule(named))}"
        contract = set() if named.__module__ == "holdfast.stores.contract" else OF_CONTRACT
        for each in named.__mro__:
            if each.__module__.startswith("holdfast"):
                yield from (
                    (f"{name}.{attribute}", value, around)
                    for attribute, value in vars(each).items()
                    if not attribute.startswith("_")
                    and attribute not in contract
                    and isinstance(value, FunctionType | property | cached_property)
                )


def function_of(named: Any) -> FunctionType | None:
    """Return the function of a method or a property, or None for anything else."""
    inner = named.fget if isinstance(named, property) else getattr(named, "func", named)
    return inner if isinstance(inner, FunctionType) else None


def returned(function: FunctionType) -> str:
    """Return the annotation of what *function* returns, as text; empty for None and for no value."""
    text = str(function.__annotations__.get("return", ""))
    return "" if text in {"None", "NoReturn", "Never", "Iterator[None]", ""} else text


def raised(function: FunctionType) -> set[str]:
    """Return the names of the exceptions that the body of *function* raises by name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found = (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc is not None)
    calls = (each.func for each in found if isinstance(each, ast.Call))
    return {each.id for each in calls if isinstance(each, ast.Name) and each.id[0].isupper()} - OF_PYTHON


def faults_of(named: Any, around: str) -> Iterator[str]:
    """Yield one sentence for each thing that the docstring of *named* lacks, where the class says *around*."""
    doc = inspect.getdoc(named) or ""
    function = function_of(named)
    if function is None:
        # Python 3.10 takes ``Callable[[], int]`` for a class.
        if isinstance(named, type) and get_origin(named) is None and not doc:
            yield "has no docstring"
        return
    if not doc:
        yield "has no docstring"
        return
    result = returned(function)
    if result and not isinstance(named, property | cached_property) and not RETURNS.search(doc):
        yield "does not say what it returns"
    if re.search(r"\| None|None \|", result) and "None" not in doc:
        yield "does not say when it is None"
    numbers = {name for name, kind in function.__annotations__.items() if re.search(r"\b(int|float)\b", str(kind))}
    measured = {function.__name__ if name == "return" else name for name in numbers}
    for name in sorted(measured):
        if MEASURES.search(name) and not UNIT.search(f"{doc}\n{around}"):
            yield f"gives no unit for {name}"
    yield from (f"does not name {error}" for error in sorted(raised(function)) if error not in f"{doc}\n{around}")


def main() -> int:
    """Print every fault found; return 1 if there is one."""
    checked = [each for name, named in objects() for each in members(name, named)]
    faults = [f"{name} {fault}" for name, named, around in checked for fault in faults_of(named, around)]
    print(*dict.fromkeys(faults), f"Checked {len(checked)} docstrings: {len(faults) or 'no'} faults.", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
