"""The commands that write volumes: masks that are there in other formats, maps, and masks that are made."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_ctvlp.atomic import check_places
from napari_ctvlp.command_arguments import ExportArgs, SegmentArgs
from napari_ctvlp.commands import embedded, open_inputs, tell_region
from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from napari_ctvlp.scan import OrganMasks, Scan


def segment(args: SegmentArgs) -> None:
    """``napari-ctvlp segment``."""
    from napari_ctvlp.anatomy import organ_colour
    from napari_ctvlp.scan import read_scan
    from napari_ctvlp.scan.nifti_out import check_targets, write_masks_nifti
    from napari_ctvlp.segment import segment_scan

    check_targets(args.out)  # half an hour of work would be lost otherwise

    def tell(done: float) -> None:
        print(f"\rsegmenting {100 * done:3.0f} %", end="\n" if done >= 1 else "", file=sys.stderr, flush=True)

    scan = read_scan(args.scan, series=args.series)
    device = None if args.device == "auto" else args.device
    masks = segment_scan(scan, fast=args.fast, device=device, progress=tell if sys.stderr.isatty() else None)
    write_masks_nifti(args.out, scan, masks, {name: organ_colour(name) for name in masks.names.values()})
    print(f"{len(masks.names)} organs written to {args.out}")


def export(args: ExportArgs) -> None:
    """``napari-ctvlp export``."""
    maps = (args.map, args.similarity)
    if not any((args.nifti, args.seg, args.input, *maps)):
        raise UserError(
            "Say what to write: --nifti FILE, --seg FILE, --input FILE, or --map FILE and --similarity FILE with "
            "--ask QUESTION."
        )
    if (args.ask is None) == any(maps):
        raise UserError("A map needs its question, and a question its map: --map FILE --ask QUESTION.")
    from napari_ctvlp.scan.nifti_out import check_targets

    check_targets(args.nifti, args.input, *maps)
    check_places(args.seg)
    scan, masks = open_inputs(args, "napari-ctvlp export SCAN --masks MASKS --nifti FILE")
    if args.nifti is not None:
        from napari_ctvlp.anatomy import organ_colour
        from napari_ctvlp.scan.nifti_out import write_masks_nifti

        write_masks_nifti(args.nifti, scan, masks, {name: organ_colour(name) for name in masks.names.values()})
        print(f"Masks written to {args.nifti}")
    if args.seg is not None:
        from napari_ctvlp.scan.dicom_seg import write_seg

        write_seg(args.seg, scan, masks, keep_patient=args.keep_patient)
        print(f"Masks written to {args.seg}")
    if args.ask is not None:
        _export_maps(args, args.ask, scan, masks)
    if args.input is not None:
        from napari_ctvlp.encoder import load_encoder
        from napari_ctvlp.encoder.model_input import write_model_input

        for path in write_model_input(args.input, load_encoder(args.encoder), scan):
            print(f"Input written to {path}")


def _export_maps(args: ExportArgs, question: str, scan: Scan, masks: OrganMasks) -> None:
    """Write what the window's menu writes of an answered question."""
    from napari_ctvlp.exports import SCORE_MAP, SIMILARITY_MAP, Results
    from napari_ctvlp.rooms import Rooms

    rooms, embedding = Rooms(), embedded(args.encoder, scan, masks)
    tell_region(args.encoder, masks)
    ranking = rooms.rank_organs(embedding, question, not args.by_sight, masks, scan=scan)
    results = Results(scan, masks, embedding, question, ranking)
    if args.map is not None:
        print(f"Map written to {SCORE_MAP(args.map, results)}")
    if args.similarity is not None:
        if embedding.dense is None:
            name = embedding.encoder.card.name
            raise UserError(f"No map: {name} gives one vector an organ and none of places within.")
        located = None if ranking.best is None else rooms.locate(embedding, masks, ranking, scan)
        print(f"Map written to {SIMILARITY_MAP(args.similarity, replace(results, located=located))}")
