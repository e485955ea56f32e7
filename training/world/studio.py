"""One abnormality in an otherwise healthy, noise-free body, beside the same body without it: to look at and to test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from training.world.bodies.body import BodySource
from training.world.deform import REGIONS, take
from training.world.findings.catalogue import ABNORMALITIES
from training.world.imaging.contrast import Phase
from training.world.materials import ID
from training.world.sample import PROCEDURAL, empty_scene, fill
from training.world.scene import PaintedFinding, Scene

TRIES = 40


@dataclass(frozen=True, eq=False)
class Portrait:
    """An abnormality and the body before it.

    Attributes
    ----------
    healthy, scene : Scene
        Before and after painting, rendered, before the scanner.
    finding : PaintedFinding
        What was painted.
    """

    healthy: Scene
    scene: Scene
    finding: PaintedFinding

    @property
    def change(self) -> Tensor:
        """HU after minus before, (I, P, L)."""
        return self.scene.image - self.healthy.image


def portrait(
    slug: str,
    organ: str | None = None,
    *,
    seed: int = 0,
    spacing: float = 3.0,
    bodies: BodySource = PROCEDURAL,
    body: int | None = None,
    phase: Phase | None = None,
    region: str | None = None,
) -> Portrait:
    """Paint one abnormality.

    Parameters
    ----------
    slug, organ : str
        Of the catalogue; the organ is drawn among those that can have it unless given.
    seed, spacing, bodies, body
        As for ``make_sample``; views are drawn until one shows the organ.
    phase, region : str, optional
        Wanted phase and region of the body; drawn by default.

    Raises
    ------
    RuntimeError
        When no view in ``TRIES`` can show it.
    """
    kind = ABNORMALITIES[slug]
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, attempt])
        where = organ or str(rng.choice(kind.organs))
        anatomy = bodies.body(seed if body is None else body, spacing)
        names = [n for n in REGIONS if n != "whole"]
        labels, tissue = take(anatomy, rng, region=region or names[int(rng.integers(len(names)))])
        if not bool((labels == ID[where]).any()):
            continue
        start = rng.integers(2**63)
        pair = []
        for choices in ((), ((slug, where),)):
            own = np.random.default_rng(start)
            scene = empty_scene(labels.clone(), tissue.clone(), anatomy, own, ((slug, where),), phase)
            pair.append((scene, fill(scene, choices, own)))
        if pair[1][1]:
            return Portrait(pair[0][0], pair[1][0], pair[1][1][0])
    raise RuntimeError(f"no view of a body shows {slug}" + (f" in {organ}" if organ else ""))
