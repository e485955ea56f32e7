"""The residual 3D CNN: stages that halve the grid and refine it."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
    """Halve the grid, rounding up, then refine."""

    def __init__(self, channels_in: int, channels: int, blocks: int) -> None:
        down = nn.Conv3d(channels_in, channels, 3, stride=2, padding=1, bias=False)
        super().__init__(down, ChannelNorm(channels), nn.ReLU(), *(ResidualBlock(channels) for _ in range(blocks)))

    def halve(self, x: Tensor) -> Tensor:
        """To the coarser grid."""
        return self[2](self[1](self[0](x)))

    @property
    def parts(self) -> list[Callable[[Tensor], Tensor]]:
        """What is computed one after the other."""
        return [self.halve, *list(self)[3:]]
