"""Real scans with masks: what is known of the patients, organs by sight, and false alarms.

Scores are the plugin's, but for organs that the field of view cuts: there the plugin answers "present" or nothing, and
here the score counts as it is, with a mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.ndimage import binary_dilation

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.anatomy.dictionary import Abnormality
from napari_ctvlp.encoder.contract import BLIND, OrganStatus, ScanEmbedding, ScanEncoder
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import OrganMasks, Scan, read_masks, read_scan
from training.data.records import OrganRecord

from .cases import HeldOut, prompt_scores
from .checks import side_pairs
from .recognition import recognition

PRESENT = 0.5
"""Probability from which a finding counts as present: the plugin's."""
LISTED = 3
"""Places of an organ's list that a known finding must be among."""


@dataclass(frozen=True)
class Patient:
    """A real scan and what is known of it; findings go by "organ/abnormality"."""

    name: str
    scan: Path
    masks: Path
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    erased: Mapping[str, float] = field(default_factory=dict)
    """HU from which voxels in or beside the organ are the finding."""

    def read(self) -> tuple[Scan, OrganMasks]:
        """The scan with its masks."""
        scan = read_scan(self.scan)
        return scan, read_masks(self.masks, scan)


def patients_in(folder: Path) -> list[Patient]:
    """The patients of ``patients.yaml`` whose files are in a folder.

    Raises
    ------
    UserError
        When none is.
    """
    table = yaml.safe_load(files(__package__).joinpath("patients.yaml").read_text(encoding="utf-8"))
    found = [
        Patient(
            p["name"],
            folder / p["scan"],
            folder / p["masks"],
            tuple(p["present"]),
            tuple(p["absent"]),
            p.get("erased", {}),
        )
        for p in table["patients"]
        if (folder / p["scan"]).exists() and (folder / p["masks"]).exists()
    ]
    if not found:
        raise UserError(f"'{folder}' holds none of the scans that training/evaluation/patients.yaml names.")
    return found


def entries_of(encoder: ScanEncoder, organ: str, dictionary: Sequence[Abnormality]) -> list[Abnormality]:
    """What an encoder can be asked of an organ."""
    known = frozenset(encoder.card.abnormalities)
    return [entry for entry in dictionary if organ in entry.organs and entry.pair_key(organ) in known]


def probabilities(
    embedding: ScanEmbedding, dictionary: Sequence[Abnormality] | None = None
) -> dict[str, dict[str, float]]:
    """Organ to abnormality to calibrated probability, of all organs that are seen at all."""
    entries, encoder = load_dictionary() if dictionary is None else dictionary, embedding.encoder
    found: dict[str, dict[str, float]] = {}
    for organ, vector, status in zip(embedding.organs, embedding.vectors, embedding.status, strict=True):
        if status not in BLIND:
            found[organ] = {
                e.key: encoder.calibration.probability(
                    e.pair_key(organ), float(prompt_scores(encoder, vector[None], e, organ).mean())
                )
                for e in entries_of(encoder, organ, entries)
            }
    return found


def known_findings(
    embedding: ScanEmbedding,
    patient: Patient,
    found: Mapping[str, Mapping[str, float]],
    erased: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """How the known findings score, also where they were erased, and where they stand in their organ's list; alarms
    elsewhere."""
    status = dict(zip(embedding.organs, embedding.status, strict=True))
    rows = []
    for key, present in [(k, True) for k in patient.present] + [(k, False) for k in patient.absent]:
        organ, abnormality = key.split("/")
        value = found.get(organ, {}).get(abnormality)
        place = None if value is None else 1 + sum(other > value for other in found[organ].values())
        right = None
        if value is not None and place is not None:
            right = (value > PRESENT and place <= LISTED) if present else value <= PRESENT
        rows.append(
            {
                "finding": key,
                "present": present,
                "probability": None if value is None else round(value, 4),
                "without": round(erased[organ][abnormality], 4) if key in patient.erased else None,
                "place": place,
                "of": len(found.get(organ, {})),
                "cut": status.get(organ) is OrganStatus.CUT,
                "right": right,
            }
        )
    ill = {key.split("/")[0] for key in patient.present}
    others = {f"{o}/{a}": p for o, row in found.items() if o not in ill for a, p in row.items()}
    alarms = sorted((k for k, p in others.items() if p > PRESENT), key=lambda k: -others[k])
    return {
        "rows": rows,
        "entries": len(others),
        "alarms": len(alarms),
        "alarm_share": round(len(alarms) / len(others), 4) if others else None,
        "worst": {k: round(others[k], 3) for k in alarms[:20]},
    }


def seen(embedding: ScanEmbedding) -> HeldOut:
    """The organs of one scan that are seen, as held-out organs of which nothing else is known."""
    rows = [n for n, status in enumerate(embedding.status) if status not in BLIND]
    records = [OrganRecord(embedding.organs[n], (), ()) for n in rows]
    return HeldOut(embedding.vectors[rows], np.zeros(len(rows), np.int64), records, np.zeros(1, np.int64))


def by_sight(embedding: ScanEmbedding) -> dict[str, Any]:
    """Organs recognised by sight among all that the encoder knows, and pairs in which a side is taken for the other."""
    data, encoder = seen(embedding), embedding.encoder
    told = recognition(encoder, data)
    names = _nearest_names(encoder, data)
    pairs = list(side_pairs([r.organ for r in data.records]))
    swapped = [pair[0].replace("_left", "") for pair in pairs if names[pair[0]] == pair[1] or names[pair[1]] == pair[0]]
    wrong = {organ: name for organ, name in names.items() if name != organ}
    return {
        "organs": len(data.records),
        "top1": told["organ_accuracy"],
        "top3": told["organ_top3"],
        "chance": told["organ_chance"],
        "pairs": len(pairs),
        "swapped": swapped,
        "wrong": wrong,
    }


def _nearest_names(encoder: ScanEncoder, data: HeldOut) -> dict[str, str]:
    from napari_ctvlp.anatomy import display_name
    from napari_ctvlp.ask.bank import bank_of
    from training.data.texts import HELD_OUT_NAMES

    organs = encoder.card.organs
    texts = [p.format(organ=display_name(o)) for o in organs for p in HELD_OUT_NAMES]
    vectors = bank_of(encoder).space(texts).reshape(len(organs), len(HELD_OUT_NAMES), -1).mean(1)
    nearest = (data.vectors @ vectors.T).argmax(1)
    return {record.organ: organs[int(n)] for record, n in zip(data.records, nearest, strict=True)}


def constant(scan: Scan) -> Scan:
    """The scan without an image: position and shape of the masks are all that is left."""
    return replace(scan, hu=np.full_like(scan.hu, 40))


def without_findings(scan: Scan, masks: OrganMasks, erased: Mapping[str, float], seed: int = 0) -> Scan:
    """The scan with findings erased: their voxels, and those beside them, get HU drawn from the rest of the organ.

    Parameters
    ----------
    scan, masks : Scan, OrganMasks
    erased : mapping of str to float
        "organ/abnormality" to the HU from which voxels in or beside that organ are the finding.
    seed : int
        Of the draws.
    """
    hu, rng = np.array(scan.hu), np.random.default_rng(seed)
    for key, least in erased.items():
        inside = masks.labels == masks.statistics[key.split("/")[0]].label
        found = binary_dilation(binary_dilation(inside, iterations=2) & (scan.hu >= least))
        rest = scan.hu[inside & ~found]
        hu[found] = rng.choice(rest, int(found.sum()))
    return replace(scan, hu=hu)


def judge(embedding: ScanEmbedding, scan: Scan, masks: OrganMasks, patient: Patient) -> dict[str, Any]:
    """What an encoder makes of one patient."""
    encoder = embedding.encoder
    control = by_sight(encoder.encode_scan(constant(scan), masks))
    erased = {}
    if patient.erased:
        erased = probabilities(encoder.encode_scan(without_findings(scan, masks, patient.erased), masks))
    return {
        "by_sight": by_sight(embedding),
        "control": {"top1": control["top1"], "top3": control["top3"]},
        "known": known_findings(embedding, patient, probabilities(embedding), erased),
    }


def about_patients(
    encoder: ScanEncoder, patients: Sequence[Patient], folder: Path, placements: int, rounds: int
) -> dict[str, Any]:
    """Everything about real scans: each patient, the questions asked of the first, and what was painted into them all.

    ``folder`` keeps the painted copies.
    """
    from training.world.findings.catalogue import ABNORMALITIES

    from .asked import SECOND, THIRD, asked
    from .painted import paint_copies, painted_figures, painted_scores

    result: dict[str, Any] = {"real_scans": {}}
    scores = []
    for patient in patients:
        scan, masks = patient.read()
        embedding = encoder.encode_scan(scan, masks)
        result["real_scans"][patient.name] = judge(embedding, scan, masks, patient)
        if "asked" not in result:
            result |= {"asked": asked(embedding)}
            result |= {"asked_second": asked(embedding, SECOND), "asked_third": asked(embedding, THIRD)}
        if placements:
            copies = list(paint_copies(patient, tuple(ABNORMALITIES), folder, placements))
            scores.append(painted_scores(encoder, patient, copies, scan, masks))
    if scores:
        result["painted"] = painted_figures(scores, rounds)
    return result
