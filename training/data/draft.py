"""A first manifest from a folder tree: CT-RATE's and Merlin's layouts by name, others by what lies beside what."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.nifti import is_nifti_name, stem

from .manifest import split_of
from .pairing import MASK_FOLDERS, MASK_NAME, Pairing, below, name_of
from .prepared import write_bytes

Row = dict[str, str]

_CT_RATE = re.compile(r"((?:train|valid)_\d+)_[a-z]+_\d+")


def draft_manifest(tree: Path, manifest: Path) -> str:
    """Write a manifest for the studies found below a folder.

    Returns
    -------
    str
        What was found, in words.

    Raises
    ------
    UserError
        If there is nothing, or the manifest is there already.
    """
    if not tree.is_dir():
        raise UserError(f"{tree.name}: there is no such folder.")
    if manifest.exists():
        raise UserError(f"{manifest.name}: is there already; name another file to draft into.")
    if manifest.suffix.lower() not in (".csv", ".jsonl"):
        raise UserError(f"{manifest.name}: a manifest is drafted as .csv or .jsonl.")
    layout, rows, unsure = _rows(tree)
    if not rows:
        raise UserError(f"{tree.name}: holds no .nii, .nii.gz or DICOM scans.")
    base = manifest.absolute().parent
    for row in rows:
        for key in ("image", "masks"):
            row[key] = _relative(row[key], base)
    try:
        base.mkdir(parents=True, exist_ok=True)
        write_bytes(manifest, _as_text(rows, manifest.suffix.lower()).encode())
    except OSError as error:
        raise UserError(f"'{manifest}' cannot be written ({error.strerror or error}): draft it elsewhere.") from error
    without = {w: sum(not r[k] for r in rows) for k, w in (("masks", "masks"), ("report", "a report"))}
    told = {"masks": f" ({unsure} of them beside several that may be theirs)" if unsure else ""}
    lacks = "".join(f", {n} without {what}{told.get(what, '')}" for what, n in without.items() if n)
    return f"{len(rows)} studies of {len({r['patient'] for r in rows})} patients ({layout}{lacks})"


def _rows(tree: Path) -> tuple[str, list[Row], int]:
    """The layout in words, the studies, and how many have no masks because several may be theirs."""
    files = sorted(p for p in tree.rglob("*") if p.is_file() and not p.name.startswith("."))
    volumes = [p for p in files if is_nifti_name(p)]
    if any(_CT_RATE.fullmatch(stem(p)) for p in volumes):
        return "CT-RATE's layout", _ct_rate(tree, files, volumes), 0
    home = tree.absolute().name == "merlin_data"
    if home or any(p.name.startswith("reports_final.") or below(p, tree, "merlin_data") for p in files):
        return "Merlin's layout", _merlin(tree, files, volumes), 0
    pairing = Pairing(tree, volumes)
    return "no known layout", list(_any_tree(pairing)), len(pairing.unsure)


def _ct_rate(tree: Path, files: Sequence[Path], volumes: Sequence[Path]) -> list[Row]:
    """CT-RATE: TRAIN/patient/scan/volume.nii.gz, masks alike under ts_seg/ts_total, reports and labels as tables.

    Its validation set is what everyone tests on, so it becomes "test"; a tenth of the training patients validates.
    The corrected volumes (train_fixed) come before the raw ones, whose HU and spacing stand in a table alone.
    """
    masks: dict[str, Path] = {}
    images: dict[str, Path] = {}
    for path in volumes:
        name = stem(path)
        if not _CT_RATE.fullmatch(name):
            continue
        if below(path, tree, "ts_seg", *MASK_FOLDERS):
            if name not in masks or below(path, tree, "ts_total"):
                masks[name] = path
        elif name not in images or any(part.endswith("_fixed") for part in path.relative_to(tree).parts):
            images[name] = path
    reports = _tables(files, re.compile(r".*reports\.csv"), "volumename")
    labels = _tables(files, re.compile(r".*predicted_labels\.csv"), "volumename")
    rows = []
    for name, image in sorted(images.items()):
        patient = _CT_RATE.fullmatch(name)[1]  # type: ignore[index]
        said = reports.get(name, {})
        text = [
            f"{t}: {said[c]}" for t, c in (("FINDINGS", "findings_en"), ("IMPRESSION", "impressions_en")) if said.get(c)
        ]
        split = "test" if name.startswith("valid") else split_of(patient, (0.9, 0.1, 0.0))
        row = _row(name, patient, image, masks.get(name), "\n".join(text), split)
        rows.append(row | {f"label:{k}": v for k, v in labels.get(name, {}).items() if k != "volumename"})
    return rows


def _merlin(tree: Path, files: Sequence[Path], volumes: Sequence[Path]) -> list[Row]:
    """Merlin: merlin_data/study.nii.gz, reports_final.xlsx, zero_shot_findings_disease_cls.csv; masks are one's own."""
    reports = _tables(files, re.compile(r"reports_final\.(?:csv|xlsx)"), "study id")
    labels = _tables(files, re.compile(r"zero_shot_findings_disease_cls\.csv"), "study id")
    images = {stem(p): p for p in volumes if not below(p, tree, *MASK_FOLDERS) and not MASK_NAME.search(stem(p))}
    masks = {stem(p): p for p in volumes if p not in set(images.values())}
    masks |= {p.parent.name: p.parent for p in volumes if p.parent.name in images and p != images[p.parent.name]}
    rows = []
    for name, image in sorted(images.items()):
        said = reports.get(name, {})
        text = "\n".join(said[c] for c in ("findings", "impressions", "impression") if said.get(c))
        split = {"val": "validation", "valid": "validation"}.get(said.get("split", "").lower(), said.get("split", ""))
        row = _row(name, name, image, masks.get(name), text, split.lower())
        rows.append(row | {f"label:{k}": v for k, v in labels.get(name, {}).items() if k not in ("study id", "")})
    return rows


def _any_tree(pairing: Pairing) -> Iterator[Row]:
    """Scans with masks beside them: CASE/ct.nii.gz with CASE/segmentations, or images/CASE with masks/CASE."""
    for image, masks in pairing.masks.items():
        place = image.relative_to(pairing.tree)
        alone = pairing.alone(image) and image.parent != pairing.tree
        parts = place.parent.parts if alone else (*place.parent.parts, name_of(image))
        parts = tuple(p for p in parts if p.lower() not in ("images", "imagestr", "ct", "dicom")) or (name_of(image),)
        yield _row("_".join(parts), parts[0], image, masks, _report_beside(image), "")


def _report_beside(image: Path) -> str:
    name = name_of(image)
    places = [image.parent / f"{name}.txt", image.parent / "report.txt"]
    places += [image.parent.parent / "reports" / f"{n}.txt" for n in (name, image.parent.name)]
    found = next((p for p in places if p.is_file()), None)
    return found.read_text(encoding="utf-8", errors="replace").strip() if found else ""


def _row(study: str, patient: str, image: Path, masks: Path | None, report: str, split: str) -> Row:
    return {
        "study": study,
        "patient": patient,
        "image": str(image),
        "masks": str(masks or ""),
        "report": report,
        "split": split,
    }


def _tables(files: Sequence[Path], name: re.Pattern[str], key: str) -> dict[str, Row]:
    """Rows of all tables of a name by study; a CSV comes before an .xlsx."""
    found: dict[str, Row] = {}
    for path in sorted((p for p in files if name.fullmatch(p.name)), key=lambda p: p.suffix):
        for row in _table(path):
            row = {(k if k.strip().lower() not in _PLAIN else k.strip().lower()): v for k, v in row.items()}
            who = row.get(key, next(iter(row.values()), ""))
            found.setdefault(re.sub(r"\.nii(\.gz)?$", "", who), row)
    return found


_PLAIN = ("volumename", "study id", "findings", "impressions", "impression", "split", "findings_en", "impressions_en")


def _table(path: Path) -> list[Row]:
    if path.suffix == ".xlsx":
        try:
            import pandas

            frame = pandas.read_excel(path, dtype=str)
        except ImportError as error:
            raise UserError(
                f"{path.name}: reading it needs openpyxl (pip install openpyxl); or save it as {path.stem}.csv."
            ) from error
        return [{str(k): "" if v != v else str(v) for k, v in r.items()} for r in frame.to_dict("records")]
    with path.open(newline="", encoding="utf-8-sig") as handle:
        return [{k: v or "" for k, v in row.items() if k is not None} for row in csv.DictReader(handle)]


def _relative(path: str, base: Path) -> str:
    if not path:
        return ""
    try:
        return Path(os.path.relpath(Path(path).absolute(), base)).as_posix()
    except ValueError:  # another drive
        return str(Path(path).absolute())


def _as_text(rows: Sequence[Mapping[str, Any]], suffix: str) -> str:
    if suffix == ".jsonl":
        return "".join(json.dumps({k: v for k, v in row.items() if v}, ensure_ascii=False) + "\n" for row in rows)
    columns = list(dict.fromkeys(k for row in rows for k in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
