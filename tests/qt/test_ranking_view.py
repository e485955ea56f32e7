"""The ranked organs and what the answer says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QImage

from napari_ctvlp._qt.answer_label import AnswerLabel, probability_line
from napari_ctvlp._qt.ranking_model import NAME, ORGAN, SCORE, SIGHT
from napari_ctvlp._qt.ranking_view import RankingView
from napari_ctvlp.ask.types import Finding

from .conftest import words

ACCENT = QColor(255, 190, 20)


@pytest.fixture
def view(qtbot, ranking):
    view = RankingView(words, ACCENT)
    qtbot.addWidget(view)
    view.resize(380, 200)
    view.set_ranking(ranking)
    view.show()
    qtbot.waitExposed(view)
    return view


def accent_pixels(view, row, column):
    """Pixels in full accent colour within a cell."""
    rect = view.visualRect(view.model().index(row, column))
    image = view.viewport().grab(rect).toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    pixels = pixels.reshape(image.height(), image.bytesPerLine() // 4, 4)[..., 2::-1]
    near = np.abs(pixels.astype(int) - ACCENT.getRgb()[:3]).max(-1) < 12  # a virtual screen may have 16 bits a pixel
    return int(near.sum())


def test_rows_are_best_first_with_both_parts_apart(view):
    model = view.model()
    first = [model.index(0, column).data() for column in (ORGAN, SCORE, SIGHT, NAME)]
    assert first == ["kidney left", "0.91", "0.80", "1.00"]
    assert model.rowCount() == 3
    assert model.index(0, SIGHT).data(Qt.ItemDataRole.ToolTipRole) == (
        "kidney left: match 0.91, by sight 0.80, by name 1.00"
    )


def test_bars_are_as_long_as_their_numbers(view):
    long, short, none = (accent_pixels(view, row, SIGHT) for row in range(3))
    assert none == 0
    assert short > 0
    assert long / short == pytest.approx(0.8 / 0.3, rel=0.25)


def test_a_clicked_row_names_its_organ(view, qtbot):
    place = view.visualRect(view.model().index(1, ORGAN)).center()
    with qtbot.waitSignal(view.organ_chosen) as chosen:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert chosen.args == ["kidney_right"]


def test_no_answer_empties_the_table(view):
    view.set_ranking(None)
    assert view.model().rowCount() == 0


def test_nothing_is_cut_at_the_width_of_the_dock(view, ranking):
    long = dataclasses.replace(ranking.organs[0], organ="right_ventricle_of_the_heart")
    view.set_ranking(dataclasses.replace(ranking, organs=(*ranking.organs, long)))
    assert sum(view.columnWidth(column) for column in range(4)) <= view.viewport().width()
    for row in range(view.model().rowCount()):
        rect = view.visualRect(view.model().index(row, ORGAN))
        text = view.model().index(row, ORGAN).data()
        wrap = int(Qt.TextFlag.TextWordWrap)
        assert view.fontMetrics().boundingRect(rect.adjusted(4, 0, -4, 0), wrap, text).height() <= rect.height()


def test_answer_tells_message_and_finding(qtbot, ranking):
    label = AnswerLabel()
    qtbot.addWidget(label)
    label.set_ranking(ranking)
    assert label.text() == "organ: left kidney; finding: stone\nProbability 0.93 (0.81–0.97)"
    label.set_ranking(dataclasses.replace(ranking, matched=False, message="Nothing here matches.", finding=None))
    assert label.text() == "Nothing here matches."


def test_a_finding_in_two_organs_has_its_numbers_in_the_message(qtbot, ranking):
    label = AnswerLabel()
    qtbot.addWidget(label)
    finding = dataclasses.replace(ranking.finding, places=(ranking.finding, ranking.finding))
    label.set_ranking(dataclasses.replace(ranking, message="One: present.\nTwo: absent.", finding=finding))
    assert label.text() == "One: present.\nTwo: absent."


def test_a_finding_without_a_score_gets_no_number():
    assert probability_line(Finding("effusion", "lung_left", None, None, None, "N/A: cut by field of view")) == ""
