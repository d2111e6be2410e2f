# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the accuracy loss of INT8 per calibration method, and the verdict of the INT8 gate.

    python3 docs/benchmarks/int8_scenes.py --out scenes/calibration --seeds 4000000 300
    python3 docs/benchmarks/int8_scenes.py --out scenes/gate --seeds 4000300 32
    python3 docs/benchmarks/int8_scenes.py --out scenes/test --seeds 2000000 500
    python3 docs/benchmarks/int8_accuracy.py --scenes scenes --work out \
        --json docs/benchmarks/int8_accuracy.json

The caches are made by the tool calibrate, the figures by the tool evaluate, INT8 runs as Q/DQ on
ONNX Runtime. Two caches are bad on purpose: all scales times eight, and one from noise. A cache
that the folder of --work holds already is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import platform
import sys
from typing import Any

import cv2
import numpy as np
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.quantize import CalibrationCache, read_calibration_cache
from trt_detector.tools import calibrate, evaluate

_METHODS = {
    'entropy': (),
    'minmax': ('--method', 'minmax'),
    'divergence alone': ('--percentile', '0'),
}


def make_noise(folder: Path, count: int = 32) -> Path:
    """Write noise images."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for number in range(count):
        noise = random.integers(0, 256, (360, 640, 3), np.uint8)
        cv2.imwrite(str(folder / f'{number:03}.png'), noise)
    return folder


def make_caches(model: Path, scenes: Path, work: Path) -> dict[str, Path]:
    """Calibrate by every method, and badly."""
    jobs = {name: (scenes / 'calibration', options) for name, options in _METHODS.items()}
    jobs['noise'] = (make_noise(work / 'noise'), ())
    caches = {}
    for name, (pictures, options) in jobs.items():
        caches[name] = work / f'{name.replace(" ", "_")}.calib'
        if caches[name].exists():
            continue
        arguments = ['--model', model, '--images', pictures, '--output', caches[name]]
        arguments += ['--frames', 300, '--gate-frames', 0, *options]
        if calibrate.main([str(argument) for argument in arguments]) != 0:
            raise SystemExit(f'calibration by {name} failed')
    good = read_calibration_cache(caches['entropy'])
    caches['scales x8'] = work / 'x8.calib'
    scales = {name: 8 * scale for name, scale in good.scales.items()}
    caches['scales x8'].write_bytes(CalibrationCache(good.header, scales).to_bytes())
    return caches


def ask_gate(model: Path, cache: Path, frames: Path) -> dict[str, Any]:
    """Return the verdict of the gate on a cache, with default parameters and these frames."""
    config = DetectorConfig(
        model_path=str(model),
        backend='onnxruntime',
        precision='int8',
        calib_cache_path=str(cache),
        int8_gate_images=str(frames),
    )
    with create_detector(config) as detector:
        info = detector.info
    return {
        'runs_as': info.precision,
        'check': info.report()['int8 check'],
        'warnings': list(info.warnings),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    root = Path(__file__).parents[2]
    parser.add_argument('--model', type=Path, default=root / 'demo/models/demo_end2end.onnx')
    parser.add_argument('--scenes', type=Path, required=True)
    parser.add_argument('--work', type=Path, required=True)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    caches = make_caches(options.model, options.scenes, options.work)
    gate = {}
    for name, cache in caches.items():
        gate[name] = ask_gate(options.model, cache, options.scenes / 'gate')
        print(f'{name}: runs as {gate[name]["runs_as"]}; {gate[name]["check"]}')
    report = options.work / 'report.json'
    arguments = ['--model', options.model, '--data', options.scenes / 'test' / 'annotations.json']
    arguments += ['--json', report, '--html', options.work / 'report.html']
    arguments += ['--variant', 'fp32', 'backend=onnxruntime']
    for name, cache in caches.items():
        settings = ('backend=onnxruntime', 'precision=int8', f'calib_cache_path={cache}')
        arguments += ['--variant', name, *settings]
    if evaluate.main([str(argument) for argument in arguments]) != 0:
        return 1
    if options.json:
        facts = {
            'machine': platform.machine(),
            'cores': os.cpu_count(),
            'gate': gate,
            'evaluation': json.loads(report.read_text(encoding='utf-8')),
        }
        options.json.write_text(json.dumps(facts, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
