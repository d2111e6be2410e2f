# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the pipeline from raw images to detections with the engine alone and with a baseline.

- engine: the network alone on input in device memory, two runs queued, without copies.
- engine, no graph: the same without CUDA graphs.
- engine and copies: upload of a batch, network, download of all outputs, in one stream.
- pipeline: Detector.submit() and collect() with all batch slots in flight, from memory as the
  node takes messages in, whose pages the GPU locks; pageable: from other memory.
- one by one: Detector.detect() of images in memory as of the node.
- baseline: cv2.resize, float conversion, transpose, session.run(), without decoding.

    python3 docs/benchmarks/pipeline.py --json docs/benchmarks/pipeline.json

It needs a GPU, pycuda or cuda-bindings, and an ONNX Runtime for CUDA. The larger network has the
size of YOLOv8n: 8 GFLOP at 640x640, 84 values for each of 8400 predictions, random weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
import json
from pathlib import Path
import statistics
import tempfile
import time
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import onnxruntime
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.gpu.context import describe_bindings, load_cuda
from trt_detector.image.image import Image
from trt_detector.image.reusable_memory import ReusableMemory
from trt_detector.pipeline import Detector

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'demo' / 'models' / 'demo_end2end.onnx'
FRAME_SIZES = [(1920, 1080), (3840, 2160)]
BATCHES = [1, 4, 8]

# Per image, on average; of the larger network.
DETECTIONS = 10

# Of a serialized message, before the pixels.
HEADER_BYTES = 68


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='output file for the raw figures')
    parser.add_argument('--seconds', type=float, default=1.5, help='duration of each measurement')
    parser.add_argument(
        '--sizes',
        nargs='+',
        default=FRAME_SIZES,
        type=parse_size,
        help='image sizes, WIDTHxHEIGHT',
    )
    parser.add_argument('--batches', nargs='+', default=BATCHES, type=int, help='batch sizes')
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        models = {'demo': DEMO, 'yolo-sized': make_network(Path(folder) / 'network.onnx')}
        for name, path in models.items():
            for batch in arguments.batches:
                for row in measure(name, path, batch, arguments.sizes, arguments.seconds):
                    print(json.dumps(row), flush=True)
                    rows.append(row)
    print_table(rows)
    if arguments.json:
        versions = {
            'onnxruntime': onnxruntime.__version__,
            'bindings': describe_bindings(load_cuda()),
        }
        text = json.dumps({**versions, 'rows': rows}, indent=1)
        arguments.json.write_text(text + '\n', encoding='utf-8')


def parse_size(text: str) -> tuple[int, int]:
    """Convert WIDTHxHEIGHT to (width, height)."""
    width, height = text.split('x')
    return int(width), int(height)


def measure(
    name: str, path: Path, batch: int, sizes: list[tuple[int, int]], seconds: float
) -> list[dict[str, Any]]:
    """Measure one network and batch size."""
    config = DetectorConfig(
        model_path=str(path), backend='onnxruntime', onnxruntime_provider='cuda',
        batch_size=batch, score_threshold=0.25,
        input_shape='auto' if path == DEMO else '640x640',
    )  # fmt: skip
    rows = []
    common = {'model': name, 'batch': batch}
    with create_detector(config.with_changes(cuda_graph=False)) as detector:
        rows.append(common | {'mode': 'engine, no graph'} | engine_alone(detector, batch, seconds))
    with create_detector(config) as detector:
        common |= {'device': detector.info.device}
        common |= {'cuda_graph': str(detector.info.cuda_graph)}
        rows.append(common | {'mode': 'engine'} | engine_alone(detector, batch, seconds))
        rows.append(
            common
            | {'mode': 'engine and copies'}
            | engine_alone(detector, batch, seconds, copies=True)
        )
        for width, height in sizes:
            random = np.random.default_rng(1)
            pixels = random.integers(0, 256, (batch, height, width, 3), np.uint8)
            pageable = [Image.from_array(array) for array in pixels]
            images = [receive(image) for image in pageable]
            if path != DEMO:
                choose_threshold(detector, images)
            common['frames'] = f'{width}x{height}'
            rows.append(common | {'mode': 'pipeline'} | pipeline(detector, images, seconds))
            rows.append(common | {'mode': 'pageable'} | pipeline(detector, pageable, seconds))
            rows.append(
                common
                | {'mode': 'one by one'}
                | loop(lambda images=images: detector.detect(images), batch, seconds)
            )
            # Again at the end, since the clocks may have changed.
            rows.append(common | {'mode': 'engine'} | engine_alone(detector, batch, seconds))
    session = onnxruntime.InferenceSession(
        str(path), providers=['CUDAExecutionProvider', 'CPUExecutionProvider']
    )
    size = tuple(session.get_inputs()[0].shape[2:])
    for width, height in sizes:
        common['frames'] = f'{width}x{height}'
        pictures = np.random.default_rng(1).integers(0, 256, (batch, height, width, 3), np.uint8)
        rows.append(
            common
            | {'mode': 'baseline'}
            | loop(lambda p=pictures: baseline(session, p, size), batch, seconds)
        )
    return rows


def baseline(session: Any, pictures: np.ndarray, size: tuple[int, int]) -> Any:
    """Run the baseline."""
    prepared = []
    for image in pictures:
        small = cv2.resize(image, size[::-1])
        rgb = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
        prepared.append((rgb.astype(np.float32) / 255).transpose(2, 0, 1))
    return session.run(None, {session.get_inputs()[0].name: np.stack(prepared)})


def choose_threshold(detector: Detector, images: list[Image]) -> None:
    """Choose the score threshold of a network without training for 10 detections per image."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        detector.options = replace(detector.options, score_threshold=middle)
        found = sum(map(len, detector.detect(images).detections))
        low, high = (middle, high) if found > DETECTIONS * len(images) else (low, middle)
    detector.options = replace(detector.options, score_threshold=high)


def receive(image: Image) -> Image:
    """Copy an image to memory as of the node, whose pages a GPU locks."""
    memory = ReusableMemory(HEADER_BYTES + image.data.size)
    data = np.frombuffer(memory.map, np.uint8, image.data.size, HEADER_BYTES)
    data[:] = image.data
    return Image(data, image.width, image.height, 'bgr8', image.step, memory=memory)


def engine_alone(
    detector: Detector, batch: int, seconds: float, *, copies: bool = False
) -> dict[str, Any]:
    """Run the engine of a detector alone on the memory of its slots, two runs in flight."""
    engine: Any = detector.engine
    slots: list[Any] = list(detector._runner.slots)[:2]
    cuda = engine.cuda
    events = [cuda.Event(cuda.event_flags.BLOCKING_SYNC) for _ in slots]
    shape = engine.batch_shape(batch)
    host = cuda.pagelocked_empty(shape, engine.input_spec.dtype)
    host[:] = np.random.default_rng(0).random(shape, np.float32)
    for slot in slots:
        cuda.memcpy_htod_async(int(slot._input), host, engine.stream)

    def start(i: int) -> None:
        slot = slots[i]
        if copies:
            cuda.memcpy_htod_async(int(slot._input), host, engine.stream)
        shapes = slot.runner.enqueue(batch)
        if copies:
            for buffer, shape in zip(slot._outputs, shapes, strict=True):
                buffer.download(buffer.view(shape), engine.stream)
        events[i].record(engine.stream)

    for i in range(len(slots)):
        start(i)
    current = 0

    def one() -> None:
        nonlocal current
        events[current].synchronize()
        start(current)
        current = (current + 1) % len(slots)

    figures = loop(one, batch, seconds)
    engine.stream.synchronize()
    host.base.free()
    return figures


def pipeline(detector: Detector, images: list[Image], seconds: float) -> dict[str, Any]:
    """Keep all batch slots busy."""
    waiting = [detector.submit(images) for _ in range(detector.depth - 1)]
    stages: list[Any] = []

    def one() -> None:
        # In the order of the node's inference thread.
        detector.wait(waiting[0])
        waiting.append(detector.submit(images))
        stages.append(detector.collect(waiting.pop(0)).times)

    figures = loop(one, len(images), seconds)
    for pending in waiting:
        found = detector.collect(pending).detections
    figures['detections'] = statistics.mean(map(len, found))
    for name in ('preprocess_ms', 'decode_ms'):
        figures[name] = statistics.median(getattr(times, name) for times in stages)
    return figures


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the rate of each mode, also relative to the engine alone."""
    for row in rows:
        engines = [
            other['fps']
            for other in rows
            if other['mode'] == 'engine'
            and (other['model'], other['batch']) == (row['model'], row['batch'])
        ]
        share = row['fps'] / max(engines)
        print(
            f'{row["model"]:10} batch {row["batch"]} {row.get("frames", ""):>9} {row["mode"]:20} '
            f'{row["fps"]:7.0f} fps {share:6.1%} p50 {row["p50_ms"]:.2f} p99 {row["p99_ms"]:.2f} '
            f'cpu {row["thread_cpu_ms_a_frame"]:.3f} ms per frame'
        )


def loop(work: Callable[[], Any], batch: int, seconds: float) -> dict[str, Any]:
    """Measure the rate, the percentiles of a call, and the thread's CPU time per frame."""
    for _ in range(10):
        work()
    times = []
    cpu, begun = time.thread_time(), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        before = time.perf_counter()
        work()
        times.append((time.perf_counter() - before) * 1e3)
    elapsed = time.perf_counter() - begun
    frames = len(times) * batch
    return {
        'fps': frames / elapsed,
        'p50_ms': float(np.percentile(times, 50)),
        'p99_ms': float(np.percentile(times, 99)),
        'thread_cpu_ms_a_frame': (time.thread_time() - cpu) * 1e3 / frames,
    }


def make_network(path: Path) -> Path:
    """Write a network of the size of YOLOv8n with random weights."""
    random = np.random.default_rng(0)
    nodes: list[Any] = []
    weights: list[Any] = []

    def conv(source: str, inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> str:
        name = f'c{len(weights)}'
        scale = (2 / (inputs * kernel * kernel)) ** 0.5
        value = random.normal(0, scale, (outputs, inputs, kernel, kernel)).astype(np.float32)
        weights.append(numpy_helper.from_array(value, f'{name}_w'))
        nodes.append(
            helper.make_node(
                'Conv', [source, f'{name}_w'], [f'{name}_y'],
                strides=[stride, stride], pads=[kernel // 2] * 4, kernel_shape=[kernel, kernel],
            )
        )  # fmt: skip
        if kernel == 1:
            return f'{name}_y'
        nodes.append(helper.make_node('Relu', [f'{name}_y'], [f'{name}_r']))
        return f'{name}_r'

    x = conv('images', 3, 16, 2)
    x = conv(conv(x, 16, 32, 2), 32, 32)
    heads = []
    for inputs, outputs in ((32, 64), (64, 128), (128, 256)):
        x = conv(x, inputs, outputs, 2)
        for _ in range(5 if outputs != 128 else 4):
            x = conv(x, outputs, outputs)
        flat = f'flat{outputs}'
        nodes.append(helper.make_node('Reshape', [conv(x, outputs, 84, 1, 1), 'shape'], [flat]))
        heads.append(flat)
    nodes += [
        helper.make_node('Concat', heads, ['raw'], axis=2),
        helper.make_node('Split', ['raw', 'parts'], ['offsets', 'logits'], axis=1),
        helper.make_node('Add', ['offsets', 'anchors'], ['boxes']),
        helper.make_node('Sub', ['logits', 'bias'], ['shifted']),
        helper.make_node('Sigmoid', ['shifted'], ['scores']),
        helper.make_node('Concat', ['boxes', 'scores'], ['output0'], axis=1),
    ]
    weights += [
        numpy_helper.from_array(np.array([0, 84, -1]), 'shape'),
        numpy_helper.from_array(np.array([4, 80]), 'parts'),
        numpy_helper.from_array(make_anchors(), 'anchors'),
        numpy_helper.from_array(np.array(8, np.float32), 'bias'),
    ]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (('images', ['n', 3, 640, 640]), ('output0', ['n', 84, 8400]))
    ]
    graph = helper.make_graph(nodes, 'network', values[:1], values[1:], initializer=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
    model.ir_version = 8
    names = str({i: f'class{i}' for i in range(80)})
    helper.set_model_props(
        model, {'names': names, 'imgsz': '[640, 640]', 'stride': '32', 'task': 'detect'}
    )
    onnx.save(model, path)
    return path


def make_anchors() -> np.ndarray:
    """Make a box of 8x8 cells around each cell, float32 (1, 4, 8400)."""
    parts = []
    for stride in (8, 16, 32):
        y, x = (np.indices((640 // stride, 640 // stride)) + 0.5) * stride
        parts.append(np.stack((x, y, *[np.full_like(x, 8 * stride)] * 2)).reshape(4, -1))
    return np.concatenate(parts, axis=1, dtype=np.float32)[None]


if __name__ == '__main__':
    main()
