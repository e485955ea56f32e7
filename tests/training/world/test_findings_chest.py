"""What is particular to abnormalities of the chest: gravity, sizes, vessels that stay visible, chambers that grow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from training.world.brushes import among, dilated, distance
from training.world.findings.geometry import LOBE_LABELS, any_label, bowed, distance_to_path, side_lobes
from training.world.findings.lung import LUNG
from training.world.findings.pleura import PLEURA
from training.world.imaging.contrast import Phase
from training.world.materials import ID, Material
from training.world.studio import Portrait, portrait

SPACING = 4.0


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Volumes this small gain nothing from threads, and lose where tests run side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def shot(slug: str, seed: int = 0, organ: str | None = None, phase: Phase | None = None) -> Portrait:
    return portrait(slug, organ, seed=seed, body=1 + seed % 2, spacing=SPACING, region="chest", phase=phase)


def whole(painted: Portrait) -> Tensor:
    mask = torch.zeros(painted.scene.shape, dtype=torch.bool)
    mask[painted.finding.slices] = painted.finding.mask
    return mask


def places(mask: Tensor) -> Tensor:
    assert bool(mask.any())
    return torch.nonzero(mask).float()


@pytest.mark.parametrize(("slug", "least", "most"), [("lung_nodule", 4, 30), ("lung_mass", 31, 85)])
def test_a_nodule_is_at_most_30_mm_and_a_mass_larger(slug: str, least: float, most: float) -> None:
    for seed in range(4):
        f = shot(slug, seed).finding
        assert least <= f.size_mm <= most
        # the volume is that of a ball of about this diameter
        ball = np.pi / 6 * f.size_mm**3
        assert float(f.mask.sum()) * SPACING**3 < 2.2 * f.count * ball + 4 * SPACING**3


def test_fluid_lies_behind_and_air_in_front_on_one_side() -> None:
    for slug, sign in (("pleural_effusion", 1), ("pneumothorax", -1)):
        for seed in range(3):
            s = shot(slug, seed)
            lung = any_label(s.healthy.labels, side_lobes(ID[s.finding.organ]))
            other = any_label(s.healthy.labels, set(LOBE_LABELS) - set(side_lobes(ID[s.finding.organ])))
            mask = whole(s)
            assert bool((mask & lung).sum() == mask.sum()) and not bool((mask & other).any())
            assert sign * (places(mask)[:, 1].mean() - places(lung)[:, 1].mean()) * SPACING > 5


def test_air_in_the_pleural_space_holds_no_vessels() -> None:
    s = shot("pneumothorax", 1)
    mask = whole(s)
    assert float(s.scene.image[mask].max()) < -450
    assert bool((s.scene.tissue[mask] == int(Material.AIR)).all())


def test_vessels_show_through_ground_glass_but_not_through_fluid() -> None:
    for slug, kept in (("ground_glass_opacity", True), ("pleural_effusion", False)):
        s = shot(slug, 2)
        near = dilated(whole(s), 1.1 * SPACING, SPACING)
        vessel = near & (s.healthy.tissue == int(Material.LUNG_VESSEL))
        still = (s.scene.tissue == int(Material.LUNG_VESSEL)) & vessel & (s.change.abs() < 1)
        assert bool(vessel.any())
        assert (float(still.sum()) > 0.95 * float(vessel.sum())) is kept


@pytest.mark.parametrize("slug", ["emphysema", "ground_glass_opacity", "lung_fibrosis"])
def test_diffuse_disease_lies_in_the_lobes_that_it_names(slug: str) -> None:
    named = 0
    for seed in range(4):
        s = shot(slug, seed)
        inside = any_label(s.healthy.labels, [ID[o] for o in s.finding.organs])
        mask = whole(s)
        assert not bool((mask & ~inside).any())
        for organ in s.finding.organs:
            assert bool((mask & (s.healthy.labels == ID[organ])).any()), organ
        named += len(s.finding.also)
    assert named > 0, "never in several lobes"


def test_fibrosis_is_subpleural() -> None:
    s = shot("lung_fibrosis", 0)
    depth = distance(~any_label(s.healthy.labels, LOBE_LABELS), SPACING, 60.0)
    mask = whole(s)
    lung = any_label(s.healthy.labels, [ID[o] for o in s.finding.organs]) & ~mask
    assert depth[mask].mean() < 0.7 * depth[lung].clamp(max=60).mean()


def test_a_collapsed_lobe_loses_volume_to_its_neighbour() -> None:
    organ = "lung_lower_lobe_left"
    for seed in range(1, 30):
        s = shot("atelectasis", seed, organ)
        before, after = (int((x.labels == ID[organ]).sum()) for x in (s.healthy, s.scene))
        if after < 0.8 * before:
            heir = ID["lung_upper_lobe_left"]
            assert int((s.scene.labels == heir).sum()) - int((s.healthy.labels == heir).sum()) == before - after
            return
    raise AssertionError("no lobe collapsed")


def test_the_chambers_of_a_large_heart_are_larger() -> None:
    for seed in range(2):
        s = shot("cardiomegaly", seed)
        pools = [
            float(((x.labels == ID["heart"]) & among(x.tissue, (Material.BLOOD_LEFT, Material.BLOOD_RIGHT))).sum())
            for x in (s.healthy, s.scene)
        ]
        assert s.finding.volume_factor is not None and s.finding.volume_factor > 1.1
        assert pools[1] / pools[0] > 1 + 0.5 * (s.finding.volume_factor - 1)


def test_pericardial_fluid_surrounds_the_heart_and_spares_it() -> None:
    for seed in range(3):
        s = shot("pericardial_effusion", seed)
        heart, mask = s.healthy.labels == ID["heart"], whole(s)
        assert not bool((mask & heart).any())
        assert float(distance(heart, SPACING, 60.0)[mask].max()) <= 1.5 * s.finding.size_mm + SPACING
        assert float(distance(heart, SPACING, 60.0)[mask].mean()) < s.finding.size_mm


def test_coronary_calcium_lies_just_under_the_surface_of_the_heart() -> None:
    s = shot("coronary_calcification", 0)
    heart = s.healthy.labels == ID["heart"]
    assert float(distance(~heart, SPACING, 40.0)[whole(s)].max()) <= 4 * SPACING


def test_a_lead_runs_from_the_upper_cava_into_the_heart_as_one_line_of_metal() -> None:
    for seed in range(2):
        s = shot("pacemaker_lead", seed)
        mask = whole(s)
        line = s.finding.mask
        assert len(s.scene.metal) == 1 and not s.healthy.metal
        for organ in ("superior_vena_cava", "heart"):
            assert bool((mask & (s.healthy.labels == ID[organ])).any()), organ
        points = torch.nonzero(line).float()
        touching = (torch.cdist(points, points) < 2.3).float()
        reached = torch.zeros(len(points))
        reached[0] = 1
        for _ in range(len(points)):
            reached = ((touching @ reached) > 0).float()
        assert int(reached.sum()) == len(points), "in pieces"
        assert int(mask.sum()) * SPACING**3 < 15_000


def test_a_hernia_is_stomach_above_the_stomach() -> None:
    s = shot("hiatal_hernia", 1, "stomach")
    mask = whole(s)
    assert bool((s.scene.labels[mask] == ID["stomach"]).all())
    assert places(mask)[:, 0].mean() < places(s.healthy.labels == ID["stomach"])[:, 0].mean()
    assert not bool((mask & (s.healthy.labels == ID["heart"])).any())
    assert bool((mask & (s.healthy.labels == ID["esophagus"])).any())


def test_a_thick_oesophagus_has_grown_there() -> None:
    for seed in range(2):
        s = shot("oesophageal_wall_thickening", seed)
        before, after = (int((x.labels == ID["esophagus"]).sum()) for x in (s.healthy, s.scene))
        assert after > 1.1 * before
        assert bool((s.scene.labels[whole(s)] == ID["esophagus"]).all())


def test_nodes_lie_beside_the_airway_and_leave_it_open() -> None:
    for seed in range(3):
        s = shot("mediastinal_lymphadenopathy", seed)
        trachea, mask = s.healthy.labels == ID["trachea"], whole(s)
        assert not bool((mask & trachea).any())
        assert float(distance(trachea, SPACING, 60.0)[mask].max()) < 45
        assert s.finding.size_mm > 10


def test_plaques_hug_the_pleura() -> None:
    for seed in range(2):
        s = shot("pleural_plaque", seed)
        depth = distance(~any_label(s.healthy.labels, LOBE_LABELS), SPACING, 40.0)
        assert float(depth[whole(s)].max()) <= 14 + SPACING


def test_what_has_no_lung_to_lie_in_is_not_painted() -> None:
    s = shot("lung_nodule", 0)
    scene = s.healthy
    for kind in (*LUNG, *PLEURA):
        label = ID[kind.organs[0]]
        tissue, labels, hu = scene.tissue.clone(), scene.labels.clone(), scene.image.clone()
        scene.labels[scene.labels == label] = 0  # its box is now stale, as after an earlier painter
        empty = scene.labels.clone()
        assert kind.paint(scene, label, np.random.default_rng(1)) is None, kind.slug
        assert torch.equal(scene.labels, empty) and torch.equal(scene.tissue, tissue)
        assert torch.equal(scene.image, hu)
        scene.labels.copy_(labels)


def test_a_tube_is_as_far_as_its_nearest_point() -> None:
    scene = shot("lung_nodule", 0).healthy
    path = bowed((20.0, 20.0, 20.0), (30.0, 26.0, 22.0), np.random.default_rng(0), points=9)
    box, far = distance_to_path(scene, path, 12.0)
    fine = np.concatenate([a + (b - a) * np.linspace(0, 1, 60)[:, None] for a, b in pairwise(path)])
    for place in ((20, 20, 20), (25, 22, 21), (29, 24, 22)):
        inner = tuple(p - s.start for p, s in zip(place, box, strict=True))
        true = float(np.linalg.norm(fine - place, axis=1).min()) * SPACING
        assert float(far[inner]) == pytest.approx(min(true, 12.0), abs=0.1)
