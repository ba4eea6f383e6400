"""HTML as a tree, read strictly: each opened element is closed, in order."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "br", "hr", "img", "col"}


class Element:
    """A tag with its attributes, and what is in it: elements, and text."""

    def __init__(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len(dict(attributes)) == len(attributes), f"an attribute is there twice: {attributes}"
        self.tag = tag
        self.attributes = {name: value or "" for name, value in attributes}
        self.children: list[Element | str] = []

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    @property
    def text(self) -> str:
        """The text in it, with single spaces."""
        return " ".join(
            "".join(child if isinstance(child, str) else f" {child.text} " for child in self.children).split()
        )

    def walk(self) -> Iterator[Element]:
        """Yield the element and those in it, in the order of the document."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements in it with this tag and these attributes; ``class_`` is one of the classes."""
        wanted = attributes.pop("class_", None)
        return [
            element
            for element in self.walk()
            if element.tag == tag
            and attributes.items() <= element.attributes.items()
            and (wanted is None or wanted in element.attributes.get("class", "").split())
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        """Return the only such element."""
        (element,) = self.all(tag, **attributes)
        return element

    def fields(self) -> dict[str, str]:
        """Return what a form sends when it is sent as it is."""
        return {
            field["name"]: field.attributes.get("value", "")
            for field in self.all("input")
            if field.attributes.get("name")
        }


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", [])
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, attrs)
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(html: str) -> Element:
    """Return the document, whose children are the root's. Fails when tags are not closed in order."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder.open == [builder.root], f"not closed: {[element.tag for element in builder.open]}"
    return builder.root
