"""How good a fit is: what can be measured of it, and one number to judge it by."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from meshconv._check import FloatArray
from meshconv.mesh.surface import Surface
from meshconv.registration.cloud import Cloud
from meshconv.registration.frame import EVEN, LEAST_POPULATION, Bent, Frame

_NEAR = 0.1  # of the size, in place and direction: template points nearer to the scan are covered
_TOUCH = 0.03  # of the size: scan points nearer to the template touch it
_CAP = 0.2  # of the size: beyond, all distances are alike

LEVEL = 0.5  # scores below are doubtful
_STEEP = 4.0  # of the logistic curve from doubt to score
# usual badness (see `_badness`) and how much more is one doubt, of disks and of closed surfaces:
# between scans laid right and scans turned, torn, foreign or crumpled, on faces and organs
_USUAL = {"disk": (-3.41, -1.10, -2.53, -0.88), "sphere": (-2.73, -0.87, -1.83, -0.55)}
_MORE = {"disk": (0.4, 0.6, 0.9, 0.14), "sphere": (0.5, 0.8, 1.0, 0.25)}
_LEAST_STRETCH = 0.03  # differences below do not count
_SPREAD = 6.0  # median absolute deviations of its own population that are one doubt
_CLEAR = 1.16  # rivals: from no doubt about the pose to one at `EVEN`
MOST = 0.6  # of the template: what covers more is not looked for aside
_CLEAR_ASIDE = 1.4
_EVEN_ASIDE = (1.1, 1.25)  # of what covers a third of the template or more, and of less
_THIRD = 0.33
_LITTLE = 0.2  # of the template: what covers less has no certain place


@dataclass(frozen=True)
class Measures:
    """What is seen of a fit, without units.

    Attributes
    ----------
    mismatch : float
        Mean distance of the scan from the bent template in place, direction and curvature, in
        template sizes.
    curvature : float
        Correlation of the two curvatures over the scan.
    stretch : float
        Root mean square displacement of the template's bending, in template sizes.
    coverage : float
        Share of the template that the scan accounts for.
    touching : float
        Share of the scan that lies on the template.
    """

    mismatch: float
    curvature: float
    stretch: float
    coverage: float
    touching: float


def measure(frame: Frame, bent: Bent, scan: Cloud) -> Measures:
    """Measure a fit at the points of the scan (in its own pose, with curvature)."""
    here = _matched(frame, bent)
    there = scan.moved(bent.pose)
    distance, k = here.tree.query(there.features)
    gap = np.linalg.norm(here.points[k] - there.points, axis=1)
    seen, known = here.curvature[k] - here.curvature[k].mean(), there.curvature
    known = known - known.mean()
    spread = float(np.linalg.norm(seen) * np.linalg.norm(known))
    back = there.tree.query(here.features, distance_upper_bound=_NEAR * frame.size)[0]
    moved = ((bent.vertices - frame.surface.vertices) ** 2).sum(axis=1).mean()
    return Measures(
        mismatch=float(np.minimum(distance / frame.size, _CAP).mean()),
        curvature=float(seen @ known) / spread if spread > 0 else 0.0,
        stretch=float(np.sqrt(moved)) / frame.size,
        coverage=float(np.isfinite(back).mean()),
        touching=float((gap < _TOUCH * frame.size).mean()),
    )


def landed(frame: Frame, bent: Bent, scan: Cloud) -> FloatArray:
    """Return the points of the template (K, 3) as it is, not bent, on which those of a scan lie."""
    k = _matched(frame, bent).tree.query(scan.moved(bent.pose).features)[1]
    return np.asarray(frame.surface.vertices[frame.matched[k]])


def _matched(frame: Frame, bent: Bent) -> Cloud:
    rows = frame.matched
    normals = Surface(bent.vertices, frame.surface.faces).vertex_normals[rows]
    return Cloud(bent.vertices[rows], normals, frame.size, frame.curvature[rows])


@dataclass(frozen=True)
class FitScore:
    """One number to judge a fit by, and what it is made of.

    Attributes
    ----------
    measures : Measures
    rival : float
        The mismatch of the best other pose, turned by 30 degrees or more, over that of this one;
        infinite where there is none or landmarks told the pose.
    aside : float
        The same of the best other place of a scan that covers a part of the template only: slid
        along it, or turned about its normal; 1 where its size does not tell its unit. Infinite for
        what covers most of the template.
    strangeness : float
        How much worse the measures are than is usual for the template's population: 0 as usual or
        better, 1 at the level of doubt.
    ambiguity : float
        How near the rival comes: 0 not at all, 1 at the level of doubt.
    looseness : float
        How near the place aside comes, or how little is covered at all, in the same way.
    usual_turn : bool
        Whether rivals come as near to most scans of the template's population: then the turn is
        open by the kind of shape, and this fit is not doubted for it.
    """

    measures: Measures
    rival: float
    aside: float
    strangeness: float
    ambiguity: float
    looseness: float
    usual_turn: bool = False

    @property
    def value(self) -> float:
        """Between 0 and 1; below 0.5 a fit is doubtful."""
        ambiguity = 0.0 if self.usual_turn else self.ambiguity
        doubt = max(self.strangeness, ambiguity, self.looseness)
        return float(1 / (1 + np.exp(_STEEP * (doubt - 1))))

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is doubtful, in words; nothing if nothing is."""
        m, found = self.measures, []
        if self.strangeness > 1:
            found.append(
                f"it is unlike the scans that the frame is made for (mismatch {m.mismatch:.3f} of "
                f"the size, curvatures correlate by {m.curvature:.2f}, bent by {m.stretch:.2f}, "
                f"{m.touching:.0%} touch; score {self.value:.2f})"
            )
        if self.ambiguity > 1 and not self.usual_turn:
            found.append(
                f"its turn is not determined by its shape: another pose is only {self.rival:.2f} "
                f"times as far off (score {self.value:.2f})"
            )
        if self.looseness > 1:
            found.append(
                f"it covers {m.coverage:.0%} of the template: its place is not certain (aside it "
                f"is {self.aside:.2f} times as far off; score {self.value:.2f})"
            )
        return tuple(found)


def score(
    measures: Measures, frame: Frame, *, rival: float = np.inf, aside: float = np.inf
) -> FitScore:
    """Judge a fit by what is usual in the frame's own population, where it has one."""
    usual, more = _reference(frame)
    worse = np.maximum((_badness(np.array([astuple(measures)]))[0] - usual) / more, 0.0)
    even = _EVEN_ASIDE[measures.coverage < _THIRD]
    loose = max(_nearness(aside, _CLEAR_ASIDE, even), _LITTLE / max(measures.coverage, 1e-9))
    return FitScore(
        measures,
        rival,
        aside,
        strangeness=float(np.linalg.norm(worse)),
        ambiguity=_nearness(rival, _CLEAR, EVEN),
        looseness=loose if measures.coverage < MOST else 0.0,
        usual_turn=bool(frame.open_turn),
    )


def _nearness(ratio: float, clear: float, even: float) -> float:
    """Return 0 for a ratio of `clear` or more, 1 at `even`, and more the nearer to 1 it comes."""
    return float(np.log(clear / min(max(ratio, 1.0), clear)) / np.log(clear / even))


def _badness(measures: FloatArray) -> FloatArray:
    """Return what grows as fits get worse, (n, 4), of rows of `Measures`, in steady units."""
    mismatch, curvature, stretch, _, touching = measures.T
    correlated = np.arctanh(np.clip(curvature, -0.999, 0.999))
    near = np.log(np.maximum(mismatch, 1e-9))
    return np.column_stack([near, -correlated, np.log(stretch + _LEAST_STRETCH), -touching])


def _reference(frame: Frame) -> tuple[FloatArray, FloatArray]:
    """Return the usual badness and what is one doubt more."""
    domain = frame.parameterization.domain
    more = np.array(_MORE[domain])
    if len(frame.population) < LEAST_POPULATION:
        return np.array(_USUAL[domain]), more
    there = _badness(frame.population)
    usual = np.median(there, axis=0)
    return usual, np.maximum(more, _SPREAD * np.median(np.abs(there - usual), axis=0))
