# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The plan store: what is loaded, what is rebuilt, and what the log says about it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
import stat
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.models import constant_detector
from support.plans import Builder, CHANGES, content, make_device, make_key, sha
from trt_detector.errors import BuildCancelledError, BuildError, PlanError
from trt_detector.plan import (
    BuiltPlan,
    find_cache_dir,
    PlanKey,
    PlanStore,
    read_prebuilt_plan,
    StoredPlan,
)
from trt_detector.plan.entry import iterate_manifests
from trt_detector.plan.lock import hold_lock, try_lock


def open_plan(folder: Path, key: PlanKey, **options: Any) -> tuple[StoredPlan, int, str]:
    """Return the plan, how often it was built, and the log as one text."""
    log: list[str] = []
    builder = Builder(key)
    plan = PlanStore(folder, **options).load_or_build(key, builder, log=log.append)
    assert plan.data == content(key)
    return plan, builder.calls, '\n'.join(log)


def test_built_once_then_loaded(tmp_path: Path) -> None:
    folder = tmp_path / 'a' / 'plans'
    first, calls, log = open_plan(folder, make_key())
    assert (calls, first.from_cache, first.notes) == (1, False, ())
    assert 'yolov8n' in log
    second, calls, log = open_plan(folder, make_key())
    assert (calls, second.from_cache, log) == (0, True, '')
    assert second.path == first.path
    assert second.path is not None
    assert second.path.name == 'yolov8n.cc_8.7_sm_16.engine'
    assert folder in second.path.parents
    assert second.manifest == first.manifest
    assert second.manifest is not None
    assert second.manifest.built_precision == 'fp16'
    assert second.manifest.details == {'tactics': 'all'}


def test_modes_let_no_other_user_in(tmp_path: Path) -> None:
    folder = tmp_path / 'plans'
    before = os.umask(0o000)
    try:
        open_plan(folder, make_key())
    finally:
        os.umask(before)
    folders = [folder, *(path for path in folder.rglob('*') if path.is_dir())]
    assert len(folders) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    files = [path for path in folder.rglob('*.engine*') if path.is_file()]
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.parametrize('field', CHANGES)
def test_each_field_of_the_key_rebuilds_once_and_is_named(tmp_path: Path, field: str) -> None:
    open_plan(tmp_path, make_key())
    plan, calls, log = open_plan(tmp_path, CHANGES[field])
    assert calls == 1
    assert field in log
    assert ' was ' in log
    assert plan.notes == (log,)
    assert open_plan(tmp_path, CHANGES[field])[1:] == (0, '')
    # The plan of the first key is still there: nodes that differ do not take turns in building.
    assert open_plan(tmp_path, make_key())[1:] == (0, '')


def test_the_log_compares_with_the_nearest_plan(tmp_path: Path) -> None:
    open_plan(tmp_path, make_key())
    open_plan(tmp_path, make_key(precision='fp32', flags=(), max_shape=(9, 3, 640, 640)))
    log = open_plan(tmp_path, make_key(version='10.16.1'))[2]
    assert log == 'rebuilding yolov8n: TensorRT version was 10.3.0, is 10.16.1'


def test_a_plan_of_an_earlier_version_is_rebuilt_and_named(tmp_path: Path) -> None:
    first = open_plan(tmp_path, make_key())[0]
    assert first.path is not None
    # An earlier version had other fields in the key, so its folder has another hash.
    old = first.path.parent.rename(tmp_path / 'yolov8n-0123456789ab')
    (manifest,) = old.glob('*.engine.json')
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {'format': 1}))
    second, calls, log = open_plan(tmp_path, make_key())
    assert calls == 1
    assert log.startswith(f'rebuilding yolov8n: {manifest} cannot be used: ')
    assert 'format of the manifest is 1; expected 2' in log
    assert 'another version of trt_detector' in log
    assert f'the folder {old} can be removed' in log
    assert second.notes == (log,)
    assert open_plan(tmp_path, make_key())[1:] == (0, '')


OTHER_VALUES: dict[str, Any] = {
    'format': 7,
    'library': 'tensorrt_rtx',
    'precision': 'int8',
    'plan_bytes': 4095,
    'built_precision': 'int8',
    'layer_precision': '1 fp32',
    'build_seconds': 1.25,
    'details': {'tactics': 'some'},
    'flags': [],
    'calib_cache_sha256': sha('cache'),
    'plugin_sha256': [sha('plugin')],
}


def other_value(field: str, value: Any) -> Any:
    """Return a valid value of a manifest's field that is not the stored one."""
    if field in OTHER_VALUES:
        return OTHER_VALUES[field]
    if field.endswith('sha256'):
        return sha('other')
    if isinstance(value, str):
        return value + 'x'
    return [value[0] + 1, *value[1:]] if isinstance(value, list) else value + 1


def manifest_fields() -> list[str]:
    own = ('plan_sha256', 'plan_bytes', 'built_precision', 'layer_precision', 'created')
    return ['format', *make_key().to_json(), *own, 'build_seconds', 'details']


# Properties of the result: they are shown, and no decision depends on them.
SHOWN_FIELDS = ('built_precision', 'layer_precision', 'created', 'build_seconds', 'details')


@pytest.mark.parametrize('field', [f for f in manifest_fields() if f not in SHOWN_FIELDS])
def test_each_field_of_the_file_rebuilds_once_and_is_named(tmp_path: Path, field: str) -> None:
    path = open_plan(tmp_path, make_key())[0].path
    assert path is not None
    manifest = path.with_name(path.name + '.json')
    values = json.loads(manifest.read_bytes())
    assert sorted(values) == sorted(manifest_fields())
    values[field] = other_value(field, values[field])
    manifest.write_text(json.dumps(values))
    _, calls, log = open_plan(tmp_path, make_key())
    assert calls == 1
    assert field in log
    assert open_plan(tmp_path, make_key())[1:] == (0, '')


def damage(data: bytes, how: str) -> bytes:
    middle = len(data) // 2
    return {
        'empty': b'',
        'truncated': data[:middle],
        'bit flipped': data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        'longer': data + b'x',
        'another file': b'\x7fELF' * 100,
    }[how]


@pytest.mark.parametrize('how', ['empty', 'truncated', 'bit flipped', 'longer', 'another file'])
@pytest.mark.parametrize('which', ['.engine', '.engine.json'])
def test_a_damaged_file_is_set_aside_and_rebuilt(tmp_path: Path, which: str, how: str) -> None:
    plan = open_plan(tmp_path, make_key())[0].path
    assert plan is not None
    path = plan if which == '.engine' else plan.with_name(plan.name + '.json')
    damaged = damage(path.read_bytes(), how)
    path.write_bytes(damaged)
    stored, calls, log = open_plan(tmp_path, make_key())
    assert calls == 1
    assert f'{path}.set_aside' in log
    assert Path(f'{path}.set_aside').read_bytes() == damaged
    assert any('rebuilding yolov8n' in note for note in stored.notes)
    assert open_plan(tmp_path, make_key())[1:] == (0, '')


@pytest.mark.parametrize('which', ['.engine', '.engine.json'])
def test_a_missing_file_is_rebuilt(tmp_path: Path, which: str) -> None:
    plan = open_plan(tmp_path, make_key())[0].path
    assert plan is not None
    path = plan if which == '.engine' else plan.with_name(plan.name + '.json')
    path.unlink()
    _, calls, log = open_plan(tmp_path, make_key())
    assert calls == 1
    assert f'{path} is missing; an earlier build was interrupted' in log
    assert open_plan(tmp_path, make_key())[1] == 0


@pytest.mark.parametrize('mode', [0o620, 0o602, 0o666, 0o777])
@pytest.mark.parametrize('which', ['.engine', '.engine.json'])
def test_what_another_user_could_write_is_refused(tmp_path: Path, which: str, mode: int) -> None:
    plan = open_plan(tmp_path, make_key())[0].path
    assert plan is not None
    path = plan if which == '.engine' else plan.with_name(plan.name + '.json')
    path.chmod(mode)
    _, calls, log = open_plan(tmp_path, make_key())
    assert calls == 1
    assert f'{path} has mode {mode:04o}' in log
    assert open_plan(tmp_path, make_key())[1:] == (0, '')


@pytest.mark.parametrize('which', ['.engine', '.engine.json'])
def test_what_belongs_to_another_user_is_refused(
    tmp_path: Path, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = open_plan(tmp_path, make_key())[0].path
    assert plan is not None
    path = plan if which == '.engine' else plan.with_name(plan.name + '.json')
    inode = path.stat().st_ino
    genuine = os.fstat

    def foreign(descriptor: int) -> os.stat_result:
        status = genuine(descriptor)
        if status.st_ino != inode:
            return status
        return os.stat_result([*status[:4], 54321, *status[5:]])

    monkeypatch.setattr('trt_detector.trusted_files.os.fstat', foreign)
    _, calls, log = open_plan(tmp_path, make_key())
    assert calls == 1
    assert '54321' in log


def test_a_link_in_place_of_a_plan_is_refused(tmp_path: Path) -> None:
    plan = open_plan(tmp_path, make_key())[0].path
    assert plan is not None
    elsewhere = tmp_path / 'elsewhere'
    plan.rename(elsewhere)
    plan.symlink_to(elsewhere)
    assert open_plan(tmp_path, make_key())[1] == 1
    assert not plan.is_symlink()


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize('failing', [1, 2])
def test_a_full_disk_leaves_the_plan_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, failing: int
) -> None:
    # Writes: 1 the plan, 2 the manifest.
    genuine = os.write
    count = 0

    def full(descriptor: int, data: Any) -> int:
        nonlocal count
        count += 1
        if count >= failing:
            raise OSError(code, os.strerror(code))
        return genuine(descriptor, data)

    monkeypatch.setattr('trt_detector.trusted_files.os.write', full)
    plan, calls, log = open_plan(tmp_path, make_key())
    assert (calls, plan.path, plan.from_cache) == (1, None, False)
    assert os.strerror(code) in log
    assert plan.notes[-1] in log
    assert plan.manifest is not None
    left = [p for p in tmp_path.rglob('*') if p.is_file() and p.suffix != '.lock']
    assert left == []
    monkeypatch.undo()
    assert open_plan(tmp_path, make_key())[1] == 1
    assert open_plan(tmp_path, make_key())[1] == 0


def test_a_write_in_parts_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = os.write
    monkeypatch.setattr(
        'trt_detector.trusted_files.os.write', lambda fd, data: genuine(fd, data[:100])
    )
    open_plan(tmp_path, make_key())
    monkeypatch.undo()
    assert open_plan(tmp_path, make_key())[1:] == (0, '')


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / 'file'
    folder.write_text('not a folder')
    with pytest.raises(PlanError, match='cannot be written'):
        PlanStore(folder).check_writable()
    plan, calls, log = open_plan(folder, make_key())
    assert (calls, plan.path) == (1, None)
    assert 'engine_cache_dir' in log
    assert folder.read_text() == 'not a folder'


@pytest.mark.parametrize('name', ['file', 'file/plans'])
def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(PlanError, match=f'{name} cannot be written: a file is in its place; set'):
        PlanStore(tmp_path / name).check_writable()


def test_too_little_space_is_refused_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PlanStore(tmp_path)
    store.check_writable()
    full = SimpleNamespace(f_bavail=3, f_frsize=1 << 20)
    monkeypatch.setattr(os, 'statvfs', lambda _: full)
    with pytest.raises(PlanError, match=' has 3 MiB free; expected '):
        store.check_writable()
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder_still_serves_its_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_plan(tmp_path, make_key())

    def read_only(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr('trt_detector.trusted_files.write_atomic', read_only)
    monkeypatch.setattr('trt_detector.plan.store.try_writing', read_only)
    monkeypatch.setattr('trt_detector.plan.entry.os.utime', read_only)
    assert open_plan(tmp_path, make_key())[1:] == (0, '')
    plan, calls, log = open_plan(tmp_path, make_key(version='11.0.0'))
    assert (calls, plan.path) == (1, None)
    assert os.strerror(errno.EROFS) in log


def test_a_plan_never_outlives_its_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = open_plan(tmp_path, make_key(), keep=1)[0].path
    assert path is not None
    manifest = path.with_name(path.name + '.json')
    moved: list[Path] = []
    monkeypatch.setattr('trt_detector.plan.entry.set_aside', moved.append)
    path.write_bytes(b'damaged')
    open_plan(tmp_path, make_key(), keep=1)
    assert moved == [manifest, path]
    removed: list[Path] = []
    unlink = Path.unlink

    def note(file: Path, *, missing_ok: bool = False) -> None:
        if file.exists():
            removed.append(file)
        unlink(file, missing_ok=missing_ok)

    monkeypatch.setattr(Path, 'unlink', note)
    # The order of a folder's files is that of the file system.
    monkeypatch.setattr(Path, 'iterdir', lambda folder: iter(sorted(folder.glob('*'))))
    open_plan(tmp_path, make_key(version='11.0.0'), keep=1)
    assert [file for file in removed if file.parent == path.parent] == [manifest, path]


def test_a_linked_folder_is_no_part_of_the_store(tmp_path: Path) -> None:
    path = open_plan(tmp_path / 'other', make_key())[0].path
    assert path is not None
    (tmp_path / 'plans').mkdir()
    (tmp_path / 'plans' / path.parent.name).symlink_to(path.parent)
    assert list(iterate_manifests(tmp_path / 'plans')) == []
    assert [found for found, _ in iterate_manifests(tmp_path / 'other')] == [
        path.with_name(path.name + '.json')
    ]


def test_old_plans_of_a_network_are_pruned(tmp_path: Path) -> None:
    paths = []
    for version in range(5):
        path = open_plan(tmp_path, make_key(version=str(version)), keep=3)[0].path
        assert path is not None
        paths.append(path)
        os.utime(path.with_name(path.name + '.json'), (version, version))
    assert [path.exists() for path in paths] == [False, False, True, True, True]
    assert not paths[0].parent.exists()
    # Loading counts as use: version 2 is now younger than version 3.
    open_plan(tmp_path, make_key(version='2'), keep=3)
    log = open_plan(tmp_path, make_key(version='5'), keep=3)[2]
    assert f'removed the least recently used plan {paths[3]}' in log
    assert [path.exists() for path in paths[2:]] == [True, False, True]


def test_another_model_is_not_pruned(tmp_path: Path) -> None:
    other = open_plan(tmp_path, make_key(model_name='other'), keep=1)[0].path
    same_name = make_key(model_sha256=sha('the same name in another folder'))
    namesake = open_plan(tmp_path, same_name, keep=1)[0].path
    for version in range(3):
        open_plan(tmp_path, make_key(version=str(version)), keep=1)
    assert other is not None
    assert namesake is not None
    assert other.exists()
    assert namesake.exists()


def test_a_network_trained_anew_every_day_does_not_fill_the_disk(tmp_path: Path) -> None:
    for day in range(12):
        open_plan(tmp_path, make_key(model_sha256=sha(f'day {day}')), keep=2)
    assert len(list(tmp_path.rglob('*.engine'))) == 8


def test_leftovers_of_killed_builds_go(tmp_path: Path) -> None:
    path = open_plan(tmp_path, make_key())[0].path
    assert path is not None
    leftover = path.with_name(f'.{path.name}.0123.partial')
    leftover.write_bytes(b'half')
    path.unlink()
    open_plan(tmp_path, make_key())
    assert not leftover.exists()


def test_a_failed_build_is_passed_on_and_frees_the_lock(tmp_path: Path) -> None:
    def fails() -> BuiltPlan:
        raise BuildError('no tactic')

    with pytest.raises(BuildError, match='no tactic'):
        PlanStore(tmp_path).load_or_build(make_key(), fails, log=print)
    assert open_plan(tmp_path, make_key())[1] == 1


def test_an_empty_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match='empty plan'):
        PlanStore(tmp_path).load_or_build(make_key(), lambda: BuiltPlan(b'', 'fp16'), log=print)


def test_cancelled_before_the_build(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    builder = Builder(make_key())
    with pytest.raises(BuildCancelledError):
        PlanStore(tmp_path).load_or_build(make_key(), builder, log=print, cancel=cancel)
    assert builder.calls == 0


def test_the_wait_for_another_thread_can_be_cancelled(tmp_path: Path) -> None:
    key = make_key()
    building, release, cancel = threading.Event(), threading.Event(), threading.Event()

    def slow() -> BuiltPlan:
        building.set()
        release.wait(60)
        return BuiltPlan(content(key), 'fp16')

    worker = threading.Thread(
        target=lambda: PlanStore(tmp_path).load_or_build(key, slow, log=print)
    )
    worker.start()
    try:
        assert building.wait(60)
        log: list[str] = []

        def note(sentence: str) -> None:
            log.append(sentence)
            cancel.set()

        with pytest.raises(BuildCancelledError):
            PlanStore(tmp_path).load_or_build(key, Builder(key), log=note, cancel=cancel)
    finally:
        release.set()
        worker.join(60)
    assert len(log) == 1
    assert 'another process is building' in log[0]
    assert open_plan(tmp_path, key)[1] == 0


def test_the_built_precision_is_kept_where_it_is_not_the_one_asked_for(tmp_path: Path) -> None:
    key = make_key(precision='int8')
    store = PlanStore(tmp_path)
    store.load_or_build(key, Builder(key, precision='fp16'), log=print)
    plan = store.load_or_build(key, Builder(key), log=print)
    assert plan.from_cache
    assert plan.manifest is not None
    assert plan.manifest.built_precision == 'fp16'


def test_timing_cache(tmp_path: Path) -> None:
    store, device = PlanStore(tmp_path / 'plans'), make_device()
    which = ('tensorrt', '10.3.0', device)
    assert store.read_timing_cache(*which) == b''
    store.write_timing_cache(*which, b'timings')
    assert store.read_timing_cache(*which) == b'timings'
    assert store.read_timing_cache('tensorrt', '10.3.1', device) == b''
    assert store.read_timing_cache('tensorrt', '10.3.0', make_device(name='Thor')) == b''
    store.timing_cache_path(*which).chmod(0o666)
    assert store.read_timing_cache(*which) == b''
    blocked = PlanStore(tmp_path / 'file')
    (tmp_path / 'file').write_text('')
    with pytest.raises(PlanError, match='timing cache'):
        blocked.write_timing_cache(*which, b'timings')


def test_a_prebuilt_plan_is_loaded_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / 'mine.engine'
    path.write_bytes(b'a plan')
    path.chmod(0o644)
    link = tmp_path / 'link.plan'
    link.symlink_to(path)
    for name in (path, link):
        plan = read_prebuilt_plan(name)
        assert (plan.data, plan.manifest, plan.path) == (b'a plan', None, name)
        assert 'without verification' in plan.notes[0]
    path.chmod(0o664)
    with pytest.raises(PlanError, match='chmod go-w'):
        read_prebuilt_plan(path)


def test_a_header_of_ultralytics_is_no_part_of_a_plan(tmp_path: Path) -> None:
    path = tmp_path / 'mine.engine'
    header = b'{"stride": 32}'
    path.write_bytes(len(header).to_bytes(4, 'little') + header + b'a plan')
    path.chmod(0o600)
    assert read_prebuilt_plan(path).data == b'a plan'


def test_a_prebuilt_plan_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match='No such file'):
        read_prebuilt_plan(tmp_path / 'absent.engine')
    with pytest.raises(PlanError, match='directory'):
        read_prebuilt_plan(tmp_path)
    empty = tmp_path / 'empty.engine'
    empty.touch(mode=0o600)
    with pytest.raises(PlanError, match='empty'):
        read_prebuilt_plan(empty)
    onnx_file = constant_detector(tmp_path / 'm.onnx', np.zeros((6, 50))).rename(
        tmp_path / 'onnx.engine'
    )
    with pytest.raises(PlanError, match='is an ONNX file by its content, not a TensorRT plan'):
        read_prebuilt_plan(onnx_file)
    fifo = tmp_path / 'fifo.engine'
    os.mkfifo(fifo, 0o600)
    with pytest.raises(PlanError, match='regular file'):
        read_prebuilt_plan(fifo)


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert find_cache_dir('') == tmp_path / 'trt_detector'
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    for value in ('', 'relative/path'):
        monkeypatch.setenv('XDG_CACHE_HOME', value)
        assert find_cache_dir('') == tmp_path / 'home' / '.cache' / 'trt_detector'
    assert find_cache_dir('~/plans') == tmp_path / 'home' / 'plans'
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert find_cache_dir('') == tmp_path / 'home' / '.cache' / 'trt_detector'


@pytest.mark.parametrize('keep', [0, -1])
def test_a_limit_that_keeps_nothing_is_refused(tmp_path: Path, keep: int) -> None:
    with pytest.raises(ValueError, match='keep'):
        PlanStore(tmp_path, keep=keep)


def test_a_plan_that_another_process_holds_is_not_pruned(tmp_path: Path) -> None:
    open_plan(tmp_path, make_key(), keep=1)
    (lock,) = (tmp_path / 'locks').iterdir()
    with try_lock(lock):
        open_plan(tmp_path, make_key(version='11.0.0'), keep=1)
        assert len(list(tmp_path.rglob('*.engine'))) == 2
    open_plan(tmp_path, make_key(version='12.0.0'), keep=1)
    assert len(list(tmp_path.rglob('*.engine'))) == 1


def test_a_lock_that_cannot_be_made_costs_only_the_storing(tmp_path: Path) -> None:
    (tmp_path / 'locks').write_text('in the way')
    plan, calls, log = open_plan(tmp_path, make_key())
    assert (calls, plan.path) == (1, None)
    assert 'cannot be locked' in log


def test_a_link_in_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    path = open_plan(tmp_path, make_key())[0].path
    assert path is not None
    path.unlink()
    lock = tmp_path / 'locks' / f'{path.parent.name}.lock'
    lock.unlink()
    lock.symlink_to(tmp_path / 'elsewhere')
    plan, calls, log = open_plan(tmp_path, make_key())
    assert (calls, plan.path) == (1, None)
    assert f'{lock} cannot be locked' in log
    assert not (tmp_path / 'elsewhere').exists()


def test_a_wait_for_a_lock_is_told_once(tmp_path: Path) -> None:
    told: list[float] = []
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with try_lock(tmp_path / 'lock') as is_free:
            assert is_free
            held.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    # More than two looks at the lock, one every 0.1 s.
    threading.Timer(0.35, release.set).start()
    with hold_lock(tmp_path / 'lock', cancel=None, on_wait=lambda: told.append(1)):
        assert release.is_set()
    holder.join(60)
    assert len(told) == 1


def test_a_slot_that_cannot_be_cleaned_costs_only_the_storing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = open_plan(tmp_path, make_key())[0].path
    assert path is not None
    path.write_bytes(b'damaged')

    def fails(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr('trt_detector.plan.entry.set_aside', fails)
    plan, calls, log = open_plan(tmp_path, make_key())
    assert (calls, plan.path) == (1, None)
    assert os.strerror(errno.EIO) in log


def test_pruning_that_fails_costs_only_space(tmp_path: Path) -> None:
    path = open_plan(tmp_path, make_key(), keep=1)[0].path
    assert path is not None
    (path.parent / 'a folder of the user').mkdir()
    plan, calls, log = open_plan(tmp_path, make_key(version='11.0.0'), keep=1)
    assert (calls, plan.from_cache) == (1, False)
    assert plan.path is not None
    assert 'could not be removed' in log


@pytest.mark.parametrize('code', [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    genuine = os.fsync

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        genuine(descriptor)

    monkeypatch.setattr('trt_detector.trusted_files.os.fsync', sync)
    assert open_plan(tmp_path, make_key())[0].path is not None
    assert open_plan(tmp_path, make_key())[1] == 0


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setattr(Path, 'home', homeless)
    with pytest.raises(PlanError, match='engine_cache_dir'):
        find_cache_dir('')
