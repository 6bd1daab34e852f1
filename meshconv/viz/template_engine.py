"""The pages of a report, filled by a template engine that escapes every text."""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

from meshconv.errors import MissingDependencyError

if TYPE_CHECKING:
    from jinja2 import Environment


def render(page: str, **values: Any) -> str:
    """Return a page of ``viz/page`` filled with values; all text in them is escaped.

    Raises
    ------
    MissingDependencyError
        If Jinja2 is not installed.
    """
    return _environment().get_template(page).render(values)


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError(
            "Jinja2 is needed to write a report", hint="pip install 'meshconv[view]'"
        ) from error
    # style and script are the house's own files, included as they stand
    found = Environment(
        loader=PackageLoader("meshconv.viz", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["data_uri"] = _data_uri
    return found


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
