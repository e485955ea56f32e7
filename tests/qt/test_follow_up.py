"""The follow-up window: a prior by menu or drop, the organs by change, both scans of one of them."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_ctvlp._qt.follow_up_model import CHANGE, ORGAN, VOLUME
from napari_ctvlp._qt.telling import tell_failure
from napari_ctvlp.opening import open_paths
from tests.scan.makers import body, write_scan
from tests.test_prior import labels

from .test_teacher import press


@pytest.fixture
def opened(window, tmp_path, qtbot):
    """A scan is open; its prior lies beside, in a folder with its masks."""
    _, widget = window
    (tmp_path / "prior").mkdir()
    write_scan(tmp_path / "prior" / "ct.nii.gz", body(seed=4))
    before = labels(2)
    before[before == 1] = 0
    write_scan(tmp_path / "prior" / "seg.nii.gz", before)
    open_paths(
        widget.session, [write_scan(tmp_path / "ct.nii.gz", body()), write_scan(tmp_path / "seg.nii.gz", labels())]
    )
    assert widget.session.masks is not None
    return widget


def rows(dialog):
    model = dialog.table.model()
    return [[model.index(r, c).data() for c in range(model.columnCount())] for r in range(model.rowCount())]


def test_key_shows_what_to_do_and_hides_again(opened, qtbot):
    press(opened, Qt.Key.Key_F, qtbot)
    dialog = opened.follow_up.dialog
    assert dialog.isVisible() and "prior scan" in dialog.state.text() and not dialog.export.isEnabled()
    opened.dock.tools.follow_up.click()
    assert not dialog.isVisible()


def test_scan_then_masks(opened, tmp_path):
    window = opened.follow_up
    window.toggle()
    window._take_scan(str(tmp_path / "prior" / "ct.nii.gz"))
    assert "now choose its organ masks" in window.dialog.state.text()
    window._take_masks(str(tmp_path / "prior" / "seg.nii.gz"))
    liver, spleen = rows(window.dialog)
    assert liver[ORGAN] == "liver" and "(+50 %)" in liver[VOLUME] and liver[CHANGE] == "5.0"
    assert spleen[CHANGE] == "not in the prior's masks" and spleen[VOLUME].startswith("–")
    assert "not known" in window.dialog.caveats.text() and "2 organs" in window.dialog.state.text()


def test_opening_and_closing_a_prior_are_taken_back_with_one_key(opened, tmp_path):
    window, undo = opened.follow_up, opened.undo
    window.toggle()
    place = opened.navigator.place
    window.open(tmp_path / "prior")
    assert opened.navigator.place != place
    assert undo.next == "opening the prior" and len(rows(window.dialog)) == 2
    opened.session.set_taught(())  # scored anew, compared anew: no step of the user's
    undo.undo()
    assert window.prior.exam is None and undo.next != "opening the prior" and not rows(window.dialog)
    assert opened.navigator.place == place
    window.open(tmp_path / "prior")
    window.dialog.forget.click()
    assert undo.next == "closing the prior" and window.prior.exam is None
    undo.undo()
    assert window.prior.exam is not None and len(rows(window.dialog)) == 2 and undo.next == "opening the prior"
    undo.undo()
    assert window.prior.exam is None


def test_a_prior_in_place_of_another_gives_way_to_it_again(opened, tmp_path):
    window = opened.follow_up
    window.open(tmp_path / "prior")
    first = window.prior.exam.scan
    (tmp_path / "older").mkdir()
    write_scan(tmp_path / "older" / "ct.nii.gz", body(seed=9))
    write_scan(tmp_path / "older" / "seg.nii.gz", labels(2))
    window.open(tmp_path / "older")
    assert (window.prior.exam.scan.hu != first.hu).any()
    opened.undo.undo()
    assert (window.prior.exam.scan.hu == first.hu).all() and opened.undo.next == "opening the prior"
    opened.undo.undo()
    assert window.prior.exam is None


def test_what_cannot_be_compared_stays_last(opened, tmp_path):
    opened.follow_up.open(tmp_path / "prior")
    dialog = opened.follow_up.dialog
    for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
        dialog.table.sortByColumn(CHANGE, order)
        assert [row[ORGAN] for row in rows(dialog)] == ["liver", "spleen"]


def test_files_dropped_together(opened, tmp_path):
    window = opened.follow_up
    window.toggle()
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "prior" / name)) for name in ("seg.nii.gz", "ct.nii.gz")])
    none = Qt.KeyboardModifier.NoModifier
    window.dialog.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, none))
    assert len(rows(window.dialog)) == 2


def test_a_row_goes_there_and_shows_both_scans(opened, tmp_path):
    window = opened.follow_up
    window.toggle()
    reached = []
    opened.navigator.organ_reached.connect(reached.append)
    window.open(tmp_path / "prior")
    dialog = window.dialog
    assert reached[-1] == "liver" and "liver" in dialog.before.title.text()
    assert not dialog.before.picture.pixmap().isNull() and not dialog.now.picture.pixmap().isNull()
    dialog.table.selectRow(1)
    assert dialog.before.picture.text() == "not in the masks" and not dialog.now.picture.pixmap().isNull()


def test_new_scores_keep_the_chosen_organ_and_do_not_move_the_view(opened, tmp_path):
    window = opened.follow_up
    window.open(tmp_path / "prior")
    window.dialog.table.selectRow(1)
    reached = []
    opened.navigator.organ_reached.connect(reached.append)
    before = window.prior.found
    opened.session.dictionary_changed()
    assert window.prior.found is not before and reached == []
    assert window.dialog.table.currentIndex().row() == 1 and "spleen" in window.dialog.now.title.text()


def test_what_fails_is_said_in_the_dialog(opened, tmp_path):
    window = opened.follow_up
    window.toggle()
    opened.session.failed.disconnect(tell_failure)
    (tmp_path / "broken.nii.gz").write_bytes(b"no")
    window.open(tmp_path / "broken.nii.gz", tmp_path / "prior" / "seg.nii.gz")
    assert window.dialog.state.text().startswith("⚠ broken.nii.gz")


def test_table_to_a_file_and_prior_closed(opened, tmp_path):
    window = opened.follow_up
    window.toggle()
    window.open(tmp_path / "prior")
    window.save(str(tmp_path / "out"))
    assert (tmp_path / "out.csv").read_text().startswith("organ,change")
    window.dialog.forget.click()
    assert window.prior.exam is None and rows(window.dialog) == [] and not window.dialog.export.isEnabled()


def test_another_scan_closes_the_prior(opened, tmp_path):
    opened.follow_up.open(tmp_path / "prior")
    opened.session.set_scan(None)
    assert opened.follow_up.prior.exam is None and rows(opened.follow_up.dialog) == []
