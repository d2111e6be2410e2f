# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the images that reach the node and the CPU time of each, without inference.

A second process publishes, best effort and with depth 1, as a camera driver does. What is printed
is the share of the published images that the node received and the CPU time of the node's process
for each of them.

    python3 docs/benchmarks/receive_images.py --size 1920x1080 --rate 20 --seconds 10
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import resource
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import cv2
import numpy as np
from trt_detector.decode import DecodeOptions
from trt_detector.process import tuning
from trt_detector.values.batch_result import BatchResult, StageTimes
from trt_detector.values.detections import Detections
from trt_detector.values.engine_info import EngineInfo

TOPIC = '/benchmark/image_raw'


class NoDetector:
    """Detector that finds nothing, without inference."""

    info = EngineInfo('none', 'none', 'none', 'none')
    model_name = 'none'
    description = 'none'
    class_names = ('thing',)
    batch_size = 1
    input_size = (1, 1)
    options = DecodeOptions()

    depth = 1

    def submit(self, images: Any) -> Any:
        return images

    def collect(self, pending: Any) -> BatchResult:
        return self.detect(pending)

    def detect(self, images: Any) -> BatchResult:
        return BatchResult(tuple(Detections.empty() for _ in images), StageTimes(0.0, 0.0, 0.0))

    def close(self) -> None:
        return None


def main() -> int:
    options = parse_arguments()
    for note in tune(options):
        print(note)
    import rclpy
    from rclpy.executors import MultiThreadedExecutor
    from rclpy.parameter import Parameter
    from trt_detector.ros.node import DetectorNode

    rclpy.init()
    node = DetectorNode(
        create=lambda *_, **__: NoDetector(),  # type: ignore[arg-type,return-value]
        parameter_overrides=[
            Parameter('model_path', value='none'),
            Parameter('image_topics', value=[TOPIC]),
        ],
    )
    executor = MultiThreadedExecutor(num_threads=4)
    executor.add_node(node)
    spinner = threading.Thread(target=executor.spin)
    spinner.start()
    node.trigger_configure()
    node.trigger_activate()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(node, options, Path(folder))
    print(json.dumps(result))
    node.finalize()
    executor.shutdown()
    spinner.join()
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


def measure(node: Any, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Play images to the node and return the figures."""
    camera = start_camera(options, folder)
    counts = node._health.session.statistics.counts
    while published(folder) < 2 * options.rate:  # the first ones fill caches and memory pools
        time.sleep(0.01)
        if camera.poll() is not None:
            raise SystemExit(f'the camera ended with {camera.returncode}')
    before, cpu_before, began = counts(0).received, cpu_s(), time.monotonic()
    published_before = published(folder)
    time.sleep(options.seconds)
    received = counts(0).received - before
    sent = published(folder) - published_before
    cpu = cpu_s() - cpu_before
    seconds = time.monotonic() - began
    camera.terminate()
    camera.wait()
    return {
        'size': options.size,
        'rate_hz': options.rate,
        'seconds': round(seconds, 2),
        'published': sent,
        'received': received,
        'share': round(received / max(sent, 1), 4),
        'dropped_in_node': counts(0).dropped,
        'cpu_ms_per_image': round(1e3 * cpu / max(received, 1), 2),
        'cpu_percent': round(100 * cpu / seconds, 1),
        'rss_mib': round(resident_mib(), 1),
        'peak_rss_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def start_camera(options: argparse.Namespace, folder: Path) -> subprocess.Popen[bytes]:
    """Start the other process."""
    width, height = map(int, options.size.split('x'))
    noise = np.random.default_rng(0).integers(0, 255, (height // 10, width // 10, 3), np.uint8)
    picture = folder / 'picture.png'
    cv2.imwrite(str(picture), cv2.resize(noise, (width, height)))
    command = [sys.executable, '-m', 'trt_detector.tools.play_images.main', '--loop']
    command += ['--images', str(picture), '--topic', TOPIC, '--rate', str(options.rate)]
    command += ['--log', str(folder / 'log.jsonl'), '--wait-for-subscriber', '10']
    return subprocess.Popen(command)


def published(folder: Path) -> int:
    """Return the number of images that the camera has published so far."""
    log = folder / 'log.jsonl'
    return log.read_bytes().count(b'\n') if log.exists() else 0


def cpu_s() -> float:
    """Return the CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_mib() -> float:
    """Return the memory that this process occupies now."""
    pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def tune(options: argparse.Namespace) -> list[str]:
    """Tune the process as the node's executable does, or with parts left out."""
    if not options.without_malloc:
        tuning.keep_image_memory()
    if options.without_shared_memory:
        # The camera inherits it, and leaves Fast DDS alone as well.
        os.environ['FASTDDS_BUILTIN_TRANSPORTS'] = 'DEFAULT'
    return tuning.use_shared_memory()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    parser.add_argument('--size', default='1920x1080', help='WIDTHxHEIGHT (%(default)s)')
    parser.add_argument('--rate', type=float, default=20.0, help='images per second (%(default)s)')
    parser.add_argument('--seconds', type=float, default=10.0, help='(%(default)s)')
    parser.add_argument('--without-malloc', action='store_true', help="keep glibc's defaults")
    parser.add_argument('--without-shared-memory', action='store_true', help='keep those of DDS')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
