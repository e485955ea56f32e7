"""A scan seen before is not encoded again, and nothing else is ever taken for it."""

from __future__ import annotations

import dataclasses
import gc
import os
import weakref

import numpy as np
import pytest

from napari_ctvlp.encoder.cache import EmbeddingCache, embedding_key
from napari_ctvlp.encoder.contract import EncodingCancelled, OrganStatus, ScanEmbedding
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import OrganMasks
from tests.conftest import WordEncoder


class Places:
    """Embeddings of places, as an encoder gives them."""

    def __init__(self, run) -> None:
        self.run = run

    def cells(self, organ):
        return organ, self.run


class CountingEncoder(WordEncoder):
    """Counts, and answers with values that no cache could guess."""

    def __init__(self, **card) -> None:
        super().__init__()
        self.card = dataclasses.replace(self.card, **card)
        self.runs = 0

    def encode_scan(self, scan, masks, *, progress=None, cancelled=None):
        self.runs += 1
        if cancelled is not None and cancelled():
            raise EncodingCancelled
        names = tuple(masks.names.values())
        vectors = np.random.default_rng(self.runs).standard_normal((len(names), 64)).astype(np.float32)
        status = (OrganStatus.CUT, *(OrganStatus.COMPLETE,) * (len(names) - 1))
        return ScanEmbedding(names, vectors, status, self, Places(self.runs))


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / "cache")


def files(cache):
    return sorted(cache.folder.iterdir())


def test_the_second_time_nothing_is_encoded(cache, phantom):
    encoder, again = CountingEncoder(), CountingEncoder()
    first = cache.encode_scan(encoder, *phantom)
    seen: list[float] = []
    second = cache.encode_scan(again, *phantom, progress=seen.append)
    assert (encoder.runs, again.runs, seen) == (1, 0, [1.0])
    assert (second.organs, second.status) == (first.organs, first.status) and second.encoder is again
    np.testing.assert_array_equal(second.vectors, first.vectors)


def test_organs_that_an_encoder_sees_as_one_stay_one(cache, phantom):
    """fVLM's eleven findings of the lung hang on it: without the group nothing is called lung."""

    class Pairing(CountingEncoder):
        def encode_scan(self, scan, masks, **more):
            made = super().encode_scan(scan, masks, **more)
            return dataclasses.replace(made, groups={"kidneys": ("kidney_left", "kidney_right"), "liver": ("liver",)})

    encoder = Pairing()
    first, second = (cache.encode_scan(encoder, *phantom) for _ in range(2))
    assert encoder.runs == 1 and second.groups == first.groups
    assert second.groups == {"kidneys": ("kidney_left", "kidney_right"), "liver": ("liver",)}


def test_places_are_encoded_when_they_are_asked_for(cache, phantom):
    encoder = CountingEncoder()
    cache.encode_scan(encoder, *phantom)
    again = cache.encode_scan(encoder, *phantom)
    assert encoder.runs == 1
    assert again.dense.cells("liver") == ("liver", 2) and again.dense.cells("spleen") == ("spleen", 2)
    assert again.dense.judged("liver", "liver_cyst") is None, "these places are not judged"
    assert encoder.runs == 2


def test_judgements_of_places_come_through_the_cache(cache, phantom, monkeypatch):
    monkeypatch.setattr(Places, "judged", lambda self, organ, finding: (organ, finding, self.run), raising=False)
    encoder = CountingEncoder()
    cache.encode_scan(encoder, *phantom)
    again = cache.encode_scan(encoder, *phantom)
    assert again.dense.judged("liver", "liver_cyst") == ("liver", "liver_cyst", 2)


class KeepingEncoder(CountingEncoder):
    """Makes places alone, and says what it was given for it."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[dict] = []

    def encode_scan(self, scan, masks, **more):
        made = super().encode_scan(scan, masks, **more)
        made.dense.kept = {"small": scan.hu[::2].astype(np.float32)}
        return made

    def dense_again(self, scan, masks, kept):
        self.given.append(dict(kept))
        made = Places("again")
        made.kept = {"small": scan.hu[::2].astype(np.float32)}
        return made


def test_places_are_made_from_what_was_kept_of_the_scan(cache, phantom):
    scan, masks = phantom
    encoder = KeepingEncoder()
    cache.encode_scan(encoder, scan, masks)
    assert len(files(cache)) == 2
    again = cache.encode_scan(encoder, scan, masks)
    assert again.dense.made is None and not encoder.given
    assert again.dense.cells("liver") == ("liver", "again") and again.dense.made is not None
    np.testing.assert_array_equal(encoder.given[0]["small"], scan.hu[::2])
    other = dataclasses.replace(masks, names={**masks.names, 5: "stomach"})
    cache.encode_scan(encoder, scan, other)
    assert len(files(cache)) == 3, "what is kept of the scan serves all its masks"
    assert encoder.runs == 2


@pytest.mark.parametrize("damage", ["gone", "cut", "bit"])
def test_what_was_kept_and_is_damaged_is_made_again(cache, phantom, damage):
    encoder = KeepingEncoder()
    cache.encode_scan(encoder, *phantom)
    (path,) = (p for p in files(cache) if p.name.endswith(".places.safetensors"))
    whole = path.read_bytes()
    data = bytearray(whole)
    if damage == "bit":
        data[-100] ^= 1
    path.write_bytes(data[: -8 if damage == "cut" else None])
    if damage == "gone":
        path.unlink()
    assert cache.encode_scan(encoder, *phantom).dense.cells("liver") == ("liver", "again")
    assert encoder.given == [{}] and encoder.runs == 1
    assert path.read_bytes() == whole


def test_what_is_kept_of_scans_takes_half_of_the_room_at_most(phantom, tmp_path):
    scan, masks = phantom
    one = scan.hu[::2].astype(np.float32).nbytes
    cache = EmbeddingCache(tmp_path / "cache", limit=3 * one)
    scans = [dataclasses.replace(scan, hu=scan.hu + np.int16(n)) for n in range(3)]
    for each in scans:
        cache.encode_scan(KeepingEncoder(), each, masks)
    kept = [p for p in files(cache) if p.name.endswith(".places.safetensors")]
    assert len(kept) == 1 and len(files(cache)) == 4
    cache = EmbeddingCache(tmp_path / "small", limit=one)
    cache.encode_scan(KeepingEncoder(), scan, masks)
    assert len(files(cache)) == 1


def test_a_cached_embedding_keeps_no_closed_scan_alive(cache, phantom):
    scan, masks = (dataclasses.replace(one) for one in phantom)
    encoder = CountingEncoder()
    cache.encode_scan(encoder, scan, masks)
    embedding = cache.encode_scan(encoder, scan, masks)
    gone = weakref.ref(scan), weakref.ref(masks)
    del scan, masks
    gc.collect()
    assert gone[0]() is None and gone[1]() is None
    with pytest.raises(ReferenceError):
        embedding.dense.cells("liver")


def test_whatever_an_embedding_depends_on_is_in_the_key(phantom):
    scan, masks = phantom
    hu, labels = scan.hu.copy(), masks.labels.copy()
    hu[0, 0, 0] += 1
    labels[0, 0, 0] = 5
    names = {**masks.names, 5: "stomach"}
    cut = {k: dataclasses.replace(v, touches_edge=True) for k, v in masks.statistics.items()}
    moved = scan.affine.copy()
    moved[0, 3] += 1
    others = [
        (CountingEncoder(revision="next"), scan, masks),
        (CountingEncoder(preprocessing="2"), scan, masks),
        (CountingEncoder(organs=("liver",)), scan, masks),
        (CountingEncoder(), dataclasses.replace(scan, hu=hu), masks),
        (CountingEncoder(), dataclasses.replace(scan, affine=moved), masks),
        (CountingEncoder(), dataclasses.replace(scan, spacing=(3.0, 2.0, 2.5)), masks),
        (CountingEncoder(), scan, dataclasses.replace(masks, labels=labels)),
        (CountingEncoder(), scan, dataclasses.replace(masks, names=names)),
        (CountingEncoder(), scan, dataclasses.replace(masks, statistics=cut)),
    ]
    keys = {embedding_key(*given) for given in [(CountingEncoder(), scan, masks), *others]}
    assert len(keys) == len(others) + 1


def test_names_of_files_do_not_matter(phantom):
    scan, masks = phantom
    renamed = dataclasses.replace(scan, name="Mustermann", source="/home/x/Mustermann.nii.gz")
    assert embedding_key(CountingEncoder(), scan, masks) == embedding_key(CountingEncoder(), renamed, masks)


def test_no_name_is_stored(cache, phantom):
    scan, masks = phantom
    names = {label: f"Mustermann_{name}" for label, name in masks.names.items()}
    own = OrganMasks(masks.labels, names, "", statistics=organ_statistics(scan, masks.labels, names))
    encoder = CountingEncoder()
    cache.encode_scan(encoder, dataclasses.replace(scan, name="Mustermann"), own)
    (path,) = files(cache)
    assert b"ustermann" not in path.read_bytes() and "ustermann" not in path.name
    assert cache.encode_scan(encoder, scan, own).organs == tuple(names.values()) and encoder.runs == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "bit", "header", "foreign"])
def test_a_damaged_file_is_made_again(cache, phantom, damage):
    first = CountingEncoder()
    cache.encode_scan(first, *phantom)
    (path,) = files(cache)
    data = bytearray(path.read_bytes())
    if damage == "empty":
        data = bytearray()
    elif damage == "cut":
        data = data[:-8]
    elif damage == "bit":
        data[-100] ^= 1
    elif damage == "header":
        data[:8] = b"\xff" * 8
    else:
        data = bytearray(b"something else")
    path.write_bytes(data)
    cache.encode_scan(first, *phantom)
    assert first.runs == 2
    cache.encode_scan(first, *phantom)
    assert first.runs == 2 and len(files(cache)) == 1


def test_size_is_bounded_and_the_longest_unused_goes_first(phantom, tmp_path):
    scan, masks = phantom
    encoder = CountingEncoder()
    EmbeddingCache(tmp_path / "probe").encode_scan(encoder, scan, masks)
    size = next((tmp_path / "probe").iterdir()).stat().st_size
    cache = EmbeddingCache(tmp_path / "cache", limit=2 * size + size // 2)
    scans = [dataclasses.replace(scan, hu=scan.hu + np.int16(n)) for n in range(3)]
    keys = [embedding_key(encoder, one, masks) for one in scans]
    for age, one in enumerate(scans[:2]):
        cache.encode_scan(encoder, one, masks)
        os.utime(cache.folder / f"{keys[age]}.safetensors", (1000 + age, 1000 + age))
    cache.encode_scan(encoder, scans[0], masks)  # used again: now the second is the oldest
    cache.encode_scan(encoder, scans[2], masks)
    assert {p.stem for p in files(cache)} == {keys[0], keys[2]}


def test_a_cancelled_encoding_leaves_nothing(cache, phantom):
    with pytest.raises(EncodingCancelled):
        cache.encode_scan(CountingEncoder(), *phantom, cancelled=lambda: True)
    assert not cache.folder.exists()


def test_a_folder_that_cannot_be_written_to_costs_no_answer(phantom, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    cache, encoder = EmbeddingCache(tmp_path / "cache"), CountingEncoder()
    assert cache.encode_scan(encoder, *phantom).organs == tuple(phantom[1].names.values())
    assert encoder.runs == 1
