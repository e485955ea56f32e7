"""The answers of all runs as one table with intervals.

The figure is the zero-shot AUC of an abnormality *within organs*: the share of pairs of the same organ kind, one with
the abnormality and one without, that are in the right order (a stratified Mann-Whitney statistic; van Elteren, 1960).
Organs of different kinds are never compared, so that a row gets nothing for knowing where an abnormality is frequent,
and chance is one half. Its mean over abnormalities and seeds is a row's figure. Intervals are 95 percent percentiles
over draws of test patients and of seeds with replacement; a difference of two rows is taken within each draw of
patients. All scans of a patient are drawn together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from training.engine.metrics import Floats, Resampling, auc_within, enough, percentiles

from .runs import Answers

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Figure:
    """The macro AUC of one row.

    Attributes
    ----------
    value, low, high : float
    seeds : tuple of float
        The figure of each seed alone.
    draws : (rounds,) float
        Draws of patients and seeds.
    by_abnormality : dict
        Mean over seeds of each abnormality.
    """

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]
    draws: Floats
    by_abnormality: Mapping[str, float]


def judged(answers: Answers, patients: Numbers) -> dict[str, Numbers]:
    """Rows of each abnormality that enough patients have, and lack, to say something."""
    of = np.array([key.split("/")[1] for key in answers.keys])[answers.key]
    found = {str(name): np.flatnonzero(of == name) for name in np.unique(of)}
    return {name: rows for name, rows in found.items() if enough(answers.present[rows], patients[answers.scan[rows]])}


def figure(runs: Sequence[Answers], patients: Numbers, rounds: int, seed: int = 0) -> Figure:
    """The figure of a row from its runs, one a seed; the draws of patients are the same for every row.

    Parameters
    ----------
    runs : sequence of Answers
    patients : (scans,) int64
        Number of the patient of each test scan, from 0 on.
    rounds, seed : int
        How many draws, and from what.

    Raises
    ------
    UserError
        When the test patients are too few to judge any abnormality.
    """
    resample = Resampling(int(patients.max(initial=-1)) + 1, rounds, seed)
    values: list[dict[str, float]] = []
    draws: list[Floats] = []
    for run in runs:
        rows_of = judged(run, patients)
        own, drawn = {}, []
        for name, rows in rows_of.items():
            measure = partial(auc_within, run.scores[rows], run.present[rows], run.key[rows])
            own[name] = float(measure(np.ones((1, len(rows))))[0])
            drawn.append(resample(measure, patients[run.scan[rows]]))
        if not own:
            raise UserError("No abnormality is in enough test patients, and absent from enough, to be judged.")
        values.append(own)
        draws.append(np.nanmean(np.array(drawn), axis=0))
    picks = np.random.default_rng(seed + 1).integers(len(runs), size=(len(runs), rounds))
    drawn_means = np.array(draws)[picks, np.arange(rounds)].mean(axis=0)
    per_seed = tuple(float(np.mean(list(own.values()))) for own in values)
    low, high = percentiles(drawn_means)
    means = {name: float(np.mean([own[name] for own in values])) for name in values[0]}
    return Figure(float(np.mean(per_seed)), low, high, per_seed, drawn_means, means)


def difference(one: Figure, other: Figure) -> dict[str, float]:
    """By how much one row is above another."""
    low, high = percentiles(one.draws - other.draws)
    return {"value": one.value - other.value, "low": low, "high": high}


def entry(title: str, found: Figure, runs: Sequence[Answers], against: Mapping[str, Figure]) -> dict[str, Any]:
    """One row for JSON; ``against`` are the rows that it is compared with."""
    accuracies = [run.about["organ_accuracy"] for run in runs if "organ_accuracy" in run.about]
    digits = 4
    return {
        "title": title,
        "macro_auc": {k: round(getattr(found, k), digits) for k in ("value", "low", "high")},
        "seeds": [round(v, digits) for v in found.seeds],
        "abnormalities": len(found.by_abnormality),
        "organ_accuracy": round(float(np.mean(accuracies)), digits) if accuracies else None,
        "seconds": round(float(np.mean([run.about["seconds"] for run in runs])), 1),
        "parameters": runs[0].about["parameters"],
        "above": {n: {k: round(v, digits) for k, v in difference(found, o).items()} for n, o in against.items()},
        "by_abnormality": {name: round(v, digits) for name, v in sorted(found.by_abnormality.items())},
    }


def _spread(value: Mapping[str, float], sign: str = "") -> str:
    return f"{value['value']:{sign}.3f} ({value['low']:{sign}.3f} to {value['high']:{sign}.3f})"


def as_markdown(result: Mapping[str, Any]) -> str:
    """The table, with what it rests on."""
    references = result["references"]
    head = ["row", "macro AUC (95 %)", "by seed", *(f"above {name}" for name in references), "organs by sight"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, row in result["rows"].items():
        organs = "" if row["organ_accuracy"] is None else f"{row['organ_accuracy']:.2f}"
        above = [_spread(row["above"][r], "+") if r in row["above"] and r != name else "" for r in references]
        seeds = " ".join(f"{v:.3f}" for v in row["seeds"])
        lines.append(f"| {' | '.join([row['title'], _spread(row['macro_auc']), seeds, *above, organs])} |")
    return "\n".join([*lines, "", result["said"]])
