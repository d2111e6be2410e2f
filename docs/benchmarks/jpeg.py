# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what a JPEG costs that is decoded at a fraction of its size, and what is found in it.

Needs the environment of the project and faster-coco-eval. Drawn scenes are written as JPEG and
given to the network twice, decoded in full and as a CompressedImage message is. The cost is the
processor time of checking, decoding and letterbox, without inference. Both ways run in turn, so
that other load hits both.

    python3 docs/benchmarks/jpeg.py --only quality --json docs/benchmarks/jpeg.json
    python3 docs/benchmarks/jpeg.py --only cost --json docs/benchmarks/jpeg_cost.json
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
import json
import os
from pathlib import Path
import platform
import statistics
import sys
import time
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'demo')]

from scenes import render_distant_scene, render_scene  # noqa: E402
from splits import DISTANT_SEEDS, VAL_SEEDS  # noqa: E402
from trt_detector.config import DetectorConfig  # noqa: E402
from trt_detector.evaluation.data_set import Sample  # noqa: E402
from trt_detector.evaluation.metric import coco_figures  # noqa: E402
from trt_detector.factory import create_detector  # noqa: E402
from trt_detector.image.compressed import open_compressed  # noqa: E402
from trt_detector.image.image import Image  # noqa: E402
from trt_detector.pipeline import Detector  # noqa: E402
from trt_detector.preprocess import CpuPreprocessor, PreprocessSpec  # noqa: E402
from trt_detector.process.tuning import keep_image_memory  # noqa: E402
from trt_detector.values.detections import Detections  # noqa: E402
from trt_detector.values.tensor_spec import TensorSpec  # noqa: E402

# Name of the set, size of the images, sides of distant objects in pixels or None.
SETS: tuple[tuple[str, tuple[int, int], tuple[int, int] | None], ...] = (
    ('demo scenes', (1024, 576), None),
    ('demo scenes', (1280, 720), None),
    ('demo scenes', (1920, 1080), None),
    ('demo scenes', (2046, 1151), None),
    ('demo scenes', (3840, 2160), None),
    ('objects of 40 to 160 pixels', (3840, 2160), (40, 160)),
)
WAYS = ('full', 'reduced')
# Mean average precision needs low scores; the number of boxes is that at the default threshold.
LOW_SCORE, SHOWN_SCORE = 0.01, 0.25
# The first is image_transport's default.
QUALITIES = (95, 80)
COST_SIZES = ((1280, 720), (1920, 1080), (3840, 2160))
# Of the letterbox whose time is measured: the usual one, not that of the small demo model.
NETWORK_HW = (640, 640)


def encode(pixels: np.ndarray[Any, Any], quality: int) -> bytes:
    """Return pixels as the content of a JPEG file."""
    done, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError('OpenCV cannot write JPEG')
    return data.tobytes()


def draw(job: tuple[int, tuple[int, int], tuple[int, int] | None]) -> tuple[bytes, Sample]:
    """Draw one scene; return it as JPEG, and its objects."""
    number, size, sides = job
    if sides is None:
        scene = render_scene(VAL_SEEDS[number], size)
    else:
        scene = render_distant_scene(DISTANT_SEEDS[number], size, sides_px=sides)
    data = encode(scene.image_bgr, QUALITIES[0])
    boxes = np.array([thing.bbox_xyxy for thing in scene.objects], np.float64).reshape(-1, 4)
    classes = np.array([thing.class_id for thing in scene.objects], np.int64)
    return data, Sample(Path('scene'), boxes, classes, np.zeros(len(boxes), np.bool_))


def read(data: bytes, way: str) -> Image:
    """Read a JPEG as the node does; decode it before the preprocessing if in full."""
    image = open_compressed(data)
    return image.decode() if way == 'full' else image


def judge(
    found: Sequence[Detections],
    size: tuple[int, int],
    samples: Sequence[Sample],
    names: Sequence[str],
) -> dict[str, Any]:
    """Compute the average precision and count the boxes of a set in one way."""
    figures = coco_figures(samples, [size] * len(samples), found, names)
    return {
        'map50': round(figures.map50, 4),
        'map50_95': round(figures.map50_95, 4),
        'boxes': int(sum((one.scores >= SHOWN_SCORE).sum() for one in found)),
    }


def measure_set(
    detector: Detector, pictures: Iterator[tuple[bytes, Sample]], size: tuple[int, int]
) -> dict[str, Any]:
    """Detect in every image of a set in both ways."""
    found: dict[str, list[Detections]] = {way: [] for way in WAYS}
    samples, reductions, nbytes = [], set(), []
    for data, sample in pictures:
        samples.append(sample)
        nbytes.append(len(data))
        for way in WAYS:
            pending = detector.submit([read(data, way)])
            found[way].append(detector.collect(pending).detections[0])
            if way == 'reduced':
                reductions.update(one.reduction for one in pending.letterboxes)
    return {
        'images': len(samples),
        'objects': sum(len(sample.boxes_xyxy) for sample in samples),
        'jpeg_kib': round(statistics.mean(nbytes) / 1024),
        'reduction': sorted(reductions),
        **{way: judge(found[way], size, samples, detector.class_names) for way in WAYS},
    }


def open_detector(options: argparse.Namespace) -> Detector:
    """Open the model."""
    return create_detector(
        DetectorConfig(
            model_path=str(options.model),
            backend='onnxruntime',
            onnxruntime_provider='cpu',
            score_threshold=LOW_SCORE,
        )
    )


def measure_quality(options: argparse.Namespace) -> dict[str, Any]:
    """Detect in all sets."""
    sets = []
    with open_detector(options) as detector, ProcessPoolExecutor(options.workers) as pool:
        for name, size, sides in SETS:
            jobs = [(number, size, sides) for number in range(options.scenes)]
            measured = measure_set(detector, pool.map(draw, jobs), size)
            sets.append({'set': name, 'image_wh': size, **measured})
            print(sets[-1], flush=True)
        return {
            'model': options.model.name,
            'input_hw': detector.input_size,
            'jpeg_quality': QUALITIES[0],
            'sets': sets,
        }


def measure_cost(options: argparse.Namespace) -> dict[str, Any]:
    """
    Time both ways on one image of each size and quality, in turn, and as in a node.

    The demo model runs before each, because the caches of a node then hold the network and not
    the image; and glibc keeps the memory of images.
    """
    keep_image_memory()
    spec = TensorSpec('images', (1, 3, *NETWORK_HW), np.dtype(np.float32))
    preprocess = CpuPreprocessor(PreprocessSpec(), spec, NETWORK_HW)
    out = np.empty((3, *NETWORK_HW), np.float32)
    rows = []
    with open_detector(options) as detector:
        for size in COST_SIZES:
            pixels = render_scene(VAL_SEEDS[0], size).image_bgr
            small = Image.from_array(cv2.resize(pixels, (640, 360)))
            for quality in QUALITIES:
                data = encode(pixels, quality)
                row: dict[str, Any] = {
                    'image_wh': size,
                    'jpeg_quality': quality,
                    'jpeg_kib': len(data) // 1024,
                }
                cpu_ms: dict[str, list[float]] = {way: [] for way in WAYS}
                for _ in range(options.rounds):
                    for way in WAYS:
                        detector.detect([small])
                        begun = time.process_time()
                        letterbox = preprocess(read(data, way), out)
                        cpu_ms[way].append((time.process_time() - begun) * 1e3)
                row['reduction'] = letterbox.reduction
                row |= {f'{way}_cpu_ms': round(statistics.median(cpu_ms[way]), 2) for way in WAYS}
                rows.append(row)
                print(row, flush=True)
    return {'input_hw': NETWORK_HW, 'rounds': options.rounds, 'rows': rows}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, default=ROOT / 'demo' / 'models' / 'demo_raw.onnx')
    parser.add_argument('--scenes', type=int, default=60, help='per set')
    parser.add_argument('--rounds', type=int, default=40, help='of the cost')
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('--only', choices=('cost', 'quality'), help='default: both')
    parser.add_argument('--json', type=Path)
    options = parser.parse_args(argv)
    report: dict[str, Any] = {
        'opencv': cv2.__version__,
        'cores': len(os.sched_getaffinity(0)),
        'machine': platform.machine(),
    }
    if options.only != 'cost':
        report['quality'] = measure_quality(options)
    if options.only != 'quality':
        report['cost'] = measure_cost(options)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
