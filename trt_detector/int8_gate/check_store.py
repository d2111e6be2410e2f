# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of INT8 engines that were made before: an engine that did not change is checked once."""

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
from ..errors import PlanError
from ..model_info import ModelInfo
from ..pipeline import Detector
from ..trusted_files import read_trusted, write_atomic
from .agreement import Agreement

__all__ = ['CheckStore', 'describe_check']

_LOG = logging.getLogger(__name__)

_FORMAT = 1
_KEPT = 64
_MANY = 1 << 53
# What a check does not depend on: all other parameters may change what is found.
_WITHOUT_EFFECT = frozenset({
    'int8_min_agreement', 'int8_gate_action', 'int8_gate_images', 'calib_cache_path', 'model_path',
    'engine_cache_dir', 'warmup_iterations', 'autostart', 'image_transport', 'qos_reliability',
    'class_id_format', 'publish_debug_image', 'diagnostics_period',
})  # fmt: skip

Key = Mapping[str, str]


def describe_check(
    config: DetectorConfig, detector: Detector, model: ModelInfo, frames: Sequence[Path]
) -> dict[str, str]:
    """
    Return all that the outcome of a check depends on.

    :param config: the parameters.
    :param detector: the INT8 one; the digest of its engine is known.
    :param model: the full-precision model, with what the files beside it say.
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
    Keeps the outcomes of checks in a folder; one that cannot be used costs a check, no more.

    :param directory: made when it is first needed, for its owner only.
    """

    def __init__(self, directory: Path) -> None:
        self._root = directory.expanduser().absolute()

    def read(self, key: Key) -> tuple[Agreement, str] | None:
        """Return an outcome and the day of the check, None where there is none to trust."""
        path = self._path(key)
        try:
            values = json.loads(read_trusted(path))
            if values['format'] != _FORMAT or values['key'] != key:
                return None
            return _to_agreement(values['agreement']), str(values['day'])
        except FileNotFoundError:
            return None
        except (OSError, PlanError, ValueError, TypeError, KeyError, RecursionError) as error:
            _LOG.warning('the check noted in %s is made again: %s', path, error)
            return None

    def write(self, key: Key, agreement: Agreement) -> None:
        """Keep an outcome; the oldest go beyond a number of them."""
        path = self._path(key)
        day = datetime.now(timezone.utc).date().isoformat()
        values = {'format': _FORMAT, 'key': key, 'agreement': asdict(agreement), 'day': day}
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(path, (json.dumps(values, indent=2) + '\n').encode())
        except OSError as error:
            _LOG.warning('the check of the INT8 engine is made at each start: %s', error)
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
    Return what a note holds.

    :raises TypeError: if it is something else.
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
    """Return the version of ONNX Runtime, without importing it where its package tells."""
    found = []
    for name in ('onnxruntime', 'onnxruntime-gpu'):
        with suppress(metadata.PackageNotFoundError):
            found.append(f'{name} {metadata.version(name)}')
    if not found:
        with suppress(ImportError, OSError):
            import onnxruntime

            found.append(str(onnxruntime.__version__))
    return ', '.join(found)
