# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Key of a plan: all inputs of its build, and the name of its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
import hashlib
import json
import re
from typing import Any

from ..errors import PlanError

__all__ = ['DeviceKey', 'PlanKey', 'get_engine_filename']

_SHA256 = re.compile(r'[0-9a-f]{64}')

# Types of the fields in a manifest.
_FIELD_TYPES = {
    'model_name': 'str',
    'model_sha256': 'str',
    'library': 'str',
    'version': 'str',
    'device.name': 'str',
    'device.compute_capability': 'int pair',
    'device.sm_count': 'int',
    'precision': 'str',
    'min_shape': 'int list',
    'opt_shape': 'int list',
    'max_shape': 'int list',
    'calib_cache_sha256': 'str',
    'flags': 'str list',
    'plugin_sha256': 'str list',
    'build_recipe': 'int',
}
_LABELS = {'version': 'TensorRT version', 'build_recipe': 'build_recipe of trt_detector'}


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """
    GPU that a plan is built for.

    :param name: product name, as reported by the driver.
    :param compute_capability: (major, minor).
    :param sm_count: number of streaming multiprocessors.
    """

    name: str
    compute_capability: tuple[int, int]
    sm_count: int


@dataclass(frozen=True, slots=True)
class PlanKey:
    """
    All inputs that decide the content of a plan; a stored plan is loaded only if all are equal.

    :param model_name: stem of the model's file name.
    :param model_sha256: hash of the ONNX file and its external data, 64 hex digits.
    :param library: 'tensorrt' or 'tensorrt_rtx'.
    :param version: full version of the library.
    :param device: the GPU.
    :param precision: requested precision: 'fp32', 'fp16' or 'int8'.
    :param min_shape: smallest input shape N, C, H, W.
    :param opt_shape: input shape that the plan is optimized for.
    :param max_shape: largest input shape.
    :param calib_cache_sha256: hash of the calibration cache, '' if there is none.
    :param flags: further build settings in a fixed order, e.g. 'dla_core=0'.
    :param plugin_sha256: hash of each plugin library, in the order of loading.
    :param build_recipe: number that is raised if the same inputs lead to another plan.
    :raises PlanError: if the names or hashes are malformed.
    """

    model_name: str
    model_sha256: str
    library: str
    version: str
    device: DeviceKey
    precision: str
    min_shape: tuple[int, ...]
    opt_shape: tuple[int, ...]
    max_shape: tuple[int, ...]
    calib_cache_sha256: str
    flags: tuple[str, ...]
    plugin_sha256: tuple[str, ...]
    build_recipe: int

    def __post_init__(self) -> None:
        _check_model_name(self.model_name)
        if self.library not in ('tensorrt', 'tensorrt_rtx'):
            raise PlanError(
                f"library of a plan is {self.library!r}; expected 'tensorrt' or 'tensorrt_rtx'"
            )
        if self.precision not in ('fp32', 'fp16', 'int8'):
            raise PlanError(
                f"precision of a plan is {self.precision!r}; expected 'fp32', 'fp16' or 'int8'"
            )
        hashes = {'model_sha256': self.model_sha256}
        if self.calib_cache_sha256:
            hashes['calib_cache_sha256'] = self.calib_cache_sha256
        hashes |= {f'plugin_sha256[{i}]': text for i, text in enumerate(self.plugin_sha256)}
        for name, text in hashes.items():
            if not _SHA256.fullmatch(text):
                raise PlanError(f'{name} is {text!r}; expected 64 lower-case hex digits')

    @property
    def filename(self) -> str:
        """Return the file name of the plan."""
        device = self.device
        return get_engine_filename(
            self.model_name,
            device.compute_capability,
            device.sm_count,
            int8=self.precision == 'int8',
        )

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the key, which differs between keys of one file name."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(',', ':'))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Convert the key to a flat JSON object; fields of the device are named 'device.name'."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self._flat()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PlanKey:
        """
        Create a key from the result of :meth:`to_json`.

        :raises PlanError: on a missing, unknown or mistyped field, with its name.
        """
        known = set(_FIELD_TYPES)
        if set(values) != known:
            wrong = sorted(set(values) ^ known)
            raise PlanError(f'the fields {wrong} of the plan key are missing or unknown')
        read = {name: _typed(name, kind, values[name]) for name, kind in _FIELD_TYPES.items()}
        device = DeviceKey(
            name=read.pop('device.name'),
            compute_capability=read.pop('device.compute_capability'),
            sm_count=read.pop('device.sm_count'),
        )
        return cls(device=device, **read)

    def differences(self, other: PlanKey) -> tuple[str, ...]:
        """Describe each field that differs as 'NAME was (self), is (other)'."""
        here, there = dict(self._flat()), dict(other._flat())
        return tuple(
            f'{_LABELS.get(name, name)} was {_shown(name, value)}, is {_shown(name, there[name])}'
            for name, value in here.items()
            if value != there[name]
        )

    def _flat(self) -> Iterator[tuple[str, Any]]:
        """Yield name and value of each field, the fields of the device included."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, DeviceKey):
                for inner in fields(value):
                    yield f'{item.name}.{inner.name}', getattr(value, inner.name)
            else:
                yield item.name, value


def get_engine_filename(
    model_name: str, compute_capability: tuple[int, int], sm_count: int, *, int8: bool
) -> str:
    """
    Return the file name of a plan.

    :param model_name: stem of the model's file name.
    :param compute_capability: (major, minor) of the device.
    :param sm_count: streaming multiprocessors of the device.
    :param int8: whether INT8 was requested.
    :raises PlanError: if the model name cannot be part of a file name.
    """
    _check_model_name(model_name)
    major, minor = compute_capability
    suffix = '.int8.engine' if int8 else '.engine'
    return f'{model_name}.cc_{major}.{minor}_sm_{sm_count}{suffix}'


def _check_model_name(name: str) -> None:
    """Reject a model name that would leave the cache folder."""
    if not name or '/' in name or '\\' in name or '\0' in name or name in ('.', '..'):
        raise PlanError(f'model name is {name!r}; expected the stem of a file name')


def _typed(name: str, kind: str, value: Any) -> Any:
    """
    Convert a field of a manifest to the type of the key.

    :raises PlanError: if the value has another type.
    """
    scalar = str if kind.startswith('str') else int
    if kind in ('str', 'int'):
        fits = type(value) is scalar
    else:
        fits = isinstance(value, list) and all(type(item) is scalar for item in value)
        fits = fits and (kind != 'int pair' or len(value) == 2)
    if not fits:
        raise PlanError(f'field {name} of a plan key is {value!r}; expected {kind}')
    return tuple(value) if isinstance(value, list) else value


def _shown(name: str, value: Any) -> str:
    """Format a value for the log: hashes shortened, lists in brackets."""
    if isinstance(value, tuple):
        return '[' + ', '.join(_shown(name, item) for item in value) + ']'
    text = str(value)
    return (text[:12] if name.endswith('sha256') else text) or 'none'
