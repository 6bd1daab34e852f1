"""The layers hold, `import meshconv` is light, every public name exists and is documented."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import grimp
import pytest

import meshconv

ROOT = Path(__file__).resolve().parents[1]


def test_layers_are_imported_one_way_only() -> None:
    """The contracts in pyproject.toml, by import-linter."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_is_light() -> None:
    """`import meshconv` loads no network, no renderer, no compiler, not even scipy."""
    code = "import sys, meshconv; print(' '.join(sorted(m.split('.')[0] for m in sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {
        "torch",
        "torch_geometric",
        "vtk",
        "vtkmodules",
        "pyvista",
        "numba",
        "scipy",
        "trimesh",
    } & set(loaded)


_CORE = """
import re, sys, tomllib
extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]
names = {re.split("[>=]", one)[0] for some in extras.values() for one in some}
modules = {"scikit-learn": "sklearn", "pillow": "PIL", "torch-geometric": "torch_geometric"}
for name in names:
    sys.modules[modules.get(name, name)] = None  # as if it were not installed
import meshconv as mc
from meshconv.mesh.shapes import face
mc.save(sys.argv[1] + "/scan.ply", face(300))
disk = mc.repair(mc.load(sys.argv[1] + "/scan.ply")).surface
flat = mc.conformal_map(disk, domain="disk")
even = mc.density_equalizing_map(flat)
image = mc.Resampler(even, 17).to_image(mc.channels(disk, even))
mc.save(sys.argv[1] + "/scan.obj", disk, vertex_fields={"distance": mc.geodesic_distance(disk, 0)})
"""


def test_the_core_needs_no_extra(tmp_path: Path) -> None:
    """From file to image and back to a file with the declared dependencies alone."""
    command = [sys.executable, "-c", _CORE, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scan.obj").exists()


@pytest.mark.parametrize("name", meshconv.__all__)
def test_public_names_exist_and_are_documented(name: str) -> None:
    value = getattr(meshconv, name)
    if name != "__version__":
        assert value.__doc__, name
        assert value is getattr(importlib.import_module(f"meshconv.{_stub()[name]}"), name)


def _stub() -> dict[str, str]:
    """The module of each public name, as the stub has it."""
    tree = ast.parse((ROOT / "meshconv" / "__init__.pyi").read_text(encoding="utf-8"))
    lines = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {name.name: str(line.module) for line in lines for name in line.names}


def test_the_stub_says_what_is_public() -> None:
    """Type checkers and `dir` see the same names; no subpackage hides one of them."""
    assert sorted(meshconv.__all__) == sorted(["__version__", *_stub()])
    rooms = {path.stem for path in (ROOT / "meshconv").iterdir()}
    assert not rooms & set(meshconv.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="No meshconv attribute nonsense"):
        _ = meshconv.nonsense


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest imports them by name: of two, one is not run."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [one for one, other in pairwise(names) if one == other] == []


def _sources() -> list[Path]:
    return sorted((ROOT / "meshconv").rglob("*.py"))


def test_no_circle_of_files() -> None:
    """Imports for typing, and those inside functions, count too."""
    graph = grimp.build_graph("meshconv", cache_dir=None)
    left = {one: set(graph.find_modules_directly_imported_by(one)) for one in graph.modules}
    while leaves := [one for one, needs in left.items() if not needs]:
        for leaf in leaves:
            del left[leaf]
        for needs in left.values():
            needs.difference_update(leaves)
    left.pop("meshconv", None)
    assert not left, sorted(left)


def test_numba_caches_are_provided_before_numba_is_imported() -> None:
    """One place decides where compiled code is kept, and no file sets it again."""
    for path in _sources():
        if path.name != "compiled_cache.py" and path.name != "doctor.py":
            assert "NUMBA_CACHE_DIR" not in path.read_text(encoding="utf-8"), path


def test_the_longest_chain_of_imports_has_at_most_14_files() -> None:
    """From a command to the names of arrays; imports for typing and inside functions count."""
    graph = grimp.build_graph("meshconv", cache_dir=None)

    @cache
    def length(module: str) -> int:
        below = graph.find_modules_directly_imported_by(module) - {"meshconv"}
        return 1 + max(map(length, below), default=0)

    chains = {module: length(module) for module in graph.modules if module != "meshconv"}
    assert max(chains.values()) <= 14, {name for name, found in chains.items() if found > 14}


def test_files_are_short_and_the_formatter_has_the_last_word() -> None:
    texts = {path: path.read_text() for path in (ROOT / "meshconv").rglob("*.py")}
    long = {str(path): text.count("\n") for path, text in texts.items() if text.count("\n") > 300}
    assert len(texts) > 200 and not long, long
    assert sum(text.count("# fmt: skip") for text in texts.values()) <= 15
