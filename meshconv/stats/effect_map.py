"""`EffectMap`: what a study found on the surface, in numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshconv._check import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class EffectMap:
    """Where groups differ, or a score matters, in the frame.

    Attributes
    ----------
    statistic : (N, N) float64
        Root of the mean F ratio over channels: |t| for one channel and two groups. Of the scans
        that reach a pixel, beside the covariates; NaN where too few do.
    p : (N, N) float64
        Corrected for the number of pixels, in (0, 1]; NaN likewise.
    difference : (C, N, N) float64
        Mean of the last group minus mean of the first beside the covariates (or for each unit of
        the score), of the scans that reach a pixel; NaN likewise.
    millimetres : (N, N) float64
        The same along the mean normal, outward positive, in the scans' unit of length; NaN also if
        the channels do not say it.
    interval : (2, N, N) float64
        Ends of the 95 % interval of `millimetres`, of each pixel by itself: among many, some will
        be off, and the largest is likely to be too large.
    local : (N, N) float64
        The same, beyond what the rest of the surface predicts, see
        `meshconv.stats.local_effect.local_effect`: of a local effect the better estimate, for
        individuals differ by more than groups do.
    local_interval : (2, N, N) float64
        Ends of its 95 % interval.
    smoothness : float
        Full width at half maximum of the noise, in sides of the square.
    contrast : str
        What is compared with what.
    correction : str
    components, n, permutations : int
        Principal components taken out, rows compared, permutations.
    """

    statistic: FloatArray
    p: FloatArray
    difference: FloatArray
    millimetres: FloatArray
    interval: FloatArray
    local: FloatArray
    local_interval: FloatArray
    smoothness: float
    contrast: str
    correction: str
    components: int
    n: int
    permutations: int

    def significant(self, level: float = 0.05) -> BoolArray:
        """Return where p is at most `level`, (N, N)."""
        return np.asarray(np.nan_to_num(self.p, nan=1.0) <= level)

    def share(self, level: float = 0.05, area: FloatArray | None = None) -> float:
        """Return the share of the area that was tested that is significant.

        `area` (N, N) is how much surface each pixel stands for (`area_element`); equal.
        """
        weight = np.isfinite(self.p) * (1.0 if area is None else np.nan_to_num(area))
        return float((weight * self.significant(level)).sum() / weight.sum())

    def __str__(self) -> str:
        return self.described()

    def described(self, area: FloatArray | None = None) -> str:
        """Return what was found in words, with the share of the area, see `share`."""
        best = np.unravel_index(int(np.nanargmin(self.p)), self.p.shape)
        where = "(" + ", ".join(f"{k / (len(self.p) - 1):.2f}" for k in best[::-1]) + ")"
        known = f"n = {self.n}, {self.permutations} permutations, {self.correction} correction"
        if not self.significant().any():
            return (
                f"{self.contrast}: nothing is significant at .05"
                f" (smallest p = {self.p[best]:.3g}, at {where}; {known})"
            )
        largest = np.where(self.significant(), np.abs(np.nan_to_num(self.local)), -1.0)
        top = np.unravel_index(int(largest.argmax()), largest.shape)
        text = f"{self.contrast}: significant on {self.share(area=area):.1%} of the area"
        if np.isfinite(self.local[top]):
            low, high = self.local_interval[:, top[0], top[1]]
            text += (
                f", there up to {self.local[top]:+.2f} mm [{low:.2f}, {high:.2f}] beyond what the"
                f" rest of the surface predicts ({self.millimetres[top]:+.2f} mm with it)"
            )
        return f"{text} (smallest p = {self.p[best]:.3g}, at {where}; {known})"
