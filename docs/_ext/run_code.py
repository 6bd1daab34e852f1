"""Run every code block of the site's pages and of the README.

    python docs/_ext/run_code.py [PAGE ...]

``python`` blocks are executed, ``pycon`` blocks are doctests (their output must be as printed),
``console`` blocks run each ``$ meshconv ...`` line and compare its output where one is printed. The
blocks of a page share one namespace and one folder with the example files; ``sh`` blocks (apt, pip,
make, sbatch) are only checked for their grammar, and ``text`` is not code.
"""

from __future__ import annotations

import contextlib
import doctest
import functools
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {"python", "pycon", "console", "sh", "text", "csv", "json", "bibtex"}
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_FENCE = re.compile(r"^```(\S*)[ \t]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, its text, the line it begins on."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page that is code (directives of MyST are not)."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(match[1], match[2], text[: match.start()].count("\n") + 2)
        for match in _FENCE.finditer(text)
        if not match[1].startswith("{")
    ]
    for block in found:
        if block.language not in LANGUAGES:
            raise SystemExit(f"{page}:{block.line}: no language {block.language!r}")
    return found


def pages() -> list[Path]:
    """The README, and every page that is written by hand."""
    made = {"api", "auto_gallery", "_build"}
    mine = [p for p in (ROOT / "docs").rglob("*.md") if not made & set(p.parts)]
    return [ROOT / "README.md", *sorted(p for p in mine if p != ROOT / "docs" / "faults.md")]


def _run_python(block: Block, name: str, names: dict[str, Any]) -> None:
    source = "\n" * (block.line - 1) + block.text
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, name, "exec"), names)


def _run_doctest(block: Block, name: str, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.text, names, name, name, block.line - 1)
    test.globs = names
    runner = doctest.DocTestRunner(optionflags=_FLAGS)
    runner.run(test, clear_globs=False)
    if runner.failures:
        raise SystemExit(f"{name}:{block.line}: the output is not as printed")


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command line and the output printed below it."""
    for part in re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command.strip(), output


def _run_console(block: Block, name: str) -> None:
    from meshconv.cli import main

    for command, expected in _commands(block.text):
        line, _, alternative = command.partition("||")
        words = shlex.split(line)
        if words[0] != "meshconv":
            raise SystemExit(f"{name}:{block.line}: not a command of meshconv: {command}")
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()) as aside:
            code = main(words[1:])
        if code and alternative.strip() != "true":
            raise SystemExit(f"{name}:{block.line}: {command}: exit {code}\n{aside.getvalue()}")
        if expected.strip() and not doctest.OutputChecker().check_output(
            expected, said.getvalue(), _FLAGS
        ):
            raise SystemExit(f"{name}:{block.line}: {command} printed\n{said.getvalue()}")


def run(page: Path, files: Path) -> None:
    """Run the blocks of one page in a copy of the example files."""
    name, names = str(page.relative_to(ROOT)), {"__name__": "__main__"}
    todo = [b for b in blocks(page) if b.language in {"python", "pycon", "console", "sh"}]
    if not todo:
        return
    began = time.process_time()
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shutil.copytree(files, folder, dirs_exist_ok=True)
        os.chdir(folder)
        try:
            for block in todo:
                if block.language == "sh":
                    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
                elif block.language == "console":
                    _run_console(block, name)
                elif block.language == "pycon":
                    _run_doctest(block, name, names)
                else:
                    _run_python(block, name, names)
        finally:
            os.chdir(here)
    print(f"{name}: {len(todo)} blocks, {time.process_time() - began:.1f} CPU s", flush=True)


def main(arguments: list[str]) -> None:
    """Run some pages, or all; windows are drawn off the screen."""
    import meshconv as mc

    for name in ("show", "inspect"):
        setattr(mc, name, functools.partial(getattr(mc, name), off_screen=True, interactive=False))
    sys.path.insert(0, str(Path(__file__).parent))
    import example_files

    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        example_files.write(files)
        for page in [Path(a).resolve() for a in arguments] or pages():
            run(page, files)


if __name__ == "__main__":
    main(sys.argv[1:])
