# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The text format of TensorRT's calibration cache, well formed and not."""

from __future__ import annotations

import math
from pathlib import Path
import struct

from hypothesis import example, given, settings
from hypothesis import strategies as st
import pytest
from trt_detector.errors import CalibrationCacheError
from trt_detector.quantize import (
    cache_version_number,
    CalibrationCache,
    parse_calibration_cache,
    read_calibration_cache,
)

WELL_FORMED = (
    b'TRT-101401-EntropyCalibration2\n'
    b'images: 3c010a14\n'
    b'/model.0/conv/Conv_output_0: 3dd1b2a4\n'
    b'model.1:0: 3f800000\n'
    b'a name with blanks : 40000000\n'
    b'(Unnamed Layer* 12) [Shuffle]_output: 3a000000\n'
    b'd\xc3\xa9tecteur: 00000000\n'
    b'output0: 42fe0000\n'
)


def test_scales_of_a_well_formed_file() -> None:
    cache = parse_calibration_cache(WELL_FORMED)
    assert cache.header == 'TRT-101401-EntropyCalibration2'
    assert cache.algorithm == 'EntropyCalibration2'
    assert cache.scales['images'] == pytest.approx(1 / 127, rel=1e-3)
    assert cache.scales['model.1:0'] == 1.0
    assert cache.scales['a name with blanks '] == 2.0
    assert cache.scales['(Unnamed Layer* 12) [Shuffle]_output'] == 2.0**-11
    assert cache.scales['détecteur'] == 0.0
    assert list(cache.scales)[-1] == 'output0'
    assert cache.scales['output0'] == 127.0


def test_round_trip_byte_for_byte() -> None:
    assert parse_calibration_cache(WELL_FORMED).to_bytes() == WELL_FORMED


@pytest.mark.parametrize(
    ('header', 'algorithm', 'version'),
    [
        ('TRT-8401-EntropyCalibration2', 'EntropyCalibration2', '8.4.1'),
        ('TRT-8601-MinMaxCalibration', 'MinMaxCalibration', '8.6.1'),
        ('TRT-7103-EntropyCalibration', 'EntropyCalibration', '7.1.3'),
        ('TRT-100300-LegacyCalibration', 'LegacyCalibration', '10.3.0'),
        ('TRT-101401-EntropyCalibration2', 'EntropyCalibration2', '10.14.1'),
    ],
)
def test_headers(header: str, algorithm: str, version: str) -> None:
    cache = parse_calibration_cache(f'{header}\nx: 3f800000\n'.encode())
    assert cache.algorithm == algorithm
    assert cache.header == f'TRT-{cache_version_number(version)}-{algorithm}'


@pytest.mark.parametrize(
    ('version', 'number'),
    [('8.6.1', 8601), ('8.5.2.2', 8502), ('10.14.1.48', 101401), ('10.16.2+cuda13', 101602)],
)
def test_version_numbers(version: str, number: int) -> None:
    assert cache_version_number(version) == number


@pytest.mark.parametrize('version', ['', '10', '10.3', 'ten'])
def test_malformed_versions_are_refused(version: str) -> None:
    with pytest.raises(CalibrationCacheError, match='three numbers'):
        cache_version_number(version)


def test_matching_keeps_the_order() -> None:
    cache = parse_calibration_cache(WELL_FORMED).matching(['output0', 'images', 'absent'])
    assert list(cache.scales) == ['images', 'output0']


@pytest.mark.parametrize(
    'data',
    [
        pytest.param(WELL_FORMED.replace(b'\n', b'\r\n'), id='CR LF'),
        pytest.param(b'\xef\xbb\xbf' + WELL_FORMED, id='byte order mark'),
        pytest.param(WELL_FORMED.replace(b'\n', b' \t\n'), id='blanks at the ends'),
        pytest.param(WELL_FORMED + b'\n \r\n', id='empty lines at the end'),
        pytest.param(WELL_FORMED.rstrip(), id='no line break at the end'),
        pytest.param(WELL_FORMED.replace(b'3dd1b2a4', b'3DD1B2A4'), id='capitals'),
        pytest.param(WELL_FORMED.replace(b': 00000000', b': 0'), id='zeros left out'),
        pytest.param(WELL_FORMED.replace(b': 3c01', b':3c01'), id='no blank'),
    ],
)
def test_variations_of_the_format_are_accepted(data: bytes) -> None:
    assert parse_calibration_cache(data).to_bytes() == WELL_FORMED


def test_short_hex_has_lost_its_leading_zeros() -> None:
    cache = parse_calibration_cache(b'TRT-8601-EntropyCalibration2\nx: b504f3\n')
    assert cache.scales['x'] == struct.unpack('>f', bytes.fromhex('00b504f3'))[0]


@pytest.mark.parametrize(
    ('body', 'line', 'reason'),
    [
        (b'x 3f800000\n', 2, 'expected'),
        (b'x: 3f800000\ny\n', 3, 'expected'),
        (b'x: 3f800000\n\ny: 3f800000\n', 3, 'expected'),
        (b': 3f800000\n', 2, 'expected'),
        (b'x:\n', 2, 'eight hex digits'),
        (b'x: 3f8000000\n', 2, 'eight hex digits'),
        (b'x: 0x3f8000\n', 2, 'eight hex digits'),
        (b'x: 1.0\n', 2, 'eight hex digits'),
        (b'x: 3f80 000\n', 2, 'eight hex digits'),
        (b'x: -3f80000\n', 2, 'eight hex digits'),
        (b'x: 7fc00000\n', 2, 'finite'),
        (b'x: 7f800000\n', 2, 'finite'),
        (b'x: ff800000\n', 2, 'finite'),
        (b'x: bf800000\n', 2, '0 or more'),
        (b'x: 80000000\n', 2, '0 or more'),
        (b'x: 3f800000\ny: 3f800000\nx: 3f800000\n', 4, 'line 2'),
        (b'x: 3f800000\ny: 3f8', 3, 'cut off'),
        (b'x: 3f800000\ny', 3, 'expected'),
        (b'x\xff: 3f800000\n', 2, 'UTF-8'),
        (b'x\0: 3f800000\n', 2, 'binary'),
    ],
)
def test_a_bad_line_is_refused_with_its_number(body: bytes, line: int, reason: str) -> None:
    with pytest.raises(CalibrationCacheError, match=f'line {line}: .*{reason}'):
        parse_calibration_cache(b'TRT-101401-EntropyCalibration2\n' + body)


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'', 'empty'),
        (b'\n\n', 'empty'),
        (b'\xef\xbb\xbf', 'empty'),
        (b'TRT-101401-EntropyCalibration2', 'no scale'),
        (b'TRT-101401-EntropyCalibration2\n', 'no scale'),
        (b'images: 3c010a14\n', 'header'),
        (b'\nTRT-8601-EntropyCalibration2\nx: 3f800000\n', 'header'),
        (b'TRT-8601\nx: 3f800000\n', 'header'),
        (b'TRT--EntropyCalibration2\nx: 3f800000\n', 'header'),
        (b'TRT-0-EntropyCalibration2\nx: 3f800000\n', 'header'),
        (b'trt-8601-EntropyCalibration2\nx: 3f800000\n', 'header'),
        (b'TRT-8601-GuessCalibration\nx: 3f800000\n', 'calibrator'),
        (b'\x08\x07\x12\x07pytorch', 'header'),
        (b'\x7fELF\x02\x01\x01\0\0', 'binary'),
        (bytes(range(256)), 'binary'),
    ],
)
def test_malformed_caches_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(CalibrationCacheError, match=reason):
        parse_calibration_cache(data)


def test_a_file_is_read_and_a_missing_one_named(tmp_path: Path) -> None:
    path = tmp_path / 'yolo.cache'
    with pytest.raises(CalibrationCacheError, match='cannot be read: No such.*calibrate wrote'):
        read_calibration_cache(path)
    path.write_bytes(WELL_FORMED)
    assert read_calibration_cache(path) == parse_calibration_cache(WELL_FORMED)
    path.write_bytes(b'nonsense')
    with pytest.raises(CalibrationCacheError, match=r'yolo\.cache: line 1'):
        read_calibration_cache(path)
    with pytest.raises(CalibrationCacheError, match='Is a directory'):
        read_calibration_cache(tmp_path)


@pytest.mark.parametrize('name', ['', 'two\nlines', 'zero\0', '\ud800'])
def test_a_name_that_cannot_be_written(name: str) -> None:
    with pytest.raises(CalibrationCacheError):
        CalibrationCache('TRT-8601-MinMaxCalibration', {name: 1.0})


@pytest.mark.parametrize('scale', [math.nan, math.inf, -1.0, -0.0, 1e39])
def test_a_scale_that_cannot_be_written(scale: float) -> None:
    with pytest.raises(CalibrationCacheError, match="'x'"):
        CalibrationCache('TRT-8601-MinMaxCalibration', {'x': scale})


NAMES = st.text(st.characters(exclude_characters='\n\0', exclude_categories=['Cs']), min_size=1)
SCALES = st.floats(min_value=0.0, width=32, allow_infinity=False).map(abs)
HEADERS = st.sampled_from(['TRT-8601-MinMaxCalibration', 'TRT-101401-EntropyCalibration2'])


@settings(max_examples=300, deadline=None)
@given(HEADERS, st.dictionaries(NAMES, SCALES, min_size=1))
@example('TRT-8601-MinMaxCalibration', {':': 1.0, ' ': 0.0, 'a: 3f800000': 2.0, '\ufeff': 1.0})
def test_written_caches_are_read_back(header: str, scales: dict[str, float]) -> None:
    cache = CalibrationCache(header, scales)
    data = cache.to_bytes()
    assert parse_calibration_cache(data) == cache
    assert parse_calibration_cache(data).to_bytes() == data


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode('utf-8', 'replace')))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for candidate in (data, b'TRT-8601-MinMaxCalibration\n' + data):
        try:
            cache = parse_calibration_cache(candidate)
        except CalibrationCacheError:
            continue
        assert all(math.isfinite(s) and s >= 0 for s in cache.scales.values())
        assert parse_calibration_cache(cache.to_bytes()) == cache


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_damaged_file_gives_no_scale_that_is_not_one(data: st.DataObject) -> None:
    damaged = bytearray(WELL_FORMED)
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(damaged)))
    try:
        cache = parse_calibration_cache(bytes(damaged[:end]))
    except CalibrationCacheError:
        return
    assert 1 <= len(cache.scales) <= WELL_FORMED.count(b'\n') + 2
    assert all(math.isfinite(s) and s >= 0 for s in cache.scales.values())


def test_every_cut_loses_whole_lines_or_is_refused() -> None:
    whole = parse_calibration_cache(WELL_FORMED).scales
    for end in range(len(WELL_FORMED)):
        try:
            scales = parse_calibration_cache(WELL_FORMED[:end]).scales
        except CalibrationCacheError:
            continue
        assert scales == dict(list(whole.items())[: len(scales)]), WELL_FORMED[:end]
