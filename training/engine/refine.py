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
from training.data.texts import Classes, TextBank
from training.objectives.ctglip import ctglip

from .step import Wordings, organ_rows, training_texts


@dataclass(frozen=True, eq=False)
class ScanFeatures:
    """What the network pooled under the organs of one scan: (organs, features) float16, and what is true of them."""

    pooled: Tensor
    records: list[OrganRecord]


@torch.no_grad()
def scan_features(model: NativeModel, store: ScanSource, limit: int | None = None) -> list[ScanFeatures]:
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
        result.append(ScanFeatures(pooled[known].half(), records))
    return result


@torch.no_grad()
def restandardise(model: NativeModel, rows: Tensor) -> Tensor:
    """Fit the head's standardisation to these features; its first layer follows, so that the head's answers stay.

    Returns the features' spread.
    """
    standardise, first = model.vision.head[0], model.vision.head[1]
    assert isinstance(standardise, Standardise) and isinstance(first, nn.Linear)
    mean, spread = standardise.mean.clone(), standardise.spread.clone()
    standardise.fit(rows)
    first.bias.add_(first.weight @ ((standardise.mean - mean) / spread))
    first.weight.mul_(standardise.spread / spread)
    return standardise.spread


def refine(
    model: NativeModel,
    features: list[ScanFeatures],
    classes: Classes,
    wordings: Wordings,
    bank: TextBank,
    config: PretrainConfig,
) -> NativeModel:
    """Train a copy's head, text projection and temperature on pooled features; the rest stays as it is.

    Features are jittered by a share of their own spread, in place of the crops and noise that whole scans lack.
    """
    model = copy.deepcopy(model)
    settings = config.refine
    trained = [*model.vision.head.parameters(), *model.text_projection.parameters(), model.log_scale]
    for parameter in trained:
        parameter.requires_grad_(True)
    device = model.text_projection.weight.device
    spread = restandardise(model, torch.cat([f.pooled for f in features[:200]]).float().to(device))
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    for step in tqdm(range(settings.steps), desc="refine", unit="step"):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        rng = generator(config.seed, "refine", step)
        picked = [features[i] for i in rng.choice(len(features), min(settings.scans, len(features)), replace=False)]
        records = [record for scan in picked for record in scan.records]
        pooled = torch.cat([scan.pooled for scan in picked]).float().to(device)
        noise = torch.from_numpy(rng.standard_normal(pooled.shape, dtype=np.float32)).to(device)
        vectors = F.normalize(model.vision.head(pooled + settings.jitter * spread * noise), dim=-1)
        known = [row for row, record in enumerate(records) if record.organ in classes.organs]
        records = [records[row] for row in known]
        loss, _ = ctglip(
            organ_rows(vectors[known], records, classes),
            training_texts(model, records, classes, wordings, bank, config.seed, config.optim.steps + step),
            model.log_scale.clamp(max=4.6).exp(),
            within=settings.within,
            abnormal_weight=config.optim.abnormal_weight,
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return model.requires_grad_(False)
