"""The synthetic world: reproducible, left is left, organs of human size, painted lesions of the right density."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np
import pytest

from training.world.abnormalities import ABNORMALITIES, BY_ORGAN, PaintedFinding, plan
from training.world.body import Body, make_body
from training.world.materials import BONE, ID, NAMES, Material
from training.world.physics import draw_contrast
from training.world.sample import WorldSample, make_sample
from training.world.sentences import dictionary_sentences, held_out_sentences, organ_name_texts, organ_sentences
from training.world.wordings import HELD_OUT, MEASURED, NORMAL, PLAIN

COARSE = 5.0
BODIES = 5
SAMPLES = 36


@cache
def body(number: int) -> Body:
    return make_body(np.random.default_rng(1000 + number), COARSE)


@cache
def sample(seed: int) -> WorldSample:
    return make_sample(seed, spacing=COARSE, body_bank=4, height_mm=(330, 420), abnormal=0.8)


def volume_ml(b: Body, *organs: str) -> float:
    return float(np.isin(b.labels, [ID[o] for o in organs]).sum()) * COARSE**3 / 1000


def centre(labels: np.ndarray, organ: str) -> np.ndarray:
    return np.argwhere(labels == ID[organ]).mean(0)


def test_same_seed_gives_same_bits_and_other_seed_does_not() -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (the global generator must stay untouched)
    one, two = (make_sample(11, spacing=6.0, body_bank=2) for _ in range(2))
    np.testing.assert_array_equal(one.hu, two.hu)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert one.findings == two.findings and one.phase == two.phase
    other = make_sample(13, spacing=6.0, body_bank=2)
    assert other.hu.shape != one.hu.shape or not np.array_equal(other.hu, one.hu)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_types_and_ranges() -> None:
    s = sample(1)
    assert s.hu.dtype == np.int16 and s.labels.dtype == np.uint8 and s.hu.shape == s.labels.shape
    assert s.hu.min() >= -1024 and s.hu.max() <= 3071
    assert s.hu.flags.c_contiguous and s.labels.flags.c_contiguous
    assert set(np.unique(s.labels)) - {0} <= set(NAMES)


@pytest.mark.parametrize("number", range(BODIES))
def test_left_is_left_and_head_is_up(number: int) -> None:
    b = body(number)
    middle = centre(b.labels, "vertebrae_L1")
    for organ, side in (
        ("liver", -1),
        ("gallbladder", -1),
        ("inferior_vena_cava", -1),
        ("spleen", 1),
        ("stomach", 1),
        ("aorta", 1),
        ("heart", 1),
    ):
        assert (centre(b.labels, organ)[2] - middle[2]) * side > 0, organ
    for name in NAMES.values():
        if "_left" in name and (b.labels == ID[name]).any() and (b.labels == ID[name.replace("left", "right")]).any():
            assert centre(b.labels, name)[2] > centre(b.labels, name.replace("left", "right"))[2], name
    order = ["lung_upper_lobe_right", "liver", "kidney_right", "urinary_bladder", "femur_right"]
    heights = [centre(b.labels, o)[0] for o in order]
    assert heights == sorted(heights)
    assert centre(b.labels, "sternum")[1] < centre(b.labels, "aorta")[1] < centre(b.labels, "spinal_cord")[1]
    spine = [centre(b.labels, f"vertebrae_{v}")[0] for v in ("T1", "T6", "T12", "L3", "S1")]
    assert spine == sorted(spine)


@pytest.mark.parametrize("number", range(BODIES))
def test_a_body_has_at_least_60_organs_of_human_size(number: int) -> None:
    b = body(number)
    assert len(np.unique(b.labels)) - 1 >= 95
    # ml; wide limits around published means (Kromrey 2018 liver, Prassopoulos 1997 spleen, Cheong 2007 kidney,
    # TotalSegmentator statistics)
    lungs = [n for n in NAMES.values() if n.startswith("lung_")]
    for organs, low, high in (
        (["liver"], 900, 2700),
        (["spleen"], 70, 400),
        (["kidney_left"], 75, 320),
        (["kidney_right"], 75, 320),
        (["heart"], 230, 1050),
        (["pancreas"], 25, 130),
        (["gallbladder"], 6, 70),
        (["urinary_bladder"], 60, 700),
        (["aorta"], 110, 420),
        (["vertebrae_L3"], 30, 100),
        (["adrenal_gland_left"], 1, 9),
        (lungs, 2500, 7500),
        (["colon"], 300, 2000),
        (["small_bowel"], 200, 1400),
        (["hip_left"], 200, 600),
    ):
        assert low < volume_ml(b, *organs) < high, (organs, volume_ml(b, *organs))
    assert ("prostate" in {NAMES[int(n)] for n in np.unique(b.labels) if n}) == (b.habitus.sex == "male")


def test_bones_are_bone_and_lungs_are_lung() -> None:
    b = body(0)
    for organ in ("femur_left", "hip_right", "vertebrae_T8", "rib_left_7", "sternum"):
        assert np.isin(b.tissue[b.labels == ID[organ]], BONE).mean() > 0.95, organ
    lobe = b.tissue[b.labels == ID["lung_lower_lobe_left"]]
    assert np.isin(lobe, (Material.LUNG, Material.LUNG_VESSEL, Material.AIRWAY)).all()
    assert not b.labels[b.tissue == Material.AIR].any()


def test_contrast_phases_order_the_enhancement() -> None:
    seen = {}
    for seed in range(60):
        c = draw_contrast(np.random.default_rng(seed))
        seen.setdefault(c.phase, c.mean)
    assert set(seen) == {"native", "arterial", "portal", "delayed"}
    assert seen["arterial"][Material.ARTERY] > seen["portal"][Material.ARTERY] > seen["native"][Material.ARTERY]
    assert seen["portal"][Material.LIVER] > seen["native"][Material.LIVER]
    assert seen["arterial"][Material.RENAL_CORTEX] > seen["arterial"][Material.RENAL_MEDULLA] + 30


def test_every_organ_with_candidates_is_planned_sometimes_and_normal_often() -> None:
    present = {ID[o] for o in BY_ORGAN}
    plans = [plan(present, np.random.default_rng(k), 0.4) for k in range(300)]
    counts = {slug: sum(any(s == slug for s, _ in p) for p in plans) for slug in ABNORMALITIES}
    assert min(counts.values()) > 20, counts
    livers = sum(any(label == ID["liver"] for _, label in p) for p in plans) / len(plans)
    assert 0.3 < livers < 0.5


def found(slug: str) -> list[tuple[WorldSample, PaintedFinding]]:
    return by_slug()[slug]


@cache
def by_slug() -> dict[str, list[tuple[WorldSample, PaintedFinding]]]:
    out: dict[str, list[tuple[WorldSample, PaintedFinding]]] = defaultdict(list)
    for seed in range(SAMPLES):
        for finding in sample(seed).findings:
            out[finding.abnormality].append((sample(seed), finding))
    return out


def test_all_twenty_abnormalities_occur_in_their_organs() -> None:
    assert len(ABNORMALITIES) == 20
    for slug, kind in ABNORMALITIES.items():
        assert found(slug), f"{slug} never occurs in {SAMPLES} samples"
        for s, f in found(slug):
            assert f.organ in kind.organs
            assert f.size_mm > 0 and f.severity in ("mild", "moderate", "severe")
            for (start, stop), c, n in zip(f.box, f.centre, s.hu.shape, strict=True):
                assert 0 <= start <= c < stop <= n


def inside(s: WorldSample, f: PaintedFinding) -> np.ndarray:
    return s.hu[tuple(slice(a, b) for a, b in f.box)].astype(float)


# what the voxels of a lesion say after blur and noise (HU at the 5 mm of this test): statistic, lower and upper limit
# of its median over samples
@pytest.mark.parametrize(
    ("slug", "statistic", "low", "high"),
    [
        ("kidney_stone", np.max, 170, 1500),
        ("gallstones", np.max, 90, 1000),
        ("bladder_stone", np.max, 150, 1400),
        ("aortic_calcification", np.max, 250, 1500),
        ("metal_implant", np.max, 1200, 3071),
        ("vertebra_sclerotic_lesion", np.max, 350, 1400),
        ("liver_cyst", np.median, -30, 60),
        ("kidney_cyst", np.median, -60, 90),
        ("lung_nodule", np.max, -350, 130),
        ("lung_consolidation", np.median, -750, 130),
        ("emphysema", lambda v: np.percentile(v, 3), -1024, -900),
        ("adrenal_nodule", np.median, -90, 110),
        ("pancreatic_cyst", np.median, -90, 90),
        ("hydronephrosis", lambda v: np.percentile(v, 30), -90, 90),
        ("vertebra_lytic_lesion", lambda v: np.percentile(v, 20), -90, 140),
    ],
)
def test_painted_voxels_have_the_density_of_their_lesion(slug: str, statistic, low: float, high: float) -> None:
    values = [float(statistic(inside(s, f))) for s, f in found(slug)]
    assert low < np.median(values) < high, (slug, sorted(values))


@pytest.mark.parametrize(
    ("slug", "organ", "brighter"),
    [
        ("kidney_stone", None, True),
        ("gallstones", None, True),
        ("bladder_stone", None, True),
        ("metal_implant", None, True),
        ("liver_cyst", None, False),
    ],
)
def test_lesions_stand_out_of_their_organ(slug: str, organ: None, brighter: bool) -> None:
    differences = []
    for s, f in found(slug):
        own = s.hu[s.labels == ID[f.organ]]
        if len(own) > 30:
            core = np.percentile(inside(s, f), 95 if brighter else 15)
            differences.append(float(core - np.median(own)))
    median = np.median(differences)
    assert median > 60 if brighter else median < -25, differences


def test_pleural_effusion_is_dependent_water() -> None:
    behind = []
    for s, f in found("pleural_effusion"):
        water = s.hu[max(0, f.centre[0] - 1) : f.centre[0] + 2, f.centre[1], f.centre[2]]
        assert -120 < np.median(water) < 120
        # another lobe shows where the middle of the lung is; a large effusion fills its own
        lung = np.argwhere(np.isin(s.labels, [ID[n] for n in NAMES.values() if n.startswith("lung_")]))
        behind.append(f.centre[1] - lung[:, 1].mean())
    assert min(behind) > 0, behind


def test_growth_grows() -> None:
    def volumes(organ: str, slug: str) -> tuple[float, float]:
        big, usual = [], []
        for seed in range(SAMPLES):
            s = sample(seed)
            where = np.flatnonzero((s.labels == ID[organ]).any((1, 2)))
            if len(where) == 0 or where[0] == 0 or where[-1] == s.labels.shape[0] - 1:
                continue
            grown = any(f.abnormality == slug for f in s.findings)
            (big if grown else usual).append(float((s.labels == ID[organ]).sum()))
        return float(np.median(big)), float(np.median(usual))

    for organ, slug in (("spleen", "splenomegaly"), ("heart", "cardiomegaly")):
        big, usual = volumes(organ, slug)
        assert big > 1.3 * usual, (organ, big, usual)


def test_steatotic_liver_is_darker_than_the_spleen() -> None:
    gaps = []
    for s, _ in found("liver_steatosis"):
        spleen = s.hu[s.labels == ID["spleen"]]
        if len(spleen) > 50:
            gaps.append(float(np.median(s.hu[s.labels == ID["liver"]]) - np.median(spleen)))
    assert np.mean(np.array(gaps) < 0) > 0.8, gaps


def test_sentences_name_side_and_size_and_stay_positive() -> None:
    s, f = found("kidney_stone")[0]
    said = organ_sentences(s, np.random.default_rng(0))
    text = said[f.organ]
    assert text.state == "abnormal" and "kidney_stone" in text.abnormalities
    assert any("left" in t or "right" in t for t in text.texts)
    assert any(" mm" in t or " cm" in t for t in text.texts)
    assert organ_sentences(s, np.random.default_rng(0)) == said
    present = {NAMES[int(n)] for n in np.unique(s.labels) if int(n) in NAMES}
    assert present <= set(said)
    normal = next(t for t in said.values() if t.state == "normal")
    assert normal.abnormalities == () and len(normal.texts) == 2


def test_wordings_are_many_and_evaluation_ones_are_kept_apart() -> None:
    assert set(PLAIN) == set(HELD_OUT) == {NORMAL, *ABNORMALITIES}
    assert set(MEASURED) == set(ABNORMALITIES)
    for slug, kind in ABNORMALITIES.items():
        for organ in kind.organs:
            train, kept = dictionary_sentences(organ, slug), held_out_sentences(organ, slug)
            assert len(set(train)) >= 8 and len(set(kept)) >= 3
            assert not {t.lower() for t in train} & {t.lower() for t in kept}, slug
    every = [t for table in (PLAIN, MEASURED, HELD_OUT) for texts in table.values() for t in texts]
    assert not [t for t in every if any(f" {w} " in f" {t.lower()} " for w in ("no", "not", "without", "absent"))]
    assert not [t for organ in BY_ORGAN for t in dictionary_sentences(organ, None) if "{" in t]
    assert len(set(organ_name_texts("kidney_left"))) >= 8 and all(
        "left" in t.lower() for t in organ_name_texts("kidney_left")
    )
