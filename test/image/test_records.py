# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test detections as plain values."""

from __future__ import annotations

import json

import numpy as np
from trt_detector.image.records import make_records
from trt_detector.values.detections import Detections


def test_every_detection_has_its_own_values_and_json_takes_them() -> None:
    found = Detections(
        np.array([[1, 2, 3, 4], [5.5, 6, 7, 8]], np.float32),
        np.array([0.75, 0.5], np.float32),
        np.array([1, 9], np.int32),
    )
    records = json.loads(json.dumps(make_records(found, ['car', 'dog'])))
    assert records == [
        {'class_id': 1, 'class_name': 'dog', 'score': 0.75, 'bbox_xyxy': [1, 2, 3, 4]},
        {'class_id': 9, 'class_name': '9', 'score': 0.5, 'bbox_xyxy': [5.5, 6, 7, 8]},
    ]


def test_angles_and_tracks_are_there_only_if_known() -> None:
    found = Detections(
        np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32),
        np.array([0.75, 0.5], np.float32),
        np.array([0, 0], np.int32),
        angles=np.array([0.25, -1], np.float32),
        track_ids=np.array([0, 7], np.int64),
    )
    first, second = json.loads(json.dumps(make_records(found, ['car'])))
    assert (first['angle'], second['angle']) == (0.25, -1)
    assert 'track_id' not in first, 'a detection without a track'
    assert second['track_id'] == 7
