"""A good citizen of napari: themes, a transposed view, two windows, other people's layers."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.theme import get_theme

from napari_ctvlp._qt.furniture import PREFIX
from napari_ctvlp._qt.main_widget import CtvlpWidget
from napari_ctvlp.session import Session

from .windows import add_layers

pytestmark = pytest.mark.usefixtures("qapp")


def pixels(widget):
    """What a widget shows, (rows, columns) luminance."""
    image = widget.grab().toImage().convertToFormat(image_format())
    data = np.frombuffer(image.bits().asstring(image.sizeInBytes()), np.uint8)
    return data.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width(), :3].mean(2)


def image_format():
    from qtpy.QtGui import QImage

    return QImage.Format.Format_RGB32


def contrast(widget):
    """Between the background, which is most of a widget, and the text farthest from it."""
    shown = pixels(widget)
    background = np.median(shown)
    return background, np.abs(shown - background).max()


def test_everything_follows_the_theme_and_stays_readable(window, phantom, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.views.set_shown(True)
    widget.ask("liver")
    dock = widget.dock
    for theme in ("light", "dark"):
        viewer.theme = theme
        qtbot.wait(50)
        background = np.mean(get_theme(theme).background.as_rgb_tuple()[:3])
        for part in (dock.notice, dock.scan.summary, dock.encoder.badge, dock.scan.light):
            lies_on, reach = contrast(part)
            assert abs(lies_on - background) < 30, (theme, part, lies_on, background)
            assert reach > 40, (theme, part, reach)  # the notice is faint on purpose
        assert contrast(dock.ranking.viewport())[1] > 90
        assert contrast(dock.findings.table.viewport())[1] > 90
        assert {view.model.theme for view in widget.views.views} == {theme}


def test_a_transposed_main_view_is_answered_as_any_other(window, phantom):
    viewer, widget = window
    scan, masks = phantom
    add_layers(viewer, scan, masks)
    widget.views.set_shown(True)
    viewer.dims.order = (1, 0, 2)
    widget.ask("left kidney")
    place = masks.statistics["kidney_left"].centroid_index
    assert tuple(viewer.dims.current_step) == place
    assert [viewer.canvas.overlays[PREFIX + edge].text for edge in ("left", "right", "top", "bottom")] == [*"RLSI"]
    world = tuple(viewer.layers[0].data_to_world(place))
    assert widget.views.crosshair.place == pytest.approx(world)
    for view in widget.views.views:
        assert view.model.dims.point[view.axis] == pytest.approx(world[view.axis])
    widget.navigator.point_at(tuple(viewer.layers[0].data_to_world(masks.statistics["liver"].centroid_index)))
    assert widget.dock.organs.table.currentIndex().data() is not None
    viewer.dims.roll()
    widget.ask("spleen")
    assert tuple(viewer.dims.current_step) == masks.statistics["spleen"].centroid_index


def test_two_windows_know_nothing_of_each_other(window, phantom, make_napari_viewer, word_rooms, qtbot):
    viewer, widget = window
    scan, masks = phantom
    other_viewer = make_napari_viewer(show=True)
    other = CtvlpWidget(other_viewer, Session(rooms=word_rooms))
    other_viewer.window.add_dock_widget(other, name="CT query", area="right")
    try:
        add_layers(viewer, scan, masks)
        assert other.session.scan is None
        add_layers(other_viewer, scan, masks)  # the very same scan and masks
        for one in (widget, other):
            one.views.set_shown(True)
        widget.ask("liver")
        other.ask("spleen")
        assert widget.session.ranking.best.organ == "liver" and other.session.ranking.best.organ == "spleen"
        assert tuple(viewer.dims.current_step) != tuple(other_viewer.dims.current_step)
        layer = other.layers.masks_layer
        layer.mode = "paint"
        layer.data_setitem((np.array([15]), np.array([20]), np.array([20])), 0)
        qtbot.waitUntil(lambda: not other.session.is_editing and other.session.activity is None)
        assert other.session.masks is not masks and widget.session.masks is masks
        assert widget.session.ranking is not None and (masks.labels[15, 20, 20] == 5)
    finally:
        other.close_down()
    widget.ask("spleen")
    assert widget.session.ranking.best.organ == "spleen" and len(widget.views.views) == 2


def test_layers_in_any_order_under_any_name(window, phantom):
    viewer, widget = window
    scan, masks = phantom
    image, labels = add_layers(viewer, scan, masks)
    viewer.add_points([[1, 2, 3]], name="theirs")
    viewer.add_image(np.zeros((5, 6, 7)), name=image.name)
    image.name, labels.name = "liver", image.name
    viewer.layers.move(0, 4)
    assert widget.session.scan is scan and widget.session.masks is masks
    widget.ask("liver")
    assert widget.session.ranking.best.organ == "liver"
    viewer.layers.remove(labels)
    assert widget.session.masks is None and widget.session.ranking is None
    assert widget.dock.findings.table.model().rowCount() == 0, "no score of what is gone"
    viewer.layers.append(labels)
    assert widget.session.masks is masks and widget.session.ranking.best.organ == "liver"
