# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare INT8 with and without the output convolutions in float, on both heads of the demo model.

    python3 docs/benchmarks/int8_scenes.py --out scenes/calibration --seeds 4000000 300
    python3 docs/benchmarks/int8_scenes.py --out scenes/test --seeds 2000000 500
    python3 docs/benchmarks/int8_outputs.py --scenes scenes --work out \
        --json docs/benchmarks/int8_outputs.json

Both are calibrated by entropy on 300 scenes and compared with FP32 on 500 others, on ONNX Runtime:
mAP50-95 by faster-coco-eval, the agreement of the INT8 check at a score of 0.25, and the mean
difference of scores and box edges (pixels of the image) of the detections that both find.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
import json
from pathlib import Path
import sys
from typing import Any

import numpy as np
import onnx
from trt_detector.config import DetectorConfig
from trt_detector.evaluation.data_set import DataSet, read_data_set
from trt_detector.evaluation.metric import coco_figures
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.int8_gate.agreement import (
    Agreement,
    compare_detections,
    low_threshold,
    match_boxes,
)
from trt_detector.pipeline import Detector
from trt_detector.quantize import qdq
from trt_detector.quantize.graph import analyse_head, HeadAnalysis
from trt_detector.tools import calibrate
from trt_detector.values.detections import Detections

_ROOT = Path(__file__).parents[2]
_MODELS = ('demo_raw', 'demo_end2end')
_SCORE = 0.25


def open_detector(model: Path, threads: int, **values: Any) -> Detector:
    """Open a detector that reports what mean average precision needs."""
    settings = {
        'model_path': str(model), 'backend': 'onnxruntime', 'score_threshold': 0.001,
        'iou_threshold': 0.7, 'batch_size': 1, 'inference_threads': threads,
        'int8_gate_action': 'off', 'warmup_iterations': 0,
    }  # fmt: skip
    return create_detector(DetectorConfig.from_mapping({**settings, **values}))


def open_variants(model: Path, cache: Path, threads: int) -> dict[str, Detector]:
    """Open FP32, INT8 with the output convolutions in float, and INT8 with them quantized."""
    int8 = {'precision': 'int8', 'calib_cache_path': str(cache)}
    variants = {
        'fp32': open_detector(model, threads),
        'int8, float outputs': open_detector(model, threads, **int8),
    }

    def without_outputs(graph: onnx.ModelProto) -> HeadAnalysis:
        return replace(analyse_head(graph), output_convolutions=frozenset())

    vars(qdq)['analyse_head'] = without_outputs
    try:
        variants['int8, int8 outputs'] = open_detector(model, threads, **int8)
    finally:
        vars(qdq)['analyse_head'] = analyse_head
    return variants


def compare(reference: Sequence[Detections], found: Sequence[Detections]) -> dict[str, Any]:
    """Compare the detections of two detectors."""
    total = Agreement()
    scores: list[float] = []
    edges: list[float] = []
    for left, right in zip(reference, found, strict=True):
        total += compare_detections(left, right, _SCORE)
        wanted = left.select(left.scores >= _SCORE)
        given = right.select(right.scores >= low_threshold(_SCORE))
        rows, partners = match_boxes(wanted, given)
        scores += np.abs(wanted.scores[rows] - given.scores[partners]).tolist()
        edges += np.abs(wanted.boxes_xyxy[rows] - given.boxes_xyxy[partners]).mean(1).tolist()
    return {
        'agreement': total.share, 'found': total.found, 'reference': total.reference,
        'confirmed': total.confirmed, 'candidate': total.candidate,
        'score_difference': float(np.mean(scores)), 'edge_difference_px': float(np.mean(edges)),
    }  # fmt: skip


def measure(variants: dict[str, Detector], data: DataSet) -> dict[str, Any]:
    """Run all variants over the data set."""
    found: dict[str, list[Detections]] = {name: [] for name in variants}
    sizes = []
    for sample in data.samples:
        image = Image.from_file(sample.path)
        sizes.append((image.width, image.height))
        for name, detector in variants.items():
            found[name].append(detector.detect([image]).detections[0])
    report = {}
    for name, detections in found.items():
        figures = coco_figures(data.samples, sizes, detections, data.class_names)
        report[name] = {
            'map50_95': figures.map50_95,
            'map50': figures.map50,
            **compare(found['fp32'], detections),
        }
        print(f'{name}: {report[name]}', flush=True)
    return report


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[1])
    parser.add_argument('--scenes', type=Path, required=True)
    parser.add_argument('--work', type=Path, required=True)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    report = {}
    for name in _MODELS:
        model = _ROOT / 'demo' / 'models' / f'{name}.onnx'
        cache = options.work / f'{name}.entropy.calib'
        if not cache.exists():
            arguments = ['--model', model, '--images', options.scenes / 'calibration']
            arguments += ['--output', cache, '--frames', 300, '--gate-frames', 0]
            if calibrate.main([str(argument) for argument in arguments]) != 0:
                return 1
        variants = open_variants(model, cache, options.threads)
        truth = options.scenes / 'test' / 'annotations.json'
        print(name)
        report[name] = measure(variants, read_data_set(truth, None, variants['fp32'].class_names))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
