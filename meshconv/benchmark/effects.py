"""Faces that differ in other things than their mean: a displacement of either sign, a side at
random, a texture, two places that mean something only together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from meshconv._check import FloatArray, IntArray, one_of
from meshconv.datasets.morphable import EFFECTS, Acquisition, FaceModel, MorphableFaces
from meshconv.errors import ArgumentError

KINDS = ("sign", "side", "rough", "xor")  # groups that are alike in their means
_WAVELENGTH, _WAVES = 12.0, 64  # of the texture, mm; plane waves that it is made of
_ROUGHNESS = 0.2  # root mean square of the texture, of the peak: .8 mm at 4 mm


class FactorialFaces(MorphableFaces):
    """Faces that carry each of several effects with probability 1/2, independently of each other.

    One population serves as many tasks as there are effects, and no classifier of one can live on
    another.

    Parameters
    ----------
    n : int
        Number of faces.
    effects : sequence of str
        Of ``sign`` (a saddle or a hump of the nose), ``side`` (a cleft, left or right), ``rough``
        (a texture of the cheeks, 12 mm long and .2 of the peak, root mean square), ``xor``
        (forehead and half mandible, each in or out; alike with the effect, opposite without), and
        `meshconv.datasets.morphable.EFFECTS`, which move the mean.
    amplitude : float
        Peak of every effect, mm.
    seed : int
        Populations with different seeds share no face.
    acquisition : Acquisition, optional
        Meshing, cropping, pose, noise.

    Raises
    ------
    ArgumentError
        If there is no such effect.
    """

    def __init__(
        self,
        n: int,
        effects: Sequence[str],
        amplitude: float = 4.0,
        *,
        seed: int = 0,
        acquisition: Acquisition | None = None,
    ) -> None:
        super().__init__(n, EFFECTS[0], amplitude, seed=seed, acquisition=acquisition)
        if not effects:
            raise ArgumentError("FactorialFaces needs at least one effect")
        known = (*_BEYOND_MEANS, *EFFECTS)
        self.effects = tuple(one_of(effect, known, "effect") for effect in effects)

    def codes(self) -> IntArray:
        """Return which effects each face carries, (n, E) of 0 and 1."""
        return np.stack([self._drawn(k).integers(2, size=len(self.effects)) for k in range(self.n)])

    def label(self, k: int) -> int:
        """Return whether face k carries the first effect."""
        return int(self._drawn(k).integers(2, size=len(self.effects))[0])

    def displacement(self, k: int) -> FloatArray:
        """Return what all effects add to face k, (V, 3) on the model's vertices, mm."""
        rng = self._drawn(k)
        present = rng.integers(2, size=len(self.effects))
        total = np.zeros_like(self.model.mean.vertices)
        for effect, there in zip(self.effects, present, strict=True):
            if effect in _BEYOND_MEANS:
                total += self.amplitude * _BEYOND_MEANS[effect](self.model, rng, bool(there))
            else:
                total += self.amplitude * there * self.model.effects[effect]
        return total

    @cached_property
    def truths(self) -> dict[str, FloatArray]:
        """Where each effect lies, 0..1, on the model's vertices, name -> (V,)."""
        return {effect: effect_site(self.model, effect) for effect in self.effects}

    @property
    def truth(self) -> FloatArray:
        """Where the first effect lies."""
        return self.truths[self.effects[0]]

    def _drawn(self, k: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, k, 1])


def effect_site(model: FaceModel, effect: str) -> FloatArray:
    """Return where an effect lies, 0..1, on the model's vertices, (V,)."""
    places = {
        "sign": ("saddle_nose",),
        "side": ("cleft_like_L",),
        "rough": ("malar_flattening",),
        "xor": ("metopic_ridge", "hemimandible_R"),
    }.get(effect, (effect,))
    sizes = [np.linalg.norm(model.effects[place], axis=1) for place in places]
    if effect == "side":
        sizes.append(np.linalg.norm(_mirrored(model, model.effects["cleft_like_L"]), axis=1))
    return np.max([size / size.max() for size in sizes], axis=0)


def _sign(model: FaceModel, rng: np.random.Generator, present: bool) -> FloatArray:
    return present * rng.choice([-1.0, 1.0]) * model.effects["saddle_nose"]


def _side(model: FaceModel, rng: np.random.Generator, present: bool) -> FloatArray:
    left = model.effects["cleft_like_L"]
    return present * (left if rng.random() < 0.5 else _mirrored(model, left))


def _rough(model: FaceModel, rng: np.random.Generator, present: bool) -> FloatArray:
    """Return a sum of plane waves of one length in random directions, along the normals."""
    directions = rng.standard_normal((3, _WAVES))
    waves = 2 * np.pi / _WAVELENGTH * directions / np.linalg.norm(directions, axis=0)
    phases = rng.uniform(0.0, 2 * np.pi, _WAVES)
    height = np.cos(model.mean.vertices @ waves + phases).sum(axis=1) * np.sqrt(2 / _WAVES)
    height *= _ROUGHNESS * present * effect_site(model, "rough")
    return np.asarray(height[:, None] * model.mean.vertex_normals)


def _xor(model: FaceModel, rng: np.random.Generator, present: bool) -> FloatArray:
    first = rng.choice([-1.0, 1.0])
    second = first if present else -first
    return np.asarray(
        first * model.effects["metopic_ridge"] + second * model.effects["hemimandible_R"]
    )


def _mirrored(model: FaceModel, field: FloatArray) -> FloatArray:
    flip = np.array([-1.0, 1.0, 1.0])
    other = cKDTree(model.mean.vertices).query(model.mean.vertices * flip)[1]
    return np.asarray(field[other] * flip)


_BEYOND_MEANS: dict[str, Callable[[FaceModel, np.random.Generator, bool], FloatArray]] = {
    "sign": _sign,
    "side": _side,
    "rough": _rough,
    "xor": _xor,
}
