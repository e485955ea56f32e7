"""How well a segmenter does on held-out scans: Dice of each class, with intervals, and what it calls where nothing is.

An organ that a scan does not show has no Dice there, neither 0 nor 1: it is left out of the mean, and a scan without it
in which some is called counts as a false call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from napari_ctvlp.errors import UserError
from training.data.records import ScanSource, patients_of
from training.engine.metrics import FEWEST, Resampling, percentiles

from .network import Segmenter
from .predict import segment_hu
from .targets import Target

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judged:
    """Every held-out scan by itself.

    Attributes
    ----------
    names : tuple of str
        The classes.
    dice : (scans, names) float64
        NaN where a scan does not show the class.
    called : (scans, names) int64
        Voxels that were given each class.
    patient : (scans,) int64
    """

    names: tuple[str, ...]
    dice: Floats
    called: NDArray[np.int64]
    patient: NDArray[np.int64]

    def as_json(self) -> dict[str, Any]:
        """For a file; NaN as null."""
        return {
            "names": list(self.names),
            "dice": [[None if np.isnan(v) else round(float(v), 12) for v in row] for row in self.dice],
            "called": self.called.tolist(),
            "patient": self.patient.tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Judged:
        """What `as_json` gave.

        Raises
        ------
        UserError
            When it is something else.
        """
        try:
            dice = np.array([[np.nan if v is None else v for v in row] for row in data["dice"]], float)
            called, patient = np.array(data["called"], np.int64), np.array(data["patient"], np.int64)
            names = tuple(str(name) for name in data["names"])
            if not dice.shape == called.shape == (len(patient), len(names)):
                raise ValueError("shapes differ")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"This is no file of python -m training.segment judge --out ({error}).") from error
        return cls(names, dice, called, patient)


def dice_of(called: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int) -> Floats:
    """(classes,) Dice of the classes 1 and on; NaN where the truth does not show one.

    Parameters
    ----------
    called, truth : (I, P, L) uint8
    classes : int
        Without background.
    """
    from monai.metrics import compute_dice

    given = [torch.from_numpy(np.ascontiguousarray(part)).long()[None, None] for part in (called, truth)]
    found = compute_dice(given[0], given[1], include_background=False, ignore_empty=True, num_classes=classes + 1)
    return np.asarray(found[0].double().numpy())


def judge(network: Segmenter, target: Target, store: ScanSource) -> Judged:
    """Segment every scan of a store as any scan is segmented, and compare."""
    count = len(target.names)
    dice, called = np.full((store.count, count), np.nan), np.zeros((store.count, count), np.int64)
    for index in tqdm(range(store.count), desc="judged", unit="scan", mininterval=10):
        given = segment_hu(network, np.asarray(store.load(index).hu), (store.spacing,) * 3)
        dice[index] = dice_of(given, target.volume(store, index), count)
        called[index] = np.bincount(given.ravel(), minlength=count + 1)[1:]
    return Judged(target.names, dice, called, patients_of(store))


@dataclass(frozen=True)
class Figure:
    """Dice of one class, or the mean of all.

    Attributes
    ----------
    name : str
    value, low, high : float
        Mean over the scans that show it, with its 95 percent bootstrap interval over patients.
    shown : int
        Scans that show it.
    false_calls, without : int
        Scans in which it is called and not shown, of those that do not show it.
    enough : bool
        Whether five scans or more show it; else the interval says nothing.
    """

    name: str
    value: float
    low: float
    high: float
    shown: int
    false_calls: int = 0
    without: int = 0
    enough: bool = True


def _means(dice: Floats, weights: Floats) -> Floats:
    """(rounds, names) weighted means over the scans that have a Dice; ``weights`` is (rounds, scans)."""
    known = np.isfinite(dice)
    total = weights @ np.where(known, dice, 0.0)
    count = weights @ known.astype(float)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _mean_of_means(dice: Floats, weights: Floats) -> Floats:
    means = _means(dice, weights)
    known = np.isfinite(means)
    total = np.where(known, means, 0.0).sum(1)
    return np.divide(total, known.sum(1), out=np.full(len(means), np.nan), where=known.any(1))


def _figure(name: str, dice: Floats, patient: NDArray[np.int64], resample: Resampling) -> Figure:
    """Of (scans, names) values: the mean over names of the means over scans."""
    value = float(_mean_of_means(dice, np.ones((1, len(dice))))[0])
    low, high = percentiles(resample(partial(_mean_of_means, dice), patient), (np.nan, np.nan))
    some = np.isfinite(dice).any(1)
    return Figure(name, value, low, high, int(some.sum()), enough=len(np.unique(patient[some])) >= FEWEST)


MEAN = "mean"


def figures(judged: Judged, *, rounds: int = 1000, seed: int = 0) -> list[Figure]:
    """Each class, then the mean over the classes that are shown, each counted the same."""
    _, patient = np.unique(judged.patient, return_inverse=True)
    resample = Resampling(int(patient.max()) + 1, rounds, seed)
    found = []
    for k, name in enumerate(judged.names):
        figure = _figure(name, judged.dice[:, k : k + 1], patient, resample)
        without = np.isnan(judged.dice[:, k])
        false = int((judged.called[without, k] > 0).sum())
        told = asdict(figure) | {"false_calls": false, "without": int(without.sum())}
        found.append(Figure(**told))
    return [*found, _figure(MEAN, judged.dice, patient, resample)]


def differences(one: Judged, other: Judged, *, rounds: int = 1000, seed: int = 0) -> list[Figure]:
    """Dice of one less that of another on the same scans: paired, so that hard scans are hard for both.

    Raises
    ------
    UserError
        When they were not judged on the same scans and classes.
    """
    same = one.names == other.names and np.array_equal(one.patient, other.patient)
    if not same or not np.array_equal(np.isnan(one.dice), np.isnan(other.dice)):
        raise UserError("Both must have been judged on the same scans and classes to be compared.")
    _, patient = np.unique(one.patient, return_inverse=True)
    resample = Resampling(int(patient.max()) + 1, rounds, seed)
    gap = np.round(one.dice - other.dice, 9) + 0.0  # what lies in a file is rounded; and no minus zero
    each = [_figure(name, gap[:, k : k + 1], patient, resample) for k, name in enumerate(one.names)]
    return [*each, _figure(MEAN, gap, patient, resample)]


def lines(found: Sequence[Figure], *, signed: bool = False) -> list[str]:
    """A table for people."""
    width = max(len(figure.name) for figure in found)
    sign = "+" if signed else ""
    told = []
    for figure in found:
        if not figure.shown:
            value = "no scan shows it"
        elif figure.enough:
            value = f"{figure.value:{sign}.3f} ({figure.low:{sign}.3f} to {figure.high:{sign}.3f})"
        else:
            value = f"{figure.value:{sign}.3f} (too few to say)"
        false = f", called in {figure.false_calls} of {figure.without} without it" if figure.without else ""
        told.append(f"  {figure.name:<{width}}  {value}  {figure.shown} scans{false}")
    return told


def read_judged(path: Path) -> Judged:
    """Read what ``judge --out`` wrote.

    Raises
    ------
    UserError
        When it cannot be read.
    """
    import json

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"'{path.name}' cannot be read as JSON.") from error
    if not isinstance(data, dict):
        raise UserError(f"'{path.name}' is no file of python -m training.segment judge --out.")
    return Judged.from_json(data.get("scans_alone", {}))
