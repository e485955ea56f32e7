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
    files=(RemoteFile("microsoft/colipri", "model.safetensors", "model.safetensors", 1000.0), _VOCABULARY),
    memory="about 4 GB",
)

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
    how="ask its authors (github.com/alibaba-damo-academy/fvlm), then napari-ctvlp install fvlm --checkpoint FILE",
    memory="about 2 GB",
)

PUBLISHED: tuple[EncoderEntry, ...] = (COLIPRI, FVLM)
"""In the order in which the window offers them."""
