# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what a JPEG costs on a machine with a GPU: decoded on the CPU in full, reduced, on the GPU.

Needs a GPU, pycuda or cuda-bindings, ONNX Runtime for CUDA and nvImageCodec with nvJPEG. The
network has the size of YOLOv8n, see pipeline.py. All ways run in turn, for some rounds.

    python3 docs/benchmarks/jpeg_gpu.py --json docs/benchmarks/jpeg_gpu.json
"""

from __future__ import annotations

import argparse
from collections import deque
import json
import os
from pathlib import Path
import statistics
import sys
import tempfile
import time
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from pipeline import make_network
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.gpu.uploads.jpeg_decoder import JpegDecoder
from trt_detector.image.compressed import open_compressed
from trt_detector.pipeline import Detector, PendingBatch

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / 'demo' / 'pictures' / 'scene_41_4000x3000.jpg'
SIZES = ((1280, 720), (1920, 1080), (3840, 2160))
QUALITIES = (80, 95)
BATCHES = (1, 4)
WAYS = ('pixels', 'full', 'reduced', 'gpu')
_ACCEPTS = JpegDecoder.accepts


def encode(size: tuple[int, int], quality: int) -> bytes:
    """Return a picture of a size as JPEG, with the noise of a camera."""
    picture = cv2.resize(cv2.imread(str(PICTURE)), size, interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).normal(0, 3, picture.shape)
    pixels = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def run(detector: Detector, data: bytes, way: str, batch: int, seconds: float) -> dict[str, float]:
    """Detect for some seconds with all slots in flight; then one batch after the other."""
    JpegDecoder.accepts = _ACCEPTS if way == 'gpu' else lambda *_: False  # type: ignore[method-assign]
    pixels = open_compressed(data).decode()

    def read() -> Any:
        if way == 'pixels':
            return pixels
        image = open_compressed(data)
        return image.decode() if way == 'full' else image

    detector.detect([read() for _ in range(batch)])
    waiting: deque[PendingBatch] = deque()
    count, begun, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < begun + seconds:
        waiting.append(detector.submit([read() for _ in range(batch)]))
        if len(waiting) == detector.depth:
            detector.collect(waiting.popleft())
            count += batch
    elapsed, cpu = time.perf_counter() - begun, time.process_time() - cpu
    while waiting:
        detector.collect(waiting.popleft())
    alone = []
    for _ in range(10):
        start = time.perf_counter()
        detector.detect([read() for _ in range(batch)])
        alone.append((time.perf_counter() - start) * 1e3)
    return {
        'images_per_s': count / elapsed,
        'cpu_ms_per_image': cpu * 1e3 / count,
        'latency_ms': statistics.median(alone),
    }


def main() -> int:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=0.7)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    rows = []
    info = None
    with tempfile.TemporaryDirectory() as folder:
        model = make_network(Path(folder) / 'network.onnx')
        for batch in BATCHES:
            config = DetectorConfig(
                model_path=str(model),
                backend='onnxruntime',
                onnxruntime_provider='cuda',
                batch_size=batch,
                score_threshold=0.25,
                input_shape='640x640',
                engine_cache_dir=folder,
            )
            with create_detector(config) as detector:
                info = detector.info
                for size in SIZES:
                    for quality in QUALITIES:
                        data = encode(size, quality)
                        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
                        for _ in range(options.rounds):
                            for way in WAYS:
                                found[way].append(run(detector, data, way, batch, options.seconds))
                        row: dict[str, Any] = {
                            'image_wh': size,
                            'quality': quality,
                            'kib': len(data) // 1024,
                            'batch': batch,
                        }
                        for way in WAYS:
                            row[way] = {
                                name: round(statistics.median(one[name] for one in found[way]), 3)
                                for name in found[way][0]
                            }
                        rows.append(row)
                        print(row, flush=True)
    report = {
        'device': '' if info is None else info.device,
        'version': '' if info is None else info.version,
        'opencv': cv2.__version__,
        'cores': len(os.sched_getaffinity(0)),
        'rounds': options.rounds,
        'rows': rows,
    }
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
