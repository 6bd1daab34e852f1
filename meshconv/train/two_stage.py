"""What training needs of a network: that it looks first, and then classifies what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Logits = Tensor | dict[str, Tensor]


class Images(Protocol):
    """Standardized images (n, C, N, N): a tensor, or what gives some of them when asked for."""

    @property
    def shape(self) -> Sequence[int]: ...

    @property
    def ndim(self) -> int: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Tensor: ...


@runtime_checkable
class TwoStage(Protocol):
    """A network that looks first, where a density says, and then classifies what it saw, such as
    `meshconv.DECNN`.

    Attributes
    ----------
    in_channels : int or None
        How many channels of what it sees are the image's, and take noise; all if None.
    density_is_fixed : bool
        Whether where it looks stays as it is.
    """

    in_channels: int | None

    @property
    def density_is_fixed(self) -> bool: ...

    def settle(self) -> bool:
        """Fix where all images are looked at; False if each has a density of its own."""

    def unsettle(self) -> None:
        """Undo `settle`."""

    def equalize(self, x: Tensor) -> Tensor:
        """Return what is seen of images, (B, ..., C, n, n)."""

    def equalize_with_evidence(self, x: Tensor) -> tuple[Tensor, Any]:
        """Return what is seen, and the logits of the evidence that led there, if it did."""

    def classify(self, equalized: Tensor) -> Any:
        """Return the logits of what was seen."""


class OneStage:
    """Any network of images, seen as they are."""

    in_channels: int | None = None
    density_is_fixed = False

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def settle(self) -> bool:
        """Return False: there is nothing to work out once."""
        return False

    def unsettle(self) -> None:
        """Do nothing."""

    def equalize(self, x: Tensor) -> Tensor:
        """Return the images."""
        return x

    def equalize_with_evidence(self, x: Tensor) -> tuple[Tensor, None]:
        """Return the images."""
        return x, None

    def classify(self, equalized: Tensor) -> Any:
        """Return the logits of images."""
        return self.model(equalized)


def two_stages(model: nn.Module) -> TwoStage:
    """Return the network itself if it looks first, else what sees images as they are."""
    return model if isinstance(model, TwoStage) else OneStage(model)


@torch.no_grad()
def seen_once(
    model: TwoStage, images: Images, device: torch.device, *, batch_size: int = 64
) -> Tensor:
    """Return what a network with a fixed density sees of images, kept where these are."""
    seen = torch.empty(0)
    for k in range(0, len(images), batch_size):
        part = images[k : k + batch_size]
        found = model.equalize(part.to(device)).to(part.device)
        if k == 0:  # in place, for parts and their whole together would be twice as much
            seen = found.new_empty(len(images), *found.shape[1:])
        seen[k : k + batch_size] = found
    return seen
