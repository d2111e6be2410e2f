# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Process that runs the network of a detector in a loop, without ROS: the limit of a node.

    python3 -m trt_detector.tools.benchmark_node.bare SETTINGS RESULT

It writes RESULT.ready when the loop begins, and RESULT at SIGINT.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import json
from pathlib import Path
import sys
import threading
import time
from typing import Any

import numpy as np

from ...config import DetectorConfig
from ...errors import DetectorError
from ...factory import create_detector
from ...image.image import Image
from ...pipeline import Detector
from ...process.stop_signals import SignalWatch

__all__ = ['main', 'run_loop']


def main() -> int:
    """
    Run until SIGINT.

    :return: 0, or 1 if the model cannot run.
    """
    try:
        _run()
    except DetectorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run() -> None:
    """Open the detector, run its network until SIGINT, and write the result."""
    settings, result = (Path(name) for name in sys.argv[1:])
    values = json.loads(settings.read_text(encoding='utf-8'))
    stop = threading.Event()
    watch = SignalWatch(stop)
    config = DetectorConfig.from_mapping(values['parameters'])
    cameras = len(config.image_topics)
    with create_detector(config, default_batch_size=cameras, cancel=stop) as detector:
        # As in the node, the first image may choose the input size.
        image = Image.from_file(values['picture'])
        detector.detect([image])
        inputs = detector.count_inputs((image.width, image.height))
        result.with_suffix('.ready').touch()
        runs = run_loop(detector, values['rate_hz'], stop, inputs)
        report = {'batch_size': detector.batch_size, 'runs': runs, **_describe(detector)}
    result.write_text(json.dumps(report), encoding='utf-8')
    watch.ignore()


def run_loop(
    detector: Detector, rate_hz: float, stop: threading.Event, inputs: int = 1
) -> list[tuple[int, float, float]]:
    """
    Run the network on zeros until the event is set, as many runs at once as the detector uses.

    :param detector: its input size is settled.
    :param rate_hz: images per second; 0 is back to back.
    :param stop: set to end.
    :param inputs: of the network per image, several with tiles.
    :return: time of the end in ns, duration in ms and images of each run.
    """
    engine, size = detector.engine, min(detector.run_size, detector.batch_size * inputs)
    batch = np.zeros(engine.batch_shape(size), engine.input_spec.dtype)
    count = size / inputs
    at_once = min(engine.get_parallel_runs(), detector.depth)
    period_s = count * at_once / rate_hz if rate_hz else 0.0
    runs: list[tuple[int, float, float]] = []

    def run_until_stopped(number: int) -> None:
        next_s = time.monotonic() + period_s * number / at_once
        while not stop.wait(max(0.0, next_s - time.monotonic()) if period_s else 0.0):
            begun_s = time.perf_counter()
            engine.run(batch)
            runs.append((time.time_ns(), (time.perf_counter() - begun_s) * 1e3, count))
            next_s = max(next_s + period_s, time.monotonic())

    if at_once == 1:
        # An engine on a GPU belongs to the thread that made it.
        run_until_stopped(0)
        return runs
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(run_until_stopped, range(at_once)))
    return sorted(runs)


def _describe(detector: Detector) -> dict[str, Any]:
    """Return the description of what runs."""
    info = detector.info
    return {
        'ran': {
            'backend': info.backend, 'precision': info.precision, 'device': info.device,
            'version': info.version, 'warnings': list(info.warnings),
            'runs_at_once': min(detector.engine.get_parallel_runs(), detector.depth),
        },
    }  # fmt: skip


if __name__ == '__main__':
    sys.exit(main())
