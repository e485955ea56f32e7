"""An encoder's backbone with a light decoder: one class for every voxel of the scan."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_ctvlp.encoder.vision import VisionConfig, VisionTower

WIDTHS = (16, 32, 48, 64)
"""Channels of the decoder at strides 1, 2, 4 and 8; coarser ones have those of the last."""
FOREGROUND = 0.02
"""Share of the voxels that a new network gives to classes other than background."""
BACKBONE = ("stages.", "norms.")
"""What a segmenter takes of a vision tower, by the beginnings of its names."""


class BatchNorm(nn.Module):
    """Batch normalisation of (B, C, I, P, L), without torch's counter of batches, which files of float16 cannot hold.

    With layer normalisation over the channels of every voxel, as the backbone has, a decoder learned next to nothing:
    it takes away how bright a voxel is. With running figures a whole scan is computed as its parts are.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, self.training, momentum=0.1)


class Refine(nn.Sequential):
    """A convolution, normalised."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__(nn.Conv3d(channels_in, channels, 3, padding=1, bias=False), BatchNorm(channels), nn.ReLU())


class Segmenter(nn.Module):
    """Windowed image in, one logit for every class and voxel out.

    The backbone is that of a vision tower, with the same names of weights. From its coarsest maps the decoder goes back
    to the grid of the image as a U-Net does (Ronneberger et al., MICCAI 2015): it doubles the grid and adds the maps of
    that stride; where the backbone has none, as a ViT of one stride, it adds the shrunk image (as UNETR, Hatamizadeh et
    al., WACV 2022). Channels are lowered before the grid is doubled, so that most of the cost is one convolution at the
    finest grid.

    Parameters
    ----------
    vision : VisionConfig
        Shape of the backbone; what pools and aligns organs is left out.
    classes : int
        Background included.
    widths : tuple of int
        See `WIDTHS`.
    """

    def __init__(self, vision: VisionConfig, classes: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.vision, self.classes, self.widths = vision, classes, widths
        tower = VisionTower(vision)
        self.stages, self.norms = tower.stages, tower.norms
        channels = vision.widths if vision.backbone == "cnn" else (vision.vit.width,) * len(vision.vit.taps)
        # maps of a residual network differ in scale by depth; the decoder adds them up
        self.skips = nn.ModuleList(BatchNorm(width) for width in channels)
        at: dict[int, int] = {}
        for stride, width in zip(vision.strides, channels, strict=True):
            at[stride] = at.get(stride, 0) + width
        seen = len(vision.windows)
        width = self._width(vision.halvings)
        self.enter = nn.Conv3d(at[vision.strides[-1]], width, 1)
        lower, refine = [], []
        for halving in range(vision.halvings - 1, -1, -1):
            narrow = self._width(halving)
            lower.append(nn.Conv3d(width, narrow, 1))
            refine.append(Refine(narrow + at.get(2**halving, seen), narrow))
            width = narrow
        self.lower, self.refine = nn.ModuleList(lower), nn.ModuleList(refine)
        self.head = nn.Conv3d(width, classes, 1)
        assert self.head.bias is not None
        with torch.no_grad():
            # nearly all is background, as it will be in the end; else learning that takes so long, and goes so far,
            # that small lesions get no gradient any more (the prior of Lin et al., ICCV 2017)
            self.head.bias.zero_()
            self.head.bias[0] = math.log((classes - 1) * (1 - FOREGROUND) / FOREGROUND)
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def _width(self, halving: int) -> int:
        return self.widths[min(halving, len(self.widths) - 1)]

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with the backbone of a vision tower, given all its weights by name."""
        own = {name: tensor for name, tensor in weights.items() if name.startswith(BACKBONE)}
        missing, unknown = self.load_state_dict(own, strict=False)
        lacking = [name for name in missing if name.startswith(BACKBONE)]
        if lacking or unknown:
            raise ValueError(f"not the weights of this backbone: {[*lacking, *unknown][:3]}")

    def freeze(self) -> None:
        """Leave the backbone as it is: its weights get no gradient (nothing in it has running figures)."""
        for part in (self.stages, self.norms):
            part.requires_grad_(False)

    def settle(self) -> None:
        """Normalise by the running figures from now on, as in use: crops laid on small lesions have other figures than
        whole scans, and a network that was trained by those of its crops alone may find nothing in a scan."""
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.eval()

    def maps(self, image: Tensor) -> list[Tensor]:
        """(B, C, I, P, L) windowed image to the backbone's feature maps, finest first."""
        x = image.contiguous(memory_format=torch.channels_last_3d)
        found = []
        for stage, norm in zip(self.stages, self.norms, strict=True):
            x = stage(x)
            found.append(norm(x))
        return found

    def features(self, image: Tensor) -> Tensor:
        """(B, C, I, P, L) windowed image to (B, channels, I, P, L) features, of which logits are linear.

        What blends features of windows that overlap, or interpolates them, so does the same with the logits, however
        many classes there are.
        """
        image = image.contiguous(memory_format=torch.channels_last_3d)  # else what is joined with it is copied
        grouped: dict[int, list[Tensor]] = {1: [image]}
        for stride, norm, found in zip(self.vision.strides, self.skips, self.maps(image), strict=True):
            grouped.setdefault(stride, []).append(norm(found))
        x = self.enter(torch.cat(grouped[self.vision.strides[-1]], 1))
        for halving, lower, refine in zip(
            range(self.vision.halvings - 1, -1, -1), self.lower, self.refine, strict=True
        ):
            skip = grouped.get(2**halving) or [F.avg_pool3d(image, 2**halving, ceil_mode=True)]
            # by two and cut, not to the size: the places of tokens do not depend on how large the crop is
            doubled = F.interpolate(lower(x), scale_factor=2.0, mode="trilinear", align_corners=False)
            a, b, c = skip[0].shape[2:]
            x = refine(torch.cat([doubled[:, :, :a, :b, :c], *skip], 1))
        return x

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, I, P, L) windowed image to (B, classes, I, P, L) logits; class 0 is background."""
        logits: Tensor = self.head(self.features(image))
        return logits


def new_segmenter(vision: VisionConfig, classes: int, seed: int, weights: Mapping[str, Tensor] | None) -> Segmenter:
    """A segmenter before training.

    Parameters
    ----------
    vision : VisionConfig
    classes : int
        Background included.
    seed : int
        Of the random weights: the decoder begins with the same ones whether or not the backbone is given.
    weights : mapping of str to Tensor, optional
        Of a vision tower; a backbone of random weights where there are none.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Segmenter(vision, classes)
    if weights is not None:
        network.take(weights)
    return network
