# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""How well the pictures' objects were found, by the figures of COCO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ['score_detections']


def score_detections(
    truth: Mapping[str, Any], found: Mapping[str, tuple[dict[str, Any], ...]]
) -> tuple[float, float] | None:
    """
    Compare detections with the ground truth of the pictures that were shown.

    :param truth: ground truth in the format of COCO.
    :param found: detections by file name; a picture that is not there is not scored.
    :return: mAP at IoU 0.5 and over 0.5 to 0.95; None where no evaluator is installed or none of
        the pictures has ground truth.
    """
    evaluator = _find_evaluator()
    images = [image for image in truth['images'] if image['file_name'] in found]
    if evaluator is None or not images:
        return None
    numbers = {category['name']: category['id'] for category in truth['categories']}
    numbers |= {str(number): number for number in list(numbers.values())}
    rows = [
        _row(image['id'], numbers[detection['class_id']], detection)
        for image in images
        for detection in found[image['file_name']]
        if detection['class_id'] in numbers
    ]
    if not rows:
        return 0.0, 0.0
    shown = {image['id'] for image in images}
    annotations = [a for a in truth['annotations'] if a['image_id'] in shown]
    wanted = {**truth, 'images': images, 'annotations': annotations}
    map50, map50_95 = evaluator(wanted, rows)
    return map50, map50_95


def _row(image_id: int, category_id: int, detection: Mapping[str, Any]) -> dict[str, Any]:
    """Return one detection in the format of COCO's results."""
    width, height = detection['size_x'], detection['size_y']
    left, top = detection['center_x'] - width / 2, detection['center_y'] - height / 2
    return {
        'image_id': image_id,
        'category_id': category_id,
        'score': detection['score'],
        'bbox': [left, top, width, height],
    }


def _find_evaluator() -> Any:
    """Return a function of ground truth and results, None where no evaluator is installed."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        return None

    def evaluate(truth: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[float, float]:
        wanted = COCO(truth)
        run = COCOeval_faster(wanted, wanted.loadRes(rows), 'bbox', print_function=lambda *_: None)
        run.evaluate()
        run.accumulate()
        run.summarize()
        return float(run.stats[1]), float(run.stats[0])

    return evaluate
