"""The metadata of a session."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from holdfast.records.codec import PACKER
from holdfast.records.envelope import decode_meta, encode_meta
from holdfast.records.metadata import LONGEST_LABEL, NAMES, Device, device_in, fit, label_from
from holdfast.records.tokens import new_sid


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (Device("Firefox", "Linux"), "Firefox on Linux"),
        (Device("Mobile Safari", "iOS", "iPhone"), "Mobile Safari on iOS (iPhone)"),
        (Device("Safari", "Mac OS X", "Mac"), "Safari on Mac OS X"),
        (Device("Firefox"), "Firefox"),
        (Device(os="Linux"), "Linux"),
        (Device(family="Spider"), "Spider"),
        (Device(), ""),
    ],
)
def test_a_device_in_words(device: Device, said: str) -> None:
    """A device reads as a person would name it, without unknown parts or repetitions."""
    assert str(device) == said


def test_a_device_is_kept_by_families() -> None:
    """The stored device is the one read back, and no metadata means no device."""
    device = Device("Firefox", "Linux")
    kept = {name: value for name, value in device.as_meta().items() if value is not None}
    assert kept == {"browser": "Firefox", "os": "Linux"}
    assert device_in(kept) == device
    assert device_in({"label": "x"}) is None


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ("Work laptop", "Work laptop"),
        ("  Work laptop ", "Work laptop"),
        ("Büro 💻 👩‍💻", "Büro 💻 👩‍💻"),
        ("</script>", "</script>"),
        ("x" * LONGEST_LABEL, "x" * LONGEST_LABEL),
        ("", None),
        ("   ", None),
        (None, None),
    ],
)
def test_a_label(given: str | None, label: str | None) -> None:
    """A label is a line of text, stored without surrounding space; an empty one is None."""
    assert label_from(given) == label


@pytest.mark.parametrize("given", ["x" * (LONGEST_LABEL + 1), "a\nb", "a\x00b", "a\ud800b", "a\u202eb", "a\u2028b"])
def test_what_is_no_label(given: str) -> None:
    """A text that is too long, or not a line, or turns the text around it, is refused with an error of its own."""
    with pytest.raises(ValueError, match="a label"):
        label_from(given)


@pytest.mark.parametrize("given", [7, b"Work", ["Work"]])
def test_a_label_is_text(given: object) -> None:
    """A value that is not text is no label."""
    with pytest.raises(TypeError, match="a label must be text"):
        label_from(given)


@pytest.mark.parametrize(
    ("given", "fitted"),
    [("Firefox", "Firefox"), ("F" * 20, "F" * 10), ("a\x00\u202e\ud800b", "ab"), ("\x00", None), ("  ", None)],
)
def test_text_from_outside_is_made_to_fit(given: str, fitted: str | None) -> None:
    """Foreign text is cut to one line without control characters; if it is empty the result is None."""
    assert fit(given, 10) == fitted


def _as_sid(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
_FORMS = st.one_of(
    *(st.integers(0, 10**20).map(str), st.binary(min_size=16, max_size=16).map(_as_sid)),
    *(st.from_regex(r"[0-9a-f]{64}|[A-Za-z0-9_-]{22}|0[0-9]+|[0-9]{17,20}", fullmatch=True), _TEXTS),
)


# Hypothesis makes its tables of characters at the first text, which takes seconds on a slow machine.
@for_any(st.dictionaries(st.sampled_from(["sid", "label", "unused", "previous"]) | _TEXTS, _FORMS, max_size=8))
def test_metadata_come_back(meta: dict[str, str]) -> None:
    """Any text under any name comes back, whether or not it has a shorter form."""
    assert decode_meta(encode_meta(meta)) == meta


def test_metadata_of_a_newer_release_are_kept() -> None:
    """A name that a newer release added is kept through a read and a save by this one, with its value."""
    packed = PACKER.pack([NAMES.index("label"), "x", len(NAMES), "Tallinn"])
    read = decode_meta(packed)
    assert (read["label"], len(read)) == ("x", 2)
    assert encode_meta(read) == packed


def test_metadata_of_a_login_are_short() -> None:
    """The id of a session takes 16 bytes, a time 8 and a mark one, each with two or three more; a key takes 32."""
    meta = {"sid": new_sid(), "permanent": "1", "authenticated_at": "1796004427045", "unused": "1"}
    assert len(encode_meta(meta)) == 34
    assert len(encode_meta({"previous": "ab" * 32})) == 36


@for_any(st.binary(max_size=60) | st.lists(st.integers() | st.text() | st.binary()).map(repr).map(str.encode))
def test_foreign_metadata_are_refused(packed: bytes) -> None:
    """For any bytes, the result is a ValueError, or metadata whose bytes these are."""
    try:
        meta = decode_meta(packed)
    except ValueError:
        return
    assert encode_meta(meta) == packed


@pytest.mark.parametrize(
    "parts",
    [
        *(
            [True, "x"],
            [0.0, "x"],
            [10_000, "x"],
            [-1, "x"],
            ["sid", "x"],
            [None, "x"],
            [[], "x"],
            [3],
            [3, "a", 3, "b"],
        ),
        *([3, -1], [3, 10**18], [3, True], [3, 1.0], [3, None], [3, b"short"], [3, b"x" * 33], [3, ["a"]], [3, "7"]),
        *([3, "ab" * 32], [3, "A" * 22], {"label": "x"}, "label", 7, None),
    ],
)
def test_metadata_have_one_form(parts: object) -> None:
    """Unknown numbers, names that have a number, values of other types and longer forms are refused."""
    with pytest.raises(ValueError, match="not metadata"):
        decode_meta(PACKER.pack(parts))


@pytest.mark.parametrize("more", [b"\x00", b"\xc1", b"\x80"])
def test_metadata_end_where_they_end(more: bytes) -> None:
    """Bytes after the metadata, and numbers in a longer spelling, are refused."""
    with pytest.raises(ValueError, match="not metadata"):
        decode_meta(encode_meta({"label": "x"}) + more)
    with pytest.raises(ValueError, match="not metadata"):
        decode_meta(b"\x92\xcc\x03\xa1x")
