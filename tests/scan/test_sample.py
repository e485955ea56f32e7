"""The built-in sample: deterministic, holds what it says, ships alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from napari_ctvlp.sample import KNOWN_FINDINGS, load_sample


def test_same_bits_twice() -> None:
    (a, masks_a), (b, masks_b) = load_sample(), load_sample()
    np.testing.assert_array_equal(a.hu, b.hu)
    np.testing.assert_array_equal(masks_a.labels, masks_b.labels)


def test_is_a_plausible_scan_with_named_organs() -> None:
    scan, masks = load_sample()
    assert scan.hu.dtype == np.int16 and scan.hu.flags.c_contiguous and masks.labels.flags.c_contiguous
    assert scan.hu.shape == masks.labels.shape
    assert scan.audit.severity == "ok", str(scan.audit)
    assert len(masks.names) >= 60 and set(masks.statistics) == set(masks.names.values())
    stats = masks.statistics
    assert 900 < stats["liver"].volume_ml < 2500 and 40 < stats["liver"].mean_hu < 70  # native
    assert 80 < stats["spleen"].volume_ml < 320, "the sample's spleen is normal"
    assert stats["vertebrae_L3"].mean_hu > 120
    assert stats["lung_lower_lobe_left"].mean_hu < -650


def test_left_is_left_in_lps() -> None:
    scan, masks = load_sample()
    stats = masks.statistics
    assert stats["liver"].centroid[0] < 0 < stats["spleen"].centroid[0]
    assert stats["liver"].centroid_index[2] < stats["spleen"].centroid_index[2]
    assert stats["sternum"].centroid[1] < stats["spinal_cord"].centroid[1]
    assert stats["liver"].centroid[2] > stats["urinary_bladder"].centroid[2]
    corner = scan.affine @ np.array([0, 0, 0, 1.0])
    assert corner[0] < 0 and corner[1] < 0 and corner[2] > 0


def test_known_findings_are_there() -> None:
    scan, masks = load_sample()
    label = {name: n for n, name in masks.names.items()}
    by_name = {f.abnormality: f for f in KNOWN_FINDINGS}
    assert {(f.abnormality, f.organ) for f in KNOWN_FINDINGS} == {
        ("kidney_stone", "kidney_left"),
        ("gallstones", "gallbladder"),
        ("aortic_calcification", "aorta"),
    }
    for finding in KNOWN_FINDINGS:
        box = tuple(slice(max(0, c - 2), c + 3) for c in finding.centre)
        assert scan.hu[box].max() > 350, finding
        assert (masks.labels[box] == label[finding.organ]).any(), finding
    assert 8 <= by_name["kidney_stone"].size_mm <= 10
    right = scan.hu[masks.labels == label["kidney_right"]]
    assert right.max() < 330, "the right kidney holds no stone"


def test_ships_without_training_torch_and_windows() -> None:
    code = (
        "import sys, napari_ctvlp.sample as s; s.load_sample();"
        "heavy = ('training', 'torch', 'napari', 'qtpy', 'transformers');"
        "bad = [m for m in heavy if m in sys.modules]; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
