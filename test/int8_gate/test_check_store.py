# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""A check of INT8 is made once, until something that it depends on changes."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import re
import shutil
from typing import Any

from doubles.machine import machine
import onnx
import pytest
from support.int8 import MODEL, PICTURES, settings
from trt_detector.config import DetectorConfig
from trt_detector.errors import AccuracyError
from trt_detector.factory import create_detector
from trt_detector.int8_gate import check_store as int8_checks
from trt_detector.int8_gate import gate as int8_gate
from trt_detector.int8_gate.agreement import Agreement
from trt_detector.int8_gate.check_store import CheckStore

AGREEMENT = Agreement(frames=2, reference=10, found=9, candidate=9, confirmed=9, drift_sum=-0.25)


@pytest.fixture(name='checks')
def _checks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that every check that is really made adds its number of frames to."""
    made: list[int] = []
    compare: Callable[..., Agreement] = int8_gate._compare

    def note(*arguments: Any) -> Agreement:
        made.append(len(arguments[3]))
        return compare(*arguments)

    monkeypatch.setattr(int8_gate, '_compare', note)
    return made


def check(config: DetectorConfig) -> tuple[str, str, tuple[str, ...]]:
    """Return precision, outcome of the check and warnings of a detector."""
    with create_detector(config) as detector:
        outcome = detector.info.report()['int8 check']
        return detector.info.precision, outcome, detector.info.warnings


def test_the_second_start_uses_the_stored_verdict(
    caches: Path, frames: Path, tmp_path: Path, checks: list[int]
) -> None:
    config = settings(
        caches / 'good.calib', int8_gate_images=str(frames), engine_cache_dir=str(tmp_path)
    )
    first, second = check(config), check(config)
    assert checks == [6]
    assert first[0] == second[0] == 'int8'
    assert re.fullmatch(re.escape(first[1]) + r'; checked on \d{4}-\d\d-\d\d', second[1])


def test_the_minimum_agreement_is_not_part_of_the_key(
    caches: Path, frames: Path, tmp_path: Path, checks: list[int]
) -> None:
    config = settings(
        caches / 'x8.calib', int8_gate_images=str(frames), engine_cache_dir=str(tmp_path),
        int8_min_agreement=0.0,
    )  # fmt: skip
    assert check(config)[0] == 'int8'
    stricter = config.with_changes(int8_min_agreement=0.95, int8_gate_action='fail')
    with pytest.raises(AccuracyError, match=r'int8_min_agreement is 0\.95'):
        create_detector(stricter)
    assert checks == [6]


def test_a_refusal_is_stored_as_well(
    caches: Path, frames: Path, tmp_path: Path, checks: list[int]
) -> None:
    config = settings(
        caches / 'x8.calib', int8_gate_images=str(frames), engine_cache_dir=str(tmp_path)
    )
    first, second = check(config), check(config)
    assert checks == [6]
    assert first[0] == second[0] == 'fp32'
    assert first[2] == second[2]
    assert second[2][0].startswith('the INT8 engine is refused: ')


def test_changes_run_the_check_again(
    caches: Path, frames: Path, tmp_path: Path, checks: list[int]
) -> None:
    pictures = tmp_path / 'pictures'
    shutil.copytree(frames, pictures)
    config = settings(
        caches / 'good.calib', int8_gate_images=str(pictures), engine_cache_dir=str(tmp_path)
    )
    check(config)
    for changes in (
        {'calib_cache_path': str(caches / 'noise.calib')},
        {'score_threshold': 0.5},
        {'quantize_exclude': ('/stem/*',)},
        {'classes': ('0',)},
    ):
        before = len(checks)
        check(config.with_changes(**changes))
        assert len(checks) == before + 1, changes
    before = len(checks)
    check(config.with_changes(diagnostics_period=7.0, warmup_iterations=1))
    assert len(checks) == before
    # The same number of frames, one of them another.
    replaced = min(pictures.iterdir())
    shutil.copy(min(PICTURES.glob('scene_13_*')), replaced)
    check(config)
    assert len(checks) == before + 1


def test_a_camera_still_chooses_an_open_size(
    caches: Path, frames: Path, tmp_path: Path, checks: list[int]
) -> None:
    config = settings(
        caches / 'good.calib', int8_gate_images=str(frames), engine_cache_dir=str(tmp_path)
    )
    for _ in range(2):
        with create_detector(config) as detector:
            was_open = detector.input_size_pending
        with create_detector(config.with_changes(calib_cache_path='', precision='auto')) as plain:
            assert was_open == plain.input_size_pending
    assert len(checks) == 1


@pytest.mark.parametrize(
    'agreement',
    ['[]', 'null', '""', '{"reference": "1"}', '{"found": NaN}', '{"found": -1}',
     '{"found": 1e400}', '{"drift_sum": NaN}', '{"unknown": 1}', '{"found": true}'],
)  # fmt: skip
def test_impossible_numbers_in_a_stored_check_are_rejected(agreement: str, tmp_path: Path) -> None:
    store, key = CheckStore(tmp_path), {'engine': 'a'}
    store.write(key, AGREEMENT)
    (path,) = tmp_path.iterdir()
    values = json.loads(path.read_text())
    values['agreement'] = 'AGREEMENT'
    path.write_text(json.dumps(values).replace('"AGREEMENT"', agreement))
    assert store.read(key) is None


def test_a_change_during_a_check_prevents_its_storage(
    caches: Path, frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = tmp_path / 'pictures'
    shutil.copytree(frames, pictures)
    config = settings(
        caches / 'good.calib', int8_gate_images=str(pictures), engine_cache_dir=str(tmp_path)
    )
    compare = int8_gate._compare

    def replace_a_frame(*arguments: Any) -> Agreement:
        shutil.copy(min(PICTURES.glob('scene_13_*')), min(pictures.iterdir()))
        return compare(*arguments)

    monkeypatch.setattr(int8_gate, '_compare', replace_a_frame)
    check(config)
    assert not list(tmp_path.glob('int8_checks/*'))


def test_another_reference_runtime_is_checked_again(
    caches: Path, frames: Path, tmp_path: Path, checks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(
        caches / 'good.calib', int8_gate_images=str(frames), engine_cache_dir=str(tmp_path)
    )
    check(config)
    monkeypatch.setattr(int8_checks.metadata, 'version', lambda _: '0.1')
    check(config)
    assert len(checks) == 2


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'[]',
        b'{"format": 1}',
        b'\xff\xfe',
        b'{"format": 2, "key": {}}',
        b'{"format": 1, "key": {"engine": "a"}, "day": "", "agreement": {"reference": "1"}}',
    ],
)
def test_a_damaged_stored_check_is_replaced(content: bytes, tmp_path: Path) -> None:
    store, key = CheckStore(tmp_path / 'deep' / 'checks'), {'engine': 'a'}
    assert store.read(key) is None
    store.write(key, AGREEMENT)
    (path,) = (tmp_path / 'deep' / 'checks').iterdir()
    path.write_bytes(content)
    assert store.read(key) is None
    store.write(key, AGREEMENT)
    known = store.read(key)
    assert known is not None
    assert known[0] == AGREEMENT


def test_a_stored_check_that_others_can_write_is_rejected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, key = CheckStore(tmp_path), {'engine': 'a'}
    store.write(key, AGREEMENT)
    (path,) = tmp_path.iterdir()
    path.chmod(0o666)
    assert store.read(key) is None
    assert 'runs again' in caplog.text


def test_a_stored_check_with_another_key_is_rejected(tmp_path: Path) -> None:
    store = CheckStore(tmp_path)
    store.write({'engine': 'a'}, AGREEMENT)
    (path,) = tmp_path.iterdir()
    values = json.loads(path.read_text())
    values['key'] = {'engine': 'b'}
    path.write_text(json.dumps(values))
    assert store.read({'engine': 'a'}) is None


def test_a_read_only_folder_prevents_only_the_storage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / 'file').touch()
    CheckStore(tmp_path / 'file').write({'engine': 'a'}, AGREEMENT)
    assert 'runs at each start' in caplog.text


def test_the_oldest_stored_checks_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_checks, '_KEPT', 3)
    store = CheckStore(tmp_path)
    for number in range(6):
        store.write({'engine': str(number)}, AGREEMENT)
    assert len(list(tmp_path.iterdir())) == 3
    assert store.read({'engine': '5'}) is not None


def test_a_plan_is_checked_once_until_it_is_built_again(
    caches: Path, frames: Path, tmp_path: Path, checks: list[int]
) -> None:
    config = settings(
        caches / 'good.calib', int8_gate_images=str(frames), engine_cache_dir=str(tmp_path),
        backend='tensorrt',
    )  # fmt: skip
    with machine('tensorrt-11.4') as world:
        for _ in range(2):
            assert check(config)[0] == 'int8'
        assert (len(world.builds), len(checks)) == (1, 1)
        # Another plan of the same network: for batches of up to two.
        for _ in range(2):
            check(config.with_changes(max_shape=(2, 3, 320, 512), min_shape=(1, 3, 320, 512)))
        assert (len(world.builds), len(checks)) == (2, 2)


def test_a_plan_that_was_built_otherwise_is_checked_again(
    caches: Path, frames: Path, tmp_path: Path, checks: list[int]
) -> None:
    digests = []
    for exclude in ((), ('/stem/*',)):
        config = settings(
            caches / 'good.calib', int8_gate_images='', engine_cache_dir=str(tmp_path),
            backend='tensorrt', quantize_exclude=exclude,
        )  # fmt: skip
        with machine('tensorrt-11.4'), create_detector(config) as detector:
            digests.append(detector.info.digest)
    assert len(set(digests)) == 2
    assert all(len(digest) == 129 for digest in digests)
    assert not checks


def test_a_changed_metadata_file_runs_the_check_again(
    caches: Path, frames: Path, tmp_path: Path, checks: list[int]
) -> None:
    model = tmp_path / 'bare.onnx'
    graph = onnx.load(MODEL)
    del graph.metadata_props[:]
    onnx.save(graph, model)
    config = settings(
        caches / 'good.calib', int8_gate_images=str(frames), engine_cache_dir=str(tmp_path),
        model_path=str(model), int8_min_agreement=0.0, head='end_to_end',
    )  # fmt: skip
    for _ in range(2):
        check(config)
    assert len(checks) == 1
    (tmp_path / 'bare.yaml').write_text('stride: 64\n')
    before = len(checks)
    check(config)
    assert len(checks) == before + 1
