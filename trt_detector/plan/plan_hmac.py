# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""HMAC of plans that are copied between machines."""

from __future__ import annotations

from dataclasses import replace
import hashlib
import hmac
from pathlib import Path

from ..errors import PlanError
from ..trusted_files import read_trusted
from ..values.user_path import expand_user
from .manifest import Manifest

__all__ = ['PlanHmac', 'hmac_path', 'read_plan_key']

_MINIMUM_KEY_BYTES = 32
_MAXIMUM_KEY_BYTES = 4096
# An HMAC of one kind is never valid for the other.
_MANIFEST_PREFIX = b'trt_detector manifest\0'
_PLAN_PREFIX = b'trt_detector plan\0'
_MAKE_KEY = 'make a key with: (umask 077; openssl rand -out plan.key 32)'


class PlanHmac:
    """
    HMAC-SHA256 of manifests and plans.

    :param key: secret that the machines share, 32 bytes or more.
    """

    __slots__ = ('_key',)

    def __init__(self, key: bytes) -> None:
        if len(key) < _MINIMUM_KEY_BYTES:
            raise PlanError(
                f'the plan key has {len(key)} bytes; expected {_MINIMUM_KEY_BYTES} or more; '
                f'{_MAKE_KEY}'
            )
        self._key = key

    def sign(self, manifest: Manifest) -> Manifest:
        """Return the manifest with its HMAC, which covers all fields and so the plan's hash."""
        return replace(manifest, hmac_sha256=self._of_manifest(manifest))

    def sign_plan(self, data: bytes) -> str:
        """Return the HMAC of a plan file, 64 hex digits."""
        return self._digest(_PLAN_PREFIX, data)

    def find_fault(self, manifest: Manifest) -> str:
        """Check the HMAC of a manifest; return the reason for its refusal, '' if it is valid."""
        if not manifest.hmac_sha256:
            return 'its manifest has no HMAC, and plan_key_path is set'
        if not hmac.compare_digest(manifest.hmac_sha256, self._of_manifest(manifest)):
            return (
                'the HMAC of its manifest is wrong: it was changed, or written with another key '
                'than that of plan_key_path'
            )
        return ''

    def check_plan(self, path: Path, data: bytes) -> None:
        """
        Check the HMAC file beside a prebuilt plan.

        :param path: the plan, whose HMAC file is :func:`hmac_path`.
        :param data: all bytes of the plan file.
        :raises PlanError: if the file is missing or cannot be trusted, or its HMAC is wrong.
        """
        beside = hmac_path(path)
        remedy = 'build the plan with build_engine --output and the same --plan-key-path'
        try:
            text = read_trusted(beside, follow_links=True, max_bytes=_MAXIMUM_KEY_BYTES)
        except OSError as error:
            raise PlanError(
                f'{path} is refused: plan_key_path is set and its HMAC file {beside} cannot be '
                f'read: {error.strerror or error}; {remedy}'
            ) from error
        if not hmac.compare_digest(text.strip(), self.sign_plan(data).encode()):
            raise PlanError(
                f'{path} is refused: the HMAC in {beside} is wrong: the plan was changed, or '
                f'signed with another key than that of plan_key_path; {remedy}'
            )

    def _of_manifest(self, manifest: Manifest) -> str:
        return self._digest(_MANIFEST_PREFIX, replace(manifest, hmac_sha256='').to_bytes())

    def _digest(self, prefix: bytes, data: bytes) -> str:
        digest = hmac.new(self._key, prefix, hashlib.sha256)
        digest.update(data)
        return digest.hexdigest()


def hmac_path(plan: Path) -> Path:
    """Return the path of the HMAC file beside a prebuilt plan."""
    return plan.with_name(f'{plan.name}.hmac')


def read_plan_key(path: str) -> PlanHmac | None:
    """
    Read the key file of plans.

    :param path: plan_key_path.
    :return: None if path is ''.
    :raises PlanError: if it cannot be read, other users could read or write it, or it has fewer
        than 32 bytes.
    """
    if not path:
        return None
    file = expand_user(path)
    try:
        key = read_trusted(file, follow_links=True, private=True, max_bytes=_MAXIMUM_KEY_BYTES)
        return PlanHmac(key)
    except OSError as error:
        raise PlanError(
            f'plan_key_path {file} cannot be read: {error.strerror or error}; {_MAKE_KEY}'
        ) from error
    except PlanError as error:
        raise PlanError(f'plan_key_path {file} cannot be used: {error}') from error
