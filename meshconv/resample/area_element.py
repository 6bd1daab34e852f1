"""How much surface each node of a frame stands for."""

from __future__ import annotations

import numpy as np

from meshconv._check import FloatArray
from meshconv.registration.frame import Frame
from meshconv.resample.channels import channels
from meshconv.resample.resampler import Resampler


def area_element(template: Frame, size: int) -> FloatArray:
    """Area of surface that each node of the frame stands for, (size, size), within a factor of 3 of
    the median.
    """
    flat = template.parameterization
    area = np.exp(2 * channels(flat.surface, flat)["log_conformal_factor"])
    middle = np.median(area)
    return Resampler(flat, size).to_image(np.clip(area, middle / 3, 3 * middle)).channels[0].copy()
