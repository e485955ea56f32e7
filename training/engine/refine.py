"""The last stage: the heads alone, on features of whole scans that are computed once.

What the frozen networks pool in the training scans fits into memory; on it, heads, text projections and what the method
has of its own see many times more scans a second than whole networks do. Rare abnormalities need that: an organ shows
one in a handful of steps only. The objective is the one of the main stage, for every method. A method that compares
several crops of a scan gets slabs of it that overlap.
"""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from napari_ctvlp.encoder.artifact import digest
from napari_ctvlp.encoder.native_model import NativeModel
from training.data.loader import cores
from training.data.seeding import derived_seed, generator
from training.objectives.base import Features, Objective, Views
from training.objectives.gather import processes

from .features import ScanFeatures, scan_features
from .feeding import growth_of
from .loop import Run
from .network import Learner, Network, Pooled, make_objective
from .processes import in_turns, rank, wait
from .sentences import Vocabulary, projected, step_texts
from .standards import restandardise, standardise_of
from .states import organs_of_rows

KEPT = "features"
"""Folder within a run's."""
MOST = 12
"""Processes that share a GPU."""


def fit_heads(network: Network, features: Sequence[ScanFeatures]) -> None:
    """Standardise what a network's heads are given."""
    device = network.model.log_scale.device
    for name, head in network.heads.items():
        restandardise(head, torch.cat([getattr(scan, name) for scan in features]).to(device))


def averaged(run: Run, within: float | None = None) -> Learner:
    """A copy of the learner with averaged weights where there are such, and nothing to train but heads.

    ``within`` is the weight of the contrast within an organ, where the method has one.
    """
    learner = copy.deepcopy(run.learner)
    learner.model.load_state_dict(run.average.state_dict())
    if within is not None:
        learner.objective = make_objective(run.config, len(run.classes.states), within=within).to(learner.device)
    learner.objective.load_state_dict(run.heads.state_dict())
    learner.eval().requires_grad_(False)
    for network in learner.parts:
        for part in (network.model.vision.head, network.whole_head, network.token_head, network.model.text_projection):
            if part is not None:
                part.requires_grad_(True)
        network.model.log_scale.requires_grad_(True)
    learner.objective.requires_grad_(True)
    return learner


def _noise(rows: Tensor, rng: np.random.Generator) -> Tensor:
    """White noise like some rows; a GPU draws it itself: it is some millions of numbers a step."""
    if rows.device.type != "cuda":
        return torch.from_numpy(rng.standard_normal(rows.shape, dtype=np.float32)).to(rows.device)
    generator = torch.Generator(rows.device).manual_seed(int(rng.integers(2**62)))
    return torch.randn(rows.shape, generator=generator, device=rows.device)


def _jittered(scans: Sequence[ScanFeatures], network: Network, jitter: float, rng: np.random.Generator) -> Pooled:
    """The features of some scans together, each with noise as a share of its spread over all scans."""
    device = network.model.log_scale.device

    def noisy(name: str) -> Tensor | None:
        if name not in network.heads:
            return None
        rows = torch.cat([getattr(scan, name) for scan in scans]).to(device)
        noise = _noise(rows, rng)
        return rows + jitter * standardise_of(network.heads[name]).spread * noise

    tokens = tuple(rows.float().to(device) for scan in scans for rows in scan.pooled.tokens)
    return Pooled(noisy("organs"), noisy("whole"), tokens)


def _picked(rng: np.random.Generator, count: int, most: int, *, twins: bool) -> list[int]:
    """The scans of a step; twins together."""
    if not twins:
        return rng.choice(count, min(most, count), replace=False).tolist()
    pairs = rng.choice(count // 2, min(most, count) // 2, replace=False).tolist()
    return [2 * pair + which for pair in pairs for which in (0, 1)]


def numbers_of(run: Run) -> list[int]:
    """Scans of the last stage: the first of a run, of those that are there where some were not made."""
    growth = growth_of(run)
    there = list(range(run.store.count)) if growth is None else list(growth.order[: growth.at(run.step)])
    return there[: run.config.refine.limit]


def workers_of_run(run: Run) -> int:
    """Processes that share a GPU in computing features, one a core: one process alone keeps it waiting."""
    if run.learner.device.type != "cuda" or processes() > 1:
        return 0
    return min(MOST, max(0, cores() - 2))


def features_of_run(run: Run) -> list[list[ScanFeatures]]:
    """What each averaged network pools in the scans of the last stage, in the first process; all of them share the
    work and have to ask for it. They are kept in the run's folder, so that a run that is killed meanwhile goes on."""
    store, needs, chosen = run.store, run.learner.needs, numbers_of(run)
    networks = averaged(run).parts
    # of the weights that the stage begins with: after more steps the features are others
    of_what = f"{derived_seed(store, needs, *([] if chosen[-1] == len(chosen) - 1 else [chosen])):016x}"
    folders = [run.folder / KEPT / f"{digest(n.model.vision.state_dict())}-{of_what}" for n in networks]
    if rank() == 0:
        for old in set((run.folder / KEPT).glob("*")) - set(folders):
            shutil.rmtree(old)
    wait()
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)

    def of(network: Network, keep: Path) -> list[ScanFeatures]:
        def those(places: range) -> list[ScanFeatures]:
            numbers = [chosen[place] for place in places]
            return scan_features(network, store, needs=needs, numbers=numbers, keep=keep, workers=workers_of_run(run))

        return in_turns(len(chosen), those)

    return [of(network, keep) for network, keep in zip(networks, folders, strict=True)]


def forget_features(folder: Path) -> None:
    """Remove what a run kept of its last stage, once that is done."""
    shutil.rmtree(folder / KEPT, ignore_errors=True)


def refine(
    run: Run, vocabulary: Vocabulary, features: list[list[ScanFeatures]] | None = None
) -> tuple[NativeModel, Objective]:
    """Train the heads of a copy of the averaged networks, on features of the first ``refine.limit`` scans.

    ``features`` are those of every network, where they are there already. Returns the first network's model, and the
    method with what it has of its own. Features are jittered by a share of their own spread, in place of the crops and
    noise that whole scans lack.
    """
    config, settings = run.config, run.config.refine
    learner = averaged(run, settings.within)
    needs, objective, networks, chosen = learner.needs, learner.objective, learner.parts, numbers_of(run)
    if features is None:
        features = [scan_features(network, run.store, numbers=chosen) for network in networks]
    for network, own in zip(networks, features, strict=True):
        fit_heads(network, own[:200])
    slow = copy.deepcopy(learner.model.text_projection).requires_grad_(False)
    trained = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    known = set(vocabulary.classes.organs)
    objective.train()
    for step in tqdm(range(settings.steps), desc="refine", unit="step"):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        rng = generator(config.seed, "refine", step)
        count = len(features[0])
        picks = _picked(rng, count, settings.scans, twins=run.store.twins)
        encoded = [
            network.project(_jittered([own[i] for i in picks], network, settings.jitter, rng))
            for network, own in zip(networks, features, strict=True)
        ]
        rows = [(n, record) for n, i in enumerate(picks) for record in features[0][i].records]
        kept = [row for row, (_, record) in enumerate(rows) if record.organ in known]
        scan, records = [rows[row][0] for row in kept], [rows[row][1] for row in kept]
        reports = [run.store.report(chosen[i]) for i in picks] if needs.whole else None
        texts, text = step_texts(
            vocabulary, records, scan, config.seed, config.optim.steps + step, hard=needs.hard, reports=reports
        )
        of_view = torch.arange(len(picks), device=learner.device).repeat_interleave(needs.views)
        seen = []
        for each in encoded:
            organs = None
            if needs.organs:
                vectors = each.organs[kept]
                organs = organs_of_rows(vectors, records, scan, text, vocabulary.classes, told=needs.told)
            seen.append(Features(organs, Views(each.whole, of_view, each.tokens) if needs.whole else None))
        told = tuple(projected(texts, model, slow if needs.momentum else None) for model in learner.models)
        loss, _ = objective(tuple(seen), told, learner.scale, 1.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for mean, value in zip(slow.parameters(), learner.model.text_projection.parameters(), strict=True):
                mean.lerp_(value, 1 - config.optim.ema)
    learner.requires_grad_(False)
    return learner.model, objective
