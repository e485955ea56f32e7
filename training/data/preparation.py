"""A run of preparation: which studies are missing something, their making in parallel, the table of problems."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from tqdm import tqdm

from napari_ctvlp.errors import UserError
from training.reports.labels import Statement

from .ingest import WARNED, ingest
from .job import Job, Settings, missing_part
from .manifest import Manifest, Problem, split_of
from .organ_texts import reader_version, spoken
from .prepared import VERSION, PreparedStore, write_bytes, write_json

Reader = Callable[[str], tuple[Statement, ...]]
_VOLUME = re.compile(r"(.+)\.[0-9a-f]{8}\.(?:hu|labels)\.(?:b2nd|npy)")


@dataclass(frozen=True)
class Summary:
    """What a run did: studies that can be trained on, how many were made or only read anew, and the problems."""

    ready: int
    made: int
    reread: int
    problems: tuple[Problem, ...]
    splits: dict[str, int]


def prepare_studies(
    manifest: Manifest,
    folder: Path,
    settings: Settings,
    *,
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    workers: int = 1,
    language_model: tuple[str, Reader] | None = None,
    check: bool = False,
) -> Summary:
    """Bring a prepared store up to date with a manifest.

    Parameters
    ----------
    manifest : Manifest
    folder : Path
        The store; made when missing.
    settings : Settings
    shares : (float, float, float)
        Of patients in training, validation and test, where the manifest names no split.
    seed : int
        Another one draws other splits.
    workers : int
        Processes; 0 works in this one.
    language_model : (identity, reader), optional
        Reads reports beside the rules.
    check : bool
        Read every volume that is there, and make those anew that are damaged.

    Raises
    ------
    UserError
        If the folder holds a store of another kind, is in use, or cannot be written.
    """
    version = reader_version() + (language_model[0] if language_model else "")
    with _writable(folder), _claimed(folder):
        _agree(folder, settings)
        jobs = [
            Job(s, s.split or split_of(s.patient, shares, seed), folder, settings, version, check=check)
            for s in manifest.studies
        ]
        parts = Counter[str]()
        todo = []
        for job in tqdm(jobs, desc="checked", unit="study", disable=None if check else True):
            part = missing_part(job, check=check)
            parts[part] += 1
            if part:
                todo.append(job)
        _sweep(folder)
        problems = list(manifest.problems)
        read = (_with_reading(job, language_model) for job in todo)
        with tqdm(total=len(jobs), initial=parts[""], desc="studies", unit="study", disable=None) as bar:
            for found in _run(read, workers):
                problems += found
                bar.set_postfix_str(f"{sum(p.left_out for p in problems)} left out")
                bar.update()
        left_out = {p.line for p in problems if p.left_out}
        ready = [job for job in jobs if job.study.line not in left_out]
        index = [{"key": j.key, "study": j.study.study, "split": j.split} for j in ready]
        problems += _notes(ready)
        problems.sort(key=lambda p: p.line)
        _write_problems(folder / "problems.csv", problems)
        write_json(folder / "index.json", {"version": VERSION, "studies": index})
    splits = Counter(j.split for j in ready)
    failed = sum(1 for job in todo if job.study.line in left_out)
    reread = min(parts["texts"], len(todo) - failed)
    return Summary(len(ready), len(todo) - failed - reread, reread, tuple(problems), dict(splits))


def find_study(folder: Path, study: str) -> dict[str, Any]:
    """The record of a study by its name in the manifest."""
    store = PreparedStore(folder)
    if study in store.studies:
        return store.record(store.studies.index(study))
    raise UserError(f"'{folder.name}' holds no study '{study}'; {folder.name}/problems.csv tells what was left out.")


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Make the folder; a disk that takes no more, or a place that may not be written, is told in a sentence."""
    try:
        (folder / "studies").mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"'{folder}' cannot be written ({error.strerror or error}): give another --to.") from error


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold the folder alone; the lock goes with the process however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once would only do the same work twice
        yield
        return
    with (folder / "prepare.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"'{folder.name}' is being prepared by another process.") from error
        yield


def _agree(folder: Path, settings: Settings) -> None:
    """All studies of a store share grid and format."""
    mine = {"version": VERSION, "spacing": settings.spacing, "format": settings.kind}
    try:
        found = json.loads((folder / "store.json").read_bytes())
    except FileNotFoundError:
        write_json(folder / "store.json", mine)
        return
    except ValueError:
        found = None
    if found != mine:
        raise UserError(f"'{folder.name}' holds a store of another spacing or format: choose another folder with --to.")


def _sweep(folder: Path) -> None:
    """Remove what killed runs left: unfinished files, and volumes that no record names."""
    studies = folder / "studies"
    for leftover in (*folder.glob("*.tmp"), *studies.glob("*.tmp")):
        leftover.unlink(missing_ok=True)
    volumes: dict[str, list[Path]] = {}
    for path in studies.iterdir():
        if match := _VOLUME.fullmatch(path.name):
            volumes.setdefault(match[1], []).append(path)
    for key, paths in volumes.items():
        record = studies / f"{key}.json"
        if len(paths) == 2 and record.is_file():
            continue
        named = re.findall(r'"([^"]+\.(?:b2nd|npy))"', record.read_text(encoding="utf-8")) if record.is_file() else ()
        for path in paths:
            if path.name not in named:
                path.unlink(missing_ok=True)


def _notes(jobs: Iterable[Job]) -> Iterator[Problem]:
    """What has to be known of the studies that are ready: warnings of the audit, and notes on masks and reports."""
    for job in jobs:
        record = json.loads(job.record.read_bytes())
        told = [(f"image: {name}: {value}", True) for name, value, severity in record["audit"] if severity == "warning"]
        told += [(note, note.startswith(WARNED)) for note in record["notes"]]
        if not job.study.report:
            told.append(
                ("has no report: of its organs is known what its labels say (--labels own)", False)
                if job.study.labels
                else ("has no report: the state of every organ is unknown", True)
            )
        for reason, warning in told:
            yield Problem(job.study.study, job.study.line, reason, left_out=False, warning=warning)


def _with_reading(job: Job, language_model: tuple[str, Reader] | None) -> Job:
    if language_model is None or not job.study.report:
        return job
    return replace(job, extra=language_model[1](spoken(job.study.report)))


def _run(jobs: Iterable[Job], workers: int) -> Iterator[list[Problem]]:
    """Make studies; one that kills its process is told apart from those that were beside it and left out."""
    if not workers:
        for job in jobs:
            yield ingest(job)
        return
    queue, suspects = iter(jobs), deque[Job]()
    yield from _together(queue, workers, suspects)
    while suspects:
        job = suspects.popleft()
        alone = deque[Job]()
        yield from _together(iter([job]), 1, alone)
        if alone:
            reason = "the process that read it was killed (out of memory?)"
            yield [Problem(job.study.study, job.study.line, reason)]
        if not suspects:
            yield from _together(queue, workers, suspects)


def _together(queue: Iterator[Job], workers: int, suspects: deque[Job]) -> Iterator[list[Problem]]:
    """Make studies in one pool until it breaks or the queue ends; what was under way then goes to ``suspects``."""
    flying: dict[Future[list[Problem]], Job] = {}
    # spawned, because torch's threads do not survive a fork
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker) as pool:
        try:
            while True:
                while len(flying) < 2 * workers and (job := next(queue, None)) is not None:
                    flying[_submit(pool, job)] = job
                if not flying:
                    return
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    found = future.result()
                    del flying[future]
                    yield found
        except BrokenProcessPool:
            suspects.extend(flying.values())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _submit(pool: ProcessPoolExecutor, job: Job) -> Future[list[Problem]]:
    """A future even where the pool is broken already, so that the study is not lost."""
    try:
        return pool.submit(ingest, job)
    except BrokenProcessPool as error:
        broken: Future[list[Problem]] = Future()
        broken.set_exception(error)
        return broken


def _start_worker() -> None:
    import torch

    torch.set_num_threads(1)
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """Workers of a killed run would wait for work for ever."""
    connection.wait([sentinel])
    os._exit(1)


def _write_problems(path: Path, problems: Iterable[Problem]) -> None:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("study", "line", "left_out", "severity", "reason"))
    for p in problems:
        table.writerow((p.study, p.line, "yes" if p.left_out else "no", p.severity, p.reason))
    write_bytes(path, text.getvalue().encode())
