"""What is particular to vessels, bones, muscles and brain: calibres, heights, laterality, phases, landmarks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from training.world.brushes import dilated, shell
from training.world.deform import take
from training.world.findings.catalogue import ABNORMALITIES
from training.world.findings.hips import hip_frame
from training.world.findings.kinds import THORACOLUMBAR
from training.world.findings.vessel import trace
from training.world.imaging.contrast import Phase
from training.world.materials import BONE, ID, Material
from training.world.sample import PROCEDURAL, empty_scene, fill
from training.world.scene import Scene
from training.world.studio import Portrait

SPACING = 4.0


BODY = 1


@cache
def healthy(region: str, phase: Phase) -> Scene:
    """One rendered view of a body for all tests of a region."""
    body = PROCEDURAL.body(BODY, SPACING)
    rng = np.random.default_rng(5)
    scene = empty_scene(*take(body, rng, region=region), body, rng, (), phase)
    fill(scene, (), rng)
    return scene


@cache
def shot(slug: str, seed: int = 0, phase: Phase = "portal", region: str = "abdomen and pelvis") -> Portrait:
    """A finding painted into a copy of a healthy view; kinds of stage "shape" are painted but not rendered again."""
    before, kind = healthy(region, phase), ABNORMALITIES[slug]
    organs = [o for o in kind.organs if before.has(ID[o])]
    for attempt in range(30):
        rng = np.random.default_rng([seed, attempt])
        scene = replace(before, labels=before.labels.clone(), tissue=before.tissue.clone(), boxes=[*before.boxes])
        scene.hu, scene.metal = (before.image.clone() if kind.stage == "image" else None), []
        finding = kind.paint(scene, ID[str(rng.choice(organs))], rng)
        if finding is not None:
            return Portrait(before, scene, finding)
        assert torch.equal(scene.labels, before.labels) and torch.equal(scene.tissue, before.tissue)
        assert scene.hu is None or torch.equal(scene.hu, before.image)
    raise AssertionError(f"{slug} was never painted")


def whole(painted: Portrait) -> Tensor:
    mask = torch.zeros(painted.scene.shape, dtype=torch.bool)
    mask[painted.finding.slices] = painted.finding.mask
    return mask


def mean(painted: Portrait) -> float:
    return float(painted.scene.image[whole(painted)].mean())


def test_a_vessel_is_followed_along_its_middle() -> None:
    scene = shot("aortic_calcification", 0).healthy
    course = trace(scene, ID["aorta"], np.random.default_rng(0), 120.0)
    assert course is not None and 60 < course.length_mm < 150
    assert ((course.radius > 5) & (course.radius < 24)).all()
    at = torch.from_numpy(course.centres).round().long()
    mask = dilated(scene.labels == ID["aorta"], SPACING, SPACING)
    assert float(mask[at[:, 0], at[:, 1], at[:, 2]].float().mean()) > 0.9
    for a, b in ((course.along, course.across), (course.along, course.over), (course.across, course.over)):
        assert np.abs((a * b).sum(1)).max() < 0.05


def test_an_aneurysm_is_wide_and_takes_what_is_around_but_no_bone() -> None:
    for seed in range(3):
        s = shot("aortic_aneurysm", seed)
        assert 33 <= s.finding.size_mm <= 90
        before, after = (x.labels == ID["aorta"] for x in (s.healthy, s.scene))
        assert bool((after | ~before).all()), "the aorta only grows"
        assert int((after & ~before).sum()) > 0.25 * int((before & whole(s)).sum())
        assert not any(bool(((s.healthy.tissue == m) & after & ~before).any()) for m in BONE)


def test_calcium_is_in_the_wall_and_a_clot_at_one_side() -> None:
    s = shot("aortic_calcification")
    wall = shell(s.healthy.labels == ID["aorta"])
    assert bool((wall | ~whole(s)).all()) and mean(s) > 130
    clot = shot("aortic_thrombus", 0, "portal")
    blood = float(clot.scene.contrast.mean[Material.ARTERY])
    assert mean(clot) < 55 < blood
    inside = (clot.healthy.labels == ID["aorta"]).clone()
    rows = slice(clot.finding.box[0][0], clot.finding.box[0][1])
    offset = torch.nonzero(whole(clot)[rows]).float().mean(0) - torch.nonzero(inside[rows]).float().mean(0)
    assert float(offset[1:].norm()) * SPACING > 1.0


def test_a_false_lumen_is_darker_and_calcium_moves_inwards_when_unenhanced() -> None:
    s = shot("aortic_dissection", 1, "portal")
    lumen = float(s.scene.contrast.mean[Material.ARTERY])
    assert abs(lumen - mean(s)) > 10 and s.finding.size_mm >= 45
    native = shot("aortic_dissection", 1, "native")
    inner = whole(native) & ~shell(native.healthy.labels == ID["aorta"])
    assert float((native.scene.image - native.healthy.image)[inner].max()) > 60


def test_a_stent_graft_runs_into_the_iliac_arteries() -> None:
    s = shot("aortic_stent_graft", 0)
    assert set(s.finding.also) == {"iliac_artery_left", "iliac_artery_right"}
    assert bool((whole(s) & (s.healthy.labels == ID["iliac_artery_left"])).any()) and s.scene.metal
    kidney = torch.nonzero(s.healthy.labels == ID["kidney_right"])[:, 0].float().mean()
    assert torch.nonzero(whole(s))[:, 0].float().mean() > kidney


def test_a_broken_vertebra_is_lower_and_its_neighbours_stay() -> None:
    for seed in range(3):
        s = shot("vertebral_compression_fracture", seed)
        own = ID[s.finding.organ]
        before, after = ((x.labels == own).sum() for x in (s.healthy, s.scene))
        assert s.finding.volume_factor == pytest.approx(float(after / before), abs=0.01)
        for name in THORACOLUMBAR:
            if name != s.finding.organ:
                assert torch.equal(s.healthy.labels == ID[name], s.scene.labels == ID[name])
        gone = (s.healthy.labels == own) & (s.scene.labels != own)
        assert bool((s.scene.tissue[gone] == Material.DISC).all())


def test_all_vertebrae_lose_density_together_and_osteophytes_bridge_two() -> None:
    s = shot("osteoporosis", 0)
    here = [n for n in THORACOLUMBAR if s.healthy.has(ID[n])]
    assert set(s.finding.organs) == set(here) and mean(s) < 85
    spur = shot("degenerative_spine")
    assert len(spur.finding.also) == 1 and abs(ID[spur.finding.also[0]] - ID[spur.finding.organ]) == 1
    grown = (spur.scene.labels != spur.healthy.labels) & whole(spur)
    assert bool(grown.any()) and not bool((spur.healthy.labels[grown] == ID["spinal_cord"]).any())


def test_the_columns_of_a_haemangioma_stand_upright() -> None:
    s = shot("vertebral_haemangioma", 2)
    patch = s.scene.image[s.finding.slices]
    rows = s.finding.mask[:-1] & s.finding.mask[1:]
    aside = s.finding.mask[:, :, :-1] & s.finding.mask[:, :, 1:]
    up = (patch[1:] - patch[:-1])[rows].abs().mean()
    across = (patch[:, :, 1:] - patch[:, :, :-1])[aside].abs().mean()
    assert up < across


def test_ribs_break_side_by_side() -> None:
    for seed in range(4):
        s = shot("rib_fracture", seed)
        sides = {o.split("_")[1] for o in s.finding.organs}
        numbers = sorted(int(o.rsplit("_", 1)[1]) for o in s.finding.organs)
        assert len(sides) == 1 and s.finding.count == len(numbers)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_hips_are_found_and_metal_is_metal() -> None:
    s = shot("metal_implant", 3, "native", "pelvis")
    assert mean(s) > 2400 and bool((s.scene.tissue[whole(s)] == Material.METAL).all()) and s.scene.metal
    for name, sign in (("femur_left", 1), ("femur_right", -1)):
        if not s.healthy.has(ID[name]):
            continue
        hip = hip_frame(s.healthy, ID[name])
        if hip is None:
            continue
        assert hip.outward == sign and 16 <= hip.radius_mm <= 30
        assert (hip.neck[2] - hip.head[2]) * sign > 0 and hip.shaft[-1][0] > hip.head[0]
        assert s.healthy.labels[tuple(np.round(hip.head).astype(int))] == ID[name]


def test_muscles_waste_on_both_sides_and_turn_to_fat() -> None:
    s = shot("muscle_wasting", 0, "native", "pelvis")
    assert {o.rsplit("_", 1)[1] for o in s.finding.organs} == {"left", "right"}
    for name in s.finding.organs:
        before, after = (int((x.labels == ID[name]).sum()) for x in (s.healthy, s.scene))
        assert after < 0.92 * before
    assert float((s.scene.tissue[whole(s)] == Material.FAT).float().mean()) > 0.05


def test_the_rim_of_an_abscess_enhances() -> None:
    shots = [shot("psoas_abscess", seed) for seed in range(6)]
    s = max(shots, key=lambda x: int(x.finding.mask.sum()))
    mask = whole(s)
    rim = shell(mask)
    assert float(s.scene.image[rim].median()) > float(s.scene.image[mask & ~rim].median()) + 5


def test_blood_is_bright_and_dead_brain_dark() -> None:
    blood, dead = (shot(slug, 1, "native", "head") for slug in ("brain_haemorrhage", "brain_infarct"))
    brain = blood.healthy.image[blood.healthy.labels == ID["brain"]].median()
    assert mean(blood) > float(brain) + 12 > 0
    assert mean(dead) < float(dead.healthy.image[whole(dead)].mean()) - 2
