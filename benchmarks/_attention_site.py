"""What an attention says on the mean face, judged by the true place of a morphable effect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from meshconv.nn import PyramidPixelContext, attention_maps
from meshconv.saliency.evaluate import agreement
from meshconv.saliency.project import to_vertices

Data = tuple[Tensor, Tensor]


class Site:
    """The true place of an effect on the mean face, and what networks say of it; maps to draw lie
    in `folder`.
    """

    def __init__(self, effect: str, folder: Path) -> None:
        import meshconv as mc
        from meshconv.datasets.morphable import face_model

        model = face_model()
        template = mc.Template.from_surface(model.mean, landmarks=model.landmarks)
        self.frame = mc.Resampler(template.parameterization, 33)
        self.surface = template.surface
        size = np.linalg.norm(model.effects[effect], axis=1)
        self.truth = size / size.max()
        self.effect, self.folder = effect, folder

    def judged(self, net: nn.Module, data: Data, *, keep: int | None = None) -> dict[str, float]:
        """ROC-AUC of |gradient x input| and of three readings of the attention, on the training
        faces.

        With `keep`, a number, the map of the groups is kept under it for `draw`.
        """
        x, y = data
        images = x.clone().requires_grad_()
        logits = net.eval()(images)
        (slope,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), images)
        out = {"gradient": self._auc((slope * x).abs().sum(1).mean(0))}
        if any(isinstance(m, PyramidPixelContext) for m in net.modules()):
            found = attention(net, x, y)
            out |= {f"attention, {reading}": self._auc(pixels) for reading, pixels in found.items()}
            if keep is not None:
                np.save(self._kept(keep), found["groups"].numpy())
        return out

    def _auc(self, pixels: Tensor) -> float:
        return float(agreement(to_vertices(pixels.numpy(), self.frame), self.truth).auc)

    def _kept(self, number: int) -> Path:
        return self.folder / f"{self.effect}_attention_{number}.npy"

    def draw(self, path: Path, title: str, numbers: Sequence[int]) -> float:
        """Save the mean of the maps kept under these numbers on the mean face; return its
        ROC-AUC.
        """
        from meshconv.viz.picture import FieldStyle, figure, save_figure

        mean = torch.from_numpy(np.mean([np.load(self._kept(k)) for k in numbers], axis=0))
        field = to_vertices(mean.numpy(), self.frame)
        look = FieldStyle("attention, difference of the groups", iso_lines=False)
        save_figure(figure(self.surface, field, title=title, field_style=look), path, dpi=80)
        return self._auc(mean)


def attention(net: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Return three maps (33, 33), each the mean over layers scaled to mean 1.

    The attention itself, its spread from face to face, and the distance between its means over the
    two groups.
    """
    readings: dict[str, list[Tensor]] = {"mean": [], "spread": [], "groups": []}
    for small in attention_maps(net.eval(), x).values():
        a = functional.interpolate(small, x.shape[2:], mode="bilinear", align_corners=True)[:, 0]
        groups = (a[y == 1].mean(0) - a[y == 0].mean(0)).abs()
        for name, found in (("mean", a.mean(0)), ("spread", a.std(0)), ("groups", groups)):
            readings[name].append(found / found.mean())
    return {name: torch.stack(found).mean(0) for name, found in readings.items()}
