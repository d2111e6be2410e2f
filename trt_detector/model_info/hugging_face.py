# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing in the files of the Hugging Face Hub: preprocessor_config.json and config.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import reprlib
from typing import Any, TypeGuard

from ..errors import ModelError
from .text_files import read_json

__all__ = [
    'SMALLEST_DIVISOR',
    'ProcessorConfig',
    'is_number',
    'read_model_type',
    'read_processor_config',
]

_DEFAULT_FACTOR = 1 / 255
_NO_LIMIT = 1 << 30
SMALLEST_DIVISOR = 1e-6
"""Smallest factor and standard deviation of pixel values."""
_LARGEST_NUMBER = 1e6


@dataclass(frozen=True, slots=True)
class ProcessorConfig:
    """
    Content of a preprocessor_config.json.

    A value v of 0 to 255 becomes (v * scale - mean) / std.

    :param path: the file.
    :param scale: None if the file does not tell; so are mean and std.
    :param mean: per channel.
    :param std: per channel.
    :param size: (height, width) that every image is stretched to.
    :param edges: (shortest, longest) edge that an image is scaled to, with its aspect ratio kept.
    :param pad_size: (height, width) that an image is padded to, to the right and below.
    """

    path: Path
    scale: float | None
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None
    size: tuple[int, int] | None = None
    edges: tuple[int, int] | None = None
    pad_size: tuple[int, int] | None = None


def read_processor_config(model: Path) -> ProcessorConfig | None:
    """
    Read the preprocessor_config.json beside a model, or above its folder 'onnx'.

    :return: None if there is none.
    :raises ModelError: if it cannot be read or contradicts itself.
    """
    path = _find(model, 'preprocessor_config.json')
    if path is None:
        return None
    content = read_json(path)
    if not isinstance(content, dict):
        raise ModelError(f'{path} is not an object; fix or remove it')
    scale = mean = std = None
    if content.get('do_rescale') is False:
        scale = 1.0
    elif 'rescale_factor' in content or 'do_rescale' in content:
        scale = _numbers(path, content, 'rescale_factor', 1, (_DEFAULT_FACTOR,))[0]
        if scale < SMALLEST_DIVISOR:
            raise ModelError(
                f'{path} has the rescale_factor {scale}; expected {SMALLEST_DIVISOR} or more'
            )
    if content.get('do_normalize') is False:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    elif content.get('do_normalize') is True:
        mean = _triple(_numbers(path, content, 'image_mean', 3, (0.485, 0.456, 0.406)))
        std = _triple(_numbers(path, content, 'image_std', 3, (0.229, 0.224, 0.225)))
        if min(std) < SMALLEST_DIVISOR:
            raise ModelError(
                f'{path} has the image_std {list(std)}; expected {SMALLEST_DIVISOR} or more'
            )
    size, edges = _read_size(path, content)
    return ProcessorConfig(path, scale, mean, std, size, edges, _pixels(content.get('pad_size')))


def read_model_type(model: Path) -> str:
    """
    Read model_type in the config.json beside a model, or above its folder 'onnx'.

    :return: '' if there is none.
    :raises ModelError: if the file cannot be read.
    """
    path = _find(model, 'config.json')
    content = read_json(path) if path is not None else None
    value = content.get('model_type') if isinstance(content, dict) else None
    return value if isinstance(value, str) else ''


def _find(model: Path, name: str) -> Path | None:
    """Find a file of the model's repository."""
    folders = [model.parent]
    if model.parent.name == 'onnx':
        folders.append(model.parent.parent)
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _read_size(
    path: Path, content: dict[str, Any]
) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Read the size to stretch to, and the edges to scale to; None for what is not given."""
    size = content.get('size')
    if content.get('do_resize') is False or size is None:
        return None, None
    if _is_length(size):
        # The older form: shortest edge, with max_size for the longest.
        longest = content.get('max_size')
        return None, (size, longest if _is_length(longest) else 1333)
    exact = _pixels(size)
    if exact is not None:
        return exact, None
    edges = _read_edges(size) if isinstance(size, dict) else None
    if edges is not None:
        return None, edges
    raise ModelError(
        f'{path} has the size {reprlib.repr(size)}; expected height and width, shortest_edge and '
        'longest_edge, or max_height and max_width'
    )


def _read_edges(size: dict[str, Any]) -> tuple[int, int] | None:
    """Read (shortest, longest) edge; a missing one sets no limit."""
    most = _pixels({'height': size.get('max_height'), 'width': size.get('max_width')})
    if most is not None:
        return min(most), max(most)
    shortest, longest = (
        edge if _is_length(edge) else None
        for edge in (size.get('shortest_edge'), size.get('longest_edge'))
    )
    if shortest is None and longest is None:
        return None
    return shortest or longest or 0, longest or _NO_LIMIT


def _pixels(value: Any) -> tuple[int, int] | None:
    """Read (height, width) from an object that has both."""
    if not isinstance(value, dict):
        return None
    height, width = value.get('height'), value.get('width')
    if _is_length(height) and _is_length(width):
        return height, width
    return None


def _is_length(value: Any) -> TypeGuard[int]:
    """Tell whether a value is a number of pixels."""
    return type(value) is int and 0 < value < _NO_LIMIT


def is_number(value: Any) -> bool:
    """Tell whether a value can be a factor, mean or standard deviation of pixel values."""
    return type(value) in (int, float) and abs(value) <= _LARGEST_NUMBER


def _numbers(
    path: Path, content: dict[str, Any], key: str, count: int, default: tuple[float, ...]
) -> tuple[float, ...]:
    """
    Read one or several finite numbers.

    :raises ModelError: if the entry is something else.
    """
    value = content.get(key)
    if value is None:
        return default
    values = value if isinstance(value, list) else [value] * count
    if len(values) != count or not all(is_number(item) for item in values):
        raise ModelError(
            f'{path} has the {key} {reprlib.repr(value)}; expected {count} number(s) of at most '
            f'{_LARGEST_NUMBER:g}'
        )
    return tuple(float(item) for item in values)


def _triple(values: tuple[float, ...]) -> tuple[float, float, float]:
    """Return three numbers as such."""
    first, second, third = values
    return first, second, third
