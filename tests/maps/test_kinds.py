"""Wrong kinds of objects at every public door of the maps, and options that mean nothing for the
domain.
"""

from __future__ import annotations

import numpy as np
import pytest

import meshconv as mc
from meshconv.errors import ArgumentError, DegenerateError
from meshconv.maps.composition import compose, map_points
from meshconv.maps.files import save_parameterization
from meshconv.mesh.shapes import bumpy_heightfield, cap, face, icosphere

SQUARE = bumpy_heightfield(4)
FLAT = mc.conformal_map(SQUARE)
DOORS = {
    "conformal_map": (mc.conformal_map, "surface", "Surface"),
    "Parameterization": (lambda x: mc.Parameterization(x, FLAT.coordinates), "surface", "Surface"),
    "beltrami_coefficient": (mc.beltrami_coefficient, "parameterization", "Parameterization"),
    "distortion": (mc.distortion, "parameterization", "Parameterization"),
    "quasiconformal_map": (
        lambda x: mc.quasiconformal_map(x, 0.1),
        "parameterization",
        "Parameterization",
    ),
    "density_equalizing_map": (mc.density_equalizing_map, "parameterization", "Parameterization"),
    "misplaced_mass": (
        lambda x: mc.misplaced_mass(x, np.ones(18)),
        "parameterization",
        "Parameterization",
    ),
    "map_points, source": (
        lambda x: map_points([[0.0, 0.0]], x, FLAT),
        "source",
        "Parameterization",
    ),
    "map_points, target": (
        lambda x: map_points([[0.0, 0.0]], FLAT, x),
        "target",
        "Parameterization",
    ),
    "compose": (lambda x: compose(x, FLAT, FLAT), "parameterization", "Parameterization"),
    "save": (
        lambda x: save_parameterization("never-written.npz", x),
        "parameterization",
        "Parameterization",
    ),
    "GridMap.compose": (lambda x: mc.GridMap.identity(5).compose(x), "inner", "GridMap"),
    "Template": (mc.Template, "parameterization", "Parameterization"),
    "Template.from_surface": (mc.Template.from_surface, "surface", "Surface"),
    "Template.from_population": (
        lambda x: mc.Template.from_population([x]),
        r"surfaces\[0\]",
        "Surface",
    ),
    "fit_template, surface": (
        lambda x: mc.fit_template(x, mc.Template(FLAT)),
        "surface",
        "Surface",
    ),
    "fit_template, template": (lambda x: mc.fit_template(SQUARE, x), "template", "Template"),
    "register": (
        lambda x: mc.register(x, mc.Template(FLAT)),
        "parameterization",
        "Surface or a Parameterization",
    ),
}
WRONG = {
    "None": (None, "NoneType"),
    "a tuple": ((SQUARE.vertices, SQUARE.faces), "tuple"),
    "an array": (SQUARE.vertices, r"ndarray of shape \(16, 3\)"),
    "a name": ("scan.ply", "str"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("door", DOORS)
def test_a_wrong_kind_is_refused_by_name(door, wrong):
    call, name, kind = DOORS[door]
    value, found = WRONG[wrong]
    with pytest.raises(ArgumentError, match=f"^{name} must be a {kind}, found {found}"):
        call(value)


def test_a_surface_is_no_map_and_a_map_is_no_surface():
    with pytest.raises(
        ArgumentError,
        match=r"Parameterization, found Surface; make one with meshconv\.conformal_map",
    ):
        mc.distortion(SQUARE)
    with pytest.raises(
        ArgumentError, match=r"Surface, found Parameterization; make one with meshconv\.Surface"
    ):
        mc.conformal_map(FLAT)


def test_a_population_that_is_no_sequence_is_refused():
    with pytest.raises(ArgumentError, match="surfaces must be a Sequence, found NoneType"):
        mc.Template.from_population(None)


# --- options that mean nothing
# ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "options", "message"),
    [
        ("disk", {"method": "lscm"}, "option method is for domain='free', not 'disk'"),
        ("disk", {"method": "spectral"}, "option method is for domain='free', not 'disk'"),
        ("sphere", {"method": "lscm"}, "option method is for domain='free', not 'sphere'"),
        ("rectangle", {"polish": 3}, "option polish is for domain='disk', not 'rectangle'"),
        ("free", {"polish": 0}, "option polish is for domain='disk', not 'free'"),
        ("sphere", {"polish": 3}, "option polish is for domain='disk', not 'sphere'"),
        (
            "free",
            {"holes": "fill"},
            "option holes='fill' is for domain='disk' or 'rectangle', not 'free'",
        ),
        (
            "sphere",
            {"holes": "fill"},
            "option holes='fill' is for domain='disk' or 'rectangle', not 'sphere'",
        ),
        (
            "rectangle",
            {"holes": "circles"},
            "option holes='circles' is for domain='disk', not 'rectangle'",
        ),
        (
            "free",
            {"corners": [0, 3, 15, 12]},
            "option corners is for domain='rectangle', not 'free'",
        ),
    ],
)
def test_an_option_without_meaning_for_the_domain_is_refused(domain, options, message):
    with pytest.raises(ArgumentError, match=f"^{message}"):
        mc.conformal_map(icosphere(1) if domain == "sphere" else SQUARE, domain=domain, **options)


# --- registration
# ----------------------------------------------------------------------------------


def test_a_scan_vertex_given_for_two_landmarks_is_refused():
    template = mc.Template.from_surface(face(300), landmarks=[5, 50, 90])
    with pytest.raises(ArgumentError, match="vertex 7 of the scan is given for 2 landmarks"):
        mc.fit_template(face(300), template, landmarks=[7, 9, 7])


@pytest.mark.parametrize(
    "shape", [cap(1), mc.Surface([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])]
)
def test_a_template_without_enough_to_match_is_refused_with_the_reason(shape):
    with pytest.raises(
        DegenerateError, match=r"template has [13] vertices to be matched .* subdivide its faces"
    ):
        mc.register(face(300), mc.Template.from_surface(shape))
