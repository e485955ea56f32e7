"""What has changed between two scans of a patient, organ by organ.

Volume and HU are of the masks; the score is the finding of an organ whose probability has moved most; the embedding is
the cosine distance of what the encoder makes of the organ. What one scan lacks, or its field of view cuts, is not
compared: it has a reason, never a change of 0 or to 0.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_ctvlp.ask.types import AbnormalityScore
from napari_ctvlp.encoder.contract import OrganStatus, ScanEmbedding
from napari_ctvlp.files import write_whole
from napari_ctvlp.scan.patient import Pair, compare_patients
from napari_ctvlp.scan.phase import PhaseGuess, guess_phase
from napari_ctvlp.scan.types import OrganMasks, Scan

VOLUME_UNIT, HU_UNIT, SCORE_UNIT, DISTANCE_UNIT = 0.10, 10.0, 0.2, 0.1
"""Changes that count alike when organs are sorted: 10 % of volume, 10 HU, 0.2 of probability, 0.1 of cosine distance.
They are a judgement and no measurement; scans of an unchanged organ may differ by as much."""
SPACING_RATIO = 1.5
"""From this ratio of slice distances on, two scans are said to differ."""
SAME_SCAN = "The prior is this very scan, voxel for voxel: nothing can have changed. Choose an earlier scan."
DIFFERENT_PATIENTS = "The two scans carry different patient numbers: they seem to be of different patients."
COLUMNS = (
    "organ", "change", "volume_ml_prior", "volume_ml_now", "volume_change_percent", "hu_prior", "hu_now", "hu_change",
    "finding", "probability_prior", "probability_now", "probability_change", "embedding_distance", "remark",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Exam:
    """A scan with what is known of it; ``scores`` may hold several encoders' no more than one embedding does."""

    scan: Scan
    masks: OrganMasks
    embedding: ScanEmbedding | None = None
    scores: Sequence[AbnormalityScore] = ()


@dataclass(frozen=True)
class OrganChange:
    """One organ in the prior and now; None where it cannot be compared, with ``remark`` saying why.

    Attributes
    ----------
    volume, hu : (prior, now)
        Millilitres and mean HU of the masks; None where the organ is not in a scan's masks. Those of a cut organ are
        told, but not compared.
    comparable : bool
        Whether volume and HU may be compared.
    finding : str
        Key of the abnormality whose probability has moved most; "" without any.
    probability : (prior, now)
    distance : float or None
        Cosine distance of the embeddings, 0..2.
    hu_counts : bool
        False where the scans' contrast phases differ: HU then tells of contrast, and does not count in ``change``.
    """

    organ: str
    volume: tuple[float | None, float | None]
    hu: tuple[float | None, float | None]
    comparable: bool
    finding: str = ""
    probability: tuple[float | None, float | None] = (None, None)
    distance: float | None = None
    remark: str = ""
    hu_counts: bool = True

    @property
    def volume_change(self) -> float | None:
        """Share of the prior's volume, 0.1 for 10 % more."""
        before, now = self.volume
        return now / before - 1 if self.comparable and before and now is not None else None

    @property
    def hu_change(self) -> float | None:
        """HU now minus then."""
        before, now = self.hu
        return now - before if self.comparable and before is not None and now is not None else None

    @property
    def probability_change(self) -> float | None:
        """Probability now minus then."""
        before, now = self.probability
        return now - before if before is not None and now is not None else None

    @property
    def change(self) -> float | None:
        """The largest of the four changes, each in its unit; None where nothing can be compared."""
        parts = [
            (self.volume_change, VOLUME_UNIT),
            (self.hu_change if self.hu_counts else None, HU_UNIT),
            (self.probability_change, SCORE_UNIT),
            (self.distance, DISTANCE_UNIT),
        ]
        return max((abs(value) / unit for value, unit in parts if value is not None), default=None)


@dataclass(frozen=True)
class FollowUp:
    """All organs, the most changed first and those that cannot be compared last; ``caveats`` are sentences."""

    rows: tuple[OrganChange, ...]
    caveats: tuple[str, ...] = ()
    patients: Pair = field(default_factory=lambda: Pair(None, None))


def follow_up(prior: Exam, now: Exam) -> FollowUp:
    """Compare two scans.

    Parameters
    ----------
    prior, now : Exam
        Embeddings and scores are compared where both have them, by the same encoder.
    """
    phases = guess_phase(prior.masks.statistics), guess_phase(now.masks.statistics)
    differ = _differ(*phases)
    patients = compare_patients(prior.scan, now.scan)
    organs = dict.fromkeys([*now.masks.statistics, *prior.masks.statistics])
    rows = [_organ(organ, prior, now, not differ) for organ in organs]
    rows.sort(key=lambda row: -1.0 if row.change is None else row.change, reverse=True)
    return FollowUp(tuple(rows), tuple(_caveats(prior, now, phases, patients)), patients)


def _differ(before: PhaseGuess, now: PhaseGuess) -> bool:
    return before.phase != now.phase and "unknown" not in (before.phase, now.phase)


def _organ(organ: str, prior: Exam, now: Exam, hu_counts: bool) -> OrganChange:
    before, after = prior.masks.statistics.get(organ), now.masks.statistics.get(organ)
    volume = (None if before is None else before.volume_ml, None if after is None else after.volume_ml)
    hu = (None if before is None else before.mean_hu, None if after is None else after.mean_hu)
    if before is None or after is None:
        where = "the prior's" if before is None else "this scan's"
        return OrganChange(organ, volume, hu, False, remark=f"not in {where} masks")
    cut = [name for name, s in (("the prior", before), ("this scan", after)) if s.touches_edge]
    finding, probability, doubt = ("", (None, None), "") if cut else _moved(organ, prior.scores, now.scores)
    remark = f"cut by field of view in {' and '.join(cut)}" if cut else doubt
    return OrganChange(
        organ, volume, hu, not cut, finding, probability, _distance(organ, prior, now), remark, hu_counts
    )


def _moved(
    organ: str, before: Sequence[AbnormalityScore], now: Sequence[AbnormalityScore]
) -> tuple[str, tuple[float | None, float | None], str]:
    """The finding of an organ whose probability has moved most, and why none is told where all are doubted.

    What moves between a score and one that is not to be relied on may be the doubt.
    """
    then = {s.abnormality: s for s in before if s.organ == organ and s.probability is not None}
    both = [
        (then[s.abnormality], s)
        for s in now
        if s.organ == organ and s.probability is not None and s.abnormality in then
    ]
    pairs = [
        (new.abnormality, (old.probability, new.probability)) for old, new in both if not (old.doubted or new.doubted)
    ]
    if both and not pairs:
        old, new = both[0]
        which = " and ".join(name for name, s in (("the prior", old), ("this scan", new)) if s.doubted)
        why = (new if new.doubted else old).status.partition("; ")[2]
        return "", (None, None), f"scores of {which} not compared: {why}"
    return (*max(pairs, key=lambda pair: _change_of(pair[1]), default=("", (None, None))), "")


def _change_of(pair: tuple[float | None, float | None]) -> float:
    return abs((pair[1] or 0.0) - (pair[0] or 0.0))


def _distance(organ: str, prior: Exam, now: Exam) -> float | None:
    vectors = []
    for embedding in (prior.embedding, now.embedding):
        if embedding is None or organ not in embedding.organs:
            return None
        row = embedding.organs.index(organ)
        if embedding.status[row] is not OrganStatus.COMPLETE:
            return None
        vectors.append((embedding.vectors[row], embedding.encoder.card.revision))
    (a, revision), (b, other) = vectors
    return float(np.clip(1.0 - a.astype(np.float64) @ b, 0.0, 2.0)) if revision == other else None


def _is_same(prior: Scan, now: Scan) -> bool:
    """Whether two scans are one, from whatever files."""
    if prior.hu.shape != now.hu.shape or not np.allclose(prior.affine, now.affine, atol=1e-3):
        return False
    return prior.hu is now.hu or bool(np.array_equal(prior.hu, now.hu))


def _caveats(prior: Exam, now: Exam, phases: tuple[PhaseGuess, PhaseGuess], patients: Pair) -> list[str]:
    told = []
    if patients.same is False:
        told.append(DIFFERENT_PATIENTS)
    if _is_same(prior.scan, now.scan):
        told.append(SAME_SCAN)
    elif patients.same is None:
        told.append(
            "Whether both scans are of one patient is not known: at least one of them does not say whose it is."
        )
    if patients.days is not None and patients.days < 0:
        told.append(f"The prior was taken {-patients.days} days after this scan.")
    if _differ(*phases):
        told.append(f"Contrast differs: prior {phases[0]}, now {phases[1]}. HU and scores may differ for that alone.")
    elif "unknown" in (phases[0].phase, phases[1].phase):
        told.append("The contrast phases are not both known; HU and scores may differ by contrast alone.")
    thick = [exam.scan.spacing[0] for exam in (prior, now)]
    if max(thick) / min(thick) >= SPACING_RATIO:
        told.append(f"Slices are {thick[0]:.3g} mm apart in the prior and {thick[1]:.3g} mm now: small organs suffer.")
    for name, exam in (("prior", prior), ("present scan", now)):
        if exam.scan.audit.severity == "warning":
            told.append(f"The audit of the {name} has a warning.")
    return told


def follow_up_csv(found: FollowUp) -> str:
    """One line an organ, in the order of ``rows``. Nothing in it tells who the patient is."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in found.rows:
        percent = None if row.volume_change is None else 100 * row.volume_change
        table.writerow(
            (
                row.organ,
                _number(row.change, 2),
                *(_number(v, 2) for v in row.volume),
                _number(percent, 1),
                *(_number(v, 1) for v in row.hu),
                _number(row.hu_change, 1),
                row.finding,
                *(_number(v, 4) for v in row.probability),
                _number(row.probability_change, 4),
                _number(row.distance, 4),
                row.remark,
            )
        )
    return text.getvalue()


def write_follow_up(path: str | Path, found: FollowUp) -> Path:
    """Write `follow_up_csv`; the file is complete or not there.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    path = Path(path)
    if not path.name.lower().endswith(".csv"):
        path = path.with_name(path.name + ".csv")
    write_whole(path, follow_up_csv(found))
    return path


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
