"""Docstrings as the house writes them: ``|z|`` is an absolute value, and a name in single backticks
is a link where it is public, and code where it is not.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref

# what stays as it is: code, and words between stars
_CODE = re.compile(r"(``.*?``|`[^`]*`|(?<![\w*])\*\w[^*]*\w\*(?![\w*]))")
_SPECIAL = re.compile(r"(\||(?<=\w)_(?!\w)|\*)")


def escaped(line: str) -> str:
    """Outside of code and of examples, bars, stars and trailing underscores are themselves."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts = _CODE.split(line)
    return "".join(
        part if k % 2 else _SPECIAL.sub(lambda m: "\\" + m[0], part) for k, part in enumerate(parts)
    )


def _escape(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if name.startswith("meshconv"):
        lines[:] = [escaped(line) for line in lines]


def _resolve(app: Any, env: Any, node: pending_xref, content: nodes.Element) -> nodes.Node | None:
    """A link to a name that is public must work; any other name in backticks is plain code."""
    if node.get("refdomain") != "py" or node.get("reftype") != "obj":
        return None
    target = node["reftarget"]
    objects = env.get_domain("py").objects
    for name in (target, f"meshconv.{target.removeprefix('~')}"):
        if name in objects:
            return env.get_domain("py").resolve_xref(
                env, node["refdoc"], app.builder, "obj", name, node, content
            )
    return None if _must_exist(target) else nodes.literal("", content.astext())


def _must_exist(target: str) -> bool:
    import meshconv

    return target.removeprefix("meshconv.") in meshconv.__all__


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Methods that scikit-learn adds, whose docstrings speak of its own pages."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Any) -> dict[str, bool]:
    """Before numpydoc, which reads the docstring at priority 500."""
    app.connect("autodoc-process-docstring", _escape, priority=400)
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _resolve, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
