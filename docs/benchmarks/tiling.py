# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what tiles find, and what they cost, on drawn 4K scenes.

Needs the environment of the project and faster-coco-eval. Three sets of scenes of 3840x2160:
distant objects of 12 to 40 pixels, objects of 40 to 160 pixels, and the ordinary scenes of the
demo, most of whose objects are larger. All grids run on every image in turn, so that other load
hits all.

    python3 docs/benchmarks/tiling.py --only quality --json docs/benchmarks/tiling.json
    python3 docs/benchmarks/tiling.py --only cost --json docs/benchmarks/tiling_cost.json
    python3 docs/benchmarks/tiling.py --provider cuda --json docs/benchmarks/tiling_gpu.json
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
import json
import os
from pathlib import Path
import platform
import statistics
import sys
import time
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'demo')]

from scenes import render_distant_scene, render_scene, Scene  # noqa: E402
from splits import DISTANT_SEEDS, VAL_SEEDS  # noqa: E402
from trt_detector.config import DetectorConfig  # noqa: E402
from trt_detector.evaluation.data_set import Sample  # noqa: E402
from trt_detector.evaluation.metric import coco_figures  # noqa: E402
from trt_detector.factory import create_detector  # noqa: E402
from trt_detector.image.image import Image  # noqa: E402
from trt_detector.pipeline import Detector, PendingBatch  # noqa: E402
from trt_detector.values.detections import Detections  # noqa: E402

SIZE = (3840, 2160)
# Mean average precision needs low scores; the number of boxes is that at the default threshold.
LOW_SCORE, SHOWN_SCORE = 0.01, 0.25
SETS = ('12 to 40 pixels', '40 to 160 pixels', 'demo scenes')
# The first scenes of the seeds are those that the merge was chosen on.
FIRST = 10


def draw(job: tuple[str, int]) -> Scene:
    """Draw one scene of a set."""
    name, number = job
    if name == SETS[0]:
        return render_distant_scene(DISTANT_SEEDS[number], SIZE)
    if name == SETS[1]:
        return render_distant_scene(DISTANT_SEEDS[number], SIZE, sides_px=(40, 160))
    return render_scene(VAL_SEEDS[number], SIZE)


def open_detectors(options: argparse.Namespace, stack: ExitStack) -> dict[str, Detector]:
    """Open a detector for each grid."""
    return {
        tiling: stack.enter_context(
            create_detector(
                DetectorConfig(
                    model_path=str(options.model),
                    backend=options.backend,
                    onnxruntime_provider=options.provider,
                    tiling=tiling,
                    tile_overlap=options.overlap,
                    batch_size=options.batch_size,
                    score_threshold=SHOWN_SCORE,
                )
            )
        )
        for tiling in options.tiling
    }


def judge(
    scenes: Sequence[Scene], found: Sequence[Detections], names: Sequence[str]
) -> dict[str, Any]:
    """Compute the average precision and count the boxes of a set."""
    samples = [
        Sample(
            Path('scene'),
            np.array([thing.bbox_xyxy for thing in scene.objects], np.float64).reshape(-1, 4),
            np.array([thing.class_id for thing in scene.objects], np.int64),
            np.zeros(len(scene.objects), np.bool_),
        )
        for scene in scenes
    ]
    figures = coco_figures(samples, [SIZE] * len(scenes), found, names)
    return {
        'map50': round(figures.map50, 4),
        'map50_95': round(figures.map50_95, 4),
        'boxes': int(sum((one.scores >= SHOWN_SCORE).sum() for one in found)),
        'objects': sum(len(scene.objects) for scene in scenes),
    }


def measure_quality(
    detectors: dict[str, Detector], options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Detect in all scenes with every grid."""
    report: dict[str, dict[str, Any]] = {tiling: {} for tiling in detectors}
    with ProcessPoolExecutor(options.workers) as pool:
        for name in SETS:
            jobs = [(name, FIRST + number) for number in range(options.scenes)]
            scenes = list(pool.map(draw, jobs))
            for tiling, detector in detectors.items():
                detector.options = replace(detector.options, score_threshold=LOW_SCORE)
                found = [
                    detector.detect([Image.from_array(scene.image_bgr)]).detections[0]
                    for scene in scenes
                ]
                report[tiling][name] = judge(scenes, found, detector.class_names)
                print(f'{name}, {tiling}: {report[tiling][name]}', flush=True)
    return report


def time_in_flight(detector: Detector, image: Image, count: int) -> float:
    """Time images with as many in flight as the detector takes, in milliseconds per image."""
    begun = time.perf_counter()
    waiting: deque[PendingBatch] = deque()
    for _ in range(count):
        if 0 < len(waiting) == detector.depth - 1:
            detector.wait(waiting[0])
        waiting.append(detector.submit([image]))
        if len(waiting) >= detector.depth:
            detector.collect(waiting.popleft())
    while waiting:
        detector.collect(waiting.popleft())
    return (time.perf_counter() - begun) * 1e3 / count


def count_parts(detectors: dict[str, Detector], options: argparse.Namespace) -> dict[str, int]:
    """Count the parts of an image for every grid."""
    height, width = next(iter(detectors.values())).input_size
    counts = {}
    for tiling in detectors:
        grid = DetectorConfig(tiling=tiling, tile_overlap=options.overlap).tile_grid
        counts[tiling] = 1 if grid is None else len(grid.find_parts(SIZE, (width, height)))
    return counts


def measure_cost(
    detectors: dict[str, Detector], options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Time every grid on one image, in turn."""
    image = Image.from_array(draw((SETS[0], 0)).image_bgr)
    stages: dict[str, list[tuple[float, ...]]] = {tiling: [] for tiling in detectors}
    in_flight_ms: dict[str, list[float]] = {tiling: [] for tiling in detectors}
    for _ in range(options.rounds):
        for tiling, detector in detectors.items():
            # The first one only wakes the cores and the device up.
            for counts in (False, True):
                begun, cpu_begun = time.perf_counter(), time.process_time()
                times = detector.detect([image]).times
                whole_ms = (time.perf_counter() - begun) * 1e3
                cpu_ms = (time.process_time() - cpu_begun) * 1e3
                if counts:
                    stages[tiling].append(
                        (whole_ms, times.preprocess_ms, times.infer_ms, times.decode_ms, cpu_ms)
                    )
    parts = count_parts(detectors, options)
    # On a CPU nothing is gained by several images in flight.
    on_device = next(iter(detectors.values())).info.device_id is not None
    for _ in range(5 if on_device else 0):
        for tiling, detector in detectors.items():
            # As many parts for each grid, so that all are measured for as long.
            count = max(2, max(parts.values()) * 2 // parts[tiling])
            in_flight_ms[tiling].append(time_in_flight(detector, image, count))
    columns = {name: list(zip(*rows, strict=True)) for name, rows in stages.items()}
    plain_ms = statistics.median(columns['none'][0])
    report: dict[str, dict[str, Any]] = {}
    for tiling, values in columns.items():
        count = parts[tiling]
        medians = [statistics.median(each) for each in values]
        report[tiling] = {
            'parts': count,
            'images_per_run': detectors[tiling].run_size,
            'ms': round(medians[0], 3),
            'ms_p95': round(float(np.percentile(values[0], 95)), 3),
            'preprocess_ms': round(medians[1], 3),
            'infer_ms': round(medians[2], 3),
            'decode_and_merge_ms': round(medians[3], 3),
            'cpu_ms': round(medians[4], 3),
            'times_plain': round(medians[0] / plain_ms, 3),
            'times_plain_per_part': round(medians[0] / plain_ms / count, 3),
            'cpu_times_plain_per_part': round(
                medians[4] / statistics.median(columns['none'][4]) / count, 3
            ),
        }
        if on_device:
            report[tiling]['ms_in_flight'] = round(statistics.median(in_flight_ms[tiling]), 3)
        print(f'{tiling}: {report[tiling]}', flush=True)
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, default=ROOT / 'demo' / 'models' / 'demo_raw.onnx')
    parser.add_argument('--backend', default='onnxruntime')
    parser.add_argument('--provider', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--tiling', nargs='+', default=['none', '2x2', 'auto', '7x6'])
    parser.add_argument('--overlap', type=float, default=0.2)
    parser.add_argument('--batch-size', type=int, default=0)
    parser.add_argument('--scenes', type=int, default=12, help='per set')
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--workers', type=int, default=os.cpu_count())
    parser.add_argument('--only', choices=('cost', 'quality'), help='default: both')
    parser.add_argument('--json', type=Path)
    options = parser.parse_args(argv)
    if 'none' not in options.tiling:
        parser.error('--tiling needs none, with which the others are compared')
    with ExitStack() as stack:
        detectors = open_detectors(options, stack)
        info = next(iter(detectors.values())).info
        report: dict[str, Any] = {
            'model': options.model.name,
            'input_hw': list(next(iter(detectors.values())).input_size),
            'image_wh': SIZE,
            'tile_overlap': options.overlap,
            'backend': info.backend,
            'version': info.version,
            'device': info.device,
            'cores': len(os.sched_getaffinity(0)),
            'machine': platform.machine(),
            'rounds': options.rounds,
            'scenes_per_set': options.scenes,
        }
        if options.only != 'quality':
            report['cost'] = measure_cost(detectors, options)
        if options.only != 'cost':
            report['quality'] = measure_quality(detectors, options)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
