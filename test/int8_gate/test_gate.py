# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""INT8 is compared with the full-precision model before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
import math
from pathlib import Path
import shutil

import cv2
import numpy as np
import onnx
import pytest
from support.int8 import details, MODEL, settings
from support.quantized import yolov8_like
from trt_detector.errors import AccuracyError, ConfigError, DecodeError
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.int8_gate.agreement import (
    Agreement,
    compare_detections,
    match_boxes,
    run_gate,
)
from trt_detector.int8_gate.gate import _detect_or_nothing
from trt_detector.pipeline import Detector
from trt_detector.quantize.graph_index import match_nodes
from trt_detector.values.batch_result import BatchResult
from trt_detector.values.detections import Detections
from trt_detector.values.int8_verdict import Int8Outcome


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """Return detections of left, top, right, bottom, score, class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int32))


def turned(angle: float) -> Detections:
    """Make a long box that is turned by an angle."""
    return replace(found((0, 40, 100, 60, 0.9, 0)), angles=np.array([angle], np.float32))


@pytest.mark.parametrize(('angle', 'agreed'), [(0.0, 1), (0.1, 1), (math.pi, 1), (1.5, 0)])
def test_rotated_boxes_are_compared_with_their_angles(angle: float, agreed: int) -> None:
    assert compare_detections(turned(0), turned(angle), 0.5).found == agreed


CAR = (0.0, 0.0, 100.0, 100.0, 0.9, 0)


@pytest.mark.parametrize(
    ('candidate', 'found_again', 'confirmed'),
    [
        (found(CAR), 1, 1),
        (found(), 0, 0),
        # Moved by a fifth: IoU 0.667; by half: 0.333.
        (found((20, 0, 120, 100, 0.8, 0)), 1, 1),
        (found((50, 0, 150, 100, 0.8, 0)), 0, 0),
        # The upper half, and a little less: IoU 0.5 and 0.49.
        (found((0, 0, 100, 50, 0.8, 0)), 1, 1),
        (found((0, 0, 100, 49, 0.8, 0)), 0, 0),
        # Another class.
        (found((0, 0, 100, 100, 0.9, 1)), 0, 0),
        # Just below the threshold, which is no disagreement; far below it, which is one.
        (found((0, 0, 100, 100, 0.45, 0)), 1, 0),
        (found((0, 0, 100, 100, 0.2, 0)), 0, 0),
        # One of two boxes at the place of one.
        (found(CAR, (5, 0, 105, 100, 0.8, 0)), 1, 1),
    ],
)
def test_matching_detections_count_as_found_again(
    candidate: Detections, found_again: int, confirmed: int
) -> None:
    agreement = compare_detections(found(CAR), candidate, 0.5)
    assert (agreement.reference, agreement.found) == (1, found_again)
    assert agreement.confirmed == confirmed


@pytest.mark.parametrize(('score', 'confirmed'), [(0.31, 2), (0.29, 1)])
def test_weak_detections_of_the_reference_confirm_and_are_not_searched(
    score: float, confirmed: int
) -> None:
    # 0.3 is 0.6 of the threshold.
    reference = found(CAR, (200, 0, 250, 50, score, 0))
    candidate = found(CAR, (200, 0, 250, 50, 0.8, 0))
    agreement = compare_detections(reference, candidate, 0.5)
    assert (agreement.reference, agreement.found) == (1, 1)
    assert (agreement.candidate, agreement.confirmed) == (2, confirmed)


def test_matching_boxes_begin_with_the_best_pair() -> None:
    left = found(CAR, (10, 0, 110, 100, 0.8, 0))
    right = found((10, 0, 110, 100, 0.9, 0), (0, 0, 100, 100, 0.8, 0))
    pairs = zip(*(rows.tolist() for rows in match_boxes(left, right)), strict=True)
    assert sorted(pairs) == [(0, 1), (1, 0)]


def test_boxes_everywhere_do_not_agree() -> None:
    everywhere = found(CAR, *((200.0 * i, 0, 200.0 * i + 50, 50, 0.8, 0) for i in range(1, 10)))
    agreement = compare_detections(found(CAR), everywhere, 0.5)
    assert agreement.found == 1
    assert agreement.share == pytest.approx(0.1)


def test_scores_drift_and_pictures_add_up() -> None:
    weaker = compare_detections(found(CAR), found((0, 0, 100, 100, 0.6, 0)), 0.5)
    lost = compare_detections(found(CAR), found(), 0.5)
    total = weaker + lost
    assert lost + weaker == total
    assert (total.candidate, total.confirmed) == (1, 1)
    assert (total.frames, total.reference, total.found) == (2, 2, 1)
    assert total.share == 0.5
    assert total.score_drift == pytest.approx(-0.3)


def test_two_that_find_nothing_agree_and_one_that_does_not_disagrees() -> None:
    assert Agreement(frames=3).share == 1.0
    assert compare_detections(found(), found(CAR), 0.5).share == 0.0


@pytest.mark.parametrize('action', ['fp16', 'fail', 'off'])
def test_int8_whose_warm_up_contradicts_the_head(
    action: str, caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warm_up(detector: Detector, *_: object) -> None:
        if detector.info.precision == 'int8':
            raise DecodeError('scores of 0 to 47.5; expected 0 to 1')

    monkeypatch.setattr('trt_detector.factory.create._warm_up', warm_up)
    config = settings(caches / 'good.calib', int8_gate_action=action)
    if action != 'fp16':
        with pytest.raises(DecodeError, match='scores of 0 to 47.5'):
            create_detector(config)
        return
    with create_detector(config) as detector:
        assert detector.info.precision == 'fp32'
        (warning,) = detector.info.warnings
    assert warning.startswith('the INT8 engine is refused: scores of 0 to 47.5')


def test_a_good_cache_passes(caches: Path, frames: Path) -> None:
    config = settings(caches / 'good.calib', int8_gate_images=str(frames))
    with create_detector(config) as detector:
        assert detector.info.precision == 'int8'
        assert detector.info.warnings == ()
        assert 'detections found again' in detector.info.report()['int8 check']
        # The check lowers the threshold of the options for itself only.
        assert detector.options.score_threshold == config.score_threshold


@pytest.mark.parametrize('name', ['x8', 'noise'])
def test_a_bad_cache_is_refused_and_full_precision_runs(
    name: str, caches: Path, frames: Path
) -> None:
    config = settings(caches / f'{name}.calib', int8_gate_images=str(frames))
    with create_detector(config) as detector:
        assert detector.info.precision == 'fp32'
        (warning,) = detector.info.warnings
        verdict = detector.info.int8_check
    assert verdict is not None
    assert (verdict.outcome, verdict.warning) == (Int8Outcome.REFUSED, warning)
    assert warning.startswith('the INT8 engine is refused: ')
    assert 'int8_min_agreement is 0.95' in warning


def test_a_bad_cache_fails_with_action_fail(
    caches: Path, frames: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Detector] = []
    close = Detector.close
    monkeypatch.setattr(Detector, 'close', lambda self: (closed.append(self), close(self)))
    config = settings(caches / 'x8.calib', int8_gate_images=str(frames), int8_gate_action='fail')
    with pytest.raises(AccuracyError, match='refused: .* found again'):
        create_detector(config)
    assert len(closed) == 2


def test_a_bad_cache_passes_a_minimum_agreement_of_0(caches: Path, frames: Path) -> None:
    config = settings(caches / 'x8.calib', int8_gate_images=str(frames), int8_min_agreement=0.0)
    with create_detector(config) as detector:
        assert detector.info.precision == 'int8'


@pytest.mark.parametrize('value', ['off', False])
def test_off_runs_no_check(value: str | bool, caches: Path, frames: Path) -> None:
    # In a YAML file, off is a switch.
    config = settings(
        caches / 'x8.calib', int8_gate_images=str(frames), int8_gate_action=value
    )  # fmt: skip
    with create_detector(config) as detector:
        assert detector.info.precision == 'int8'
        assert detector.info.warnings == ()
        assert details(detector)['int8 check'] == 'off: int8_gate_action is off'
        verdict = detector.info.int8_check
    assert verdict is not None
    assert verdict.outcome is Int8Outcome.UNCHECKED


def test_the_frames_beside_the_cache_are_used(caches: Path, frames: Path, tmp_path: Path) -> None:
    cache = tmp_path / 'a.calib'
    shutil.copy(caches / 'x8.calib', cache)
    with create_detector(settings(cache)) as detector:
        assert detector.info.precision == 'int8'
        assert detector.info.report()['int8 check'] == 'none: no frames to check with'
    shutil.copytree(frames, tmp_path / 'a.calib.frames')
    with create_detector(settings(cache)) as detector:
        assert detector.info.precision == 'fp32'


def test_missing_int8_gate_images_are_an_error(caches: Path) -> None:
    config = settings(caches / 'good.calib', int8_gate_images='/nowhere')
    with pytest.raises(ConfigError, match='int8_gate_images: /nowhere does not exist'):
        create_detector(config)


def test_frames_without_objects_are_a_warning(caches: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'black.png'), np.zeros((64, 64, 3), np.uint8))
    config = settings(caches / 'good.calib', int8_gate_images=str(tmp_path))
    with create_detector(config) as detector:
        assert detector.info.precision == 'int8'
        (warning,) = detector.info.warnings
    assert 'finds nothing on the 1 frames' in warning


def test_a_model_with_its_own_scales_cannot_be_checked(
    caches: Path, frames: Path, tmp_path: Path
) -> None:
    from trt_detector.quantize.qdq import quantize_onnx

    data = quantize_onnx(MODEL.read_bytes(), MODEL.parent, caches / 'good.calib').data
    model = tmp_path / 'qdq.onnx'
    model.write_bytes(data)
    config = settings(Path(), model_path=str(model), calib_cache_path='',
                      int8_gate_images=str(frames))  # fmt: skip
    with pytest.raises(ConfigError, match=r'qdq\.onnx has Q/DQ nodes of its own'):
        create_detector(config)


def test_excluded_nodes_stay_in_float(caches: Path) -> None:
    with create_detector(settings(caches / 'good.calib')) as detector:
        everything = details(detector)['quantized']
    config = settings(caches / 'good.calib', quantize_exclude=['/stem/*'])
    with create_detector(config) as detector:
        fewer = details(detector)['quantized']
    assert int(fewer.split()[0]) < int(everything.split()[0])


def test_a_pattern_that_matches_nothing_is_refused(caches: Path) -> None:
    config = settings(caches / 'good.calib', quantize_exclude=['/model.22/*'])
    with pytest.raises(ConfigError, match=r"'/model\.22/\*', which matches none of the"):
        create_detector(config)


def test_patterns_match_whole_names() -> None:
    model: onnx.ModelProto = yolov8_like()
    names: Sequence[str] = [node.name for node in model.graph.node]
    assert match_nodes(model, ['/Conv_*']) == {n for n in names if n.startswith('/Conv_')}
    assert match_nodes(model, [names[0]]) == {names[0]}
    assert match_nodes(model, []) == frozenset()


class _Contradicting:
    """Detector whose outputs contradict its head."""

    def detect(self, images: Sequence[Image]) -> BatchResult:
        raise DecodeError('scores of 0 to 2.5; expected 0 to 1')


def test_outputs_that_contradict_the_head_count_as_nothing_found() -> None:
    image = Image.from_array(np.zeros((8, 8, 3), np.uint8))
    candidate = partial(_detect_or_nothing, _Contradicting())
    agreement = run_gate(lambda _: (found(CAR),), candidate, [image], 0.5)
    assert (agreement.reference, agreement.found) == (1, 0)
