# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Tracks in sequences of the scene generator, whose true ids are known."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
import sys

import numpy as np
import pytest
from trt_detector.tracking.tracker import Tracker
from trt_detector.values.detections import Detections

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'demo'))

from scenes.sequence import render_sequence, SequenceFrame
from splits import SEQUENCE_SEEDS

pytest.importorskip('scipy', reason='SciPy is missing: pip install scipy')


@pytest.fixture(name='frames', scope='module')
def _frames() -> list[SequenceFrame]:
    return list(render_sequence(SEQUENCE_SEEDS[301], 60, 20.0, (256, 144), 8, draw=False))


def _detect(frame: SequenceFrame, random: np.random.Generator) -> tuple[Detections, list[int]]:
    """Make the detections of a detector that hesitates at what is hidden, and the true ids."""
    seen = [thing for thing in frame.objects if thing.is_counted]
    scores = np.array([0.35 + 0.6 * thing.visible_fraction for thing in seen], np.float32)
    order = np.argsort(-scores)
    boxes = np.array([seen[row].bbox_xyxy for row in order], np.float32).reshape(-1, 4)
    kinds = np.array([seen[row].class_id for row in order], np.int32)
    noisy = boxes + random.normal(0, 0.7, boxes.shape).astype(np.float32)
    return Detections(noisy, scores[order], kinds), [seen[row].track_id for row in order]


def _share_of_main_ids(frames: list[SequenceFrame], keep: Callable[[int], bool]) -> float:
    """
    Track the frames that are kept.

    :return: share of the detections with an id whose id is the main one of their object.
    """
    tracker, random = Tracker(), np.random.default_rng(11)
    given: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for number, frame in enumerate(frames):
        if keep(number):
            found, truth = _detect(frame, random)
            for one, true_id in zip(tracker.update(found, frame.stamp_s), truth, strict=True):
                if one:
                    given[true_id][int(one)] += 1
    main = [counts.most_common(1)[0] for counts in given.values()]
    assert len({number for number, _ in main}) == len(given) >= 5, 'two objects share an id'
    return sum(count for _, count in main) / sum(counts.total() for counts in given.values())


def test_objects_keep_their_ids_while_they_hide_each_other(frames: list[SequenceFrame]) -> None:
    hidden = [thing for frame in frames for thing in frame.objects if thing.visible_fraction < 0.5]
    assert hidden, 'nothing hides anything'
    assert _share_of_main_ids(frames, lambda _: True) >= 0.95


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_objects_keep_their_ids_if_images_are_dropped(
    frames: list[SequenceFrame], seed: int
) -> None:
    kept = np.random.default_rng(seed).random(len(frames)) < 0.5
    assert _share_of_main_ids(frames, lambda number: bool(kept[number])) >= 0.93
