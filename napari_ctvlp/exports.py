"""What can be written of an open scan, by the window and by the command line; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.headers import is_of_dicom
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    from napari_ctvlp.ask.locate import SimilarityMap
    from napari_ctvlp.ask.teach import TaughtFinding
    from napari_ctvlp.ask.types import AbnormalityScore, Ranking
    from napari_ctvlp.encoder.contract import ScanEmbedding
    from napari_ctvlp.queries import Queries
    from napari_ctvlp.scan.types import OrganMasks, Scan
    from napari_ctvlp.session import Session


@dataclass(frozen=True, eq=False)
class Results:
    """An open scan and all that came out of it.

    ``ranking`` answers ``query``, the open question; ``pinned`` and ``history`` (oldest first) are questions asked
    beside it, and ``known`` holds the answers that are there already. ``scoring`` says that scores are being made.
    """

    scan: Scan | None = None
    masks: OrganMasks | None = None
    embedding: ScanEmbedding | None = None
    query: str = ""
    ranking: Ranking | None = None
    pinned: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    known: Mapping[str, Ranking] = field(default_factory=dict)
    use_names: bool = True
    scores: Sequence[AbnormalityScore] = ()
    scoring: bool = False
    located: SimilarityMap | None = None
    taught: Sequence[TaughtFinding] = ()
    encoder_name: str = ""

    @classmethod
    def of(cls, session: Session, queries: Queries | None = None) -> Results:
        """What is open in a session now, and what came out; with ``queries`` also what is pinned."""
        known = {} if queries is None else {text: queries.answer(text) for text in queries.texts}
        if session.ranking is not None:
            known[session.query] = session.ranking
        return cls(
            session.scan,
            session.masks,
            session.embedding,
            session.query,
            session.ranking,
            () if queries is None else queries.pinned,
            tuple(session.history),
            {text: ranking for text, ranking in known.items() if ranking is not None},
            session.use_names,
            session.scores,
            session.busy_with(Task.SCORES),
            session.located,
            session.taught,
            session.encoder_name,
        )

    def questions(self, earlier: bool = True) -> tuple[str, ...]:
        """The open question, those pinned and (``earlier``) those asked before, the newest first."""
        asked = [self.query, *self.pinned, *(reversed(self.history) if earlier else ())]
        return tuple(dict.fromkeys(text for text in asked if text))


def write(session: Session, work: Callable[[], str | Path]) -> None:
    """Write a file where the session's work runs; ``work`` gives its path, and ``session.written`` tells its name."""
    session.run(Task.EXPORT, lambda _report, _cancelled: work(), lambda path: session.written.emit(Path(path).name))


@dataclass(frozen=True)
class Export:
    """One kind of file.

    ``suffix`` is what its name ends in; ``needs`` says what must be there ("masks", "dicom", "scores", "ranking",
    "map").
    """

    title: str
    suffix: str
    needs: str
    write: Callable[[Path, Results], None]

    def possible(self, results: Results) -> bool:
        """Whether there is something to write."""
        return not self.lacks(results)

    def lacks(self, results: Results) -> str:
        """Why there is nothing to write, as the end of a sentence; empty where there is."""
        source = "" if results.scan is None else results.scan.source
        there: dict[str, tuple[tuple[bool, str], ...]] = {
            "masks": ((results.masks is not None, "needs organ masks first"),),
            "dicom": (
                (results.masks is not None, "needs organ masks first"),
                (is_of_dicom(source), "the scan was not read from DICOM files"),
            ),
            "scores": (
                (results.embedding is not None, "needs an encoded scan first"),
                (not results.scoring, "needs the scores first, which are being made"),
            ),
            "ranking": ((results.ranking is not None, "needs a question that was answered first"),),
            "map": ((self._locatable(results), "needs a question that organs of this scan match first"),),
        }
        conditions = ((results.scan is not None, "needs a scan first"), *there[self.needs])
        return next((why for fulfilled, why in conditions if not fulfilled), "")

    @staticmethod
    def _locatable(results: Results) -> bool:
        dense = None if results.embedding is None else results.embedding.dense
        ranking = results.ranking
        matched = ranking is not None and ranking.best is not None
        return results.located is not None or (dense is not None and results.masks is not None and matched)

    def __call__(self, path: Path, results: Results) -> Path:
        """Write; a name without the right ending gets it.

        Raises
        ------
        UserError
            When there is nothing to write, or the place cannot be written to.
        """
        if why := self.lacks(results):
            raise UserError(f"{self.title}: {why}.")
        endings = (".nii", ".nii.gz") if self.suffix == ".nii.gz" else (self.suffix,)
        if not path.name.lower().endswith(endings):
            path = path.with_name(path.name + self.suffix)
        self.write(path, results)
        return path


def answers_of(results: Results, *, earlier: bool = True) -> dict[str, Any]:
    """All that came out of an encoded scan, in the layout of the JSON file.

    Questions that were asked before about something else, and are pinned or (``earlier``) in the history, are answered.
    """
    from napari_ctvlp.anatomy.user_dictionary import current_dictionary
    from napari_ctvlp.ask import answers_as_json, rank_organs
    from napari_ctvlp.ask.bank import dictionary_of
    from napari_ctvlp.ask.doubts import doubts_about
    from napari_ctvlp.encoder.region import region_note

    scan, masks, embedding = results.scan, results.masks, results.embedding
    assert scan is not None and embedding is not None
    dictionary = dictionary_of(embedding.encoder, current_dictionary())
    doubts = doubts_about(embedding, None if masks is None else masks.statistics, scan.audit)
    rankings = [
        results.known.get(text)
        or rank_organs(
            embedding,
            text,
            use_names=results.use_names,
            dictionary=dictionary,
            statistics=None if masks is None else masks.statistics,
            taught=results.taught,
            doubts=doubts,
        )
        for text in results.questions(earlier)
    ]
    return answers_as_json(
        scan,
        embedding,
        rankings,
        results.scores,
        masks,
        dictionary=dictionary,
        taught=results.taught,
        use_names=results.use_names,
        region=region_note(results.encoder_name, masks) if results.encoder_name and masks is not None else "",
    )


def _write_json(path: Path, results: Results) -> None:
    from napari_ctvlp.ask import write_json

    write_json(path, answers_of(results))


def _write_csv(path: Path, results: Results) -> None:
    from napari_ctvlp.ask import write_csv

    write_csv(path, answers_of(results))


def _write_report(path: Path, results: Results) -> None:
    from napari_ctvlp.ask.report import write_report

    assert results.scan is not None and results.masks is not None
    write_report(path, results.scan, results.masks, answers_of(results, earlier=False))


def _write_statistics(path: Path, results: Results) -> None:
    from napari_ctvlp.scan.statistics_table import write_statistics

    assert results.masks is not None
    write_statistics(path, results.masks)


def _write_masks(path: Path, results: Results) -> None:
    from napari_ctvlp.anatomy import organ_colour
    from napari_ctvlp.scan.nifti_out import write_masks_nifti

    assert results.scan is not None and results.masks is not None
    colours = {name: organ_colour(name) for name in results.masks.names.values()}
    write_masks_nifti(path, results.scan, results.masks, colours)


def _write_map(path: Path, results: Results) -> None:
    from napari_ctvlp.scan.nifti_out import write_map_nifti
    from napari_ctvlp.scan.stored import painted

    assert results.scan is not None and results.masks is not None and results.ranking is not None
    score = {match.organ: match.score for match in results.ranking.organs}
    values = {label: score.get(name, 0.0) for label, name in results.masks.names.items()}
    write_map_nifti(path, results.scan, painted(results.masks.labels, values), what="score per organ")


def _write_located(path: Path, results: Results) -> None:
    """0 outside of the matching organs, else 1/255 to 1: zero, which viewers take for nothing, stays apart from low."""
    from napari_ctvlp.scan.nifti_out import write_map_nifti
    from napari_ctvlp.scan.stored import part_affine

    scan = results.scan
    assert scan is not None
    found = results.located or _located(results, scan)
    affine = part_affine(scan, found.start, found.step)
    what = f"1/255 is {found.low:.3g}, 1 is {found.high:.3g}: {found.meaning}"
    write_map_nifti(path, scan, found.values / np.float32(255), affine=affine, what=what)


def _located(results: Results, scan: Scan) -> SimilarityMap:
    """The map of an answer that nobody looked at on a map yet."""
    from napari_ctvlp.rooms import Rooms

    assert results.embedding is not None and results.masks is not None and results.ranking is not None
    found = Rooms().locate(results.embedding, results.masks, results.ranking, scan)
    if found is None:
        raise UserError("The organs that match are too small for a map of places.")
    return found


def _write_seg(path: Path, results: Results) -> None:
    from napari_ctvlp.scan.dicom_seg import write_seg

    assert results.scan is not None and results.masks is not None
    write_seg(path, results.scan, results.masks)


STATISTICS = Export("Organ statistics (CSV)", ".csv", "masks", _write_statistics)
SCORE_MAP = Export("Score of each organ as a map (NIfTI)", ".nii.gz", "ranking", _write_map)
SIMILARITY_MAP = Export("Where in the organ: similarity map (NIfTI)", ".nii.gz", "map", _write_located)
EXPORTS: tuple[Export, ...] = (
    Export("Report with pictures (HTML)", ".html", "scores", _write_report),
    Export("Answers and scores (JSON)", ".json", "scores", _write_json),
    Export("Answers and scores (CSV)", ".csv", "scores", _write_csv),
    STATISTICS,
    Export("Organ masks (NIfTI)", ".nii.gz", "masks", _write_masks),
    Export("Organ masks (DICOM SEG)", ".dcm", "dicom", _write_seg),
    SCORE_MAP,
    SIMILARITY_MAP,
)
