# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Baseline for benchmark_node: a detector node as one writes it first.

Everything happens in the callback of the subscription: cv_bridge, cv2.resize, float, transpose,
session.run, suppression in NumPy, publish.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import onnxruntime

DYNAMIC_SIZE = 640


def find_reader() -> tuple[str, Callable[[Any], np.ndarray]]:
    """Return a reader of image messages, and its name."""
    try:
        from cv_bridge import CvBridge
        from cv_bridge.boost import cv_bridge_boost  # noqa: F401
    except ImportError:
        # Wheels of cv_bridge have no compiled part: this is what the rest of it does.
        return 'numpy', lambda message: np.frombuffer(message.data, np.uint8).reshape(
            message.height, message.width, 3
        )
    return 'cv_bridge', lambda message: CvBridge().imgmsg_to_cv2(message, 'bgr8')


class Naive:
    """
    The detector of the node.

    :param model: ONNX file.
    :param provider: 'cpu' or 'cuda'.
    :param threads: of ONNX Runtime; 0 is its default, one per core of the machine.
    :param spinning: let these threads spin between the images, the default of ONNX Runtime.
    """

    def __init__(
        self, model: str, provider: str, threads: int = 0, *, spinning: bool = True
    ) -> None:
        if provider == 'cuda' and hasattr(onnxruntime, 'preload_dlls'):
            onnxruntime.preload_dlls()
        wanted = 'CUDAExecutionProvider' if provider == 'cuda' else 'CPUExecutionProvider'
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry('session.intra_op.allow_spinning', str(int(spinning)))
        providers = list(dict.fromkeys((wanted, 'CPUExecutionProvider')))
        self.session = onnxruntime.InferenceSession(model, options, providers=providers)
        if self.session.get_providers()[0] != wanted:
            raise SystemExit(f'ONNX Runtime could not load {wanted}')
        value = self.session.get_inputs()[0]
        self.name = value.name
        self.height, self.width = (
            size if isinstance(size, int) else DYNAMIC_SIZE for size in value.shape[2:]
        )

    def detect(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes in pixels of the image, scores and classes."""
        small = cv2.resize(picture, (self.width, self.height))
        rgb = small[:, :, ::-1].astype(np.float32) / 255
        batch = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])
        output = self.session.run(None, {self.name: batch})[0][0]
        boxes, scores, classes = decode(output)
        scale = (picture.shape[1] / self.width, picture.shape[0] / self.height)
        return boxes * np.array(scale * 2), scores, classes


def decode(output: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the detections of one image: rows of an end-to-end model, or a raw YOLO head."""
    if output.ndim == 2 and output.shape[1] == 6:
        rows = output[output[:, 4] > 0.25]
        return rows[:, :4], rows[:, 4], rows[:, 5].astype(int)
    if output.ndim != 2:
        raise SystemExit(f'the output has the shape {list(output.shape)}: no layout known here')
    rows = output.T if output.shape[0] < output.shape[1] else output
    scores, classes = rows[:, 4:].max(1), rows[:, 4:].argmax(1)
    kept = scores > 0.25
    centers, halves, scores, classes = (
        rows[kept, :2], rows[kept, 2:4] / 2, scores[kept], classes[kept]
    )  # fmt: skip
    boxes = np.concatenate((centers - halves, centers + halves), 1)
    best = keep_best(boxes, scores, classes)
    return boxes[best], scores[best], classes[best]


def keep_best(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> list[int]:
    """Suppress overlapping boxes within each class."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order, kept = scores.argsort()[::-1], []
    while order.size:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[rest, :2])
        high = np.minimum(boxes[first, 2:], boxes[rest, 2:])
        inside = np.clip(high - low, 0, None).prod(1)
        overlap = inside / (areas[first] + areas[rest] - inside)
        order = rest[(overlap < 0.45) | (classes[rest] != classes[first])]
    return kept


def main() -> None:
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', required=True)
    parser.add_argument('--provider', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--no-spinning', action='store_true')
    parser.add_argument('--topic', required=True)
    parser.add_argument('--node-name', default='naive')
    arguments = parser.parse_args()
    naive = Naive(
        arguments.model,
        arguments.provider,
        arguments.threads,
        spinning=not arguments.no_spinning,
    )
    _, read = find_reader()

    rclpy.init()
    node = rclpy.create_node(arguments.node_name, namespace='benchmark')
    publisher = node.create_publisher(Detection2DArray, '~/detections', 10)

    def on_image(message: Image) -> None:
        array = Detection2DArray(header=message.header)
        for box, score, number in zip(*naive.detect(read(message)), strict=True):
            detection = Detection2D(header=message.header)
            detection.bbox.center.position.x = float(box[0] + box[2]) / 2
            detection.bbox.center.position.y = float(box[1] + box[3]) / 2
            detection.bbox.size_x = float(box[2] - box[0])
            detection.bbox.size_y = float(box[3] - box[1])
            result = ObjectHypothesisWithPose()
            result.hypothesis.class_id = str(number)
            result.hypothesis.score = float(score)
            detection.results.append(result)
            array.detections.append(detection)
        publisher.publish(array)

    node.create_subscription(Image, arguments.topic, on_image, qos_profile_sensor_data)
    # SIGINT ends the node.
    with suppress(KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    main()
