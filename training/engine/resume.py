"""A run that goes on: whether it can is asked first, and nothing of it is touched before its checkpoint was taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_ctvlp.errors import UserError
from training.config import PretrainConfig
from training.history import flat
from training.settings import read_config

from .checkpoint import has_checkpoint, load_checkpoint

if TYPE_CHECKING:
    from .loop import Run

SHAPES = ("model.", "text.", "optim.evidence", "optim.lesions", "data", "labels", "world.", "at_least")
"""Settings, by how their names begin, that say what weights there are."""


def check_resumable(config: PretrainConfig) -> None:
    """Refuse to go on with a run that there is not, or that is of another method, before any scan is made.

    Raises
    ------
    UserError
    """
    if not has_checkpoint(config.run):
        raise UserError(
            f"'{config.run}' holds no checkpoint to go on from: give the folder of the run to --resume, or leave "
            "--resume out to begin one."
        )
    _check_method(load_checkpoint(config.run, mapped=True), config)


def take_over(run: Run) -> dict[str, Any]:
    """Give a fresh run what its last checkpoint holds, but for the optimiser; returns the checkpoint.

    Raises
    ------
    UserError
        When the checkpoint is of another method, or of weights of other shapes.
    """
    config = run.config
    state = load_checkpoint(config.run)
    _check_method(state, config)
    if ("average_text" in state) != (run.average_text is not None):
        raise UserError("A run whose text tower is frozen cannot go on with a trained one, nor the other way round.")
    with refusal_told(config):
        run.learner.load_state_dict(state["model"])
        run.average.load_state_dict(state["average"])
        run.heads.load_state_dict(state["heads"])
        if run.average_text is not None:
            run.average_text.load_state_dict(state["average_text"])
    run.step, run.skipped = int(state["step"]), int(state["skipped"])
    run.skipped_in_a_row = int(state["skipped_in_a_row"])
    return state


def _check_method(state: Mapping[str, Any], config: PretrainConfig) -> None:
    was = state.get("method")
    if was != config.method:
        raise UserError(
            f"The run was of method '{was}', not '{config.method}': go on with --method {was}, or choose another --run."
        )


@contextmanager
def refusal_told(config: PretrainConfig) -> Iterator[None]:
    """Turn the refusal of weights that do not fit into a sentence that names the settings that changed."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError) as error:
        changed = ", ".join(f"--{name.replace('_', '-')}" for name in changed_shapes(config))
        raise UserError(
            f"The checkpoint in '{config.run}' does not fit the networks that are asked for: go on without "
            f"{changed or 'other settings or data than those it began with'}, or choose another --run."
        ) from error


def changed_shapes(config: PretrainConfig) -> list[str]:
    """Names of the settings that shape the weights and are others than those of the run."""
    try:
        before, now = (flat(asdict(c)) for c in (read_config(config.run / "config.json"), config))
    except UserError:
        return []
    return sorted(n for n in now if n.startswith(SHAPES) and n != "text.download" and before.get(n) != now[n])
