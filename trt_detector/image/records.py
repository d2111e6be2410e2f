# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detections as plain values, e.g. for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..values.detections import Detections
from .drawing import class_label

__all__ = ['make_records']


def make_records(found: Detections, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """
    Make a dictionary of each detection, in their order.

    It has class_id, class_name, score, bbox_xyxy, and angle and track_id if there are any.

    :param found: in pixels of the image.
    :param class_names: names by class id.
    """
    records: list[dict[str, Any]] = [
        {
            'class_id': class_id,
            'class_name': class_label(class_id, class_names),
            'score': score,
            'bbox_xyxy': box,
        }
        for box, score, class_id in zip(
            found.boxes_xyxy.tolist(),
            found.scores.tolist(),
            found.class_ids.tolist(),
            strict=True,
        )
    ]
    for record, angle in zip(records, () if found.angles is None else found.angles, strict=False):
        record['angle'] = float(angle)
    tracks = () if found.track_ids is None else found.track_ids.tolist()
    for record, track_id in zip(records, tracks, strict=False):
        if track_id:
            record['track_id'] = track_id
    return records
