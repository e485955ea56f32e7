"""The findings table: sorts, filters, says why not."""

from __future__ import annotations

import dataclasses

import pytest
from qtpy.QtCore import Qt

from napari_ctvlp._qt.findings_model import ABNORMALITY, ORGAN, PROBABILITY
from napari_ctvlp._qt.findings_panel import FindingsPanel

from .conftest import words


@pytest.fixture
def panel(qtbot, scores):
    panel = FindingsPanel(words)
    qtbot.addWidget(panel)
    panel.resize(380, 300)
    panel.set_scores(scores)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def column(panel, number):
    model = panel.table.model()
    return [model.index(row, number).data() for row in range(model.rowCount())]


def test_most_probable_first_and_unscored_last(panel):
    assert column(panel, PROBABILITY) == [
        "0.93 (0.81–0.97)",
        "0.71 (0.55–0.83)",
        "0.08",
        "N/A: cut by field of view",
    ]


def test_unscored_stay_last_in_the_other_order(panel):
    panel.table.sortByColumn(PROBABILITY, Qt.SortOrder.AscendingOrder)
    assert column(panel, ABNORMALITY) == ["cyst", "calcification", "stone", "effusion"]


def test_sorts_by_organ(panel):
    panel.table.sortByColumn(ORGAN, Qt.SortOrder.AscendingOrder)
    assert column(panel, ORGAN) == ["aorta", "kidney left", "liver", "lung lower lobe left"]


def test_filter_keeps_rows_with_all_words(panel, qtbot):
    qtbot.keyClicks(panel.filter, "left ston")
    assert column(panel, ORGAN) == ["kidney left"]
    panel.filter.clear()
    assert len(column(panel, ORGAN)) == 4


def test_unscored_can_be_hidden(panel):
    panel.hide_na.setChecked(True)
    assert column(panel, ORGAN) == ["kidney left", "aorta", "liver"]


def test_filter_and_order_stay_with_new_scores(panel, scores):
    panel.filter.setText("kidney")
    panel.set_scores(scores[:3])
    assert column(panel, ORGAN) == ["kidney left"]


def test_a_clicked_row_names_its_organ(panel, qtbot):
    place = panel.table.visualRect(panel.table.model().index(1, ABNORMALITY)).center()
    with qtbot.waitSignal(panel.organ_chosen) as chosen:
        qtbot.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert chosen.args == ["aorta"]


def test_tooltip_tells_what_the_brackets_are(panel):
    index = panel.table.model().index(0, PROBABILITY)
    assert "spread over prompts" in index.data(Qt.ItemDataRole.ToolTipRole)


def cut_texts(table):
    """Texts that do not fit into their cells."""
    found, model = [], table.model()
    for row in range(model.rowCount()):
        for number in range(model.columnCount()):
            rect, text = table.visualRect(model.index(row, number)), model.index(row, number).data()
            inner = rect.adjusted(4, 0, -4, 0)
            needed = table.fontMetrics().boundingRect(inner, int(Qt.TextFlag.TextWordWrap), text)
            if needed.width() > rect.width() or needed.height() > rect.height():
                found.append(text)
    return found


def test_no_text_is_cut_at_the_width_of_the_dock(panel, scores, qtbot):
    long = dataclasses.replace(
        scores[1], organ="right_ventricle_of_the_heart", abnormality="degenerative_spine_changes"
    )
    panel.set_scores([*scores, long])
    qtbot.waitUntil(lambda: not cut_texts(panel.table))


def test_new_scores_keep_the_row_that_is_selected(panel, scores):
    heard = []
    panel.score_chosen.connect(lambda score, organ: heard.append((score.abnormality, organ)))
    panel.table.selectRow(1)
    changed = tuple(dataclasses.replace(s, probability=0.99) if s.organ == "aorta" else s for s in scores)
    panel.set_scores(changed)
    assert panel.table.currentIndex().row() == 0 and heard == [("calcification", "aorta")]
    panel.set_scores(())
    assert not panel.table.currentIndex().isValid()


def test_a_score_not_to_be_relied_on_is_marked_and_says_why(panel, scores):
    doubted = dataclasses.replace(scores[0], doubted=True, note="Not to be relied on: HU look wrong.")
    panel.set_scores([doubted, *scores[1:]])
    texts = column(panel, PROBABILITY)
    assert sum("?" in text for text in texts) == 1
    row = next(r for r, text in enumerate(texts) if "?" in text)
    tip = panel.table.model().index(row, PROBABILITY).data(Qt.ItemDataRole.ToolTipRole)
    assert "HU look wrong" in tip and not panel.hide_na.isChecked()
