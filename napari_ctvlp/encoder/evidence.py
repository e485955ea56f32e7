"""Evidence: how much every place of a scan looks like each of some abnormalities, and the most of it in each organ.

A lesion of a few voxels is a small part of what is pooled under a liver. So every finest token is judged on its own, by
its features and those of the coarser tokens around it, which are added as a fully convolutional network adds its scores
(Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015), and by how its attenuation differs
from that of the organ; an organ is given the largest judgement of each kind and the share of its voxels that are judged
abnormal. The features of a token are joined by the plain intensities of its voxels, of which networks that normalise
every voxel lose much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attenuation import extremes_around, features
from .pooling import WORTH_A_STEP, one_thread
from .segments import Segments
from .tokens import OrganIndex, OrganTokens, parents

GAIN = 8.0
"""Factor from the judge's linear map to logits: an optimiser that moves weights by its rate a step reaches logits of
some size within a run, which it did not without (measured)."""
HIDDEN = 128
"""Numbers between what is seen of a place and its judgements."""


def as_seen(image: Tensor, stride: int) -> Tensor:
    """(B, 3 C, i, p, l) mean, largest and smallest intensity of each token of a (B, C, I, P, L) windowed image.

    The image is continued at its far ends, so that every voxel is in a token.
    """
    missing = [side for n in reversed(image.shape[2:]) for side in (0, -n % stride)]
    whole = F.pad(image, missing, mode="replicate") if any(missing) else image
    mean = F.avg_pool3d(whole, stride)
    largest, smallest = F.max_pool3d(whole, stride), -F.max_pool3d(-whole, stride)
    seen = torch.cat([mean, largest, smallest], 1)
    return seen.contiguous(memory_format=torch.channels_last_3d)


def _rows(features: Tensor) -> Tensor:
    """(B, C, i, p, l) to (tokens, C), a view of what is channels-last in memory."""
    return features.permute(0, 2, 3, 4, 1).reshape(-1, features.shape[1])


class OrganEvidence(nn.Module):
    """Judgements of places, and what organs get of them.

    Parameters
    ----------
    channels, strides : sequence of int
        Of the feature maps, finest first.
    kinds : int
        Abnormalities that places are judged by.
    windows : int
        Channels of the image, whose attenuation relative to the organ is judged too, see ``attenuation.py``.
    hidden : int
        Numbers between what is seen of a place and its judgements.
    """

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], kinds: int, windows: int, hidden: int = HIDDEN
    ) -> None:
        super().__init__()
        self.kinds = kinds
        self.ratios = tuple(stride // strides[0] for stride in strides)
        self.looks = nn.ModuleList(nn.Linear(width, hidden, bias=depth == 0) for depth, width in enumerate(channels))
        self.relative = nn.Linear(features(windows), hidden, bias=False)
        self.judge = nn.Linear(hidden, kinds)
        for layer, width in zip(self._layers, channels, strict=True):
            nn.init.normal_(layer.weight, std=0.5 / width**0.5)
        nn.init.normal_(self.relative.weight, std=1 / self.relative.in_features**0.5)
        nn.init.normal_(self.judge.weight, std=0.3 / hidden**0.5 / GAIN)
        for bias in (self._layers[0].bias, self.judge.bias):
            nn.init.zeros_(bias)

    @property
    def _layers(self) -> list[nn.Linear]:
        return [layer for layer in self.looks if isinstance(layer, nn.Linear)]

    def _judged(self, hidden: Tensor) -> Tensor:
        return GAIN * self.judge(F.gelu(hidden))

    def _above(self, maps: Sequence[Tensor], depth: int) -> Tensor | None:
        """(tokens, hidden) what the maps from ``depth`` on say, on the tokens of that one."""
        if depth == len(maps):
            return None
        said = _rows(maps[depth]).float() @ self._layers[depth].weight.T
        more = self._above(maps, depth + 1)
        if more is None:
            return said
        fine, coarse = maps[depth].shape[2:], maps[depth + 1].shape[2:]
        token = torch.arange(len(said), device=said.device)
        ratio = self.ratios[depth + 1] // self.ratios[depth]
        return said.add_(more.index_select(0, parents(token, fine, coarse, ratio)))

    def _of(self, maps: Sequence[Tensor], index: OrganIndex, pair: Tensor) -> Tensor:
        """(n, hidden) what is seen of some pairs, with its gradient."""
        token = index.levels[0].token.index_select(0, pair)
        hidden: Tensor = self._layers[0].bias
        for depth, (each, layer) in enumerate(zip(maps, self._layers, strict=True)):
            place = parents(token, maps[0].shape[2:], each.shape[2:], self.ratios[depth])
            hidden = hidden + _rows(each).index_select(0, place).float() @ layer.weight.T
        if index.attenuation is None:
            return hidden
        return hidden + self.relative(index.attenuation.index_select(0, pair))

    def at(self, maps: Sequence[Tensor], index: OrganIndex, pair: Tensor) -> Tensor:
        """(n, kinds) judgements, in logits, of some pairs of finest token and organ."""
        return self._judged(self._of(maps, index, pair))

    def _each_at(self, maps: Sequence[Tensor], index: OrganIndex, pair: Tensor) -> Tensor:
        """(organs, kinds) judgements, each of a pair of its own."""
        few, place = torch.unique(pair, return_inverse=True)
        hidden = F.gelu(self._of(maps, index, few)).index_select(0, place.flatten()).view(*pair.shape, -1)
        return GAIN * ((hidden * self.judge.weight).sum(2) + self.judge.bias)

    @torch.no_grad()
    def _most(self, maps: Sequence[Tensor], index: OrganIndex, organs: int) -> tuple[Tensor, Tensor]:
        """(organs, kinds) pair of the largest judgement in each organ, and the abnormal share of its voxels."""
        tokens = index.levels[0]
        finest, above = _rows(maps[0]), self._above(maps, 1)
        ratio = self.ratios[1] if above is not None else 1

        def judged(some: slice) -> Tensor:
            token = tokens.token[some]
            hidden = torch.addmm(self._layers[0].bias, finest.index_select(0, token).float(), self._layers[0].weight.T)
            if above is not None:
                hidden += above.index_select(0, parents(token, maps[0].shape[2:], maps[1].shape[2:], ratio))
            if index.attenuation is not None:
                hidden.addmm_(index.attenuation[some], self.relative.weight.T)
            return self._judged(hidden)

        best = tokens.token.new_zeros(organs, self.kinds)
        share = finest.new_zeros(organs, self.kinds, dtype=torch.float32)
        worth = finest.device.type == "cpu" and len(tokens.token) * self.kinds >= WORTH_A_STEP * organs
        if worth:
            with one_thread():
                for organ, some in enumerate(_by_organ(tokens, organs)):
                    if some.stop > some.start:
                        own = judged(some)
                        best[organ] = own.argmax(0) + some.start
                        share[organ] = tokens.log_count[some].softmax(0) @ own.sigmoid()
            return best, share
        own = judged(slice(0, len(tokens.token)))
        segments = Segments.of(tokens.segment, organs)
        peak = segments.largest(own, -torch.inf).index_select(0, tokens.segment)
        # of equal ones the first, so that both ways agree; float64 holds their numbers and has a smallest on a GPU
        pair = torch.arange(len(own), device=own.device, dtype=torch.float64)[:, None]
        first = segments.smallest(torch.where(own == peak, pair, float(len(own))), float(len(own))).long()
        best = torch.where(first < len(own), first, 0)
        count = tokens.log_count.exp()[:, None]
        return best, segments.summed(own.sigmoid() * count) / segments.summed(count).clamp_min(1e-6)

    def forward(self, maps: Sequence[Tensor], index: OrganIndex, organs: int) -> Tensor:
        """(organs, 2 * kinds) largest judgements, in logits, then abnormal shares, which carry no gradient."""
        if not len(index.levels[0].token):
            return maps[0].new_zeros(organs, 2 * self.kinds, dtype=torch.float32)
        best, share = self._most(maps, index, organs)
        return torch.cat([self._each_at(maps, index, best), share], 1)


def around(said: Tensor, seen: Tensor, place: Tensor, start: Tensor, count: Tensor) -> Tensor:
    """What a tower would pool of evidence and attenuation in groups of places, each place judged once.

    Blocks of 3 x 3 x 3 places share most of their places: judged block by block every one is judged 27 times.

    Parameters
    ----------
    said : (places, kinds) float32
        Judgements, in logits.
    seen : (places, f) float32
        Relative attenuation.
    place : (pairs,) int64
        Places of the first group, of the second, and so on; none is empty.
    start : (groups,) int64
        Where in ``place`` each group begins.
    count : (pairs,) float32
        Voxels of the organ in each of these places.

    Returns
    -------
    Tensor
        (groups, 2 * kinds + 2 * f) largest judgements, abnormal shares, largest and smallest attenuation.
    """
    groups = len(start)
    group = torch.bucketize(torch.arange(len(place), device=place.device), start, right=True) - 1
    total = count.new_zeros(groups).index_add_(0, group, count)
    weight = count / total.index_select(0, group)
    most = F.embedding_bag(place, said, start, mode="max")
    share = F.embedding_bag(place, said.sigmoid(), start, mode="sum", per_sample_weights=weight)
    return torch.cat([most, share, extremes_around(seen, place, start)], 1)


def _by_organ(tokens: OrganTokens, organs: int) -> Iterator[slice]:
    start = 0
    for size in torch.bincount(tokens.segment, minlength=organs).tolist():
        yield slice(start, start + size)
        start += size
