"""``read_masks``: organ masks of any usual form, brought onto the grid of their scan."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry, itk, naming
from napari_ctvlp.scan.labelled import read_labelled
from napari_ctvlp.scan.labels import cut_note, listed, onto_scan, present_labels, to_uint8
from napari_ctvlp.scan.nifti import NiftiVolume, is_nifti_name, open_nifti, stem
from napari_ctvlp.scan.statistics import cut_short, organ_statistics
from napari_ctvlp.scan.stored import as_read
from napari_ctvlp.scan.types import MaskPaths, OrganMasks, OrganStatistics, Scan

__all__ = ["organ_statistics", "read_masks"]

OTHER_FRAME = (
    "the masks name another DICOM frame of reference than the scan; they were placed by their coordinates, so see for "
    "yourself that they fit"
)
"""Said, not refused: programs that copy or anonymise files often write a new identifier and leave the geometry."""

_FOLDERS = ("segmentations", "segmentation", "masks")
"""Where TotalSegmentator's data set keeps the masks of a case, beside its scan."""
_AFTER = re.compile(r"[ _.-](seg|segmentation|mask|label)s?$", re.IGNORECASE)
"""What people write behind the organ in the name of a file with one mask."""


def read_masks(path: MaskPaths, scan: Scan, *, scheme: str | None = None) -> OrganMasks:
    """Read organ masks and bring them onto the grid of a scan.

    Parameters
    ----------
    path : str, Path, or sequence of Path
        One file with all organs (NIfTI, NRRD, MetaImage, DICOM SEG or RTSTRUCT), one mask file called like its organ,
        a folder of one-organ NIfTI files, or several of these files.
    scan : Scan
        What the masks belong to.
    scheme : str, optional
        "totalsegmentator_v1" or "totalsegmentator_v2" for a label file; by default the names in the file, else
        detected.

    Returns
    -------
    OrganMasks
        uint8 labels on the grid of ``scan``, names, how the names were found, and statistics per organ.

    Raises
    ------
    UserError
        In one sentence: what is wrong, in which file, what to do.
    """
    if not isinstance(path, str | Path):
        files = [Path(one) for one in path]
        for file in files:
            _check_exists(file)
        return _read_folder(files[0].parent, files, scan)
    path = Path(path)
    _check_exists(path)
    key = None if scheme is None else naming.scheme_key(scheme)
    given = str(path)
    if path.is_dir():
        files = _mask_files(path, scan)
        if len(files) > 1:
            return dataclasses.replace(_read_folder(path, files, scan), source=given)
        path = files[0]
    return dataclasses.replace(_read_file(path, scan, key), source=given)


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path.name}: there is no such file or folder.")


def _read_file(path: Path, scan: Scan, scheme: str | None) -> OrganMasks:
    grid = read_labelled(path, scan)
    notes: list[str] = list(grid.notes)
    if scan.frame and grid.frames - {scan.frame}:
        notes.append(OTHER_FRAME)
    labels, values = to_uint8(grid.labels, path.name)
    read = labels
    labels, cut = onto_scan(read, grid.affine, scan, path.name, notes, tight=grid.tight)
    present = present_labels(labels)
    if not present:
        raise UserError(f"{path.name}: holds no organ inside the scan (every label is 0).")
    if values is not None:
        notes.append(f"labels up to {max(values.values())} were renumbered to 1..{len(values)}")
    number = values or {label: label for label in present}
    by_label = statistics_by_label(scan, labels, present)
    by_number = {number[label]: stat for label, stat in by_label.items()}
    names, how = _names(path, grid.names, scheme, by_number)
    final = {label: names[number[label]] for label in present}
    statistics = {name: dataclasses.replace(by_label[label], organ=name) for label, name in final.items()}
    kept = as_read(scan, read, grid.affine, labels)
    statistics = _told_cut(statistics, [final[label] for label in sorted(cut & final.keys())], notes)
    return OrganMasks(labels, final, how, tuple(notes), statistics, as_read=kept)


def _told_cut(
    statistics: dict[str, OrganStatistics], organs: Sequence[str], notes: list[str]
) -> dict[str, OrganStatistics]:
    if organs:
        notes.append(cut_note(organs))
    return cut_short(statistics, organs)


def statistics_by_label(scan: Scan, labels: NDArray[np.uint8], present: Sequence[int]) -> dict[int, OrganStatistics]:
    """Statistics of each label, before it has a name."""
    placeholder = {label: f"label_{label}" for label in present}
    return {stat.label: stat for stat in organ_statistics(scan, labels, placeholder).values()}


def _names(
    path: Path, inside: Mapping[int, str], scheme: str | None, by_number: dict[int, OrganStatistics]
) -> tuple[dict[int, str], str]:
    """Name of every number in the file, and where the names come from."""
    if scheme is not None:
        return naming.scheme_names(scheme, by_number), f"{naming.title(scheme)} (as asked)"
    told = known_names(path, inside, list(by_number))
    if told is not None:
        return told
    found, reason = naming.detect_scheme(by_number)
    return naming.scheme_names(found, by_number), f"{naming.title(found)} (detected: {reason})"


def known_names(path: Path, inside: Mapping[int, str], numbers: Sequence[int]) -> tuple[dict[int, str], str] | None:
    """What a file says of its numbers, by itself or by its own name, and which of both; None where it says nothing."""
    if inside:
        given = {n: inside.get(n, f"label_{n}") for n in numbers}
        return naming.unique_names(given), "names in the file"
    if len(set(numbers)) == 1:
        (number,) = set(numbers)
        name = _AFTER.sub("", itk.itk_stem(path) if itk.is_itk_name(path) else stem(path))
        if naming.is_organ(name):
            return naming.unique_names({number: name}), "name of the file"
        if number == 1 or naming.is_group(name):  # of several organs, none of which it is alone
            return {number: f"label_{number}"}, "one mask without a name (call the file like its organ)"
    return None


def _mask_files(folder: Path, scan: Scan) -> list[Path]:
    """NIfTI files of a folder of masks, without the scan itself, in the order of their names."""
    own = Path(scan.source).resolve() if scan.source else None
    for place in (folder, *(folder / name for name in _FOLDERS)):
        try:
            files = sorted(place.iterdir()) if place.is_dir() else []
        except OSError as error:
            raise UserError(f"{place.name}: this folder cannot be read; check its permissions.") from error
        found = [
            f
            for f in files
            if is_nifti_name(f) and not f.name.startswith(".") and f.resolve() != own and stem(f) != "ct"
        ]
        if found:
            return found
    raise UserError(
        f"{folder.name}: no .nii or .nii.gz masks in this folder; give the folder that holds one file per organ."
    )


@dataclass(eq=False)
class _Painting:
    """Labels of all files that share one grid, painted file by file; canonical order."""

    labels: NDArray[np.uint8]
    affine: geometry.Affine
    file: str

    def paint(self, source: NiftiVolume, label: int) -> int:
        """Paint one organ where nothing is yet; how many voxels were taken already.

        Raises
        ------
        UserError
            If the file holds several labels.
        """
        view = geometry.reorientation(source.affine).stored_view(self.labels).T
        overlapping = 0
        values: set[int] = set()
        for start, stop, part in source.slabs():
            whole = part.dtype.kind != "f"
            if whole and not part.max() and not part.min():
                continue  # most of every file
            flat = part.T.reshape(-1)
            # by index, not by mask: an organ is a small part of a slab, and the two arrays differ in axis order
            places = np.flatnonzero(flat != 0 if whole else np.nan_to_num(flat) > 0.5)
            if whole:
                chosen = flat[places]
                values.update((int(chosen.min()), int(chosen.max())))
            target = view[start:stop]
            index = np.unravel_index(places, target.shape)
            free = target[index] == 0
            overlapping += int(free.size - np.count_nonzero(free))
            target[tuple(axis[free] for axis in index)] = label
        if len(values) > 1:
            raise UserError(
                f"{source.path.name}: holds several labels among a folder of one-organ masks; open that file by itself."
            )
        return overlapping


def _read_folder(folder: Path, files: Sequence[Path], scan: Scan) -> OrganMasks:
    numbers = _numbers([stem(f) for f in files], folder.name)
    paintings: list[_Painting] = []
    notes: list[str] = []
    overlapping = 0
    covered = set[int]()
    for file in files:
        source = open_nifti(file)
        taken = _painting_of(source, paintings).paint(source, numbers[stem(file)])
        overlapping += taken
        if taken:
            covered.add(numbers[stem(file)])
    labels, cut = np.zeros(0, np.uint8), frozenset[int]()
    for nth, painting in enumerate(paintings):
        placed, ended = onto_scan(painting.labels, painting.affine, scan, painting.file, notes)
        cut |= ended
        if nth == 0:
            labels = placed
        else:
            free = (labels == 0) & (placed > 0)
            lost = placed[(placed > 0) & ~free]
            overlapping += lost.size
            covered.update(int(n) for n in np.unique(lost))
            labels[free] = placed[free]
    of_label = {label: name for name, label in numbers.items()}
    present = present_labels(labels)
    if not present:
        raise UserError(f"{folder.name}: all {len(files)} masks given are empty inside the scan.")
    gone = [numbers[stem(file)] for file in files if numbers[stem(file)] not in present]
    if hidden := [of_label[label] for label in gone if label in covered]:
        notes.append(f"wholly within other masks, and so left out: {listed(hidden)}")
    if empty := [of_label[label] for label in gone if label not in covered]:
        notes.append(f"{len(empty)} of {len(files)} masks are empty: {listed(empty)}")
    if overlapping:
        notes.append(f"{overlapping} voxels belong to several masks; the first by name keeps them")
    final = naming.unique_names({label: of_label[label] for label in present})
    statistics = organ_statistics(scan, labels, final)
    notes = list(dict.fromkeys(notes))
    statistics = _told_cut(statistics, [final[label] for label in sorted(cut & final.keys())], notes)
    kept = as_read(scan, paintings[0].labels, paintings[0].affine, labels) if len(paintings) == 1 else None
    return OrganMasks(labels, final, "names of the files", tuple(notes), statistics, as_read=kept)


def _painting_of(source: NiftiVolume, paintings: list[_Painting]) -> _Painting:
    """The painting on the grid of a file; a new one when it is the first there."""
    turn = geometry.reorientation(source.affine)
    affine, shape = turn.canonical_affine(source.affine, source.shape), turn.canonical_shape(source.shape)
    for one in paintings:
        if one.labels.shape == shape and geometry.same_grid(affine, one.affine, shape):
            return one
    paintings.append(_Painting(np.zeros(shape, np.uint8), affine, source.path.name))
    return paintings[-1]


def _numbers(stems: Sequence[str], folder: str) -> dict[str, int]:
    """Label of each file: that of v2 where v2 has the organ, so that its colour is the same in every scan."""
    from napari_ctvlp.anatomy.schemes import SCHEMES, to_v2

    if len(stems) > 255:
        raise UserError(
            f"{folder}: holds {len(stems)} masks, more than the 255 that can be shown; move some out of the folder."
        )
    of_organ = {name: label for label, name in SCHEMES[naming.V2].items()}
    numbers: dict[str, int] = {}
    for name in stems:
        label = of_organ.get(to_v2(name))
        if label is not None and label not in numbers.values():
            numbers[name] = label
    # organs that v2 does not know come behind its numbers first, and fill its gaps only when there are many
    free = [n for n in (*range(118, 256), *range(1, 118)) if n not in numbers.values()]
    for name, label in zip((s for s in stems if s not in numbers), free, strict=False):
        numbers[name] = label
    return numbers
