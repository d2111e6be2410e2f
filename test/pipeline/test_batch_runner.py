# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of an engine: slots that come back, options of each batch, and its times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from trt_detector.decode import DecodeOptions, SanityCheck
from trt_detector.engine import BatchSlot, InferenceEngine
from trt_detector.errors import EngineError
from trt_detector.image.image import Image
from trt_detector.pipeline import batch_runner
from trt_detector.pipeline.batch_runner import BatchRunner
from trt_detector.preprocess import CpuPreprocessor, PreprocessSpec
from trt_detector.values.detections import Detections
from trt_detector.values.engine_info import EngineInfo
from trt_detector.values.tensor_spec import TensorSpec

SIZE = (4, 6)
SPEC = TensorSpec('images', (None, 3, *SIZE), np.dtype(np.float32))
GRAY = Image.from_array(np.full((*SIZE, 3), 51, np.uint8))


class Engine(InferenceEngine):
    """
    Engine that returns its batch.

    :param parallel_runs: number of runs at once.
    """

    info = EngineInfo('stub', 'fp32', 'no device', '1.0')
    input_spec = SPEC
    output_specs = (TensorSpec('output', (None, 3, *SIZE), np.dtype(np.float32)),)

    def __init__(self, parallel_runs: int = 1) -> None:
        self._parallel_runs = parallel_runs
        self.batches: list[npt.NDArray[Any]] = []
        self.is_broken = False

    def get_input_shape(self) -> tuple[int, int]:
        return SIZE

    def get_batch_size(self) -> int:
        return 4

    def get_parallel_runs(self) -> int:
        return self._parallel_runs

    def run(self, batch: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        if self.is_broken:
            raise EngineError('broken')
        self.batches.append(batch.copy())
        return [batch]

    def close(self) -> None:
        """Do nothing."""


class OneBoxHead:
    """Head that finds the same box of score 0.5 in each image."""

    layout = 'one box'
    num_classes = 1

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Find the box, if its score is enough."""
        one = Detections(
            np.array([[1, 1, 3, 3]], np.float32), np.array([0.5], np.float32),
            np.zeros(1, np.int32),
        )  # fmt: skip
        return [one if options.minimum_score <= 0.5 else Detections.empty()] * len(outputs[0])


def make_runner(engine: Engine) -> BatchRunner:
    """Make a runner of single images and batches."""
    preprocessor = CpuPreprocessor(PreprocessSpec(), SPEC, SIZE)
    return BatchRunner(
        engine, preprocessor, OneBoxHead(), DecodeOptions(), SanityCheck('one box', 1)
    )


@pytest.mark.parametrize(
    ('parallel_runs', 'depths'),
    [
        # One slot.
        (1, {1: 1, 2: 1, 4: 1}),
        # Three and seven slots: of single images, or two batches.
        (2, {1: 3, 2: 2, 4: 2}),
        (6, {1: 7, 2: 3, 4: 2}),
    ],
)
def test_batches_run_one_after_the_other_and_images_at_once(
    parallel_runs: int, depths: dict[int, int]
) -> None:
    runner = make_runner(Engine(parallel_runs))
    assert {size: runner.get_depth(size) for size in depths} == depths
    runner.slots.close()


def test_a_failed_batch_gives_its_slot_back() -> None:
    engine = Engine()
    runner = make_runner(engine)

    def fail(_slot: BatchSlot) -> tuple[()]:
        raise ValueError('no image')

    for _ in range(3):
        with pytest.raises(ValueError, match='no image'):
            runner.start(1, fail, runner.options)
    engine.is_broken = True
    for _ in range(3):
        with pytest.raises(EngineError, match='broken'):
            runner.collect(runner.submit([GRAY]))
    assert runner.counts_run == set()
    engine.is_broken = False
    assert len(runner.collect(runner.submit([GRAY])).detections) == 1


def test_the_counts_are_those_of_the_batches_that_ran_at_this_size() -> None:
    runner = make_runner(Engine())
    for images in ([GRAY], [GRAY] * 3, [GRAY]):
        pending = runner.submit(images)
        assert len(images) == 1 or len(images) not in runner.counts_run
        runner.collect(pending)
    assert runner.counts_run == {1, 3}
    runner.open(runner.preprocessor, runner.head)
    assert runner.counts_run == set()


def test_a_batch_keeps_the_options_with_which_it_began() -> None:
    runner = make_runner(Engine())
    pending = runner.submit([GRAY])
    runner.options = DecodeOptions(score_threshold=0.9)
    assert len(runner.collect(pending).detections[0]) == 1
    assert len(runner.collect(runner.submit([GRAY])).detections[0]) == 0


def test_black_images_warm_up_each_size() -> None:
    engine = Engine()
    make_runner(engine).run_black([1, 4, 2])
    assert [batch.shape for batch in engine.batches] == [(n, 3, *SIZE) for n in (1, 4, 2)]
    assert not any(batch.any() for batch in engine.batches)


def test_the_times_are_those_of_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = make_runner(Engine())
    stages = {'network': 7.0}

    def get_stage_ms(_slot: BatchSlot) -> Mapping[str, float]:
        return stages

    monkeypatch.setattr(type(runner.slots[0]), 'get_stage_ms', get_stage_ms)
    # Preprocessing 2 ms, waiting for the outputs 30 ms, decoding 0.5 ms.
    clock: Iterator[float] = iter((5.0, 5.002, 5.032, 5.0325))
    monkeypatch.setattr(batch_runner.time, 'perf_counter', lambda: next(clock))
    result = runner.collect(runner.submit([GRAY]))
    times = result.times
    assert [times.preprocess_ms, times.infer_ms, times.decode_ms] == pytest.approx([2, 30, 0.5])
    assert result.device_ms == stages


def test_each_image_is_written_to_its_own_part_of_the_batch() -> None:
    engine = Engine()
    runner = make_runner(engine)
    levels = [Image.from_array(np.full((*SIZE, 3), 51 * n, np.uint8)) for n in range(1, 4)]
    runner.collect(runner.submit(levels))
    [batch] = engine.batches
    for image, level in zip(batch, count(1), strict=False):
        np.testing.assert_allclose(image, 0.2 * level, atol=1e-6)
