# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare ONNX Runtime's CPU provider and OpenVINO on this machine's CPU, side by side in one run.

    pip install onnxruntime-openvino
    python3 docs/benchmarks/openvino.py --json openvino.json

The graph has the blocks and the size of YOLOv8n and random weights (test/support/yolo_graphs.py);
the engines are those of the node, with default threads. They alternate image by image, so that
other load on the machine affects all of them alike.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
import json
import os
from pathlib import Path
import platform
import statistics
import sys
import tempfile
import time
from typing import Any

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, str(Path(__file__).parents[2] / 'test'))

from support.quantized import min_max_cache, random_images
from support.yolo_graphs import yolov8n_graph
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector

MODES = {
    'cpu fp32': ('cpu', 'fp32'),
    'cpu int8': ('cpu', 'int8'),
    'openvino fp32': ('openvino', 'fp32'),
    'openvino fp16': ('openvino', 'fp16'),
    'openvino int8': ('openvino', 'int8'),
}


def describe_cpu() -> dict[str, Any]:
    """Describe the CPU by its model name and the instructions that matter here."""
    lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    values = dict(line.split('\t: ', 1) for line in lines if '\t: ' in line)
    wanted = ('amx', 'avx2', 'avx512_bf16', 'avx512_fp16', 'avx512_vnni', 'avx_vnni', 'avx512f')
    flags = values.get('flags', '').split()
    return {
        'cpu': values.get('model name', platform.processor()),
        'instructions': [flag for flag in flags if flag.startswith(wanted)],
        'cores': len(os.sched_getaffinity(0)),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    model = yolov8n_graph()
    modes: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        onnx.save(model, folder / 'yolo.onnx')
        cache = folder / 'yolo.calib'
        cache.write_bytes(min_max_cache(model, random_images(1, 640)).to_bytes())
        engines = {}
        for name, (provider, precision) in MODES.items():
            config = DetectorConfig(
                model_path=str(folder / 'yolo.onnx'), backend='onnxruntime', precision=precision,
                onnxruntime_provider=provider, warmup_iterations=0, int8_gate_action='off',
                calib_cache_path=str(cache) if precision == 'int8' else '',
            )  # fmt: skip
            started = time.perf_counter()
            detector = stack.enter_context(create_detector(config))
            modes[name] = {
                'open_s': round(time.perf_counter() - started, 3),
                'precision': detector.info.precision,
                'details': detector.info.report(),
                'ms': [],
                'cpu_ms': [],
            }
            engines[name] = detector.engine
        image = np.random.default_rng(0).random((1, 3, 640, 640), np.float32)
        for _ in range(options.rounds):
            for name, engine in engines.items():
                wall, cpu = time.perf_counter(), time.process_time()
                engine.run(image)
                modes[name]['ms'].append(round((time.perf_counter() - wall) * 1e3, 3))
                modes[name]['cpu_ms'].append(round((time.process_time() - cpu) * 1e3, 3))
    for name, mode in modes.items():
        medians = [statistics.median(mode[key][4:]) for key in ('ms', 'cpu_ms')]
        print(f'{name:15} {medians[0]:7.1f} ms {medians[1]:7.1f} ms of CPU ({mode["precision"]})')
    report = {**describe_cpu(), 'onnxruntime': onnxruntime.__version__, 'modes': modes}
    if options.json:
        options.json.write_text(json.dumps(report) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
