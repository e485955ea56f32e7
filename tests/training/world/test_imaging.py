"""From materials to Hounsfield units: published ranges, phases, noise as reconstruction makes it, slices, artefacts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from training.world.deform import take
from training.world.imaging.contrast import PHASES, Contrast, Phase, draw_contrast
from training.world.imaging.couch import add_couch
from training.world.imaging.fields import Interpolated, spread, upsampled
from training.world.imaging.noise import Grain
from training.world.imaging.rays import Rays, hardening
from training.world.imaging.render import render
from training.world.imaging.scanner import EMPTY, Noise, Protocol, Slices, acquire, kernel
from training.world.materials import ID, Material
from training.world.realism import likeness, organ_values, overlap, table
from training.world.sample import PROCEDURAL
from training.world.scene import Scene, label_boxes, tight_box

M = Material
CPU = torch.device("cpu")
PLAIN = Protocol(0.2, 2.0, 2.0, 8.0, False, 0.0, 0.4, 0.7, False)


@cache
def drawn(phase: Phase, count: int = 60, age: float = 55.0) -> list[Contrast]:
    return [draw_contrast(np.random.default_rng([n, 1]), age=age, phase=phase) for n in range(count)]


def means(phase: Phase, material: Material) -> np.ndarray:
    return np.array([c.mean[material] for c in drawn(phase)])


def phantom(shape: tuple[int, int, int] = (40, 96, 96), spacing: float = 3.0) -> Scene:
    """A cylinder of muscle that holds two rods of cortical bone and some liver."""
    p, x = torch.meshgrid(torch.arange(shape[1]) - shape[1] / 2, torch.arange(shape[2]) - shape[2] / 2, indexing="ij")
    plane = torch.zeros(shape[1:], dtype=torch.uint8)
    plane[(p / 32) ** 2 + (x / 44) ** 2 < 1] = int(M.MUSCLE)
    for side in (-1, 1):
        plane[p**2 + (x - side * 26) ** 2 < 36] = int(M.CORTEX)
    tissue = plane.expand(shape).clone()
    labels = (tissue == int(M.MUSCLE)).to(torch.uint8) * ID["liver"]
    scene = Scene(labels, tissue, spacing, drawn("native")[0], label_boxes(labels))
    hu = torch.full(shape, -1000.0)
    hu[tissue == int(M.MUSCLE)] = 50.0
    hu[tissue == int(M.CORTEX)] = 900.0
    scene.hu = hu
    return scene


@pytest.mark.parametrize(
    ("phase", "material", "low", "high"),
    [
        ("native", M.LIVER, 40, 72),
        ("native", M.SPLEEN, 34, 60),
        ("native", M.RENAL_CORTEX, 15, 45),
        ("native", M.ARTERY, 28, 60),
        ("native", M.MUSCLE, 20, 68),
        ("native", M.FAT, -125, -75),
        ("native", M.LUNG, -920, -700),
        ("arterial", M.ARTERY, 200, 560),
        ("arterial", M.LIVER, 45, 110),
        ("portal", M.LIVER, 75, 155),
        ("portal", M.PORTAL, 100, 260),
        ("portal", M.ARTERY, 100, 250),
        ("delayed", M.ARTERY, 70, 160),
    ],
)
def test_organs_lie_in_published_ranges(phase: Phase, material: Material, low: float, high: float) -> None:
    values = means(phase, material)
    assert values.min() >= low and values.max() <= high
    assert np.ptp(values) > 0.3 * (high - low)


def test_phases_differ_as_they_should() -> None:
    for c in drawn("native"):
        blood = c.mean[[M.ARTERY, M.VEIN, M.PORTAL, M.BLOOD_LEFT, M.BLOOD_RIGHT]]
        assert np.ptp(blood) <= 4 and c.mean[M.URINE] < 20 and not c.excretion
        assert c.mottle == 0
    for c in drawn("arterial"):
        assert c.mean[M.ARTERY] > c.mean[M.VEIN] + 80 and c.mean[M.ARTERY] > c.mean[M.PORTAL] + 50
        assert c.mean[M.RENAL_CORTEX] > c.mean[M.RENAL_MEDULLA] + 30
    for c in drawn("portal"):
        assert c.mean[M.PORTAL] > c.mean[M.LIVER]
        assert abs(c.mean[M.VEIN] / c.mean[M.ARTERY] - 1) < 0.5
    liver = [float(means(p, M.LIVER).mean()) for p in PHASES]
    assert liver[0] < liver[1] < liver[3] < liver[2] and liver[1] - liver[0] < 20 < 40 < liver[2] - liver[0]
    excreted = [np.mean([c.excretion for c in drawn(p)]) for p in PHASES]
    assert excreted[3] > 0.6 > 0.3 > excreted[2] and excreted[0] == 0
    assert any(c.mottle > 10 for c in drawn("arterial")) and any(c.mottle == 0 for c in drawn("arterial"))


def test_excretion_can_be_ruled_out() -> None:
    for n in range(40):
        c = draw_contrast(np.random.default_rng(n), excretion=False, phase="delayed")
        assert not c.excretion and c.mean[M.URINE] < 20 and c.mean[M.RENAL_PELVIS] < 20


def test_one_dose_moves_all_organs() -> None:
    liver, spleen, aorta = (means("portal", m) for m in (M.LIVER, M.SPLEEN, M.ARTERY))
    assert np.corrcoef(liver, spleen)[0, 1] > 0.3 and np.corrcoef(liver, aorta)[0, 1] > 0.3


def test_trabecular_bone_thins_with_age_but_is_never_osteoporotic() -> None:
    young, old = (np.array([c.mean[M.SPONGIOSA] for c in drawn("native", 60, age)]) for age in (30.0, 75.0))
    assert 1.5 < (young.mean() - old.mean()) / 45 < 3.2
    assert old.min() > 90


def test_low_voltage_brightens_iodine_and_bone() -> None:
    scans = [draw_contrast(np.random.default_rng(n), phase="arterial") for n in range(400)]
    low, high = ([c.mean for c in scans if keep(c.kvp)] for keep in (lambda k: k <= 100, lambda k: k >= 120))
    assert np.mean([m[M.ARTERY] for m in low]) > 1.06 * np.mean([m[M.ARTERY] for m in high])
    assert np.mean([m[M.CALCIUM] for m in low]) > 1.03 * np.mean([m[M.CALCIUM] for m in high])
    assert np.mean([m[M.FAT] for m in low]) < np.mean([m[M.FAT] for m in high])


def test_rendered_organs_keep_their_mean_and_have_texture() -> None:
    body = PROCEDURAL.body(0, 4.0)
    labels, tissue = take(body, np.random.default_rng(0), region="abdomen")
    contrast = drawn("portal")[3]
    hu = render(tissue, labels, contrast, np.random.default_rng(1))
    again = render(tissue, labels, contrast, np.random.default_rng(1))
    assert torch.equal(hu, again) and torch.isfinite(hu).all()
    for material, slack in ((M.LIVER, 5), (M.SPLEEN, 5), (M.FAT, 8), (M.ARTERY, 5)):
        values = hu[tissue == int(material)]
        assert abs(float(values.mean()) - contrast.mean[material]) < slack, material
        assert float(values.std()) > 0.3


def test_slabs_equal_the_whole() -> None:
    knots = torch.from_numpy(np.random.default_rng(0).standard_normal((5, 6, 7)).astype(np.float32))
    shape = (23, 31, 29)
    reference = torch.nn.functional.interpolate(knots[None, None], size=shape, mode="trilinear", align_corners=True)[
        0, 0
    ]
    assert torch.allclose(upsampled(knots, shape), reference, atol=1e-5)
    whole = Interpolated(knots, shape)
    parts = torch.cat([whole.slab(slice(a, min(a + 5, 23))) for a in range(0, 23, 5)])
    assert torch.allclose(parts, reference, atol=1e-5)


def test_spreading_keeps_the_sum_and_repeats_the_ends() -> None:
    flat = torch.full((9, 8, 7), 5.0)
    for axis in range(3):
        spread(flat, axis, (0.5, 0.2, 0.05))
    assert torch.allclose(flat, torch.tensor(5.0))
    point = torch.zeros(9, 9, 9)
    point[4, 4, 4] = 1
    spread(point, 1, (0.5, 0.2, 0.05))
    assert point[4, 2:7, 4].tolist() == pytest.approx([0.05, 0.2, 0.5, 0.2, 0.05]) and point.sum() == pytest.approx(1)


def power(sharpness: float, spacing: float = 1.0) -> Tensor:
    """Radial noise power from zero to the Nyquist frequency, ten bins."""
    sigma = (1.0 - 0.6 * sharpness) / spacing
    noise = Grain(sigma, 0.16 * sharpness, 0.0, (192, 192), CPU, 5).slices(12)
    spectrum = torch.fft.fft2(noise).abs().square().mean(0)
    f = torch.fft.fftfreq(192)
    radius = (f[:, None] ** 2 + f**2).sqrt()
    return torch.stack([spectrum[(radius >= r / 20) & (radius < (r + 1) / 20)].mean() for r in range(10)])


def test_noise_has_no_power_at_zero_and_sharp_kernels_are_finer() -> None:
    soft, sharp = power(0.0), power(1.0)
    for spectrum in (soft, sharp):
        assert spectrum[0] < 0.35 * spectrum.max()
    assert soft.argmax() < sharp.argmax()
    assert soft[8:].sum() / soft.sum() < 0.2 < sharp[8:].sum() / sharp.sum()


def test_noise_has_the_stated_size_and_overlapping_slices_share_it() -> None:
    apart = Grain(0.5, 0.05, 0.0, (96, 96), CPU, 3)
    noise = torch.cat([apart.slices(8), apart.slices(8)])
    assert float(noise.std()) == pytest.approx(1, abs=0.05)
    shared = Grain(0.5, 0.05, 0.3, (96, 96), CPU, 3)
    both = torch.cat([shared.slices(8), shared.slices(8)])

    def between(v: Tensor) -> float:
        return float((v[1:] * v[:-1]).mean() / v.square().mean())

    assert abs(between(noise)) < 0.05 and between(both) == pytest.approx(0.3, abs=0.05)


def test_scan_noise_follows_the_protocol_and_is_worse_where_rays_are_starved() -> None:
    def sd(noise: float, wide: bool = False) -> float:
        scene = phantom()
        if wide:  # a body that is denser from side to side in its lower half
            scene.image[20:, 32:64] += 600
        before = scene.image.clone()
        rays = Rays.of(before, 3.0, torch.arange(40.0).double())
        added = torch.zeros_like(before)
        protocol = replace(PLAIN, noise=noise, modulation=0.3)
        Noise.of(rays, 3.0, protocol, np.random.default_rng(0)).add_to(added, slice(0, 40))
        lower, upper = added[24:, 40:56, 40:56].std(), added[:16, 40:56, 40:56].std()
        return float(lower / upper) if wide else float(upper)

    assert 4 < sd(8.0) < 16 and sd(16.0) / sd(8.0) == pytest.approx(2, rel=0.01)
    assert sd(8.0, wide=True) > 1.25


def profile(thickness: float, increment: float, blocky: bool = False) -> Tensor:
    """A plate of one voxel, as the scanner shows it along I at 1 mm."""
    hu = torch.zeros(61, 4, 4)
    hu[30] = 100
    slices = Slices.of(61, 1.0, replace(PLAIN, thickness=thickness, increment=increment, blocky=blocky))
    cut = slices.cut(hu, slice(0, len(slices.middle)))
    return (slices.back(cut, slice(0, 61)) if slices.thick else cut)[:, 0, 0]


def test_slice_thickness_is_seen_along_the_body() -> None:
    thin, thick = profile(1.0, 1.0), profile(5.0, 2.5)
    assert float(thin.max()) > 60 and float(thick.max()) == pytest.approx(20, abs=2)
    assert int((thin > thin.max() / 2).sum()) <= 2 and 4 <= int((thick > thick.max() / 2).sum()) <= 8
    blocky = profile(5.0, 5.0, blocky=True)
    assert len(blocky.unique()) <= 3 and int((blocky > 1).sum()) == 5
    for p in (thin, thick, blocky):
        assert float(p.sum()) == pytest.approx(100, rel=0.03)


def test_flat_volumes_stay_flat_through_thick_slices() -> None:
    slices = Slices.of(40, 2.0, replace(PLAIN, thickness=5.0, increment=4.0))
    cut = slices.cut(torch.full((40, 3, 3), 7.0), slice(0, len(slices.middle)))
    assert torch.allclose(slices.back(cut, slice(0, 40)), torch.tensor(7.0), atol=1e-4)


def test_kernels_sum_to_one_and_only_sharp_ones_overshoot() -> None:
    for sharpness in (0.0, 0.5, 1.0):
        taps = kernel(sharpness, 1.0)
        assert taps[0] + 2 * taps[1:].sum() == pytest.approx(1, abs=1e-6)
        edge = torch.zeros(1, 1, 30)
        edge[..., 15:] = 100
        spread(edge, 2, taps)
        assert (float(edge.max()) > 104) == (sharpness > 0.9)


def test_beam_hardening_darkens_between_bones() -> None:
    hu = phantom().image
    rays = Rays.of(hu, 3.0, torch.arange(40.0).double())
    bands = rays.map(hardening(rays, 0.05, 3.0))
    out = torch.zeros_like(hu)
    bands.add_to(out, slice(0, 40))
    between, above = out[:, 46:50, 40:56].mean(), out[:, 22:26, 40:56].mean()
    assert float(between) < -3 and abs(float(above)) < 0.5 * abs(float(between))
    nothing = Rays.of(hu.clamp(max=60), 3.0, torch.arange(40.0).double())
    assert float(hardening(nothing, 0.05, 3.0).abs().max()) < 0.1


def test_streaks_only_where_metal_is() -> None:
    plain, metal = (phantom() for _ in range(2))
    box = (slice(15, 20), slice(44, 52), slice(44, 52))
    metal.metal.append((box, torch.ones(5, 8, 8, dtype=torch.bool)))
    # drawing streaks moves the stream of random numbers on, so that noise would differ
    protocol = replace(PLAIN, thickness=3.0, increment=3.0, noise=0.0)
    one, two = (acquire(s, np.random.default_rng(3), protocol).int() for s in (plain, metal))
    inside = (two != EMPTY) & (one != EMPTY) & (plain.tissue == int(M.MUSCLE))
    change = (two - one).abs() * inside
    assert float(change[15:20].float().max()) > 40
    assert int(change[:13].max()) <= 1 and int(change[22:].max()) <= 1


def test_couch_is_behind_the_body() -> None:
    body = PROCEDURAL.body(0, 4.0)
    _, tissue = take(body, np.random.default_rng(1), region="abdomen")
    pad = torch.nn.functional.pad
    tissue = pad(tissue, (4, 4, 0, 16))
    drawn_once = 0
    for seed in range(6):
        hu = torch.where(tissue == int(M.AIR), -1000.0, 40.0)
        before = hu.clone()
        add_couch(hu, tissue, 4.0, np.random.default_rng(seed))
        new = hu != before
        drawn_once += bool(new.any())
        assert bool((tissue[new] == int(M.AIR)).all())
        front = torch.nonzero(tissue != int(M.AIR))[:, 1].min()
        assert not bool(new[:, : int(front) + 5].any())
    assert drawn_once == 6


def test_field_of_view_is_round_and_takes_the_labels_with_it() -> None:
    seen = 0
    for seed in range(40):
        scene = phantom((4, 96, 96))
        hu = acquire(scene, np.random.default_rng(seed))
        outside = hu == EMPTY
        seen += bool(outside.any())
        assert not bool(scene.labels[outside].any())
        assert bool((outside == outside[:1]).all()) and not bool(outside[:, 48, 48].any())
    assert 8 <= seen <= 25


def test_seeds_reproduce_and_differ() -> None:
    one, two, other = (acquire(phantom(), np.random.default_rng(s)) for s in (7, 7, 8))
    assert one.dtype == torch.int16 and one.shape == (40, 96, 96)
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_acquired_hu_stay_true_on_average() -> None:
    for seed in range(6):
        scene = phantom()
        hu = acquire(scene, np.random.default_rng(seed), replace(PLAIN, noise=10.0))
        inner = hu[5:35, 40:56, 38:58].float()
        assert abs(float(inner.mean()) - 50) < 4 and 3 < float(inner.std()) < 25


def test_odd_volumes_are_rendered_and_scanned() -> None:
    for shape in ((1, 30, 30), (3, 17, 40), (9, 60, 20), (12, 12, 12), (70, 21, 23)):
        scene = phantom(shape)
        scene.hu = render(scene.tissue, scene.labels, scene.contrast, np.random.default_rng(0))
        assert torch.isfinite(scene.hu).all()
        assert acquire(scene, np.random.default_rng(1)).shape == shape


def test_boxes_are_those_of_the_labels() -> None:
    labels = (torch.rand(11, 9, 13, generator=torch.Generator().manual_seed(0)) * 5).to(torch.uint8)
    labels[:6][labels[:6] == 4] = 0
    boxes = label_boxes(labels)
    assert boxes[:4] == [tight_box(labels == k) for k in range(1, 5)] and boxes[4:] == [None] * 251


def test_likeness_of_a_scan_with_itself_is_one_and_with_another_less() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:10] = ID["liver"]
    hu = np.where(labels > 0, 50, -100).astype(np.int16) + rng.normal(0, 10, labels.shape).astype(np.int16)
    mine = organ_values(hu, labels)
    assert set(mine) == {"liver", "fat"}
    rows = likeness(mine, [mine])
    assert [r.overlap for r in rows] == pytest.approx([1, 1]) and all(r.covered for r in rows)
    brighter = likeness(mine, [organ_values((hu + 60).astype(np.int16), labels)])
    assert brighter[0].organ == "liver" and brighter[0].overlap < 0.05 and not brighter[0].covered
    assert "liver" in table(rows) and overlap(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == 0.5
