"""What the commands print: text that every terminal can show, JSON that every program can read."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any, TextIO

from meshconv.errors import AccessError, MeshConvError


def open_streams() -> None:
    """Make all three streams usable: closed ones lead nowhere, and no letter is too much for one.

    A closed stream gives its number to the next file that is opened, and whatever a library prints
    would go there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, *, aside: bool = False) -> None:
    """Print lines, to stderr if they are said aside; if nobody reads them any more, in silence.

    Raises
    ------
    AccessError
        If the output cannot take them: a full disk.
    """
    stream = sys.stderr if aside else sys.stdout
    try:
        print(harmless(text), file=stream, flush=True)
    except OSError as error:
        lead_nowhere(stream)
        if not aside and not isinstance(error, BrokenPipeError):
            raise AccessError(f"cannot print: {error.strerror}", path="output") from error


def lead_nowhere(stream: TextIO) -> None:
    """Send nowhere what is still to come for a reader that went away."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def harmless(text: str) -> str:
    """Return text in which nothing but lines and tabs can move a terminal's cursor.

    >>> harmless("a\\x1b[31mb\\u202ec")
    'a\\\\x1b[31mb\\\\u202ec'
    """
    return "".join(
        c if c in "\n\t" or unicodedata.category(c)[0] != "C" else _escaped(c) for c in text
    )


def one_line(name: object) -> str:
    """Return a name for a line of output: without line breaks and tabs of its own."""
    return harmless(str(name)).replace("\n", "\\n").replace("\t", "\\t")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def emit(args: argparse.Namespace, data: Mapping[str, Any], text: str = "") -> None:
    """Print the data as JSON, or as text: aligned lines of the data if no other text is given."""
    say(as_json(data) if args.json else text or aligned(data))


def aligned(data: Mapping[str, Any]) -> str:
    """Return one line an entry, values in one column."""
    width = max(map(len, data), default=0)
    shown = {k: f"{v:.6g}" if isinstance(v, float) else one_line(v) for k, v in data.items()}
    return "\n".join(f"{key:<{width}}  {value}" for key, value in shown.items())


def as_json(data: Any) -> str:
    """Return JSON that every parser takes: what is not a finite number is null.

    >>> as_json([float("nan"), float("inf"), 1.0]).split()
    ['[', 'null,', 'null,', '1.0', ']']
    """
    return json.dumps(_plain(data), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def refuse(error: BaseException, *, as_data: bool) -> None:
    """Say why nothing came of it: a line on stderr and, where JSON was asked for, an object."""
    text = re.sub(r"pass format='(\w+)'", r"--format \1", str(error) or type(error).__name__)
    say(f"meshconv: {text}", aside=True)
    if as_data:
        details = (
            {
                "message": error.message,
                "path": error.path,
                "line": error.line,
                "indices": error.indices,
                "count": error.count,
                "hint": error.hint,
            }
            if isinstance(error, MeshConvError)
            else {"message": text}
        )
        say(as_json({"error": {"type": type(error).__name__, **details}}))
