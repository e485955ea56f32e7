"""From the question line to the session, and from its answers to the dock and the canvas."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctvlp._qt.answer_label import next_step
from napari_ctvlp._qt.overlay import Overlay, ranking_scores
from napari_ctvlp.anatomy.query import suggestions

if TYPE_CHECKING:
    from napari_ctvlp._qt.dock import Dock
    from napari_ctvlp._qt.navigator import Navigator, Place
    from napari_ctvlp._qt.undo import Undo
    from napari_ctvlp._qt.window_level import WindowLevel
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.encoder.contract import ScanEncoder
    from napari_ctvlp.session import Session


class Answering:
    """Asks, and shows what comes of it: sentence, tables, glow, jump.

    Parameters
    ----------
    dock, session, overlay, navigator, window_level, undo
        Whom it serves.
    wiring : Wiring
        Undoes its connections.
    """

    def __init__(
        self,
        dock: Dock,
        session: Session,
        overlay: Overlay,
        navigator: Navigator,
        window_level: WindowLevel,
        undo: Undo,
        wiring: Wiring,
    ) -> None:
        self._dock = dock
        self._session = session
        self._overlay = overlay
        self._navigator = navigator
        self._window_level = window_level
        self._undo = undo
        self._typings = 0
        dock.query.typed.connect(self._on_typed)
        dock.query.asked.connect(self._on_entered)
        dock.query.escaped.connect(self._on_escaped)
        dock.query.left.connect(self._on_left)
        dock.ranking.organ_chosen.connect(navigator.choose)
        dock.findings.organ_chosen.connect(navigator.choose)
        dock.use_names.toggled.connect(session.set_use_names)
        dock.progress.cancel_requested.connect(session.cancel)
        dock.encoder.encoder_chosen.connect(self._on_encoder_chosen)
        wiring.connect(session.masks_changed, self._on_masks_changed)
        wiring.connect(session.encoder_changed, self._on_encoder_changed)
        wiring.connect(session.ranking_changed, self._on_ranking_changed)
        wiring.connect(session.activity_changed, self._on_activity_changed)
        dock.query.set_suggestions(suggestions())

    def ask(self, text: str) -> None:
        """Ask as if typed into the line."""
        self._dock.query.setText(text)
        self._on_asked(text)

    @property
    def _typing(self) -> str:
        """The series of steps that are one with the question that is being typed."""
        return f"typing {self._typings}"

    def _on_typed(self, text: str) -> None:
        """Answer what is written so far, which nobody has asked yet."""
        text, session = text.strip(), self._session
        if text == session.query:
            return
        if text and text == session.asked:  # typed back to what it was
            self._put_back()
            return
        self._push(text)
        session.ask(text, provisional=True)

    def _on_entered(self, text: str) -> None:
        """Ask; the keys then are the window's again, and the arrows choose among the answers."""
        self._on_asked(text)
        self._dock.ranking.setFocus()

    def _on_asked(self, text: str) -> None:
        if text.strip() or self._session.query or self._session.asked:
            self._push(text.strip())
        self._typings += 1
        self._session.ask(text)
        self._dock.query.set_history(self._session.history)

    def _on_escaped(self) -> None:
        """Put back what was asked; where that stands there, leave the line."""
        asked = self._session.asked
        if self._dock.query.text() == asked and not self._session.is_provisional:
            self._dock.ranking.setFocus()
            return
        self._dock.query.setText(asked)
        self._dock.query.selectAll()
        self._put_back()

    def _put_back(self) -> None:
        if self._session.is_provisional:
            self._undo.withdraw(self._typing)
            self._session.ask(self._session.asked, news=False)

    def _on_left(self) -> None:
        """What was written stays answered, with a map, for nobody types any more; an empty line clears."""
        if self._session.is_provisional:
            if self._session.query:
                self._session.map_answer()
            else:
                self._session.ask("")

    def _push(self, text: str) -> None:
        """All that is typed until a question is asked is one step."""
        session = self._session
        back = partial(
            self._take_back, session.query, session.is_provisional, self._navigator.place, self._window_level.value
        )
        self._undo.push(f"asking “{text}”" if text else "clearing the question", back, series=self._typing)

    def _take_back(self, question: str, provisional: bool, place: Place, window: tuple[float, float] | None) -> None:
        """Ask as before, look where one looked before, with the window of then."""
        self._dock.query.setText(question)
        self._navigator.return_to(place)
        self._session.ask(question, news=False, provisional=provisional)
        if window is not None:
            self._window_level.restore(window)

    def _on_encoder_chosen(self, name: str) -> None:
        before = self._session.encoder_name
        if name != before:
            self._undo.push(f"encoder {Path(name).name}", partial(self._back_to_encoder, before))
        self._session.use_encoder(name)

    def _back_to_encoder(self, name: str) -> None:
        """Answer with the encoder of before; what it saw of this scan is still in the cache of embeddings."""
        self._dock.encoder.choose(name)
        self._session.use_encoder(name)

    def _on_masks_changed(self, masks: object) -> None:
        self._show_hint()

    def _on_encoder_changed(self, encoder: ScanEncoder) -> None:
        self._dock.encoder.set_card(encoder.card)

    def _on_ranking_changed(self, ranking: Ranking | None) -> None:
        masks = self._session.masks
        self._dock.ranking.set_ranking(ranking)
        if ranking is None or masks is None:
            self._overlay.reset()
            self._show_hint()
            return
        self._dock.answer.set_ranking(ranking, provisional=self._session.is_provisional)
        best = ranking.best
        if best is None:
            self._overlay.reset()
        else:
            self._overlay.show(ranking_scores(ranking, masks))
            if self._session.is_news:
                self._navigator.jump(ranking.shown)

    def _on_activity_changed(self, activity: Any) -> None:
        self._dock.progress.set_activity(activity)
        self._show_hint()

    def _show_hint(self) -> None:
        if self._session.ranking is None:
            self._dock.answer.set_hint(next_step(self._session))
