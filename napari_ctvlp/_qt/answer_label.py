"""What the answer says in a sentence."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_ctvlp._qt.wrapped_label import WrappedLabel
from napari_ctvlp.ask.types import Finding, Ranking
from napari_ctvlp.session import Session

NOT_YET = "Nothing matches so far; Enter asks."


def probability_line(finding: Finding) -> str:
    """How likely a finding is, with the spread over prompts; empty where it cannot be said (the message says why)."""
    if finding.probability is None:
        return ""
    if finding.low is None or finding.high is None:
        return f"Probability {finding.probability:.2f}"
    return f"Probability {finding.probability:.2f} ({finding.low:.2f}–{finding.high:.2f})"


def next_step(session: Session) -> str:
    """What to do, or what to wait for, while there is no answer."""
    if session.scan is None:
        return "Open a scan and its organ masks, then ask."
    if session.masks is None:
        return "Add organ masks (below), then ask."
    if session.embedding is not None:
        return "Ready: ask for an organ or a finding."
    if session.activity is None:
        return "Not encoded yet; asking starts it."
    if session.query:
        return "The answer comes as soon as the scan is encoded."
    return "Ask already; the answer comes as soon as the scan is encoded."


class AnswerLabel(WrappedLabel):
    """The message of an answer and, where the question speaks of a finding, how likely it is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Answer")

    def set_ranking(self, ranking: Ranking | None, *, provisional: bool = False) -> None:
        """Say this answer; of a ``provisional`` one, to half a question perhaps, no reasons why nothing matches."""
        if ranking is not None and provisional and not ranking.matched:
            self.setText(NOT_YET)
            return
        lines = [] if ranking is None else [ranking.message]
        finding = None if ranking is None else ranking.finding
        if finding is not None and not finding.places and not finding.kinds:
            lines.append(probability_line(finding))
        self.setText("\n".join(line for line in lines if line))

    def set_hint(self, text: str) -> None:
        """Say what to do next, while there is no answer."""
        self.setText(text)
