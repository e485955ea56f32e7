"""The one place from which a session reaches the inner rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ctvlp.anatomy.dictionary import Abnormality
    from napari_ctvlp.ask.case_library import CaseLibrary
    from napari_ctvlp.ask.evidence import Case
    from napari_ctvlp.ask.locate import SimilarityMap
    from napari_ctvlp.ask.sentences import Trial
    from napari_ctvlp.ask.teach import TaughtFinding
    from napari_ctvlp.ask.types import AbnormalityScore, Ranking
    from napari_ctvlp.encoder.contract import Cancelled, ModelInput, Progress, ScanEmbedding, ScanEncoder
    from napari_ctvlp.scan.drawn import Drawing
    from napari_ctvlp.scan.lone import LoneMasks
    from napari_ctvlp.scan.pairs import Given
    from napari_ctvlp.scan.surfaces import Mesh
    from napari_ctvlp.scan.types import MaskPaths, OrganMasks, Scan


class Rooms:
    """What a session needs of the inner rooms, each imported on first use so that a session alone stays light.

    A subclass with other answers serves the tests.
    """

    def list_series(self, folder: str | Path) -> Sequence[Any]:
        """CT series found in a folder of DICOM files."""
        from napari_ctvlp.scan import list_series

        return list_series(folder)

    def sort_out(self, paths: Sequence[str | Path], scan_open: bool) -> Given:
        """Which of several paths is the scan, and which its masks."""
        from napari_ctvlp.scan.pairs import sort_out

        return sort_out(paths, scan_open=scan_open)

    def scan_in(self, folder: str | Path, masks: MaskPaths) -> Path:
        """The scan of a folder whose masks were chosen."""
        from napari_ctvlp.scan.pairs import scan_in

        return scan_in(Path(folder), masks)

    def read_scan(self, path: str | Path, series: Any = None) -> Scan:
        """Read one scan."""
        from napari_ctvlp.scan import read_scan

        return read_scan(path, series=series)

    def read_masks(self, path: MaskPaths, scan: Scan) -> OrganMasks:
        """Read organ masks onto the grid of a scan."""
        from napari_ctvlp.scan import read_masks

        return read_masks(path, scan)

    def take_labels(self, scan: Scan, drawing: Drawing) -> tuple[OrganMasks, bool]:
        """Organ masks from labels that are open in a viewer, and whether they are voxel for voxel those."""
        from napari_ctvlp.scan.drawn import masks_from_drawing

        return masks_from_drawing(scan, drawing)

    def adopt(self, scan: Scan, lone: LoneMasks, drawing: Drawing) -> tuple[OrganMasks, bool]:
        """Organ masks from labels that were open before their scan, and whether they are voxel for voxel those."""
        from napari_ctvlp.scan.drawn import masks_of_lone

        return masks_of_lone(scan, lone, drawing)

    def measured_on(self, scan: Scan, masks: OrganMasks) -> OrganMasks:
        """Organ masks of another scan of the same grid, measured on this one."""
        from napari_ctvlp.scan.drawn import measured_on

        return measured_on(scan, masks)

    def edited_masks(self, scan: Scan, before: OrganMasks, labels: Any, known: Mapping[int, str]) -> OrganMasks:
        """Organ masks after somebody painted in them."""
        from napari_ctvlp.scan.drawn import edited_masks

        return edited_masks(scan, before, labels, known)

    def segment(self, scan: Scan, fast: bool, progress: Progress, cancelled: Cancelled) -> OrganMasks:
        """Make organ masks of a scan."""
        from napari_ctvlp.segment import segment_scan

        return segment_scan(scan, fast=fast, progress=progress, cancelled=cancelled)

    def load_sample(self) -> tuple[Scan, OrganMasks]:
        """Make the built-in synthetic scan with its masks."""
        from napari_ctvlp.sample import load_sample

        return load_sample()

    def load_encoder(self, name: str) -> ScanEncoder:
        """Load an encoder, with everything about it that takes time to prepare."""
        from napari_ctvlp.ask import prepare
        from napari_ctvlp.encoder import load_encoder

        encoder = load_encoder(name)
        prepare(encoder)
        return encoder

    def encode_scan(
        self, encoder: ScanEncoder, scan: Scan, masks: OrganMasks, progress: Progress, cancelled: Cancelled
    ) -> ScanEmbedding:
        """Embed the organs of a scan, or take the embedding from the cache when the scan was seen before."""
        from napari_ctvlp.encoder.cache import EmbeddingCache

        return EmbeddingCache().encode_scan(encoder, scan, masks, progress=progress, cancelled=cancelled)

    def encode_again(
        self,
        encoder: ScanEncoder,
        scan: Scan,
        masks: OrganMasks,
        before: ScanEmbedding,
        progress: Progress,
        cancelled: Cancelled,
    ) -> ScanEmbedding:
        """Embed the organs of other masks of a scan that this encoder has seen, with less work where it can."""
        update = getattr(encoder, "update_scan", None)
        made: ScanEmbedding | None = None
        if update is not None:
            made = update(before, scan, masks, progress=progress, cancelled=cancelled)
        return made if made is not None else self.encode_scan(encoder, scan, masks, progress, cancelled)

    def read_dictionary(self) -> tuple[Abnormality, ...]:
        """The user's dictionary as it is now, the built-in one where there is none."""
        from napari_ctvlp.anatomy.user_dictionary import current_dictionary

        return current_dictionary()

    def dictionary(self, encoder: ScanEncoder) -> tuple[Abnormality, ...]:
        """The entries that an encoder is asked: the user's, with the encoder's own in their place."""
        from napari_ctvlp.ask.bank import dictionary_of

        return dictionary_of(encoder, self.read_dictionary())

    def known_entries(self, encoder: ScanEncoder) -> tuple[Abnormality, ...]:
        """The same as they were read last, without a look at the disk."""
        from napari_ctvlp.anatomy.user_dictionary import known_dictionary
        from napari_ctvlp.ask.bank import dictionary_of

        return dictionary_of(encoder, known_dictionary())

    def try_entry(self, embedding: ScanEmbedding, entry: Abnormality) -> Trial:
        """Score an entry, with prompts as they are being written, wherever it looks."""
        from napari_ctvlp.ask.sentences import try_entry

        return try_entry(embedding, entry)

    def evidence(
        self, embedding: ScanEmbedding, scan: Scan, masks: OrganMasks, organ: str, abnormality: str
    ) -> Case | None:
        """What a score rests on, and what can be tried; None where the dictionary has no such entry."""
        from napari_ctvlp.ask.evidence import Case, changes, drawn, gather

        entry = next((e for e in self.dictionary(embedding.encoder) if e.key == abnormality), None)
        if entry is None:
            return None
        found = gather(embedding, scan, masks, organ, entry)
        return Case(found, tuple(changes(found, embedding, scan, masks)), drawn(found, embedding, scan, masks))

    def taught_evidence(
        self, embedding: ScanEmbedding, scan: Scan, masks: OrganMasks, organ: str, finding: TaughtFinding
    ) -> Case:
        """What the score of a taught finding rests on, and what can be tried."""
        from napari_ctvlp.ask.taught_evidence import taught_case
        from napari_ctvlp.teaching import anonymous_scan

        return taught_case(embedding, scan, masks, organ, finding, anonymous_scan(scan))

    def read_library(self, folder: str | Path, encoder: ScanEncoder) -> CaseLibrary:
        """Known examples in a folder, for an encoder."""
        from napari_ctvlp.ask.case_library import read_library

        return read_library(folder, encoder.card)

    def save_prompts(self, entry: Abnormality) -> Callable[[], None]:
        """Write an entry's prompts into the user's dictionary; gives what takes it back."""
        from napari_ctvlp.anatomy.user_dictionary import save_prompts

        return save_prompts(entry)

    def rank_organs(
        self,
        embedding: ScanEmbedding,
        text: str,
        use_names: bool,
        masks: OrganMasks | None = None,
        taught: Sequence[TaughtFinding] = (),
        scan: Scan | None = None,
    ) -> Ranking:
        """Rank the organs of a scan for a question; taught findings are asked for by name."""
        from napari_ctvlp.ask import rank_organs
        from napari_ctvlp.ask.doubts import doubts_about

        statistics = None if masks is None else masks.statistics
        return rank_organs(
            embedding,
            text,
            use_names=use_names,
            dictionary=self.dictionary(embedding.encoder),
            statistics=statistics,
            taught=taught,
            doubts=doubts_about(embedding, statistics, None if scan is None else scan.audit),
        )

    def score_abnormalities(self, embedding: ScanEmbedding) -> Sequence[AbnormalityScore]:
        """Score every organ for every entry of the abnormality dictionary."""
        from napari_ctvlp.ask import score_abnormalities

        return score_abnormalities(embedding, self.dictionary(embedding.encoder))

    def score_taught(self, embedding: ScanEmbedding, findings: Sequence[TaughtFinding]) -> Sequence[AbnormalityScore]:
        """Score the organs in which the user taught findings; fits their probes when they have changed."""
        from napari_ctvlp.ask.teach import score_taught

        return score_taught(embedding, findings)

    def scores(
        self,
        embedding: ScanEmbedding,
        taught: Sequence[TaughtFinding],
        masks: OrganMasks | None = None,
        scan: Scan | None = None,
    ) -> tuple[AbnormalityScore, ...]:
        """Scores for the dictionary's entries, then for what was taught; what is doubtful says so."""
        from napari_ctvlp.ask.doubts import doubts_about, marked

        own = self.score_taught(embedding, taught) if taught else ()
        made = (*self.score_abnormalities(embedding), *own)
        doubts = doubts_about(
            embedding, None if masks is None else masks.statistics, None if scan is None else scan.audit
        )
        return tuple(marked(made, doubts, embedding, self.dictionary(embedding.encoder)))

    def locate(self, embedding: ScanEmbedding, masks: OrganMasks, ranking: Ranking, scan: Scan) -> SimilarityMap | None:
        """Map where in the matching organs an answer lies."""
        from napari_ctvlp.ask.locate import locate

        return locate(embedding, masks, ranking, scan.spacing, self.dictionary(embedding.encoder))

    def model_input(
        self, encoder: ScanEncoder, scan: Scan, progress: Progress, cancelled: Cancelled
    ) -> ModelInput | None:
        """What an encoder is fed of a scan; None where it does not show that."""
        from napari_ctvlp.encoder.model_input import model_input

        return model_input(encoder, scan, progress=progress, cancelled=cancelled)

    def organ_meshes(self, scan: Scan, masks: OrganMasks, cancelled: Cancelled) -> list[Mesh]:
        """Make the surfaces of all organs."""
        from napari_ctvlp.scan.surfaces import organ_meshes

        return organ_meshes(scan, masks, cancelled)
