# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what tracks, regions, overlays and detection on demand cost while they are off.

Two checkouts of the repository are measured in turn, each time in a new process: the path of an
image through the node from the received message to the published detections, and the pipeline
alone. CPU time counts, because other programs disturb it least. Needs ROS 2:

    git worktree add before a6e54e8
    python3 docs/benchmarks/cost_when_off.py --before before --json cost_when_off.json
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import statistics
import subprocess
import sys
import time
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PICTURE = 'demo/pictures/scene_48_1280x720.jpg'
# Images between two looks at the clock.
CHUNK = 5


def measure(images: int) -> dict[str, list[float]]:
    """Measure the checkout that is imported; return CPU ms per image, chunk by chunk."""
    import cv2
    import rclpy
    from sensor_msgs.msg import Image as ImageMessage
    from trt_detector.config import DetectorConfig
    from trt_detector.factory import create_detector
    from trt_detector.image import Image
    from trt_detector.ros.batch_processor import BatchProcessor
    from trt_detector.ros.camera_publisher import CameraPublisher
    from trt_detector.ros.image_queue import QueuedImage
    from trt_detector.ros.monitoring.statistics import SessionStatistics
    from trt_detector.ros.topics import name_camera_topics

    model = ROOT / 'demo' / 'models' / 'demo_raw.onnx'
    config = DetectorConfig(model_path=str(model), backend='onnxruntime', inference_threads=1)
    picture = cv2.imread(str(ROOT / PICTURE))
    height, width = picture.shape[:2]
    message = ImageMessage(
        height=height, width=width, encoding='bgr8', step=3 * width, data=picture.tobytes()
    )
    message.header.frame_id = 'camera'
    rclpy.init()
    node = rclpy.create_node('detector')
    with create_detector(config) as detector:
        cameras = name_camera_topics(config, node.resolve_topic_name)
        names = detector.class_names
        processor = BatchProcessor(node, cameras, SessionStatistics(1), print)
        processor.publishers = (CameraPublisher(node, cameras[0], names, names),)

        def through_node() -> None:
            message.header.stamp = node.get_clock().now().to_msg()
            batch = processor.begin(detector, [QueuedImage(0, message, time.monotonic_ns())])
            assert batch is not None
            processor.end(detector, batch)

        image = Image.from_array(picture)
        results = {}
        for name, run in (
            ('node', through_node),
            ('pipeline', lambda: detector.detect([image])),
        ):
            for _ in range(20):
                run()
            results[name] = []
            for _ in range(images // CHUNK):
                started = time.process_time()
                for _ in range(CHUNK):
                    run()
                results[name].append(round((time.process_time() - started) / CHUNK * 1e3, 4))
    rclpy.shutdown()
    return results


def run_child(checkout: Path, images: int) -> dict[str, list[float]]:
    """Measure a checkout in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, '--child', str(images)],
        env={**os.environ, 'PYTHONPATH': f'{checkout}:{os.environ.get("PYTHONPATH", "")}'},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def summarize(runs: list[dict[str, Any]], name: str) -> dict[str, float]:
    """Compare the medians of each pair."""
    pairs = [[statistics.median(run[which][name]) for which in ('before', 'now')] for run in runs]
    ratios = sorted(now / before for before, now in pairs)
    return {
        'before_ms': round(statistics.median(before for before, _ in pairs), 3),
        'now_ms': round(statistics.median(now for _, now in pairs), 3),
        'ratio': round(statistics.median(ratios), 4),
        'ratio_smallest': round(ratios[0], 4),
        'ratio_largest': round(ratios[-1], 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().partition('\n')[0])
    parser.add_argument('--before', type=Path, help='checkout to compare with')
    parser.add_argument('--pairs', type=int, default=12)
    parser.add_argument('--images', type=int, default=150)
    parser.add_argument('--json', type=Path)
    parser.add_argument('--child', type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child)))
        return
    checkouts = {'before': options.before.resolve(), 'now': ROOT}
    runs = []
    for number in range(options.pairs):
        # The one that comes first may find a warmer or colder machine.
        order = sorted(checkouts, reverse=bool(number % 2))
        runs.append({name: run_child(checkouts[name], options.images) for name in order})
    report = {
        'unit': 'CPU ms per image of 1280x720, medians of chunks; ratio: now / before, per pair',
        **{name: summarize(runs, name) for name in ('node', 'pipeline')},
        'runs': runs,
    }
    print(json.dumps({name: report[name] for name in ('node', 'pipeline')}, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + '\n')


if __name__ == '__main__':
    main()
