"""Every abnormality: its documented HU, in or beside its organ, its volume as stated, on its own side."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from napari_ctvlp.anatomy.dictionary import load_dictionary
from training.world.brushes import FAR, dilated, distance
from training.world.findings.catalogue import ABNORMALITIES, BY_ORGAN
from training.world.materials import ID, NAMES
from training.world.scene import label_boxes
from training.world.studio import Portrait, portrait

SPACING = 4.0
BODIES = (1, 2, 4)
MEN = (0, 3, 4)
PHASES = ("native", "portal", "native")


@cache
def portraits(slug: str) -> tuple[Portrait, ...]:
    out = []
    bodies = MEN if ABNORMALITIES[slug].anatomy == "prostate" else BODIES
    for body, phase in zip(bodies, PHASES, strict=True):
        for chance in (phase, "portal", "arterial"):  # some are only seen after contrast medium
            try:
                out.append(portrait(slug, seed=100 + body, body=body, spacing=SPACING, phase=chance))
                break
            except RuntimeError:
                continue
    return tuple(out)


def whole(shot: Portrait) -> torch.Tensor:
    mask = torch.zeros(shot.scene.shape, dtype=torch.bool)
    mask[shot.finding.slices] = shot.finding.mask
    return mask


def test_there_are_at_least_60_in_at_least_16_anatomies() -> None:
    assert len(ABNORMALITIES) >= 60
    assert len({a.anatomy for a in ABNORMALITIES.values()}) >= 16
    for slug, kind in ABNORMALITIES.items():
        assert kind.how and kind.source and kind.organs, slug
        assert kind.hu or kind.factor, f"{slug} states neither HU nor volume"
    assert set(BY_ORGAN) == {o for a in ABNORMALITIES.values() for o in a.organs}


def test_the_plugin_s_dictionary_knows_every_abnormality_in_these_organs() -> None:
    known = {a.key: set(a.organs) for a in load_dictionary()}
    for slug, kind in ABNORMALITIES.items():
        assert slug in known, slug
        assert set(kind.organs) <= known[slug], slug


@pytest.mark.parametrize("slug", ABNORMALITIES)
def test_it_is_painted_as_documented(slug: str) -> None:
    kind, shots = ABNORMALITIES[slug], portraits(slug)
    assert len(shots) >= 2, "painted in too few bodies"
    for shot in shots:
        f = shot.finding
        assert f.abnormality == slug and f.organ in kind.organs and f.size_mm > 0 and f.count >= 1
        assert set(f.also) <= {*kind.organs, *kind.spreads}
        mask = whole(shot)
        assert bool(mask.any()) and bool(mask[f.centre])
        bounds = kind.hu if shot.scene.contrast.phase == "native" else kind.enhanced or kind.hu
        if bounds is not None:
            mean = float(shot.scene.image[mask].mean())
            assert bounds[0] <= mean <= bounds[1], f"{mean:.0f} HU in {shot.scene.contrast.phase} phase"
        organs = torch.isin(shot.healthy.labels, torch.tensor([ID[o] for o in f.organs], dtype=torch.uint8))
        after = torch.isin(shot.scene.labels, torch.tensor([ID[o] for o in f.organs], dtype=torch.uint8))
        if kind.where == "in":
            # lesions may bulge a little, and half a voxel of an organ's rim is a matter of opinion
            near = dilated(organs | after, 1.8 * SPACING, SPACING)
            assert float((mask & near).sum() / mask.sum()) > 0.6
        else:
            reach = 30.0 if kind.where == "beside" else 150.0
            assert float(distance(organs | after, SPACING, reach)[mask].min()) < FAR
        if kind.factor is not None and f.volume_factor is not None:
            own = ID[f.organ]
            real = float((shot.scene.labels == own).sum() / (shot.healthy.labels == own).sum())
            assert real == pytest.approx(f.volume_factor, abs=0.12)
            assert kind.factor[0] - 0.1 <= f.volume_factor <= kind.factor[1] + 0.1


@pytest.mark.parametrize("slug", ABNORMALITIES)
def test_it_changes_the_scan_where_it_says_and_keeps_to_its_side(slug: str) -> None:
    for shot in portraits(slug):
        f = shot.finding
        mask = whole(shot)
        changed = (shot.change.abs() > 8) | (shot.scene.labels != shot.healthy.labels)
        assert bool(changed.any()), "nothing changed"
        assert float((mask & dilated(changed, 1.5 * SPACING, SPACING)).sum() / mask.sum()) > 0.15 or f.volume_factor
        if (
            len(f.organs) == 1
            and f.organ.endswith(("_left", "_right"))
            and f.organ.startswith(("kidney", "adrenal", "lung"))
        ):
            other = f.organ.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
            if not other.startswith("lung_middle") and bool((shot.scene.labels == ID[other]).any()):
                mine, theirs = (
                    float(torch.nonzero(shot.healthy.labels == ID[o])[:, 2].float().mean()) for o in (f.organ, other)
                )
                at = float(torch.nonzero(mask)[:, 2].float().mean())
                assert abs(at - mine) < abs(at - theirs)


@pytest.mark.parametrize("slug", ABNORMALITIES)
def test_boxes_are_kept(slug: str) -> None:
    for shot in portraits(slug):
        real = label_boxes(shot.scene.labels)
        for n, (noted, box) in enumerate(zip(shot.scene.boxes, real, strict=True), 1):
            if box is None:
                continue
            assert noted is not None, NAMES.get(n, n)
            assert all(a.start <= b.start and b.stop <= a.stop for a, b in zip(noted, box, strict=True)), NAMES.get(
                n, n
            )


def test_a_painter_that_gives_up_leaves_the_scene_alone() -> None:
    """An organ of a few voxels, at the edge of the scan: most painters cannot paint, none may half-paint or raise."""
    shot = portraits("kidney_stone")[0]
    for slug, kind in ABNORMALITIES.items():
        scene = shot.healthy
        labels, tissue, hu = scene.labels.clone(), scene.tissue.clone(), scene.image.clone()
        label = ID[kind.organs[0]]
        scene.labels[scene.labels == label] = 0
        scene.labels[0, :2, :2] = label
        scene.boxes = label_boxes(scene.labels)
        before = scene.labels.clone()
        finding = kind.paint(scene, label, np.random.default_rng(0))
        if finding is None:
            assert torch.equal(scene.labels, before) and torch.equal(scene.tissue, tissue), slug
            assert torch.equal(scene.image, hu), slug
        scene.labels[...], scene.tissue[...], scene.image[...] = labels, tissue, hu
        scene.metal.clear()
        scene.boxes = label_boxes(labels)
