# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what instance masks would cost on the CPU, for the decision in docs/design_notes.md.

The numbers are those of an export of YOLOv8-seg or YOLO11-seg at 640x640: 32 coefficients per
object and 32 prototypes of 160x160. The masks become one label image in the size of the camera's.

    python3 docs/benchmarks/masks.py --json docs/benchmarks/masks.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import statistics
import time

import cv2
import numpy as np
import numpy.typing as npt

COUNT, SIDE = 32, 160
SIZES_WH = ((1280, 720), (1920, 1080), (3840, 2160))
OBJECTS = (5, 30, 100)


def draw_labels(
    coefficients: npt.NDArray[np.float32],
    prototypes: npt.NDArray[np.float32],
    boxes: npt.NDArray[np.int64],
    size_wh: tuple[int, int],
) -> npt.NDArray[np.uint8]:
    """Draw a label image: 0 for the background, else the row of the object, from 1."""
    width, height = size_wh
    labels = np.zeros((height, width), np.uint8)
    masks = (coefficients @ prototypes.reshape(COUNT, -1)).reshape(-1, SIDE, SIDE)
    # The letterbox: the network sees the image in a centered part of its input.
    scale = SIDE / max(size_wh)
    top = (SIDE - height * scale) / 2
    for row in reversed(range(len(masks))):
        left, upper, right, lower = boxes[row].tolist()
        x = int(left * scale), int(np.ceil(right * scale))
        y = int(upper * scale + top), int(np.ceil(lower * scale + top))
        part = masks[row, y[0] : max(y[1], y[0] + 1), x[0] : max(x[1], x[0] + 1)]
        grown = cv2.resize(part, (right - left, lower - upper), interpolation=cv2.INTER_LINEAR)
        labels[upper:lower, left:right][grown > 0] = row % 255 + 1
    return labels


def measure(objects: int, size_wh: tuple[int, int], runs: int) -> list[float]:
    """Measure the CPU time of images with a number of objects, in ms."""
    random = np.random.default_rng(objects)
    size = np.array(size_wh)
    sides = (random.uniform(0.05, 0.25, (objects, 2)) * size[1]).astype(np.int64)
    corners = (random.random((objects, 2)) * (size - sides)).astype(np.int64)
    boxes = np.column_stack([corners, corners + sides])
    coefficients = random.normal(0, 1, (objects, COUNT)).astype(np.float32)
    prototypes = random.normal(0, 1, (COUNT, SIDE, SIDE)).astype(np.float32)
    times_ms = []
    for _ in range(runs):
        started = time.process_time()
        draw_labels(coefficients, prototypes, boxes, size_wh)
        times_ms.append(round((time.process_time() - started) * 1e3, 3))
    return times_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().partition('\n')[0])
    parser.add_argument('--runs', type=int, default=60)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    rows = []
    for size_wh in SIZES_WH:
        for objects in OBJECTS:
            times_ms = measure(objects, size_wh, options.runs)
            median = round(statistics.median(times_ms), 2)
            rows.append({'size_wh': size_wh, 'objects': objects, 'median_ms': median,
                         'times_ms': times_ms})  # fmt: skip
            print(f'{size_wh[0]}x{size_wh[1]} {objects} objects: {median} ms')
    if options.json:
        report = {'unit': 'CPU ms per image', 'message_bytes': 'width x height', 'rows': rows}
        options.json.write_text(json.dumps(report) + '\n')


if __name__ == '__main__':
    main()
