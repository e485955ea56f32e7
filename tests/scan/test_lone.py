"""Masks without their scan: where they lie and what their file calls them, and nothing more."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_masks, read_scan
from napari_ctvlp.scan.drawn import Drawing, masks_of_lone, viewer_affine
from napari_ctvlp.scan.layers import lone_layer, masks_layer
from napari_ctvlp.scan.lone import read_lone_masks

from .makers import body, ipl_affine, write_scan


@pytest.fixture
def labels():
    made = np.zeros((12, 14, 16), np.uint8)
    made[5:8, 5:9, 5:11], made[1:3, 1:4, -4:-1] = 5, 20
    return made


def turned(degrees):
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ ipl_affine()


@pytest.mark.parametrize("degrees", [0, 12])
@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "IPL"])
def test_they_lie_where_they_would_on_their_scan(tmp_path, labels, axcodes, degrees):
    path = write_scan(tmp_path / "m.nii.gz", labels, axcodes, affine=turned(degrees))
    scan = read_scan(write_scan(tmp_path / "ct.nii.gz", body(), axcodes, affine=turned(degrees)))
    masks = read_masks(path, scan)
    data, options, kind = lone_layer(read_lone_masks(path), {})
    expected, place, _ = masks_layer(scan, masks, {})
    np.testing.assert_array_equal(data, expected)
    np.testing.assert_allclose([*options["scale"], *options["translate"]], [*place["scale"], *place["translate"]])
    assert kind == "labels" and (options["units"], options["axis_labels"]) == (place["units"], place["axis_labels"])


def test_only_names_that_the_file_gives_are_shown(tmp_path, labels):
    unnamed = read_lone_masks(write_scan(tmp_path / "m.nii.gz", labels))
    assert unnamed.names == {} and "features" not in lone_layer(unnamed, {})[1]
    one = read_lone_masks(write_scan(tmp_path / "liver.nii.gz", (labels == 5).astype(np.uint8)))
    assert one.names == {1: "liver"}
    _, options, _ = lone_layer(one, {"liver": (0.5, 0.2, 0.1)})
    assert options["features"].to_dict("list") == {"index": [1], "organ": ["liver"]}
    assert options["colormap"][1] == (0.5, 0.2, 0.1, 1.0)


def test_on_their_scan_they_are_what_they_would_have_been(tmp_path, labels):
    path = write_scan(tmp_path / "m.nii.gz", labels.astype(np.int16) * 50)
    scan = read_scan(write_scan(tmp_path / "ct.nii.gz", body()))
    lone, expected = read_lone_masks(path), read_masks(path, scan)
    masks, same = masks_of_lone(scan, lone, Drawing(lone.labels, viewer_affine(scan), "m"))
    assert same and masks.statistics == expected.statistics and masks.names == expected.names
    path.unlink()  # what is open is still there
    masks, _ = masks_of_lone(scan, lone, Drawing(lone.labels, viewer_affine(scan), "m"))
    np.testing.assert_array_equal(masks.labels, expected.labels)


def test_contours_need_their_scan(tmp_path):
    from .test_rtstruct import write

    with pytest.raises(UserError, match=r"^rt\.dcm: contours are filled on their scan; open the scan first\.$"):
        read_lone_masks(write(tmp_path / "rt.dcm", []))
