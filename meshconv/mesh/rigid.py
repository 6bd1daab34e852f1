"""Rigid motions and similarities, and the one that lays points on points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._types import FloatArray


@dataclass(frozen=True, eq=False)
class Pose:
    """The similarity x -> scale * rotation x + translation."""

    rotation: FloatArray  # (3, 3), proper
    translation: FloatArray  # (3,)
    scale: float = 1.0

    def points(self, x: FloatArray) -> FloatArray:
        """Return the moved points (K, 3)."""
        return np.asarray(self.scale * (x @ self.rotation.T) + self.translation)

    def directions(self, n: FloatArray) -> FloatArray:
        """Return the turned directions (K, 3)."""
        return np.asarray(n @ self.rotation.T)

    def then(self, other: Pose) -> Pose:
        """Return this pose followed by `other`."""
        return Pose(
            other.rotation @ self.rotation,
            other.points(self.translation[None])[0],
            self.scale * other.scale,
        )


def nearest_rotation(moment: FloatArray) -> FloatArray:
    """Return the rotations R (..., 3, 3) with the largest trace of R^T moment, never a mirror.

    With ``moment = target.T @ source`` of centred points, R brings source nearest to target.

    References
    ----------
    Kabsch, 1976, A solution for the best rotation to relate two sets of vectors.
    doi:10.1107/S0567739476001873
    """
    u, _, vt = np.linalg.svd(moment)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return np.asarray(u @ vt)


def fit_similarity(
    source: FloatArray, target: FloatArray, weight: FloatArray, *, with_scale: bool
) -> Pose:
    """Return the pose that minimises sum of weight |scale R source + t - target|^2.

    References
    ----------
    Umeyama, 1991, Least-squares estimation of transformation parameters. doi:10.1109/34.88573
    """
    share = weight / weight.sum()
    cs, ct = share @ source, share @ target
    s, t = source - cs, target - ct
    moment = (share[:, None] * t).T @ s
    rotation = nearest_rotation(moment)
    scale = 1.0
    if with_scale:
        scale = float((rotation * moment).sum() / (share @ (s * s).sum(axis=1)))
    return Pose(rotation, ct - scale * (rotation @ cs), scale)
