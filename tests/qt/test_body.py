"""The organs in 3D."""

from __future__ import annotations

import numpy as np
import pytest
from napari.qt import QtViewer
from napari.utils.colormaps import label_colormap
from qtpy.QtCore import Qt

from napari_ctvlp._qt.body_view import GLASS, solid_and_glass
from napari_ctvlp._qt.overlay import ACCENT

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")


def test_what_glows_is_solid_and_the_rest_is_glass():
    rest = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0), 1: (1, 0, 0, 0.4), 2: (0, 1, 0, 0.4), 3: (0, 0, 1, 0.0)}
    assert [set(part) for part in solid_and_glass(rest)] == [{1, 2}, set()]
    assert [set(part) for part in solid_and_glass({**rest, 2: (*ACCENT, 0.6)})] == [{2}, {1}]


def flush(widget):
    widget.overlay.flush()
    widget.body.view.flush()


def seen(widget, qtbot):
    flush(widget)
    qtbot.wait(100)
    return widget.body.view.view.screenshot(flash=False)[..., :3].astype(float)


def test_organs_are_seen_from_the_front_and_follow_the_answer(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.overlay.flush()
    main = widget.window()
    main.activateWindow()
    qtbot.waitUntil(main.isActiveWindow)
    qtbot.keyClick(main, Qt.Key.Key_J)
    assert widget.body.shown
    assert widget.dock.view.body_button.isChecked()
    view = widget.body.view
    assert set(view.surfaces) == {"body"}
    body = view.surfaces["body"]
    qtbot.wait(300)
    for question, side in (("liver", 0), ("spleen", 1), ("left kidney", 1)):
        widget.ask(question)
        picture = seen(widget, qtbot)
        amber = (picture[..., 0] - picture[..., 2]) > 70
        halves = amber[:, : amber.shape[1] // 2].sum(), amber[:, amber.shape[1] // 2 :].sum()
        assert halves[side] > 5 * max(1, halves[1 - side]), question  # patient's left is at the right, as on slices
        rows = np.flatnonzero(amber.any(1))
        assert rows.size > 5
        if question == "liver":
            liver = rows.mean()
        if question == "left kidney":
            assert rows.mean() > liver  # lower in the body, lower in the picture
    assert set(view.surfaces) == {"solid", "body"}
    assert view.model.layers[-1].name == "solid"  # not behind glass
    assert view.surfaces["body"] is body  # an answer makes only its own organ anew
    assert (body.opacity, body.blending) == (GLASS, "translucent_no_depth")
    widget.ask("")
    flush(widget)
    assert set(view.surfaces) == {"body"}
    assert view.surfaces["body"] is body
    assert (body.opacity, body.blending) == (1.0, "opaque")
    everything = len(view.surfaces["body"].data[0])
    widget.dock.organs.solo_requested.emit((1,))
    flush(widget)
    assert len(view.surfaces["body"].data[0]) < everything
    widget.undo.undo()
    flush(widget)
    assert len(view.surfaces["body"].data[0]) == everything
    viewer.layers.remove(viewer.layers[1])
    assert view.surfaces == {} and not view.model.layers
    widget.body.toggle()
    assert not view.isVisible()
    widget.close()
    assert widget.body.view is None
    qtbot.waitUntil(lambda: len(main.findChildren(QtViewer)) == 1)


def test_labels_of_somebody_else_become_the_masks_while_the_organs_are_shown_in_3d(window, phantom, qtbot):
    """Their colours follow no table: neither at first, nor once the user lets napari choose them."""
    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan, masks)
    widget.body.set_shown(True)
    flush(widget)
    place = {"scale": scan.spacing, "translate": scan.napari_translate}
    theirs = viewer.add_labels(masks.labels.astype(np.int32), name="theirs", **place)
    viewer.layers.selection.active = theirs
    widget.dock.scan.use_layer.click()
    assert widget.layers.masks_layer is theirs
    view = widget.body.view
    flush(widget)
    assert view.ready and set(view.surfaces) == {"body"}
    theirs.colormap = label_colormap(49)
    flush(widget)
    drawn = {tuple(colour) for colour in np.unique(view.surfaces["body"].vertex_colors[:, :3].round(3), axis=0)}
    assert drawn == {tuple(theirs.colormap.map(label)[:3].round(3)) for label in masks.names}


def test_dock_closed_by_the_user_is_given_up_and_both_docks_fit(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.views.set_shown(True)
    widget.body.set_shown(True)
    qtbot.wait(100)
    coronal, body = widget.views.views[0], widget.body.view
    assert abs(coronal.mapToGlobal(coronal.rect().topLeft()).x() - body.mapToGlobal(body.rect().topLeft()).x()) < 20
    assert widget.mapToGlobal(widget.rect().topLeft()).x() > body.mapToGlobal(body.rect().topRight()).x() - 5
    viewer.window.remove_dock_widget(widget.body._dock)
    assert not widget.body.shown
    assert widget.body.view is None
    assert not widget.dock.view.body_button.isChecked()
