"""Pages made from the package itself: every public name, every command, every error."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fault_examples
from docstring_links import escaped

import meshconv
from meshconv import errors

ROOT = Path(__file__).resolve().parents[2]
# what each room is called on the site; a room that is not here goes by its own name
TITLES = {
    "mesh": "Surfaces",
    "io": "Files",
    "mesh_repair": "Check and repair",
    "operators": "Operators",
    "maps": "Maps",
    "registration": "Registration",
    "resample": "Images",
    "nn": "Networks and layers",
    "stats": "Statistics",
    "datasets": "Data sets",
    "train": "Training",
    "saliency": "Saliency",
    "estimators": "Estimators",
    "viz": "Pictures",
    "studies": "Studies",
    "benchmark": "Comparisons",
    "errors": "Errors and warnings",
}
# names that the guide uses beside the public ones, by their module
DEEPER = {
    "meshconv.mesh.shapes": ("face", "face_effect", "face_landmarks", "icosphere", "torus", "cap"),
    "meshconv.registration.template_fit": ("TemplateFit",),
    "meshconv.maps.face_maps": ("Distortion",),
    "meshconv.train.prepare": ("prepare",),
    "meshconv.train.prepared": ("Prepared",),
    "meshconv.train.config": ("PrepareConfig", "NetworkConfig", "TrainConfig"),
    "meshconv.train.quality": ("Quality",),
    "meshconv.saliency.explain": ("Explanation",),
    "meshconv.saliency.evaluate": ("agreement",),
    "meshconv.stats.metrics": ("evaluate",),
    "meshconv.viz.picture": ("figure", "save_figure", "FieldStyle"),
    "meshconv.viz.map_picture": ("map_figure",),
    "meshconv.viz.image_picture": ("image_figure",),
    "meshconv.benchmark.run": ("run",),
}


def public_names() -> dict[str, list[str]]:
    """Every public name by its room, in the order of the stub."""
    tree = ast.parse((ROOT / "meshconv" / "__init__.pyi").read_text(encoding="utf-8"))
    rooms: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            room = str(node.module).split(".")[0]
            rooms.setdefault(room, []).extend(name.name for name in node.names)
    return rooms


def _directive(value: Any) -> str:
    if inspect.isclass(value):
        return "autoexception" if issubclass(value, BaseException) else "autoclass"
    return "autofunction"


def _entries(module: str, names: list[str]) -> Iterator[str]:
    found = importlib.import_module(module)
    yield f".. currentmodule:: {module}\n"
    for name in names:
        yield f".. {_directive(getattr(found, name))}:: {name}\n"


def _overview(module: str, names: list[str]) -> Iterator[str]:
    """One line a name, with the first sentence of what it is."""
    if not names:
        return
    yield ".. list-table::\n   :widths: 30 70\n"
    for name in names:
        text = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
        first = escaped(" ".join(text.split("\n\n")[0].split()))
        yield f"   * - :py:obj:`~{module}.{name}`\n     - {first}"
    yield ""


def _deeper(room: str, public: list[str]) -> dict[str, list[str]]:
    """Names beside the public ones: those above, and all that a room's own list has."""
    found = {
        module: list(names)
        for module, names in DEEPER.items()
        if module.split(".")[1] == room and importlib.util.find_spec(module)
    }
    package = importlib.import_module(f"meshconv.{room}")
    listed = [name for name in getattr(package, "__all__", ()) if name not in public]
    documented = [name for name in listed if callable(getattr(package, name))]
    return {**found, **({package.__name__: documented} if documented else {})}


def room_page(room: str, names: list[str]) -> str:
    """The page of one room: an overview, then each name with its docstring."""
    title = TITLES.get(room, room)
    lines = [title, "=" * len(title), ""]
    lines += _overview("meshconv", names)
    lines += _entries("meshconv", names)
    if room == "errors":
        return "\n".join(lines + list(_error_entries(set(names))))
    deeper = _deeper(room, names)
    if deeper:
        lines += ["Beside the public names", "-" * 23, ""]
    for module, more in deeper.items():
        lines += [f"``{module}``", "^" * (len(module) + 4), ""]
        lines += [*_overview(module, more), *_entries(module, more)]
    return "\n".join(lines)


def _error_entries(public: set[str]) -> Iterator[str]:
    yield ".. currentmodule:: meshconv.errors\n"
    for cls in error_classes():
        if cls.__name__ not in public:
            yield f".. autoexception:: {cls.__name__}\n   :show-inheritance:\n"


def error_classes() -> list[type]:
    """Every error and warning of the package, in the order of the file."""
    return [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    ]


def api_index(rooms: list[str]) -> str:
    """The front page of the reference."""
    count = len(meshconv.__all__) - 1
    pages = "\n".join(f"   {room}" for room in [*rooms, "command_line"])
    return (
        "API\n===\n\n"
        f"The {count} public names, ``meshconv.<name>``, by the room they live in. Each has its"
        " shapes, dtypes,\nunits, errors and sources, and an example that the tests run.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{pages}\n"
    )


def command_page() -> str:
    """The help of every command."""
    from meshconv.cli import _parser

    parser = _parser()
    lines = [
        "Command line",
        "============",
        "",
        "Every command is one call of the library and takes",
    ]
    lines += [
        "``--json``. Exit code 0: done; 1: a problem found, or a refusal; 2: wrong usage.",
        "",
    ]
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        head = f"meshconv {name}"
        command.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=88)
        text = "\n".join("   " + line for line in command.format_help().splitlines())
        lines += [head, "-" * len(head), "", ".. code-block:: text", "", text, ""]
    return "\n".join(lines)


def faults_page() -> str:
    """Every error class: what it means, an example with its message, what to do."""
    lines = [
        "# Faults",
        "",
        "Every refusal says what is wrong, where, which value was found, and what to do next. All",
        "errors derive from `MeshConvError`, a `ValueError`, and carry `path`, `line`, `indices`,",
        "`count` and `hint`. The messages below were printed by the code above them when this page",
        "was built.",
        "",
    ]
    for cls in error_classes():
        bases = ", ".join(f"`{base.__name__}`" for base in cls.__bases__)
        lines += [
            f"## {cls.__name__}",
            "",
            f"{inspect.getdoc(cls).split(chr(10) * 2)[0]} ({bases})",
            "",
        ]
        example = fault_examples.EXAMPLES.get(cls.__name__)
        if example is None:
            continue
        message = fault_examples.message_of(cls.__name__)
        lines += ["```python", example.code.strip(), "```", "", "```text", message, "```", ""]
        lines += [f"**What to do.** {example.remedy}", ""]
    return "\n".join(lines)


def write(folder: Path) -> list[Path]:
    """Write all pages; those that say the same as before are left alone."""
    rooms = public_names()
    shown = [*rooms, *sorted({m.split(".")[1] for m in DEEPER} - set(rooms))]
    pages = {f"api/{room}.rst": room_page(room, rooms.get(room, [])) for room in shown}
    pages |= {"api/index.rst": api_index(shown), "api/command_line.rst": command_page()}
    pages["faults.md"] = faults_page()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx looks for them."""
    write(Path(app.srcdir))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
