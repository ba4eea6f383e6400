"""Tokens come from the operating system's randomness, all 256 bits of them, or not at all."""

from __future__ import annotations

import ast
import base64
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import NoReturn

import pytest
from security import planted_randomness as planted
from security.rows import advisory, requirement
from support import seams, source
from support.web import Web, cookies_set, rotate

from holdfast.flask import session
from holdfast.records import tokens

_PERL = (
    "CVE-2025-40923", "CVE-2025-40924", "CVE-2025-40925", "CVE-2025-40926", "CVE-2025-40931", "CVE-2025-40932",
    "CVE-2026-2439", "CVE-2026-3255", "CVE-2026-3256", "CVE-2026-5080", "CVE-2026-5081", "CVE-2026-5084",
    "CVE-2026-5085", "CVE-2026-5087", "CVE-2026-8503", "CVE-2026-9692", "CVE-2026-56016",
)  # fmt: skip


@advisory(
    *_PERL,
    product="17 session modules for Perl",
    cause="Ids were made from rand, the time, the process id or uuidgen, some of them only when the system failed.",
    mutants=[planted.ids_from_random, planted.ids_from_time_and_process],
)
@pytest.mark.kinds("memory")
def test_ids_do_not_follow_from_what_others_know(
    place: str, web_on: Callable[..., Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same seed, at the same moment and in the same process, two ids are different."""
    web = web_on(place)
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    issued = []
    for _ in range(2):
        random.seed(0)
        browser = web.app.test_client()
        web.put(browser, a=1)
        issued.append(web.token(browser))
        random.seed(0)
        web.do(rotate, browser)
        issued.append(web.token(browser))
    assert len(set(issued)) == 4


@advisory(
    *_PERL,
    "CVE-2025-66565",
    "CVE-2025-66630",
    product="17 session modules for Perl, Fiber",
    cause="When the system's randomness failed, ids were guessable or all the same, instead of an error.",
    mutants=[planted.falls_back_to_a_guess, planted.falls_back_to_zeros],
)
@requirement(
    "ASVS 7.2.3", says="A failing random number generator is an error.", mutants=[planted.falls_back_to_a_guess]
)
@pytest.mark.kinds("memory", "sqlite", "files", "json")
def test_without_randomness_there_is_no_session(place: str, web_on: Callable[..., Web]) -> None:
    """When the system has no randomness the request fails: no cookie, no record, and the old id stays the only one."""
    web = web_on(place, PROPAGATE_EXCEPTIONS=False)
    web.put(a=1)
    before = web.records()

    def fails(_size: int) -> NoReturn:
        raise OSError("no randomness")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", fails)
        patch.setattr(random, "_urandom", fails)
        for browser, view in ((web.app.test_client(), lambda: session.update(a=1)), (web.browser, rotate)):
            response = web.do(view, browser)
            assert response.status_code >= 500
            assert not cookies_set(response)
    assert web.records() == before
    assert web.data() == {"a": 1}


@advisory(
    "RUSTSEC-2024-0343",
    product="nano-id",
    cause="A mask that did not fit the alphabet left ids with far fewer bits than intended.",
    mutants=[planted.half_of_the_alphabet, planted.uneven_letters, planted.begins_with_the_time, planted.ids_of_a_uuid],
)
@requirement(
    "ASVS 7.2.3",
    "ASVS 4.0 3.2.2",
    says="An id has at least 128 bits, all of them random.",
    mutants=[planted.half_of_the_alphabet, planted.begins_with_the_time, planted.ids_of_a_uuid],
)
@pytest.mark.kinds("memory")
def test_an_id_is_256_even_bits(place: str, web_on: Callable[..., Web]) -> None:
    """Of 4,000 ids, some over HTTP, every bit is set in half, every letter is equally frequent, none occurs twice."""
    web = web_on(place)
    issued: list[str] = []
    for _ in range(20):
        browser = web.app.test_client()
        web.put(browser, a=1)
        issued.append(web.token(browser) or "")
    issued += [tokens.new_token() for _ in range(4000 - len(issued))]
    assert len(set(issued)) == len(issued)
    assert all(len(token) == 43 for token in issued)
    letters = Counter(itertools.chain.from_iterable(token[:42] for token in issued))
    assert len(letters) == 64
    # Six standard deviations: one false alarm in a million runs.
    expected = 42 * len(issued) / 64
    assert max(abs(count - expected) for count in letters.values()) < 6 * expected**0.5
    numbers = [int.from_bytes(base64.urlsafe_b64decode(token + "="), "big") for token in issued]
    for bit in range(256):
        count = sum(number >> bit & 1 for number in numbers)
        assert abs(count - len(issued) / 2) < 3 * len(issued) ** 0.5, f"bit {bit} is set in {count} of {len(issued)}"


@advisory(
    "CVE-2025-66565",
    product="Fiber",
    cause="Workers could return the same ids, because their seed was made only once.",
    mutants=[planted.a_pool_filled_once],
)
@pytest.mark.kinds("memory")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # later Pythons warn where there are threads
def test_forked_workers_never_make_the_same_id(place: str, web_on: Callable[..., Web]) -> None:
    """Of the ids that eight forked workers make of one loaded application, no two are equal."""
    web = web_on(place)
    web.put(a=1)
    issued: list[bytes] = []
    for _ in range(8):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                browsers = [web.app.test_client() for _ in range(5)]
                for browser in browsers:
                    web.put(browser, a=1)
                os.write(writing, " ".join(web.token(browser) or "" for browser in browsers).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            issued += pipe.read().split()
        os.waitpid(child, 0)
    assert len(issued) == 40
    assert len(set(issued)) == 40


#: Modules that make secrets, or what must never be the same twice, have no other source than these.
_RANDOM = ("random", "uuid", "numpy")
#: They read and write the ids in values, and make none.
_HOLD_IDS = {seams.SOURCE_OF_TYPE_CODECS, seams.SOURCE_OF_PICKLES}
#: Jitter is no secret.
_JITTER = {seams.SOURCE_OF_RETRIES}


@advisory(
    *_PERL,
    product="17 session modules for Perl",
    cause="Ids were made from generators that are not meant for secrets.",
    mutants=[planted.reads_random, planted.versions_from_random],
)
def test_the_source_knows_no_other_randomness() -> None:
    """Only the module that waits between two attempts uses random, and the modules of keys and tokens use secrets."""
    trees = source.modules()
    for name, tree in trees.items():
        if name.startswith("testing/") or name in _JITTER:
            continue
        found = {part for text in source.imported(tree) for part in [text.partition(".")[0]]} & set(_RANDOM)
        assert not found - ({"uuid"} if name in _HOLD_IDS else set()), name
        assert "__import__" not in " ".join(source.called(tree)), name
    made = {name: set(source.called(tree)) for name, tree in trees.items()}
    [makes_token] = [
        node
        for node in ast.walk(trees[seams.SOURCE_OF_TOKENS])
        if isinstance(node, ast.FunctionDef) and node.name == "new_token"
    ]
    assert set(source.called(makes_token)) == {"secrets.token_urlsafe"}
    assert "random.uniform" in made[seams.SOURCE_OF_RETRIES]
    others = {"random.random", "random.getrandbits", "random.randbytes", "random.choice"}
    assert not made[seams.SOURCE_OF_RETRIES] & others
