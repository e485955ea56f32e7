"""Bringing an encoder here: what a download would bring, the user's yes, the files, what only the user can bring."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from napari_ctvlp.atomic import write_bytes
from napari_ctvlp.errors import UserError

from .download import TIMEOUT, DownloadCancelled, download
from .registry import (
    MARK,
    NATIVE,
    WHOLE,
    EncoderEntry,
    RemoteFile,
    encoders_folder,
    list_entries,
    native_entry,
    origin_of,
)

_SAFE = (".json", ".safetensors", ".txt", ".md")
"""Endings of the files of an encoder of ours; nothing else is fetched, pickles least of all."""


@dataclass(frozen=True)
class Offer:
    """What a download would bring, for the user to say yes or no to."""

    entry: EncoderEntry
    files: tuple[RemoteFile, ...]

    @property
    def size_mb(self) -> float:
        """What is to come, about."""
        return sum(f.size_mb for f in self.files)

    @property
    def size(self) -> str:
        """The same in words."""
        return f"about {self.size_mb:,.0f} MB" if self.size_mb >= 1 else "less than 1 MB"

    def __str__(self) -> str:
        sources = ", ".join(dict.fromkeys(f.repo for f in self.files))
        return (
            f"{self.entry.terms}\n"
            f"{len(self.files)} file(s), {self.size}, "
            f"from the model hub ({sources}) to {self.entry.place}"
        )


def offer(name: str, *, endpoint: str | None = None) -> Offer:
    """What installing an encoder would download; an "owner/name" asks the hub for an encoder of ours.

    Raises
    ------
    UserError
        When there is no such encoder, its name is taken here, or the hub cannot be reached.
    """
    entry = list_entries().get(name)
    if entry is not None and entry.origin and entry.missing():
        entry = _of_hub(entry.origin, endpoint)
    if entry is None and name.count("/") == 1 and not Path(name).exists():
        entry = _of_hub(name, endpoint)
    if entry is None:
        known = ", ".join(list_entries())
        raise UserError(f"There is no encoder '{name}': known are {known}, or owner/name on the hub.")
    return Offer(entry, tuple(f for f in entry.files if not (entry.place / f.name).is_file()))


def fetch(
    what: Offer,
    *,
    agreed: bool,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    endpoint: str | None = None,
) -> None:
    """Download what an offer holds; a file that is here already is not fetched again.

    Parameters
    ----------
    what : Offer
    agreed : bool
        Whether the user read the terms and said yes.
    progress : callable, optional
        Called with 0..1 over all files, by size.
    cancelled : callable, optional
        May turn true at any time.
    endpoint : str, optional
        Address of another hub.

    Raises
    ------
    UserError
        Without the user's yes, and as `napari_ctvlp.encoder.download.download` does.
    DownloadCancelled
        When ``cancelled()`` turns true.
    """
    if what.files and not agreed:
        raise UserError(f"{what.entry.name} is downloaded only with your yes to its terms.")
    done = 0.0
    digests: dict[str, str] = {}
    if what.files and what.entry.origin:
        # before the first file comes: whose folder this is must be known when the download ends early
        _mark(what.entry, dict.fromkeys((f.name for f in what.entry.files), ""))
    for file in what.files:
        share = file.size_mb / max(what.size_mb, 1e-9)

        def tell(have: int, size: int, done: float = done, share: float = share) -> None:
            if progress is not None:
                progress(min(1.0, done + share * have / max(size, 1)))

        digests[file.name] = download(
            file, what.entry.place / file.name, progress=tell, cancelled=cancelled, endpoint=endpoint
        )
        done += share
    _mark(what.entry, digests)
    if progress is not None:
        progress(1.0)


def taker(name: str, checkpoint: Path) -> EncoderEntry:
    """The encoder that is to take over a checkpoint of the user.

    Raises
    ------
    UserError
        When it takes none, or there is no such file.
    """
    entry = list_entries().get(name)
    if entry is None or entry.take is None:
        raise UserError(f"'{name}' is no encoder that takes a checkpoint of yours.")
    if not checkpoint.is_file():
        raise UserError(f"There is no file '{checkpoint}'.")
    return entry


def supply(name: str, checkpoint: Path, *, unpickle: bool = False, cancelled: Callable[[], bool] | None = None) -> None:
    """Take over a checkpoint that only the user can bring, as safetensors; the user has read the terms and said yes.

    Raises
    ------
    UserError
        As `taker`, and when the file is damaged, another model's, or holds objects beside its tensors.
    DownloadCancelled
        When ``cancelled()`` is true once the file was checked: nothing was taken over.
    """
    entry = taker(name, checkpoint)
    assert entry.take is not None
    try:
        entry.place.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".checked-", dir=entry.place) as checked:
            entry.take(checkpoint, Path(checked), unpickle)
            if cancelled is not None and cancelled():
                raise DownloadCancelled
            for path in Path(checked).iterdir():
                path.replace(entry.place / path.name)
    except OSError as error:
        raise UserError(f"'{entry.place}' cannot be written ({error.strerror or 'unknown reason'}).") from error
    _mark(entry, {})


def _mark(entry: EncoderEntry, digests: dict[str, str]) -> None:
    """Write down which adapter reads the folder, what its files were, and what the user said yes to."""
    if not entry.origin and ((entry.place / "config.json").is_file() or not entry.place.is_dir()):
        return
    path = entry.place / MARK
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        before = {}
    source = {"source": entry.origin} if entry.origin else {}
    said = {"adapter": NATIVE if entry.origin else entry.name, **source, "files": {**before, **digests}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"'{path.parent}' cannot be written ({error.strerror or 'unknown reason'}).") from error
    write_bytes(path, json.dumps({**said, "terms": entry.terms}, indent=1).encode())


def _folder_for(repo: str) -> Path:
    """The folder for an encoder of the hub.

    Raises
    ------
    UserError
        When its name is another encoder's here, or its folder holds what came from elsewhere.
    """
    name = repo.split("/")[1]
    folder = encoders_folder() / name
    if name in ("", ".", ".."):
        raise UserError(f"'{repo}' names no model on the hub: write owner/name.")
    for entry in list_entries().values():
        if entry.name.casefold() == name.casefold() and entry.origin != repo:
            whose = entry.origin or entry.source
            raise UserError(f"'{repo}' has the name of an encoder that is known here ({entry.name}, {whose}).")
    if folder.is_dir() and any(folder.iterdir()) and origin_of(folder) != repo:
        raise UserError(f"'{folder}' holds something else than '{repo}': move it away first.")
    return folder


def _of_hub(repo: str, endpoint: str | None) -> EncoderEntry:
    """An encoder of ours on the hub, described by its page."""
    folder = _folder_for(repo)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        page = HfApi(endpoint=endpoint).model_info(repo, files_metadata=True, timeout=TIMEOUT)
    except HfHubHTTPError as error:
        raise UserError(f"The hub has no model '{repo}', or does not give it out.") from error
    except Exception as error:  # every HTTP library has its own names for "no network"
        raise UserError(f"The model hub cannot be reached ({type(error).__name__}): check the network.") from error
    names = {s.rfilename for s in page.siblings or ()}
    if not set(WHOLE) <= names:
        raise UserError(f"'{repo}' on the hub is no encoder of napari-ctvlp: it lacks {' or '.join(WHOLE)}.")
    licence = str(getattr(page.card_data, "license", None) or "unstated")
    files = tuple(
        RemoteFile(
            repo,
            s.rfilename,
            s.rfilename,
            (s.size or 0) / 1e6,
            page.sha or "main",
            s.lfs.sha256 if s.lfs is not None else "",
        )
        for s in page.siblings or ()
        if Path(s.rfilename).suffix in _SAFE and ".." not in Path(s.rfilename).parts
    )
    terms = f"{repo}: licence {licence}, as its page on the hub says. Research use, not for diagnosis."
    plain = native_entry(folder, "folder")
    about = f"see the page of {repo}"
    return replace(plain, licence=licence, trained_on=about, summary="", files=files, terms=terms, origin=repo)
