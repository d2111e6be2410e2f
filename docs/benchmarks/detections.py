# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the cost of each detection: in the node, and for those who subscribe to more.

serialize_rclpy is the serialization of message objects, which the node did before. With --readers
the steps are those that run only while somebody reads: the debug image of 1280x720, raw and as
JPEG, the annotations for Foxglove, and the node detections_3d with a depth image of 640x360, from
the received bytes to those it publishes.

    python3 docs/benchmarks/detections.py --json docs/benchmarks/detections.json
    python3 docs/benchmarks/detections.py --readers --json docs/benchmarks/detections_readers.json

It needs ROS 2 with vision_msgs; SciPy for the tracker and foxglove_msgs for the annotations, which
are left out without. The boxes do not overlap, so all of them are published. The head is that of
YOLOv8: 80 classes, 8400 predictions.
"""

from __future__ import annotations

import argparse
from array import array
from collections.abc import Callable
from dataclasses import replace
import json
from pathlib import Path
import platform
import time
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from trt_detector.decode import DecodeOptions, GraphInfo, recognize
from trt_detector.depth.config import DepthConfig
from trt_detector.errors import ConfigError
from trt_detector.image.drawing import draw_detections
from trt_detector.process.tuning import tune_process
from trt_detector.ros.depth.locator import Locator
from trt_detector.ros.depth.messages import make_detection
from trt_detector.ros.detections_cdr import DetectionsSerializer
from trt_detector.ros.messages import DetectionsMessage, make_compressed_image, make_image
from trt_detector.ros.overlays.annotations import AnnotationPublisher, load_foxglove_msgs
from trt_detector.tools.benchmark_node.machine import describe_machine
from trt_detector.values.detections import Detections
from trt_detector.values.tensor_spec import TensorSpec
from vision_msgs.msg import Detection2DArray, Detection3DArray

COUNTS = [1, 10, 30, 100, 300, 1000, 3000]
SIZE = 640
CLASSES = 80
NAMES = [f'class {number}' for number in range(CLASSES)]
PICTURE = Path(__file__).parents[2] / 'demo' / 'pictures' / 'scene_08_1280x720.jpg'
PICTURE_WH = (1280, 720)
# Of a step that is slow.
WARM_UP = 3
FEWEST = 10
LONGEST_MS = 5000.0
COLUMNS = 60
OPTIONS = DecodeOptions(0.25, 0.45, max_detections=max(COUNTS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='output file for the raw figures')
    parser.add_argument('--readers', action='store_true', help='the steps of readers')
    parser.add_argument('--rounds', type=int, default=100, help='calls per measurement')
    arguments = parser.parse_args()
    # As the node does: large images then reuse their memory.
    tune_process()
    rows = []
    for count in COUNTS:
        row: dict[str, Any] = {'detections': count}
        make = make_reader_steps if arguments.readers else make_steps
        for name, work in make(count).items():
            row[f'{name}_ms'] = measure(work, arguments.rounds)
        rows.append(row)
        print(count, {key: value['p50'] for key, value in row.items() if key != 'detections'})
    if arguments.json:
        report = {
            'python': platform.python_version(),
            'numpy': np.__version__,
            'machine': describe_machine(0),
            'rows': rows,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')


def make_steps(count: int) -> dict[str, Callable[[], Any]]:
    """Create the steps of the node for a number of detections."""
    output = make_output(count)
    head, detections = decode(output, count)
    message = DetectionsMessage(NAMES)
    serializer = DetectionsSerializer(NAMES)
    header = Header(frame_id='camera')
    steps: dict[str, Callable[[], Any]] = {
        'decode': lambda: head.decode([output], OPTIONS),
        'serialize': lambda: serializer.serialize(header, detections),
        'serialize_rclpy': lambda: serialize_message(message.fill(header, detections)),
    }
    if (track := make_tracking(detections)) is not None:
        steps['track'] = track
    return steps


def make_reader_steps(count: int) -> dict[str, Callable[[], Any]]:
    """Create the steps that run only while somebody reads."""
    _, detections = decode(make_output(count), count)
    scale = np.array(PICTURE_WH * 2, np.float32) / SIZE
    detections = replace(detections, boxes_xyxy=detections.boxes_xyxy * scale)
    picture = cv2.imread(str(PICTURE))
    header = Header(frame_id='camera')

    def draw() -> Any:
        return draw_detections(picture, detections, NAMES)

    steps = {
        'debug_image': lambda: serialize_message(make_image(header, draw())),
        'debug_image_compressed': lambda: serialize_message(make_compressed_image(header, draw())),
    }
    if (annotate := make_annotations(detections)) is not None:
        steps['annotations'] = annotate
    return steps | {'detections_3d': make_location(detections)}


def decode(output: np.ndarray, count: int) -> tuple[Any, Detections]:
    """Decode an output; return the head and the detections."""
    head = recognize(GraphInfo((TensorSpec('output0', output.shape, np.dtype('f4')),))).head
    (detections,) = head.decode([output], OPTIONS)
    if len(detections) != count:
        raise SystemExit(f'{len(detections)} detections; expected {count}')
    return head, detections


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


def make_annotations(detections: Detections) -> Callable[[], Any] | None:
    """Create the step of the overlay for Foxglove, None without its messages."""
    try:
        messages = load_foxglove_msgs()
    except ConfigError as error:
        print(error)
        return None
    publisher = SimpleNamespace(get_subscription_count=lambda: 1, publish=serialize_message)
    node: Any = SimpleNamespace(create_publisher=lambda *_: publisher)
    annotations = AnnotationPublisher(node, '~/annotations', messages, NAMES)
    header = Header()
    return lambda: annotations.publish(header.stamp, detections, PICTURE_WH)


def make_location(detections: Detections) -> Callable[[], Any]:
    """Create the step of the node detections_3d, from received bytes to those it publishes."""
    header = Header(frame_id='camera')
    data = DetectionsSerializer(NAMES).serialize(header, detections)
    width, height = 640, 360
    wall = np.random.default_rng(1).normal(3000, 20, (height, width)).astype('<u2')
    depth = ImageMessage(
        header=header, width=width, height=height, encoding='16UC1', step=2 * width,
        data=array('B', wall.tobytes()),
    )  # fmt: skip
    picture_width, picture_height = PICTURE_WH
    k = [900.0, 0.0, picture_width / 2, 0.0, 900.0, picture_height / 2, 0.0, 0.0, 1.0]
    locator = Locator()
    locator.set_info(
        CameraInfo(width=picture_width, height=picture_height, k=k, distortion_model='plumb_bob')
    )
    config = DepthConfig()

    def locate() -> Any:
        message = deserialize_message(data, Detection2DArray)
        boxes = locator.locate(message, depth, config).boxes
        found = [make_detection(header, source, box) for source, box in boxes]
        return serialize_message(Detection3DArray(header=header, detections=found))

    return locate


def measure(work: Callable[[], Any], rounds: int) -> dict[str, float]:
    """
    Return percentiles of the time of a call in milliseconds, and the median of its CPU time.

    :param rounds: maximum number of calls; a slow step gets fewer.
    """
    times_ms, cpu_ms = [], []
    for _ in range(WARM_UP):
        work()
    while len(times_ms) < rounds and (len(times_ms) < FEWEST or sum(times_ms) < LONGEST_MS):
        begun, cpu_begun = time.perf_counter(), time.process_time()
        work()
        cpu_ms.append((time.process_time() - cpu_begun) * 1e3)
        times_ms.append((time.perf_counter() - begun) * 1e3)
    ranks = {f'p{part}': float(np.percentile(times_ms, part)) for part in (50, 90, 99)}
    ranks['cpu_p50'] = float(np.percentile(cpu_ms, 50))
    return {name: round(value, 4) for name, value in ranks.items()}


if __name__ == '__main__':
    main()
