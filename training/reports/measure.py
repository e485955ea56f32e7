"""How well the rules read reports: ``python -m training.reports.measure FOLDER``.

FOLDER holds ``reports/mtsamples_ct.jsonl`` (sentences with organ and presence), ``reports_noncommercial/
ct_rate_labelled.csv`` (reports with CT-RATE's 18 labels) and ``vocab/openimaging_ct_findings.json`` (finding names with
synonyms); what is missing is left out. The world's wordings need no folder.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from napari_ctvlp.errors import UserError
from training.reports.ct_rate import LABELS, read_labels
from training.reports.parse import parse_report
from training.reports.words import entries

_ROUNDS = 2000


@dataclass(frozen=True)
class Score:
    """A share or F1 with its 95 % bootstrap interval, and the cases that count against it."""

    value: float
    low: float
    high: float
    misses: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def f1(true: np.ndarray, read: np.ndarray) -> float:
    """F1 of one yes-or-no question; NaN where nothing is true and nothing was read."""
    right, wrong = int((true & read).sum()), int((true ^ read).sum())
    return 2 * right / (2 * right + wrong) if right + wrong else float("nan")


def macro_f1(true: np.ndarray, read: np.ndarray) -> float:
    """Mean F1 over the columns, without those in which nothing is true and nothing was read."""
    return float(np.nanmean([f1(true[:, j], read[:, j]) for j in range(true.shape[1])]))


def interval(measure: Callable[[np.ndarray], float], n: int, misses: Sequence[str] = ()) -> Score:
    """A measure over n cases (given their row numbers) with its bootstrap interval over cases."""
    rng = np.random.default_rng(0)
    drawn = [measure(rng.integers(n, size=n)) for _ in range(_ROUNDS)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Score(measure(np.arange(n)), float(low), float(high), tuple(misses))


def labelled_sentences(path: Path) -> dict[str, Score]:
    """Organ F1 and F1 of abnormal and of normal (or denied) over the labelled sentences; cases are sentences.

    A state counts only with its organ, so an organ that is missed counts against its state as well. A doubted finding
    is an abnormal one.
    """
    wanted: dict[str, dict[str, str]] = {}
    got: dict[str, dict[str, str]] = {}
    for row in path.read_text(encoding="utf-8").splitlines():
        report = json.loads(row)
        own: dict[str, dict[str, str]] = defaultdict(dict)
        for label in report["labels"]:
            for organ in label["ts_v2_classes"]:
                _strongest(own[_plain(label["sentence"])], organ, label["presence"])
        for said in parse_report(report["text"]).statements:
            if _plain(said.sentence) in own:
                _strongest(got.setdefault(report["id"] + _plain(said.sentence), {}), said.organ, said.polarity)
        wanted |= {report["id"] + sentence: organs for sentence, organs in own.items()}
    cases = [_compared(organs, got.get(sentence, {})) for sentence, organs in wanted.items()]
    misses = [f"{s[:100]!r}: {t} read as {got.get(s, {})}" for s, t in wanted.items() if t != got.get(s, {})]

    def ratio(right: int, wrong: int) -> Callable[[np.ndarray], float]:
        table = np.asarray(cases)
        return lambda rows: float(
            2 * table[rows, right].sum() / max(1, (2 * table[rows, right] + table[rows, wrong]).sum())
        )

    both = {"abnormal F1": (2, 3), "normal F1": (4, 5)}
    scores = {"organ F1": interval(ratio(0, 1), len(cases), misses)}
    return scores | {name: interval(ratio(*columns), len(cases)) for name, columns in both.items()}


def _compared(wanted: dict[str, str], got: dict[str, str]) -> list[int]:
    """Right and wrong of the organs, of abnormal, of normal."""
    out = [len(wanted.keys() & got.keys()), len(wanted.keys() ^ got.keys())]
    for state in ("abnormal", "normal"):
        told, read = ({o for o, s in side.items() if s == state} for side in (wanted, got))
        out += [len(told & read), len(told ^ read)]
    return out


def _strongest(states: dict[str, str], organ: str, polarity: str) -> None:
    ill = polarity in ("present", "uncertain")
    if ill or organ not in states:
        states[organ] = "abnormal" if ill else "normal"


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


@dataclass(frozen=True)
class LabelScores:
    """Macro F1 of the 18 labels, and F1, truths and misses of each."""

    macro: Score
    micro: Score
    by_label: dict[str, tuple[float, int, tuple[str, ...]]]


def ct_rate_labels(path: Path, rows: slice = slice(None)) -> LabelScores:
    """CT-RATE's labels read from some rows of its reports; cases are reports."""
    with path.open(encoding="utf-8", newline="") as file:
        reports = list(csv.DictReader(file))[rows]
    names = list(LABELS)
    true = np.array([[float(r[n]) > 0.5 for n in names] for r in reports])
    read = np.array([list(read_labels(r["report_text"]).values()) for r in reports])
    by_label = {}
    for j, name in enumerate(names):
        at = np.flatnonzero(true[:, j] ^ read[:, j])
        misses = tuple(f"{'not read' if true[i, j] else 'wrongly read'} in {reports[i]['AccessionNo']}" for i in at)
        by_label[name] = (f1(true[:, j], read[:, j]), int(true[:, j].sum()), misses)
    n = len(reports)
    macro = interval(lambda i: macro_f1(true[i], read[i]), n)
    return LabelScores(macro, interval(lambda i: f1(true[i], read[i]), n), by_label)


def vocabulary(path: Path) -> Score:
    """Synonyms of CT findings that are read as an entry that the finding's name is read as, of names that are known."""
    hits: list[bool] = []
    misses: list[str] = []
    for item in json.loads(path.read_text(encoding="utf-8"))["findings"]:
        keys = _keys(item["name"])
        if not keys or "CT" not in item["tags"]:
            continue
        for synonym in item["synonyms"]:
            hits.append(bool(keys & _keys(synonym)))
            misses += [] if hits[-1] else [f"{item['name']} = {synonym}"]
    table = np.asarray(hits)
    return interval(lambda rows: float(table[rows].mean()), len(hits), misses)


def _keys(text: str) -> set[str]:
    """The entries that a text states."""
    return {s.abnormality for s in parse_report(f"{text}.").statements if s.polarity == "present" and s.abnormality}


def world_wordings(held_out: bool) -> dict[str, Score]:
    """Share of the synthetic world's abnormal wordings whose organ, state, and entry are read; misses stay unnamed."""
    rows = [_world_case(slug, text) for slug, text in _wordings(held_out)]
    table = np.asarray(rows)
    return {
        name: interval(lambda i, j=j: float(table[i, j].mean()), len(rows))  # type: ignore[misc]
        for j, name in enumerate(("organ", "abnormal", "entry"))
    }


def _wordings(held_out: bool) -> Iterator[tuple[str, str]]:
    from training.world.report.sentences import dictionary_sentences, held_out_sentences
    from training.world.report.wordings import NORMAL, PLAIN

    speak = held_out_sentences if held_out else dictionary_sentences
    for slug in PLAIN:
        if slug != NORMAL:
            for text in speak(entries()[slug].organs[0], slug):
                yield slug, text


def _world_case(slug: str, text: str) -> tuple[bool, bool, bool]:
    said = [s for s in parse_report(text).statements if s.organ == entries()[slug].organs[0]]
    ill = [s for s in said if s.polarity in ("present", "uncertain")]
    return bool(said), bool(ill), any(s.abnormality == slug for s in ill)


@dataclass(frozen=True)
class MeasureConfig:
    """What to measure."""

    data: Annotated[Path, tyro.conf.Positional]
    """Folder with reports/, reports_noncommercial/ and vocab/; any of them may be missing."""
    misses: bool = True
    """List the misses."""


def measure(config: MeasureConfig) -> None:
    """Print the scores.

    Raises
    ------
    UserError
        If there is no such folder.
    """
    if not config.data.is_dir():
        raise UserError(f"{config.data}: no such folder.")
    sentences = config.data / "reports" / "mtsamples_ct.jsonl"
    if sentences.is_file():
        print("Labelled sentences")
        for name, score in labelled_sentences(sentences).items():
            _print(name, score, config.misses)
    labelled = config.data / "reports_noncommercial" / "ct_rate_labelled.csv"
    if labelled.is_file():
        for name, rows in _HALVES.items():
            _print_labels(name, ct_rate_labels(labelled, rows), config.misses)
    names = config.data / "vocab" / "openimaging_ct_findings.json"
    if names.is_file():
        _print("Synonyms of known CT findings", vocabulary(names), config.misses)
    for kind in (False, True):
        print("Wordings of the synthetic world,", "held out" if kind else "of training")
        for name, score in world_wordings(kind).items():
            _print(name, score, False)


_HALVES = {
    "CT-RATE's 18 labels, reports 1, 3, 5, ... (rules were written on these)": slice(0, None, 2),
    "CT-RATE's 18 labels, reports 2, 4, 6, ... (never read while writing rules)": slice(1, None, 2),
    "CT-RATE's 18 labels, all reports": slice(None),
}


def _print(name: str, score: Score, misses: bool) -> None:
    print(f"  {name:34} {score}")
    for miss in score.misses if misses else ():
        print(f"      {miss}")


def _print_labels(name: str, scores: LabelScores, misses: bool) -> None:
    print(f"{name}: macro F1 {scores.macro}, micro {scores.micro}")
    for label, (value, count, missed) in scores.by_label.items():
        tail = f"  {'; '.join(missed)}" if missed and misses else ""
        print(f"  {label:34} {'  -  ' if np.isnan(value) else f'{value:.3f}'} of {count}{tail}")


def main() -> None:
    """Run from the command line."""
    try:
        measure(tyro.cli(MeasureConfig, description=__doc__))
    except UserError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
