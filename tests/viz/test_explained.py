"""What is drawn of a result: pose, words, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from drawn import explained_face
from scipy.spatial.transform import Rotation

from meshconv import Parameterization, Surface
from meshconv.errors import ArgumentError, ArrayTypeError, NonFiniteError
from meshconv.mesh.shapes import face, icosphere
from meshconv.viz.explained import as_explained
from meshconv.viz.picture import FieldStyle


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_upright_undoes_any_pose(seed: int) -> None:
    """However a scan stands, it is drawn the same; and a face stands as its population does."""
    posed = as_explained(explained_face(seed=seed)).facing_viewer()
    plain = as_explained(explained_face(seed=seed, pose=False)).facing_viewer()
    a, b = (one.surface.vertices - one.surface.vertices.mean(axis=0) for one in (posed, plain))
    assert np.abs(a - b).max() < 1e-6 * np.ptp(a)
    given = explained_face(seed=seed, pose=False).surface.vertices
    turn, _ = Rotation.align_vectors(a, given - given.mean(axis=0))
    assert np.degrees(turn.magnitude()) < 20  # the generated face stands upright by itself
    assert np.allclose(posed.parameterization.surface.vertices, posed.surface.vertices)


def test_field_of_a_mended_surface_comes_from_the_nearest_vertices() -> None:
    one = explained_face(pose=False)
    keep = one.surface.faces[:-40]
    kept, index = np.unique(keep, return_inverse=True)
    mended = Surface(one.surface.vertices[kept], index.reshape(-1, 3))
    one.parameterization = Parameterization(mended, one.parameterization.coordinates[kept], "disk")
    assert np.array_equal(as_explained(one).mapped_field(), one.saliency[kept])


def test_a_mirrored_scan_is_drawn_as_it_lies_in_the_frame() -> None:
    """The map is of the mirror image: surface and field are then taken from there."""
    one = explained_face(pose=False)
    mirrored = Surface(one.surface.vertices * [-1, 1, 1] + [500, 0, 0], one.surface.faces[:, ::-1])
    one.resampler = SimpleNamespace(to_vertices=lambda image: image.ravel()[: mirrored.n_vertices])
    one.saliency_image = np.linspace(0, 1, 1024).reshape(32, 32)
    one.parameterization = Parameterization(
        mirrored, one.parameterization.coordinates * [-1, 1], "disk"
    )
    drawn = as_explained(one)
    assert drawn.surface is mirrored and "drawn mirrored" in drawn.note
    assert np.array_equal(drawn.field, one.saliency_image.ravel()[: mirrored.n_vertices])


@pytest.mark.parametrize(
    ("saliency", "words"),
    [
        (np.zeros, "constant (0)"),
        (np.ones, "constant (1)"),
        (None, "no saliency"),
        (np.arange, "values reach from 0"),
    ],
)
def test_notes_say_what_the_colours_cannot(saliency: object, words: str) -> None:
    n = explained_face().surface.n_vertices
    one = explained_face(saliency=saliency(n) if callable(saliency) else None)
    assert words in as_explained(one).note
    assert as_explained(explained_face()).note == ""


def test_verdict_and_probabilities() -> None:
    assert as_explained(explained_face()).verdict == "1  (probability 0.80)"
    listed = as_explained(explained_face(probabilities=np.array([0.3, 0.7])))
    assert listed.probabilities == ((0, 0.3), (1, 0.7))
    assert as_explained(explained_face(label=None)).verdict == ""


def _quality(*, better: bool) -> SimpleNamespace:
    verdict = "better than chance (AUC .93 [.88, .97], p < .0010)" if better else AT_CHANCE
    return SimpleNamespace(better_than_chance=better, verdict=verdict, caution="")


AT_CHANCE = "not better than chance (AUC .44, p .71)"


def test_of_a_classifier_at_chance_no_class_and_no_map_is_drawn() -> None:
    sure = as_explained(explained_face(quality=_quality(better=True)))
    assert sure.verdict.startswith("1  (probability 0.80); better than chance (AUC .93")
    assert sure.note == "" and np.ptp(sure.field) > 0.5
    chance = as_explained(explained_face(quality=_quality(better=False)))
    assert chance.verdict == AT_CHANCE and not chance.field.any()
    assert f"the classifier is {AT_CHANCE}: it has no map to show" in chance.note


def test_a_field_replaces_the_saliency_on_its_own_range() -> None:
    one = explained_face()
    drawn = as_explained(one, np.arange(one.surface.n_vertices) + 7.0)
    assert drawn.look == FieldStyle("field") and drawn.field[0] == 7.0
    assert as_explained(one).look.limits == (0.0, 1.0)


def test_refusals() -> None:
    with pytest.raises(ArrayTypeError, match="cannot draw a list"):
        as_explained([1, 2])
    nan = explained_face()
    nan.saliency = np.where(np.arange(len(nan.saliency)) == 4, np.nan, nan.saliency)
    with pytest.raises(NonFiniteError, match="saliency is not finite at vertex 4"):
        as_explained(nan)
    with pytest.raises(ArrayTypeError, match="one row per vertex"):
        as_explained(icosphere(1), [1.0, 2.0])
    with pytest.raises(ArrayTypeError, match=r"must be \(V,\)"):
        as_explained(icosphere(1), np.zeros((42, 2)))
    with pytest.raises(ArgumentError, match=r"\[0, 1\], found -1"):
        as_explained(explained_face(sampling_grid=np.full((5, 5, 2), -1.0)))
    with pytest.raises(ArrayTypeError, match="sampling_grid must be"):
        as_explained(explained_face(sampling_grid=np.zeros((5, 5))))


def test_surface_and_map_alone() -> None:
    surface = face(400)
    assert as_explained(surface).facing_viewer().surface is surface
    flat = Parameterization(surface, surface.vertices[:, :2])
    assert as_explained(flat).parameterization is flat and as_explained(flat).field is None
