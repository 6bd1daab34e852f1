"""A folder as a benchmark: every seed another split by subject, every fold its own frame."""

import numpy as np
import pytest

from meshconv import ProceduralFaces, Template, save
from meshconv.benchmark.folder import load_folder
from meshconv.benchmark.run import Record, run, settings
from meshconv.benchmark.task import InFrame, Part, Task, shuffled
from meshconv.errors import ArgumentError, BadFormatError
from meshconv.mesh.shapes import face


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Eight faces of six subjects, one more that is nothing."""
    folder = tmp_path_factory.mktemp("study")
    faces = ProceduralFaces(8, "nose_tip", 8.0, n_vertices=250, seed=1)
    lines = ["file,label,subject"]
    for k in range(8):
        scan = faces[k]
        save(folder / f"{k}.ply", scan.surface)
        lines.append(f"{k}.ply,{'ab'[scan.label]},{'pq'[scan.label]}{k // 3}")
    (folder / "broken.ply").write_bytes(b"ply\nnothing")
    lines.append("broken.ply,a,z")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_folds_have_frames_of_what_is_learned_from(study, tmp_path):
    task = load_folder(f"folder:{study}", folds=2, cache=tmp_path)
    assert task.folds == 2 and task.classes == ("a", "b")
    frames, tested = [], []
    for part, held in task.splits(0):
        assert not set(part.train.subjects) & set(part.test.subjects)
        assert part.train.measures.shape == (len(part.train.labels), len(part.measures))
        np.testing.assert_array_equal(part.test.labels, task.test.labels[held])
        frames.append(part.template.surface.vertices)
        tested.append(held)
    assert sorted(np.concatenate(tested)) == list(range(8))  # but for the broken one
    assert frames[0].tobytes() != frames[1].tobytes()
    for k in tested[0]:  # the frame is the same whatever the scans that are tested in it
        save(study / f"{k}.ply", ProceduralFaces(1, n_vertices=200, seed=50 + int(k))[0].surface)
    again = next(load_folder(f"folder:{study}", folds=2, cache=tmp_path / "x").splits(0))[0]
    np.testing.assert_array_equal(again.template.surface.vertices, frames[0])


def test_every_seed_is_another_split_and_what_no_frame_takes_is_in_no_figure(tmp_path):
    rng, n, gone, asked = np.random.default_rng(0), 30, 7, []
    labels = (np.arange(n) % 2).astype(np.int64)
    values = labels[:, None] + rng.normal(size=(n, 3))
    template = Template.from_surface(face(200))

    def in_frame_of(rows):
        asked.append(tuple(rows))
        kept = np.delete(np.arange(n), gone)
        images = values[kept][:, :, None, None].astype(np.float32)
        return InFrame(template, images, kept, ("volume", "area", "radius"), values[kept])

    blank = np.zeros((n, 1, 1, 1), dtype=np.float32)
    whole = Part(blank, labels, subjects=tuple(map(str, range(n))))
    task = Task("it", whole, whole, ("a", "b"), folds=3, in_frame_of=in_frame_of)
    record = Record.open(tmp_path / "r.json", settings(n=0, epochs=1, folds=3))
    options = {"crossed": lambda name: True, "progress": False}
    models = ["PCA 99.9 % + logistic", "measures + logistic"]
    run(["it"], models, [0, 1], lambda name: shuffled(task), record, **options)
    assert [row["seed"] for row in record.rows] == [0, 0, 1, 1]
    assert len(set(asked)) == 6  # three folds of two splits
    assert [row["n"] for row in record.rows] == [n - 1] * 4
    run(["that"], models, [0, 1], lambda name: task, record, **options)
    assert all(row["accuracy"] > 0.55 for row in record.rows[4:])


def test_folders_that_cannot_be_split_are_refused(study):
    table = (study / "labels.csv").read_text()
    try:
        (study / "labels.csv").write_text(table.replace("broken.ply,a", "broken.ply,c"))
        with pytest.raises(ArgumentError, match="two classes of two subjects each; 'c' has 1"):
            load_folder(f"folder:{study}")
        lines = [f"{k}.ply,{k + 0.5}" for k in range(8)]
        (study / "labels.csv").write_text("\n".join(["file,label", *lines]))
        with pytest.raises(BadFormatError, match="Unknown label type: continuous"):
            load_folder(f"folder:{study}")
    finally:
        (study / "labels.csv").write_text(table)
