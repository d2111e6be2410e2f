# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare non-maximum suppression with OpenCV's and torchvision's, side by side in one run.

For 50, 500 and 3,000 candidates among 8,400 anchors of 80 classes it measures the suppression
alone (boxes, scores and class numbers in the form that each takes) and the whole decoding of one
[1, 84, 8400] output. The candidates are scattered at random, in small groups, or in groups of 25
as a detector sees objects. Fewer classes follow: 50 candidates of one, 100 of one, two and four,
500 and 3,000 of one and four.

The competitors alternate call by call in random order, so that other load on the machine and the
state of the caches affect all of them alike; the first quartile is reported, because noise only
adds. The kept boxes must be those of torchvision, in its order. OpenCV's
NMSBoxesBatched has its own arithmetic, so its set may differ.

    PYTHONPATH=. python3 docs/benchmarks/nms.py --json docs/benchmarks/nms.json

Competitors that are not installed are left out: pip install torch torchvision.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import platform
import random
import time
from typing import Any

import cv2
import numpy as np
from trt_detector.decode import DecodeOptions, GraphInfo, recognize
from trt_detector.decode.nms import batched_nms
from trt_detector.values.tensor_spec import TensorSpec

try:
    import torch
    import torchvision
except ImportError:
    torch = torchvision = None

ANCHORS, CLASSES = 8400, 80
IOU, SCORE = 0.45, 0.25
# Boxes of one object, on average.
GROUPS = {'scattered': 1, 'small groups': 3, 'groups': 12, 'objects': 25}
# Classes, number of candidates, kind.
CASES = (
    *((80, n, kind) for kind in ('scattered', 'small groups', 'objects') for n in (50, 500, 3000)),
    *((1, 50, kind) for kind in ('scattered', 'groups', 'objects')),
    *((classes, 100, 'objects') for classes in (1, 2, 4)),
    (1, 100, 'groups'),
    (1, 100, 'scattered'),
    *((classes, n, 'groups') for n in (500, 3000) for classes in (1, 4)),
    *((1, n, 'scattered') for n in (500, 3000)),
)

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def candidates(group: int, count: int, seed: int, num_classes: int = CLASSES) -> Arrays:
    """
    Return center boxes (count, 4), scores and classes of random objects.

    :param group: boxes around one object on average; its boxes have its class.
    :param num_classes: maximum number of classes.
    """
    rng = np.random.default_rng(seed)
    objects = max(1, count // group)
    which = np.arange(count) if group == 1 else rng.integers(0, objects, count)
    centers, sizes = rng.uniform(60, 580, (objects, 2)), rng.uniform(20, 120, (objects, 2))
    classes = rng.integers(0, num_classes, objects)
    spread = rng.normal(0, 0.08, (count, 2)) * sizes[which]
    grown = sizes[which] * np.exp(rng.normal(0, 0.1, (count, 2)))
    boxes = np.concatenate([centers[which] + spread, grown], axis=1)
    # Scores are all different: torchvision does not say how it orders equal ones.
    scores = rng.permutation(np.linspace(0.3, 0.99, count))
    return boxes.astype(np.float32), scores.astype(np.float32), classes[which]


def output_of(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return a network's output [1, 84, 8400] with these candidates among background."""
    rng = np.random.default_rng(1)
    output = np.zeros((1, 4 + CLASSES, ANCHORS), np.float32)
    output[0, :4] = rng.uniform(20, 600, (4, ANCHORS))
    output[0, 4:] = rng.uniform(0, 0.05, (CLASSES, ANCHORS))
    places = rng.choice(ANCHORS, len(scores), replace=False)
    output[0, :4, places] = boxes
    output[0, 4 + classes, places] = scores
    return output


def corners_of(boxes: np.ndarray) -> np.ndarray:
    """Return x1, y1, x2, y2 of center boxes."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def select(output: np.ndarray) -> Arrays:
    """Return the candidates of an output as NumPy users select them."""
    scores = output[0, 4:].max(axis=0)
    found = np.flatnonzero(scores >= SCORE)
    return output[0, :4, found], scores[found], output[0, 4:, found].argmax(axis=1)


def opencv_nms(boxes_xywh: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> Any:
    """Return the boxes that OpenCV keeps."""
    return cv2.dnn.NMSBoxesBatched(boxes_xywh, scores, classes, SCORE, IOU)


def alone(arrays: Arrays) -> dict[str, Callable[[], Any]]:
    """Return the suppression alone by competitor."""
    centers, scores, classes = arrays
    boxes = corners_of(centers)
    top_left = np.concatenate([boxes[:, :2], centers[:, 2:]], axis=1)
    small = classes.astype(np.int32)
    runs: dict[str, Callable[[], Any]] = {
        'trt_detector': lambda: batched_nms(boxes, scores, classes, IOU, len(scores)),
        'opencv': lambda: opencv_nms(top_left, scores, small),
    }
    if torchvision is not None:
        tensors = [torch.from_numpy(array) for array in (boxes, scores, classes)]
        runs['torchvision'] = lambda: torchvision.ops.batched_nms(*tensors, IOU)
    return runs


def whole(arrays: Arrays) -> dict[str, Callable[[], Any]]:
    """Return the decoding of a whole output by competitor."""
    output = output_of(*arrays)
    spec = TensorSpec('output0', output.shape, np.dtype('f4'))
    head = recognize(GraphInfo((spec,))).head
    options = DecodeOptions(SCORE, IOU, max_detections=len(arrays[1]))

    def opencv() -> Any:
        boxes, scores, classes = select(output)
        boxes[:, :2] -= boxes[:, 2:] / 2
        kept = opencv_nms(boxes, scores, classes.astype(np.int32))
        return corners_of(boxes)[kept], scores[kept], classes[kept]

    def through_torch() -> Any:
        boxes, scores, classes = select(output)
        corners = corners_of(boxes)
        tensors = [torch.from_numpy(array) for array in (corners, scores, classes)]
        kept = torchvision.ops.batched_nms(*tensors, IOU).numpy()
        return corners[kept], scores[kept], classes[kept]

    runs: dict[str, Callable[[], Any]] = {
        'trt_detector': lambda: head.decode([output], options),
        'opencv': opencv,
    }
    if torchvision is not None:
        runs['torchvision'] = through_torch
    return runs


def measure(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return the time of every call in milliseconds; the competitors alternate."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    shuffle = random.Random(0).shuffle
    for number in range(rounds + 3):
        shuffle(order)
        for name in order:
            run = runs[name]
            start = time.perf_counter()
            run()
            if number >= 3:
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


def compare(num_classes: int, count: int, kind: str, rounds: int) -> list[dict[str, Any]]:
    """Return the figures of one set of candidates."""
    arrays = candidates(GROUPS[kind], count, count, num_classes)
    entries = []
    for part, runs in (('suppression', alone(arrays)), ('decoding', whole(arrays))):
        times = measure(runs, rounds)
        entries.append(
            {
                'classes': num_classes,
                'candidates': count,
                'kind': kind,
                'part': part,
                'quartile_ms': {n: float(np.percentile(t, 25)) for n, t in times.items()},
                'median_ms': {n: float(np.median(t)) for n, t in times.items()},
                'times_ms': {n: [round(ms, 4) for ms in t] for n, t in times.items()},
            }
        )
    kept = {n: np.asarray(run()).ravel().tolist() for n, run in alone(arrays).items()}
    ours = kept['trt_detector']
    entries[0]['kept'] = {name: len(numbers) for name, numbers in kept.items()}
    entries[0]['differs_from_ours'] = {n: len(set(ours) ^ set(ids)) for n, ids in kept.items()}
    entries[0]['same_order'] = {name: ours == numbers for name, numbers in kept.items()}
    return entries


def show(entry: dict[str, Any]) -> None:
    """Print one line."""
    times = entry['quartile_ms']
    best = min(ms for name, ms in times.items() if name != 'trt_detector')
    columns = '  '.join(f'{name} {ms:8.3f}' for name, ms in times.items())
    same = entry.get('same_order', {}).get('torchvision', True)
    print(
        f'{entry["part"]:11} {entry["classes"]:2} classes {entry["candidates"]:5} '
        f'{entry["kind"]:12}  {columns} ms  best other / ours {best / times["trt_detector"]:.2f}'
        f'{"" if same else "  NOT AS TORCHVISION"}'
    )


def main() -> None:
    """Run everything and write the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--json', type=Path, help='file for the raw figures')
    parser.add_argument('--rounds', type=int, default=200, help='calls of each competitor')
    arguments = parser.parse_args()
    entries = []
    for num_classes, count, kind in CASES:
        rounds = arguments.rounds if count < 3000 else max(10, arguments.rounds // 5)
        for entry in compare(num_classes, count, kind, rounds):
            show(entry)
            entries.append(entry)
    if arguments.json is not None:
        machine = {
            'python': platform.python_version(),
            'numpy': np.__version__,
            'opencv': cv2.__version__,
            'torch': None if torch is None else torch.__version__,
            'torchvision': None if torchvision is None else torchvision.__version__,
            'cpu': platform.processor() or platform.machine(),
        }
        lines = ',\n  '.join(json.dumps(entry) for entry in entries)
        text = f'{{\n "machine": {json.dumps(machine)},\n "entries": [\n  {lines}\n ]\n}}\n'
        arguments.json.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
