"""A picture of all views as a file."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.notifications import show_info
from PIL import Image

from .windows import add_layers, brightness

pytestmark = pytest.mark.usefixtures("qapp")


def test_all_views_are_in_one_picture_and_nothing_else(window, phantom, tmp_path, qtbot):
    viewer, widget = window
    add_layers(viewer, *phantom)
    widget.views.set_shown(True)
    widget.ask("liver")
    show_info("a notification with the name of a file")
    qtbot.wait(300)
    canvases = widget.views.canvases
    assert len(canvases) == 3
    widget.saving.write_picture(tmp_path / "views")
    picture = np.asarray(Image.open(tmp_path / "views.png").convert("RGB"), float)
    corners = [canvas.mapToGlobal(canvas.rect().topLeft()) for canvas in canvases]
    left, top = min(p.x() for p in corners), min(p.y() for p in corners)
    assert picture.shape[1] < widget.window().width() - widget.width(), "the dock is not in it"
    for canvas, corner in zip(canvases, corners, strict=True):
        rows = slice(corner.y() - top, corner.y() - top + canvas.height())
        part = picture[rows, corner.x() - left : corner.x() - left + canvas.width()]
        assert part.shape[:2] == (canvas.height(), canvas.width())
        assert brightness(part.reshape(-1, 3)) > 5
        assert ((part[..., 0] - part[..., 2]) > 60).sum() > 50, "the organ that answers glows in every view"


def test_one_view_alone(window, phantom, tmp_path):
    viewer, widget = window
    add_layers(viewer, phantom[0])
    widget.saving.write_picture(tmp_path / "one.PNG")
    assert Image.open(tmp_path / "one.PNG").size == (
        widget.views.canvases[0].width(),
        widget.views.canvases[0].height(),
    )


def test_a_place_that_cannot_be_written_to_is_one_sentence(window, phantom, tmp_path):
    viewer, widget = window
    add_layers(viewer, phantom[0])
    said = []
    widget.session.failed.connect(said.append)
    widget.saving.write_picture(tmp_path / "nowhere" / "a.png")
    assert len(said) == 1 and type(said[0]).__name__ == "UserError"
