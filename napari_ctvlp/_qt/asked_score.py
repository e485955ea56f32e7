"""Which score is asked about: that of the finding of the last question, or of the row that was clicked since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

from napari_ctvlp._qt.wrapped_label import shortened

if TYPE_CHECKING:
    from napari_ctvlp._qt.wiring import Wiring
    from napari_ctvlp.ask.types import Ranking
    from napari_ctvlp.session import Session

NOTHING = "Ask for a finding, or click one in the table of findings, to see why it got its score."
NO_FINDING = "“{}” asks for no finding, so that there is no score to explain."


class AskedScore:
    """Keeps the newer of the two in mind.

    Parameters
    ----------
    session : Session
        Whose answers count.
    wiring : Wiring
        Undoes its connection.

    Attributes
    ----------
    pair : (organ, abnormality) or None
        None where the question asks for no finding, or there is none.
    question : str
        The question that was answered last.

    Notes
    -----
    ``changed`` (psygnal, no value) comes with each new question and each row, be the pair another or not.
    """

    changed = Signal()

    def __init__(self, session: Session, wiring: Wiring) -> None:
        self._session = session
        self.pair: tuple[str, str] | None = None
        self.question = ""
        self._was_asked = False  # and not clicked
        wiring.connect(session.ranking_changed, self._on_ranking)

    @property
    def why_none(self) -> str:
        """What to do, where there is no such score; else an empty text."""
        if self.pair is not None:
            return ""
        return f"{NO_FINDING.format(shortened(self.question))} {NOTHING}" if self.question else NOTHING

    def choose(self, organ: str, abnormality: str) -> None:
        """Take this score."""
        self.pair, self._was_asked = (organ, abnormality), False
        self.changed.emit()

    def _on_ranking(self, ranking: Ranking | None) -> None:
        """Another question, or the same one asked again: what was wanted before is not what is asked about now."""
        if ranking is None:
            if not self._session.query:
                self.question = ""
                self.pair = None if self._was_asked else self.pair
                self.changed.emit()
            return
        if ranking.text == self.question and not self._session.is_news:
            return  # answered anew, since masks or words have changed
        self.question, self._was_asked = ranking.text, True
        finding = ranking.finding
        self.pair = None if finding is None else (finding.organ, finding.abnormality)
        self.changed.emit()
