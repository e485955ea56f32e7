"""The state of one open scan and its answers; no Qt and no napari.

A session is told what is open (scan, masks, encoder) and what is asked, starts the work that follows from it, and emits
what came out. How work runs, and how late results are dropped, is `napari_ctvlp.work`; files are read by
`napari_ctvlp.opening` and written by `napari_ctvlp.exports`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_ctvlp.known_files import KnownFiles
from napari_ctvlp.rooms import Rooms
from napari_ctvlp.session_map import SessionMap
from napari_ctvlp.work import ABOUT_ANSWERS, Report, Runner, Task, Workbench, run_now

if TYPE_CHECKING:
    from napari_ctvlp.ask.teach import TaughtFinding
    from napari_ctvlp.ask.types import AbnormalityScore, Ranking
    from napari_ctvlp.encoder.contract import Cancelled, ScanEmbedding, ScanEncoder
    from napari_ctvlp.scan.types import OrganMasks, Scan

HISTORY_LENGTH = 100


class Session(SessionMap):
    """What is open, what was asked, what came out.

    Parameters
    ----------
    runner : Runner
        Where work runs; `run_now` by default.
    rooms : Rooms
        The inner rooms' functions, imported on first use.
    encoder_name : str
        Name or path of the encoder to load when one is needed.

    Notes
    -----
    ``is_news`` says, while ``ranking_changed`` is emitted, whether the question was not yet answered for this scan: the
    same one is answered again after masks, encoder or dictionary changed, and nobody then wants to be moved elsewhere.
    ``query`` is what is answered; ``asked`` is what was asked for good, which is another text while ``is_provisional``:
    somebody is still typing.
    """

    def __init__(self, runner: Runner = run_now, rooms: Rooms | None = None, encoder_name: str = "starter") -> None:
        self.rooms = rooms if rooms is not None else Rooms()
        self.scan: Scan | None = None
        self.masks: OrganMasks | None = None
        self.encoder: ScanEncoder | None = None
        self.encoder_name = encoder_name
        self.embedding: ScanEmbedding | None = None
        self.ranking: Ranking | None = None
        self.scores: tuple[AbnormalityScore, ...] = ()
        self.taught: tuple[TaughtFinding, ...] = ()
        self.query = self.asked = ""
        self.use_names = True
        self.history: list[str] = []
        self.is_news = True
        self.is_provisional = False
        self._answered: tuple[str, bool] | None = None  # question and use of names of the answer, there or under way
        self._encoded: ScanEmbedding | None = None  # of the open scan by the loaded encoder, whatever the masks
        self.known = KnownFiles()
        self.is_editing = False  # whether the open masks are being changed
        self._bench = Workbench(runner, self.activity_changed.emit, self.failed.emit)
        self._embeddings: WeakKeyDictionary[OrganMasks, ScanEmbedding] = WeakKeyDictionary()

    # -- what is open ------------------------------------------------------------------------------------------

    def set_scan(self, scan: Scan | None, masks: OrganMasks | None = None) -> None:
        """Make ``scan`` the open one; answers about another scan are forgotten, work for it is dropped."""
        if scan is self.scan:
            if masks is not None:
                self.set_masks(masks)
            return
        self._bench.drop(Task.MASKS)
        self._bench.drop(Task.SEGMENTING)
        self.set_masks(None)  # who lists organs is told, too, where the next scan has none
        self.scan = scan
        self.known.add(scan, None)
        self.is_news = not self.is_provisional
        self._encoded = None
        self._forget_answers()
        self.scan_changed.emit(scan)
        self.set_masks(masks)

    def set_masks(self, masks: OrganMasks | None) -> None:
        """Make ``masks`` the organ masks of the open scan, and encode them."""
        if masks is self.masks:
            return  # no news, and what is being read goes on
        self._bench.drop(Task.MASKS)
        self._bench.drop(Task.SEGMENTING)  # masks that were given since are what is wanted
        self._bench.drop(Task.SURFACES)
        self._bench.drop(Task.EDITING)
        self.is_editing = False
        self.masks = masks
        self.known.add(None, masks)
        self._forget_answers()
        # under way while whoever is told of the masks draws them
        begun = self._bench.tells_later and masks is not None and masks not in self._embeddings
        if begun:
            self.encode()
        self.masks_changed.emit(masks)
        if not begun:
            self.encode()

    def begin_edit(self) -> None:
        """The open masks are being changed: what was answered about them does not hold any more.

        Nothing is encoded or answered until `set_masks` or `end_edit`.
        """
        if self.masks is None or self._bench.closed:
            return
        self._bench.drop(Task.EDITING)
        if not self.is_editing:
            self.is_editing = True
            self._bench.drop(Task.SURFACES)
            self._forget_answers()

    def end_edit(self) -> None:
        """The open masks are what they were: answer as before."""
        if self.is_editing:
            self.is_editing = False
            self.encode()

    def use_encoder(self, name: str) -> None:
        """Load another encoder and answer with it."""
        self._bench.drop(Task.ENCODER)
        self.encoder_name = name
        self.encoder = None
        self._encoded = None
        self._embeddings.clear()
        self._forget_answers()
        self.load_encoder()

    def load_encoder(self) -> None:
        """Load the chosen encoder unless it is loaded or on its way."""
        if self.encoder is not None or Task.ENCODER in self._bench:
            return
        name, rooms = self.encoder_name, self.rooms
        self._bench.start(Task.ENCODER, lambda _report, _cancelled: rooms.load_encoder(name), self._set_encoder)

    def _set_encoder(self, encoder: ScanEncoder) -> None:
        self.encoder = encoder
        self.encoder_changed.emit(encoder)
        self.encode()

    # -- answers -----------------------------------------------------------------------------------------------

    def encode(self) -> None:
        """Encode the organs of the open scan (unless done already); load the encoder first where it is missing."""
        if self._bench.closed or self.scan is None or self.masks is None or self.embedding is not None:
            return
        if self.is_editing or not self.masks.names:
            return
        if self.encoder is None:
            self.load_encoder()
            return
        scan, masks, encoder, rooms, before = self.scan, self.masks, self.encoder, self.rooms, self._encoded
        if (known := self._embeddings.get(masks)) is not None:
            self._set_embedding(known)
            return

        def work(report: Report, cancelled: Cancelled) -> ScanEmbedding:
            if before is not None:
                return rooms.encode_again(encoder, scan, masks, before, report, cancelled)
            return rooms.encode_scan(encoder, scan, masks, report, cancelled)

        self._bench.start(Task.ENCODING, work, self._set_embedding, fraction=0.0)

    def _set_embedding(self, embedding: ScanEmbedding) -> None:
        if self.masks is not None:
            self._embeddings[self.masks] = embedding
        self.embedding = self._encoded = embedding
        self.embedding_changed.emit(embedding)
        self._answer()
        self._score(embedding)

    def _score(self, embedding: ScanEmbedding) -> None:
        rooms, taught, masks, scan = self.rooms, self.taught, self.masks, self.scan
        self._bench.start(
            Task.SCORES,
            lambda _report, _cancelled: rooms.scores(embedding, taught, masks, scan),
            self._set_scores,
        )

    def set_taught(self, findings: Sequence[TaughtFinding]) -> None:
        """Use these findings, taught by examples, beside the dictionary's; scores the open scan again.

        A question that speaks of one of them, or of one that is gone, is answered again.
        """
        known = {*self.taught, *findings}
        self.taught = tuple(findings)
        self.taught_changed.emit(self.taught)
        if self.embedding is not None:
            if any(f.called_in(self.query) for f in known):
                self._answer()
            self._score(self.embedding)

    def dictionary_changed(self) -> None:
        """Read the dictionary, then answer and score anew; one not in order is told once and changes no answer."""
        rooms = self.rooms
        self._bench.start(Task.DICTIONARY, lambda _report, _cancelled: rooms.read_dictionary(), self._on_dictionary)

    def _on_dictionary(self, _entries: object) -> None:
        self.words_changed.emit()
        if self.embedding is not None:
            self._answer()
            self._score(self.embedding)

    def _set_scores(self, scores: tuple[AbnormalityScore, ...]) -> None:
        self.scores = scores
        self.scores_changed.emit(scores)

    def ask(self, text: str, *, news: bool = True, provisional: bool = False) -> None:
        """Ask in plain words; the newest question wins. Without an encoded scan it is answered once there is one.

        An empty text takes the question back. ``news`` is False where a question comes back that was answered before.
        A ``provisional`` question, of somebody who is still typing, is answered in its turn and without news; it enters
        no history, is located only on request, and starts or tells nothing else. Asking it for good then costs nothing.
        """
        self.query = text.strip()
        self.is_provisional = provisional
        self.is_news = news and not provisional
        if not provisional:
            self.asked = self.query
            self._remember(self.query)
        if not self.query:
            self._bench.drop(Task.QUERY)
            self._set_ranking(None)
        elif self._answered != (self.query, self.use_names):
            self._answer()
        elif Task.QUERY not in self._bench:
            self._set_ranking(self.ranking)
        if self.query and not provisional and self.embedding is None and Task.ENCODING not in self._bench:
            self.encode()

    def _remember(self, text: str) -> None:
        if text:
            self.history[:] = [*(known for known in self.history if known != text), text][-HISTORY_LENGTH:]

    def set_use_names(self, use_names: bool) -> None:
        """Whether organ names count as evidence beside what the encoder sees; asks the open question again."""
        if use_names != self.use_names:
            self.use_names = use_names
            self._answer()

    def _answer(self) -> None:
        embedding, text, use_names, rooms = self.embedding, self.query, self.use_names, self.rooms
        masks, taught, scan = self.masks, self.taught, self.scan
        if embedding is None or not text:
            return
        self._answered = (text, use_names)
        self._bench.start(
            Task.QUERY,
            lambda _report, cancelled: (
                None if cancelled() else rooms.rank_organs(embedding, text, use_names, masks, taught, scan)
            ),
            self._set_ranking,
            failed=self._on_unanswered,
            in_turn=self.is_provisional,
        )

    def _on_unanswered(self, error: Exception) -> None:
        self._answered = None
        if self.is_provisional:
            self._set_ranking(None)  # half a question; what is wrong with it is told when it is asked
        else:
            self.failed.emit(error)

    def _set_ranking(self, ranking: Ranking | None) -> None:
        known = ranking is not None and ranking is self.ranking
        self.ranking = ranking
        if ranking is None:
            self._answered = None
        self.ranking_changed.emit(ranking)
        if ranking is not None:
            self.is_news = False
        if not known or (self.located is None and Task.LOCATE not in self._bench):
            self.forget_map()
            # a map takes longer than an answer, and putting it on the screen would hold up the typing: what is asked
            # provisionally is mapped when somebody wants that
            if not self.is_provisional:
                self.map_answer()

    def _forget_answers(self) -> None:
        for task in ABOUT_ANSWERS:
            self._bench.drop(task)
        self.embedding = None
        self._set_ranking(None)
        self._set_scores(())
        self.embedding_changed.emit(None)
