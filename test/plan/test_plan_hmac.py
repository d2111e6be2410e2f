# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""HMAC of plans: signing, refusal of unsigned and changed plans, and the key file."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path
import shutil
from typing import Any

import pytest
from support.plans import Builder, content, make_key
from trt_detector.errors import PlanError
from trt_detector.plan import (
    hmac_path,
    PlanHmac,
    PlanStore,
    read_plan_key,
    read_prebuilt_plan,
)
from trt_detector.tools import inspect_engine

SECRET = bytes(range(32))
OTHER = bytes(range(1, 33))


def load(folder: Path, secret: bytes | None) -> tuple[int, str, Path]:
    """Return how often the plan was built, the log, and the path of the plan."""
    log: list[str] = []
    key = make_key()
    builder = Builder(key)
    store = PlanStore(folder, plan_hmac=None if secret is None else PlanHmac(secret))
    plan = store.load_or_build(key, builder, log=log.append)
    assert plan.data == content(key)
    assert plan.path is not None
    return builder.calls, '\n'.join(log), plan.path


def write_key(path: Path, data: bytes = SECRET, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def manifest_of(plan: Path) -> Path:
    return plan.with_name(f'{plan.name}.json')


def test_a_signed_plan_is_loaded_from_a_copied_folder(tmp_path: Path) -> None:
    calls, _, _ = load(tmp_path / 'first', SECRET)
    shutil.copytree(tmp_path / 'first', tmp_path / 'second')
    assert calls == 1
    assert load(tmp_path / 'second', SECRET)[:2] == (0, '')


def test_the_hmac_covers_every_field(tmp_path: Path) -> None:
    path = manifest_of(load(tmp_path, SECRET)[2])
    values: dict[str, Any] = json.loads(path.read_bytes())
    code = values.pop('hmac_sha256')
    text = json.dumps(values, indent=2, ensure_ascii=True) + '\n'
    expected = hmac.new(SECRET, b'trt_detector manifest\0' + text.encode(), hashlib.sha256)
    assert code == expected.hexdigest()
    assert 'plan_sha256' in values


def test_a_plan_without_hmac_is_rebuilt(tmp_path: Path) -> None:
    load(tmp_path, None)
    calls, log, _ = load(tmp_path, SECRET)
    assert calls == 1
    assert 'has no HMAC, and plan_key_path is set' in log
    assert load(tmp_path, SECRET)[:2] == (0, '')


def test_a_plan_of_another_key_is_rebuilt(tmp_path: Path) -> None:
    load(tmp_path, OTHER)
    calls, log, _ = load(tmp_path, SECRET)
    assert calls == 1
    assert 'the HMAC of its manifest is wrong' in log


def test_a_plan_replaced_together_with_its_hash_is_rebuilt(tmp_path: Path) -> None:
    plan = load(tmp_path, SECRET)[2]
    evil = b'code of someone else'
    plan.write_bytes(evil)
    values = json.loads(manifest_of(plan).read_bytes())
    values |= {'plan_sha256': hashlib.sha256(evil).hexdigest(), 'plan_bytes': len(evil)}
    manifest_of(plan).write_text(json.dumps(values))
    calls, log, _ = load(tmp_path, SECRET)
    assert calls == 1
    assert 'the HMAC of its manifest is wrong' in log


def test_without_a_key_signed_plans_are_loaded(tmp_path: Path) -> None:
    load(tmp_path, SECRET)
    assert load(tmp_path, None)[:2] == (0, '')


@pytest.mark.parametrize('code', ['', 'x', 7, None, 'F' * 64])
def test_a_mistyped_hmac_is_no_valid_one(tmp_path: Path, code: object) -> None:
    plan = load(tmp_path, SECRET)[2]
    values = json.loads(manifest_of(plan).read_bytes()) | {'hmac_sha256': code}
    manifest_of(plan).write_text(json.dumps(values))
    assert load(tmp_path, SECRET)[0] == 1


def test_a_prebuilt_plan_needs_its_hmac_file(tmp_path: Path) -> None:
    plan = tmp_path / 'model.engine'
    plan.write_bytes(b'ftrt plan')
    with pytest.raises(PlanError, match=r'model.engine.hmac cannot be read'):
        read_prebuilt_plan(plan, PlanHmac(SECRET))
    message = b'trt_detector plan\0ftrt plan'
    code = hmac.new(SECRET, message, hashlib.sha256).hexdigest()
    hmac_path(plan).write_text(f'{code}\n')
    stored = read_prebuilt_plan(plan, PlanHmac(SECRET))
    assert (stored.data, stored.notes) == (b'ftrt plan', ())
    with pytest.raises(PlanError, match=r'the HMAC in .* is wrong'):
        read_prebuilt_plan(plan, PlanHmac(OTHER))
    plan.write_bytes(b'ftrt plam')
    with pytest.raises(PlanError, match=r'the HMAC in .* is wrong'):
        read_prebuilt_plan(plan, PlanHmac(SECRET))


@pytest.mark.parametrize(
    ('data', 'mode', 'reason'),
    [
        (SECRET[:31], 0o600, 'has 31 bytes; expected 32 or more'),
        (SECRET, 0o640, 'has mode 0640: other users could read'),
        (SECRET, 0o604, 'has mode 0604: other users could read'),
        (SECRET, 0o620, 'has mode 0620'),
        (bytes(5000), 0o600, 'has 5000 bytes; expected 4096 or less'),
    ],
)
def test_an_unusable_key_file_is_refused(
    tmp_path: Path, data: bytes, mode: int, reason: str
) -> None:
    with pytest.raises(PlanError, match=reason):
        read_plan_key(str(write_key(tmp_path / 'plan.key', data, mode)))


@pytest.mark.skipif(
    os.geteuid() != 0, reason='only root can give a file to another user: run as root'
)
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = write_key(tmp_path / 'plan.key')
    os.chown(path, 12345, -1)
    with pytest.raises(PlanError, match='belongs to user 12345'):
        read_plan_key(str(path))


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r'cannot be read: No such file.*openssl rand'):
        read_plan_key(str(tmp_path / 'absent.key'))
    assert read_plan_key('') is None


@pytest.mark.parametrize(('secret', 'state'), [(SECRET, 'valid'), (OTHER, 'is wrong')])
def test_inspect_engine_tells_the_hmac(
    tmp_path: Path, secret: bytes, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = load(tmp_path, SECRET)[2]
    key = write_key(tmp_path / 'plan.key', secret)
    # The engine itself cannot be loaded: its bytes are no plan.
    inspect_engine.main([str(plan), '--plan-key-path', str(key), '--json'])
    report = json.loads(capsys.readouterr().out)
    assert state in report.get('hmac', report['error'])
    inspect_engine.main([str(plan), '--json'])
    report = json.loads(capsys.readouterr().out)
    assert report['hmac'] == 'present; not checked without --plan-key-path'


def test_a_manifest_beyond_its_limit_is_refused(tmp_path: Path) -> None:
    plan = load(tmp_path, None)[2]
    with manifest_of(plan).open('ab') as file:
        file.write(b' ' * (1 << 20))
    calls, log, _ = load(tmp_path, None)
    assert calls == 1
    assert 'expected 1048576 or less' in log
