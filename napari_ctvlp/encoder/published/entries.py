"""What is known of each published encoder before it is loaded. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_ctvlp.encoder.registry import EncoderEntry, RemoteFile

if TYPE_CHECKING:
    from napari_ctvlp.encoder.contract import ScanEncoder

_CXR_BERT = "microsoft/BiomedVLP-CXR-BERT-specialized"
_CXR_BERT_REVISION = "5157bdba1437a3aed316dacb1a5b68edf96b9902"
_VOCABULARY = RemoteFile(_CXR_BERT, "vocab.txt", "vocab.txt", 0.2, _CXR_BERT_REVISION)


def _fvlm(folder: Path, device: str | None) -> ScanEncoder:
    from napari_ctvlp.encoder.published.fvlm import FvlmEncoder

    return FvlmEncoder.from_folder(folder, device=device)


def _colipri(folder: Path, device: str | None) -> ScanEncoder:
    from napari_ctvlp.encoder.published.colipri import ColipriEncoder

    return ColipriEncoder.from_folder(folder, device=device)


COLIPRI = EncoderEntry(
    name="colipri",
    licence="MIT",
    trained_on="chest CT with reports from Turkey and the USA, CT-RATE (CC BY-NC-SA 4.0) among them",
    summary="Any organ of a chest CT, from a grid of 16 mm that is comparable with text (Wald et al., 2025).",
    region="chest",
    load=_colipri,
    terms=(
        "COLIPRI: code and weights MIT (Microsoft), for research, not for clinical practice; part of what it was "
        "trained on, CT-RATE, is for non-commercial use (CC BY-NC-SA 4.0). The vocabulary of CXR-BERT (MIT) comes with "
        "it. Research use, not for diagnosis."
    ),
    files=(RemoteFile("microsoft/colipri", "model.safetensors", "model.safetensors", 1033.0), _VOCABULARY),
    memory="about 3.5 GB",
)


def _take_fvlm(checkpoint: Path, folder: Path, unpickle: bool) -> None:
    from napari_ctvlp.encoder.published.fvlm import convert

    convert(checkpoint, folder / "model.safetensors", unpickle=unpickle)


FVLM = EncoderEntry(
    name="fvlm",
    licence="unstated",
    trained_on="CT-RATE, 20,000 patients (CC BY-NC-SA 4.0)",
    summary="Lung, heart, esophagus and aorta of chest CT, 16 findings (Shui et al., ICLR 2025).",
    region="chest",
    load=_fvlm,
    terms=(
        "fVLM: its authors state no licence for code or weights, and the weights were trained on CT-RATE, which is for "
        "non-commercial use (CC BY-NC-SA 4.0). You bring the checkpoint; what is downloaded is the vocabulary of "
        f"CXR-BERT (MIT, {_CXR_BERT}). Research use, not for diagnosis."
    ),
    files=(_VOCABULARY,),
    supplied=("model.safetensors",),
    supplied_mb=820.0,
    take=_take_fvlm,
    how="ask its authors (github.com/alibaba-damo-academy/fvlm), then napari-ctvlp install fvlm --checkpoint FILE",
    memory="about 2 GB",
)


def _merlin(folder: Path, device: str | None) -> ScanEncoder:
    from napari_ctvlp.encoder.published.merlin import MerlinEncoder

    return MerlinEncoder.from_folder(folder, device=device)


_LONGFORMER = "yikuan8/Clinical-Longformer"
MERLIN = EncoderEntry(
    name="merlin",
    licence="MIT",
    trained_on="15,000 abdominal CT with reports and diagnosis codes (Stanford)",
    summary="Abdomen; made for whole volumes, organs by masked crops are our addition (Blankemeier et al., 2026).",
    region="abdomen",
    load=_merlin,
    terms=(
        "Merlin: code and weights MIT (Stanford). Its weights come as a pickle, of which only tensors are read. The "
        f"vocabulary of {_LONGFORMER} comes with it; see its page for its terms. Research use, not for diagnosis."
    ),
    files=(
        RemoteFile(
            "stanfordmimi/Merlin",
            "i3_resnet_clinical_longformer_best_clip_04-02-2024_23-21-36_epoch_99.pt",
            "merlin.pt",
            1084.0,
        ),
        RemoteFile(_LONGFORMER, "vocab.json", "vocab.json", 0.9),
        RemoteFile(_LONGFORMER, "merges.txt", "merges.txt", 0.5),
    ),
    memory="about 4.5 GB",
)

PUBLISHED: tuple[EncoderEntry, ...] = (COLIPRI, MERLIN, FVLM)
"""In the order in which the window offers them."""
