"""The audit says what is odd about a scan, and nothing about a sound one."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctvlp.scan import audit_volume, read_scan

from .makers import body, ipl_affine, write_scan

NAMES = ["orientation", "spacing", "field of view", "HU range", "rescale", "slices", "tilt"]
BIG = (24, 60, 60)


def found(audit, name):
    return next(i for i in audit.items if i.name == name)


def test_items_and_their_order(tmp_path):
    audit = read_scan(write_scan(tmp_path / "a.nii.gz", body(BIG), "LAS")).audit
    assert [i.name for i in audit.items] == NAMES
    assert audit.severity == "ok"
    text = str(audit)
    assert text.split()[0] == "orientation" and len(text.splitlines()) == 7
    assert "stored as LAS" in text and "3 x 1.5 x 2 mm" in text and "72 x 90 x 120 mm" in text


def test_a_plain_array_can_be_audited():
    audit = audit_volume(body(BIG), ipl_affine())
    assert [i.name for i in audit.items] == NAMES and audit.severity == "ok"
    assert "IPL" in found(audit, "orientation").value


def mr():
    rng = np.random.default_rng(0)
    return np.clip(rng.gamma(2.0, 200.0, BIG), 0, None).astype(np.int16)


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        (mr(), "HU range", "looks like MR"),
        (np.maximum(body(BIG), -1024) + 1024, "rescale", "not applied"),
        (body(BIG) - 1024, "rescale", "applied twice"),
        (np.random.default_rng(0).integers(0, 2, BIG), "HU range", "normalised"),
        (np.full(BIG, 1500) + np.arange(60), "HU range", "MR"),
        (np.random.default_rng(0).integers(-1024, -900, BIG), "HU range", "implausible"),
        (np.where(np.arange(60) < 30, -900, 600) * np.ones(BIG), "HU range", "soft tissue"),
    ],
    ids=["mr", "no intercept", "intercept twice", "normalised", "bright", "air", "no tissue"],
)
@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_implausible_values_open_with_a_warning(values, name, words, dtype, tmp_path):
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", values.astype(dtype)))
    np.testing.assert_array_equal(scan.hu, values.astype(np.int16))
    item = found(scan.audit, name)
    assert item.severity == "warning" and words in item.value
    assert scan.audit.severity == "warning"
    assert str(scan.audit).splitlines()[NAMES.index(name)].startswith("! ")


def test_uint16_without_intercept(tmp_path):
    values = (np.maximum(body(BIG), -1024) + 1024).astype(np.uint16)
    scan = read_scan(write_scan(tmp_path / "a.nii.gz", values))
    assert "not applied" in found(scan.audit, "rescale").value


@pytest.mark.parametrize("low", [-1024, -1207, -2048])
def test_a_sound_scan_raises_no_warning(low, tmp_path):
    hu = body(BIG)
    hu[:, :3, :3] = low
    hu[5, 30, 30:33] = 3071
    assert read_scan(write_scan(tmp_path / "a.nii.gz", hu)).audit.severity in ("ok", "note")


def test_a_scan_without_air_is_only_noted(tmp_path):
    hu = np.clip(body(BIG), -120, None)
    assert found(read_scan(write_scan(tmp_path / "a.nii.gz", hu)).audit, "HU range").severity == "note"
