"""Liver, gallbladder, spleen and pancreas: what is painted has the attenuation, the place and the size that it says."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import pytest
import torch

from training.world.bodies.body import Body
from training.world.brushes import distance
from training.world.findings.gallbladder import GALLBLADDER
from training.world.findings.kinds import Abnormality
from training.world.findings.liver import LIVER
from training.world.findings.pancreas import PANCREAS
from training.world.findings.spleen import SPLEEN
from training.world.imaging.contrast import Phase
from training.world.materials import ID, Material
from training.world.sample import PROCEDURAL
from training.world.scene import Scene
from training.world.studio import Portrait, portrait

KINDS = {a.slug: a for a in (*LIVER, *GALLBLADDER, *SPLEEN, *PANCREAS)}
SPACING = 4.0


class FewBodies:
    """Two bodies, each made once."""

    @staticmethod
    @lru_cache(2)
    def body(number: int, spacing: float) -> Body:
        return PROCEDURAL.body(number % 2, spacing)


@cache
def painted(slug: str, seed: int, phase: Phase | None = None) -> Portrait:
    return portrait(slug, seed=seed, spacing=SPACING, bodies=FewBodies(), phase=phase, region="abdomen")


def whole_mask(p: Portrait) -> torch.Tensor:
    mask = torch.zeros(p.scene.shape, dtype=torch.bool)
    mask[p.finding.slices] = p.finding.mask
    return mask


def copy_of(scene: Scene) -> Scene:
    hu = None if scene.hu is None else scene.hu.clone()
    return Scene(scene.labels.clone(), scene.tissue.clone(), scene.spacing, scene.contrast, list(scene.boxes), hu)


def test_the_catalogue_has_all_of_them() -> None:
    assert set(KINDS) == {
        "liver_steatosis", "cirrhosis", "hepatomegaly", "liver_cyst", "liver_metastasis", "liver_haemangioma",
        "liver_calcification", "biliary_dilatation", "gallstones", "gallbladder_distension",
        "gallbladder_wall_thickening", "gallbladder_absent", "splenomegaly", "splenic_cyst", "splenic_infarct",
        "splenic_calcification", "pancreatic_atrophy", "pancreatic_duct_dilatation", "pancreatic_mass",
        "pancreatic_calcification", "pancreatic_pseudocyst", "pancreatic_cyst", "pancreatitis",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_attenuation_place_and_volume_are_as_stated(kind: Abnormality) -> None:
    for seed, phase in enumerate(("native", "arterial", "delayed")):
        p = painted(kind.slug, seed, phase)
        mask, organ = whole_mask(p), ID[p.finding.organ]
        bounds = kind.hu if phase == "native" or kind.enhanced is None else kind.enhanced
        if bounds is not None:
            mean = float(p.scene.image[mask].mean())
            assert bounds[0] <= mean <= bounds[1], (phase, mean)
            assert (p.change[mask].abs() > 2).float().mean() > 0.5
        before, after = p.healthy.labels == organ, p.scene.labels == organ
        if kind.where == "in":
            assert bool((before | after)[mask].all())
        elif kind.slug != "pancreatic_pseudocyst":  # whose far side may be 120 mm away
            near = p.scene.widened(p.finding.slices, 36)
            assert float(distance((before | after)[near], SPACING, 32.0)[mask[near]].max()) <= 30
        if kind.factor is not None:
            real = int(after.sum()) / int(before.sum())
            assert p.finding.volume_factor == pytest.approx(real)
            assert kind.factor[0] <= real <= kind.factor[1]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_organ_that_was_painted_over_is_left_alone(kind: Abnormality) -> None:
    scene = copy_of(painted("liver_cyst", 0, "portal").healthy)
    label = ID[kind.organs[0]]
    scene.labels[scene.labels == label] = 0  # its box stays, as after another painter took its place
    before = copy_of(scene)
    assert kind.paint(scene, label, np.random.default_rng(0)) is None
    assert torch.equal(scene.labels, before.labels) and torch.equal(scene.tissue, before.tissue)
    assert torch.equal(scene.image, before.image) and not scene.metal


@pytest.mark.parametrize(
    "slug", ["cirrhosis", "hepatomegaly", "gallbladder_distension", "gallbladder_absent", "splenomegaly"]
)
def test_size_is_not_judged_when_the_organ_is_cut(slug: str) -> None:
    scene = copy_of(painted("liver_cyst", 0, "portal").healthy)
    label = ID[KINDS[slug].organs[0]]
    rows = scene.organ_box(label)[0]
    middle = (rows.start + rows.stop) // 2
    labels, tissue = scene.labels[middle:].clone(), scene.tissue[middle:].clone()
    box = scene.organ_box(label)
    boxes = list(scene.boxes)
    boxes[label - 1] = (slice(0, rows.stop - middle), *box[1:])
    cut = Scene(labels, tissue, scene.spacing, scene.contrast, boxes)
    assert KINDS[slug].paint(cut, label, np.random.default_rng(1)) is None
    assert torch.equal(cut.labels, scene.labels[middle:]) and torch.equal(cut.tissue, scene.tissue[middle:])


def test_steatosis_leaves_vessels_brighter_than_the_liver() -> None:
    p = painted("liver_steatosis", 3, "portal")
    inside = p.scene.labels == ID["liver"]
    vessels = inside & ((p.scene.tissue == int(Material.PORTAL)) | (p.scene.tissue == int(Material.VEIN)))
    assert int(vessels.sum()) > 5
    assert float(p.change[vessels].abs().max()) == 0
    assert float(p.scene.image[vessels].mean()) > float(p.scene.image[whole_mask(p)].mean()) + 40


def test_haemangioma_is_bright_at_its_edge_first_and_full_later() -> None:
    gaps, late = [], []
    for seed in range(3):
        p = painted("liver_haemangioma", seed, "arterial")
        mask = whole_mask(p)
        edge = mask & (distance(~mask, SPACING, 8.0) < 1.1 * SPACING)
        if bool((mask & ~edge).any()):
            gaps.append(float(p.scene.image[edge].mean() - p.scene.image[mask & ~edge].mean()))
        q = painted("liver_haemangioma", seed, "delayed")
        late.append(float(q.scene.image[whole_mask(q)].mean()) - float(q.scene.contrast.mean[Material.VEIN]))
    assert len(gaps) >= 2 and np.mean(gaps) > 15
    assert abs(float(np.mean(late))) < 30


def test_gallstones_lie_at_the_back() -> None:
    behind = []
    for seed in range(4):
        p = painted("gallstones", seed)
        stone = torch.nonzero(whole_mask(p))[:, 1].float().mean()
        behind.append(float(stone - torch.nonzero(p.healthy.labels == ID["gallbladder"])[:, 1].float().mean()))
    assert np.mean(behind) > 0.5 and min(behind) > -1.5


def test_an_absent_gallbladder_leaves_neither_label_nor_bile_and_mostly_clips() -> None:
    clips = 0
    for seed in range(5):
        p = painted("gallbladder_absent", seed)
        mask = whole_mask(p)
        assert torch.equal(mask, p.healthy.labels == ID["gallbladder"])
        assert not bool((p.scene.labels == ID["gallbladder"]).any()) and not p.scene.has(ID["gallbladder"])
        filling = (Material.FAT, Material.LIVER, Material.METAL)
        assert set(p.scene.tissue[mask].tolist()) <= {int(m) for m in filling}
        metal = int((p.scene.tissue[mask] == int(Material.METAL)).sum())
        assert metal == sum(int(m.sum()) for _, m in p.scene.metal) and metal <= 8
        clips += metal > 0
    assert clips >= 2


def test_infarcts_reach_the_capsule() -> None:
    for seed in range(4):
        p = painted("splenic_infarct", seed, "portal")
        spleen, mask = p.healthy.labels == ID["spleen"], whole_mask(p)
        assert float(distance(~spleen, SPACING, 12.0)[mask].min()) <= 1.01 * SPACING
        rest = spleen & ~mask & (p.scene.tissue == int(Material.SPLEEN))
        assert float(p.scene.image[mask].mean()) < float(p.scene.image[rest].mean()) - 20


def test_a_dilated_duct_runs_along_the_gland() -> None:
    for seed in range(3):
        p = painted("pancreatic_duct_dilatation", seed, "portal")
        gland, duct = (torch.nonzero(m)[:, 2] for m in (p.healthy.labels == ID["pancreas"], whole_mask(p)))
        assert int(duct.max() - duct.min()) > 0.4 * int(gland.max() - gland.min())


def test_a_pseudocyst_touches_the_gland_and_carries_no_label() -> None:
    for seed in range(4):
        p = painted("pancreatic_pseudocyst", seed)
        mask, gland = whole_mask(p), p.healthy.labels == ID["pancreas"]
        assert not bool(p.scene.labels[mask].any())
        assert float(distance(gland, SPACING, 12.0)[mask].min()) <= 1.5 * SPACING
        far = distance(gland, SPACING, p.finding.size_mm)[mask]
        assert float(far.max()) <= p.finding.size_mm
