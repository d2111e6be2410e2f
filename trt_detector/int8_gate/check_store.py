# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Stored outcomes of the INT8 check: an unchanged engine is checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime, timezone
import hashlib
from importlib import metadata
import json
import logging
from pathlib import Path

from .. import __version__
from ..config import DetectorConfig
from ..errors import BackendUnavailableError, PlanError
from ..model_info import ModelInfo
from ..model_info.onnx_session import load_onnxruntime
from ..pipeline import Detector
from ..trusted_files import read_trusted, write_atomic
from ..values.user_path import expand_user
from .agreement import Agreement

__all__ = ['CheckStore', 'describe_check']

_LOG = logging.getLogger(__name__)

_FORMAT = 1
_KEPT = 64
_MANY = 1 << 53
# A check does not depend on these; all other parameters may change the detections.
_WITHOUT_EFFECT = frozenset({
    'int8_min_agreement', 'int8_gate_action', 'int8_gate_images', 'calib_cache_path', 'model_path',
    'engine_cache_dir', 'warmup_iterations', 'autostart', 'image_transport', 'qos_reliability',
    'class_id_format', 'publish_debug_image', 'publish_annotations', 'diagnostics_period',
})  # fmt: skip

Key = Mapping[str, str]


def describe_check(
    config: DetectorConfig, detector: Detector, model: ModelInfo, frames: Sequence[Path]
) -> dict[str, str]:
    """
    List everything that the outcome of a check depends on.

    :param config: the parameters.
    :param detector: the INT8 detector; its engine has a digest.
    :param model: the full-precision model with its metadata files.
    :param frames: the pictures.
    :raises OSError: if a picture cannot be read.
    """
    info = detector.info
    pictures = hashlib.sha256()
    for path in frames:
        pictures.update(hashlib.sha256(path.read_bytes()).digest())
    key = {
        'package': __version__,
        'backend': f'{info.backend} {info.version}',
        'device': info.device,
        'engine': info.digest,
        'model': model.sha256,
        'metadata': repr(sorted(model.metadata.items())),
        'class names': repr(detector.class_names),
        'layout': detector.layout,
        'input size': 'open' if detector.input_size_pending else repr(detector.input_size),
        'reference': _find_runtime_version(),
        'frames': f'{len(frames)} {pictures.hexdigest()}',
        'options': repr(detector.options),
    }
    for field in fields(config):
        if field.name not in _WITHOUT_EFFECT:
            key[f'parameter {field.name}'] = repr(getattr(config, field.name))
    return key


class CheckStore:
    """
    Store of check outcomes in a folder; an unusable file costs one more check.

    :param directory: created on first use, for its owner only.
    """

    def __init__(self, directory: Path) -> None:
        self._root = expand_user(directory).absolute()

    def read(self, key: Key) -> tuple[Agreement, str] | None:
        """Return the outcome and the day of a check, None if there is no trusted one."""
        path = self._path(key)
        try:
            values = json.loads(read_trusted(path))
            if values['format'] != _FORMAT or values['key'] != key:
                return None
            return _to_agreement(values['agreement']), str(values['day'])
        except FileNotFoundError:
            return None
        except (OSError, PlanError, ValueError, TypeError, KeyError, RecursionError) as error:
            _LOG.warning('the INT8 check runs again: %s cannot be used: %s', path, error)
            return None

    def write(self, key: Key, agreement: Agreement) -> None:
        """Store an outcome, and remove the oldest beyond the limit."""
        path = self._path(key)
        day = datetime.now(timezone.utc).date().isoformat()
        values = {'format': _FORMAT, 'key': key, 'agreement': asdict(agreement), 'day': day}
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(path, (json.dumps(values, indent=2) + '\n').encode())
        except OSError as error:
            _LOG.warning(
                'the INT8 check runs at each start: its outcome cannot be stored: %s', error
            )
            return
        # Another process may remove the same ones.
        with suppress(OSError):
            notes = sorted(self._root.glob('*.json'), key=lambda note: note.stat().st_mtime_ns)
            for old in notes[:-_KEPT]:
                old.unlink(missing_ok=True)

    def _path(self, key: Key) -> Path:
        """Return the file of a check."""
        text = json.dumps(key, sort_keys=True)
        return self._root / f'{hashlib.sha256(text.encode()).hexdigest()[:32]}.json'


def _to_agreement(values: object) -> Agreement:
    """
    Read the agreement of a stored check.

    :raises TypeError: if it is malformed.
    """
    if not isinstance(values, dict):
        raise TypeError(f'the agreement is {values!r}; expected an object')
    for name, number in values.items():
        if name.startswith('drift'):
            sound = type(number) in (int, float) and abs(number) < _MANY
        else:
            sound = type(number) is int and 0 <= number < _MANY
        if not sound:
            raise TypeError(f'{name} of the agreement is {number!r}; expected a number')
    return Agreement(**values)


def _find_runtime_version() -> str:
    """Return the version of ONNX Runtime, from the package metadata if possible."""
    found = []
    for name in ('onnxruntime', 'onnxruntime-gpu', 'onnxruntime-openvino'):
        with suppress(metadata.PackageNotFoundError):
            found.append(f'{name} {metadata.version(name)}')
    if not found:
        with suppress(BackendUnavailableError):
            found.append(str(load_onnxruntime().__version__))
    return ', '.join(found)
