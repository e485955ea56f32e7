"""The prompt lab: other words for a finding, tried on the open scan while they are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_ctvlp._qt.dialogs import bring_up, dismiss
from napari_ctvlp._qt.prompt_dialog import PromptDialog
from napari_ctvlp.anatomy.dictionary import MIN_PROMPTS, prompt_fault
from napari_ctvlp.ask.types import TAUGHT
from napari_ctvlp.errors import UserError
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.anatomy.dictionary import Abnormality
    from napari_ctvlp.ask.sentences import Trial
    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.session import Session

NO_SCAN = "Open a scan with its organ masks: the scores appear here as you type."
NO_PROMPTS = "No prompts: “{}” was taught by examples. Choose another finding for the prompt lab."
OWN = "This encoder was trained on words of its own for this finding, which go before those of a dictionary."


class PromptLab:
    """Opens the dialog, tries what is written, saves it.

    Parameters
    ----------
    session, undo
        Whom it serves.
    jump : callable
        Goes to an organ.
    written : callable
        Called when the user's dictionary was written.
    display_name : callable
        What to call an organ.
    parent : QWidget
        Of the dialog.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(
        self,
        session: Session,
        undo: Undo,
        jump: Callable[[str], None],
        written: Callable[[], None],
        display_name: Callable[[str], str],
        parent: QWidget,
        wiring: Wiring,
    ) -> None:
        self._session, self._undo, self._jump, self._written = session, undo, jump, written
        self._display_name, self._parent = display_name, parent
        self._entries: dict[str, Abnormality] = {}
        self._own: frozenset[str] = frozenset()
        self._key = ""
        self._written_for = ""  # the entry whose prompts stand in the dialog
        self._wanted = ""
        self._organ = ""
        self._saved: Trial | None = None
        self._now: Trial | None = None
        self.dialog: PromptDialog | None = None
        wiring.connect(session.embedding_changed, self._on_embedding)
        wiring.connect(session.words_changed, self._on_words)
        wiring.connect(session.ranking_changed, self._on_ranking)
        wiring.callback(self.close)

    @property
    def shown(self) -> bool:
        """Whether the dialog is to be seen."""
        return self.dialog is not None and self.dialog.isVisible()

    def choose(self, _organ: str, abnormality: str) -> None:
        """Begin with this finding, when next opened."""
        self._wanted = abnormality

    def toggle(self) -> None:
        """Show the lab with the finding asked for or clicked last, or hide it."""
        if self.shown:
            assert self.dialog is not None
            self.dialog.hide()
        elif self._wanted.startswith(TAUGHT):
            self._session.failed.emit(UserError(NO_PROMPTS.format(self._wanted.removeprefix(TAUGHT))))
        else:
            self.open(self._wanted)

    def open(self, key: str = "") -> None:
        """Show the lab, with this entry where it is known."""
        if self.dialog is None:
            self.dialog = dialog = PromptDialog(self._display_name, self._parent)
            dialog.entry_chosen.connect(self._choose)
            dialog.edited.connect(self._try)
            dialog.save_requested.connect(self._save)
            dialog.revert_requested.connect(self._revert)
            dialog.organ_chosen.connect(self._on_organ)
        if key in self._entries:
            self._choose(key)
        elif key:
            self._key, self._saved, self._now = key, None, None
        bring_up(self.dialog)
        self._load()

    def close(self) -> None:
        """Take the dialog away; safe to call twice."""
        dialog, self.dialog = self.dialog, None
        dismiss(dialog)

    # -- entries -----------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Read the dictionary, then show the entry and try it."""
        session = self._session
        if self.dialog is None:
            return
        encoder, rooms = session.encoder, session.rooms
        if session.embedding is None or encoder is None:
            self.dialog.set_told(NO_SCAN)
            self.dialog.set_scores((), ())
            self.dialog.set_sentences("", ())
            return
        session.run(Task.WORDS, lambda _report, _cancelled: rooms.dictionary(encoder), self._on_dictionary)

    def _on_dictionary(self, entries: tuple[Abnormality, ...]) -> None:
        encoder, dialog = self._session.encoder, self.dialog
        if encoder is None or dialog is None:
            return
        unsaved = self._changed
        self._entries = {entry.key: entry for entry in entries}
        self._own = frozenset(entry.key for entry in getattr(encoder, "dictionary", ()))
        known = {pair.split("/")[1] for pair in encoder.card.abnormalities}
        if self._key not in self._entries:
            self._key = next((key for key in self._entries if key in known), next(iter(self._entries), ""))
            unsaved = False
        listed = sorted(self._entries.values(), key=lambda e: (e.key not in known, e.name.lower()))
        names = [(e.key, e.name if e.key in known else f"{e.name} (unknown to this encoder)") for e in listed]
        dialog.set_entries(names, self._key)
        self._saved = None
        if not unsaved and self._key:
            entry = self._entries[self._key]
            if dialog.prompts != (entry.positive, entry.negative):
                dialog.set_prompts(entry.positive, entry.negative, undoable=self._written_for == self._key)
            self._written_for = self._key
        self._try()

    def _choose(self, key: str) -> None:
        if key == self._key or self.dialog is None:
            return
        before, texts, kept = self._key, self.dialog.prompts, self._changed
        self._key, self._organ, self._saved, self._now = key, "", None, None
        self._written_for = key
        entry = self._entries[key]
        self.dialog.set_prompts(entry.positive, entry.negative)
        if kept:  # what was written is not lost by looking at another entry
            self._undo.push("leaving unsaved prompts", lambda: self._restore(before, texts))
        self._try()

    def _restore(self, key: str, texts: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
        if self.dialog is None or key not in self._entries:
            return
        self._key, self._organ, self._saved, self._now = key, "", None, None
        self._written_for = key
        self.dialog.entries.setCurrentIndex(self.dialog.entries.findData(key))
        self.dialog.set_prompts(*texts)
        self.dialog.show()
        self._try()

    # -- trying ------------------------------------------------------------------------------------------------

    @property
    def _changed(self) -> bool:
        """Whether what is written differs from what is saved."""
        entry = self._entries.get(self._key) if self._written_for == self._key else None
        return entry is not None and self.dialog is not None and self.dialog.prompts != (entry.positive, entry.negative)

    def _try(self) -> None:
        """Score what is written; the newest wins."""
        dialog, session, rooms = self.dialog, self._session, self._session.rooms
        entry = self._entries.get(self._key)
        if dialog is None or entry is None:
            return
        positive, negative = dialog.prompts
        fault = _fault(positive, negative)
        self._show_state(fault)
        embedding, saved = session.embedding, self._saved
        if embedding is None:
            return
        if not positive or not negative:  # scores of other prompts must not stand beside these
            session.stop(Task.LAB)
            self._now = None
            dialog.set_scores((), ())
            self._show_sentences()
            return
        trying = replace(entry, positive=positive, negative=negative)

        def work(_report: object, _cancelled: object) -> tuple[Trial, Trial]:
            before = rooms.try_entry(embedding, entry) if saved is None else saved
            return before, before if trying == entry else rooms.try_entry(embedding, trying)

        session.run(Task.LAB, work, self._on_tried)

    def _on_tried(self, trials: tuple[Trial, Trial]) -> None:
        if self.dialog is None:
            return
        self._saved, self._now = trials
        self.dialog.set_scores(self._now.scores, self._saved.scores if self._changed else ())
        organs = [score.organ for score in self._now.scores]
        if self._organ not in organs:
            best = max(self._now.scores, key=lambda s: -1.0 if s.probability is None else s.probability, default=None)
            self._organ = "" if best is None else best.organ
        self.dialog.scores.select(self._organ)
        self._show_sentences()

    def _show_sentences(self) -> None:
        if self.dialog is not None:
            found = () if self._now is None else self._now.sentences.get(self._organ, ())
            self.dialog.set_sentences(self._organ, found)

    def _show_state(self, fault: str) -> None:
        assert self.dialog is not None
        own = self._key in self._own
        why = OWN if own else fault or ("Ctrl+S" if self._changed else "Nothing has changed")
        self.dialog.set_told(fault or (OWN if own else ""))
        self.dialog.set_can(save=self._changed and not fault and not own, revert=self._changed, why=why)

    def _on_organ(self, organ: str) -> None:
        self._organ = organ
        self._show_sentences()
        self._jump(organ)

    # -- keeping -----------------------------------------------------------------------------------------------

    def _revert(self) -> None:
        entry = self._entries.get(self._key)
        if self.dialog is not None and entry is not None:
            self.dialog.set_prompts(entry.positive, entry.negative, undoable=True)
            self._try()

    def _save(self) -> None:
        entry, rooms = self._entries.get(self._key), self._session.rooms
        if self.dialog is None or entry is None:
            return
        positive, negative = self.dialog.prompts
        if _fault(positive, negative) or not self._changed or self._key in self._own:
            return
        new = replace(entry, positive=positive, negative=negative)

        def done(back: Callable[[], None]) -> None:
            self._undo.push(f"saving prompts of {entry.name}", lambda: self._take_back(back))
            self._written()

        self._session.run(Task.WORDS, lambda _report, _cancelled: rooms.save_prompts(new), done)

    def _take_back(self, back: Callable[[], None]) -> None:
        self._session.run(Task.WORDS, lambda _report, _cancelled: back(), lambda _nothing: self._written())

    # -- what others do ----------------------------------------------------------------------------------------

    def _on_ranking(self, ranking: Ranking | None) -> None:
        if ranking is not None and ranking.finding is not None:
            self._wanted = ranking.finding.abnormality
        elif ranking is not None and self._wanted.startswith(TAUGHT):
            self._wanted = ""  # was clicked before the question, which has nothing to do with it

    def _on_embedding(self, embedding: object) -> None:
        self._saved = self._now = None
        if self.shown:
            self._load()

    def _on_words(self) -> None:
        self._saved = None
        if self.shown:
            self._load()


def _fault(positive: tuple[str, ...], negative: tuple[str, ...]) -> str:
    """What is wrong with prompts, with the line in its field; empty where they may be saved."""
    if not positive or not negative:
        where = "call the organ normal" if positive else "state the finding"
        return f"0 prompts {where}, so that there is nothing to score."
    for where, texts in (("stating", positive), ("normal", negative)):
        for number, text in enumerate(texts, 1):
            if fault := prompt_fault(text):
                return f"Prompt {number} of the {where} ones: {fault}"
    for where, texts in (("state the finding", positive), ("call the organ normal", negative)):
        if len(texts) < MIN_PROMPTS:
            return f"{len(texts)} prompts {where}; a dictionary needs at least {MIN_PROMPTS} different ones."
    return ""
