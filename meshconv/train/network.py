"""The networks that settings ask for, as images and what is learned of them have it."""

from __future__ import annotations

from collections.abc import Mapping

from meshconv.nn.decnn import DECNN
from meshconv.nn.ensemble import Ensemble
from meshconv.nn.layers.adapted_backbone import ADAPTED
from meshconv.train.config import Settings

_STEPS = 8  # of the flow where the area element multiplies the density
_BOTH = ("shared", "uniform")  # of density="auto"


def new_network(
    settings: Settings,
    shape: tuple[int, ...],
    *,
    outputs: int | Mapping[str, int],
    head: str,
    in_frame: bool,
) -> DECNN | Ensemble:
    """Return what is to be trained: of classes, a network for each density in question, with direct
    heads as parts of their own where nothing is said of them; of measures, one network, whose
    density is shared if nothing is said of it.

    Parameters
    ----------
    settings : Settings
    shape : (C, N, N)
        Of an image.
    outputs : int or mapping of str to int
        Logits; 1 for a measure, by task for several.
    head : str
        The head in use: ``auto`` is decided.
    in_frame : bool
        Whether the images lie in the frame of a template.
    """
    asked, (in_channels, size) = settings.network, shape[:2]
    places_shared = in_frame and head == "flatten" and asked.density != "sample"

    def network(density: str) -> DECNN:
        return DECNN(
            in_channels,
            outputs,
            size=size,
            network_size=min(asked.network_size, size),
            backbone=ADAPTED.get(asked.backbone, asked.backbone),
            head=head,
            width=asked.width,
            direct=places_shared if asked.direct is None else asked.direct,
            emphasis=asked.emphasis,
            density=density,
            ratio=asked.ratio,
            steps=_STEPS if in_frame else None,
            seed=settings.train.seed,
        )

    densities = _BOTH if asked.density == "auto" else (asked.density,)
    if not isinstance(outputs, int) or outputs == 1:
        return network(densities[0])
    return Ensemble({of: network(of) for of in densities}, apart=asked.direct is None)
