"""One training step: a batch to a loss and the gradient of every parameter.

With ``micro`` the networks see a few scans at a time and the loss still compares all of them (Gao et al., "Scaling Deep
Contrastive Learning Batch Size under Memory Limited Setup", 2021): a first pass without graph gives all vectors, the
loss gives the gradient of each vector, and a second pass over the same few scans at a time turns these into gradients
of the weights. Nothing here draws random numbers or normalises over a batch, so both ways give the same gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_ctvlp.encoder.tokens import OrganIndex
from training.data.batch import Batch
from training.data.lesions import Places
from training.data.records import OrganRecord
from training.data.texts import Bank, Classes
from training.objectives.base import Features, Needs, Term, Views
from training.objectives.gather import gather_rows, gather_step, processes
from training.objectives.lesions import kinds_of_classes, most_term, place_term

from .network import Encoded, Indices, Learner, joined
from .organs import Seen
from .processes import anyone, is_share, most
from .sentences import Vocabulary, projected, step_texts
from .states import organs_of_rows

SMALLEST = 5
"""Organs with fewer voxels in the crop are left out of the step."""


@dataclass(frozen=True)
class StepSettings:
    """What a step is a function of beside weights and batch."""

    seed: int
    step: int
    progress: float
    micro: int | None = None
    """Scans that the networks see at once; all by default."""
    half: bool = True
    needs: Needs | None = None
    """What the step is to give the method; by default all that it asks for."""
    lesions: float = 0.0
    """Weight of what is known of lesions voxel by voxel."""
    evidence: float = 0.0
    """Weight of the most abnormal place of every organ, if that is more."""


@dataclass(frozen=True)
class StepResult:
    """A step's loss, the parts of it, how many organs took part, which scans of the step gave no numbers, and what was
    compared."""

    loss: Tensor
    terms: dict[str, Term]
    rows: int
    broken: tuple[int, ...]
    seen: Seen | None = None


@dataclass(frozen=True)
class OrganRows:
    """Organs that take part: their rows among the encoded ones, what is known of them, and their views."""

    rows: list[int]
    records: list[OrganRecord]
    views: list[int]


def micro_batches(batch: Batch, micro: int | None) -> list[slice]:
    """Views that go through the networks together."""
    size = max(1, micro or len(batch.scans)) * max(1, batch.views)
    return [slice(start, start + size) for start in range(0, len(batch.organs), size)]


def organ_rows(batch: Batch, part: slice, index: OrganIndex, organs: Collection[str], before: int) -> OrganRows:
    """The organs of some views that are large enough and of the run; ``before`` rows were encoded before them."""
    found = OrganRows([], [], [])
    finest = index.levels[0]
    voxels = torch.bincount(finest.segment, finest.log_count.exp(), minlength=len(index.label)).tolist()
    for row, (sample, label) in enumerate(zip(index.sample.tolist(), index.label.tolist(), strict=True)):
        record = batch.organs[part.start + sample].get(label)
        if record is not None and record.organ in organs and voxels[row] >= SMALLEST:
            found.rows.append(before + row)
            found.records.append(record)
            found.views.append(part.start + sample)
    return found


def features_of(
    needs: Needs, encoded: Encoded, organs: OrganRows, text: Tensor, batch: Batch, classes: Classes
) -> Features:
    """What one network sees, as the method takes it."""
    own = views = None
    device = encoded.organs.device
    if needs.organs:
        vectors = encoded.organs.index_select(0, torch.tensor(organs.rows, dtype=torch.int64, device=device))
        scans = [v // batch.views for v in organs.views]
        own = organs_of_rows(vectors, organs.records, scans, text, classes, told=needs.told)
    if needs.whole:
        scan = torch.arange(len(batch.organs), device=device) // max(1, batch.views)
        views = Views(encoded.whole, scan, encoded.tokens)
    return Features(own, views)


def all_finite(features: tuple[Features, ...]) -> bool:
    """Whether every vector and token is finite."""
    seen = [f.organs.vectors for f in features if f.organs is not None]
    seen += [t for f in features if f.views is not None for t in (f.views.vectors, *f.views.tokens)]
    return all(bool(torch.isfinite(each).all()) for each in seen)


def broken_scans(batch: Batch, features: tuple[Features, ...], device: torch.device) -> tuple[int, ...]:
    """Scans of all processes with something that is not finite; all of the step's where none can be singled out."""
    bad = {v // batch.views for v, image in enumerate(batch.image) if not bool(torch.isfinite(image).all())}
    for feature in features:
        for each in (feature.organs, feature.views):
            if each is not None:
                bad |= set(each.scan[~torch.isfinite(each.vectors).all(1)].tolist())
    singled, scans = (
        gather_rows(torch.tensor(which, dtype=torch.int64, device=device))[0].tolist()
        for which in ([batch.scans[n] for n in sorted(bad)], batch.scans)
    )
    return tuple(singled or scans)


def average_gradients(module: nn.Module) -> None:
    """The mean of every gradient over the processes, in one message.

    By hand and not by DistributedDataParallel, whose hooks expect one forward and one backward pass through it a step;
    two passes have several, and methods leave parameters without gradient. It also keeps gloo's threads alive beyond
    ``destroy_process_group``, where they may meet the end of the interpreter.
    """
    if processes() == 1:
        return
    # of what is in shares, the parts' gradients are averaged where they arise
    parameters = [p for p in module.parameters() if p.requires_grad and not is_share(p)]
    there = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
    flat = torch.cat([there, *((torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters)])
    dist.all_reduce(flat)
    there, flat = flat[: len(parameters)], flat[len(parameters) :] / processes()
    parts = flat.split([p.numel() for p in parameters])
    # what no process has a gradient of stays without: an optimiser steps a gradient of zeros, too
    for parameter, part, found in zip(parameters, parts, there.tolist(), strict=True):
        parameter.grad = part.view_as(parameter).clone() if found else None


def training_step(
    learner: Learner,
    batch: Batch,
    vocabulary: Vocabulary,
    settings: StepSettings,
    *,
    momentum: nn.Linear | None = None,
    slow: Bank | None = None,
    reports: Sequence[str] | None = None,
) -> StepResult:
    """Loss of the step of all processes; adds its gradient to the parameters', unless the loss is not finite.

    Parameters
    ----------
    learner : Learner
        Networks and method.
    batch : Batch
        This process's scans.
    vocabulary : Vocabulary
        Texts of the run.
    settings : StepSettings
        Seed, step and how to compute.
    momentum : nn.Linear, optional
        Slow text projection, for methods that need it.
    slow : Bank, optional
        Slow text tower for these, where the tower is trained.
    reports : sequence of str, optional
        Report of each scan, for methods that need whole reports.
    """
    needs, device, parts = settings.needs or learner.needs, learner.device, micro_batches(batch, settings.micro)
    batch = batch.on(device)
    # blocks in shares are computed as often in every process: one with fewer parts adds some that have no rows
    parts += [slice(0, 0)] * (most(len(parts), learner.networks) - len(parts))
    organs, passes, before = OrganRows([], [], []), [], 0
    lesions = batch.places if settings.lesions else None
    looked = max(settings.lesions, settings.evidence)

    def encode(part: slice) -> tuple[Indices, list[Encoded]]:
        if part.stop == 0:
            return Indices(None, None), [network.nothing(settings.half, needs) for network in learner.parts]
        image = batch.image[part].to(device, non_blocking=True)
        indices = learner.indices(image, batch.labels[part].to(device, non_blocking=True), needs)
        if lesions is not None and indices.organs is not None:
            grid = [-(-n // learner.model.vision.config.strides[0]) for n in image.shape[2:]]
            indices = replace(indices, places=lesions.within(part).pairs(indices.organs, grid))
        return indices, [network(image, indices, settings.half) for network in learner.networks]

    for part in parts:
        with torch.set_grad_enabled(len(parts) == 1):
            indices, encoded = encode(part)
        passes.append(encoded)
        if indices.organs is not None:
            more = organ_rows(batch, part, indices.organs, vocabulary.classes.organs, before)
            organs = OrganRows(organs.rows + more.rows, organs.records + more.records, organs.views + more.views)
            before += len(indices.organs.label)
    none = torch.zeros(0, learner.dim, device=device)
    kinds = torch.zeros(0, len(learner.model.vision.config.evidence), device=device)
    nothing = [Encoded(none, none, kinds, kinds) for _ in learner.networks]
    whole = [joined(each) for each in zip(*passes, strict=True)] or nothing
    if len(parts) > 1:
        whole = [each.leaves() for each in whole]

    places = [batch.positions[v // batch.views] for v in organs.views]
    texts, text = step_texts(
        vocabulary,
        organs.records,
        places,
        settings.seed,
        settings.step,
        hard=needs.hard,
        reports=reports,
        slow=slow if needs.momentum else None,
    )
    features = tuple(features_of(needs, each, organs, text, batch, vocabulary.classes) for each in whole)
    told = tuple(projected(texts, model, momentum if needs.momentum else None) for model in learner.models)
    everyone, told = gather_step(features, told, len(batch.scans), tokens=needs.tokens)
    rows = sum(len(each.vectors) for each in (everyone[0].organs, everyone[0].views) if each is not None)
    if not all_finite(everyone):
        # the method must not see it: what it remembers between steps would be spoilt
        return StepResult(torch.tensor(math.nan), {}, rows, broken_scans(batch, features, device))
    loss, terms = learner.objective(everyone, told, learner.scale, settings.progress)
    if looked:
        # each process judges by its own scans; the mean of the gradients is that of all
        judged = evidence_terms(whole[0], features[0], organs, lesions, vocabulary.classes, learner)
        weights = {"place": settings.lesions, "most": looked}
        loss = loss + sum(weights[name] * term.value for name, term in judged.items())
        terms = terms | judged
    # all processes leave a step out, or none: one alone would wait for the others' gradients for ever
    if anyone(not bool(torch.isfinite(loss)), device):
        return StepResult(torch.full_like(loss.detach(), math.nan), terms, rows, broken_scans(batch, features, device))
    loss.backward()
    if len(parts) > 1:
        _second_pass(encode, parts, passes, whole)
    average_gradients(learner)
    return StepResult(loss.detach(), terms, rows, (), Seen.of(everyone[0], told[0], learner.scale[0]))


def evidence_terms(
    encoded: Encoded, features: Features, organs: OrganRows, places: Places | None, classes: Classes, learner: Learner
) -> dict[str, Term]:
    """What the first network's evidence says of places and organs, against what is known of them."""
    device, names = learner.device, learner.model.vision.config.evidence
    terms = {}
    if places is not None:
        terms["place"] = place_term(encoded.places, places.holds.to(device), places.asked.to(device))
    if features.organs is not None:
        most = encoded.most.index_select(0, torch.tensor(organs.rows, dtype=torch.int64, device=device))
        terms["most"] = most_term(most, features.organs, classes, kinds_of_classes(classes, names))
    return terms


def _second_pass(
    encode: Callable[[slice], tuple[Indices, list[Encoded]]],
    parts: Sequence[slice],
    passes: Sequence[Sequence[Encoded]],
    leaves: Sequence[Encoded],
) -> None:
    """Encode once more, with a graph, and send back through it what the loss wants of every vector."""
    done = [[0] * 5 for _ in leaves]
    for part, first in zip(parts, passes, strict=True):
        _, again = encode(part)
        tensors, gradients = [], []
        for encoded, leaf, at, before in zip(again, leaves, done, first, strict=True):
            own = (before.organs, before.whole, before.most, before.places, before.tokens)
            sizes = [len(each) for each in own]
            o, w, m, p, t = (slice(start, start + size) for start, size in zip(at, sizes, strict=True))
            at[:] = [start + size for start, size in zip(at, sizes, strict=True)]
            wanted = [_gradient(leaf.organs)[o], _gradient(leaf.whole)[w], _gradient(leaf.most)[m]]
            wanted += [_gradient(leaf.places)[p], *map(_gradient, leaf.tokens[t])]
            for tensor, gradient in zip(encoded.tensors, wanted, strict=True):
                if tensor.requires_grad:
                    tensors.append(tensor)
                    gradients.append(gradient)
        torch.autograd.backward(tensors, gradients)


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
