"""The network that settings ask for, as images and classes have it."""

from __future__ import annotations

from meshconv.nn.decnn import DECNN
from meshconv.nn.layers.adapted_backbone import ADAPTED
from meshconv.train.config import Settings

_STEPS = 8  # of the flow where the area element multiplies the density


def new_network(
    settings: Settings, shape: tuple[int, ...], *, n_classes: int, head: str, in_frame: bool
) -> DECNN:
    """Return an untrained network.

    Parameters
    ----------
    settings : Settings
    shape : (C, N, N)
        Of an image.
    n_classes : int
    head : str
        The head in use: ``auto`` is decided.
    in_frame : bool
        Whether the images lie in the frame of a template.
    """
    asked, (in_channels, size) = settings.network, shape[:2]
    places_shared = in_frame and head == "flatten" and asked.density != "sample"
    return DECNN(
        in_channels,
        n_classes,
        size=size,
        network_size=min(asked.network_size, size),
        backbone=ADAPTED.get(asked.backbone, asked.backbone),
        head=head,
        width=asked.width,
        direct=places_shared if asked.direct is None else asked.direct,
        emphasis=asked.emphasis,
        density=asked.density,
        ratio=asked.ratio,
        steps=_STEPS if in_frame else None,
        seed=settings.train.seed,
    )
