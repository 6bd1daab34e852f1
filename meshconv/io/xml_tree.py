"""A small XML tree by expat: no document type, no entities, bounded depth."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from meshconv.errors import BadFormatError, MeshConvError, SecurityError

MAX_DEPTH = 64
MAX_NODES = 300_000  # elements and attributes: each takes hundreds of bytes of memory
_UTF16 = re.compile(rb"\s*<\?xml[^>]*encoding\s*=\s*[\"']utf-?16", re.IGNORECASE)


@dataclass
class Node:
    """One XML element."""

    tag: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def first(self, tag: str) -> Node | None:
        """Return the first child of that name."""
        return next((child for child in self.children if child.tag == tag), None)

    def all(self, tag: str) -> list[Node]:
        """Return the children of that name."""
        return [child for child in self.children if child.tag == tag]


def parse_xml(data: bytes) -> Node:
    """Return the root element.

    Raises
    ------
    SecurityError
        If the document declares a type or an entity: those can read files and fill the memory.
    BadFormatError
        If it is not well formed; names the line.
    """
    top = Node("", {})
    stack, texts, nodes = [top], [list[str]()], [0]

    def refuse(*_: object) -> NoReturn:
        raise SecurityError(
            "declares a document type or an XML entity: not expanded, not read", hint="remove it"
        )

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) > MAX_DEPTH:
            raise BadFormatError(
                f"XML nested more than {MAX_DEPTH} deep", line=parser.CurrentLineNumber
            )
        nodes[0] += 1 + len(attributes)
        if nodes[0] > MAX_NODES:
            raise SecurityError(f"XML of more than {MAX_NODES} elements and attributes")
        node = Node(tag, attributes)
        stack[-1].children.append(node)
        stack.append(node)
        texts.append([])

    def end(_: str) -> None:
        stack.pop().text = "".join(texts.pop())

    def text(part: str) -> None:
        texts[-1].append(part)

    recoded = _UTF16.match(data)  # declared so, but the bytes have been made UTF-8 before
    parser = expat.ParserCreate("utf-8" if recoded else None)
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ExternalEntityRefHandler = (
        refuse
    )
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except MeshConvError:
        raise
    except (
        expat.ExpatError,
        LookupError,
        ValueError,
    ) as error:  # the last two for encodings it does not know
        line = getattr(error, "lineno", None)
        raise BadFormatError(
            f"not well-formed XML: {error}", line=line, hint="the file is cut or damaged"
        ) from error
    return top.children[0]
