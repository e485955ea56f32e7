"""Which encoders there are, what each is, where it lies; nothing here imports torch.

Three sources: built in (the shipped ``starter`` and published encoders), artifact folders in the user's folder of
encoders, and Python entry points of the group ``napari_ctvlp.encoders``, each of which names an `EncoderEntry`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from .contract import ScanEncoder

logger = logging.getLogger(__name__)

GROUP = "napari_ctvlp.encoders"
"""Entry point group of encoders that other packages bring."""
PLACE = "CTVLP_ENCODERS"
"""Environment variable with the folder of encoders; the user's data folder without it."""
SHIPPED = Path(__file__).parent / "weights"
MARK = "encoder.json"
"""In the folder of an encoder that was installed: which adapter reads it, where it came from, digests of its files."""
NATIVE = "native"
"""The adapter of encoders of this project."""
WHOLE = ("config.json", "model.safetensors")
"""What makes a folder an encoder of this project."""

Region = Literal["chest", "abdomen", "body"]
Load = Callable[[Path, str | None], "ScanEncoder"]
Take = Callable[[Path, Path, bool], None]


@dataclass(frozen=True)
class RemoteFile:
    """One file of an encoder on the model hub.

    ``sha256`` is its digest where it is known beforehand, else the hub's own word is taken; ``name`` is what the file
    is called in the encoder's folder; ``size_mb`` is about what it weighs.
    """

    repo: str
    path: str
    name: str
    size_mb: float
    revision: str = "main"
    sha256: str = ""


@dataclass(frozen=True)
class EncoderEntry:
    """What is known of an encoder before it is loaded.

    Attributes
    ----------
    name : str
        What it is called in commands and in the window.
    licence : str
        A badge: "MIT", "CC BY-NC-SA 4.0", "unstated".
    trained_on, summary : str
        One phrase and one sentence.
    region : {"chest", "abdomen", "body"}
        What part of the body it was trained on.
    load : callable of (folder, device) to ScanEncoder
        May take its time and import what it needs; called only when the encoder was chosen.
    terms : str
        What the user is told, and says yes to, before the first download.
    files : tuple of RemoteFile
        What a download brings.
    supplied : tuple of str
        File names in its folder that only the user can bring, any one of which is enough.
    supplied_mb : float
        About what those weigh.
    how : str
        How to get those.
    take : callable of (checkpoint, folder, unpickle), optional
        Checks a file that the user brought and writes it into the folder.
    requires : tuple of str
        Modules beyond this package's own dependencies.
    install : str
        Command that brings those.
    memory : str
        What one scan takes.
    source : str
        "built in", "folder" or "package NAME".
    folder : Path or None
        Where it lies; None for its own folder in the user's folder of encoders.
    needs : tuple of str
        File names without which its folder is not whole, beside those of ``files``.
    origin : str
        "owner/name" on the hub that it was installed from, for an encoder of this project.
    """

    name: str
    licence: str
    trained_on: str
    summary: str
    region: Region
    load: Load
    terms: str = ""
    files: tuple[RemoteFile, ...] = ()
    supplied: tuple[str, ...] = ()
    supplied_mb: float = 0.0
    how: str = ""
    take: Take | None = None
    requires: tuple[str, ...] = ()
    install: str = ""
    memory: str = ""
    source: str = "built in"
    folder: Path | None = None
    needs: tuple[str, ...] = ()
    origin: str = ""

    @property
    def place(self) -> Path:
        """The folder of its files, whether they are there or not."""
        return self.folder or encoders_folder() / self.name

    @property
    def size_mb(self) -> float:
        """What its files weigh on disk; about what they will weigh where they are not all there."""
        found = sum(p.stat().st_size for p in self.place.rglob("*") if p.is_file()) if self.place.is_dir() else 0
        if found and not self.missing():
            return found / 1e6
        return sum(f.size_mb for f in self.files) + self.supplied_mb

    def missing(self) -> tuple[str, ...]:
        """What stands between the user and this encoder: one sentence each, with the command that helps."""
        told = []
        absent = [module for module in self.requires if not _importable(module)]
        if absent:
            told.append(f"The Python package {' and '.join(absent)} is not installed: {self.install}")
        if absent := [f.name for f in self.files if not (self.place / f.name).is_file()]:
            told.append(f"Not downloaded yet: {', '.join(absent)}; napari-ctvlp install {self.name}")
        if lacking := [name for name in self.needs if not (self.place / name).is_file()]:
            remedy = f"napari-ctvlp install {self.origin}" if self.origin else "copy or train it again"
            told.append(f"Its folder lacks {', '.join(lacking)}: {remedy}")
        if self.supplied and not any((self.place / name).is_file() for name in self.supplied):
            names = " or ".join(self.supplied)
            told.append(f"Its weights ({names}) are not there, and only you can bring them: {self.how}")
        return tuple(told)


def encoders_folder() -> Path:
    """Folder in which encoders of the user lie, one folder each; it may not exist yet."""
    if os.environ.get(PLACE):
        return Path(os.environ[PLACE])
    from platformdirs import user_data_path

    return user_data_path("napari-ctvlp", appauthor=False) / "encoders"


def list_entries() -> dict[str, EncoderEntry]:
    """Every encoder that is known here by name, usable or not: shipped, published, the user's folders, entry points.

    An entry point that cannot be read, or that takes a name that is taken, is left out and logged.
    """
    from .published.entries import PUBLISHED

    entries = {p.name: native_entry(p, "built in") for p in _folders(SHIPPED) if (p / "config.json").is_file()}
    entries |= {entry.name: entry for entry in PUBLISHED}
    for folder in _folders(encoders_folder()):
        if folder.name not in entries and ((folder / "config.json").is_file() or origin_of(folder)):
            entries[folder.name] = native_entry(folder, "folder")
    for point in metadata.entry_points(group=GROUP):
        package = point.dist.name if point.dist else point.value
        try:
            entry = point.load()
            if not isinstance(entry, EncoderEntry):
                raise TypeError(f"{point.value} is no EncoderEntry")
            if entry.name in entries:
                raise ValueError(f"the name {entry.name} is taken")
        except Exception as error:  # a stranger's module may raise anything, and must not take the others along
            logger.warning("The encoder '%s' of the package %s is left out: %s.", point.name, package, error)
            continue
        entries[entry.name] = replace(entry, source=f"package {package}")
    return entries


def native_entry(folder: Path, source: str) -> EncoderEntry:
    """Describe an encoder of this project by its ``config.json``, and by what installing it wrote down."""
    mark = _mark_of(folder)
    try:
        said = json.loads((folder / "config.json").read_text(encoding="utf-8"))["provenance"]
        said = {key: str(said.get(key, "")) for key in ("licence", "trained_on", "summary")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        why = "damaged" if (folder / "config.json").is_file() else "not there"
        said = {"licence": "unstated", "trained_on": "unknown", "summary": f"Its config.json is {why}."}

    def load(place: Path, device: str | None) -> ScanEncoder:
        from .native import NativeEncoder

        return NativeEncoder.from_pretrained(place, device=device)

    files = mark.get("files")
    needs = tuple(dict.fromkeys((*WHOLE, *(files if isinstance(files, dict) else ()))))
    origin = origin_of(folder)
    return EncoderEntry(
        folder.name, region="body", load=load, source=source, folder=folder, needs=needs, origin=origin, **said
    )


def origin_of(folder: Path) -> str:
    """The "owner/name" on the hub that an encoder of this project was installed from; "" for any other folder."""
    mark = _mark_of(folder)
    return str(mark.get("source", "")) if mark.get("adapter") == NATIVE else ""


def _mark_of(folder: Path) -> dict[str, object]:
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}


def entry_at(path: Path) -> EncoderEntry | None:
    """The entry of a folder that an encoder was installed into, wherever it lies; None where it is none."""
    if not (path / MARK).is_file():
        return None
    if _mark_of(path).get("adapter") == NATIVE:
        return native_entry(path, "folder")
    from .published.entries import PUBLISHED

    try:
        adapter = json.loads((path / MARK).read_text(encoding="utf-8"))["adapter"]
        entry = next(entry for entry in PUBLISHED if entry.name == adapter)
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise UserError(f"'{MARK}' in '{path.name}' does not name an adapter of this version.") from error
    return replace(entry, folder=path)


def _folders(place: Path) -> list[Path]:
    return sorted(p for p in place.iterdir() if p.is_dir()) if place.is_dir() else []


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
