# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Header that Ultralytics writes before a TensorRT plan: its length, then metadata as JSON."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
import struct

__all__ = ['PLAN_MAGICS', 'add_plan_header', 'read_plan_metadata', 'split_plan_header']

# First bytes of a plan; the last are of TensorRT for RTX.
PLAN_MAGICS = (b'ftrt', b'ptrt', b'vtrt')
_LENGTH = struct.Struct('<i')
_LARGEST_HEADER = 1 << 20


def split_plan_header(data: bytes) -> tuple[dict[str, str], bytes]:
    """
    Split the header from a plan.

    :param data: the file, or its beginning.
    :return: the metadata as texts, lists as Python literals, and the plan; without header none,
        and data itself.
    """
    if len(data) < _LENGTH.size:
        return {}, data
    (length,) = _LENGTH.unpack_from(data)
    end = _LENGTH.size + length
    start = data[_LENGTH.size : _LENGTH.size + 1]
    if not 2 <= length <= _LARGEST_HEADER or end > len(data) or start != b'{':
        return {}, data
    try:
        content = json.loads(data[_LENGTH.size : end])
        if not isinstance(content, dict):
            return {}, data
        return {str(key): str(value) for key, value in content.items()}, data[end:]
    except (ValueError, RecursionError):
        return {}, data


def add_plan_header(metadata: Mapping[str, str], plan: bytes) -> bytes:
    """
    Put metadata before a plan, which :func:`split_plan_header` reads.

    :param metadata: of the model; without any, or with too much, the plan stays as it is.
    :param plan: the plan.
    """
    header = json.dumps(dict(metadata)).encode()
    if not metadata or len(header) > _LARGEST_HEADER:
        return plan
    return _LENGTH.pack(len(header)) + header + plan


def read_plan_metadata(path: Path) -> dict[str, str]:
    """
    Read the metadata before a plan; none if it has no header.

    :raises OSError: if the file cannot be read.
    """
    with path.open('rb') as file:
        return split_plan_header(file.read(_LENGTH.size + _LARGEST_HEADER))[0]
