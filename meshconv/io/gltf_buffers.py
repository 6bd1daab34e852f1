"""The bytes behind an address in a glTF document: inside it, or in a file of the same folder."""

from __future__ import annotations

import base64
import binascii
import os
from urllib.parse import unquote

from meshconv.errors import BadFormatError, MeshIOError, SecurityError
from meshconv.io.source import Source, read_file
from meshconv.io.tokens import clip


def open_address(uri: str, source: Source) -> bytes:
    """Return the bytes behind a data: address or a file in the same folder; nothing else is
    opened.

    Raises
    ------
    SecurityError
        If it asks for another machine, or for a file outside the folder.
    """
    if uri.startswith("data:"):
        return _inside(uri, source)
    name = unquote(uri)
    if ":" in name or name.startswith(("//", "\\\\")):
        raise SecurityError(
            f"asks for the address {clip(uri, 80)}: not opened", hint="only local files are read"
        )
    folder = os.path.realpath(os.path.dirname(source.path) or ".")
    if "\0" in name or name != name.encode("utf-8", "replace").decode():
        raise BadFormatError(f"{clip(ascii(name))} is no possible name of a buffer file")
    path = os.path.realpath(os.path.join(folder, name.replace("\\", "/")))
    if os.path.commonpath([folder, path]) != folder and not source.allow_outside:
        raise SecurityError(
            f"asks for {clip(name, 80)} outside its folder: not opened",
            hint="read(..., on_security='allow') opens local files anywhere",
        )
    if path not in source.beside_files:
        try:
            source.beside_files[path] = read_file(path)
        except MeshIOError as error:
            raise type(error)(
                f"buffer file {clip(name, 80)}: {error.message}", hint=error.hint
            ) from error
    return source.beside_files[path]


def _inside(uri: str, source: Source) -> bytes:
    head, comma, text = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise BadFormatError("a data: address that is not base64")
    source.spend(len(text) * 3 // 4, "a data: address")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadFormatError(f"damaged base64 in a data: address ({error})") from error
