"""Stands in for TotalSegmentator: the same options, the same lines, real mask files; STANDIN says how it ends."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np

NAMES = {5: "liver", 51: "heart"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", dest="input", type=Path, required=True)
    parser.add_argument("-o", dest="output", type=Path, required=True)
    parser.add_argument("--ml", action="store_true")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--device", choices=["gpu", "cpu", "mps"], default="gpu")
    args = parser.parse_args()
    log = Path(os.environ["STANDIN_LOG"])
    with log.open("a") as stream:
        settings = json.loads((Path(os.environ["TOTALSEG_HOME_DIR"]) / "config.json").read_text())
        told = {"fast": args.fast, "device": args.device, "ml": args.ml, "pid": os.getpid(), **settings}
        told["weights"] = os.environ["TOTALSEG_WEIGHTS_PATH"]
        stream.write(json.dumps(told) + "\n")
    mode = os.environ.get("STANDIN", "works")
    print("If you use this tool please cite: https://pubs.rsna.org/doi/10.1148/ryai.230024")
    print("Resampling...")
    image = nib.load(args.input)
    parts = 1 if args.fast else 5
    for part in range(1, parts + 1):
        print("Predicting..." if args.fast else f"Predicting part {part} of {parts} ...")
        for share in (0, 50, 100):
            sys.stderr.write(f"\r{share:3d}%|{'#' * (share // 10):10}| {share // 50}/2 [00:01<00:01]")
            sys.stderr.flush()
    if mode == "fails":
        print("Traceback (most recent call last):\n  ...\nRuntimeError: no kernel image is available", file=sys.stderr)
        sys.exit(1)
    if mode == "gpu_memory":
        print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 9 GiB.", file=sys.stderr)
        sys.exit(1)
    if mode == "is_killed":
        os.kill(os.getpid(), 9)
    if mode == "hangs":
        # as nnU-Net does: workers of its own, one of them in a session of its own and deaf to gentle signals
        deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        for apart in (False, True):
            child = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=apart)
            with log.open("a") as stream:
                stream.write(json.dumps({"pid": child.pid}) + "\n")
        print("waiting for workers")
        time.sleep(600)
    print("Resampling...\nSaving segmentations...")
    if mode == "writes_nothing":
        return
    hu = np.asarray(image.dataobj)
    labels = np.zeros(hu.shape, np.uint8)
    labels[(hu > 0) & (hu < 100)] = 5
    labels[hu > 500] = 51
    made = nib.Nifti1Image(labels, image.affine)
    rows = "".join(f'<Label Key="{n}" Red="1" Green="0" Blue="0" Alpha="1">{name}</Label>' for n, name in NAMES.items())
    xml = f"<CaretExtension><VolumeInformation><LabelTable>{rows}</LabelTable></VolumeInformation></CaretExtension>"
    made.header.extensions.append(nib.nifti1.Nifti1Extension(0, xml.encode()))
    output = args.output
    if mode == "other_ending":
        output = output.with_name("masks.nii")
    nib.save(made, output)


if __name__ == "__main__":
    main()
