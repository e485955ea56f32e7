"""Merlin's image vector written apart from the adapter: formulas over a checkpoint's tensors, no module of torch.nn."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

BEGIN = "encode_image.i3_resnet."
SMALL = 1e-5
"""What batch normalisation adds to a variance."""


def image_vector(state: Mapping[str, Tensor], volume: Tensor) -> Tensor:
    """(R, A, S) values in 0..1 to a unit vector.

    A 2D ResNet-152 inflated along S: its first axis is S, then R and A; all three channels hold the volume; the stem
    halves R and A alone, the pool after it and the later stages halve all axes, in the middle of their first block.
    """
    x = volume.permute(2, 0, 1).expand(3, -1, -1, -1)[None]
    x = F.conv3d(x, state[f"{BEGIN}conv1.weight"], stride=(1, 2, 2), padding=(1, 3, 3))
    x = F.max_pool3d(_normal(state, f"{BEGIN}bn1", x).clamp(min=0), kernel_size=3, stride=2, padding=1)
    for stage in (1, 2, 3, 4):
        block = 0
        while f"{BEGIN}layer{stage}.{block}.conv1.weight" in state:
            stride = 2 if stage > 1 and block == 0 else 1
            x = _block(state, f"{BEGIN}layer{stage}.{block}.", x, stride)
            block += 1
    mean = x.flatten(2).mean(2)[0]
    row = state[f"{BEGIN}contrastive_head.weight"].flatten(1) @ mean + state[f"{BEGIN}contrastive_head.bias"]
    return row / row.norm()


def _block(state: Mapping[str, Tensor], name: str, x: Tensor, stride: int) -> Tensor:
    inner = _normal(state, f"{name}bn1", F.conv3d(x, state[f"{name}conv1.weight"])).clamp(min=0)
    inner = F.conv3d(inner, state[f"{name}conv2.weight"], stride=stride, padding=1)
    inner = _normal(state, f"{name}bn2", inner).clamp(min=0)
    inner = _normal(state, f"{name}bn3", F.conv3d(inner, state[f"{name}conv3.weight"]))
    if f"{name}downsample.0.weight" in state:
        x = F.conv3d(x[..., ::stride, ::stride, ::stride], state[f"{name}downsample.0.weight"])
        x = _normal(state, f"{name}downsample.1", x)
    return (inner + x).clamp(min=0)


def _normal(state: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{part}"].view(-1, 1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(variance + SMALL) * weight + bias
