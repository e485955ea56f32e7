"""NIfTI files, read once, slab by slab: the header through nibabel, the voxels through isal straight to their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.geometry import RAS_LPS, Affine, check_affine, slabs

SUFFIXES = (".nii", ".nii.gz")
_MAX_DEFLATE = 1032  # the highest ratio that deflate can reach (zlib's technical notes)


def is_nifti_name(path: Path) -> bool:
    """Whether a file is called like a NIfTI file."""
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """Name of a NIfTI file without .nii or .nii.gz."""
    name = path.name
    for suffix in (".nii.gz", ".nii"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem


@dataclass(frozen=True, eq=False)
class NiftiVolume:
    """One 3D volume in a NIfTI file; nothing but the header has been read.

    Attributes
    ----------
    shape : (x, y, z)
    dtype : numpy dtype on disk
    affine : (4, 4) stored index to LPS mm
    affine_from : str
        "sform", "qform" or "" when the header holds neither.
    slope, inter : float
        Rescaling that the header asks for; 1 and 0 when none.
    extensions : tuple of bytes
        Contents of the header extensions.
    notes : tuple of str
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    affine: Affine
    affine_from: str
    slope: float
    inter: float
    offset: int
    extensions: tuple[bytes, ...]
    notes: tuple[str, ...]

    @property
    def scaled(self) -> bool:
        """Whether stored values have to be rescaled."""
        return (self.slope, self.inter) != (1.0, 0.0)

    @property
    def names(self) -> dict[int, str]:
        """Label names in the header extensions; empty for a scan."""
        from napari_ctvlp.scan.naming import names_in_extensions

        return names_in_extensions(self.extensions)

    def slabs(self) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Stored values as (start, stop, (x, y, stop - start) array), in the order of the file.

        The array is a view of one buffer that the next step overwrites.

        Raises
        ------
        UserError
            If the file ends early or is damaged.
        """
        nx, ny, nz = self.shape
        ranges = list(slabs(nz, nx * ny))
        buffer = np.empty((ranges[0][1], ny, nx), self.dtype)
        flat = memoryview(buffer.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        with _stream(self.path) as stream:
            _skip(stream, self.offset)
            for start, stop in ranges:
                size = (stop - start) * ny * nx * self.dtype.itemsize
                _fill(stream, flat[:size])
                yield start, stop, buffer[: stop - start].T
            _drain(stream)


def open_nifti(path: Path) -> NiftiVolume:
    """Read and check the header of a NIfTI-1 or NIfTI-2 file.

    Raises
    ------
    UserError
        Empty, truncated or foreign file, RGB or complex values, several volumes, an affine that describes no grid.
    """
    with _stream(path) as stream:
        header = _header(stream, path.name)
    name = path.name
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 3:
        text = " x ".join(map(str, shape))
        raise UserError(f"{name}: holds several volumes ({text}); save the one to look at as a 3D file.")
    if len(shape) < 3 or min(shape) < 2:
        text = " x ".join(map(str, shape))
        raise UserError(f"{name}: is no volume ({text} voxels); a scan needs at least two slices along every axis.")
    dtype = header.get_data_dtype()
    if dtype.fields is not None:
        raise UserError(
            f"{name}: holds colours (RGB), not Hounsfield units; open the scan that the picture was made from."
        )
    if dtype.kind not in "iuf":
        raise UserError(f"{name}: holds {dtype} values, not Hounsfield units; save the scan as int16.")
    slope, inter = _slope_inter(header, name)
    affine, affine_from, notes = _affine(header)
    check_affine(affine, name)
    volume = NiftiVolume(
        path=path,
        shape=(shape[0], shape[1], shape[2]),
        dtype=dtype,
        affine=affine,
        affine_from=affine_from,
        slope=slope,
        inter=inter,
        offset=int(header.get_data_offset()),
        extensions=tuple(_content(extension) for extension in header.extensions),
        notes=notes,
    )
    _check_size(volume)
    return volume


def _header(stream: IO[bytes], name: str) -> Any:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    start = stream.read(540)
    if start[344:348] == b"n+1\0":
        kind: type[Nifti1Header] = Nifti1Header
    elif start[4:8] == b"n+2\0":
        kind = Nifti2Header
    elif start[344:348] == b"ni1\0" or start[4:8] == b"ni2\0":
        raise UserError(f"{name}: is the header of a two-file NIfTI; save header and image as one .nii.gz file.")
    else:
        raise UserError(
            f"{name}: is not a NIfTI file (its header has no NIfTI signature); convert it to .nii.gz first."
        )
    stream.seek(0)
    try:
        return kind.from_fileobj(stream)
    except (HeaderDataError, WrapStructError, ValueError) as error:
        raise UserError(f"{name}: has a NIfTI header that cannot be read; export the file again.") from error


def _content(extension: Any) -> bytes:
    content = extension.content if hasattr(extension, "content") else extension.get_content()
    return content if isinstance(content, bytes) else b""


def _slope_inter(header: Any, name: str) -> tuple[float, float]:
    """Rescaling by the rules of the format: a slope of 0, NaN or infinity means none."""
    from nibabel.spatialimages import HeaderDataError

    try:
        slope, inter = header.get_slope_inter()
    except HeaderDataError as error:
        raise UserError(
            f"{name}: its header holds a rescale intercept that is not a number; export the file again."
        ) from error
    return (1.0 if slope is None else float(slope)), (0.0 if inter is None else float(inter))


def _affine(header: Any) -> tuple[Affine, str, tuple[str, ...]]:
    """Affine to LPS mm (sform, else qform), where it came from, and what had to be assumed."""
    from nibabel.spatialimages import HeaderDataError

    affine, source = header.get_base_affine(), ""
    if int(header["qform_code"]) > 0:
        try:
            affine, source = header.get_qform(), "qform"
        except HeaderDataError:
            affine, source = np.full((4, 4), np.nan), "qform"  # told by check_affine unless the sform is good
    if int(header["sform_code"]) > 0:
        sform = header.get_sform()
        if source != "qform" or abs(np.linalg.det(sform[:3, :3])) > 0:
            affine, source = sform, "sform"
    affine = RAS_LPS @ np.asarray(affine, np.float64)
    notes: tuple[str, ...] = ()
    unit = {1: ("metres", 1e3), 3: ("micrometres", 1e-3)}.get(int(header["xyzt_units"]) & 7)
    if unit is not None:
        size = float(np.abs(np.linalg.det(affine[:3, :3]))) ** (1 / 3)
        # many writers leave a wrong unit in the header: believe it only where mm make no sense and the unit does
        if not 0.05 <= size <= 20 and 0.05 <= size * unit[1] <= 20:
            affine = np.diag([unit[1]] * 3 + [1.0]) @ affine
            notes = (f"lengths in the header are in {unit[0]}; taken to mm",)
    return affine, source, notes


def _check_size(volume: NiftiVolume) -> None:
    """A header that promises more voxels than the file can hold must not make us allocate them."""
    size = volume.path.stat().st_size
    limit = size * _MAX_DEFLATE if _is_gzip(volume.path) else size
    if volume.offset + int(np.prod(volume.shape, dtype=np.int64)) * volume.dtype.itemsize > limit:
        raise UserError(_truncated(volume.path.name))


def _truncated(name: str) -> str:
    return f"{name}: ends before its last slice (truncated); copy or download the file again."


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextmanager
def _stream(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if it is gzip whatever its name says; its failures told as UserError."""
    from isal import igzip, isal_zlib

    name = path.name
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{name}: is an empty file; copy or download it again.")
        with igzip.open(path, "rb") if _is_gzip(path) else path.open("rb") as stream:
            yield stream
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{name}: there is no such file.") from error
    except EOFError as error:
        raise UserError(_truncated(name)) from error
    except isal_zlib.error as error:  # type: ignore[misc]
        raise UserError(f"{name}: its gzip data is damaged; copy or download the file again.") from error
    except OSError as error:
        what = "is damaged (its gzip checksum is wrong)" if isinstance(error, igzip.BadGzipFile) else "cannot be read"
        detail = "" if error.strerror is None else f" ({error.strerror})"
        raise UserError(f"{name}: {what}{detail}; check the file and its permissions.") from error


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0:
        chunk = stream.read(min(count, 1 << 20))
        if not chunk:
            raise EOFError
        count -= len(chunk)


def _drain(stream: IO[bytes], limit: int = 1 << 26) -> None:
    """Read what follows the voxels: only at the end gzip compares its checksum, and damage can lengthen the data."""
    while limit > 0 and (chunk := stream.read(1 << 20)):
        limit -= len(chunk)


def _fill(stream: IO[bytes], target: memoryview) -> None:
    done = 0
    while done < len(target):
        got = stream.readinto(target[done:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        done += got
