"""The metadata of a session."""

from __future__ import annotations

import pytest

from holdfast.records.metadata import LONGEST_LABEL, Device, device_in, fit, label_from


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
