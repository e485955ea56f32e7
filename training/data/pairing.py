"""Which masks in a folder tree are whose: by what lies beside what, and never another patient's.

Masks are found by their name or their place alone; where that says nothing, or says it of several, a study is left
without masks rather than given some that may be another's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from napari_ctvlp.anatomy.organs import ORGANS
from napari_ctvlp.scan.naming import organ_of
from napari_ctvlp.scan.nifti import is_nifti_name, stem
from napari_ctvlp.scan.pairs import kind_of
from napari_ctvlp.scan.reader import looks_like_dicom

MASK_FOLDERS = (
    "segmentations",
    "segmentation",
    "masks",
    "mask",
    "labels",
    "seg",
    "labelstr",
    "ts_total",
    "merlinplus",
)
MASK_NAME = re.compile(
    r"(?:^|[_.-])(?:seg|segmentations?|masks?|labels?|multilabel|totalseg(?:mentator)?)(?:[_.-]|$)", re.I
)


def below(path: Path, tree: Path, *names: str) -> bool:
    """Whether a file lies in a folder of one of these names, within the tree: where the tree lies says nothing."""
    return any(part.lower() in names for part in path.relative_to(tree).parts[:-1])


def name_of(image: Path) -> str:
    """What a scan is called: a file without its suffix, a DICOM folder as it is, since its dots are no suffix."""
    return stem(image) if is_nifti_name(image) else image.name


@dataclass(eq=False)
class Pairing:
    """The scans of a tree of no known layout, and the masks of each.

    Attributes
    ----------
    tree : Path
    volumes : sequence of Path
        All NIfTI files in it.
    unsure : list of Path
        Scans beside which several masks lie that might be theirs; filled by `masks`.
    """

    tree: Path
    volumes: Sequence[Path]
    unsure: list[Path] = field(default_factory=list)

    @cached_property
    def _by_folder(self) -> dict[Path, list[Path]]:
        found: dict[Path, list[Path]] = {}
        for path in sorted(self.volumes):
            found.setdefault(path.parent, []).append(path)
        return found

    @cached_property
    def _folders(self) -> dict[Path, list[Path]]:
        """Folders of masks by the folder that they lie in."""
        found: dict[Path, list[Path]] = {}
        for folder, files in self._by_folder.items():
            if folder != self.tree and self._holds_masks(folder, files):
                found.setdefault(folder.parent, []).append(folder)
        return found

    def _holds_masks(self, folder: Path, files: Sequence[Path]) -> bool:
        if folder.name.lower() in MASK_FOLDERS:
            return True
        organs = sum(organ_of(stem(p)) in ORGANS for p in files)
        if len(files) > 1 and 2 * organs > len(files):
            return True
        # a folder that is called like masks is one where a scan lies beside it
        return bool(MASK_NAME.search(folder.name)) and any(
            not MASK_NAME.search(stem(p)) for p in self._by_folder.get(folder.parent, ())
        )

    @cached_property
    def images(self) -> list[Path]:
        """The scans: files, and folders of DICOM slices."""
        holds_masks = {folder for folders in self._folders.values() for folder in folders}
        if self._holds_masks_alone:
            return []
        files = [
            p
            for p in self.volumes
            if not below(p, self.tree, *MASK_FOLDERS) and p.parent not in holds_masks and not MASK_NAME.search(stem(p))
        ]
        return sorted([*files, *self._dicom_folders()])

    @property
    def _holds_masks_alone(self) -> bool:
        """Whether the tree is one folder of single organs."""
        files = self._by_folder.get(self.tree, [])
        return len(files) > 1 and 2 * sum(organ_of(stem(p)) in ORGANS for p in files) > len(files)

    @cached_property
    def _names(self) -> dict[Path, list[str]]:
        """Plain names of the scans by the folder that they lie in."""
        found: dict[Path, list[str]] = {}
        for image in self.images:
            found.setdefault(image.parent, []).append(_plain(name_of(image)))
        return found

    @cached_property
    def _all_names(self) -> set[str]:
        return {name for names in self._names.values() for name in names}

    def alone(self, image: Path) -> bool:
        """Whether no other scan lies beside this one."""
        return len(self._names[image.parent]) == 1

    @cached_property
    def masks(self) -> dict[Path, Path | None]:
        """The masks of each scan; what was found for several is nobody's."""
        found = {image: self._masks_of(image) for image in self.images}
        counts = Counter(found.values())
        return {image: masks if counts[masks] == 1 else None for image, masks in found.items()}

    def _masks_of(self, image: Path) -> Path | None:
        """The masks of a scan: called like it, or the only ones beside the only scan."""
        name, home = _plain(name_of(image)), image.parent
        near = [p for p in self._by_folder.get(home, ()) if MASK_NAME.search(stem(p)) and p != image]
        apart = [home, *([home.parent] if home != self.tree else [])]
        folders = [folder for place in apart for folder in self._folders.get(place, ())]
        for files in (*(self._by_folder[f] for f in folders), near):
            named = [p for p in files if _owner(p, self._names[home]) == name]
            if named:
                return min(named, key=lambda p: (len(p.name), p.name))
        if not self.alone(image):
            return None
        beside = [f for f in self._folders.get(home, ()) if not any(map(self._is_of_another, self._by_folder[f]))]
        usual = [f for f in beside if f.name.lower() in MASK_FOLDERS]
        choice = usual or [*beside, *(p for p in near if not self._is_of_another(p))]
        if len(choice) > 1:
            self.unsure.append(image)
        return choice[0] if len(choice) == 1 else None

    def _is_of_another(self, mask: Path) -> bool:
        return _owner(mask, self._all_names) is not None

    def _dicom_folders(self) -> list[Path]:
        found: list[Path] = []
        for folder in sorted(p for p in (self.tree, *self.tree.rglob("*")) if p.is_dir()):
            files = [p for p in folder.iterdir() if p.is_file()]
            # slices, and not segmentations that are DICOM objects too
            own = len(files) > 1 and not any(is_nifti_name(p) for p in files)
            if own and not below(folder / "x", self.tree, *MASK_FOLDERS):
                first = next((p for p in files[:20] if looks_like_dicom(p)), None)
                if first is not None and kind_of(first) != "masks":
                    found.append(folder)
        return found


def _plain(name: str) -> str:
    """A name as names are compared; nnU-Net's number of a channel is none of it."""
    return re.sub(r"_0000$", "", name.lower())


def _owner(mask: Path, names: Container[str]) -> str | None:
    """The scan that a mask is called after: the longest of some plain names that it begins or ends with."""
    said = stem(mask).lower()
    cuts = [m.start() for m in re.finditer(r"[_.-]", said)]
    parts = [said, *(said[:cut] for cut in cuts), *(said[cut + 1 :] for cut in cuts)]
    return max((part for part in parts if part in names), key=len, default=None)
