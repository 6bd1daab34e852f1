"""A procedural face: a smooth disk with nose, brow, eyes, lips and chin, random identities, known
effects.

It is the data that every example and test can run on without a download. Millimetres; +x is the
subject's left, +y up, +z forward. Every face is the image of one fixed unit disk
(`face_coordinates`), whatever the identity or the triangulation, so the true correspondence between
any two faces is known.
"""

from __future__ import annotations

import numpy as np

from meshconv._check import as_array, one_of
from meshconv._types import FloatArray, IntArray
from meshconv.errors import ArgumentError
from meshconv.mesh.planar import delaunay_disk, disk
from meshconv.mesh.surface import Surface

# Gaussian hills: frontal place x, y and widths (mm), height forward (mm); those with x > 0 are
# mirrored
_FEATURES = np.array(
    [
        [24.0, 40.0, 19.0, 7.0, 4.5],  # brow ridge
        [31.0, 24.0, 14.0, 9.5, -10.0],  # eye socket
        [31.0, 23.0, 9.0, 5.5, 7.5],  # eyeball and lids
        [31.0, 21.5, 8.5, 1.3, -1.8],  # between the lids
        [31.0, 28.5, 9.0, 1.5, -1.2],  # crease of the upper lid
        [45.0, -4.0, 16.0, 15.0, 5.0],  # cheekbone
        [10.5, -14.0, 5.0, 6.0, 7.5],  # wing of the nose
        [21.0, -27.0, 5.0, 13.0, -2.0],  # fold beside the mouth
        [25.0, -45.0, 5.0, 5.0, -2.5],  # corner of the mouth
        [0.0, 27.0, 7.5, 9.0, 3.0],  # root of the nose
        [0.0, 8.0, 7.0, 12.0, 9.5],  # bridge
        [0.0, -9.0, 7.5, 8.5, 16.0],  # tip
        [0.0, -29.0, 3.0, 5.0, -2.0],  # philtrum
        [7.0, -39.0, 8.0, 4.2, 4.2],  # upper lip
        [9.0, -44.5, 8.0, 1.8, -3.2],  # between the lips
        [0.0, -50.0, 12.0, 4.4, 6.5],  # lower lip
        [0.0, -58.5, 14.0, 4.0, -4.5],  # fold above the chin
        [0.0, -71.0, 14.0, 8.0, 9.5],  # chin
        [40.0, -58.0, 14.0, 16.0, 3.0],  # jaw
        [0.0, 66.0, 34.0, 20.0, 3.0],  # forehead
    ]
)
_HALF_AXES = np.array([75.0, 118.0, 88.0])  # of the skull: across, up, forward
_REACH = np.array([1.30, 0.98])  # how far the disk goes around the skull and up it, radians
_TAPER = 0.12  # of the width, towards the chin

FACE_MODES = 3 * len(_FEATURES) + 4 + 12
"""Number of identity coefficients, standard normal: three a feature, four of the skull, twelve
waves.
"""

FACE_EFFECTS = {
    "nose_tip": (0.0, -9.0, 17.0),
    "brow_left": (24.0, 40.0, 20.0),
    "cheek_left": (45.0, -6.0, 26.0),
    "cheek_right": (-45.0, -6.0, 26.0),
    "upper_lip_left": (9.0, -38.0, 12.0),
    "chin": (0.0, -71.0, 22.0),
    "jaw_right": (-42.0, -58.0, 24.0),
}
"""Name -> (x, y, radius) in frontal mm on the mean face: where `face` can move the surface
outwards.
"""

_LANDMARKS = {
    "nasion": (0.0, 27.0),
    "nose_tip": (0.0, -9.0),
    "subnasale": (0.0, -24.0),
    "upper_lip": (0.0, -39.0),
    "lower_lip": (0.0, -50.0),
    "chin": (0.0, -71.0),
    "nose_wing_left": (15.0, -15.0),
    "mouth_left": (25.0, -45.0),
    "eye_inner_left": (18.0, 23.0),
    "eye_outer_left": (45.0, 24.0),
    "brow_left": (26.0, 41.0),
    "cheek_left": (45.0, -4.0),
}


def face(
    n: int = 5000,
    *,
    identity: int | np.random.Generator | FloatArray | None = None,
    effect: str | None = None,
    size: float = 0.0,
    triangulation: int | None = None,
) -> Surface:
    """Return a procedural face, a topological disk about 140 mm wide and 190 mm high.

    Parameters
    ----------
    n : int
        Wanted number of vertices; the result has about as many.
    identity : int, Generator or (FACE_MODES,) array_like, optional
        Who it is: a seed, or the standard normal coefficients themselves. None is the mean face,
        which is mirror symmetric.
    effect : str, optional
        One of `FACE_EFFECTS`: a smooth local change, exactly zero outside a known patch
        (`face_effect`).
    size : float
        Peak of the effect in mm; positive is outwards.
    triangulation : int, optional
        Seed of an irregular triangulation of this face's own; None is the regular one of `disk`.

    Examples
    --------
    >>> one = face(1000, identity=1)
    >>> one.euler_characteristic, len(one.boundary_loops)
    (1, 1)
    """
    uv = face_coordinates(n, triangulation=triangulation)
    vertices = _points(uv, _coefficients(identity))
    if effect is not None:
        vertices = vertices + size * _effect_field(uv, effect)[:, None] * _skull_normal(uv)
    return Surface(vertices, _flat(n, triangulation).faces)


def face_coordinates(n: int = 5000, *, triangulation: int | None = None) -> FloatArray:
    """Return the place in the common unit disk of each vertex of ``face(n, triangulation=...)``,
    (V, 2).

    Two faces correspond where these coordinates agree.
    """
    return _flat(n, triangulation).vertices[:, :2]


def face_effect(effect: str, n: int = 5000, *, triangulation: int | None = None) -> FloatArray:
    """Return the true shape of an effect on ``face(n, triangulation=...)``, (V,) in 0..1, zero off
    its patch.

    Examples
    --------
    >>> truth = face_effect("chin", 2000)
    >>> bool(0.9 < truth.max() <= 1), bool((truth > 0).mean() < 0.1)
    (True, True)
    """
    return _effect_field(face_coordinates(n, triangulation=triangulation), effect)


def face_landmarks(n: int = 5000, *, triangulation: int | None = None) -> dict[str, int]:
    """Return name -> vertex of ``face(n, triangulation=...)`` nearest to each anatomical point.

    The points are those of the mean face carried along by the correspondence: the same for every
    identity.
    """
    frontal = _frontal(face_coordinates(n, triangulation=triangulation))
    mirrored = {k.replace("left", "right"): (-x, y) for k, (x, y) in _LANDMARKS.items()}
    return {
        name: int(((frontal - place) ** 2).sum(axis=1).argmin())
        for name, place in (_LANDMARKS | mirrored).items()
    }


def _flat(n: int, triangulation: int | None) -> Surface:
    if triangulation is None:
        return disk(max(1, round(float(np.sqrt(max(n, 0) / 3)))))
    return delaunay_disk(n, seed=triangulation)


def _coefficients(identity: int | np.random.Generator | FloatArray | None) -> FloatArray:
    if identity is None:
        return np.zeros(FACE_MODES)
    if isinstance(identity, np.random.Generator | int | np.integer):
        return np.random.default_rng(identity).standard_normal(FACE_MODES)
    z = as_array(identity, "identity").astype(np.float64)
    if z.shape != (FACE_MODES,) or not np.isfinite(z).all():
        raise ArgumentError(
            f"identity must be a seed or {FACE_MODES} finite coefficients, found shape {z.shape}"
        )
    return z


def _direction(uv: FloatArray) -> FloatArray:
    """Point on the unit sphere that each disk coordinate stands for."""
    u, v = _REACH[0] * uv[:, 0], _REACH[1] * uv[:, 1]
    return np.column_stack([np.sin(u) * np.cos(v), np.sin(v), np.cos(u) * np.cos(v)])


def _skull(uv: FloatArray, half_axes: FloatArray, taper: float) -> FloatArray:
    """Ellipsoid, flatter from brow to chin and narrower at the jaw."""
    p = half_axes * _direction(uv)
    down = 0.5 * (1 + np.tanh((-p[:, 1] - 30) / 25))
    p[:, 0] *= 1 - taper * down
    p[:, 2] += 22 * np.cos(1.1 * uv[:, 0]) * down * (1 - uv[:, 1] ** 2)
    return p


def _skull_normal(uv: FloatArray) -> FloatArray:
    normal = _direction(uv) / _HALF_AXES
    return np.asarray(normal / np.linalg.norm(normal, axis=1, keepdims=True))


def _frontal(uv: FloatArray) -> FloatArray:
    """Frontal x, y in mm on the mean face: the common address of all features."""
    return _skull(uv, _HALF_AXES, _TAPER)[:, :2]


def _points(uv: FloatArray, z: FloatArray) -> FloatArray:
    per_feature, skull, waves = np.split(z, [3 * len(_FEATURES), 3 * len(_FEATURES) + 4])
    strength, drop, spread = per_feature.reshape(3, -1)
    p = _skull(uv, _HALF_AXES * (1 + 0.035 * skull[:3]), _TAPER + 0.03 * skull[3])
    xy = _frontal(uv)
    for (x, y, wide, high, height), a, b, c in zip(_FEATURES, strength, drop, spread, strict=True):
        amount = height * (1 + 0.22 * a)
        for side in (1, -1) if x else (1,):
            away = ((xy - (side * x, y + 1.2 * b)) / np.array([wide * (1 + 0.1 * c), high])) ** 2
            p[:, 2] += amount * np.exp(-0.5 * away.sum(axis=1))
    return p + _wave(uv, waves)[:, None] * _skull_normal(uv)


def _wave(uv: FloatArray, z: FloatArray) -> FloatArray:
    """Slow random bumps, about 1 mm, that are not mirror symmetric."""
    order: IntArray = np.array([[1, 0], [0, 1], [1, 1], [2, 0], [0, 2], [2, 1]])
    total = np.zeros(len(uv))
    for (i, j), a, b in zip(order, z[::2], z[1::2], strict=True):
        phase = np.pi * 0.75 * (i * uv[:, 0] + j * uv[:, 1])
        total += 0.6 * (a * np.cos(phase) + b * np.sin(phase))
    return total


def _effect_field(uv: FloatArray, effect: str) -> FloatArray:
    x, y, radius = FACE_EFFECTS[one_of(effect, tuple(FACE_EFFECTS), "effect")]
    inside = 1 - ((_frontal(uv) - (x, y)) ** 2).sum(axis=1) / radius**2
    return np.asarray(np.maximum(inside, 0.0) ** 2)
