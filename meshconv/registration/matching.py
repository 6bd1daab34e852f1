"""Which points of scan and template belong together, and how far apart that leaves the surfaces.

Scans of open surfaces are cropped: every scan point looks for a partner on the template, the
template's points need not have one. Closed surfaces are complete: points of both look for partners,
or a thin organ would shrink onto a part of the template.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meshconv._check import FloatArray, IntArray
from meshconv.registration.cloud import NORMAL, Cloud

_FLOOR = 1e-3  # robust scale is not taken below this share of the size


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows of the template's and of the scan's cloud that belong together, and their weights."""

    template: IntArray  # (P,)
    scan: IntArray  # (P,)
    weight: FloatArray  # (P,)
    agreement: FloatArray  # (P,) cosine between the normals, not below 0


@dataclass(frozen=True)
class Matcher:
    """How partners are found, how far apart surfaces are, whether their sizes may differ."""

    pairs: Callable[[Cloud, Cloud], Pairs]
    residual: Callable[[FloatArray, FloatArray, Pairs, float], float]
    with_scale: bool


def _from_scan(template: Cloud, scan: Cloud) -> Pairs:
    """Pair every scan point with the template point nearest in position, normal and curvature.

    Cauchy weights of the distance times the agreement of the normals: what is cropped away does not
    pull.
    """
    match = np.asarray(template.tree.query(scan.features)[1])
    distance = np.linalg.norm(template.points[match] - scan.points, axis=1)
    scale = max(1.5 * float(np.median(distance)), _FLOOR * template.size)
    agreement = _agreement(template.normals[match], scan.normals)
    weight = agreement**2 / (1.0 + (distance / scale) ** 2)
    return Pairs(match, np.arange(len(scan)), weight, agreement)


def _both_ways(template: Cloud, scan: Cloud) -> Pairs:
    """Pair every point of either with the nearest of the other."""
    near = np.asarray(scan.tree.query(template.features)[1])
    back = np.asarray(template.tree.query(scan.features)[1])
    here = np.concatenate([back, np.arange(len(template))])
    partner = np.concatenate([np.arange(len(scan)), near])
    agreement = _agreement(template.normals[here], scan.normals[partner])
    return Pairs(here, partner, agreement, agreement)


def _agreement(normals: FloatArray, others: FloatArray) -> FloatArray:
    return np.asarray(np.maximum((normals * others).sum(axis=1), 0.0))


def _plane_distance(gap: FloatArray, normals: FloatArray, pairs: Pairs, size: float) -> float:
    """Median distance (P,) along the scan's normals."""
    return float(np.median(np.abs((gap * normals).sum(axis=1))))


def _whole_distance(gap: FloatArray, normals: FloatArray, pairs: Pairs, size: float) -> float:
    """Mean distance in position and direction."""
    turned = NORMAL * size * (1 - pairs.agreement)
    return float((np.linalg.norm(gap, axis=1) + turned).mean())


CROPPED = Matcher(_from_scan, _plane_distance, with_scale=True)
SIZED = Matcher(_from_scan, _plane_distance, with_scale=False)  # cropped little, of known size
COMPLETE = Matcher(_both_ways, _whole_distance, with_scale=False)
