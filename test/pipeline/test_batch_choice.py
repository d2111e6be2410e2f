# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the choice between batches and single images."""

from __future__ import annotations

from collections.abc import Sequence
import logging
from pathlib import Path
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.models import constant_detector, lamp_detector
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.pipeline import batch_choice, Detector
from trt_detector.pipeline.batch_choice import BatchChoice, choose_batch_size
from trt_detector.pipeline.batch_runner import BatchRunner

BLACK = Image.from_array(np.zeros((64, 64, 3), np.uint8))


class Clock:
    """Runner whose batches take a given time on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ms_by_count: dict[int, float]) -> None:
        self.now_s = 0.0
        self.counts: list[int] = []
        self.in_flight = 0
        self.most_in_flight: dict[int, int] = {}
        self._ms_by_count = ms_by_count
        monkeypatch.setattr(batch_choice.time, 'perf_counter', lambda: self.now_s)

    def get_depth(self, count: int) -> int:
        """Return 2 for batches, and 3 for single images."""
        return 2 if count > 1 else 3

    def submit(self, images: Sequence[Image]) -> SimpleNamespace:
        """Start a batch."""
        self.counts.append(len(images))
        self.in_flight += 1
        count = len(images)
        self.most_in_flight[count] = max(self.most_in_flight.get(count, 0), self.in_flight)
        return SimpleNamespace(count=count, slot=SimpleNamespace(wait=lambda: None))

    def collect(self, pending: SimpleNamespace) -> None:
        """Let the time of a batch pass."""
        self.in_flight -= 1
        self.now_s += self._ms_by_count[pending.count] / 1e3


@pytest.mark.parametrize(
    ('batch_ms', 'expected'),
    [(20.0, 4), (36.0, 4), (36.1, 1), (40.0, 1), (60.0, 1)],
)
def test_batch_is_used_only_if_it_takes_10_percent_less_per_image(
    batch_ms: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Single images take 10 ms: 40 ms for four of them.
    runner: Any = Clock(monkeypatch, {1: 10.0, 4: batch_ms})
    choice = choose_batch_size(runner, BLACK, 4)
    assert choice.batch_size == expected
    assert choice.single_ms == pytest.approx(10.0)
    assert choice.batch_ms == pytest.approx(batch_ms / 4)


def test_both_are_measured_in_turn_on_as_many_images_and_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner: Any = Clock(monkeypatch, {1: 10.0, 4: 30.0})
    choose_batch_size(runner, BLACK, 4)
    a_round = [4, 4] + [1] * 8
    # 60 ms and 80 ms per round: two take the 250 ms of the measurement, but three are the minimum.
    assert runner.counts == a_round * 3
    assert runner.most_in_flight == {4: 2, 1: 3}
    assert runner.in_flight == 0


def test_fast_model_is_measured_for_a_quarter_of_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner: Any = Clock(monkeypatch, {1: 1.0, 4: 3.0})
    choose_batch_size(runner, BLACK, 4)
    # 14 ms per round: the 18th begins at 238 ms.
    assert runner.counts == ([4, 4] + [1] * 8) * 18


def test_slow_model_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runner: Any = Clock(monkeypatch, {1: 1000.0, 4: 3000.0})
    choose_batch_size(runner, BLACK, 4)
    assert runner.counts == [4, 4] + [1] * 8


def test_text_has_the_choice_and_the_figures() -> None:
    text = str(BatchChoice(largest=4, batch_ms=8.125, single_ms=7.5))
    assert text.startswith('1: 8.125 ms per image in batches of 4, 7.500 ms in single images')


def _open(path: Path, **parameters: Any) -> Detector:
    config = DetectorConfig(model_path=str(path), backend='onnxruntime', **parameters)
    return create_detector(config, default_batch_size=3)


@pytest.fixture(name='lamp')
def _lamp(tmp_path: Path) -> Path:
    return lamp_detector(tmp_path / 'lamp.onnx')


def _slow_down(monkeypatch: pytest.MonkeyPatch, slow: int) -> None:
    """Let batches of a number of images take 5 ms longer."""
    collect = BatchRunner.collect

    def delayed(self: BatchRunner, pending: Any) -> Any:
        if len(pending.letterboxes) == slow:
            time.sleep(0.005)
        return collect(self, pending)

    monkeypatch.setattr(BatchRunner, 'collect', delayed)


@pytest.mark.parametrize(('slow', 'expected'), [(1, 3), (3, 1)])
def test_warm_up_chooses_the_batch_size_and_reports_it(
    slow: int,
    expected: int,
    lamp: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _slow_down(monkeypatch, slow)
    caplog.set_level(logging.INFO, logger='trt_detector')
    monkeypatch.setattr(logging.getLogger('trt_detector'), 'propagate', True)
    with _open(lamp) as detector:
        assert detector.batch_size == expected
        choice = detector.info.report()['batch choice']
        assert choice.startswith(f'{expected}: ')
        assert f'lamp.onnx: batch size {choice}' in caplog.text
        assert len(detector.detect([BLACK] * expected).detections) == expected
        with pytest.raises(ValueError, match=f'expected 1 to {expected}'):
            detector.detect([BLACK] * (expected + 1))


@pytest.mark.parametrize('parameters', [{'batch_size': 3}, {'warmup_iterations': 0}])
def test_given_batch_size_is_not_measured(parameters: dict[str, Any], lamp: Path) -> None:
    with _open(lamp, **parameters) as detector:
        assert detector.batch_size == 3
        assert 'batch choice' not in detector.info.report()


def test_fixed_batch_is_not_measured(tmp_path: Path) -> None:
    with _open(lamp_detector(tmp_path / 'four.onnx', batch=4)) as detector:
        assert detector.batch_size == 4
        assert 'batch choice' not in detector.info.report()


def test_first_image_that_sets_the_input_size_also_chooses_the_batch_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _slow_down(monkeypatch, 3)
    path = constant_detector(tmp_path / 'open.onnx', np.zeros((1, 6)), size=('h', 'w'))
    with _open(path) as detector:
        assert detector.input_size_pending
        assert detector.batch_size == 3
        detector.detect([BLACK] * 3)
        assert detector.batch_size == 1
        # The next image has the same size, or another one that leads to the same input size.
        choice = detector.info.report()['batch choice']
        detector.fit_input_size(BLACK)
        assert detector.info.report()['batch choice'] == choice


def test_another_warm_up_measures_full_batches_again(
    lamp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _slow_down(monkeypatch, 3)
    with _open(lamp) as detector:
        assert detector.batch_size == 1
        detector.warm_up(1)
        assert 'in batches of 3' in detector.info.report()['batch choice']
