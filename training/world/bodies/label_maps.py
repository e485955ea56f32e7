"""Bodies from a folder of the user's TotalSegmentator label maps, with or without their CTs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ctvlp.errors import UserError
from training.world.bodies.body import Arms, Body, Sex
from training.world.bodies.derive import PARTS, derive
from training.world.bodies.grids import new_size, resampled_labels, sampled, whole
from training.world.bodies.surroundings import fill_from_ct, fill_from_outline
from training.world.materials import ID, Material

if TYPE_CHECKING:
    from napari_ctvlp.scan import OrganMasks, Scan

_KEY = 15485863
FEWEST_ORGANS = 5
"""A map with fewer organs makes no body."""

MASK_FOLDERS = ("segmentations", "segmentation", "masks")
CT_NAMES = ("ct.nii.gz", "ct.nii")
_CT_ENDS = ("_ct", "-ct", "_0000")
_MAP_ENDS = ("_seg", "-seg", "_labels", "_multilabel", "_segmentation", "_masks")


@dataclass(frozen=True)
class Case:
    """A patient: a multi-label file or a folder of one-organ masks, and the CT that they were made from."""

    masks: Path
    ct: Path | None = None


class LabelMapBodies:
    """Bodies of real patients; body ``number`` is patient ``number`` modulo how many there are.

    Parameters
    ----------
    folder : Path
        Holds multi-label NIfTI files, or one folder per patient with one NIfTI file per organ (or one multi-label
        file), with TotalSegmentator's v1 or v2 names. A CT is used where it lies beside its map: "ct.nii.gz" in the
        patient's folder, or "NAME_ct.nii.gz" beside "NAME.nii.gz" or "NAME_seg.nii.gz".
    keep : int
        How many bodies stay in memory.

    Raises
    ------
    UserError
        When there is no such folder or no label map in it.
    """

    def __init__(self, folder: str | Path, keep: int = 8) -> None:
        self.cases = find_cases(Path(folder))
        self._keep = keep
        self._kept: OrderedDict[tuple[int, float], Body] = OrderedDict()

    def body(self, number: int, spacing: float) -> Body:
        """Body ``number`` at a spacing in mm.

        Raises
        ------
        UserError
            When its files cannot be read, or are no label maps of this scheme.
        """
        key = (number % len(self.cases), spacing)
        if key not in self._kept:
            self._kept[key] = read_body(self.cases[key[0]], spacing, np.random.default_rng([_KEY, key[0]]))
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def find_cases(folder: Path) -> tuple[Case, ...]:
    """The patients in a folder, in the order of their names.

    Raises
    ------
    UserError
        When there are none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder.name}: there is no such folder of label maps.")
    cases = [*_loose_files(folder)]
    for inner in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        case = _case_folder(inner)
        if case is not None:
            cases.append(case)
    if not cases:
        raise UserError(
            f"{folder.name}: holds no label maps; put one multi-label .nii.gz per patient there, or one folder per "
            "patient with one .nii.gz per organ."
        )
    return tuple(cases)


def _nifti(folder: Path) -> list[Path]:
    from napari_ctvlp.scan.nifti import is_nifti_name

    return sorted(f for f in folder.iterdir() if f.is_file() and is_nifti_name(f) and not f.name.startswith("."))


def _case_folder(folder: Path) -> Case | None:
    ct = next((folder / n for n in CT_NAMES if (folder / n).is_file()), None)
    for place in (folder, *(folder / n for n in MASK_FOLDERS)):
        files = [f for f in (_nifti(place) if place.is_dir() else []) if f != ct]
        if len(files) == 1:
            return Case(files[0], ct)
        if files:
            return Case(place, ct)
    return None


def _loose_files(folder: Path) -> list[Case]:
    """Multi-label files that lie in the folder itself; a file of one organ's name makes the folder one patient."""
    from napari_ctvlp.anatomy.schemes import to_v2
    from napari_ctvlp.scan.nifti import stem

    files = _nifti(folder)
    if any(to_v2(stem(f)) in ID for f in files):
        case = _case_folder(folder)
        return [] if case is None else [case]
    scans = {_base(stem(f), _CT_ENDS): f for f in files if stem(f).lower().endswith(_CT_ENDS)}
    maps = [f for f in files if f not in scans.values() and stem(f) != "ct"]
    alone = next((folder / n for n in CT_NAMES if (folder / n).is_file()), None) if len(maps) == 1 else None
    return [Case(f, scans.get(_base(stem(f), _MAP_ENDS), alone)) for f in maps]


def _base(stem: str, ends: tuple[str, ...]) -> str:
    return next((stem[: -len(e)] for e in ends if stem.lower().endswith(e)), stem)


def read_body(case: Case, spacing: float, rng: np.random.Generator) -> Body:
    """Read a patient as a body at a spacing in mm; what the files do not say is drawn.

    Raises
    ------
    UserError
        As ``read_scan`` and ``read_masks`` do; when the CT is on another place than the masks, or there are fewer
        than ``FEWEST_ORGANS`` organs.
    """
    from napari_ctvlp.scan import read_masks

    scan = _grid(case)
    masks = read_masks(case.masks, scan)
    labels, parts = to_v2_labels(masks)
    if len(np.unique(labels)) - 1 < FEWEST_ORGANS:
        raise UserError(
            f"{case.masks.name}: holds fewer than {FEWEST_ORGANS} organs of TotalSegmentator; a body needs a map of "
            "the whole scan."
        )
    on, hu, fine_parts = at_spacing(labels, scan if case.ct else None, parts, scan.spacing, spacing)
    tissue = derive(on, spacing, rng, hu, fine_parts)
    if hu is None:
        fill_from_outline(on, tissue, spacing, rng)
    else:
        fill_from_ct(on, tissue, hu, spacing, rng)
    sex = _sex(on, rng)
    return Body(on.numpy(), tissue.numpy(), spacing, sex, float(rng.uniform(25, 85)), _arms(on))


def _grid(case: Case) -> Scan:
    """The CT; without one an empty scan on the grid of the masks, for masks are read onto a scan."""
    from napari_ctvlp.scan import read_scan

    if case.ct is not None:
        return read_scan(case.ct)
    scan = read_scan(_nifti(case.masks)[0] if case.masks.is_dir() else case.masks)
    # label numbers must not be taken for densities where v1 is told from v2, nor a mask for the scan, which is no mask
    return replace(scan, hu=np.zeros_like(scan.hu), source="")


def to_v2_labels(masks: OrganMasks) -> tuple[NDArray[np.uint8], dict[Material, NDArray[np.bool_]]]:
    """Labels by TotalSegmentator v2 numbers, and the tissues that names of v1 tell besides."""
    table = np.zeros(256, np.uint8)
    hints: dict[Material, list[int]] = {}
    for label, name in masks.names.items():
        if name in ID:
            table[label] = ID[name]
        elif name in PARTS:
            table[label], material = PARTS[name]
            hints.setdefault(material, []).append(label)
    parts = {material: np.isin(masks.labels, labels) for material, labels in hints.items()}
    return table[masks.labels], parts


def at_spacing(
    labels: NDArray[np.uint8],
    scan: Scan | None,
    parts: Mapping[Material, NDArray[np.bool_]],
    old: tuple[float, float, float],
    new: float,
) -> tuple[Tensor, Tensor | None, dict[Material, Tensor]]:
    """Labels, HU (where there is a scan) and parts on an isotropic grid of ``new`` mm."""
    on = torch.from_numpy(labels)
    hu = None if scan is None else torch.from_numpy(scan.hu.astype(np.float32)).clamp_(-1024, 3071)
    kept = {m: torch.from_numpy(mask) for m, mask in parts.items()}
    if np.allclose(old, new, atol=1e-3):
        return on, hu, kept
    to = (new, new, new)
    box = whole(new_size(labels.shape, old, new))
    fine = {m: sampled(mask.float(), old, to, box) > 0.5 for m, mask in kept.items()}
    return resampled_labels(on, old, new), None if hu is None else sampled(hu, old, to, box), fine


def _sex(labels: Tensor, rng: np.random.Generator) -> Sex:
    """A prostate says male; a pelvis in view without one says female; else drawn."""
    drawn: Sex = "female" if rng.random() < 0.5 else "male"
    if bool((labels == ID["prostate"]).any()):
        return "male"
    # only v2 knows the cord and the prostate
    pelvis = all(bool((labels == ID[n]).any()) for n in ("urinary_bladder", "femur_left", "hip_right", "spinal_cord"))
    return "female" if pelvis else drawn


def _arms(labels: Tensor) -> Arms:
    """Up when the humerus lies above the lungs' middle, down when it reaches beside the trunk."""
    humerus = torch.nonzero((labels == ID["humerus_left"]) | (labels == ID["humerus_right"]))
    lungs = torch.zeros_like(labels, dtype=torch.bool)
    for name in (n for n in ID if n.startswith("lung")):
        lungs |= labels == ID[name]
    rows = torch.nonzero(lungs.any(2).any(1))
    if len(humerus) == 0 or len(rows) == 0:
        return "unknown"
    return "up" if float(humerus[:, 0].float().mean()) < float(rows[0]) else "down"
