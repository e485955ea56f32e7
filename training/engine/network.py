"""What is trained: one or two networks, the heads that only training needs, and the method, as one module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.encoder.tokens import OrganIndex
from training.config import PretrainConfig
from training.objectives.base import Needs, Objective
from training.objectives.ctglip import CtGlip
from training.objectives.registry import METHODS

from .standards import SHARE, follow, tallied
from .whole import body_tokens, whole_of


@dataclass(frozen=True)
class Indices:
    """Where the organs and the bodies of some views lie on the feature maps, the same for every network; None for what
    the method does not ask for."""

    organs: OrganIndex | None
    whole: OrganIndex | None
    places: Tensor | None = None
    """(n,) pairs of finest token and organ that are judged by themselves."""


@dataclass(frozen=True)
class Pooled:
    """What one network pooled in some views, before its heads: (organs, f) and (views, f), None where not asked for,
    and (t, c) tokens of the coarsest map a view."""

    organs: Tensor | None
    whole: Tensor | None
    tokens: tuple[Tensor, ...] = ()
    places: Tensor | None = None
    """(n, kinds) judgements of places."""


@dataclass(frozen=True)
class Encoded:
    """What one network gives for some views: (organs, d) and (views, d) unit vectors, (organs, kinds) and (n, kinds)
    evidence in organs and at places, and (t, d) tokens a view."""

    organs: Tensor
    whole: Tensor
    most: Tensor
    places: Tensor
    tokens: tuple[Tensor, ...] = ()

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of it, in a fixed order."""
        return (self.organs, self.whole, self.most, self.places, *self.tokens)

    def leaves(self) -> Encoded:
        """The same values at the beginning of a graph of their own."""
        organs, whole, most, places, *tokens = (t.detach().requires_grad_() for t in self.tensors)
        return Encoded(organs, whole, most, places, tuple(tokens))


def joined(parts: Sequence[Encoded]) -> Encoded:
    """Several passes as one."""
    organs, whole, most, places = (
        torch.cat([getattr(p, name) for p in parts]) for name in ("organs", "whole", "most", "places")
    )
    return Encoded(organs, whole, most, places, tuple(t for p in parts for t in p.tokens))


class Network(nn.Module):
    """The exported model, and what only training needs beside it.

    Whole views are pooled by the attention that pools organs. A method that aligns whole views alone projects them by
    the head of the organs, so that what it learns reaches the organs of the exported model too; beside organs they have
    a head of their own.
    """

    def __init__(self, model: NativeModel, needs: Needs) -> None:
        super().__init__()
        self.model = model
        self.needs = needs
        own = needs.whole and needs.organs
        self.whole_head: nn.Sequential | None = copy.deepcopy(model.vision.head) if own else None
        config = model.vision.config
        self.token_head = nn.Linear(config.channels[-1], config.dim) if needs.tokens else None
        self.tallies: dict[str, Tensor] = {}

    @property
    def heads(self) -> dict[str, nn.Sequential]:
        """The heads by what they are given: "organs", "whole"."""
        own = self.model.vision.head
        found = {"organs": own} if self.needs.organs else {}
        return found | ({"whole": self.whole_head or own} if self.needs.whole else {})

    def indices(self, image: Tensor, labels: Tensor, needs: Needs | None = None) -> Indices:
        """Places of organs and bodies, as the method needs them by default."""
        tower, needs = self.model.vision, needs or self.needs
        return Indices(
            tower.index(labels, image) if needs.organs else None,
            whole_of(tower, image) if needs.whole else None,
        )

    def pool(self, image: Tensor, indices: Indices, half: bool) -> Pooled:
        """What lies under organs and bodies of (V, C, I, P, L) views; ``half`` computes feature maps in bfloat16."""
        tower = self.model.vision
        # oneDNN's bfloat16 weight gradient of a 3x3x3 convolution is garbage on maps two voxels deep (measured, torch
        # 2.13 on a CPU); crops that would come to that are computed in float32, which is right, and cheap for so few
        shallow = image.device.type == "cpu" and image.shape[2] <= 2 * tower.config.strides[-1]
        with torch.autocast(image.device.type, torch.bfloat16, enabled=half and not shallow):
            maps = tower.features(image)
        with torch.autocast(image.device.type, enabled=False):
            organs = None if indices.organs is None else tower.pooled(maps, indices.organs)
            places = None
            if indices.places is not None and indices.organs is not None and tower.evidence is not None:
                places = tower.evidence.at(maps, indices.organs, indices.places)
            if indices.whole is None:
                return Pooled(organs, None, places=places)
            tokens = body_tokens(maps[-1], indices.whole) if self.token_head is not None else ()
            return Pooled(organs, tower.pooled(maps, indices.whole), tokens, places)

    def project(self, pooled: Pooled) -> Encoded:
        """Pooled features through the heads, in float32; in training, what their figures are to follow is tallied."""
        device = self.model.log_scale.device
        vectors = {}
        with torch.autocast(device.type, enabled=False):
            for name, rows in (("organs", pooled.organs), ("whole", pooled.whole)):
                if rows is None:
                    vectors[name] = torch.zeros(0, self.model.vision.config.dim, device=device)
                    continue
                head = self.heads[name]
                vectors[name] = F.normalize(head(rows), dim=-1)
                if self.training and torch.is_grad_enabled():
                    tally = tallied(head, rows)
                    self.tallies[name] = tally + self.tallies[name] if name in self.tallies else tally
            tokens = () if self.token_head is None else tuple(self.token_head(rows) for rows in pooled.tokens)
        none = torch.zeros(0, len(self.model.vision.config.evidence), device=device)
        most = none if pooled.organs is None else self.model.vision.judged(pooled.organs)
        return Encoded(
            vectors["organs"], vectors["whole"], most, none if pooled.places is None else pooled.places, tokens
        )

    def forward(self, image: Tensor, indices: Indices, half: bool) -> Encoded:
        """(V, C, I, P, L) views to vectors."""
        return self.project(self.pool(image, indices, half))

    def nothing(self, half: bool, needs: Needs | None = None) -> Encoded:
        """No vectors, of a small view of air: where weights are in shares, all processes compute equally often."""
        config = self.model.vision.config
        air = torch.full(
            (1, len(config.windows), *[2 * config.strides[-1]] * 3), -1.0, device=self.model.log_scale.device
        )
        pooled = self.pool(air, self.indices(air, torch.zeros_like(air[:, 0], dtype=torch.uint8), needs), half)
        organs, whole = (None if rows is None else rows[:0] for rows in (pooled.organs, pooled.whole))
        return self.project(Pooled(organs, whole))


class Learner(nn.Module):
    """Networks, method and a text tower that is trained: everything that the optimiser steps and a checkpoint holds."""

    def __init__(self, networks: list[Network], objective: Objective, text: TextTower | None = None) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.objective: Objective = objective
        self.text = text

    @property
    def parts(self) -> list[Network]:
        """The networks."""
        return [network for network in self.networks if isinstance(network, Network)]

    @property
    def models(self) -> list[NativeModel]:
        """The networks' exported parts."""
        return [network.model for network in self.parts]

    @property
    def model(self) -> NativeModel:
        """The one that is averaged and exported."""
        return self.models[0]

    @property
    def needs(self) -> Needs:
        """What the method asks for."""
        return self.objective.needs

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.model.log_scale.device

    @property
    def dim(self) -> int:
        """Width of the space that images and texts share."""
        return self.model.vision.config.dim

    def indices(self, image: Tensor, labels: Tensor, needs: Needs | None = None) -> Indices:
        """Places of organs and bodies, the same for all networks."""
        return self.parts[0].indices(image, labels, needs)

    def follow(self, share: float = SHARE) -> None:
        """Let the heads' figures follow, by a share, what the step tallied."""
        for network in self.parts:
            follow(network.heads, network.tallies, share)

    @property
    def scale(self) -> tuple[Tensor, ...]:
        """Inverse temperature of each network."""
        return tuple(model.log_scale.clamp(max=4.6).exp() for model in self.models)


def make_objective(config: PretrainConfig, classes: int = 0, *, within: float | None = None) -> Objective:
    """The method of a run that knows so many classes; ``within`` replaces the weight of the contrast within an organ
    where there is one."""
    if config.method == "ctglip":
        within = config.optim.within if within is None else within
        return CtGlip(within=within, abnormal_weight=config.optim.abnormal_weight)
    return METHODS[config.method](config.model.dim, classes)


def make_learner(
    config: PretrainConfig, make_model: Callable[[], NativeModel], classes: int = 0, text: TextTower | None = None
) -> Learner:
    """A fresh learner for so many classes; a second network starts from other weights than the first, a trained text
    tower serves both."""
    objective = make_objective(config, classes)
    networks = [Network(make_model(), objective.needs) for _ in range(objective.needs.models)]
    for network in networks:
        network.model.vision.checkpointing = config.optim.checkpointing
        if config.optim.compile:
            network.model.vision.compile_blocks()
    return Learner(networks, objective, text)
