# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Results of the demo: detections, annotated images and a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from trt_detector.errors import ImageError
from trt_detector.image.drawing import draw_detections
from trt_detector.image.image import Image
from trt_detector.values.detections import Detections

from .graph import Arrival

__all__ = [
    'draw_arrival',
    'read_played',
    'summarize',
    'write_detections',
    'write_pictures',
    'score_detections',
]

_DRAWN_SCORE = 0.3
"""Minimum score of a drawn box; mean average precision needs weaker detections as well."""


def read_played(log: Path) -> dict[int, Path]:
    """Read the image file of every stamp that the camera has published so far."""
    if not log.exists():
        return {}
    lines = log.read_text(encoding='utf-8').split('\n')
    entries = [json.loads(line) for line in lines[:-1]]
    return {entry['stamp_ns']: Path(entry['file']) for entry in entries}


def summarize(
    arrivals: Sequence[Arrival],
    played: Mapping[int, Path],
    truth: Mapping[str, Any] | None,
    about: Mapping[str, str],
) -> dict[str, Any]:
    """
    Compute the figures of a run.

    :param arrivals: received arrays in the order of reception; not empty.
    :param played: image file by stamp.
    :param truth: ground truth in COCO format, None if there is none.
    :param about: further entries: backend, precision, model.
    """
    seconds = arrivals[-1].arrived_s - arrivals[0].arrived_s
    latencies = np.percentile([arrival.latency_ms for arrival in arrivals], (50, 90, 99))
    # A file whose messages were all lost is not scored: frames_dropped counts them.
    found: dict[str, tuple[dict[str, Any], ...]] = {
        path.name: arrival.detections for path, arrival in first_arrivals(arrivals, played)
    }
    scores = None if truth is None else score_detections(truth, found)
    return {
        'frames_published': len(played),
        'arrays_received': len(arrivals),
        'frames_dropped': len(played) - len(arrivals),
        'fps': round((len(arrivals) - 1) / seconds, 2) if seconds > 0 else 0.0,
        'latency_ms': {
            name: round(float(value), 2)
            for name, value in zip(('p50', 'p90', 'p99'), latencies, strict=True)
        },
        'map50': None if scores is None else round(scores[0], 4),
        'map50_95': None if scores is None else round(scores[1], 4),
        'pictures_shown': len(set(played.values())),
        'pictures_scored': len(found),
        **about,
    }


def first_arrivals(
    arrivals: Sequence[Arrival], played: Mapping[int, Path]
) -> list[tuple[Path, Arrival]]:
    """Pair every distinct image file with the first array received for it."""
    first: dict[Path, Arrival] = {}
    for arrival in arrivals:
        if arrival.stamp_ns in played:
            first.setdefault(played[arrival.stamp_ns], arrival)
    return list(first.items())


def write_detections(path: Path, arrivals: Sequence[Arrival]) -> None:
    """Write one JSON line per array."""
    with path.open('w', encoding='utf-8') as file:
        for arrival in arrivals:
            entry = {
                'topic': arrival.topic,
                'stamp_ns': arrival.stamp_ns,
                'frame_id': arrival.frame_id,
                'detections': arrival.detections,
            }
            file.write(json.dumps(entry) + '\n')


def write_pictures(
    folder: Path,
    arrivals: Sequence[Arrival],
    played: Mapping[int, Path],
    class_names: Sequence[str],
) -> int:
    """Write every distinct image once with its detections; return the number of images."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = first_arrivals(arrivals, played)
    for path, arrival in pairs:
        picture = draw_arrival(path, arrival, class_names)
        cv2.imwrite(str(folder / f'{path.stem}.jpg'), picture)
    return len(pairs)


def draw_arrival(
    path: Path, arrival: Arrival, class_names: Sequence[str]
) -> npt.NDArray[np.uint8]:
    """
    Draw the detections of an array into its image.

    :param path: file of the image.
    :param class_names: names that fix the colors; other names get the colors after these.
    :raises ImageError: if the file can no longer be read.
    """
    names = list(class_names)
    shown = [d for d in arrival.detections if d['score'] >= _DRAWN_SCORE]
    names += sorted({d['class_id'] for d in shown} - set(names))
    found = Detections(
        boxes_xyxy=np.array([_box(d) for d in shown], np.float32).reshape(-1, 4),
        scores=np.array([d['score'] for d in shown], np.float32),
        class_ids=np.array([names.index(d['class_id']) for d in shown], np.int32),
    )
    try:
        picture = Image.from_file(path).to_bgr()
    except ImageError as error:
        raise ImageError(f'the image was published and its file is gone: {error}') from error
    return draw_detections(picture, found, names)


def _box(detection: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a detection."""
    x, y = detection['center_x'], detection['center_y']
    half_width, half_height = detection['size_x'] / 2, detection['size_y'] / 2
    return x - half_width, y - half_height, x + half_width, y + half_height


def score_detections(
    truth: Mapping[str, Any], found: Mapping[str, tuple[dict[str, Any], ...]]
) -> tuple[float, float] | None:
    """
    Compute the mean average precision of the images that were processed.

    :param truth: ground truth in COCO format.
    :param found: detections by file name; other images are not scored.
    :return: mAP at IoU 0.5 and over 0.5 to 0.95; None if no evaluator is installed or none of the
        images has ground truth.
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
    """Convert one detection to the format of COCO results."""
    width, height = detection['size_x'], detection['size_y']
    left, top = detection['center_x'] - width / 2, detection['center_y'] - height / 2
    return {
        'image_id': image_id,
        'category_id': category_id,
        'score': detection['score'],
        'bbox': [left, top, width, height],
    }


def _find_evaluator() -> Any:
    """Return a function of ground truth and results, None if no evaluator is installed."""
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
