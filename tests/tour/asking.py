"""Steps of the tour for questions: while one types, what cannot be said, words of one's own, examples of others."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_ctvlp.anatomy.user_dictionary import user_dictionary_path
from napari_ctvlp.ask.types import Ranking
from napari_ctvlp.teaching import anonymous_scan

from .driver import SHIFT, Driver
from .hands import choose, heard, name_file, press, wait_to_hear


def typing(driver: Driver) -> None:
    """Organs light up while one types; Esc puts back what was asked; Up recalls; an emptied line clears."""
    driver.ask("liver")
    line, session = driver.widget.dock.query, driver.widget.session
    line.setFocus()
    line.selectAll()
    QTest.keyClicks(line, "spleen")
    driver.wait_for(lambda: session.ranking is not None and session.ranking.best.organ == "spleen")
    driver.wait(200)
    driver.picture("typing")
    QTest.keyClick(line, Qt.Key.Key_Escape)  # the suggestions
    QTest.keyClick(line, Qt.Key.Key_Escape)
    driver.idle()
    assert line.text() == "liver" and session.ranking.best.organ == "liver"
    driver.ask("spleen")
    driver.key(Qt.Key.Key_Slash)
    assert line.hasFocus()
    for _ in range(2):
        QTest.keyClick(line, Qt.Key.Key_Up)
    driver.idle()
    assert line.text() == "liver"
    QTest.keyClick(line, Qt.Key.Key_Escape)
    driver.ask("")
    assert session.ranking is None


def suggestions(driver: Driver) -> None:
    """Words that the scan and the dictionary know, under the line."""
    line = driver.widget.dock.query
    line.setFocus()
    line.selectAll()
    QTest.keyClicks(line, "kidn")
    popup = line.completer().popup()
    driver.wait_for(popup.isVisible)
    driver.picture_of_screen("suggestions")
    QTest.keyClick(line, Qt.Key.Key_Escape)
    driver.ask("")


def answers(driver: Driver) -> None:
    """Present, absent, uncertain and cannot say, each with its reason."""
    said = {}
    for text in ("gallstones", "stone in the right kidney", "aortic aneurysm", "appendicitis"):
        driver.ask(text)
        ranking: Ranking = driver.widget.session.ranking
        assert ranking.finding is not None
        said[text] = ranking.finding.status
        driver.picture(f"answer_{text.split()[0]}")
    assert said["aortic aneurysm"] == "N/A: cut by field of view"
    assert said["appendicitis"] == "N/A: unknown to this encoder"
    assert {said["gallstones"], said["stone in the right kidney"]} <= {"present", "absent", "uncertain"}


def names_apart(driver: Driver) -> None:
    """Ranked by sight alone when names do not count."""
    driver.ask("stone in the left kidney")
    by_name = driver.widget.session.ranking
    press(driver, driver.widget.dock.use_names)
    driver.wait_for(lambda: driver.widget.session.ranking not in (None, by_name))
    driver.idle()
    driver.picture("by_sight_alone")
    assert all(match.score == match.visual for match in driver.widget.session.ranking.organs)
    driver.key(Qt.Key.Key_U)
    driver.idle()
    assert driver.widget.dock.use_names.isChecked()


def position(driver: Driver) -> None:
    """HU, place and organ under the cursor."""
    driver.ask("")
    driver.widget.navigator.jump("liver")
    driver.idle()
    driver.mouse(driver.canvas(), (0.35, 0.5), (0.36, 0.5), press=False)
    driver.picture("position")
    text = driver.widget.dock.position.text()
    assert " HU" in text and "mm" in text, text


def dictionary(driver: Driver) -> None:
    """A copy of one's own: a mistake is told with its line, a new entry is scored as soon as it is saved."""
    session, menu = driver.widget.session, driver.widget.dock.scan.files
    path = user_dictionary_path()
    before = path.read_text(encoding="utf-8") if path.exists() else None
    with heard() as told:
        choose(driver, menu, "Edit the abnormality dictionary")
        wait_to_hear(driver, told, path.name)
    driver.picture("dictionary")
    given = path.read_text(encoding="utf-8")
    entry = (
        "  - key: fuzzy_liver\n    name: fuzzy liver\n    organs: [{organ}]\n"
        "    positive: [Fuzzy liver., Blurred liver., Liver of smeared edges., Hazy liver., Smoky liver.]\n"
        "    negative: [Sharp liver., Liver with edges., Clear liver., Crisp liver., Well seen liver.]\n"
    )
    with heard() as told:
        path.write_text(given.rstrip() + "\n" + entry.format(organ="lever"), encoding="utf-8")
        wait_to_hear(driver, told, path.name, "line", "lever")
    driver.picture("mistake_in_the_dictionary")
    path.write_text(given.rstrip() + "\n" + entry.format(organ="liver"), encoding="utf-8")
    driver.wait_for(lambda: any(score.abnormality == "fuzzy_liver" for score in session.scores))
    driver.idle()
    path.unlink() if before is None else path.write_text(before, encoding="utf-8")
    driver.wait_for(lambda: all(score.abnormality != "fuzzy_liver" for score in session.scores))
    driver.idle()


def case_library(driver: Driver) -> None:
    """A finding taught and saved is a known example beside the evidence for another score."""
    widget = driver.widget
    panel = widget.teacher.panel
    widget.dock.tables.setCurrentWidget(panel)
    panel.name.setEditText("bright spots")
    embedding = widget.session.embedding
    assert embedding is not None
    for organ, key in zip(("kidney_left", "kidney_right"), (Qt.Key.Key_Y, Qt.Key.Key_X), strict=True):
        widget.navigator.jump(organ)
        driver.key(key, SHIFT)
    driver.idle()
    driver.picture("teaching")
    folder = driver.files / "library"
    folder.mkdir(exist_ok=True)
    saved = folder / "bright_spots.taught.json"
    with heard() as told:
        name_file(driver, partial(press, driver, panel.save), saved)
        wait_to_hear(driver, told, "written")
    # as if a colleague had sent it: examples of the open scan itself are no neighbours of it
    own = anonymous_scan(widget.session.scan)
    saved.write_text(saved.read_text(encoding="utf-8").replace(own, "0" * len(own)), encoding="utf-8")
    driver.ask("stone in the left kidney")
    driver.key(Qt.Key.Key_W)
    dialog = widget.reasons.dialog
    assert dialog is not None
    driver.wait_for(lambda: dialog.doing.text() == "All tried.")
    box = dialog.cases
    name_file(driver, partial(press, driver, box.choose), folder)
    driver.wait_for(lambda: box.table.isVisible() and box.table.model().rowCount() > 0)
    driver.idle()
    driver.picture_of(dialog, "known_examples")
    dialog.close()
    widget.dock.tables.setCurrentWidget(widget.dock.findings)
    driver.front()
    while widget.session.taught and widget.undo.next:
        driver.key(Qt.Key.Key_U)
    driver.idle()
