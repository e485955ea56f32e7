"""Plans: no abnormality starves, most organs are healthy, company is kept as in life, nothing contradicts itself."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from training.world.bodies.body import Sex
from training.world.findings.catalogue import ABNORMALITIES
from training.world.findings.patients import CONDITIONS, draw_conditions
from training.world.findings.plan import EXCLUSIVE, ONCE, QUIET, SPREAD, Choice, plan_for
from training.world.materials import ID

SCANS = 2000
COMMON = {"aorta", "heart"}
"""Organs whose calcium is truly common in the old."""


@cache
def patients() -> tuple[tuple[float, Sex, tuple[Choice, ...]], ...]:
    rng = np.random.default_rng(7)
    out = []
    for _ in range(SCANS):
        age = float(np.clip(rng.normal(58, 18), 18, 90))
        sex: Sex = "male" if rng.random() < 0.5 else "female"
        here = [o for o in ID if sex == "male" or o != "prostate"]
        out.append((age, sex, tuple(plan_for(here, age, sex, rng))))
    return tuple(out)


def shows(slug: str, organ: str | None = None) -> np.ndarray:
    return np.array([any(s == slug and organ in (None, o) for s, o in c) for _, _, c in patients()])


def test_no_abnormality_starves() -> None:
    men = np.array([sex == "male" for _, sex, _ in patients()])
    rare = {}
    for slug, kind in ABNORMALITIES.items():
        scans = shows(slug)[men] if kind.organs == ("prostate",) else shows(slug)
        if scans.mean() < 0.01:
            rare[slug] = scans.mean()
    assert not rare


def test_most_organs_are_healthy_and_most_scans_are_not() -> None:
    ill = Counter(o for _, _, chosen in patients() for o in {o for _, o in chosen})
    sick = {o: n / SCANS for o, n in ill.items() if n > 0.4 * SCANS and o not in COMMON}
    assert not sick
    assert np.mean([bool(chosen) for _, _, chosen in patients()]) > 0.9
    chest = [o for o in ID if o.startswith(("lung", "rib", "heart", "aorta", "vertebrae_T"))]
    some = [bool(plan_for(chest, 50.0, "female", np.random.default_rng(k))) for k in range(300)]
    assert 0.5 < np.mean(some) < 0.98


def test_choices_are_of_the_catalogue_and_of_organs_in_view() -> None:
    for _, sex, chosen in patients():
        assert len(set(chosen)) == len(chosen)
        for slug, organ in chosen:
            assert organ in ABNORMALITIES[slug].organs
            assert sex == "male" or organ != "prostate"
    order = list(ABNORMALITIES)
    for _, _, chosen in patients()[:200]:
        assert [order.index(s) for s, _ in chosen] == sorted(order.index(s) for s, _ in chosen)
    kidney = ["kidney_left"]
    assert {o for k in range(100) for _, o in plan_for(kidney, 60.0, "male", np.random.default_rng(k))} == set(kidney)


@pytest.mark.parametrize("group", EXCLUSIVE, ids=" ".join)
def test_what_excludes_each_other_is_not_in_one_organ(group: tuple[str, ...]) -> None:
    for _, _, chosen in patients():
        at = Counter(o.replace("femur_", "hip_") for o, s in {(o, s) for s, o in chosen if s in group})
        assert not any(
            n > 1 and len({s for s, o in chosen if o.endswith(place[4:])} & set(group)) > 1 for place, n in at.items()
        )


def test_diffuse_kinds_are_painted_once() -> None:
    for slug in ONCE:
        assert all(sum(s == slug for s, _ in chosen) <= 1 for _, _, chosen in patients()), slug
    both = [sum(s == "kidney_cyst" for s, _ in chosen) for _, _, chosen in patients()]
    assert max(both) == 2


def test_company_is_kept_and_age_tells() -> None:
    ages = np.array([age for age, _, _ in patients()])
    old, young = ages > 70, ages < 45
    for slug, factor in (("aortic_calcification", 2), ("degenerative_spine", 2), ("osteoporosis", 3)):
        assert shows(slug)[old].mean() > factor * shows(slug)[young].mean(), slug
    for slug, friend in (
        ("cirrhosis", "splenomegaly"),
        ("cardiomegaly", "pleural_effusion"),
        ("liver_metastasis", "lung_nodule"),
        ("pancreatic_calcification", "pancreatic_duct_dilatation"),
        ("osteoporosis", "vertebral_compression_fracture"),
    ):
        a, b = shows(slug), shows(friend)
        assert b[a].mean() > 1.3 * b[~a].mean(), (slug, friend)


def test_rate_scales_and_seeds_reproduce() -> None:
    def count(rate: float) -> int:
        return sum(len(plan_for(list(ID), 60.0, "male", np.random.default_rng(k), rate)) for k in range(60))

    assert count(0.0) == 0
    assert count(0.3) < 0.6 * count(1.0) < count(1.0) < count(3.0)
    first, again, other = (plan_for(list(ID), 60.0, "male", np.random.default_rng(k)) for k in (3, 3, 4))
    assert first == again != other


def test_conditions_follow_age_and_sex() -> None:
    assert not any(
        "prostate hyperplasia" in draw_conditions(75.0, "female", np.random.default_rng(k)) for k in range(60)
    )
    for name, condition in CONDITIONS.items():
        assert all(0 <= condition.chance(age, sex) <= 0.95 for age in (0, 18, 60, 100) for sex in ("male", "female")), (
            name
        )


def test_tables_name_what_exists() -> None:
    named = (
        {s for c in CONDITIONS.values() for s in c.brings} | set(ONCE) | set(SPREAD) | {s for g in EXCLUSIVE for s in g}
    )
    assert not named - set(ABNORMALITIES)
    assert not set(QUIET) - {a.anatomy for a in ABNORMALITIES.values()}
    assert all(0 < p < 1 for c in CONDITIONS.values() for p in c.brings.values())
