"""What the commands without a window take."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import tyro

from napari_ctvlp.errors import UserError


def check_word(word: str | Path | None, commands: Collection[str]) -> None:
    """Make sure that a word which is no command is a file or a folder; options are none of its business.

    Raises
    ------
    UserError
        When it is neither; names the command that was probably meant.
    """
    if word is None or str(word).startswith("-") or Path(word).exists():
        return
    if alike := get_close_matches(str(word), commands, n=1):
        raise UserError(f"'{word}' is neither a command nor a file; did you mean {alike[0]}?")
    raise UserError(f"'{word}' is neither a file or folder nor a command; napari-ctvlp --help lists the commands.")


@dataclass(frozen=True)
class Inputs:
    """What every command reads."""

    scan: Annotated[Path | None, tyro.conf.Positional] = None
    """NIfTI, NRRD or MetaImage file, DICOM folder or one DICOM file; or a folder with a scan and its masks."""
    masks: Path | None = None
    """File with all organs (NIfTI, NRRD, MetaImage, DICOM SEG, RTSTRUCT), or folder of one-organ masks."""
    series: str | None = None
    """Which series of a DICOM folder that holds several."""
    sample: bool = False
    """Use the built-in synthetic scan with its masks."""


@dataclass(frozen=True)
class StatsArgs(Inputs):
    """Volume, mean and spread of HU, place and "cut by field of view" of every organ; needs no encoder."""

    csv: Path | None = None
    """Write one row per organ as CSV."""
    json: Path | None = None
    """Write the same as JSON."""


@dataclass(frozen=True)
class ReportArgs(Inputs):
    """Write one page (HTML or PDF): answers with pictures of key slices, findings, audit, statistics, provenance."""

    ask: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default=())
    """Question; repeat the option for more."""
    ask_file: Path | None = None
    """Text file with one question a line."""
    encoder: str = "starter"
    """Name of an encoder (`napari-ctvlp encoders` lists them), or folder of one."""
    taught: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = field(default=())
    """File of findings taught by examples, to score too; repeat the option for more."""
    by_sight: bool = False
    """Rank by what the encoder sees alone: the names of organs do not count."""
    html: Path | None = None
    """Where to write the page, one file that needs no other; "report.html" where neither this nor --pdf is given."""
    pdf: Path | None = None
    """Where to write it for print; needs Qt, no screen."""


@dataclass(frozen=True)
class ExportArgs(Inputs):
    """Write organ masks and maps on the grid of the scan's own file, masks as DICOM SEG, and the encoder's input."""

    nifti: Path | None = None
    """Write the masks as one label file (.nii or .nii.gz) with the organs' names in it."""
    seg: Path | None = None
    """Write the masks as DICOM SEG; the scan must be DICOM."""
    keep_patient: bool = False
    """Copy the patient's name, number and dates into the DICOM SEG, as an archive needs them."""
    map: Path | None = None
    """Write the scores of a question as a map (.nii or .nii.gz): every organ holds its own."""
    similarity: Path | None = None
    """Write where in the matching organs the answer lies as a map (.nii or .nii.gz), as the window draws it."""
    ask: str | None = None
    """The question for --map and --similarity."""
    by_sight: bool = False
    """Rank by what the encoder sees alone: the names of organs do not count."""
    input: Path | None = None
    """Write what the encoder is fed, on its own grid: one file (.nii or .nii.gz) for each of its windows of HU."""
    encoder: str = "starter"
    """Name of an encoder (`napari-ctvlp encoders` lists them), or folder of one."""


@dataclass(frozen=True)
class FollowUpArgs(Inputs):
    """Compare a scan with a prior of the same patient: volume, HU, findings and embedding of every organ."""

    prior: Path | None = None
    """The prior: as SCAN; or a folder with a scan and its masks."""
    prior_masks: Path | None = None
    """Its masks: as --masks."""
    prior_series: str | None = None
    """Which series of the prior's DICOM folder that holds several."""
    encoder: str = "starter"
    """Name of an encoder (`napari-ctvlp encoders` lists them), or folder of one."""
    taught: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = field(default=())
    """File of findings taught by examples, to score too; repeat the option for more."""
    any_patient: bool = False
    """Compare also where the patient numbers differ (pseudonyms often do)."""
    csv: Path | None = None
    """Write one row per organ as CSV, the most changed first; printed without."""


@dataclass(frozen=True)
class SegmentArgs:
    """Make organ masks with TotalSegmentator (installed apart, with its weights; nothing is downloaded)."""

    scan: Annotated[Path, tyro.conf.Positional]
    """NIfTI, NRRD or MetaImage file, DICOM folder or one DICOM file."""
    out: Path
    """Write the masks as one label file (.nii or .nii.gz) on the grid of the scan's file."""
    fast: bool = False
    """Use the 3 mm model."""
    device: Literal["auto", "gpu", "mps", "cpu"] = "auto"
    """Where to run; the fastest there is by default."""
    series: str | None = None
    """Which series of a DICOM folder that holds several."""


@dataclass(frozen=True)
class DictionaryArgs:
    """Show which abnormality dictionary is in use, make a copy to edit, or check one."""

    copy: bool = False
    """Make an editable copy in your config folder; from then on it is the one in use."""
    check: Path | None = None
    """Check this file and say what is wrong in which line."""
