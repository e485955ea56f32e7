"""Which encoders are known: built in, folders, other packages; told without anything heavy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from napari_ctvlp.ask import rank_organs
from napari_ctvlp.encoder import ScanEncoder, list_encoders, list_entries, load_encoder
from napari_ctvlp.encoder.registry import PLACE, SHIPPED, EncoderEntry, RemoteFile
from napari_ctvlp.errors import UserError

EXAMPLE = Path(__file__).parent / "example"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder of encoders, away from the user's."""
    monkeypatch.setenv(PLACE, str(tmp_path / "encoders"))
    return tmp_path / "encoders"


def install(site: Path, module: Path, project: Path) -> None:
    """What pip leaves of a package that is one module: the module and its metadata."""
    said = tomllib.loads(project.read_text())["project"]
    shutil.copy(module, site)
    info = site / f"{said['name'].replace('-', '_')}-{said['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {said['name']}\nVersion: {said['version']}\n")
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
        for group, named in said["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(points)


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder of installed packages with the example in it."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, EXAMPLE / "density_encoder.py", EXAMPLE / "pyproject.toml")
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("density_encoder", None)


def test_the_example_package_is_short_enough_to_copy():
    lines = sum(len(p.read_text().splitlines()) for p in EXAMPLE.iterdir() if p.suffix == ".py")
    assert lines <= 40


def test_an_encoder_of_another_package_is_listed_loaded_and_asked(site, phantom):
    entry = list_entries()["density"]
    assert entry.source == "package density-encoder" and entry.licence == "MIT" and not entry.missing()
    assert "density" in list_encoders()
    encoder = load_encoder("density")
    assert isinstance(encoder, ScanEncoder)
    ranking = rank_organs(encoder.encode_scan(*phantom), "fluid", use_names=False)
    assert ranking.organs[0].organ in ("kidney_left", "kidney_right")  # 30 HU, the nearest to fluid


def test_commands_know_it_too(site):
    told = run_cli(["doctor", "density"], site)
    assert "package density-encoder" in told and "left/right" in told and "HU" in told


def run_cli(args: list[str], site: Path) -> str:
    path = os.pathsep.join([str(site), str(Path(__file__).parents[2])])
    env = os.environ | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-m", "napari_ctvlp.cli", *args], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "raise RuntimeError('broken')",
        "entry = 3",
        "from density_encoder import entry\nfrom dataclasses import replace\nentry = replace(entry, name='starter')",
    ],
)
def test_a_package_that_is_wrong_does_not_take_the_others_along(site, tmp_path, code, caplog):
    module = tmp_path / "wrong_encoder.py"
    module.write_text(code)
    project = tmp_path / "wrong.toml"
    project.write_text(
        '[project]\nname = "wrong"\nversion = "1"\n[project.entry-points."napari_ctvlp.encoders"]\n'
        'wrong = "wrong_encoder:entry"\n'
    )
    install(site, module, project)
    entries = list_entries()
    sys.modules.pop("wrong_encoder", None)
    assert {"starter", "density"} <= set(entries) and entries["starter"].source == "built in"
    assert "left out" in caplog.text and "wrong" in caplog.text


def test_a_folder_of_the_user_is_known_by_its_name(place):
    shutil.copytree(SHIPPED / "starter", place / "mine", ignore=shutil.ignore_patterns("*.safetensors", "text"))
    entry = list_entries()["mine"]
    assert entry.source == "folder" and entry.licence.startswith("BSD") and entry.place == place / "mine"
    (told,) = entry.missing()
    assert "model.safetensors" in told and "mine" not in list_encoders()
    (place / "mine" / "config.json").write_text("{")
    assert "damaged" in list_entries()["mine"].summary


def test_a_folder_cannot_pass_for_a_built_in_encoder(place):
    shutil.copytree(SHIPPED / "starter", place / "starter", ignore=shutil.ignore_patterns("*.safetensors", "text"))
    assert list_entries()["starter"].place == SHIPPED / "starter"


def test_what_is_missing_is_said_with_the_command_that_brings_it(place):
    entry = EncoderEntry(
        "some", "MIT", "scans", "An encoder.", "chest", load=lambda folder, device: None,
        files=(RemoteFile("org/repo", "w.bin", "w.bin", 3.0),), supplied=("own.pt",), how="ask them",
        requires=("no_such_module",), install="pip install no-such",
    )  # fmt: skip
    told = entry.missing()
    assert len(told) == 3 and "pip install no-such" in told[0] and "napari-ctvlp install some" in told[1]
    assert "ask them" in told[2] and entry.size_mb == 3.0
    (place / "some").mkdir(parents=True)
    (place / "some" / "w.bin").write_bytes(bytes(1_000_000))
    (place / "some" / "own.pt").write_bytes(bytes(1_000_000))
    assert len(entry.missing()) == 1


def test_an_encoder_that_is_not_installed_is_refused_with_what_to_do():
    with pytest.raises(UserError, match="napari-ctvlp install fvlm"):
        load_encoder("fvlm")
    assert "fvlm" in list_entries() and "fvlm" not in list_encoders()


def test_a_mark_that_names_no_adapter_is_refused(tmp_path):
    (tmp_path / "encoder.json").write_text(json.dumps({"adapter": "of tomorrow"}))
    with pytest.raises(UserError, match="adapter"):
        load_encoder(tmp_path)


def test_every_entry_is_complete_and_nothing_heavy_is_imported(site):
    code = (
        "import sys; from napari_ctvlp.encoder import list_entries\n"
        "for e in list_entries().values():\n"
        "    assert e.licence and e.trained_on and e.summary and e.region in ('chest', 'abdomen', 'body'), e\n"
        "    assert e.terms or not e.files, e\n"
        "    e.missing(), e.size_mb, e.place\n"
        "print([m for m in ('torch', 'transformers', 'qtpy', 'napari', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
