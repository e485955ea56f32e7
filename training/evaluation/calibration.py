"""Scores to probabilities, fitted on validation scans and never on what is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from napari_ctvlp.encoder.contract import Calibration
from training.calibrate import fit_calibration
from training.engine.metrics import enough

from .cases import Question

Floats = NDArray[np.float64]
Calibrator = Callable[[NDArray[np.str_], Floats], Floats]
"""From the keys and the scores of cases to probabilities."""
T = TypeVar("T")
Map = Callable[[Floats], Floats]
METHODS = ("encoder", "platt", "temperature", "isotonic")


def from_lines(calibration: Calibration) -> Calibrator:
    """The plugin's own map: ``sigmoid(slope * score + offset)`` by key."""

    def apply(keys: NDArray[np.str_], scores: Floats) -> Floats:
        lines = {str(k): calibration.by_key.get(str(k), calibration.default) for k in np.unique(keys)}
        slope, offset = np.array([lines[str(k)] for k in keys]).reshape(-1, 2).T
        return _sigmoid(slope * scores + offset)

    return apply


def platt(found: Mapping[str, Question]) -> Calibrator:
    """Platt scaling (1999) as `training.calibrate` fits it."""
    return from_lines(fit_calibration([p for q in found.values() for p in q.pairs()]))


def temperature(found: Mapping[str, Question]) -> Calibrator:
    """One temperature per abnormality (Guo et al., 2017), a common one where there are too few scans."""

    def fit(scores: Floats, present: NDArray[np.bool_]) -> float:
        sign = np.where(present, -1.0, 1.0)

        def loss(log_slope: float) -> float:
            return float(np.logaddexp(0, sign * np.exp(log_slope) * scores).mean())

        return float(np.exp(minimize_scalar(loss, bounds=(-5, 5), method="bounded").x))

    def scaled(slope: float) -> Map:
        return lambda s: _sigmoid(slope * s)

    slopes, common = _by_abnormality(found, fit, 1.0)
    return _of_abnormality({k: scaled(a) for k, a in slopes.items()}, scaled(common))


def isotonic(found: Mapping[str, Question]) -> Calibrator:
    """The best rising steps (Zadrozny & Elkan, 2002) per abnormality, common ones where there are too few scans."""

    def fit(scores: Floats, present: NDArray[np.bool_]) -> Map:
        model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, present.astype(float))
        return lambda s: np.asarray(model.predict(s), np.float64)

    plain: Map = _sigmoid
    return _of_abnormality(*_by_abnormality(found, fit, plain))


def fitted(found: Mapping[str, Question], own: Calibration | None) -> dict[str, Calibrator]:
    """All calibrations that can be had: the encoder's ``own``, and those fitted on validation questions."""
    result = {} if own is None else {"encoder": from_lines(own)}
    if any(len(q.scores) for q in found.values()):
        result |= {"platt": platt(found), "temperature": temperature(found), "isotonic": isotonic(found)}
    return result


def _by_abnormality(
    found: Mapping[str, Question], fit: Callable[[Floats, NDArray[np.bool_]], T], default: T
) -> tuple[dict[str, T], T]:
    """Fit each question that has enough scans, and one for all together."""
    result = {name: fit(q.scores, q.present) for name, q in found.items() if enough(q.present, q.patient)}
    scores = _pooled([q.scores for q in found.values()])
    present = _pooled([q.present for q in found.values()]).astype(bool)
    if len(scores) and 0 < present.sum() < len(present):
        return result, fit(scores, present)
    return result, default


def _of_abnormality(maps: Mapping[str, Map], common: Map) -> Calibrator:
    def apply(keys: NDArray[np.str_], scores: Floats) -> Floats:
        result = np.zeros(len(scores))
        names = np.array([str(k).split("/", 1)[1] for k in keys])
        for name in np.unique(names):
            rows = names == name
            result[rows] = maps.get(str(name), common)(scores[rows])
        return result

    return apply


def _pooled(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0)


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
