# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's INT8 calibration cache: one scale per tensor, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
import hashlib
import math
from pathlib import Path
import re
import struct

from ..errors import CalibrationCacheError
from ..values.regular_file import read_regular
from ..values.version import parse_version

__all__ = [
    'CalibrationCache',
    'cache_version_number',
    'parse_calibration_cache',
    'read_calibration_cache',
]

ALGORITHMS = (
    'EntropyCalibration2',
    'MinMaxCalibration',
    'EntropyCalibration',
    'LegacyCalibration',
)
_HEADER = re.compile(r'TRT-([1-9][0-9]{3,5})-([A-Za-z0-9]+)')
_HEX = re.compile(r'[0-9A-Fa-f]+')
_BOM = b'\xef\xbb\xbf'
# One of a thousand tensors with long names has 0.1 MB.
_LARGEST_FILE = 16 << 20


@dataclass(frozen=True, slots=True)
class CalibrationCache:
    """
    The scales of a network's tensors.

    :param header: first line of the file, e.g. 'TRT-101401-EntropyCalibration2'.
    :param scales: tensor name to scale (largest magnitude / 127, as float32), in the order of the
        file; 0 for a tensor that was always 0.
    :raises CalibrationCacheError: if a header, name or scale cannot be written to such a file.
    """

    header: str
    scales: Mapping[str, float]

    def __post_init__(self) -> None:
        _match_header(self.header)
        rounded = {}
        for name, scale in self.scales.items():
            _check_name(name)
            rounded[name] = _as_float32(name, scale)
        object.__setattr__(self, 'scales', rounded)

    @property
    def algorithm(self) -> str:
        """Return the name of the calibrator, e.g. 'EntropyCalibration2'."""
        return _match_header(self.header)[2]

    @property
    def sha256(self) -> str:
        """Return the hash of the file that :meth:`to_bytes` gives."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the file that TensorRT reads."""
        lines = [self.header]
        for name, scale in self.scales.items():
            lines.append(f'{name}: {struct.pack(">f", scale).hex()}')
        return ('\n'.join(lines) + '\n').encode()

    def matching(self, names: Iterable[str]) -> CalibrationCache:
        """Return only the entries of these tensors, in the order of the file."""
        wanted = set(names)
        return replace(self, scales={n: s for n, s in self.scales.items() if n in wanted})


def cache_version_number(version: str) -> int:
    """
    Return the number of a TensorRT version in the header of a calibration cache.

    :param version: full version, e.g. '8.6.1' (8601) or '10.14.1.48' (101401).
    :raises CalibrationCacheError: if it is not three or more numbers.
    """
    try:
        major, minor, patch = parse_version(version)
    except ValueError as error:
        raise CalibrationCacheError(f'TensorRT {error}') from error
    # TensorRT changed the factor of the major number with release 10.0.
    return major * (10_000 if major >= 10 else 1_000) + minor * 100 + patch


def read_calibration_cache(path: Path) -> CalibrationCache:
    """
    Read a calibration cache file.

    :raises CalibrationCacheError: if it cannot be read, is larger than 16 MiB or is malformed,
        with its path.
    """
    try:
        data = read_regular(path, _LARGEST_FILE)
    except OSError as error:
        raise CalibrationCacheError(
            f'calibration cache {path} cannot be read: {error.strerror or error}; name a '
            'file that calibrate wrote'
        ) from error
    try:
        return parse_calibration_cache(data)
    except CalibrationCacheError as error:
        raise CalibrationCacheError(f'calibration cache {path}: {error}') from error


def parse_calibration_cache(data: bytes) -> CalibrationCache:
    """
    Read the text of a calibration cache.

    Beyond the files that TensorRT writes it accepts a byte order mark, CR LF, blanks at the end of
    a line, empty lines at the end, upper-case digits, and omitted leading zeros.

    :raises CalibrationCacheError: with the number of the line and the reason.
    """
    lines = data.removeprefix(_BOM).split(b'\n')
    ends_in_newline = not lines[-1]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise CalibrationCacheError(
            "the file is empty; expected a header like 'TRT-101401-EntropyCalibration2' and one "
            "line 'tensor: scale' per tensor"
        )
    header = _decode(1, lines[0])
    _match_header(header)
    scales: dict[str, float] = {}
    first_lines: dict[str, int] = {}
    for number, raw in enumerate(lines[1:], start=2):
        cut_off = number == len(lines) and not ends_in_newline
        name, scale = _parse_entry(number, _decode(number, raw), cut_off=cut_off)
        if name in scales:
            raise CalibrationCacheError(
                f'line {number}: tensor {name!r} is in line {first_lines[name]} already; '
                'expected each once: two caches may have been joined'
            )
        scales[name] = scale
        first_lines[name] = number
    if not scales:
        raise CalibrationCacheError(
            f'the file holds only its header {header!r} and no scale; calibrate again'
        )
    return CalibrationCache(header, scales)


def _decode(number: int, raw: bytes) -> str:
    """Return a line as text without the blanks at its end."""
    try:
        text = raw.decode('utf-8')
    except UnicodeDecodeError as error:
        raise CalibrationCacheError(
            f'line {number}: byte {error.start + 1} is not UTF-8 text; the file is binary or '
            'damaged'
        ) from error
    if '\0' in text:
        raise CalibrationCacheError(
            f'line {number}: holds a zero byte; expected text, but the file is binary'
        )
    return text.rstrip(' \t\r')


def _match_header(header: str) -> re.Match[str]:
    """Return the parts of a header, or raise CalibrationCacheError."""
    match = _HEADER.fullmatch(header)
    if match is None:
        raise CalibrationCacheError(
            f"line 1: header is {header[:60]!r}; expected 'TRT-<version>-<calibrator>', "
            "e.g. 'TRT-101401-EntropyCalibration2'"
        )
    if match[2] not in ALGORITHMS:
        raise CalibrationCacheError(
            f'line 1: calibrator is {match[2]!r}; expected one of {", ".join(ALGORITHMS)}'
        )
    return match


def _parse_entry(number: int, line: str, *, cut_off: bool) -> tuple[str, float]:
    """Return the tensor's name and the scale in a line, or raise CalibrationCacheError."""
    # At the last colon: names hold colons ('model.0:0') and blanks themselves.
    name, colon, text = line.rpartition(':')
    text = text.lstrip(' \t')
    if not colon or not name:
        raise CalibrationCacheError(
            f"line {number}: is {line[:80]!r}; expected 'tensor: eight hex digits'"
        )
    if not _HEX.fullmatch(text) or len(text) > 8:
        raise CalibrationCacheError(
            f'line {number}: the scale of {name!r} is {text[:40]!r}; expected eight hex digits'
        )
    if cut_off and len(text) < 8:
        raise CalibrationCacheError(
            f'line {number}: ends after {text!r} without a line break: the file was cut off'
        )
    scale: float = struct.unpack('>f', bytes.fromhex(text.zfill(8)))[0]
    fault = _scale_fault(scale)
    if fault:
        raise CalibrationCacheError(f'line {number}: the scale of {name!r} is {scale}; {fault}')
    return name, scale


def _scale_fault(scale: float) -> str:
    """Return the fault of a scale, '' if it is valid."""
    if not math.isfinite(scale):
        return 'expected a finite number; calibrate again'
    if math.copysign(1.0, scale) < 0:
        return 'expected 0 or more; calibrate again'
    return ''


def _check_name(name: str) -> None:
    """Refuse a tensor name that cannot be written to the file."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise CalibrationCacheError(f'tensor name {name!r} is not Unicode text') from error
    if not name or '\n' in name or '\0' in name:
        raise CalibrationCacheError(
            f'tensor name {name!r} cannot be written to a calibration cache; expected one line of '
            'text'
        )


def _as_float32(name: str, scale: float) -> float:
    """Return a scale as the file keeps it, or raise CalibrationCacheError."""
    try:
        rounded: float = struct.unpack('>f', struct.pack('>f', scale))[0]
    except (OverflowError, struct.error) as error:
        raise CalibrationCacheError(
            f'the scale of {name!r} is {scale!r}; expected a 32-bit float'
        ) from error
    fault = _scale_fault(rounded)
    if fault:
        raise CalibrationCacheError(f'the scale of {name!r} is {scale}; {fault}')
    return rounded
