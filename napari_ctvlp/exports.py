"""What can be written of an open scan, by the window and by the command line; no Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ctvlp.errors import UserError
from napari_ctvlp.work import Task

if TYPE_CHECKING:
    from napari_ctvlp.ask.locate import SimilarityMap
    from napari_ctvlp.ask.teach import TaughtFinding
    from napari_ctvlp.ask.types import AbnormalityScore, Ranking
    from napari_ctvlp.encoder.contract import ScanEmbedding
    from napari_ctvlp.scan.types import OrganMasks, Scan
    from napari_ctvlp.session import Session


@dataclass(frozen=True, eq=False)
class Results:
    """An open scan and all that came out of it."""

    scan: Scan | None = None
    masks: OrganMasks | None = None
    embedding: ScanEmbedding | None = None
    rankings: tuple[Ranking, ...] = ()
    scores: Sequence[AbnormalityScore] = ()
    located: SimilarityMap | None = None
    taught: Sequence[TaughtFinding] = ()
    encoder_name: str = ""

    @classmethod
    def of(cls, session: Session) -> Results:
        """What is open in a session now, and what came out."""
        rankings = () if session.ranking is None else (session.ranking,)
        return cls(
            session.scan,
            session.masks,
            session.embedding,
            rankings,
            session.scores,
            session.located,
            session.taught,
            session.encoder_name,
        )


def write(session: Session, work: Callable[[], str | Path]) -> None:
    """Write a file where the session's work runs; ``work`` gives its path, and ``session.written`` tells its name."""
    session.run(Task.EXPORT, lambda _report, _cancelled: work(), lambda path: session.written.emit(Path(path).name))


@dataclass(frozen=True)
class Export:
    """One kind of file.

    ``suffix`` is what its name ends in; ``needs`` says what must be there ("masks", "embedding", "ranking",
    "map").
    """

    title: str
    suffix: str
    needs: str
    write: Callable[[Path, Results], None]

    def possible(self, results: Results) -> bool:
        """Whether there is something to write."""
        there = {
            "masks": results.masks is not None,
            "embedding": results.embedding is not None,
            "ranking": bool(results.rankings),
            "map": results.located is not None,
        }
        return results.scan is not None and there[self.needs]

    def __call__(self, path: Path, results: Results) -> Path:
        """Write; a name without the right ending gets it.

        Raises
        ------
        UserError
            When there is nothing to write, or the place cannot be written to.
        """
        if not self.possible(results):
            what = {
                "masks": "organ masks",
                "embedding": "an encoded scan",
                "ranking": "a question that was answered",
                "map": "a question that organs of this scan match",
            }
            raise UserError(f"{self.title}: needs {what[self.needs]} first.")
        endings = (".nii", ".nii.gz") if self.suffix == ".nii.gz" else (self.suffix,)
        if not path.name.lower().endswith(endings):
            path = path.with_name(path.name + self.suffix)
        self.write(path, results)
        return path


def answers_of(results: Results) -> dict[str, Any]:
    """All that came out of an encoded scan, in the layout of the JSON file."""
    from napari_ctvlp.anatomy.user_dictionary import current_dictionary
    from napari_ctvlp.ask import answers_as_json
    from napari_ctvlp.ask.bank import dictionary_of
    from napari_ctvlp.encoder.region import region_note

    scan, masks, embedding = results.scan, results.masks, results.embedding
    assert scan is not None and embedding is not None
    dictionary = dictionary_of(embedding.encoder, current_dictionary())
    return answers_as_json(
        scan,
        embedding,
        results.rankings,
        results.scores,
        masks,
        dictionary=dictionary,
        taught=results.taught,
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
    write_report(path, results.scan, results.masks, answers_of(results))


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

    assert results.scan is not None and results.masks is not None
    score = {match.organ: match.score for match in results.rankings[-1].organs}
    values = {label: score.get(name, 0.0) for label, name in results.masks.names.items()}
    write_map_nifti(path, results.scan, painted(results.masks.labels, values), what="score per organ")


def _write_located(path: Path, results: Results) -> None:
    """0 outside of the matching organs, else 1/255 to 1: zero, which viewers take for nothing, stays apart from low."""
    from napari_ctvlp.scan.nifti_out import write_map_nifti
    from napari_ctvlp.scan.stored import part_affine

    scan, found = results.scan, results.located
    assert scan is not None and found is not None
    affine = part_affine(scan, found.start, found.step)
    what = f"1/255 is {found.low:.3g}, 1 is {found.high:.3g}: {found.meaning}"
    write_map_nifti(path, scan, found.values / np.float32(255), affine=affine, what=what)


def _write_seg(path: Path, results: Results) -> None:
    from napari_ctvlp.scan.dicom_seg import write_seg

    assert results.scan is not None and results.masks is not None
    write_seg(path, results.scan, results.masks)


STATISTICS = Export("Organ statistics (CSV)", ".csv", "masks", _write_statistics)
EXPORTS: tuple[Export, ...] = (
    Export("Report with pictures (HTML)", ".html", "embedding", _write_report),
    Export("Answers and scores (JSON)", ".json", "embedding", _write_json),
    Export("Answers and scores (CSV)", ".csv", "embedding", _write_csv),
    STATISTICS,
    Export("Organ masks (NIfTI)", ".nii.gz", "masks", _write_masks),
    Export("Organ masks (DICOM SEG)", ".dcm", "masks", _write_seg),
    Export("Score of each organ as a map (NIfTI)", ".nii.gz", "ranking", _write_map),
    Export("Where in the organ: similarity map (NIfTI)", ".nii.gz", "map", _write_located),
)
