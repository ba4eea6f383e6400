"""The subject of a security test, and the planted bugs that it detects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import pytest

#: Puts one bug into the code under test. Its docstring says which, in one sentence.
Mutant: TypeAlias = Callable[[pytest.MonkeyPatch], None]

#: The product of our own faults.
OWN = "Holdfast, before its first release"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Row:
    """One advisory or requirement, or several with one cause.

    Attributes:
        ids: Such as ``("CVE-2025-46336", "CVE-2025-32441")`` or ``("ASVS 7.2.4",)``.
        product: Where the advisory's bug was; empty for a requirement.
        says: The bug's cause there, or what the requirement asks for, in one sentence.
        mutants: The bugs that the test catches. There is at least one.
    """

    ids: tuple[str, ...]
    product: str
    says: str
    mutants: tuple[Mutant, ...]


def advisory(*ids: str, product: str, cause: str, mutants: Sequence[Mutant]) -> Callable[[F], F]:
    """Mark a test as the regression test for published advisories. May be given more than once."""
    return _mark(Row(ids, product, cause, tuple(mutants)))


def own_fault(name: str, *, cause: str, mutants: Sequence[Mutant]) -> Callable[[F], F]:
    """Mark a test as the regression test for a fault that Holdfast itself had."""
    return _mark(Row((name,), OWN, cause, tuple(mutants)))


def requirement(*ids: str, says: str, mutants: Sequence[Mutant]) -> Callable[[F], F]:
    """Mark a test as the test of a requirement. May be given more than once."""
    return _mark(Row(ids, "", says, tuple(mutants)))


def rows_of(test: Any) -> tuple[Row, ...]:
    """Return the rows that a test function is marked with."""
    found: tuple[Row, ...] = getattr(test, "security_rows", ())
    return found


def mutants_of(test: Any) -> list[Mutant]:
    """Return the bugs that a test function is to catch, each once."""
    return list(dict.fromkeys(mutant for row in rows_of(test) for mutant in row.mutants))


def _mark(row: Row) -> Callable[[F], F]:
    assert row.mutants, f"{row.ids} names no bug that its test catches"
    assert all(mutant.__doc__ for mutant in row.mutants), "a planted bug says in its docstring what it is"

    def mark(test: F) -> F:
        test.security_rows = (row, *rows_of(test))  # type: ignore[attr-defined]
        return test

    return mark
