"""The native vision tower: a plain residual 3D CNN over the whole scan, pooled per organ at several depths."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .pooling import BINS, OrganAttention, OrganIndex, index_organs, organ_densities


@dataclass(frozen=True)
class VisionConfig:
    """Shape of the vision tower.

    ``widths`` and ``blocks`` have one entry per depth; depth k has stride 2**(k+1) voxels of ``spacing`` mm.
    """

    widths: tuple[int, ...] = (16, 48, 96, 160)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    heads: int = 4
    hidden: int = 512
    dim: int = 256
    spacing: float = 3.0
    windows: tuple[tuple[float, float], ...] = ((-160.0, 240.0), (-1000.0, -200.0), (100.0, 1500.0))


class ChannelNorm(nn.Module):
    """Layer normalisation over channels at every voxel: independent of crop, padding and batch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        # channels-last in memory, so both permutations are views
        return F.layer_norm(x.permute(0, 2, 3, 4, 1), weight.shape, weight, bias).permute(0, 4, 1, 2, 3)


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(x)))); the last convolution starts at zero, so that a new block is the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norm = ChannelNorm(channels)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        assert self.second.bias is not None
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.norm(self.first(x)))))


class Stage(nn.Sequential):
    """Halve the grid, then refine."""

    def __init__(self, channels_in: int, channels: int, blocks: int) -> None:
        down = nn.Conv3d(channels_in, channels, 3, stride=2, padding=1, bias=False)
        super().__init__(down, ChannelNorm(channels), nn.ReLU(), *(ResidualBlock(channels) for _ in range(blocks)))


class Standardise(nn.Module):
    """Bring every feature to mean 0 and spread 1 by figures fitted once on training scans.

    Pooled features, geometry and densities differ a thousandfold in spread; without this the small ones are not learned
    from (measured). Far outliers are clipped, because another scanner's scans have them.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))

    def fit(self, rows: Tensor) -> None:
        """Take mean and spread from (n, features) rows."""
        self.mean.copy_(rows.mean(0))
        self.spread.copy_(rows.std(0).clamp_min(1e-3))

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.spread).clamp(-8, 8)


class VisionTower(nn.Module):
    """Scan and labels in, one unit vector per organ out; one pass whatever the number of organs."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        widths = (len(config.windows), *config.widths)
        self.stages = nn.ModuleList(
            Stage(a, b, n) for a, b, n in zip(widths[:-1], widths[1:], config.blocks, strict=True)
        )
        self.pools = nn.ModuleList(OrganAttention(w, config.heads) for w in config.widths)
        pooled = sum(config.widths) * (config.heads + 1) + 5 + 2 * BINS * len(config.windows)
        self.head = nn.Sequential(
            Standardise(pooled), nn.Linear(pooled, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.dim)
        )
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def features(self, image: Tensor) -> list[Tensor]:
        """(B, C, I, P, L) windowed image to feature maps, finest first."""
        x = image.contiguous(memory_format=torch.channels_last_3d)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def index(self, labels: Tensor, image: Tensor) -> OrganIndex:
        """Organs and tokens of (B, I, P, L) labels at this tower's depths; their densities join the geometry."""
        grids, strides = [], []
        size = tuple(labels.shape[1:])
        for depth in range(len(self.config.widths)):
            size = tuple((n + 1) // 2 for n in size)
            grids.append((size[0], size[1], size[2]))
            strides.append(2 ** (depth + 1))
        index = index_organs(labels, grids, strides, self.config.spacing)
        return replace(index, geometry=torch.cat([index.geometry, organ_densities(image, labels, index)], 1))

    def pooled(self, maps: list[Tensor], index: OrganIndex) -> Tensor:
        """Feature maps to what is pooled under each organ at every depth, and its geometry and densities."""
        organs = len(index.label)
        parts = [pool(m, t, organs) for pool, m, t in zip(self.pools, maps, index.levels, strict=True)]
        return torch.cat([*parts, index.geometry], 1)

    def pool(self, maps: list[Tensor], index: OrganIndex) -> Tensor:
        """Feature maps to (organs, dim) unit vectors, float32."""
        with torch.autocast(index.label.device.type, enabled=False):
            return F.normalize(self.head(self.pooled(maps, index)), dim=-1)

    def forward(self, image: Tensor, labels: Tensor) -> tuple[Tensor, OrganIndex]:
        """(B, C, I, P, L) image and (B, I, P, L) uint8 labels to organ vectors and their index."""
        index = self.index(labels, image)
        return self.pool(self.features(image), index), index
