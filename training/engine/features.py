"""What frozen networks pool in whole scans, computed once: what the last stage learns from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from napari_ctvlp.encoder.preprocess import network_input
from training.data.records import OrganRecord, ScanSource
from training.objectives.base import Needs

from .checkpoint import write_state
from .network import Network, Pooled
from .processes import rank

TOGETHER = 32
"""Scans in a file that is kept."""
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
def _pooled(network: Network, store: ScanSource, number: int, needs: Needs) -> ScanFeatures:
    tower, device = network.model.vision.eval(), network.model.log_scale.device
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
    return ScanFeatures(pooled, [record for record in own if record is not None])


def scan_features(
    network: Network,
    store: ScanSource,
    limit: int | None = None,
    needs: Needs | None = None,
    *,
    numbers: Sequence[int] | None = None,
    keep: Path | None = None,
) -> list[ScanFeatures]:
    """Pool the scans of a store once, whole, as the plugin does; by default what the network's method needs.

    Parameters
    ----------
    network : Network
        In evaluation mode from here on.
    store : ScanSource
        The scans.
    limit : int, optional
        Take the first so many scans.
    needs : Needs, optional
        What to pool.
    numbers : sequence of int, optional
        Take these scans instead.
    keep : Path, optional
        Folder in which some scans at a time are kept until all are there, and from which those of a run that was
        killed are taken.
    """
    needs = needs or network.needs
    if numbers is None:
        numbers = range(min(limit or store.count, store.count))
    result: list[ScanFeatures] = []
    with tqdm(total=len(numbers), desc="features", unit="scan", **({"disable": True} if rank() > 0 else {})) as bar:
        for start in range(0, len(numbers), TOGETHER):
            some = numbers[start : start + TOGETHER]
            path = None if keep is None else keep / f"{'-'.join(map(str, (some[0], some[-1], len(some))))}.pt"
            made = None if path is None else _read(path)
            if made is None:
                made = []
                for number in some:
                    made.append(_pooled(network, store, number, needs))
                    bar.update()
                if path is not None:
                    write_state(path, {"scans": [_as_state(one) for one in made]})
            else:
                bar.update(len(some))
            result += made
    return result


def _as_state(scan: ScanFeatures) -> dict[str, Any]:
    """Tensors, lists and strings alone, which are read without pickles."""
    records = [(r.organ, list(r.abnormalities), list(r.texts), r.known) for r in scan.records]
    return {**vars(scan.pooled), "records": records}


def _read(path: Path) -> list[ScanFeatures] | None:
    """What was kept; None where nothing was, or it cannot be read."""
    try:
        scans = torch.load(path, map_location="cpu", weights_only=True)["scans"]
    except FileNotFoundError:
        return None
    except Exception as error:  # torch raises many kinds for a damaged file
        print(f"'{path.name}' cannot be read ({type(error).__name__}); computing it anew.")
        return None
    return [
        ScanFeatures(
            Pooled(**{k: v for k, v in scan.items() if k != "records"}),
            [OrganRecord(organ, tuple(kinds), tuple(texts), known) for organ, kinds, texts, known in scan["records"]],
        )
        for scan in scans
    ]
