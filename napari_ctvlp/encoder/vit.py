"""A vision transformer over the tokens of a convolutional stem, for scans of any size.

Positions enter through depthwise convolutions (Chu et al., "Conditional Positional Encodings for Vision Transformers",
arXiv 2102.10882), so that nothing fixes the size: it is trained on crops and sees whole scans. The stem is a few
strided convolutions (Xiao et al., "Early Convolutions Help Transformers See Better", arXiv 2106.14881), about as costly
as one block. As in fVLM, tokens are pooled after several blocks and after the last.

The blocks are our own, over ``scaled_dot_product_attention``, because of ``tests/benchmarks/bench_backbones`` (one
thread): a step takes 1.4 s, as with ``nn.TransformerEncoderLayer``, but a whole scan of 6,400 tokens 4.9 s and
135 MB against that layer's 10.3 s and 1,055 MB; MONAI 1.6's ViT takes one size only, 2.8 s a step and 21.6 s and
1,983 MB for that scan, its blocks with flash attention 1.2 s, 5.0 s and 97 MB, for a dependency of two packages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from napari_ctvlp.errors import UserError

from .cnn import Stage


@dataclass(frozen=True)
class VitConfig:
    """Shape of the transformer."""

    patch: int = 8
    """Voxels along a token's side: a power of two. Half of it means 8 times the tokens and 64 times the attention."""
    width: int = 192
    """Channels of a token."""
    depth: int = 8
    """Blocks."""
    heads: int = 6
    """Attention heads of a block."""
    pooled: tuple[int, ...] = ()
    """Blocks after which tokens are pooled, rising to the last; four at even distance where none are named."""

    def __post_init__(self) -> None:
        if self.patch < 2 or self.patch & (self.patch - 1):
            raise UserError(f"A token of the ViT has {self.patch} voxels a side: choose 2, 4, 8, 16 or 32.")
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise UserError(f"The ViT's {self.width} channels cannot be shared evenly by {self.heads} heads.")
        taps = self.taps
        if not taps or taps[0] < 1 or taps[-1] != self.depth or list(taps) != sorted(set(taps)):
            raise UserError(f"The ViT's pooled blocks must rise from 1 or more to its depth {self.depth}, not {taps}.")

    @property
    def taps(self) -> tuple[int, ...]:
        """Blocks after which tokens are pooled, counted from 1."""
        return tuple(self.pooled) or tuple(sorted({-(-self.depth * quarter // 4) for quarter in (1, 2, 3, 4)}))


class Stem(nn.Sequential):
    """Windowed image to one token a patch, by convolutions that halve the grid, ending in float32."""

    def __init__(self, channels: int, config: VitConfig) -> None:
        halvings = config.patch.bit_length() - 1
        # a quarter of the channels at each finer grid, where there are eight times as many places
        widths = [channels, *(max(8, config.width // 4**k) for k in range(halvings - 1, -1, -1))]
        stages = (Stage(a, b, 0) for a, b in pairwise(widths))
        super().__init__(*stages, nn.Conv3d(widths[-1], config.width, 1))

    def forward(self, x: Tensor) -> Tensor:
        # what the blocks add up is float32 also where they compute in bfloat16
        return super().forward(x).float()


class Position(nn.Module):
    """x + depthwise convolution of x: tells a token what lies on which side of it, and where the scan ends."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(width, width, 3, padding=1, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class Block(nn.Module):
    """Attention among all tokens of a scan, then two layers for each; both start as the identity.

    Parameters
    ----------
    width : int
        Channels.
    heads : int
        Attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        for last in (self.out, self.mlp[2]):
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, i, p, l) to the same; channels-last in memory, so that tokens are a view."""
        tokens = x.permute(0, 2, 3, 4, 1).flatten(1, 3)
        query, key, value = self.qkv(self.before_attention(tokens)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        mixed = F.scaled_dot_product_attention(*(each.transpose(1, 2) for each in (query, key, value)))
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        tokens = tokens + self.mlp(self.before_mlp(tokens))
        return tokens.unflatten(1, x.shape[2:]).permute(0, 4, 1, 2, 3)


class VitStage(nn.Sequential):
    """The blocks up to the next depth that is pooled."""

    @property
    def parts(self) -> list[Callable[[Tensor], Tensor]]:
        """What is computed one after the other."""
        return list(self)


def vit_stages(channels: int, config: VitConfig) -> list[VitStage]:
    """One stage a pooled depth; the first begins with the stem."""
    taps = config.taps
    stages = []
    for before, tap in zip((0, *taps[:-1]), taps, strict=True):
        stem = [] if before else [Stem(channels, config)]
        blocks = [Block(config.width, config.heads) for _ in range(tap - before)]
        stages.append(VitStage(*stem, Position(config.width), *blocks))
    return stages
