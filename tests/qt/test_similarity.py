"""The map of similarity in the window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_ctvlp._qt.map_colours import map_colours
from napari_ctvlp._qt.similarity import MAPPING, NAME
from napari_ctvlp.ask.locate import Peak, SimilarityMap
from napari_ctvlp.work import run_now

from .windows import add_layers, picture

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def mapped(window, word_rooms, phantom):
    """The window with the phantom, whose answers are located at the low-index corner of their organ."""
    viewer, widget = window
    scan, masks = phantom

    class Nothing:
        def cells(self, organ):
            raise AssertionError("the rooms of this test locate by themselves")

    def locate(embedding, masks, ranking, scan):
        stat = masks.statistics[ranking.best.organ]
        start = tuple(a for a, _ in stat.box)
        values = np.full([b - a for a, b in stat.box], 30, np.uint8)
        values[:4, :4, :4] = 255
        peaks = (Peak(stat.organ, start, 0.9), Peak(stat.organ, tuple(b - 1 for _, b in stat.box), 0.5))
        return SimilarityMap(ranking.text, "test", (stat.organ,), values, start, 1, -1.0, 2.0, peaks)

    word_rooms.locate = locate
    add_layers(viewer, scan, masks)
    object.__setattr__(widget.session.embedding, "dense", Nothing())
    return viewer, widget


def key(widget, qtbot, which):
    main = widget.window()
    main.activateWindow()
    qtbot.waitUntil(main.isActiveWindow)
    qtbot.keyClick(main, which)


def test_low_is_nearly_clear_and_outside_is_clear():
    colours = map_colours()
    assert colours[0][3] == 0
    assert 0 < colours[1][3] < 0.3
    assert colours[255][3] == 1
    luminance = colours[1:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -1e-3).all()  # higher is never darker, for colour-blind readers too


def test_map_is_off_until_asked_for_and_lies_on_its_organ(mapped, phantom, qtbot):
    viewer, widget = mapped
    widget.ask("liver")
    layer = viewer.layers[NAME]
    assert not widget.similarity.shown
    assert not widget.dock.legend.isVisible()
    key(widget, qtbot, Qt.Key.Key_K)
    assert widget.similarity.shown
    assert layer.opacity == pytest.approx(0.7)
    assert widget.dock.legend.isVisible()
    assert widget.dock.view.map_button.isChecked()
    assert (widget.dock.legend.low.text(), widget.dock.legend.high.text()) == ("-1.00", "2.00")
    start = viewer.layers[1].data_to_world([a for a, _ in phantom[1].statistics["liver"].box])
    assert np.allclose(layer.data_to_world((0, 0, 0)), start)
    key(widget, qtbot, Qt.Key.Key_U)
    assert not widget.similarity.shown


def test_map_is_drawn_and_opacity_is_followed(mapped, qtbot):
    viewer, widget = mapped
    widget.ask("liver")
    viewer.dims.set_current_step(0, 9)
    before = picture(viewer, qtbot)
    widget.similarity.set_wanted(True)
    full = picture(viewer, qtbot)
    widget.dock.legend.opacity.setValue(20)
    faint = picture(viewer, qtbot)
    assert np.abs(full - before).max() > 60
    assert np.abs(faint - before).sum() < np.abs(full - before).sum()


def test_another_answer_moves_the_one_layer(mapped, phantom):
    viewer, widget = mapped
    widget.similarity.set_wanted(True)
    widget.ask("liver")
    first, active = viewer.layers[NAME], viewer.layers.selection.active
    widget.ask("spleen")
    assert [layer.name for layer in viewer.layers].count(NAME) == 1
    assert viewer.layers[NAME] is first
    assert first.data.shape == tuple(b - a for a, b in phantom[1].statistics["spleen"].box)
    assert viewer.layers.selection.active is active
    widget.ask("banana")  # nothing matches: no map, and nothing stale
    assert not widget.similarity.shown
    assert not widget.dock.legend.isVisible()
    widget.ask("spleen")
    assert widget.similarity.shown


def test_all_layers_are_deleted_at_once_with_the_map_among_them(mapped, monkeypatch, qtbot):
    viewer, widget = mapped
    widget.ask("liver")
    viewer.layers.select_all()
    kind, at_random = type(viewer.layers.selection), type(viewer.layers.selection).__iter__
    # napari takes them in the order of their addresses; the map after its scan is the one that matters
    monkeypatch.setattr(kind, "__iter__", lambda self: iter(sorted(at_random(self), key=lambda x: x.name == NAME)))
    viewer.layers.remove_selected()
    qtbot.waitUntil(lambda: not len(viewer.layers))
    assert widget.session.scan is None and not widget.similarity.layers


def test_g_goes_from_peak_to_peak_and_around(mapped, phantom, qtbot):
    viewer, widget = mapped
    widget.ask("spleen")
    box = phantom[1].statistics["spleen"].box
    first, second = tuple(a for a, _ in box), tuple(b - 1 for _, b in box)
    centre = tuple(viewer.dims.current_step)
    for place, text in ((first, "Peak 1 of 2 >"), (second, "Peak 2 of 2 >"), (first, "Peak 1 of 2 >")):
        key(widget, qtbot, Qt.Key.Key_G)
        assert tuple(viewer.dims.current_step) == place
        assert widget.dock.legend.peak.text() == text
    for _ in range(3):
        key(widget, qtbot, Qt.Key.Key_U)
    assert tuple(viewer.dims.current_step) == centre


def test_a_map_the_user_deleted_comes_back_with_the_next_answer(mapped):
    viewer, widget = mapped
    widget.similarity.set_wanted(True)
    widget.ask("liver")
    viewer.layers.remove(NAME)
    widget.similarity.toggle()
    widget.similarity.toggle()
    widget.ask("spleen")
    assert widget.similarity.shown
    assert viewer.layers[NAME].opacity > 0


def test_closing_and_another_scan_take_the_map_away(mapped, phantom):
    viewer, widget = mapped
    widget.ask("liver")
    widget.close()
    assert [layer.name for layer in viewer.layers] == ["phantom", "phantom organs"]


def test_naparis_own_opacity_is_followed(mapped):
    viewer, widget = mapped
    widget.ask("liver")
    viewer.layers[NAME].opacity = 0.4
    assert widget.similarity.wanted
    assert widget.dock.legend.opacity.value() == 40
    assert widget.dock.view.map_button.isChecked()
    viewer.layers[NAME].opacity = 0
    assert not widget.similarity.wanted
    assert not widget.dock.view.map_button.isChecked()


def test_an_encoder_without_places_says_so(window, phantom):
    viewer, widget = window
    add_layers(viewer, *phantom)
    legend, button = widget.dock.legend, widget.dock.view.map_button
    widget.ask("liver")
    assert not legend.isVisible()
    widget.similarity.toggle()
    said = "No map: words gives one vector an organ"
    assert legend.isVisible() and legend.meaning.text().startswith(said) and not legend.scale.isVisible()
    assert said in button.toolTip()
    widget.similarity.toggle()
    assert not legend.isVisible()
    widget.similarity.toggle()
    widget.ask("")
    assert not legend.isVisible()
    widget.ask("spleen")
    assert legend.isVisible() and legend.meaning.text().startswith(said)


class Later:
    """Work that is done when the test says so."""

    def __init__(self) -> None:
        self.waiting = []

    def __call__(self, work, *, progress, done, failed):
        self.waiting.append(lambda: run_now(work, progress=progress, done=done, failed=failed))

    def go_on(self) -> None:
        """Do all that waits."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()


@pytest.fixture
def remade(mapped):
    """The phantom with its answers from a cache: places must be made before anything is mapped."""
    viewer, widget = mapped
    widget.session.embedding.dense.made = None
    return viewer, widget


def test_nothing_is_made_for_a_map_that_nobody_asks_for(remade, qtbot):
    viewer, widget = remade
    widget.ask("liver")
    widget.ask("spleen")
    assert widget.session.located is None and NAME not in viewer.layers
    assert "has none" not in widget.dock.view.map_button.toolTip()
    later = widget.session._bench._runner = Later()
    key(widget, qtbot, Qt.Key.Key_K)
    legend = widget.dock.legend
    assert legend.isVisible() and legend.meaning.text() == MAPPING and not legend.scale.isVisible()
    assert widget.dock.progress.label.text() == "mapping"
    later.go_on()
    assert widget.similarity.shown and legend.meaning.text() == "Map: test" and legend.scale.isVisible()
    key(widget, qtbot, Qt.Key.Key_K)
    widget.ask("liver")
    later.go_on()
    assert widget.session.located is None and not later.waiting and not legend.isVisible()
    key(widget, qtbot, Qt.Key.Key_K)
    widget.ask("")
    assert not legend.isVisible()
    later.go_on()
    assert widget.session.located is None and not widget.similarity.shown


def test_the_newest_question_wins_while_places_are_made(remade):
    _, widget = remade
    widget.similarity.set_wanted(True)
    later = widget.session._bench._runner = Later()
    widget.ask("liver")
    later.go_on()
    maps = list(later.waiting)  # of the liver, still being made
    later.waiting.clear()
    widget.ask("spleen")
    later.go_on()
    for each in (*later.waiting, *maps):
        each()
    assert widget.session.located.organs == ("spleen",)
    assert widget.dock.legend.scale.isVisible()


def test_g_waits_for_the_peaks(remade, phantom, qtbot):
    viewer, widget = remade
    widget.ask("spleen")
    first = tuple(a for a, _ in phantom[1].statistics["spleen"].box)
    later = widget.session._bench._runner = Later()
    key(widget, qtbot, Qt.Key.Key_G)
    assert tuple(viewer.dims.current_step) != first
    later.go_on()
    assert tuple(viewer.dims.current_step) == first
    assert not widget.similarity.shown
    widget.ask("liver")
    later.go_on()
    key(widget, qtbot, Qt.Key.Key_G)
    widget.ask("")  # taken back: nobody is sent anywhere
    place = tuple(viewer.dims.current_step)
    later.go_on()
    assert tuple(viewer.dims.current_step) == place


def test_the_colours_come_back_with_a_map(mapped):
    _, widget = mapped
    dense = widget.session.embedding.dense
    object.__setattr__(widget.session.embedding, "dense", None)
    widget.similarity.toggle()
    widget.ask("liver")
    assert not widget.dock.legend.scale.isVisible()
    object.__setattr__(widget.session.embedding, "dense", dense)
    widget.ask("spleen")
    assert widget.dock.legend.scale.isVisible() and widget.dock.legend.meaning.text().startswith("Map")
