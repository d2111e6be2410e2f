# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Manifest of a stored plan: the inputs of its build and the properties of the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
import json
from pathlib import Path
import re
from typing import Any

from ..errors import PlanError
from .key import PlanKey

__all__ = ['MAXIMUM_MANIFEST_BYTES', 'PRECISIONS', 'BuiltPlan', 'Manifest', 'StoredPlan']

# Precisions of a built plan, the lowest first.
PRECISIONS = ('int8', 'fp16', 'bf16', 'tf32', 'fp32')

MAXIMUM_MANIFEST_BYTES = 1 << 20
"""Maximum size of a manifest file."""

_FORMAT = 2
_LONGEST_SECONDS = 1e9
_SHA256 = re.compile(r'[0-9a-f]{64}')


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    Description of a stored plan: the inputs of its build and the properties of the result.

    :param key: all inputs of the build.
    :param plan_sha256: hash of the plan file, 64 hex digits.
    :param plan_bytes: size of the plan file.
    :param built_precision: precision that was really built, one of :data:`PRECISIONS`.
    :param layer_precision: number of layers per precision, e.g. '61 int8, 9 fp16'; '' if unknown.
    :param created: time of the build, ISO 8601 with time zone.
    :param build_seconds: duration of the build.
    :param details: report entries of the builder, by name.
    :param hmac_sha256: of all other fields, 64 hex digits; '' without a key.
    """

    key: PlanKey
    plan_sha256: str
    plan_bytes: int
    built_precision: str
    layer_precision: str
    created: str
    build_seconds: float
    details: Mapping[str, str]
    hmac_sha256: str = ''

    def to_bytes(self) -> bytes:
        """Serialize the manifest as JSON."""
        return (json.dumps(self._values(), indent=2, ensure_ascii=True) + '\n').encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """
        Parse the content of a manifest file.

        :raises PlanError: if it is too large, truncated, of another format or mistyped, with the
            field.
        """
        if len(data) > MAXIMUM_MANIFEST_BYTES:
            raise PlanError(
                f'the manifest has {len(data)} bytes; expected {MAXIMUM_MANIFEST_BYTES} or less'
            )
        return cls._from_values(_read_object(data))

    def _values(self) -> dict[str, Any]:
        """Convert the manifest to one flat JSON object."""
        return {
            'format': _FORMAT,
            **self.key.to_json(),
            'plan_sha256': self.plan_sha256,
            'plan_bytes': self.plan_bytes,
            'built_precision': self.built_precision,
            'layer_precision': self.layer_precision,
            'created': self.created,
            'build_seconds': self.build_seconds,
            'details': dict(self.details),
            **({'hmac_sha256': self.hmac_sha256} if self.hmac_sha256 else {}),
        }

    @classmethod
    def _from_values(cls, values: Mapping[str, Any]) -> Manifest:
        """Create a manifest from a flat JSON object, or raise PlanError with the field."""
        fields = dict(values)
        number = fields.pop('format', None)
        if type(number) is not int or number != _FORMAT:
            raise PlanError(
                f'format of the manifest is {number!r}; expected {_FORMAT}: another version of '
                'trt_detector wrote it; build the engine again'
            )
        code = fields.pop('hmac_sha256', None)
        if code is not None and not _is_hash(code):
            raise PlanError(f'hmac_sha256 of the manifest is {code!r}; expected 64 hex digits')
        own = {name: fields.pop(name, None) for name in _OWN_FIELDS}
        for name, (fits, expected) in _OWN_FIELDS.items():
            if not fits(own[name]):
                raise PlanError(f'{name} of the manifest is {own[name]!r}; expected {expected}')
        own['build_seconds'] = float(own['build_seconds'])
        return cls(key=PlanKey.from_json(fields), hmac_sha256=code or '', **own)


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _LONGEST_SECONDS


def _is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


_OWN_FIELDS = {
    'plan_sha256': (_is_hash, '64 hex digits'),
    'plan_bytes': (_is_size, 'a whole number above 0'),
    'built_precision': (lambda v: v in PRECISIONS, f'one of {", ".join(PRECISIONS)}'),
    'layer_precision': (lambda v: isinstance(v, str), 'a text'),
    'created': (lambda v: isinstance(v, str), 'a time'),
    'build_seconds': (_is_seconds, 'seconds'),
    'details': (_is_text_map, 'an object of texts'),
}


def _read_object(data: bytes) -> dict[str, Any]:
    """
    Parse the JSON object of a manifest file.

    :raises PlanError: if it is no JSON object, or has a field twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        doubled = [name for name, count in Counter(names).items() if count > 1]
        if doubled:
            raise PlanError(
                f'the manifest has the fields {sorted(doubled)} more than once; build '
                'the engine again'
            )
        return dict(pairs)

    try:
        values = json.loads(data.decode('utf-8'), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        if isinstance(error, PlanError):
            raise
        raise PlanError(
            f'the manifest is not complete JSON: {error}; build the engine again'
        ) from error
    if not isinstance(values, dict):
        raise PlanError('the manifest is not a JSON object; build the engine again')
    return values


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """
    Result of a build.

    :param data: the serialized plan.
    :param precision: precision that was really built, one of :data:`PRECISIONS`.
    :param layer_precision: number of layers per precision, '' if unknown.
    :param details: report entries for the manifest, by name.
    """

    data: bytes
    precision: str
    layer_precision: str = ''
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """
    Plan that is ready to run.

    :param data: the serialized plan.
    :param manifest: its manifest, None for a prebuilt plan.
    :param path: its file, None if it could not be stored.
    :param from_cache: whether it was loaded instead of built.
    :param notes: sentences for the user; they are on the log already.
    """

    data: bytes
    manifest: Manifest | None
    path: Path | None
    from_cache: bool
    notes: tuple[str, ...] = ()
