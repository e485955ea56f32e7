"""What is to be segmented: organs or anything else that scans have masks of, or lesions that synthetic ones know."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.anatomy.schemes import SCHEMES, to_v2
from napari_ctvlp.errors import UserError
from training.data.records import ScanSource

from .task import TaskStore, label_table

ORGANS, LESIONS = "organs", "lesions"
LABELS = {organ: label for label, organ in SCHEMES["totalsegmentator_v2"].items()}
"""Label of each organ in the masks of a store."""
Classes = NDArray[np.uint8]


class Target(Protocol):
    """Classes of voxels; class 0 is none of them, class k the k-th name."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes 1 and on."""
        ...

    def volume(self, store: ScanSource, index: int) -> Classes:
        """(I, P, L) class of every voxel of a scan, on the grid of the store."""
        ...

    def shown(self, store: ScanSource, index: int) -> NDArray[np.bool_]:
        """(names,) whether a scan shows each class at all."""
        ...


@dataclass(frozen=True)
class OrganTarget:
    """Organs, by the masks of the scans. An organ without a mask counts as not there."""

    names: tuple[str, ...]
    table: Classes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        table = np.zeros(256, np.uint8)
        table[[LABELS[name] for name in self.names]] = np.arange(1, len(self.names) + 1)
        object.__setattr__(self, "table", table)

    def volume(self, store: ScanSource, index: int) -> Classes:
        """See `Target`."""
        return self.table[np.asarray(store.load(index).labels)]

    def shown(self, store: ScanSource, index: int) -> NDArray[np.bool_]:
        """See `Target`."""
        return store.voxels(index)[[LABELS[name] for name in self.names]] > 0


@dataclass(frozen=True)
class MaskTarget:
    """What the masks of a `TaskStore` show, by the names that it gives them."""

    names: tuple[str, ...]

    def volume(self, store: ScanSource, index: int) -> Classes:
        """See `Target`."""
        classes: Classes = self._table(store)[np.asarray(store.load(index).labels)]
        return classes

    def shown(self, store: ScanSource, index: int) -> NDArray[np.bool_]:
        """See `Target`."""
        table, voxels = self._table(store), store.voxels(index)
        return np.array([bool(voxels[table == k].any()) for k in range(1, len(self.names) + 1)])

    def _table(self, store: ScanSource) -> Classes:
        assert isinstance(store, TaskStore)
        return label_table(store.names, self.names, store.folder.name)


@dataclass(frozen=True)
class LesionTarget:
    """Abnormalities of synthetic scans; "lesions" are all that do not merely change an organ's size. Where two lie on
    one voxel the later name counts."""

    names: tuple[str, ...]

    def volume(self, store: ScanSource, index: int) -> Classes:
        """See `Target`."""
        result = np.zeros(store.load(index).labels.shape, np.uint8)
        found = _findings(store, index)
        for number, name in enumerate(self.names, 1):
            for finding in found:
                if _is(finding, name):
                    result[tuple(slice(a, b) for a, b in finding["box"])][finding["mask"]] = number
        return result

    def shown(self, store: ScanSource, index: int) -> NDArray[np.bool_]:
        """See `Target`."""
        found = _findings(store, index)
        return np.array([any(_is(f, name) and bool(f["mask"].any()) for f in found) for name in self.names])


def _is(finding: Mapping[str, Any], name: str) -> bool:
    if name == LESIONS:
        return finding["volume_factor"] is None
    return bool(finding["abnormality"] == name)


def _findings(store: ScanSource, index: int) -> list[dict[str, Any]]:
    """Painted findings of a scan.

    Raises
    ------
    UserError
        When the scans do not know them.
    """
    findings = getattr(store, "findings", None)
    if findings is None:
        raise UserError(
            "These scans know no lesion voxel by voxel, as synthetic ones do: choose --target organs, or synthetic "
            "scans (--train.data world)."
        )
    return cast(list[dict[str, Any]], findings(index))


def _unknown(name: str, known: Sequence[str], what: str) -> UserError:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return UserError(f"There is no {what} '{name}'{f': did you mean {near[0]}?' if near else '.'}")


def target_named(target: Sequence[str], classes: Sequence[str], store: ScanSource) -> Target:
    """The target that a command asks for.

    Parameters
    ----------
    target : sequence of str
        "organs" alone, or abnormalities by their names in the world's catalogue, or "lesions".
    classes : sequence of str
        Organs, in any usual spelling; without any, all that a scan of the store shows.
    store : ScanSource
        The scans that are trained on.

    Raises
    ------
    UserError
        For a name that is none, a mixture of both kinds, or classes that no scan shows.
    """
    found: Target
    if isinstance(store, TaskStore):
        if list(target) != [ORGANS]:
            raise UserError(f"'{store.folder.name}' names its own masks: choose of them by --classes.")
        found = MaskTarget(tuple(dict.fromkeys(to_v2(name) for name in classes)) or tuple(store.names.values()))
        label_table(store.names, found.names, store.folder.name)
    elif list(target) == [ORGANS]:
        organs = tuple(dict.fromkeys(to_v2(name) for name in classes))
        for name in organs:
            if name not in LABELS:
                raise _unknown(name, [*LABELS], "organ")
        if not organs:
            counts = sum(store.voxels(i) for i in range(store.count))
            organs = tuple(name for name, label in LABELS.items() if np.asarray(counts)[label])
        if not organs:
            raise UserError(f"None of the {store.count} scans has an organ mask: there is nothing to learn from.")
        found = OrganTarget(organs)
    else:
        from training.world.findings.catalogue import ABNORMALITIES

        if not target or ORGANS in target or classes:
            raise UserError("Choose organs (--target organs, --classes ...) or abnormalities (--target NAME ...).")
        names = tuple(dict.fromkeys(target))
        for name in names:
            if name != LESIONS and name not in ABNORMALITIES:
                raise _unknown(name, [*ABNORMALITIES, ORGANS, LESIONS], "target")
        found = LesionTarget(names)
    return found


def target_again(names: tuple[str, ...], target: Sequence[str], store: ScanSource) -> Target:
    """The target of a segmenter that is there, on scans that may be of another kind than it was trained on.

    Raises
    ------
    UserError
        When these have no masks of its classes.
    """
    if isinstance(store, TaskStore):
        label_table(store.names, names, store.folder.name)
        return MaskTarget(names)
    if list(target) != [ORGANS]:
        return LesionTarget(names)
    strange = [name for name in names if name not in LABELS]
    if strange:
        raise UserError(f"These scans have masks of organs alone, not of {', '.join(strange)}.")
    return OrganTarget(names)


def scans_that_show(target: Target, store: ScanSource) -> NDArray[np.bool_]:
    """(scans, names) which scans of a store show which class.

    Raises
    ------
    UserError
        Naming classes that none shows.
    """
    if not store.count:
        raise UserError("There are no scans to learn from.")
    shown = np.stack([target.shown(store, index) for index in range(store.count)])
    count = shown.sum(0).tolist()
    never = [name for name, scans in zip(target.names, count, strict=True) if not scans]
    if never:
        raise UserError(f"None of the {store.count} scans shows {', '.join(never)}: give more scans, or leave it out.")
    return shown
