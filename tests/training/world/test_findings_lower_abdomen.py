"""Kidney, adrenal, bowel, peritoneum, pelvis: each abnormality looks, lies and grows as the catalogue says."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.world.brushes import dilated
from training.world.findings.adrenal import ADRENAL
from training.world.findings.bowel import BOWEL
from training.world.findings.catalogue import ABNORMALITIES
from training.world.findings.kidney import KIDNEY
from training.world.findings.pelvis import PELVIS
from training.world.findings.peritoneum import PERITONEUM
from training.world.imaging.contrast import Phase
from training.world.materials import ID, Material
from training.world.scene import Scene
from training.world.studio import Portrait, portrait

SLUGS = tuple(a.slug for a in (*KIDNEY, *ADRENAL, *BOWEL, *PELVIS, *PERITONEUM))
SHAPES = tuple(s for s in SLUGS if ABNORMALITIES[s].stage == "shape")
SPACING = 5.0
PHASE: dict[str, Phase] = {slug: "portal" if n % 2 else "native" for n, slug in enumerate(SLUGS)}


@functools.cache
def painted(slug: str, seed: int = 1) -> Portrait:
    return portrait(slug, seed=seed, body=3, spacing=SPACING, phase=PHASE[slug], region="abdomen and pelvis")


def mask_of(p: Portrait) -> torch.Tensor:
    mask = torch.zeros(p.scene.shape, dtype=torch.bool)
    mask[p.finding.slices] = p.finding.mask
    return mask


def copy(scene: Scene) -> Scene:
    image = scene.image.clone()
    return replace(scene, labels=scene.labels.clone(), tissue=scene.tissue.clone(), boxes=[*scene.boxes], hu=image)


def test_all_are_in_the_catalogue() -> None:
    wanted = {
        "kidney": "kidney_cyst kidney_stone hydronephrosis kidney_mass renal_atrophy polycystic_kidney angiomyolipoma",
        "adrenal gland": "adrenal_nodule adrenal_hyperplasia adrenal_calcification",
        "bowel": "bowel_obstruction bowel_wall_thickening diverticulosis colon_mass",
        "peritoneum": "ascites free_air retroperitoneal_lymphadenopathy",
        "bladder": "bladder_stone bladder_wall_thickening bladder_diverticulum bladder_mass",
        "prostate": "prostate_enlargement prostate_calcification",
    }
    for anatomy, slugs in wanted.items():
        assert {s for s in SLUGS if ABNORMALITIES[s].anatomy == anatomy} == {*slugs.split(" ")}


@pytest.mark.parametrize("slug", SLUGS)
def test_attenuation_place_and_size(slug: str) -> None:
    kind, p = ABNORMALITIES[slug], painted(slug)
    f, mask = p.finding, mask_of(p)
    assert bool(f.mask.any()) and f.size_mm > 0 and f.abnormality == slug and f.organ in kind.organs
    bounds = kind.hu if PHASE[slug] == "native" or kind.enhanced is None else kind.enhanced
    if bounds is not None:
        assert bounds[0] <= float(p.scene.image[mask].mean()) <= bounds[1]
    organ = torch.zeros_like(mask)
    for name in f.organs:
        organ |= (p.healthy.labels == ID[name]) | (p.scene.labels == ID[name])
    if kind.where == "in":
        assert float(organ[mask].float().mean()) > 0.95
    elif kind.where == "beside":
        assert float(dilated(organ, 30 + SPACING, SPACING)[mask].float().mean()) > 0.98
    assert (f.volume_factor is None) == (kind.factor is None)
    if kind.factor is not None:
        label = ID[f.organ]
        real = float((p.scene.labels == label).sum()) / float((p.healthy.labels == label).sum())
        assert real == pytest.approx(f.volume_factor, rel=0.01)
        assert kind.factor[0] <= real <= kind.factor[1]


@pytest.mark.parametrize("slug", [s for s in SLUGS if s not in SHAPES])
def test_what_changed_is_the_mask(slug: str) -> None:
    p = painted(slug)
    mask, changed = mask_of(p), p.change.abs() > 3
    assert float(changed[mask].float().mean()) > 0.6
    near = dilated(mask, 20, SPACING)  # thin edges, and streaks in the fat around bowel
    assert not bool((changed & ~near).any())


@pytest.mark.parametrize("slug", SHAPES)
def test_shapes_change_near_the_mask_only(slug: str) -> None:
    p = painted(slug)
    mask = mask_of(p)
    bowel = torch.zeros_like(mask)  # its gas is drawn after all shapes
    for name in ("stomach", "colon", "small_bowel", "duodenum"):
        bowel |= p.healthy.labels == ID[name]
    moved = (p.scene.labels != p.healthy.labels) | ((p.scene.tissue != p.healthy.tissue) & ~bowel)
    assert bool(moved.any())
    assert not bool((moved & ~dilated(mask, 35, SPACING)).any())


def test_masks_keep_drop_or_rename_cysts() -> None:
    healthy, fates = painted("kidney_cyst").healthy, set()
    for seed in range(24):
        scene = copy(healthy)
        f = ABNORMALITIES["kidney_cyst"].paint(scene, ID["kidney_left"], np.random.default_rng(seed))
        assert f is not None
        inside = scene.labels[f.slices][f.mask]
        assert not bool((inside == ID["kidney_cyst_right"]).any())  # left is left
        if bool((inside == ID["kidney_cyst_left"]).any()):
            assert scene.has(ID["kidney_cyst_left"])
            fates.add("renamed")
        else:
            fates.add("kept" if bool((inside == ID["kidney_left"]).any()) else "left out")
    assert fates == {"renamed", "kept", "left out"}


def test_gravity() -> None:
    """Stones lie at the back of the bladder, free gas at the front of the belly."""
    stone, air = painted("bladder_stone"), painted("free_air")
    lumen = torch.nonzero(stone.healthy.tissue == int(Material.URINE))[:, 1].float()
    assert float(torch.nonzero(mask_of(stone))[:, 1].float().mean()) > float(lumen.quantile(0.6))
    liver = torch.nonzero(air.healthy.labels == ID["liver"])[:, 1].float()
    assert float(torch.nonzero(mask_of(air))[:, 1].float().mean()) < float(liver.quantile(0.25))


def test_obstruction_has_gas_above_fluid() -> None:
    p = painted("bowel_obstruction")
    tissue, mask = p.scene.tissue, mask_of(p)
    gas, fluid = mask & (tissue == int(Material.GAS)), mask & (tissue == int(Material.FLUID))
    assert int(gas.sum()) > 20 and int(fluid.sum()) > 50
    rows = [torch.nonzero(m)[:, 1].float().mean() for m in (gas, fluid)]
    assert rows[0] < rows[1]


def test_ascites_replaces_fat_alone() -> None:
    p = painted("ascites", 2)
    assert bool((p.healthy.tissue[mask_of(p)] == int(Material.FAT)).all())
    assert torch.equal(p.scene.labels, p.healthy.labels)
    assert p.finding.organs == ("liver", "spleen")


def test_enlarged_prostate_leaves_the_bladder_a_wall() -> None:
    p = painted("prostate_enlargement")
    prostate, urine = p.scene.labels == ID["prostate"], p.scene.tissue == int(Material.URINE)
    assert not bool((dilated(prostate, SPACING, SPACING) & urine).any())


@pytest.mark.parametrize("slug", ["renal_atrophy", "polycystic_kidney"])
def test_size_needs_the_whole_organ(slug: str) -> None:
    scene, label = copy(painted("kidney_cyst").healthy), ID["kidney_left"]
    box = scene.boxes[label - 1]
    assert box is not None
    scene.boxes[label - 1] = (slice(0, box[0].stop), box[1], box[2])
    before = scene.labels.clone(), scene.tissue.clone()
    assert ABNORMALITIES[slug].paint(scene, label, np.random.default_rng(0)) is None
    assert torch.equal(before[0], scene.labels) and torch.equal(before[1], scene.tissue)


@pytest.mark.parametrize("slug", [s for s in SLUGS if s != "ascites"])
def test_organs_that_are_gone_are_left_alone(slug: str) -> None:
    """An earlier painter may have taken the organ while its box is still noted."""
    kind, scene = ABNORMALITIES[slug], copy(painted("prostate_calcification").healthy)
    label = ID[kind.organs[0]]
    assert scene.has(label)
    for name in ("kidney_right", kind.organs[0]):
        scene.labels[scene.labels == ID[name]] = 0
    before = scene.labels.clone(), scene.tissue.clone(), scene.image.clone()
    assert kind.paint(scene, label, np.random.default_rng(0)) is None
    for old, new in zip(before, (scene.labels, scene.tissue, scene.image), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("slug", ["kidney_mass", "ascites", "bowel_obstruction"])
def test_same_seed_same_bits(slug: str) -> None:
    a, b = painted(slug), painted.__wrapped__(slug)
    assert torch.equal(a.scene.image, b.scene.image) and torch.equal(a.finding.mask, b.finding.mask)
