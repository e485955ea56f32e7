"""``python -m training.evaluate ENCODER``: what an encoder does on synthetic test scans that nothing was chosen on.

Test scans share neither seed nor anatomy with training or validation. Scores and probabilities come from the code that
the plugin runs. Prints a Markdown table with 95 percent bootstrap intervals over scans and writes it as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from napari_ctvlp.anatomy import display_name
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.errors import UserError
from training.data.store import WorldStore
from training.data.texts import HELD_OUT_NAMES, NORMAL, Classes, TextBank
from training.engine.metrics import auc_with_interval, expected_calibration_error
from training.engine.validate import PairScores, embed_store, organ_accuracy, prompt_texts, score_pairs


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate an encoder on synthetic test scans."""

    encoder: Annotated[Path, tyro.conf.Positional] = Path("napari_ctvlp/encoder/weights/starter")
    """Folder of the encoder."""
    scans: int = 200
    """Number of test scans."""
    bodies: int = 20
    """Anatomies among them."""
    cache: Path = Path("runs/test-scans")
    """Where the scans are kept."""
    out: Path | None = None
    """JSON file for the figures."""
    seed: int = 0


def by_abnormality(pairs: list[PairScores], encoder: NativeEncoder) -> list[dict[str, Any]]:
    """One row an abnormality: AUC with interval, calibration error, and how many organs it is from."""
    rows = []
    for key in sorted({p.key.split("/")[1] for p in pairs}):
        group = [p for p in pairs if p.key.split("/")[1] == key]
        probability = np.concatenate([[encoder.calibration.probability(p.key, s) for s in p.scores] for p in group])
        present = np.concatenate([p.present for p in group])
        interval = auc_with_interval(probability, present, np.concatenate([p.scan for p in group]))
        if interval is not None:
            rows.append(
                {
                    "abnormality": key,
                    "auc": round(interval.value, 3),
                    "low": round(interval.low, 3),
                    "high": round(interval.high, 3),
                    "positives": interval.positives,
                    "organs": interval.positives + interval.negatives,
                    "calibration_error": round(expected_calibration_error(probability, present), 3),
                }
            )
    return rows


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """All figures of one encoder."""
    encoder = NativeEncoder.from_pretrained(config.encoder)
    store = WorldStore(
        config.cache, "test", config.scans, config.seed, config.bodies, encoder.model.vision.config.spacing
    )
    store.prepare()
    pairs_known = [tuple(key.split("/")) for key in encoder.card.abnormalities]
    states = [(organ, NORMAL) for organ in encoder.card.organs] + [(o, s) for o, s in pairs_known]
    classes = Classes(encoder.card.organs, tuple(states))
    bank = TextBank(encoder.text, prompt_texts(classes, HELD_OUT_NAMES), config.cache / "texts.pt")
    embedded = embed_store(encoder.model, store, device=str(encoder.device))
    pairs = score_pairs(encoder.model, embedded, classes, bank)
    rows = by_abnormality(pairs, encoder)
    return {
        "encoder": {"name": encoder.card.name, "revision": encoder.card.revision},
        "scans": store.count,
        "organs": len(embedded.records),
        "organ_accuracy": round(organ_accuracy(encoder.model, embedded, classes, bank, HELD_OUT_NAMES), 4),
        "organ_chance": round(1 / len(classes.organs), 4),
        "macro_auc": round(float(np.mean([r["auc"] for r in rows])), 4),
        "macro_calibration_error": round(float(np.mean([r["calibration_error"] for r in rows])), 4),
        "abnormalities": rows,
        "by_organ": organ_table(encoder, embedded.records, embedded.vectors, classes, bank),
    }


def organ_table(
    encoder: NativeEncoder, records: Any, vectors: Any, classes: Classes, bank: TextBank
) -> dict[str, float]:
    """Share recognised by sight, per organ."""
    texts = [p.format(organ=display_name(o)) for o in classes.organs for p in HELD_OUT_NAMES]
    names = encoder.model.project_text(bank(texts)).detach().cpu().numpy().reshape(len(classes.organs), 2, -1).mean(1)
    guess = (vectors @ names.T).argmax(1)
    truth = np.array([classes.organs.index(r.organ) if r.organ in classes.organs else -1 for r in records])
    return {
        o: round(float((guess == n)[truth == n].mean()), 3) for n, o in enumerate(classes.organs) if (truth == n).any()
    }


def as_markdown(result: dict[str, Any]) -> str:
    """The table for the README."""
    lines = [
        f"{result['scans']} synthetic test scans, {result['organs']} organs; organs recognised by sight among "
        f"{round(1 / result['organ_chance'])}: {result['organ_accuracy']:.3f} (chance {result['organ_chance']:.3f}); "
        f"macro AUC {result['macro_auc']:.3f}; mean calibration error {result['macro_calibration_error']:.3f}",
        "",
        "| abnormality | AUC (95 % interval) | positives of organs | calibration error |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {r['abnormality']} | {r['auc']:.2f} ({r['low']:.2f}-{r['high']:.2f}) | {r['positives']} of {r['organs']} "
        f"| {r['calibration_error']:.2f} |"
        for r in result["abnormalities"]
    ]
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    try:
        config = tyro.cli(EvaluateConfig, description=__doc__)
        result = evaluate(config)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(as_markdown(result))
    if config.out is not None:
        config.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
