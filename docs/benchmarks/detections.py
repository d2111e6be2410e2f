# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the cost of each detection: decoding, tracking, and its serialization.

serialize_rclpy is the serialization of message objects, which the node did before.

    python3 docs/benchmarks/detections.py --json docs/benchmarks/detections.json

It needs ROS 2 with vision_msgs; SciPy for the tracker, which is left out without it. The boxes do
not overlap, so all of them are published. The head is that of YOLOv8: 80 classes, 8400
predictions.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import platform
import time
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from trt_detector.decode import DecodeOptions, GraphInfo, recognize
from trt_detector.errors import ConfigError
from trt_detector.ros.detections_cdr import DetectionsSerializer
from trt_detector.ros.messages import DetectionsMessage
from trt_detector.values.detections import Detections
from trt_detector.values.tensor_spec import TensorSpec

COUNTS = [1, 10, 30, 100, 300, 1000, 3000]
SIZE = 640
CLASSES = 80
COLUMNS = 60
OPTIONS = DecodeOptions(0.25, 0.45, max_detections=max(COUNTS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='output file for the raw figures')
    parser.add_argument('--rounds', type=int, default=100, help='calls per measurement')
    arguments = parser.parse_args()
    rows = []
    for count in COUNTS:
        row: dict[str, Any] = {'detections': count}
        for name, work in make_steps(count).items():
            row[f'{name}_ms'] = measure(work, arguments.rounds)
        rows.append(row)
        print(count, {key: value['p50'] for key, value in row.items() if key != 'detections'})
    if arguments.json:
        report = {'python': platform.python_version(), 'numpy': np.__version__, 'rows': rows}
        arguments.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')


def make_steps(count: int) -> dict[str, Callable[[], Any]]:
    """Create the steps for a number of detections."""
    output = make_output(count)
    head = recognize(GraphInfo((TensorSpec('output0', output.shape, np.dtype('f4')),))).head
    (detections,) = head.decode([output], OPTIONS)
    if len(detections) != count:
        raise SystemExit(f'{len(detections)} detections; expected {count}')
    message = DetectionsMessage([f'class {number}' for number in range(CLASSES)])
    serializer = DetectionsSerializer([f'class {number}' for number in range(CLASSES)])
    header = Header(frame_id='camera')
    steps: dict[str, Callable[[], Any]] = {
        'decode': lambda: head.decode([output], OPTIONS),
        'serialize': lambda: serializer.serialize(header, detections),
        'serialize_rclpy': lambda: serialize_message(message.fill(header, detections)),
    }
    if (track := make_tracking(detections)) is not None:
        steps['track'] = track
    return steps


def make_output(count: int) -> np.ndarray:
    """Create the output of a YOLOv8 head with boxes in a grid, which do not overlap."""
    index = np.arange(count)
    output = np.zeros((1, 4 + CLASSES, 8400), np.float32)
    output[0, 0, :count] = (index % COLUMNS + 0.5) * SIZE / COLUMNS
    output[0, 1, :count] = (index // COLUMNS + 0.5) * SIZE / COLUMNS
    output[0, 2:4, :count] = SIZE / COLUMNS * 0.8
    output[0, 4 + index % CLASSES, index] = np.linspace(0.9, 0.6, count)
    return output


def make_tracking(detections: Detections) -> Callable[[], Any] | None:
    """Create the step of the tracker, which sees the same boxes in every image."""
    from trt_detector.config import DetectorConfig
    from trt_detector.tracking.camera_tracks import CameraTracks

    try:
        tracks = CameraTracks(['image'], print, print)
    except ConfigError:
        return None
    tracks.set_options(DetectorConfig(model_path='model.onnx', tracker='bytetrack'), OPTIONS)
    stamps = iter(range(1 << 30))
    return lambda: tracks.update(0, detections, next(stamps) / 30, (SIZE, SIZE))


def measure(work: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Return percentiles of the time of a call in milliseconds."""
    times = []
    for number in range(rounds + 5):
        begun = time.perf_counter()
        work()
        if number >= 5:
            times.append((time.perf_counter() - begun) * 1e3)
    return {f'p{part}': round(float(np.percentile(times, part)), 4) for part in (50, 90, 99)}


if __name__ == '__main__':
    main()
