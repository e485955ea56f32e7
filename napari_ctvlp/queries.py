"""What was asked of the open scan, with its answers, and which questions are pinned; no Qt and no napari."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_ctvlp.errors import UserError
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    from napari_ctvlp.ask.teach import TaughtFinding
    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.session import Session

MOST_PINNED = 4
"""Columns that find room beside an organ's name."""


class Queries:
    """The history of a session with its answers.

    Answers are about the open scan, its masks, the encoder, the dictionary and whether names count: when one of these
    changes they are forgotten. Those that are pinned or looked at are then given anew, in the background.

    Parameters
    ----------
    session : Session

    Notes
    -----
    ``changed`` (psygnal) is emitted when a question or an answer came or went, or was pinned or let go.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self._session = session
        self._answers: dict[tuple[str, bool], Ranking] = {}
        self._pinned: list[str] = []
        self._wanted: tuple[str, ...] = ()
        session.ranking_changed.connect(self._on_ranking)
        session.embedding_changed.connect(self._on_embedding)
        session.words_changed.connect(self._on_words)
        session.taught_changed.connect(self._on_taught)
        self._taught = session.taught

    def close(self) -> None:
        """Listen no more."""
        for signal, slot in (
            (self._session.ranking_changed, self._on_ranking),
            (self._session.embedding_changed, self._on_embedding),
            (self._session.words_changed, self._on_words),
            (self._session.taught_changed, self._on_taught),
        ):
            signal.disconnect(slot, missing_ok=True)

    @property
    def texts(self) -> tuple[str, ...]:
        """Questions, the newest first; pinned ones that were asked long ago last."""
        return tuple(dict.fromkeys([*reversed(self._session.history), *self._pinned]))

    @property
    def pinned(self) -> tuple[str, ...]:
        """Questions that are pinned, in the order in which they were."""
        return tuple(self._pinned)

    def answer(self, text: str) -> Ranking | None:
        """The answer to a question about what is open now; None where there is none yet."""
        return self._answers.get((text, self._session.use_names))

    def want(self, texts: Sequence[str]) -> None:
        """Answer these too, where they are not, in place of those that were wanted before."""
        self._wanted = tuple(texts)
        self.refresh()

    def refresh(self) -> None:
        """Answer what is pinned or wanted and has no answer."""
        session, rooms = self._session, self._session.rooms
        embedding, use_names, masks, taught = session.embedding, session.use_names, session.masks, session.taught
        scan = session.scan
        missing = [t for t in dict.fromkeys([*self._pinned, *self._wanted]) if (t, use_names) not in self._answers]
        if embedding is None or not missing:
            self.changed.emit()
            return

        def done(found: dict[str, Ranking]) -> None:
            if session.embedding is embedding:
                self._answers |= {(text, use_names): ranking for text, ranking in found.items()}
                self.changed.emit()

        session.run(
            Task.ANSWERS,
            lambda _report, _cancelled: {
                text: rooms.rank_organs(embedding, text, use_names, masks, taught, scan) for text in missing
            },
            done,
        )

    def pin(self, text: str, on: bool = True) -> None:
        """Pin a question, or let it go.

        Raises
        ------
        UserError
            When too many are pinned.
        """
        if not text or on == (text in self._pinned):
            return
        if on and len(self._pinned) >= MOST_PINNED:
            raise UserError(f"{MOST_PINNED} questions are pinned, which is all there is room for; let one go first.")
        self.set_pinned([*self._pinned, text] if on else [t for t in self._pinned if t != text])

    def set_pinned(self, texts: Iterable[str]) -> None:
        """Pin these and no others."""
        self._pinned = list(dict.fromkeys(texts))[:MOST_PINNED]
        self.refresh()

    def forget(self, texts: Sequence[str]) -> None:
        """Take questions out of the history, pinned or not."""
        self.restore([t for t in self._session.history if t not in texts], [t for t in self._pinned if t not in texts])

    def restore(self, history: Sequence[str], pinned: Sequence[str]) -> None:
        """Make the history this one, oldest first."""
        self._session.history[:] = history
        self.set_pinned(pinned)

    def _on_ranking(self, ranking: Ranking | None) -> None:
        session = self._session
        if ranking is None:
            return
        known = {*session.history, *self._pinned}
        self._answers = {key: answer for key, answer in self._answers.items() if key[0] in known}
        self._answers[session.query, session.use_names] = ranking
        self.refresh()

    def _on_embedding(self, _embedding: object) -> None:
        self._answers.clear()
        self.refresh()

    def _on_words(self) -> None:
        self._answers.clear()
        self.refresh()

    def _on_taught(self, taught: tuple[TaughtFinding, ...]) -> None:
        """Questions that call a taught finding by its name have another answer now."""
        known, self._taught = {*self._taught, *taught}, taught
        stale = [key for key in self._answers if any(f.called_in(key[0]) for f in known)]
        for key in stale:
            del self._answers[key]
        if stale:
            self.refresh()
