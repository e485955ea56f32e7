"""Painting into real scans: what was not painted stays bit for bit, what was is right in HU, place, side and noise."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_masks, read_scan
from training.world.imaging.measure import phase_of
from training.world.materials import ID, Material
from training.world.paint import PaintedScan, paint_scan
from training.world.paint_command import FILES, PaintConfig, paint_command, wish_of

from ...scan.makers import ipl_affine, stored_as, write_nifti, write_scan

SPACING = (4.0, 2.5, 2.5)
NOISE = 12.0
ORGANS = {  # centre and radii (I, P, L) in mm, HU
    "liver": ((90, 100, 75), (60, 55, 55), 58),
    "spleen": ((80, 130, 205), (35, 28, 22), 48),
    "kidney_left": ((125, 150, 180), (38, 22, 22), 32),
    "kidney_right": ((125, 160, 100), (38, 22, 22), 32),
    "aorta": ((100, 135, 142), (200, 9, 9), 42),
    "gallbladder": ((140, 90, 110), (20, 12, 12), 8),
}


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """HU and labels of a body of fat with a few organs, with noise that is correlated in plane."""
    shape = (45, 92, 112)
    i, p, x = (g * d for g, d in zip(np.ogrid[: shape[0], : shape[1], : shape[2]], SPACING, strict=True))
    body = ((p - 115) / 95.0) ** 2 + ((x - 140) / 125.0) ** 2 < 1
    hu = np.where(body, -100.0, -1000.0) + 0 * i
    labels = np.zeros(shape, np.uint8)
    for organ, (centre, radii, value) in ORGANS.items():
        inside = sum(((q - c) / r) ** 2 for q, c, r in zip((i, p, x), centre, radii, strict=True)) < 1
        inside &= labels == 0
        hu[inside], labels[inside] = value, ID[organ]
    hu = ndi.gaussian_filter(hu, (0.3, 0.4, 0.4))
    noise = ndi.gaussian_filter(np.random.default_rng(0).normal(0, 1, shape), (0, 0.6, 0.6))
    return np.rint(hu + noise * NOISE / noise.std()).astype(np.int16), labels


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The phantom as files in LAS order, masks with v2 numbers."""
    root = tmp_path_factory.mktemp("scan")
    hu, labels = phantom()
    affine = ipl_affine(SPACING, (-140.0, -110.0, 90.0))
    write_scan(root / "ct.nii.gz", hu, "LAS", affine=affine)
    data, ras = stored_as(labels, affine, "LAS")
    write_nifti(root / "seg.nii.gz", np.ascontiguousarray(data), ras)
    return root / "ct.nii.gz", root / "seg.nii.gz"


@pytest.fixture(scope="module")
def opened(files):
    scan = read_scan(files[0])
    return scan, read_masks(files[1], scan, scheme="v2")


WISHES = (("liver_cyst", "liver"), ("kidney_cyst", "kidney_left"), ("gallbladder_distension", "gallbladder"))


def big(scan, masks, wishes, first: int) -> PaintedScan:
    """Painted with the first seed that gives lesions with a core to measure."""
    for seed in range(first, first + 8):
        painted = paint_scan(scan, masks, wishes, seed)
        if len(painted.findings) == len(wishes) and all(core(scan, f).sum() > 60 for f in painted.findings[-2:]):
            return painted
    raise AssertionError("no seed painted lesions of some size")


def whole(scan, finding) -> np.ndarray:
    mask = np.zeros(scan.hu.shape, bool)
    mask[finding.slices] = finding.mask.numpy()
    return mask


def core(scan, finding, mm: float = 4.5) -> np.ndarray:
    """The part of a finding that no blur reaches."""
    return ndi.distance_transform_edt(whole(scan, finding), sampling=scan.spacing) > mm


def grain(hu: np.ndarray, mask: np.ndarray) -> float:
    """Standard deviation of the noise: of differences to the next voxel across the slices."""
    step = np.diff(hu.astype(float), axis=0)[mask[1:] & mask[:-1]]
    return float(step.std() / np.sqrt(2))


@pytest.fixture(scope="module")
def painted(opened):
    return big(*opened, WISHES, 2)


@pytest.fixture(scope="module")
def real(shared_data):
    scan = read_scan(shared_data / "ct/ts_abdomen/ct.nii.gz")
    masks = read_masks(shared_data / "ct/ts_abdomen/seg_v2_multilabel.nii.gz", scan)
    return scan, masks, big(scan, masks, WISHES[:2], 2)


def check_untouched(scan, result) -> None:
    reach = np.zeros(scan.hu.shape, bool)
    for finding in result.findings:
        reach |= whole(scan, finding)
    far = ndi.distance_transform_edt(~reach, sampling=scan.spacing) > 14
    assert far.mean() > 0.5
    assert np.array_equal(result.hu[far], scan.hu[far])
    assert (result.hu != scan.hu).sum() > 50
    assert result.hu.dtype == np.int16


def check_cysts(scan, masks, result, slugs=("liver_cyst", "kidney_cyst")) -> None:
    number = {name: label for label, name in masks.names.items()}
    for finding in (f for f in result.findings if f.abnormality in slugs):
        inside = core(scan, finding)
        assert -12 < result.hu[inside].mean() < 28, finding
        organ = ndi.binary_erosion(masks.labels == number[finding.organ], iterations=3)
        untouched = organ & (ndi.distance_transform_edt(~whole(scan, finding)) > 3)
        reference = (
            untouched if untouched.sum() > 500 else ndi.binary_erosion(masks.labels == number["liver"], iterations=3)
        )
        ratio = grain(result.hu, inside) / grain(scan.hu, reference)
        assert 0.5 < ratio < 2.0, (finding, ratio)


def test_voxels_that_nothing_was_painted_into_are_bit_identical(opened, painted):
    check_untouched(opened[0], painted)


def test_cysts_are_water_with_the_noise_of_the_scan(opened, painted):
    check_cysts(*opened, painted)
    assert 0.6 * NOISE < painted.noise_hu < 1.5 * NOISE


def test_findings_lie_in_their_organ_on_their_side(opened, painted):
    scan, masks = opened
    by_slug = {f.abnormality: f for f in painted.findings}
    liver = whole(scan, by_slug["liver_cyst"])
    assert (masks.labels[liver] == ID["liver"]).mean() > 0.95
    left = whole(scan, by_slug["kidney_cyst"])
    kidney = ndi.binary_dilation(masks.labels == ID["kidney_left"], iterations=3)
    assert kidney[left].mean() > 0.2, "a cyst may bulge out of the kidney, but lies on it"
    assert np.nonzero(left)[2].mean() * SPACING[2] > 140, "patient's left is at larger L"
    assert not (painted.labels == masks.labels).all(), "the gallbladder grew"


def test_what_grows_keeps_its_own_attenuation(opened, painted):
    _, masks = opened
    finding = next(f for f in painted.findings if f.abnormality == "gallbladder_distension")
    new = (painted.labels == ID["gallbladder"]) & (masks.labels != ID["gallbladder"])
    deep = new & (ndi.distance_transform_edt(painted.labels == ID["gallbladder"], sampling=SPACING) > 4)
    assert finding.volume_factor is not None and finding.volume_factor > 1.1
    assert -15 < painted.hu[deep].mean() < 30, "bile, where there was fat"


def test_the_lesion_map_names_each_finding_by_its_number(opened, painted):
    for n, finding in enumerate(painted.findings, 1):
        mask = whole(opened[0], finding)
        assert mask[finding.centre]
        assert (painted.lesions[mask] >= n).all()
    assert painted.lesions.max() == len(painted.findings)


def test_the_same_seed_paints_the_same_and_another_one_another(opened):
    wishes = WISHES[:1]
    a, b, c = (paint_scan(*opened, wishes, seed) for seed in (3, 3, 4))
    assert np.array_equal(a.hu, b.hu) and np.array_equal(a.lesions, b.lesions)
    assert not np.array_equal(a.hu, c.hu)


def test_an_organ_that_is_not_there_is_left_out(opened):
    scan, masks = opened
    result = paint_scan(scan, masks, [("bladder_stone", None)], 0)
    assert result.left_out == (("bladder_stone", None),)
    assert np.array_equal(result.hu, scan.hu) and np.array_equal(result.labels, masks.labels)


def test_a_real_scan_keeps_its_other_voxels_and_gets_right_cysts(real):
    scan, masks, result = real
    check_untouched(scan, result)
    check_cysts(scan, masks, result)
    assert result.contrast.phase == "native"
    liver, left = (whole(scan, f) for f in result.findings)
    assert (masks.labels[liver] == ID["liver"]).mean() > 0.95
    kidney = masks.labels == ID["kidney_left"]
    assert abs(np.nonzero(left)[2].mean() - np.nonzero(kidney)[2].mean()) * 3 < 60
    spine = np.isin(masks.labels, [ID[f"vertebrae_L{n}"] for n in range(1, 6)])
    assert np.nonzero(left)[2].min() > np.nonzero(spine)[2].mean(), "left of the spine"
    assert 5 < result.noise_hu < 20


@pytest.mark.parametrize(
    "means, phase",
    [
        ({Material.ARTERY: 42.0}, "native"),
        ({Material.ARTERY: 300.0, Material.PORTAL: 90.0}, "arterial"),
        ({Material.ARTERY: 150.0, Material.PORTAL: 160.0, Material.LIVER: 105.0}, "portal"),
        ({Material.ARTERY: 100.0, Material.PORTAL: 100.0, Material.LIVER: 85.0}, "delayed"),
    ],
)
def test_the_phase_is_read_from_blood(means, phase):
    assert phase_of(means) == phase


def test_the_command_writes_on_the_grid_of_the_file(files, tmp_path, capsys):
    out = tmp_path / "painted"
    config = PaintConfig(*files, abnormality=("cyst:liver", "renal cyst:left kidney"), out=out, seed=1)
    result = paint_command(config)
    before, after = nib.load(files[0]), nib.load(out / "ct.nii.gz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["painted"], "nothing half written is left"
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)
    assert np.array_equal(before.affine, after.affine) and before.shape == after.shape
    assert after.get_data_dtype() == np.int16
    changed = np.asarray(before.dataobj) != np.asarray(after.dataobj)
    assert 0 < changed.mean() < 0.1
    assert np.array_equal(read_scan(out / "ct.nii.gz").hu, result.hu)
    rows = json.loads((out / "findings.json").read_text())["findings"]
    lesions = np.asarray(nib.load(out / "lesions.nii.gz").dataobj)
    assert {r["abnormality"]: r["organ"] for r in rows} == {"liver_cyst": "liver", "kidney_cyst": "kidney_left"}
    for row in rows:
        assert lesions[tuple(row["centre_voxel"])] == row["lesion"]
        assert "left" not in row["organ"] or row["centre_lps_mm"][0] > 0
    scan = read_scan(out / "ct.nii.gz")
    masks = read_masks(out / "masks.nii.gz", scan)
    assert masks.scheme == "names in the file" and "kidney_left" in masks.names.values()
    assert np.array_equal(masks.labels, result.labels)
    assert "kidney cyst in kidney_left" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, wish",
    [
        ("renal cyst", ("kidney_cyst", None)),
        ("liver_cyst", ("liver_cyst", None)),
        ("stone:kidney_left", ("kidney_stone", "kidney_left")),
        ("stone in the left kidney", ("kidney_stone", "kidney_left")),
        ("cholelithiasis", ("gallstones", "gallbladder")),
        ("Cyst: Liver", ("liver_cyst", "liver")),
    ],
)
def test_names_are_read_as_people_write_them(text, wish):
    slug, organ = wish_of(text)
    assert slug == wish[0] and organ in (wish[1], None if wish[1] == "gallbladder" else wish[1])


@pytest.mark.parametrize(
    "text, says",
    [
        ("renl cyst", "renal cyst"),
        ("stone", "may mean kidney stone"),
        ("renal cyst:liver", "cannot be painted in liver"),
        ("renal cyst:left kidny", "nearest: kidney_left"),
        ("", "no abnormality"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_is_nearest(text, says):
    with pytest.raises(UserError, match=says):
        wish_of(text)


def test_bad_input_of_the_command_is_told(files, tmp_path):
    with pytest.raises(UserError, match="Say what to paint"):
        paint_command(PaintConfig(*files, out=tmp_path / "o"))
    with pytest.raises(UserError, match="finds no place"):
        paint_command(PaintConfig(*files, abnormality=("bladder stone",), out=tmp_path / "o"))
    assert not (tmp_path / "o").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        paint_command(PaintConfig(*files, abnormality=("liver cyst",), out=tmp_path / "file"))
