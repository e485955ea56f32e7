"""Between what is taught in the window and the session: which finding, which organ, yes or no, and back."""

# mypy: disable-error-code="union-attr"
# (the stubs of PyQt6 call everything optional that Qt never leaves out for a living widget)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_ctvlp._qt.teach_bar import TeachBar
from napari_ctvlp._qt.teach_panel import TeachPanel
from napari_ctvlp.anatomy import display_name
from napari_ctvlp.ask.taught_file import SUFFIX, write_taught
from napari_ctvlp.ask.teach import EncoderKey
from napari_ctvlp.ask.types import TAUGHT, AbnormalityScore
from napari_ctvlp.errors import UserError
from napari_ctvlp.exports import write
from napari_ctvlp.teaching import find, forget, mark, refusal, take

if TYPE_CHECKING:
    from napari_ctvlp._qt.dock import Dock
    from napari_ctvlp._qt.navigator import Navigator
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.session import Session


class Teacher:
    """Adds the tab and the bar, and keeps in mind which finding and which organ are meant.

    A question and a row of the findings set both; a click on an organ, wherever it is shown, sets the organ; the tab's
    line sets the name. What comes last counts. A name that came with a question or a row goes with the next question.

    Parameters
    ----------
    dock, session, navigator, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(
        self,
        dock: Dock,
        session: Session,
        navigator: Navigator,
        undo: Undo,
        wiring: Wiring,
    ) -> None:
        self._dock = dock
        self._session = session
        self._undo = undo
        self._name = ""
        self._organ = ""
        self._taken = ""  # the name, where it is that of a question or a row
        self._answered = ""  # the question that was answered last
        self.panel = TeachPanel()
        self.bar = TeachBar()
        dock.tables.addTab(self.panel, "Teach")
        dock.tables.setTabToolTip(dock.tables.count() - 1, "Teach a finding by examples")
        dock.findings.layout().addWidget(self.bar)
        dock.findings.score_chosen.connect(self._on_score)
        self.panel.name_changed.connect(self._on_name)
        self.panel.answered.connect(self.answer)
        self.bar.answered.connect(self.answer)
        self.panel.save_requested.connect(self._ask_where)
        self.panel.open_requested.connect(self._ask_what)
        self.panel.forget_requested.connect(self._forget)
        wiring.connect(session.ranking_changed, self._on_ranking)
        wiring.connect(navigator.organ_reached, self._on_organ)
        wiring.connect(session.masks_changed, self._on_masks)
        wiring.connect(session.embedding_changed, self._on_embedding)
        wiring.connect(session.taught_changed, self._on_taught)
        wiring.connect(session.scores_changed, self._show)
        self._ask()

    # -- which ---------------------------------------------------------------------------------------------------

    def _on_score(self, score: AbnormalityScore, organ: str) -> None:
        self._take(score.abnormality, organ)

    def _on_ranking(self, ranking: Ranking | None) -> None:
        """The finding asked for and where it was looked for are the pair; a question for an organ leaves it unnamed."""
        if ranking is None:
            if not self._session.query and self._answered:
                self._answered = ""
                self._take("", "")
                self._dock.findings.select("", "")
            return
        if ranking.text == self._answered and not self._session.is_news:
            return  # answered anew, since masks, words or examples have changed
        self._answered = ranking.text
        finding, best = ranking.finding, ranking.best
        if finding is None:
            self._take("", "" if best is None else best.organ)
        else:
            self._take(finding.abnormality, finding.organ)
        if not self._session.is_provisional:
            self._dock.findings.select(*("", "") if finding is None else (finding.organ, finding.abnormality))

    def _take(self, abnormality: str, organ: str) -> None:
        """Mean this finding in this organ; without a finding a name that was typed stays."""
        masks = self._session.masks
        self._organ = organ if masks is not None and organ in masks.statistics else ""
        name = abnormality.removeprefix(TAUGHT).replace("_", " ")
        if name or self._name == self._taken:
            self._taken = name
            self.panel.set_name(name)
        self._ask()

    def _on_organ(self, organ: str) -> None:
        self._organ = organ
        self._ask()

    def _on_name(self, name: str) -> None:
        self._name = name.strip()
        self._ask()

    def _on_masks(self, masks: object) -> None:
        if self._session.masks is None or self._organ not in self._session.masks.statistics:
            self._organ = ""
        self._ask()

    def _on_embedding(self, embedding: object) -> None:
        self._show()
        self._ask()

    # -- yes or no -------------------------------------------------------------------------------------------------

    def answer(self, present: bool) -> None:
        """Make the organ an example of the finding; the window's undo takes it back."""
        if not self._name:
            self._dock.tables.setCurrentWidget(self.panel)
            self.panel.name.setFocus()
            return
        if not self._organ:
            self._session.failed.emit(UserError("Which organ? Click one in the image or in a table first."))
            return
        state = "with" if present else "without"
        what = f"{display_name(self._organ)} as an example {state} {self._name}"
        self._change(what, lambda: mark(self._session, self._name, self._organ, present))

    def _forget(self) -> None:
        chosen = self.panel.chosen
        if chosen is not None:
            self._change(f"forgetting {chosen.name}", lambda: forget(self._session, chosen))

    def _change(self, what: str, change: Callable[[], object]) -> None:
        before = self._session.taught
        try:
            change()
        except UserError as error:
            self._session.failed.emit(error)
            return
        self._undo.push(what, lambda: self._session.set_taught(before))

    # -- files -----------------------------------------------------------------------------------------------------

    def save(self, path: str) -> None:
        """Write the chosen finding, or all, in the background."""
        chosen = self.panel.chosen
        findings = self._session.taught if chosen is None else (chosen,)
        write(self._session, lambda: write_taught(path, findings))

    def take(self, path: str) -> None:
        """Add the findings of a file."""
        self._change(f"opening {Path(path).name}", lambda: take(self._session, path))

    def _ask_where(self) -> None:
        chosen = self.panel.chosen
        name = "taught" if chosen is None else "".join(c if c.isalnum() else "_" for c in chosen.name)
        self._dialog("Save taught findings", f"{name}{SUFFIX}", self.save, save=True)

    def _ask_what(self) -> None:
        self._dialog("Open taught findings", "", self.take, save=False)

    def _dialog(self, title: str, name: str, then: Callable[[str], None], *, save: bool) -> None:
        dialog = QFileDialog(self.panel, title, name, "Taught findings (*.json)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if save:
            dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        else:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(then)
        dialog.open()

    # -- what is shown -----------------------------------------------------------------------------------------------

    def _on_taught(self, _: object) -> None:
        self._show()
        self._ask()

    def _show(self, _: object = None) -> None:
        encoder = self._session.encoder
        self.panel.set_findings(self._session.taught, "" if encoder is None else str(EncoderKey.of(encoder.card)))

    def _ask(self) -> None:
        """Put the question that yes and no answer."""
        ready = self._session.embedding is not None
        organ = display_name(self._organ) if self._organ else ""
        refused = bool(self._name and organ and refusal(self._session, self._name, self._organ))
        if refused:
            text = f"{self._name} is not looked for in the {organ}."
        elif self._name and organ:
            text = f"{self._name} in the {organ}?"
            known = find(self._session, self._name)
            if known is not None:
                text += f" ({known.present} with, {known.absent} without)"
        elif organ:
            text = f"What is in the {organ}? Name it."
        elif self._name:
            text = f"{self._name}: click an organ."
        else:
            text = "Ask for a finding, or choose a row: is it there?"
        for bar in (self.bar, self.panel.bar):
            bar.set_question(text, ready and bool(self._name and organ) and not refused)
        self.bar.setVisible(ready)
