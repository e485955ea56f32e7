"""The last stage: the head alone, on features of whole scans that are computed once.

What the frozen network pools under every organ of the training scans fits into memory; on it, the head and the text
projection see hundreds of times more organs a second than the whole network does. Rare abnormalities need that: an
organ shows one in a handful of steps only. The objective is the one of the main stage.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from napari_ctvlp.encoder.native import NativeModel
from napari_ctvlp.encoder.preprocess import network_input
from napari_ctvlp.encoder.vision import Standardise
from training.config import PretrainConfig
from training.data.records import OrganRecord, ScanSource
from training.data.seeding import generator
from training.objectives.base import Features

from .network import make_objective
from .sentences import Vocabulary, projected, step_texts
from .step import organs_of_rows
from .whole import whole_of


@dataclass(frozen=True, eq=False)
class ScanFeatures:
    """What the network pooled under the organs of one scan: (organs, features) float16, and what is true of them; and
    (1, features) under the whole of it, where asked for."""

    pooled: Tensor
    records: list[OrganRecord]
    whole: Tensor | None = None


@torch.no_grad()
def scan_features(
    model: NativeModel, store: ScanSource, limit: int | None = None, *, whole: bool = False
) -> list[ScanFeatures]:
    """Pool the scans of a store once, whole, as the plugin does."""
    tower = model.vision.eval()
    device = model.text_projection.weight.device
    result = []
    for number in tqdm(range(min(limit or store.count, store.count)), desc="features", unit="scan"):
        scan = store.load(number)
        given = network_input(
            np.asarray(scan.hu),
            np.asarray(scan.labels),
            (store.spacing,) * 3,
            target=tower.config.spacing,
            windows=tower.config.windows,
        )
        image = given.image.to(device)
        index = tower.index(given.labels.to(device), image)
        with torch.autocast(device.type, torch.bfloat16):
            maps = tower.features(image)
        pooled = tower.pooled(maps, index).cpu()
        known = [row for row, label in enumerate(index.label.tolist()) if label in scan.organs]
        records = [scan.organs[int(index.label[row])] for row in known]
        body = tower.pooled(maps, whole_of(tower, image)).cpu() if whole else None
        result.append(ScanFeatures(pooled[known].half(), records, body))
    return result


@torch.no_grad()
def restandardise(head: nn.Sequential, rows: Tensor) -> Tensor:
    """Fit a head's standardisation to these features; its first layer follows, so that the head's answers stay.

    Returns the features' spread.
    """
    standardise, first = head[0], head[1]
    assert isinstance(standardise, Standardise) and isinstance(first, nn.Linear)
    mean, spread = standardise.mean.clone(), standardise.spread.clone()
    standardise.fit(rows)
    first.bias.add_(first.weight @ ((standardise.mean - mean) / spread))
    first.weight.mul_(standardise.spread / spread)
    return standardise.spread


def can_refine(config: PretrainConfig) -> bool:
    """Whether a method has this stage: one network, and organs to look at."""
    needs = make_objective(config).needs
    return needs.organs and needs.models == 1


def refine(
    model: NativeModel, features: list[ScanFeatures], vocabulary: Vocabulary, config: PretrainConfig
) -> NativeModel:
    """Train a copy's head, text projection and temperature on pooled features; the rest stays as it is.

    Features are jittered by a share of their own spread, in place of the crops and noise that whole scans lack.
    """
    model = copy.deepcopy(model)
    settings, objective = config.refine, make_objective(config, within=config.refine.within)
    trained = [*model.vision.head.parameters(), *model.text_projection.parameters(), model.log_scale]
    for parameter in trained:
        parameter.requires_grad_(True)
    device = model.text_projection.weight.device
    spread = restandardise(model.vision.head, torch.cat([f.pooled for f in features[:200]]).float().to(device))
    slow = copy.deepcopy(model.text_projection).requires_grad_(False)
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    known = set(vocabulary.classes.organs)
    for step in tqdm(range(settings.steps), desc="refine", unit="step"):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        rng = generator(config.seed, "refine", step)
        picked = [features[i] for i in rng.choice(len(features), min(settings.scans, len(features)), replace=False)]
        rows = [(n, record) for n, scan in enumerate(picked) for record in scan.records]
        pooled = torch.cat([scan.pooled for scan in picked]).float().to(device)
        noise = torch.from_numpy(rng.standard_normal(pooled.shape, dtype=np.float32)).to(device)
        vectors = F.normalize(model.vision.head(pooled + settings.jitter * spread * noise), dim=-1)
        kept = [row for row, (_, record) in enumerate(rows) if record.organ in known]
        scan, records = [rows[row][0] for row in kept], [rows[row][1] for row in kept]
        number = config.optim.steps + step
        texts, text = step_texts(vocabulary, records, scan, config.seed, number, hard=objective.needs.hard)
        organs = organs_of_rows(vectors[kept], records, scan, text, vocabulary.classes)
        told = projected(texts, model, slow if objective.needs.momentum else None)
        scale = model.log_scale.clamp(max=4.6).exp()
        loss, _ = objective((Features(organs),), (told,), (scale,), 1.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for mean, value in zip(slow.parameters(), model.text_projection.parameters(), strict=True):
                mean.lerp_(value, 1 - config.optim.ema)
    return model.requires_grad_(False)
