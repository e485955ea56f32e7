"""What frozen networks pool in whole scans, computed once: what the last stage learns from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from napari_ctvlp.encoder.preprocess import network_input
from training.data.records import OrganRecord, ScanSource
from training.objectives.base import Needs

from .network import Network, Pooled
from .processes import rank

SLAB = 0.6
"""Height of each of several views of a scan, as a share of the scan's."""


@dataclass(frozen=True, eq=False)
class ScanFeatures:
    """What one network pooled in one scan (organs in float16, those of whose state nothing is known left out), and what
    is true of the organs."""

    pooled: Pooled
    records: list[OrganRecord]

    @property
    def organs(self) -> Tensor:
        """(organs, f) float32."""
        assert self.pooled.organs is not None
        return self.pooled.organs.float()

    @property
    def whole(self) -> Tensor:
        """(views, f) float32."""
        assert self.pooled.whole is not None
        return self.pooled.whole.float()


def _slabs(height: int, views: int) -> Iterator[slice]:
    size = height if views == 1 else max(1, math.ceil(SLAB * height))
    for view in range(views):
        start = 0 if views == 1 else (height - size) * view // (views - 1)
        yield slice(start, start + size)


@torch.no_grad()
def scan_features(
    network: Network,
    store: ScanSource,
    limit: int | None = None,
    needs: Needs | None = None,
    *,
    numbers: Sequence[int] | None = None,
) -> list[ScanFeatures]:
    """Pool the scans of a store once, whole, as the plugin does; by default what the network's method needs.

    ``limit`` takes the first so many scans, ``numbers`` those.
    """
    tower, needs = network.model.vision.eval(), needs or network.needs
    device = network.model.log_scale.device
    result = []
    if numbers is None:
        numbers = range(min(limit or store.count, store.count))
    for number in tqdm(numbers, desc="features", unit="scan", **({"disable": True} if rank() > 0 else {})):
        scan = store.load(number)
        given = network_input(
            np.asarray(scan.hu),
            np.asarray(scan.labels),
            (store.spacing,) * 3,
            target=tower.config.spacing,
            windows=tower.config.windows,
        )
        image, labels = given.image.to(device), given.labels.to(device)
        views, records = [], []
        for view, slab in enumerate(_slabs(image.shape[2], needs.views)):
            part, label = image[:, :, slab], labels[:, slab]
            indices = network.indices(part, label, needs)
            views.append(network.pool(part, indices, half=True))
            if indices.organs is not None and view == 0:
                records = [scan.organs.get(n) for n in indices.organs.label.tolist()]
        known = [row for row, record in enumerate(records) if record is not None]
        own, first = [records[row] for row in known], views[0]
        pooled = Pooled(
            None if first.organs is None else first.organs[known].half().cpu(),
            None if first.whole is None else torch.cat([v.whole for v in views if v.whole is not None]).cpu(),
            tuple(tokens.half().cpu() for v in views for tokens in v.tokens),
        )
        result.append(ScanFeatures(pooled, [record for record in own if record is not None]))
    return result
