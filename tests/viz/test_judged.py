"""What a page says of predictions, in words and numbers; and the border that is not coloured."""

import base64

import numpy as np
import pytest
from drawn import explained_face

from meshconv.errors import ArgumentError
from meshconv.mesh.shapes import icosphere
from meshconv.stats.metrics import evaluate
from meshconv.train.measure_quality import measures_measured
from meshconv.viz.explained import as_explained
from meshconv.viz.judged import judged_in_fit, judged_test
from meshconv.viz.mesh_data import mesh_data
from meshconv.viz.picture import FieldStyle

LABELS = np.array([0, 0, 0, 1, 1, 1])
SHARES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4]])


def test_predictions_are_named_counted_and_marked():
    metrics, names = evaluate(LABELS, SHARES), [f"{k}.ply" for k in range(6)]
    one = judged_test(metrics, (LABELS, SHARES), ("well", "ill"), None, names)
    assert one.confusion.counts.tolist() == [[2, 1], [1, 2]]
    assert [wrong for wrong, _ in one.rows] == [False, False, True, False, False, True]
    assert one.rows[2][1] == ("2.ply", "well", "ill", "0.30", "0.70")
    assert one.columns == ("scan", "truth", "predicted", "p(well)", "p(ill)")
    other = judged_test(metrics, (LABELS, SHARES), ("well", "ill"), "well", ())
    assert other.confusion.recognized()[0][0] == "sensitivity (of well)"
    assert other.rows[0][1][0] == "scan 1" and other.curves[0][1] != one.curves[0][1]
    with pytest.raises(ArgumentError, match="5 names for 6 predictions"):
        judged_test(metrics, (LABELS, SHARES), (), None, names[:5])
    assert judged_test(None, None, (), None, ()) is None
    assert judged_test(metrics, None, (), None, ()).rows == ()


def test_measures_are_listed_beside_what_was_measured():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(40, 1))
    quality = measures_measured(y + 0.3 * rng.normal(size=(40, 1)), y, np.arange(40) % 4)
    one = judged_in_fit(quality, (), None, ())
    assert "better than chance (R2" in one.verdict and one.confusion is None
    assert one.columns == ("scan", "measured", "predicted") and len(one.rows) == 40
    assert one.curves[0][0] == "predicted against measured"


def test_the_border_is_not_coloured_and_the_inside_is():
    one = as_explained(explained_face("cheek_left")).without_border()
    border = one.surface.boundary_loops[0]
    assert one.muted[border].all() and one.muted.mean() < 0.35
    assert not one.muted[np.argmax(one.field)]
    np.testing.assert_array_equal(one.drawn[~one.muted], one.field[~one.muted])
    assert (one.drawn[one.muted] == 0).all()  # the low end of 0..1
    muted = np.frombuffer(base64.b64decode(mesh_data(one)["muted"]), "u1")
    np.testing.assert_array_equal(muted.astype(bool), one.muted)
    ball = icosphere(2)
    closed = as_explained(ball, ball.vertices[:, 0]).without_border()
    assert closed.muted is None and mesh_data(closed)["muted"] is None


def test_nothing_has_the_colour_of_zero():
    """So that the border of a signed map, which is not coloured, is not seen against its inside."""
    ball = icosphere(2)
    for signed in (False, True):
        look = FieldStyle("mm", (-1.0, 1.0), signed=signed)
        data = mesh_data(as_explained(ball, ball.vertices[:, 0], look=look))
        assert data["neutral"] == data["colours"][len(data["colours"]) // 2 if signed else 0]
