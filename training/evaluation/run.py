"""From an encoder and held-out scans to all figures of an evaluation."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray

import napari_ctvlp
from napari_ctvlp.anatomy.prompts import PROMPTS_VERSION
from napari_ctvlp.encoder import ScanEncoder, list_entries, load_encoder
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.errors import UserError
from training.data.prepared import PreparedStore
from training.data.store import WORLD_VERSION, WorldStore
from training.data.text_models import load_text_tower
from training.engine.checkpoint import newest_step
from training.engine.metrics import Resampling
from training.engine.validate import embed_store

from . import protocols
from .calibration import METHODS, Calibrator, fitted
from .cases import HeldOut, Question, data_hash, embedded_by, held_out, questions
from .checks import checks
from .failures import Miss, misses
from .figures import all_figures, calibrations
from .recognition import recognition
from .reliability import reliability_plot
from .table import as_markdown
from .thresholds import choose
from .words import spread

Store = WorldStore | PreparedStore
WORLD = "world"


@dataclass(frozen=True)
class Settings:
    """What is computed, and from what seed.

    Attributes
    ----------
    protocol : str
        "world": every organ and abnormality that the encoder was trained on, as the rules read reports; "own": the
        manifest's labels that the dictionary knows; or a protocol by name.
    calibration : str, optional
        One of `METHODS`; by default the encoder's own, for protocols of whole scans Platt's on validation.
    rounds, seed : int
        Of the bootstrap.
    check_scans : int
        Scans in which the sides of all organs are asked for.
    """

    protocol: str = WORLD
    calibration: str | None = None
    rounds: int = 500
    seed: int = 0
    check_scans: int = 20

    def check(self, prepared: bool) -> None:
        """Refuse what cannot be done before any scan is made or read; ``prepared``: for a prepared store."""
        if self.calibration not in (None, *METHODS):
            raise UserError(f"There is no calibration '{self.calibration}': choose {', '.join(METHODS)}.")
        if self.protocol != WORLD:
            if self.protocol != protocols.OWN:
                protocols.load(self.protocol)
            if not prepared:
                raise UserError(
                    f"The protocol '{self.protocol}' needs a prepared store whose studies have labels: --data PREPARED."
                )


@dataclass(eq=False)
class Evaluation:
    """The figures, the cases of the reliability plot, and what was missed of the abnormalities that are seen worst."""

    result: dict[str, Any]
    curves: dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]] = field(default_factory=dict)
    missed: list[Miss] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write ``evaluation.json``, ``evaluation.md`` and ``reliability.png``."""
        folder.mkdir(parents=True, exist_ok=True)
        errors = {k: spread(v, 3) for k, v in self.result["calibrations"].items()}
        for name, text in (
            ("evaluation.json", json.dumps(self.result, indent=1, allow_nan=False) + "\n"),
            ("evaluation.md", as_markdown(self.result) + "\n"),
        ):
            temporary = folder / f"{name}.tmp"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(folder / name)
        if self.curves:
            reliability_plot(folder / "reliability.png", self.curves, errors)


def load(folder: Path) -> ScanEncoder:
    """An encoder's folder, what a run came to so far, or an encoder that is installed under a name."""
    if str(folder) in list_entries():
        return load_encoder(str(folder))
    for place in (folder, folder / "encoder"):
        if (place / "model.safetensors").is_file():
            encoder = NativeEncoder.from_pretrained(place)
            # a run that went on since it wrote its encoder has newer weights
            if place == folder or int(encoder.provenance.training.get("steps", 0)) >= newest_step(folder):
                return encoder
    if not (folder / "config.json").is_file():
        raise UserError(f"'{folder}' is neither the folder of an encoder nor of a run.")
    from dataclasses import replace

    from training.export import model_of, provenance_of, read_finished
    from training.settings import read_config

    config = replace(read_config(folder / "config.json"), run=folder)
    tower = load_text_tower(config.text)
    done = read_finished(config, tower)
    model = model_of(config, {k: v.cpu() for k, v in done.average.items()}, tower.width)
    return NativeEncoder(model, tower, provenance_of(config, done), done.calibration)


def embed(encoder: ScanEncoder, store: Store) -> HeldOut:
    """The organs of a store."""
    if not isinstance(encoder, NativeEncoder):
        return embedded_by(encoder, store)
    return held_out(embed_store(encoder.model, store, device=str(encoder.device)), store)


def _labels(store: PreparedStore) -> list[Mapping[str, int]]:
    return [store.labels(i) for i in range(store.count)]


def _protocol(settings: Settings, test: Store) -> tuple[protocols.Protocol | None, tuple[str, ...]]:
    """The labels that are asked for, None for all that was trained, and the store's own that cannot be."""
    if settings.protocol == WORLD:
        return None, ()
    assert isinstance(test, PreparedStore)  # Settings.check saw to it
    return (
        protocols.own(_labels(test)) if settings.protocol == protocols.OWN else (protocols.load(settings.protocol), ())
    )


def _asked(
    protocol: protocols.Protocol | None, encoder: ScanEncoder, data: HeldOut, store: Store
) -> tuple[dict[str, Question], dict[str, int]]:
    """The questions of a protocol, and per label the scans without any organ that it looks at."""
    if protocol is None:
        return questions(encoder, data), {}
    assert isinstance(store, PreparedStore)
    asked = protocols.ask(protocol, encoder, data, _labels(store))
    return asked.questions, asked.without_organ


def evaluate(encoder: ScanEncoder, test: Store, validation: Store | None, settings: Settings) -> Evaluation:
    """Everything about an encoder on test scans; thresholds and fits see ``validation`` alone."""
    settings.check(isinstance(test, PreparedStore))
    protocol, unknown = _protocol(settings, test)
    data = embed(encoder, test)
    found, without = _asked(protocol, encoder, data, test)
    if not found:
        raise UserError("Nothing to evaluate: no test scan holds an organ and a label that can be asked for.")
    before: dict[str, Question] = {}
    if validation is not None and validation.count:
        before, _ = _asked(protocol, encoder, embed(encoder, validation), validation)
    own = encoder.calibration if settings.protocol == WORLD else None
    maps = fitted(before, own)
    name, calibrate, notes = _chosen(settings, maps)
    resample = Resampling(data.patients, settings.rounds, settings.seed)
    thresholds = choose(before, calibrate)
    notes += [] if before else ["No validation scans: no thresholds, and so no F1, sensitivity or specificity."]
    figures = all_figures(found, calibrate, thresholds, resample)
    errors = [r["calibration_error"]["value"] for r in figures["rows"]]
    notes += [f"{label}: {n} scans hold none of its organs and are left out." for label, n in without.items() if n]
    common = [r["name"] for r in figures["rows"] if not r.get("threshold", {"own": True})["own"]]
    if common:
        notes.append(
            f"Too few validation scans for a threshold of their own: {', '.join(common)}; the common one serves."
        )
    silent = [] if protocol is None else [label.name for label in protocol.labels if label.name not in found]
    notes += [f"No test scan has a label for: {', '.join(silent)}."] if silent else []
    notes += [f"Labels that no entry of the dictionary is called: {', '.join(unknown)}."] if unknown else []
    if settings.protocol == WORLD and isinstance(test, PreparedStore):
        notes.append(
            "The truth is what the rules read in the reports, not labels of the manifest: --protocol own takes these."
        )
    result = {
        "encoder": {"name": encoder.card.name, "revision": encoder.card.revision},
        "protocol": settings.protocol,
        "what": "synthetic test scans" if isinstance(test, WorldStore) else "test scans",
        "scans": test.count,
        "patients": data.patients,
        "validation_scans": validation.count if validation is not None else 0,
        "organs": len(data.records),
        **recognition(encoder, data),
        "macro_auc": figures["macro_auc"],
        "macro_auc_enough": figures["macro_auc_enough"],
        "macro_calibration_error": round(float(np.mean(errors)), 4),
        "calibration": name,
        "calibrations": calibrations(found, maps, resample) if maps else {},
        "abnormalities": figures["rows"],
        "by_anatomy": figures["by_anatomy"],
        "checks": checks(encoder, data, settings.check_scans) if settings.check_scans else {},
        "notes": notes,
        "made_by": _made_by(encoder, test, validation, settings),
    }
    missed = misses(found, calibrate, test.count) if isinstance(test, WorldStore) else []
    return Evaluation(result, _curves(found, maps), missed)


def _chosen(settings: Settings, maps: Mapping[str, Calibrator]) -> tuple[str, Calibrator, list[str]]:
    """The calibration that thresholds and rows go by; without any, the plain logistic of the scores."""
    wanted = settings.calibration or ("encoder" if "encoder" in maps else "platt")
    if wanted in maps:
        return wanted, maps[wanted], []
    if settings.calibration is not None:
        raise UserError(f"The calibration '{wanted}' cannot be had here: it needs validation scans.")
    plain: Calibrator = lambda keys, scores: 1 / (1 + np.exp(-np.clip(scores, -30, 30)))  # noqa: E731
    return "none", plain, ["No calibration: probabilities are the plain logistic of the scores."]


def _curves(
    found: Mapping[str, Question], maps: Mapping[str, Calibrator]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    keys, scores, present = (
        np.concatenate([getattr(q, f) for q in found.values()]) for f in ("keys", "scores", "present")
    )
    return {name: (calibrate(keys, scores), present) for name, calibrate in maps.items()}


def _made_by(encoder: ScanEncoder, test: Store, validation: Store | None, settings: Settings) -> dict[str, Any]:
    """What it takes to make the same figures again."""
    return {
        "settings": vars(settings),
        "preprocessing": encoder.card.preprocessing,
        "prompts": PROMPTS_VERSION,
        "test": {"hash": data_hash(test), **_store(test)},
        "validation": None if validation is None else {"hash": data_hash(validation), **_store(validation)},
        "device": str(getattr(encoder, "device", "cpu")),
        "versions": {
            "napari_ctvlp": napari_ctvlp.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }


def _store(store: Store) -> dict[str, Any]:
    if isinstance(store, PreparedStore):
        return {"data": store.folder.name, "split": store.split}
    return {
        "data": f"world {WORLD_VERSION}",
        "split": store.split,
        "scans": store.count,
        "bodies": store.bodies,
        "seed": store.seed,
        "spacing": store.spacing,
    }
