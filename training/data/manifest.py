"""The manifest: one row a study, as CSV, JSON Lines or Parquet, that any lab can write.

Columns: ``study`` (the lab's own pseudonym), ``image`` (NIfTI file or DICOM folder) and ``masks`` (multi-label file or
folder) must be there; ``patient``, ``series`` (of a DICOM folder), ``report`` or ``findings`` and ``impression``,
``split`` and any number of ``label:NAME`` columns (1 present, 0 absent, empty or -1 not known) may be. JSON Lines may
hold ``labels`` as an object instead. Relative paths start at the manifest's folder.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_ctvlp.errors import UserError

from .seeding import derived_seed

SPLITS = ("train", "validation", "test")
_ALIASES = {
    "study_id": "study",
    "patient_id": "patient",
    "impressions": "impression",
    "segmentation": "masks",
    "mask": "masks",
}
_SPLIT_ALIASES = {"val": "validation", "valid": "validation", "dev": "validation", "training": "train"}
_NEEDED = ("study", "image", "masks")


@dataclass(frozen=True)
class Study:
    """One row of a manifest.

    Attributes
    ----------
    line : int
        Where the row begins in the manifest.
    study, patient : str
        Pseudonyms; a study without a patient is its own.
    image, masks : Path
    series : str
        Number of the series in a DICOM folder, or "".
    report : str
        The whole text; findings and impression apart become one text with headings.
    split : str
        One of ``SPLITS``, or "" where the manifest does not say.
    labels : mapping of str to int
        1 or 0; what is not known is left out.
    """

    line: int
    study: str
    patient: str
    image: Path
    masks: Path
    series: str = ""
    report: str = ""
    split: str = ""
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """Why a study was left out (``left_out``), or what has to be known of one that was not; ``warning``: and may be
    wrong."""

    study: str
    line: int
    reason: str
    left_out: bool = True
    warning: bool = False

    @property
    def severity(self) -> str:
        """In the table of problems."""
        return "left out" if self.left_out else "warning" if self.warning else "note"


@dataclass(frozen=True)
class Manifest:
    """The studies that can be tried, and the rows that cannot."""

    studies: tuple[Study, ...]
    problems: tuple[Problem, ...]


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    UserError
        If the file as a whole cannot be read. A bad row becomes a :class:`Problem` with its line number instead.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path.name}: there is no such manifest.")
    kinds = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows, ".parquet": _parquet_rows}
    reader = kinds.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path.name}: a manifest is a .csv, .jsonl or .parquet file.")
    studies: list[Study] = []
    problems: list[Problem] = []
    try:
        for line, row in reader(path):
            found = row if isinstance(row, Problem) else _study(row, line, path.parent)
            (problems if isinstance(found, Problem) else studies).append(found)  # type: ignore[arg-type]
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name}: is not UTF-8 text; save the manifest as UTF-8.") from error
    if not studies and not problems:
        raise UserError(f"{path.name}: holds no studies.")
    kept, doubled = _without_doubles(studies)
    whole, leaking = _without_leaks(kept)
    return Manifest(tuple(whole), (*problems, *doubled, *leaking))


def split_of(patient: str, shares: tuple[float, float, float], seed: int = 0) -> str:
    """The split of a patient: a pure function of its arguments, so that new studies never move old ones."""
    place = derived_seed(seed, "split", patient) / 2**63 * sum(shares)
    return SPLITS[0] if place < shares[0] else SPLITS[1] if place < shares[0] + shares[1] else SPLITS[2]


Row = Iterator[tuple[int, "Mapping[str, Any] | Problem"]]


def _csv_rows(path: Path) -> Row:
    with path.open(newline="", encoding="utf-8-sig") as handle:
        reader = csv.reader(handle)
        try:
            header = [_column(name) for name in next(reader, [])]
            _check_columns(header, path.name)
            line = reader.line_num + 1
            for cells in reader:
                at, line = line, reader.line_num + 1
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    yield at, Problem("", at, f"line {at}: {len(cells)} cells where the header has {len(header)}.")
                else:
                    yield at, dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise UserError(f"{path.name}, line {reader.line_num}: is no CSV ({error}).") from error


def _json_rows(path: Path) -> Row:
    with path.open(encoding="utf-8-sig") as handle:
        for line, text in enumerate(handle, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                yield line, Problem("", line, f"line {line}: is no JSON ({error.msg} at column {error.colno}).")
                continue
            if isinstance(row, dict):
                yield line, {_column(key): value for key, value in row.items()}
            else:
                yield line, Problem("", line, f"line {line}: is no JSON object.")


def _parquet_rows(path: Path) -> Row:
    try:
        import pandas
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{path.name}: reading Parquet needs pandas and pyarrow (pip install pandas pyarrow); or save it as CSV."
        ) from error
    try:
        frame = pandas.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name}: is no Parquet file that can be read.") from error
    frame.columns = [_column(str(name)) for name in frame.columns]
    _check_columns(frame.columns, path.name)
    for line, row in enumerate(frame.to_dict("records"), 1):  # rows have no lines: counted from 1
        yield line, {k: None if v is None or v != v else v for k, v in row.items()}


def _column(name: str) -> str:
    plain = name.strip()
    if plain.lower().startswith("label:"):
        return f"label:{plain[6:].strip()}"
    return _ALIASES.get(plain.lower(), plain.lower())


def _check_columns(columns: Iterable[str], name: str) -> None:
    columns = list(columns)
    missing = [c for c in _NEEDED if c not in columns]
    if missing:
        raise UserError(f"{name}, line 1: lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}.")
    doubled = sorted({c for c in columns if columns.count(c) > 1})
    if doubled:
        raise UserError(f"{name}, line 1: has two columns {doubled[0]}.")


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value).strip()


def _study(row: Mapping[str, Any], line: int, folder: Path) -> Study | Problem:
    name = _text(row, "study")
    for key in _NEEDED:
        if not _text(row, key):
            return Problem(name, line, f"line {line}: has no {key}.")
    split = _text(row, "split").lower()
    split = _SPLIT_ALIASES.get(split, split)
    if split and split not in SPLITS:
        return Problem(name, line, f"line {line}: the split '{split}' is none of {', '.join(SPLITS)}.")
    try:
        labels = _labels(row)
    except ValueError as error:
        return Problem(name, line, f"line {line}: {error}.")
    report = _text(row, "report")
    if not report:
        parts = [(title, _text(row, title)) for title in ("findings", "impression")]
        report = "\n".join(f"{title.upper()}: {text}" for title, text in parts if text)
    return Study(
        line=line,
        study=name,
        patient=_text(row, "patient") or name,
        image=folder / _text(row, "image"),
        masks=folder / _text(row, "masks"),
        series=_text(row, "series"),
        report=report,
        split=split,
        labels=labels,
    )


def _labels(row: Mapping[str, Any]) -> dict[str, int]:
    """Labels from ``label:`` columns or a ``labels`` object; ValueError names what is no label."""
    inner = row.get("labels")
    if isinstance(inner, str) and inner.strip():
        inner = json.loads(inner)  # a JSON object in a cell; its error is a ValueError
    if inner and not isinstance(inner, dict):
        raise ValueError("labels is no object of name: 0 or 1")
    given = dict(inner or {}) | {k[6:]: v for k, v in row.items() if k.startswith("label:")}
    labels = {}
    for key, value in given.items():
        text = "" if value is None else str(value).strip()
        try:
            number = float(text) if text else -1.0
        except ValueError:
            number = 2.0
        if number not in (-1.0, 0.0, 1.0):
            raise ValueError(f"the label '{key}' is '{text}', neither 0, 1, -1 nor empty")
        if number >= 0:
            labels[key] = int(number)
    return labels


def _without_doubles(studies: list[Study]) -> tuple[list[Study], list[Problem]]:
    first: dict[str, Study] = {}
    problems = []
    for study in studies:
        if study.study in first:
            at = first[study.study].line
            problems.append(
                Problem(study.study, study.line, f"line {study.line}: this study stands on line {at} already.")
            )
        else:
            first[study.study] = study
    return list(first.values()), problems


def _without_leaks(studies: list[Study]) -> tuple[list[Study], list[Problem]]:
    """Studies whose patient is in one split; a split that is given for one of a patient's studies holds for all."""
    given: dict[str, dict[str, int]] = {}
    for study in studies:
        if study.split:
            given.setdefault(study.patient, {}).setdefault(study.split, study.line)
    kept, problems = [], []
    for study in studies:
        splits = given.get(study.patient, {})
        if len(splits) > 1:
            where = " and ".join(f"{split} (line {line})" for split, line in splits.items())
            problems.append(Problem(study.study, study.line, f"line {study.line}: its patient is in {where}."))
        else:
            kept.append(study if study.split or not splits else replace(study, split=next(iter(splits))))
    return kept, problems
