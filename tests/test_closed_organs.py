"""The whole way on closed surfaces: generated organs, with or without a swelling, to class,
saliency and report.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from meshconv import Surface
from meshconv.datasets.scan import Scan
from meshconv.estimators.classifier import SurfaceClassifier
from meshconv.mesh.shapes import delaunay_sphere
from meshconv.saliency.evaluate import agreement
from meshconv.train.config import CHANNELS, PrepareConfig
from meshconv.train.frames import population_template
from meshconv.train.prepare import prepare

SWELLING = np.array([0.0, 0.6, 0.8])


def truth(directions: np.ndarray) -> np.ndarray:
    return np.exp(-10 * ((directions - SWELLING) ** 2).sum(axis=1))


def organ(k: int, seed: int) -> Scan:
    """A bean of its own size and proportions, mesh and pose; every second one has a swelling."""
    rng = np.random.default_rng([seed, k])
    ball = delaunay_sphere(200, seed=int(rng.integers(1000)))
    d = ball.vertices
    radius = 1 + 0.5 * np.exp(-6 * ((d - [1, 0, 0]) ** 2).sum(axis=1)) + 0.35 * (k % 2) * truth(d)
    points = radius[:, None] * d * [10.0, 7.0, 4.0] * rng.normal(1.0, 0.06, 3) + rng.normal(
        0, 0.05, d.shape
    )
    turn = Rotation.random(random_state=rng).as_matrix()
    return Scan(
        Surface(points @ turn.T + rng.normal(0, 50, 3), ball.faces),
        k % 2,
        f"organ{seed}_{k}",
        "",
        False,
        truth(d),
    )


@pytest.fixture(scope="module")
def organs() -> tuple[list[Scan], list[Scan]]:
    return [organ(k, 1) for k in range(18)], [organ(k, 2) for k in range(8)]


@pytest.fixture(scope="module")
def frame(organs):
    return population_template(organs[0], count=3)


@pytest.fixture(scope="module")
def prepared(organs, frame):
    config = PrepareConfig(size=33, channels=(*CHANNELS, "thickness"))
    return [prepare(some, frame, config=config) for some in organs]


@pytest.fixture(scope="module")
def fitted(prepared, frame):
    options = {"size": 33, "network_size": 9, "epochs": 12, "batch_size": 8, "density_epochs": 4}
    return SurfaceClassifier(template=frame, channels=(*CHANNELS, "thickness"), **options).fit(
        prepared[0]
    )


def test_the_frame_is_closed_and_covers_the_square(frame, prepared):
    assert frame.parameterization.domain == "sphere"
    assert np.isfinite(prepared[0].images).all()  # a sphere fills the whole square
    spread = np.linalg.norm(prepared[0].images[:, :3], axis=1)
    assert np.median(spread) < 1.0  # of 10: pose and place are gone
    thickness = prepared[0].images[:, -1]
    assert 5 < np.median(thickness) < 10


def test_the_border_of_the_square_is_glued_to_itself(prepared):
    image = prepared[0].images
    for side in (image[:, :, 0], image[:, :, -1], image[:, :, :, 0], image[:, :, :, -1]):
        np.testing.assert_allclose(side, side[:, :, ::-1], atol=1e-5)


def test_unseen_organs_are_told_apart_and_the_swelling_is_found(fitted, prepared, organs):
    assert fitted.score(prepared[1]) >= 0.9
    auc = [agreement(fitted.explain(scan).saliency, scan.truth).auc for scan in organs[1][1:6:2]]
    assert np.mean(auc) > 0.9


def test_an_organ_is_explained_on_its_own_vertices_in_any_pose(fitted, organs):
    one = organs[1][3].surface
    turned = Surface(one.vertices @ Rotation.random(random_state=5).as_matrix().T + 9.0, one.faces)
    first, second = fitted.explain(one), fitted.explain(turned)
    assert first.saliency.shape == (one.n_vertices,) and first.label == second.label == 1
    assert np.corrcoef(first.saliency, second.saliency)[0, 1] > 0.98


def test_a_report_shows_closed_organs(fitted, organs, tmp_path: Path):
    pytest.importorskip("pyvista")
    from meshconv.viz.report import report

    report([fitted.explain(organs[1][1])], tmp_path / "report.html", size=100, in_viewer=1)
    assert "organ2_1" in (tmp_path / "report.html").read_text()
