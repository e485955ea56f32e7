"""Layer data for napari, checked against napari's own layers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ctvlp.scan.layers import masks_layer, scan_layer


def test_scan_layer(phantom):
    scan, _ = phantom
    data, options, kind = scan_layer(scan)
    assert data is scan.hu and kind == "image"
    assert options["contrast_limits"] == (-160, 240) and options["colormap"] == "gray"
    assert options["scale"] == (3, 2, 2) and options["translate"] == (-60, -60, -80)
    assert options["axis_labels"] == ("I", "P", "L") and options["units"] == ("mm",) * 3
    assert options["metadata"] == {"ctvlp_scan": scan}
    _, options, _ = scan_layer(dataclasses.replace(scan, window=(-600.0, 1500.0)))
    assert options["contrast_limits"] == (-1350, 150)


def test_napari_takes_them_and_names_organs_under_the_cursor(phantom):
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    scan, masks = phantom
    viewer = ViewerModel()
    data, options, _ = scan_layer(scan)
    image = viewer.add_layer(Image(data, **options))
    data, options, kind = masks_layer(scan, masks, {"liver": (0.5, 0.2, 0.1), "spleen": (0, 0, 1, 0.5)})
    assert kind == "labels" and options["metadata"] == {"ctvlp_masks": masks}
    labels = viewer.add_layer(Labels(data, **options))
    assert labels.data is masks.labels
    np.testing.assert_allclose(labels.get_color(5), (0.5, 0.2, 0.1, 1))
    np.testing.assert_allclose(labels.get_color(1), (0, 0, 1, 0.5))
    assert labels.get_color(0) is None
    np.testing.assert_array_equal(labels.extent.world, image.extent.world)
    middle = masks.statistics["liver"].centroid_index
    world = labels.data_to_world(middle)
    x, y, z = (scan.affine @ [*middle, 1])[:3]
    np.testing.assert_allclose(world, (-z, y, x))
    viewer.dims.point = world
    status = labels.get_status(world, view_direction=None, dims_displayed=[1, 2], world=True)
    assert (
        "organ: liver" in status["coordinates"]
        and f"ml: {masks.statistics['liver'].volume_ml:.0f}" in status["coordinates"]
    )


def test_features_have_one_row_per_organ(phantom):
    scan, masks = phantom
    _, options, _ = masks_layer(scan, masks, {5: (1, 0, 0)})
    table = options["features"]
    assert list(table.columns) == ["index", "organ", "ml"]
    assert dict(zip(table["index"], table["organ"], strict=True)) == dict(sorted(masks.names.items()))
    assert options["colormap"][5] == (1, 0, 0, 1) and options["colormap"][1] == pytest.approx((0.6, 0.6, 0.6, 1))
