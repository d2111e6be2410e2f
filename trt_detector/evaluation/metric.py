# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""COCO mean average precision, computed by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BackendUnavailableError
from ..values.detections import Detections
from .data_set import Sample

__all__ = ['ClassFigures', 'Figures', 'coco_figures']


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """
    The figures of one class.

    :param name: of the class.
    :param objects: in the data set.
    :param map50_95: 0 to 1.
    :param map50: 0 to 1.
    """

    name: str
    objects: int
    map50_95: float
    map50: float


@dataclass(frozen=True, slots=True)
class Figures:
    """
    Mean average precision, 0 to 1; -1 if the data set has no such objects.

    :param map50_95: over IoU 0.50 to 0.95.
    :param map50: at IoU 0.50.
    :param map_small: of objects below 32x32 pixels, over all IoUs.
    :param map_medium: of those between.
    :param map_large: of those above 96x96.
    :param classes: classes with objects in the data set.
    """

    map50_95: float
    map50: float
    map_small: float
    map_medium: float
    map_large: float
    classes: tuple[ClassFigures, ...]


def coco_figures(
    samples: Sequence[Sample],
    sizes: Sequence[tuple[int, int]],
    detections: Sequence[Detections],
    class_names: Sequence[str],
) -> Figures:
    """
    Compute the mean average precision of detections.

    :param sizes: (width, height) of each picture.
    :param detections: of each picture, down to low scores.
    :raises BackendUnavailableError: if faster-coco-eval is not installed.
    """
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise BackendUnavailableError(
            f'faster-coco-eval cannot be imported ({error}); install it: pip install '
            'faster-coco-eval'
        ) from error
    count = max(
        len(class_names),
        1 + max((int(s.class_ids.max()) for s in samples if len(s.class_ids)), default=0),
    )
    names = [class_names[i] if i < len(class_names) else str(i) for i in range(count)]
    truth: Any = COCO(_truth(samples, sizes, names))
    rows = [
        row
        for number, found in enumerate(detections, start=1)
        for row in _result_rows(number, found)
        if row['category_id'] < count
    ]
    labels = np.concatenate([sample.class_ids[~sample.crowd] for sample in samples])
    objects = np.bincount(labels, minlength=count)
    if not rows:
        none = (ClassFigures(names[i], int(objects[i]), 0.0, 0.0) for i in np.flatnonzero(objects))
        return Figures(0.0, 0.0, 0.0, 0.0, 0.0, tuple(none))
    run: Any = COCOeval_faster(truth, truth.loadRes(rows), 'bbox', print_function=lambda *_: None)
    run.evaluate()
    run.accumulate()
    run.summarize()
    precision = run.eval['precision'][:, :, :, 0, 2]
    classes = tuple(
        ClassFigures(
            names[i],
            int(objects[i]),
            float(precision[:, :, i].mean()),
            float(precision[0, :, i].mean()),
        )
        for i in np.flatnonzero(objects)
    )
    stats = [float(value) for value in run.stats]
    return Figures(stats[0], stats[1], stats[3], stats[4], stats[5], classes)


def _truth(
    samples: Sequence[Sample], sizes: Sequence[tuple[int, int]], names: Sequence[str]
) -> dict[str, Any]:
    """Return the data set in COCO format; image ids start at 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (sample, (width, height)) in enumerate(zip(samples, sizes, strict=True), start=1):
        images.append({'id': number, 'width': width, 'height': height})
        boxes = sample.boxes_in(width, height)
        for (left, top, right, bottom), class_id, crowd in zip(
            boxes.tolist(), sample.class_ids.tolist(), sample.crowd.tolist(), strict=True
        ):
            annotations.append({
                'id': len(annotations) + 1,
                'image_id': number,
                'category_id': class_id,
                'iscrowd': int(crowd),
                'bbox': [left, top, right - left, bottom - top],
                'area': (right - left) * (bottom - top),
            })  # fmt: skip
    categories = [{'id': number, 'name': name} for number, name in enumerate(names)]
    return {'images': images, 'annotations': annotations, 'categories': categories}


def _result_rows(image_id: int, found: Detections) -> list[dict[str, Any]]:
    """Return the detections of a picture as COCO results."""
    return [
        {
            'image_id': image_id,
            'category_id': int(class_id),
            'score': float(score),
            'bbox': [left, top, right - left, bottom - top],
        }
        for (left, top, right, bottom), score, class_id in zip(
            found.boxes_xyxy.tolist(), found.scores, found.class_ids, strict=True
        )
    ]
