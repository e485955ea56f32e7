"""All figures of the questions of an evaluation, with intervals over patients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.engine.metrics import (
    Interval,
    Measure,
    Resampling,
    at_threshold,
    auc,
    auc_interval,
    average_precision,
    calibration_error,
    enough,
    percentiles,
)

from .calibration import Calibrator
from .cases import Question
from .thresholds import Threshold

Floats = NDArray[np.float64]
DIGITS = 4


def rounded(value: float | None) -> float | None:
    """A figure for JSON; None where it could not be computed."""
    return None if value is None or not np.isfinite(value) else round(float(value), DIGITS)


def _figure(value: Floats, draws: Floats, sure: bool) -> dict[str, float | None]:
    low, high = percentiles(draws) if sure else (None, None)
    return {"value": rounded(float(value[0])), "low": rounded(low), "high": rounded(high)}


def _decision(name: str, called: NDArray[np.bool_], present: NDArray[np.bool_]) -> Measure:
    return lambda w: at_threshold(called, present, w)[name]


def _auc_of(scores: Floats, present: NDArray[np.bool_]) -> Measure:
    return lambda w: auc(scores, present, w)


def about(
    question: Question, calibrate: Calibrator, threshold: Threshold | None, resample: Resampling
) -> tuple[dict[str, Any], Floats | None]:
    """The row of a question, and the draws of its AUC for means over questions."""
    q, ones = question, np.ones((1, len(question.scores)))
    probability = calibrate(q.keys, q.scores)
    sure = enough(q.present, q.patient)
    row: dict[str, Any] = {
        "name": q.name,
        "positives": int(q.present.sum()),
        "cases": len(q.present),
        "positive_patients": len(np.unique(q.patient[q.present])),
    }
    error = calibration_error(probability, q.present, ones)
    draws = resample(lambda w: calibration_error(probability, q.present, w), q.patient)
    row["calibration_error"] = _figure(error, draws, sure)
    if not q.present.any() or q.present.all():
        return row | {"auc": None, "verdict": "one class only"}, None
    draws = resample(_auc_of(probability, q.present), q.patient)
    interval = auc_interval(float(auc(probability, q.present, ones)[0]), draws, q.present, q.patient)
    row |= {"auc": auc_entry(interval), "verdict": interval.verdict}
    precision = average_precision(probability, q.present, ones)
    row["average_precision"] = _figure(
        precision, resample(lambda w: average_precision(probability, q.present, w), q.patient), sure
    )
    row["prevalence"] = rounded(float(q.present.mean()))
    singles = [float(auc(calibrate(q.keys, q.single[:, k]), q.present, ones)[0]) for k in range(q.single.shape[1])]
    row["prompts"] = {"low": rounded(min(singles)), "high": rounded(max(singles)), "count": len(singles)}
    if threshold is not None:
        called = probability >= threshold.value
        row["threshold"] = {"value": rounded(threshold.value), "own": threshold.own}
        for name, value in at_threshold(called, q.present, ones).items():
            row[name] = _figure(value, resample(_decision(name, called, q.present), q.patient), sure)
    return row, draws


def auc_entry(interval: Interval) -> dict[str, float | None]:
    """An AUC for JSON; no bounds where there are too few scans for any."""
    low, high = (interval.low, interval.high) if interval.enough else (None, None)
    return {"value": rounded(interval.value), "low": rounded(low), "high": rounded(high)}


def macro(values: list[float], draws: list[Floats]) -> dict[str, Any]:
    """The mean of figures, with the interval of the mean over the same draws."""
    if not values:
        return {"value": None, "low": None, "high": None, "count": 0}
    with np.errstate(invalid="ignore"):
        together = np.array(draws)
        good = np.isfinite(together)
        means = np.where(good, together, 0).sum(axis=0) / np.maximum(good.sum(axis=0), 1)
    low, high = percentiles(np.where(good.any(axis=0), means, np.nan))
    return {"value": rounded(float(np.mean(values))), "low": rounded(low), "high": rounded(high), "count": len(values)}


def all_figures(
    test: Mapping[str, Question],
    calibrate: Calibrator,
    thresholds: Mapping[str, Threshold],
    resample: Resampling,
) -> dict[str, Any]:
    """Rows of all questions, and their means overall and per anatomy.

    ``macro_auc`` is over all questions with both classes; ``macro_auc_enough`` over those with enough scans to say.
    """
    rows, every, sure = [], [], []
    for q in test.values():
        row, draws = about(q, calibrate, thresholds.get(q.name, thresholds.get("*")), resample)
        rows.append(row)
        if draws is not None:
            every.append((row["auc"]["value"], draws))
            if row["verdict"] != "too few to say":
                sure.append((row["auc"]["value"], draws))
    return {
        "macro_auc": macro([v for v, _ in every], [d for _, d in every]),
        "macro_auc_enough": macro([v for v, _ in sure], [d for _, d in sure]),
        "by_anatomy": by_anatomy(test, calibrate, resample),
        "rows": rows,
    }


def by_anatomy(test: Mapping[str, Question], calibrate: Calibrator, resample: Resampling) -> dict[str, Any]:
    """Mean AUC of the questions within the organs of each anatomy, of those with enough scans."""
    found: dict[str, list[tuple[float, Floats]]] = {}
    for q in test.values():
        for name in np.unique(q.anatomy):
            part = q.of(q.anatomy == name)
            found.setdefault(str(name), [])
            if not enough(part.present, part.patient):
                continue
            p = calibrate(part.keys, part.scores)
            value = float(auc(p, part.present, np.ones((1, len(p))))[0])
            draws = resample(_auc_of(p, part.present), part.patient)
            found[str(name)].append((value, draws))
    return {k: macro([v for v, _ in pairs], [d for _, d in pairs]) for k, pairs in sorted(found.items())}


def calibrations(
    test: Mapping[str, Question], fitted: Mapping[str, Calibrator], resample: Resampling
) -> dict[str, dict[str, float | None]]:
    """Calibration error over all cases together, by each calibration, with its interval over patients.

    A resampled calibration error is a little larger than the true one, and so its interval lies a little high.
    """
    keys, scores, present, patient = (
        np.concatenate([getattr(q, f) for q in test.values()]) for f in ("keys", "scores", "present", "patient")
    )
    result = {}
    for name, calibrate in fitted.items():
        probability = calibrate(keys, scores)
        # per patient and bin first: all cases times all draws would not fit
        place = np.minimum((probability * 10).astype(int), 9)
        gap, size = np.zeros((len(resample.counts[0]), 10)), np.zeros((len(resample.counts[0]), 10))
        np.add.at(gap, (patient, place), probability - present)
        np.add.at(size, (patient, place), 1)
        draws = np.abs(resample.counts @ gap).sum(1) / np.maximum((resample.counts @ size).sum(1), 1)
        result[name] = _figure(calibration_error(probability, present, np.ones((1, len(present)))), draws, True)
    return result
