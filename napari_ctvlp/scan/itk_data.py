"""The voxels in NRRD and MetaImage files, as their headers describe them: are they all there, and undamaged?

ITK takes damaged compressed voxels for good ones, with a line on the terminal at most. So they are unpacked here once,
which compares the checksum that gzip and zlib keep, before ITK reads the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError

_NRRD_TYPES = {
    "i1": "signed char|int8|int8_t", "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t", "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t", "f4": "float", "f8": "double",
}  # fmt: skip
_META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_LONGEST_HEADER = 1 << 22
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, eq=False)
class StoredVoxels:
    """Where the voxels of a file lie, and how.

    Attributes
    ----------
    path : Path
        Of the header.
    file : Path
        Of the voxels: the same, or one beside it.
    offset : int
        Where they begin there.
    dtype : numpy dtype
    count : int
        How many numbers there are.
    components : int
        How many of them belong to one voxel.
    packed : bool
        Whether they are compressed by gzip or zlib.
    named : bool
        Whether the header describes segments, as 3D Slicer does.
    """

    path: Path
    file: Path
    offset: int
    dtype: np.dtype[Any]
    count: int
    components: int
    packed: bool
    named: bool

    def unpacked(self) -> Iterator[bytes]:
        """The voxels as they are stored, unpacked, in pieces.

        Raises
        ------
        UserError
            When they are damaged or the file ends early.
        """
        from isal import isal_zlib

        name = self.path.name
        try:
            with self.file.open("rb") as stream:
                stream.seek(self.offset)
                yield from _inflated(stream) if self.packed else iter(lambda: stream.read(_CHUNK), b"")
        except FileNotFoundError as error:
            raise UserError(
                f"{name}: its voxels lie in another file, {self.file.name}, which is not there; copy both together."
            ) from error
        except EOFError as error:
            raise UserError(_truncated(name)) from error
        except isal_zlib.error as error:  # type: ignore[misc]
            raise UserError(f"{name}: its compressed voxels are damaged; copy or download the file again.") from error
        except OSError as error:
            raise UserError(f"{name}: cannot be read; check the file and its permissions.") from error

    def first(self, count: int) -> NDArray[Any]:
        """The first values of the file, at most so many."""
        found = b""
        for piece in self.unpacked():
            found += piece
            if len(found) >= count * self.dtype.itemsize:
                break
        whole = min(len(found) // self.dtype.itemsize, count, self.count)
        return np.frombuffer(found, self.dtype, whole)


def check_voxels(path: Path) -> None:
    """Raise UserError unless all voxels that the header promises are there and undamaged, where that can be told."""
    stored = stored_voxels(path)
    if stored is None:
        return
    needed = stored.count * stored.dtype.itemsize
    if stored.packed:
        there = sum(len(piece) for piece in stored.unpacked())
    else:
        next(stored.unpacked(), b"")  # tells a file that is missing or may not be read
        there = stored.file.stat().st_size - stored.offset
    if there < needed:
        raise UserError(_truncated(path.name))


def stored_voxels(path: Path) -> StoredVoxels | None:
    """What the header says of the voxels; None for a form that only ITK reads (text, several files) or no header."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            file.seek(0)
            return _nrrd(path, file) if start == b"NRRD" else _meta(path, file)
    except (OSError, ValueError, KeyError, OverflowError):
        return None


def _nrrd(path: Path, file: IO[bytes]) -> StoredVoxels | None:
    keys: dict[str, str] = {}
    segments = False
    for line in _lines(file):
        if not line:
            break
        segments |= re.match(r"Segment\d+_ID:=", line) is not None
        if not line.startswith("#") and ": " in line and ":=" not in line.split(": ")[0]:
            key, value = line.split(": ", 1)
            keys[key.replace(" ", "").lower()] = value.strip()
    kind = next(code for code, words in _NRRD_TYPES.items() if keys["type"].lower() in words.split("|"))
    packing = keys["encoding"].lower()
    if packing not in ("raw", "gzip", "gz") or any(int(keys.get(key, "0")) for key in ("lineskip", "byteskip")):
        return None
    sizes = [int(n) for n in keys["sizes"].split()]
    vector = keys.get("kinds", "").split()[:1] not in ([], ["domain"], ["space"]) and len(sizes) > 3
    return _stored(
        path, file, keys.get("datafile", "LOCAL"), kind, keys.get("endian", "little") == "big", sizes,
        sizes[0] if vector else 1, packing != "raw", segments,
    )  # fmt: skip


def _meta(path: Path, file: IO[bytes]) -> StoredVoxels | None:
    keys: dict[str, str] = {}
    for line in _lines(file):
        key, _, value = line.partition("=")
        keys[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    if not _true(keys.get("BinaryData", "True")) or int(keys.get("HeaderSize", "0")):
        return None
    components = int(keys.get("ElementNumberOfChannels", "1"))
    order = keys.get("BinaryDataByteOrderMSB", keys.get("ElementByteOrderMSB", "False"))
    sizes = [*(int(n) for n in keys["DimSize"].split()), components]
    return _stored(
        path, file, keys["ElementDataFile"], _META_TYPES[keys["ElementType"]], _true(order), sizes, components,
        _true(keys.get("CompressedData", "False")), False,
    )  # fmt: skip


def _stored(
    path: Path, file: IO[bytes], where: str, kind: str, big: bool, sizes: list[int], components: int, packed: bool,
    named: bool,
) -> StoredVoxels | None:  # fmt: skip
    own = where.upper() == "LOCAL"
    if not own and (where.split()[:1] == ["LIST"] or "%" in where):
        return None
    dtype = np.dtype((">" if big else "<") + kind)
    count = 1
    for size in sizes:
        count *= size
    place = path if own else path.parent / where
    return StoredVoxels(path, place, file.tell() if own else 0, dtype, count, components, packed, named)


def _true(text: str) -> bool:
    return text.strip().lower() in ("true", "1", "t", "yes")


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Lines of a header, without their ends."""
    while file.tell() < _LONGEST_HEADER and (line := file.readline(_LONGEST_HEADER)):
        yield line.rstrip(b"\r\n").decode("utf-8", "replace")


def _inflated(stream: IO[bytes]) -> Iterator[bytes]:
    """What gzip or zlib packed, in pieces; the decoder compares the checksum at the end of each member."""
    from isal import isal_zlib

    data = stream.read(_CHUNK)
    bits = 31 if data.startswith(_GZIP) else 15
    decoder = isal_zlib.decompressobj(wbits=bits)
    while data:
        yield decoder.decompress(data, _CHUNK * 8)
        if decoder.eof:
            data = decoder.unused_data or stream.read(_CHUNK)
            if bits == 15 or not data.startswith(_GZIP):
                return
            decoder = isal_zlib.decompressobj(wbits=bits)
        else:
            data = decoder.unconsumed_tail or stream.read(_CHUNK)
    raise EOFError


def _truncated(name: str) -> str:
    return f"{name}: ends before its last voxel (truncated); copy or download the file again."
