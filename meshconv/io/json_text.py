"""JSON from strangers: its depth and size are measured before it is parsed, and nothing in it is
said twice.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np

from meshconv.errors import BadFormatError, SecurityError
from meshconv.io.scanners import json_shape

MAX_DEPTH = 100
MAX_VALUES = 1_000_000  # a value takes up to 200 bytes of memory, however short it is written


def parse_json(data: bytes) -> dict[str, Any]:
    """Return the object that a UTF-8 text holds.

    Raises
    ------
    BadFormatError
        If it is damaged, nested more than 100 deep, names a key twice, or holds something else than
        an object.
    SecurityError
        If it holds more than a million values.
    """
    deepest, values = json_shape(np.frombuffer(data, np.uint8))
    if deepest > MAX_DEPTH:
        raise BadFormatError(f"JSON nested {deepest} deep, more than {MAX_DEPTH}")
    if values > MAX_VALUES:
        raise SecurityError(f"JSON of {values} values, more than {MAX_VALUES}")
    try:
        out = json.loads(
            data.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_once
        )
    except UnicodeDecodeError as error:
        raise BadFormatError(f"the JSON is not UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise BadFormatError(
            f"damaged JSON: {error.msg}", line=error.lineno, hint="the file is cut or damaged"
        ) from error
    except BadFormatError:
        raise
    except ValueError as error:
        raise BadFormatError("the JSON holds a number of thousands of digits") from error
    if not isinstance(out, dict):
        raise BadFormatError("the JSON is no object")
    return out


def _refuse_constant(name: str) -> None:
    raise BadFormatError(f"the JSON holds {name}, which is no JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = next(name for name, many in names.items() if many > 1)
        raise BadFormatError(f"the JSON names {ascii(twice)[:40]} twice in one object")
    return out
