"""Joins the history of questions with the window: the dialog, and pinned questions as columns of the organ table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_ctvlp._qt.dialogs import bring_up, dismiss
from napari_ctvlp._qt.organ_model import Pin
from napari_ctvlp._qt.queries_dialog import QueriesDialog
from napari_ctvlp.ask.contrast import contrast
from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_ctvlp._qt.dock import Dock
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.queries import Queries
    from napari_ctvlp.session import Session


class Asked:
    """Shows what was asked, compares two, pins some.

    Parameters
    ----------
    dock, session, queries, undo
        Whom it serves.
    ask : callable
        Asks as if typed into the line.
    jump : callable
        Goes to an organ.
    display_name : callable
        What to call an organ.
    parent : QWidget
        Of the dialog.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(
        self,
        dock: Dock,
        session: Session,
        queries: Queries,
        undo: Undo,
        ask: Callable[[str], None],
        jump: Callable[[str], None],
        display_name: Callable[[str], str],
        parent: QWidget,
        wiring: Wiring,
    ) -> None:
        self._dock, self._session, self._queries, self._undo = dock, session, queries, undo
        self._ask, self._jump, self._display_name, self._parent = ask, jump, display_name, parent
        self.dialog: QueriesDialog | None = None
        self._wanted: tuple[str, ...] = ()
        wiring.connect(queries.changed, self._show)
        dock.use_names.toggled.connect(lambda _on: queries.refresh())
        wiring.callback(self.close)

    @property
    def shown(self) -> bool:
        """Whether the dialog is to be seen."""
        return self.dialog is not None and self.dialog.isVisible()

    def toggle(self) -> None:
        """Show the questions, or hide them."""
        if self.shown:
            assert self.dialog is not None
            self.dialog.close()
            return
        if self.dialog is None:
            self.dialog = dialog = QueriesDialog(self._display_name, self._parent)
            dialog.selected.connect(self._show_selected)
            dialog.asked.connect(self._ask)
            dialog.pin_requested.connect(self._on_pin)
            dialog.forget_requested.connect(self._on_forget)
            dialog.organ_chosen.connect(self._jump)
            dialog.finished.connect(lambda _result: self._want(()))
        bring_up(self.dialog)
        self._show()

    def close(self) -> None:
        """Take the dialog away; safe to call twice."""
        dialog, self.dialog = self.dialog, None
        dismiss(dialog)

    def pin_present(self) -> None:
        """Pin the question that is open, or let it go."""
        if self._session.query:
            self._on_pin([self._session.query])
        else:
            self._session.failed.emit(UserError("Ask something first: the question that is open is what gets pinned."))
            self._show()

    # -- what is shown -----------------------------------------------------------------------------------------

    def _show(self) -> None:
        queries, pinned = self._queries, self._queries.pinned
        pins = []
        for text in pinned:
            answer = queries.answer(text)
            pins.append(Pin(text, None if answer is None else {match.organ: match.score for match in answer.organs}))
        self._dock.organs.set_pins(pins)
        self._dock.more.set_pinned(self._session.query in pinned)
        if self.dialog is not None and self.dialog.isVisible():
            self.dialog.set_queries([(text, queries.answer(text), text in pinned) for text in queries.texts])
            self._show_selected(self.dialog.questions.selected[:2])
            if self._session.embedding is not None:
                self._want(queries.texts)

    def _want(self, texts: tuple[str, ...]) -> None:
        """Have the answers of all questions that are listed: those about another scan or dictionary are forgotten."""
        if texts != self._wanted:
            self._wanted = texts
            self._queries.want(texts)

    def _show_selected(self, texts: list[str]) -> None:
        if self.dialog is None:
            return
        answers = [self._queries.answer(text) for text in texts]
        if not texts:
            self.dialog.show_nothing()
        elif len(texts) == 1:
            self.dialog.show_answer(texts[0], answers[0])
        else:
            first, second = answers
            found = () if first is None or second is None else contrast(first, second)
            self.dialog.show_contrast(texts[0], texts[1], found)

    # -- what is done ------------------------------------------------------------------------------------------

    def _on_pin(self, texts: list[str]) -> None:
        """Pin all of them; where all are pinned, let them go."""
        before = self._queries.pinned
        on = any(text not in before for text in texts)
        try:
            for text in texts:
                self._queries.pin(text, on)
        except UserError as error:
            self._session.failed.emit(error)
            self._show()
        if self._queries.pinned != before:
            self._undo.push(
                "pinning" if on else "letting a pinned question go", lambda: self._queries.set_pinned(before)
            )

    def _on_forget(self, texts: list[str]) -> None:
        history, pinned = list(self._session.history), self._queries.pinned
        self._queries.forget(texts)
        self._dock.query.set_history(self._session.history)
        self._undo.push("forgetting questions", lambda: self._bring_back(history, pinned))

    def _bring_back(self, history: list[str], pinned: tuple[str, ...]) -> None:
        self._queries.restore(history, pinned)
        self._dock.query.set_history(self._session.history)
