"""The native vision tower: a residual 3D CNN or a ViT over the whole scan, pooled per organ at several depths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from napari_ctvlp.errors import UserError

from .attenuation import extremes, relative_attenuation
from .attenuation import features as attenuations
from .cnn import ChannelNorm, ResidualBlock, Stage
from .evidence import OrganEvidence, as_seen
from .pooling import BINS, OrganAttention, OrganMean, organ_densities
from .tokens import OrganIndex, OrganTokens, index_organs
from .vit import Block, VitConfig, VitStage, vit_stages


@dataclass(frozen=True)
class VisionConfig:
    """Shape of the vision tower.

    ``widths`` and ``blocks`` are those of the CNN and have one entry per depth; depth k has stride 2**(k+1) voxels of
    ``spacing`` mm. ``vit`` takes their place where ``backbone`` is "vit". ``heads`` are the queries of the pooling, the
    plain mean included; ``pooling`` "mean" leaves the mean alone, as in CT-GLIP. ``evidence`` names the abnormalities
    that every place is judged by, see ``evidence.py``; with it the finest map also holds what is seen there as it is,
    and organs are also given the extremes of their places' relative attenuation, see ``attenuation.py``.
    """

    widths: tuple[int, ...] = (16, 48, 96, 160)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    heads: int = 4
    hidden: int = 512
    dim: int = 256
    spacing: float = 3.0
    windows: tuple[tuple[float, float], ...] = ((-160.0, 240.0), (-1000.0, -200.0), (100.0, 1500.0))
    backbone: Literal["cnn", "vit"] = "cnn"
    pooling: Literal["attention", "mean"] = "attention"
    vit: VitConfig = field(default_factory=VitConfig)
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, known in (("backbone", ("cnn", "vit")), ("pooling", ("attention", "mean"))):
            if getattr(self, name) not in known:
                raise UserError(f"There is no {name} '{getattr(self, name)}': choose {' or '.join(known)}.")

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each feature map, finest first."""
        first, *others = self.widths if self.backbone == "cnn" else (self.vit.width,) * len(self.vit.taps)
        return (first + (3 * len(self.windows) if self.evidence else 0), *others)

    @property
    def strides(self) -> tuple[int, ...]:
        """Voxels along each side of a token of each feature map: powers of two, never falling."""
        if self.backbone == "cnn":
            return tuple(2 ** (depth + 1) for depth in range(len(self.widths)))
        return (self.vit.patch,) * len(self.vit.taps)

    @property
    def halvings(self) -> int:
        """Halvings of the scan's grid down to the coarsest map."""
        return self.strides[-1].bit_length() - 1


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
    """Scan and labels in, one unit vector per organ out; one pass whatever the number of organs.

    Attributes
    ----------
    checkpointing : bool
        Keep few activations for the backward pass and compute the others again (``torch.utils.checkpoint``); the
        gradients are the same.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointing = False
        stages: list[nn.Module]
        if config.backbone == "vit":
            stages = [*vit_stages(len(config.windows), config.vit)]
        else:
            widths = (len(config.windows), *config.widths)
            stages = [Stage(a, b, n) for a, b, n in zip(widths[:-1], widths[1:], config.blocks, strict=True)]
        self.stages = nn.ModuleList(stages)
        # what a ViT's blocks add up grows with depth; what is pooled is normalised, what goes on is not
        vit = config.backbone == "vit"
        widths = (config.vit.width,) * len(config.vit.taps) if vit else config.widths
        self.norms = nn.ModuleList(ChannelNorm(w) if vit else nn.Identity() for w in widths)
        attention = config.pooling == "attention"
        self.pools = nn.ModuleList(
            OrganAttention(w, config.heads) if attention else OrganMean() for w in config.channels
        )
        kinds = len(config.evidence)
        self.evidence = OrganEvidence(config.channels, config.strides, kinds, len(config.windows)) if kinds else None
        pooled = sum(config.channels) * (config.heads + 1 if attention else 1) + 5 + 2 * BINS * len(config.windows)
        self._extremes = 2 * attenuations(len(config.windows)) if kinds else 0
        pooled += 2 * kinds + self._extremes
        self.head = nn.Sequential(
            Standardise(pooled), nn.Linear(pooled, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.dim)
        )
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def compile_blocks(self) -> None:
        """Compile every block for any size (``torch.compile``) when it is next run; weights keep their names, copies of
        the tower are plain.

        The convolutions that halve the grid stay as they are: for sizes that vary torch 2.13 fails to compile them on a
        CPU (measured).
        """
        # one entry for every width of a CNN, and some for sizes that compilers treat apart
        torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
        for module in self.modules():
            if isinstance(module, ResidualBlock | Block):
                module.compile(dynamic=True)

    def _run(self, part: Callable[..., Tensor], *given: Tensor | OrganTokens | int) -> Tensor:
        """Compute, keeping only what is given for the backward pass where that is wished."""
        if self.checkpointing and torch.is_grad_enabled():
            # nothing here draws random numbers
            return checkpoint(part, *given, use_reentrant=False, preserve_rng_state=False)
        return part(*given)

    def features(self, image: Tensor, tick: Callable[[float], None] | None = None) -> list[Tensor]:
        """(B, C, I, P, L) windowed image to feature maps, finest first; ``tick`` is told the share that is done."""
        x = image.contiguous(memory_format=torch.channels_last_3d)
        parts = [stage.parts for stage in self.stages if isinstance(stage, Stage | VitStage)]
        maps: list[Tensor] = []
        done, total = 0, sum(map(len, parts))
        for some, norm in zip(parts, self.norms, strict=True):
            for part in some:
                x = self._run(part, x)
                done += 1
                if tick is not None:
                    tick(done / total)
            maps.append(norm(x))
        if self.evidence is not None:
            maps[0] = torch.cat([maps[0], as_seen(image, self.config.strides[0]).to(maps[0].dtype)], 1)
        return maps

    def index(self, labels: Tensor, image: Tensor) -> OrganIndex:
        """Organs and tokens of (B, I, P, L) labels at this tower's depths; their densities join the geometry."""
        grids, strides = [], []
        size = tuple(labels.shape[1:])
        for depth in range(self.config.halvings):
            size = tuple((n + 1) // 2 for n in size)
            grids.append((size[0], size[1], size[2]))
            strides.append(2 ** (depth + 1))
        index = self.at_depths(index_organs(labels, grids, strides, self.config.spacing))
        index = replace(index, geometry=torch.cat([index.geometry, organ_densities(image, labels, index)], 1))
        if self.evidence is None:
            return index
        return replace(index, attenuation=relative_attenuation(image, labels, index, self.config.strides[0]))

    def at_depths(self, index: OrganIndex) -> OrganIndex:
        """From the tokens of every halving those of each feature map; maps of one stride share them."""
        return replace(index, levels=tuple(index.levels[stride.bit_length() - 2] for stride in self.config.strides))

    def pooled(self, maps: list[Tensor], index: OrganIndex, found: Tensor | None = None) -> Tensor:
        """Feature maps to what is pooled under each organ at every depth, and its geometry and densities.

        ``found`` is what evidence and attenuation say of each organ where that is known already.
        """
        organs = len(index.label)
        parts = [self._run(pool, m, t, organs) for pool, m, t in zip(self.pools, maps, index.levels, strict=True)]
        if self.evidence is not None:
            seen = index.attenuation
            if found is not None:
                parts.append(found)
            elif seen is None:  # whole bodies: places are judged as of organs
                parts.append(index.geometry.new_zeros(organs, 2 * self.evidence.kinds + self._extremes))
            else:
                parts += [self.evidence(maps, index, organs), extremes(seen, index.levels[0].segment, organs)]
        return torch.cat([*parts, index.geometry], 1)

    def judged(self, pooled: Tensor) -> Tensor:
        """(organs, abnormalities) largest evidence in each organ, in logits, out of what :meth:`pooled` gave."""
        kinds = len(self.config.evidence)
        last = pooled.shape[1] - 5 - 2 * BINS * len(self.config.windows) - self._extremes
        return pooled[:, last - 2 * kinds : last - kinds]

    def pool(self, maps: list[Tensor], index: OrganIndex, found: Tensor | None = None) -> Tensor:
        """Feature maps to (organs, dim) unit vectors, float32; ``found`` as in `pooled`."""
        with torch.autocast(index.label.device.type, enabled=False):
            return F.normalize(self.head(self.pooled(maps, index, found)), dim=-1)

    def forward(self, image: Tensor, labels: Tensor) -> tuple[Tensor, OrganIndex]:
        """(B, C, I, P, L) image and (B, I, P, L) uint8 labels to organ vectors and their index."""
        index = self.index(labels, image)
        return self.pool(self.features(image), index), index
