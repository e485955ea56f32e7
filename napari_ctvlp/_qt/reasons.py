"""Evidence for one score: gathers it, tries one change after the other, shows the regions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer

from napari_ctvlp._qt.asked_score import NOTHING, AskedScore
from napari_ctvlp._qt.dialogs import bring_up, dismiss
from napari_ctvlp._qt.known_cases import KnownCases
from napari_ctvlp._qt.reasons_dialog import ReasonsDialog
from napari_ctvlp._qt.region_layer import RegionLayer
from napari_ctvlp.ask.types import TAUGHT, abnormality_text
from napari_ctvlp.teaching import find
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels
    from qtpy.QtWidgets import QWidget

    from napari_ctvlp._qt.navigator import Navigator
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.ask.evidence import Case
    from napari_ctvlp.ask.types import AbnormalityScore
    from napari_ctvlp.session import Session
    from napari_ctvlp.work import Activity

NO_PROMPTS = "Taught by examples: it has no prompts"
FORGOTTEN = "This finding is not taught any more."
GATHERING = "regions and sentences"
FOLLOW_MS = 400
"""So long a question or a row stands before what is open explains it: each change encodes the scan anew."""


class Reasons:
    """Opens the dialog for the finding asked for or clicked last, whichever came later; an open one follows.

    Parameters
    ----------
    viewer, session, navigator, undo
        Whom it serves.
    open_lab : callable
        Opens an entry in the prompt lab.
    display_name : callable
        What to call an organ.
    parent : QWidget
        Of the dialog.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session,
        navigator: Navigator,
        undo: Undo,
        open_lab: Callable[[str], None],
        display_name: Callable[[str], str],
        parent: QWidget,
        wiring: Wiring,
    ) -> None:
        self._viewer, self._session, self._navigator, self._undo = viewer, session, navigator, undo
        self._open_lab, self._display_name, self._parent = open_lab, display_name, parent
        self._regions = RegionLayer(viewer)
        self.cases = KnownCases(session, undo, display_name)
        self._asked = AskedScore(session, wiring)
        self._shown: tuple[str, str] | None = None
        self._case: Case | None = None
        self._left: list[int] = []
        self._working = False
        self.dialog: ReasonsDialog | None = None
        self._following = QTimer(parent)
        self._following.setSingleShot(True)
        self._following.setInterval(FOLLOW_MS)
        self._following.timeout.connect(self._gather)
        wiring.connect(session.embedding_changed, self._on_embedding)
        wiring.connect(session.scan_changed, self._on_scan)
        wiring.connect(self._asked.changed, self._follow)
        wiring.connect(session.activity_changed, self._on_activity)
        wiring.callback(self.close)

    @property
    def layers(self) -> list[Labels]:
        """The outlines of the regions, where they are shown."""
        return self._regions.layers

    @property
    def shown(self) -> bool:
        """Whether the dialog is to be seen."""
        return self.dialog is not None and self.dialog.isVisible()

    @property
    def outlined(self) -> bool:
        """Whether regions are to be seen."""
        return self._regions.shown

    def choose(self, organ: str, abnormality: str) -> None:
        """Take this score, when next asked why, and at once where another one is explained."""
        self._asked.choose(organ, abnormality)

    def toggle(self) -> None:
        """Show why the score got chosen last is as it is, or hide that where it is shown."""
        if self.shown and self._shown == self._asked.pair and not self._following.isActive():
            assert self.dialog is not None
            self.dialog.close()
        else:
            self.open()

    def open(self) -> None:
        """Gather the evidence for the score chosen last."""
        if self.dialog is None:
            self.dialog = dialog = ReasonsDialog(self._parent)
            dialog.region_chosen.connect(self._go)
            dialog.stop_requested.connect(self._stop)
            dialog.again_requested.connect(self._next)
            dialog.prompts_requested.connect(self._on_prompts)
            dialog.closed.connect(self._on_closed)
            self.cases.show_in(dialog.cases)
        bring_up(self.dialog)
        self._gather()

    def close(self) -> None:
        """Take dialog and outlines away; safe to call twice."""
        self._following.stop()
        self._regions.remove()
        dialog, self.dialog = self.dialog, None
        dismiss(dialog)

    # -- gathering ---------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Explain what is wanted now where something else is explained; what is past goes at once."""
        if self.dialog is None or not self.shown or (self._asked.pair is not None and self._asked.pair == self._shown):
            return
        self._begin(self.dialog)
        self._session.stop(Task.EVIDENCE)
        self._working = False
        self.dialog.set_idle("")
        self._following.start()

    def _begin(self, dialog: ReasonsDialog) -> None:
        """Put the score that is wanted in the place of what was explained."""
        self._following.stop()
        self._regions.hide()
        self._case, self._left, self._shown = None, [], self._asked.pair
        self.cases.set_organs(())
        dialog.set_question(self._asked.why_none or self._title)

    def _gather(self) -> None:
        dialog, session = self.dialog, self._session
        if dialog is None:
            return
        self._begin(dialog)
        embedding, scan, masks, rooms = session.embedding, session.scan, session.masks, session.rooms
        if self._asked.pair is None or embedding is None or scan is None or masks is None:
            session.stop(Task.EVIDENCE)
            if self._asked.pair is not None:
                dialog.set_question(NOTHING)
            dialog.set_prompts_missing("Nothing is explained yet")
            dialog.set_idle("")
            return
        organ, abnormality = self._asked.pair
        gather: Callable[[], Case | None]
        if not abnormality.startswith(TAUGHT):
            dialog.set_prompts_missing("")
            gather = partial(rooms.evidence, embedding, scan, masks, organ, abnormality)
        else:
            dialog.set_prompts_missing(NO_PROMPTS)
            finding = find(session, abnormality.removeprefix(TAUGHT))
            if finding is None:
                session.stop(Task.EVIDENCE)
                self._on_gathered(None)
                return
            gather = partial(rooms.taught_evidence, embedding, scan, masks, organ, finding)
        session.run(Task.EVIDENCE, lambda _report, _cancelled: gather(), self._on_gathered)
        self._show_work(None)

    @property
    def _title(self) -> str:
        assert self._shown is not None
        organ, abnormality = self._shown
        return f"{self._display_name(organ)}, {abnormality_text(abnormality)}"

    def _on_gathered(self, case: Case | None) -> None:
        from napari_ctvlp.ask.evidence import lps

        dialog, scan = self.dialog, self._session.scan
        if dialog is None or scan is None:
            return
        if case is None:
            taught = self._shown is not None and self._shown[1].startswith(TAUGHT)
            dialog.set_notes((FORGOTTEN if taught else "The dictionary has no such entry any more.",))
            dialog.set_idle("")
            return
        self._case = case
        found = case.evidence
        dialog.set_score(self._title, found.score)
        dialog.set_notes(found.notes)
        dialog.set_regions([(self._display_name(s.organ), s.value, lps(scan, s)) for s in found.regions])
        if found.entry is None:
            dialog.set_examples(found.sentences)
        else:
            dialog.set_sentences(found.sentences)
        dialog.set_plan([(change.name, change.meaning) for change in case.changes])
        self.cases.set_organs(found.organs)
        if case.drawn is not None:
            self._regions.show(scan, *case.drawn)
        self._left = list(range(len(case.changes)))
        self._next()

    def _next(self) -> None:
        """Try the next change; each is work of its own, so that what is known is shown at once."""
        case = self._case
        if self.dialog is None or case is None:
            return
        if not self._left:
            self._working = False
            self.dialog.set_idle("" if not case.changes else "All tried.")
            return
        number = self._left[0]
        change = case.changes[number]

        def done(score: AbnormalityScore) -> None:
            if self.dialog is not None and self._case is case:
                self._left.remove(number)
                self.dialog.set_after(number, score)
                self._next()

        self._session.run(Task.EVIDENCE, change.score, done)
        self._show_work(0.0)

    def _stop(self) -> None:
        self._session.stop(Task.EVIDENCE)

    # -- what is said ------------------------------------------------------------------------------------------

    def _show_work(self, fraction: float | None) -> None:
        if self.dialog is None or not self._session.busy_with(Task.EVIDENCE):
            return
        self._working = True
        case = self._case
        if case is None:
            self.dialog.set_working(GATHERING, None)
            return
        count, number = len(case.changes), self._left[0]
        self.dialog.set_working(case.changes[number].name, (count - len(self._left) + (fraction or 0.0)) / count)

    def _on_activity(self, activity: Activity | None) -> None:
        if self._session.busy_with(Task.EVIDENCE):
            if activity is not None and activity.task is Task.EVIDENCE:
                self._show_work(activity.fraction)
        elif self._working:  # done (and the next begins at once), stopped or failed
            self._working = False
            if self.dialog is not None:
                self.dialog.set_idle("Stopped.", more=bool(self._left))

    # -- what is done ------------------------------------------------------------------------------------------

    def _go(self, number: int) -> None:
        scan = self._session.scan
        if self._case is None or scan is None:
            return
        spot = self._case.evidence.regions[number]
        world = np.asarray(scan.napari_translate) + np.asarray(spot.index) * np.asarray(scan.spacing)
        before = tuple(float(v) for v in self._viewer.dims.point)[-3:]
        self._undo.push("going to a region", lambda: self._navigator.go_to(before))
        self._navigator.point_at(tuple(float(v) for v in world))

    def _on_prompts(self) -> None:
        if self._shown is not None:
            self._open_lab(self._shown[1])

    def _on_closed(self) -> None:
        self._following.stop()
        self._session.stop(Task.EVIDENCE)
        self._regions.hide()

    def _on_scan(self, _scan: object) -> None:
        self._regions.remove_with_scan()

    def _on_embedding(self, embedding: object) -> None:
        """Another scan, other masks, another encoder: what is shown is of the past."""
        if self._session.embedding is None:
            self._regions.hide()
            self._case, self._left = None, []
        if self.shown:
            self._gather()
