"""Another layer beside that of the masks: a copy of it, or other masks while the dialog of names is open."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers._layer_actions import _duplicate_layer

from napari_ctvlp._qt.organ_names import OrganNames

from .test_painting import add_labels, open_masks, paint, settled  # noqa: F401  (a fixture)

pytestmark = pytest.mark.usefixtures("qapp")


def test_names_are_not_given_to_the_organs_of_another_layer(open_masks, qtbot):  # noqa: F811
    viewer, widget, scan, masks, layer = open_masks
    widget.dock.scan.names.click()
    dialog = widget.findChild(OrganNames)
    layer.mode = "paint"
    paint(layer, 1)
    settled(widget, qtbot)
    assert dialog.isVisible(), "the same organs, painted in"
    layer.mode = "pan_zoom"
    other = add_labels(viewer, scan, masks.labels.astype(np.int32), name="other")
    viewer.layers.selection.active = other
    widget.dock.scan.use_layer.click()
    assert not dialog.isVisible()
    qtbot.waitUntil(lambda: widget.findChild(OrganNames) is None)


def test_a_copy_of_the_layer_of_masks_is_a_layer_of_its_own(open_masks, qtbot):  # noqa: F811
    viewer, widget, _, masks, layer = open_masks
    viewer.layers.selection.active = layer
    _duplicate_layer(viewer.layers)
    copy = viewer.layers[viewer.layers.index(layer) + 1]
    assert widget.session.masks is masks and widget.layers.masks_layer is layer
    copy.mode = "paint"
    paint(copy, 3)
    settled(widget, qtbot)
    assert widget.session.masks is masks and layer.data is masks.labels, "what is shown is what was answered about"
    viewer.layers.selection.active = copy
    assert widget.layers.foreign is copy
    widget.dock.scan.use_layer.click()
    settled(widget, qtbot)
    assert widget.layers.masks_layer is copy and widget.session.masks.names == masks.names
    np.testing.assert_array_equal(widget.session.masks.labels, copy.data)
