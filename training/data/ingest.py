"""One study from its files to its place in the prepared store."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from traceback import extract_tb
from typing import Any
from zlib import crc32

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_ctvlp.anatomy.schemes import SCHEMES
from napari_ctvlp.encoder.preprocess import resample_hu, resample_labels
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import OrganMasks, Scan, read_masks, read_scan
from napari_ctvlp.scan.naming import V2, scheme_share

from .job import Job, digest_of, missing_part
from .manifest import Problem
from .organ_texts import organ_states, spoken
from .prepared import VERSION, encoded, write_bytes, write_json

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
_V2 = SCHEMES[V2]
FITTING, FEWEST_ORGANS = 0.85, 6
"""Share of what masks say of densities and positions that the scan shows, below which they may be another scan's, and
the organs that such a share takes. Measured on real scans: 1.00 for their own masks, 0.40 to 0.82 for others' and for
their own shifted by 2 to 6 cm or flipped."""
WARNED = ("masks lie on another grid", "masks may be")
"""How notes begin that tell of masks which may be wrong."""
_REFUSED = ("orientation", "HU range", "rescale")
"""Audit items whose warning means that the network would be fed something else than this patient's CT."""


def ingest(job: Job) -> list[Problem]:
    """Make what is missing of a study.

    Returns
    -------
    list of Problem
        Empty when all is well; one with ``left_out`` when the study could not be prepared.

    Raises
    ------
    OSError
        If the store cannot be written: that is no fault of the study, and the run ends.
    """
    part = missing_part(job, check=job.check)
    if not part:
        return []
    volumes: dict[str, bytes] = {}
    try:
        if part == "all":
            about, volumes = _made(job)
        else:
            about = {k: v for k, v in json.loads(job.record.read_bytes()).items() if k in _OF_VOLUMES}
        organs, elsewhere, statements = organ_states(job.study.report, _names(about["organs"]), job.extra)
    except UserError as error:
        return [_problem(job, str(error))]
    except Exception as error:  # whatever a file provokes, the other studies go on and the reason is told
        where = extract_tb(error.__traceback__)[-1].name
        return [_problem(job, f"could not be read ({type(error).__name__} in {where}: {error})")]
    folder = job.record.parent
    for name, data in volumes.items():
        write_bytes(folder / name, data)
    old = _files_of(job.record)
    for label, organ in about["organs"].items():
        organ.update(organs[label])
    record = about | {
        "version": VERSION,
        "study": job.study.study,
        "patient": digest_of("patient", job.study.patient),
        "split": job.split,
        "report": spoken(job.study.report),
        "labels": dict(job.study.labels),
        "elsewhere": elsewhere,
        "statements": statements,
        "text_hash": job.text_hash,
    }
    write_json(job.record, record)
    for name in old - {n for n, *_ in about["files"].values()}:
        (folder / name).unlink(missing_ok=True)
    return []


_OF_VOLUMES = ("shape", "spacing", "affine", "organs", "audit", "notes", "files", "volume_hash")


def _names(organs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {label: organ["organ"] for label, organ in organs.items()}


def _files_of(record: Path) -> set[str]:
    try:
        return {name for name, *_ in json.loads(record.read_bytes())["files"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _problem(job: Job, reason: str) -> Problem:
    """A reason without the names of files, which may be those of patients."""
    for path, what in ((job.study.image, "image"), (job.study.masks, "masks")):
        for name in (str(path), path.name, path.name.split(".")[0]):
            if len(name) > 2:
                reason = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", what, reason)
    return Problem(job.study.study, job.study.line, reason)


def _made(job: Job) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What a record says of the volumes, and the volumes by file name."""
    study, settings = job.study, job.settings
    series = int(study.series) if study.series.isdigit() else study.series or None
    scan = read_scan(study.image, series=series) if series is not None else read_scan(study.image)
    if not settings.keep_doubtful:
        _refuse_doubtful(scan)
    masks = read_masks(study.masks, scan)
    numbers = v2_numbers(masks)
    before = np.zeros(256, np.uint8)
    for label, number in numbers.items():
        before[label] = number
    hu = resample_hu(scan.hu, scan.spacing, settings.spacing).round_().clamp_(-32768, 32767).to(torch.int16)
    labels = resample_labels(before[masks.labels], scan.spacing, settings.spacing)
    box = body_box(hu, labels, settings.spacing, settings.margin)
    cut = tuple(slice(a, b) for a, b in box)
    crop, small = hu[cut].contiguous().numpy(), labels[cut].contiguous().numpy()
    organs, lost = _organs(small, masks, numbers)
    if not organs:
        raise UserError("masks: no organ is left on the training grid.")
    notes = [*masks.notes, *misfit(masks), *([f"too small on the training grid: {', '.join(lost)}"] if lost else [])]
    state = job.volume_hash
    suffix = ".b2nd" if settings.kind == "blosc2" else ".npy"
    volumes = {
        f"{job.key}.{state[:8]}.{kind}{suffix}": encoded(volume, settings.kind)
        for kind, volume in (("hu", crop), ("labels", small))
    }
    about = {
        "shape": list(crop.shape),
        "spacing": settings.spacing,
        "affine": _affine(scan, tuple(hu.shape), box).tolist(),
        "organs": organs,
        "audit": [[i.name, i.value, i.severity] for i in scan.audit.items if i.severity != "ok"],
        "notes": notes,
        "files": {
            kind: [name, len(data), crc32(data)]
            for kind, (name, data) in zip(("hu", "labels"), volumes.items(), strict=True)
        },
        "volume_hash": state,
    }
    return about, volumes


def _refuse_doubtful(scan: Scan) -> None:
    for item in scan.audit.items:
        if item.severity == "warning" and item.name in _REFUSED:
            raise UserError(f"image: {item.name}: {item.value} (--keep-doubtful takes it nevertheless)")


def misfit(masks: OrganMasks) -> list[str]:
    """A note where what lies under the masks is not what they say, as when they were made from another scan."""
    of_organ = {name: number for number, name in _V2.items()}
    known = {of_organ[name]: found for name, found in masks.statistics.items() if name in of_organ}
    share = scheme_share(V2, known)
    if len(known) < FEWEST_ORGANS or share >= FITTING:
        return []
    return [f"masks may be those of another scan: {100 * share:.0f} % of their densities and positions fit this one"]


def v2_numbers(masks: OrganMasks) -> dict[int, int]:
    """Label in the masks to label in the store: that of TotalSegmentator v2, and behind those what v2 does not know."""
    of_organ = {name: number for number, name in _V2.items()}
    others = sorted(name for name in masks.names.values() if name not in of_organ)
    of_organ |= {name: number for number, name in enumerate(others, max(_V2) + 1)}
    return {label: of_organ[name] for label, name in masks.names.items() if of_organ[name] < 256}


def body_box(hu: torch.Tensor, labels: torch.Tensor, spacing: float, margin: float) -> Box:
    """Box around the body and every organ, ``margin`` mm wider: the couch and the air beside it are left out.

    Parameters
    ----------
    hu : (I, P, L) int16
    labels : (I, P, L) uint8
    spacing, margin : float
        mm.
    """
    from scipy import ndimage as ndi

    step = max(1, round(6 / spacing))
    coarse = F.avg_pool3d(hu[None, None].float(), step, ceil_mode=True, count_include_pad=False)[0, 0]
    solid = (coarse > -400).numpy()
    opened = ndi.binary_opening(solid)  # cuts thin couch tops off; a few slices alone would not survive it
    parts, count = ndi.label(opened if opened.any() else solid)
    boxes = []
    if count:
        sizes = np.bincount(parts.ravel())[1:]
        boxes.append([(s.start * step, s.stop * step) for s in ndi.find_objects(parts)[sizes.argmax()]])
    organs = ndi.find_objects((labels > 0).numpy().astype(np.uint8))
    boxes += [[(s.start, s.stop) for s in found] for found in organs if found is not None]
    if not boxes:
        boxes = [[(0, n) for n in hu.shape]]
    pad = round(margin / spacing)
    low = [max(0, min(b[k][0] for b in boxes) - pad) for k in range(3)]
    high = [min(n, max(b[k][1] for b in boxes) + pad) for k, n in enumerate(hu.shape)]
    return ((low[0], high[0]), (low[1], high[1]), (low[2], high[2]))


def _organs(
    labels: NDArray[np.uint8], masks: OrganMasks, numbers: Mapping[int, int]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Organs on the training grid by label, and the names of those that are gone there."""
    from scipy.ndimage import find_objects

    counts, boxes = np.bincount(labels.ravel(), minlength=256), find_objects(labels, max_label=255)
    organs, lost = {}, []
    for label, name in sorted(masks.names.items(), key=lambda item: numbers.get(item[0], 256)):
        number = numbers.get(label, 0)
        if not number or not counts[number]:
            lost.append(name)
            continue
        organs[str(number)] = {
            "organ": name,
            "voxels": int(counts[number]),
            "box": [[s.start, s.stop] for s in boxes[number - 1]],
            "complete": not masks.statistics[name].touches_edge,
        }
    return organs, lost


def _affine(scan: Scan, shape: tuple[int, ...], box: Box) -> NDArray[np.float64]:
    """Index in the stored volume to LPS mm."""
    scale = np.array(scan.hu.shape) / np.array(shape)
    start = (np.array([a for a, _ in box]) + 0.5) * scale - 0.5
    affine = scan.affine.copy()
    affine[:3, :3] *= scale
    affine[:3, 3] = (scan.affine @ [*start, 1.0])[:3]
    return affine
