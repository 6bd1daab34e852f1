"""What stands between scale-equivariant convolutions: norms, pooling, dropout, and the way back to
an image.

All work on features (B, C, S, *N) over S scales, and treat every scale alike, so none disturbs
equivariance.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv._check import one_of
from meshconv.errors import ArgumentError

_MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


class ScaleBatchNorm(nn.BatchNorm1d):
    """Batch norm with one mean and variance per channel, over samples, scales and space.

    Evaluation uses the running statistics, so a sample's output does not depend on its batch mates.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised features, same shape."""
        return super().forward(x.flatten(2)).view(x.shape)


class ScaleInstanceNorm(nn.Module):
    """Instance norm with one mean and variance per sample and channel, over scales and space;
    affine.

    Parameters
    ----------
    channels : int
    eps : float
        Added to the variance.
    device, dtype
        As in `torch.nn.InstanceNorm3d`.
    """

    def __init__(
        self, channels: int, eps: float = 1e-5, *, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised features, same shape."""
        # one group per channel is instance norm, for any number of axes and down to a single voxel
        return torch.group_norm(x, len(self.weight), self.weight, self.bias, self.eps)


class ScaleBatchStatisticsNorm(ScaleInstanceNorm):
    """Batch norm by the batch's own mean and unbiased variance, in evaluation too: a sample's
    output depends on its batch mates. For published weights; else use `ScaleBatchNorm`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised features, same shape."""
        flat = x.flatten(2)
        variance, mean = torch.var_mean(flat, dim=(0, 2), correction=1, keepdim=True)
        y = (flat - mean) * torch.rsqrt(variance + self.eps)
        return (y * self.weight[:, None] + self.bias[:, None]).view(x.shape)


def scale_windows(x: Tensor, n: int) -> Tensor:
    """Fold (B, C, S, *N) to (B, S * C * n, *N): for each scale, the n scales from it on, beyond the
    last the last.
    """
    x = torch.cat([x, x[:, :, -1:].expand(-1, -1, n - 1, *x.shape[3:])], dim=2) if n > 1 else x
    return x.unfold(2, n, 1).movedim(-1, 3).transpose(1, 2).flatten(1, 3)


class ScaleDropout(nn.Module):
    """Dropout of whole channels, over all scales and all of space at once.

    Parameters
    ----------
    p : float in [0, 1]
        Probability of dropping a channel.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ArgumentError(f"p must lie in [0, 1], found {p!r}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return x with channels dropped in training, x itself in evaluation."""
        return (
            functional.dropout1d(x.flatten(2), self.p, self.training).view(x.shape)
            if self.training
            else x
        )


class ScaleMaxPool(nn.Module):
    """Spatial max pooling at each scale on its own.

    Parameters
    ----------
    kernel_size, stride, padding : int
        As in `torch.nn.MaxPool3d`; the stride is the kernel's size unless given.
    """

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride or kernel_size, padding

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, S, *M)."""
        folded = x.flatten(1, 2)
        pooled = _MAX_POOL[x.ndim - 3](folded, self.kernel_size, self.stride, self.padding)
        return pooled.reshape(*x.shape[:3], *pooled.shape[2:])


class ScaleProjection(nn.Module):
    """Leave the scales: the largest or the mean response over them, (B, C, S, *N) to (B, C, *N).

    Parameters
    ----------
    how : {"max", "mean"}
    """

    def __init__(self, how: str = "max") -> None:
        super().__init__()
        self.how = one_of(how, ("max", "mean"), "how")

    def forward(self, x: Tensor) -> Tensor:
        """Return the image of responses."""
        return x.amax(dim=2) if self.how == "max" else x.mean(dim=2)


def scale_argmax(features: Tensor) -> Tensor:
    """Return the scale that answers most strongly at each voxel: (B, C, S, *N) to int64 (B, *N) in
    0..S-1.

    The strength is the L2 norm over the channels. Index s stands for structures of size
    proportional to sigma * scale_ratio**s, so 0 is the coarsest; an object reduced by one step
    moves its index up by one.

    Examples
    --------
    >>> features = torch.zeros(1, 2, 3, 5)
    >>> features[0, 1, 2, 4] = -1.0
    >>> scale_argmax(features)
    tensor([[0, 0, 0, 0, 2]])
    """
    return features.square().sum(dim=1).argmax(dim=1)
