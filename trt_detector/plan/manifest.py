# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The note beside a plan that says what it was built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import hashlib
import json
from pathlib import Path
import re
from typing import Any

from ..errors import PlanError
from .key import PlanKey

__all__ = ['Manifest', 'BuiltPlan', 'StoredPlan']

_FORMAT = 1
_SHA256 = re.compile(r'[0-9a-f]{64}')


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a stored plan was built from and what it is.

    :param key: everything that decided the build.
    :param plan_sha256: of the plan file, 64 hex digits.
    :param plan_bytes: size of the plan file.
    :param built_precision: precision that was really built: 'fp32', 'fp16' or 'int8'.
    :param created: time of the build, ISO 8601 with zone.
    :param build_seconds: how long it took.
    :param details: further facts of the builder.
    """

    key: PlanKey
    plan_sha256: str
    plan_bytes: int
    built_precision: str
    created: str
    build_seconds: float
    details: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """Return the manifest's file: JSON, with a checksum of each field under 'seal'."""
        values = self._values()
        sealed = {**values, 'seal': {name: _seal(value) for name, value in values.items()}}
        return (json.dumps(sealed, indent=2, ensure_ascii=True) + '\n').encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """
        Read a manifest's file.

        :raises PlanError: if it is truncated, of another format, mistyped or altered, with the
            names of the fields.
        """
        manifest, altered = cls.read_with_seal(data)
        if altered:
            raise PlanError(f'{", ".join(altered)} of the manifest was altered by another program')
        return manifest

    @classmethod
    def read_with_seal(cls, data: bytes) -> tuple[Manifest, tuple[str, ...]]:
        """
        Read a manifest's file and the names of the fields that were altered since it was written.

        :raises PlanError: if it is truncated, of another format or mistyped.
        """
        values = _read_object(data)
        seal = values.pop('seal', None)
        manifest = cls._from_values(values)
        expected = {name: _seal(value) for name, value in values.items()}
        if not isinstance(seal, dict) or set(seal) != set(expected):
            return manifest, ('seal',)
        return manifest, tuple(name for name in expected if seal[name] != expected[name])

    def differences(self, key: PlanKey) -> tuple[str, ...]:
        """Return one phrase a field that differs, its name first: 'X was A, is B'."""
        return self.key.differences(key)

    def _values(self) -> dict[str, Any]:
        """Return the manifest as one flat JSON object, without the seal."""
        return {
            'format': _FORMAT,
            **self.key.to_json(),
            'plan_sha256': self.plan_sha256,
            'plan_bytes': self.plan_bytes,
            'built_precision': self.built_precision,
            'created': self.created,
            'build_seconds': self.build_seconds,
            'details': dict(self.details),
        }

    @classmethod
    def _from_values(cls, values: Mapping[str, Any]) -> Manifest:
        """Return the manifest of a flat JSON object, or raise PlanError naming the field."""
        fields = dict(values)
        number = fields.pop('format', None)
        if type(number) is not int or number != _FORMAT:
            raise PlanError(f'format of the manifest is {number!r}; expected {_FORMAT}')
        own = {name: fields.pop(name, None) for name in _OWN_FIELDS}
        for name, (fits, expected) in _OWN_FIELDS.items():
            if not fits(own[name]):
                raise PlanError(f'{name} of the manifest is {own[name]!r}; expected {expected}')
        own['build_seconds'] = float(own['build_seconds'])
        return cls(key=PlanKey.from_json(fields), **own)


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_size(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < float('inf')


def _is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


_OWN_FIELDS = {
    'plan_sha256': (_is_hash, '64 hex digits'),
    'plan_bytes': (_is_size, 'a whole number above 0'),
    'built_precision': (lambda v: v in ('fp32', 'fp16', 'int8'), 'fp32, fp16 or int8'),
    'created': (lambda v: isinstance(v, str), 'a time'),
    'build_seconds': (_is_seconds, 'seconds'),
    'details': (_is_text_map, 'an object of texts'),
}


def _seal(value: Any) -> str:
    """Return the checksum of one field, which names a field that was altered."""
    text = json.dumps(value, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_object(data: bytes) -> dict[str, Any]:
    """
    Return the JSON object of a manifest's file.

    :raises PlanError: if it is not one, or names a field twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise PlanError(f'the manifest names {sorted(doubled)} more than once')
        return dict(pairs)

    try:
        values = json.loads(data.decode('utf-8'), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        if isinstance(error, PlanError):
            raise
        raise PlanError(f'the manifest is not complete JSON: {error}') from error
    if not isinstance(values, dict):
        raise PlanError('the manifest is not a JSON object')
    return values


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """
    What a builder made.

    :param data: the serialized plan.
    :param precision: precision that was really built: 'fp32', 'fp16' or 'int8'.
    :param details: further facts for the manifest.
    """

    data: bytes
    precision: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """
    A plan to run.

    :param data: the serialized plan.
    :param manifest: what it is, None for a ready plan that nothing vouches for.
    :param path: its file, None where it could not be stored.
    :param from_cache: whether it was loaded rather than built.
    :param notes: sentences that the user has to see; they went to the log already.
    """

    data: bytes
    manifest: Manifest | None
    path: Path | None
    from_cache: bool
    notes: tuple[str, ...] = ()
