"""`Ensemble`: several `DECNN` look at the same images, each where its own density says; how much
each of them counts is a weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from meshconv.errors import ArgumentError
from meshconv.nn.decnn import DECNN
from meshconv.nn.heads import DirectHead

_DIRECT = "{}, direct"  # the part that direct heads are
_EVIDENCE = "{}, evidence"  # the part that the evidence of each image's own density is


class Ensemble(nn.Module):
    """Networks whose logits are added, each times its weight.

    Parameters
    ----------
    members : mapping of str to DECNN
        Of one task, the same channels and nodes.
    apart : bool
        Direct heads are parts of their own, with a weight of their own, instead of being added to
        what the convolutions behind them give.

    Attributes
    ----------
    parts : tuple of P str
        What has a weight: the members, their direct heads, if these are apart, and the evidence
        that each image's own density is made of.
    weights : (P,) Tensor
        At least 0. All alike and of sum 1 until `weigh`.
    offset : (K,) Tensor
        What is added to the weighted logits; 0 until `weigh`.

    Raises
    ------
    ArgumentError
        If there is no member, one has several tasks, or they see images of different shapes.

    References
    ----------
    Breiman, 1996, Stacked regressions, doi:10.1007/BF00117832 (weights that are not negative).

    Examples
    --------
    >>> members = {of: DECNN(3, 2, size=33, network_size=17, density=of, direct=True, seed=0)
    ...            for of in ("uniform", "shared")}
    >>> both = Ensemble(members, apart=True)
    >>> both.parts
    ('uniform', 'uniform, direct', 'shared', 'shared, direct')
    >>> both(torch.zeros(4, 3, 33, 33)).shape
    torch.Size([4, 2])
    """

    weights: Tensor
    offset: Tensor
    tasks = ("label",)

    def __init__(self, members: Mapping[str, DECNN], *, apart: bool = False) -> None:
        super().__init__()
        kinds = {(one.in_channels, one.network_size, one.coordinates) for one in members.values()}
        if len(kinds) != 1 or any(one.tasks != ("label",) for one in members.values()):
            raise ArgumentError(
                "an ensemble is of one or more networks of one task, with the same channels and"
                f" network_size, found {len(members)} of (channels, nodes, coordinates)"
                f" {sorted(kinds)}"
            )
        self.members, self.apart = nn.ModuleDict(members), apart
        parts: list[str] = []
        for name, one in members.items():
            parts += [name] + [_DIRECT.format(name)] * (apart and one.direct is not None)
            parts += [_EVIDENCE.format(name)] * (one.density.network is not None)
        self.parts = tuple(parts)
        self.register_buffer("weights", torch.full((len(parts),), 1 / len(parts)))
        head = cast(nn.Linear, next(iter(members.values())).heads["to_label"])
        self.register_buffer("offset", torch.zeros(head.out_features))

    @property
    def networks(self) -> dict[str, DECNN]:
        """The members by name."""
        return {name: cast(DECNN, one) for name, one in self.members.items()}

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return next(iter(self.networks.values())).in_channels

    @property
    def density_is_fixed(self) -> bool:
        """Whether no density learns any more."""
        return all(one.density_is_fixed for one in self.networks.values())

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted logits (B, K) of images (B, C, N, N)."""
        each = torch.stack(list(self.by_part(x).values()))
        return torch.tensordot(self.weights.to(each.dtype), each, 1) + self.offset.to(each.dtype)

    def by_part(self, x: Tensor) -> dict[str, Tensor]:
        """Return the logits (B, K) of each part, of images (B, C, N, N)."""
        seen, led = self.equalize_with_evidence(x)
        said = self._parts(seen, direct=True)
        said |= {_EVIDENCE.format(name): one.to(seen.dtype) for name, one in (led or {}).items()}
        return {part: said[part] for part in self.parts}

    def classify(self, equalized: Tensor) -> dict[str, Tensor]:
        """Return the logits (B, K) of each member, of what `equalize` gave: each is trained for
        itself. Without the direct heads that are parts of their own: see `direct_heads`.
        """
        return self._parts(equalized, direct=False)

    def _parts(self, equalized: Tensor, *, direct: bool) -> dict[str, Tensor]:
        out: dict[str, Tensor] = {}
        for k, (name, one) in enumerate(self.networks.items()):
            (behind,), beside = one.classify_apart(equalized[:, k : k + 1])
            out[name] = behind if self.apart or not beside else behind + beside[0]
            if direct and self.apart and beside:
                out[_DIRECT.format(name)] = beside[0]
        return out

    @property
    def direct_heads(self) -> dict[int, DirectHead]:
        """The direct heads that are parts of their own, by the number of their member: they see its
        images as `equalize` gives them, without the coordinates, and are not trained with it.
        """
        if not self.apart:
            return {}
        heads = [one.direct for one in self.networks.values()]
        return {
            k: cast(DirectHead, head["to_label"])
            for k, head in enumerate(heads)
            if head is not None
        }

    def equalize(self, x: Tensor) -> Tensor:
        """Return what each member sees of images, (B, M, C', n, n)."""
        return torch.cat([one.equalize(x) for one in self.networks.values()], dim=1)

    def equalize_with_evidence(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Return `equalize`, and the logits of the evidence of those members whose images have
        densities of their own.
        """
        found = {name: one.equalize_with_evidence(x) for name, one in self.networks.items()}
        led = {name: cast(Tensor, own) for name, (_, own) in found.items() if own is not None}
        return torch.cat([seen for seen, _ in found.values()], dim=1), led or None

    def settle(self) -> bool:
        """Fix where all images are looked at; False if a member has a density for each."""
        settled = [one.settle() for one in self.networks.values()]  # every one of them
        return all(settled)

    def unsettle(self) -> None:
        """Undo `settle`."""
        for one in self.networks.values():
            one.unsettle()

    def weigh(self, weights: Any, offset: Any = 0.0) -> None:
        """Set the weights of the parts, (P,), and what is added to the logits, (K,)."""
        self.weights.copy_(torch.as_tensor(weights))
        self.offset.copy_(torch.as_tensor(offset))

    def shares(self) -> dict[str, float]:
        """Return the share of each member in the weights, with its direct head and its evidence;
        all alike where no part has any.
        """
        total = dict.fromkeys(self.members, 0.0)
        for part, weight in zip(self.parts, self.weights.tolist(), strict=True):
            total[part if part in total else part.rsplit(",", 1)[0]] += weight
        whole = sum(total.values())
        return {name: own / whole if whole else 1 / len(total) for name, own in total.items()}

    def saliency(self, x: Tensor) -> Tensor:
        """Return the density of each image, (B, 1, N, N), mean 1: the members' mean, each by its
        share.
        """
        shares = self.shares()
        each = [shares[name] * one.saliency(x) for name, one in self.networks.items()]
        return torch.stack(each).sum(dim=0)

    def sampling_grid(self, x: Tensor) -> Tensor:
        """Return where the member with the largest share looks, (1 or B, n, n, 2)."""
        shares = self.shares()
        return self.networks[max(shares, key=shares.__getitem__)].sampling_grid(x)
