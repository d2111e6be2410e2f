# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the letterbox kernel with chains of library calls that compute the same.

Every chain converts a BGR image on the GPU to one image of a float32 RGB batch of 640x640. The
images exceed the cache and are used in rotation. 'gpu' is the time by CUDA events in a queue that
is never empty, without launch latency. 'call' is the time of one image on an idle GPU, with
launches. OpenCV runs on the CPU, from pageable memory to pageable memory.

    python3 docs/benchmarks/letterbox.py --json docs/benchmarks/letterbox.json

It needs pycuda and torch; CuPy is measured if it is installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
import json
from pathlib import Path
import statistics
import time
from typing import Any

import cv2
import numpy as np
import torch
from trt_detector.gpu.context import ContextScope, load_cuda
from trt_detector.gpu.kernels.letterbox import LetterboxJob, LetterboxKernel
from trt_detector.gpu.uploads.image_upload import rows_read
from trt_detector.image.image import Image
from trt_detector.preprocess import CpuPreprocessor, InputLayout, Letterbox, PreprocessSpec
from trt_detector.values.tensor_spec import TensorSpec

SIDE = 640
SIZES = [(3840, 2160), (1920, 1080)]
BATCH = 32
SPEC = PreprocessSpec()
INPUT = TensorSpec('images', (None, 3, SIDE, SIDE), np.dtype(np.float32))
Chain = Callable[[int], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', type=Path, help='file for the raw figures')
    arguments = parser.parse_args()
    torch.zeros(1, device='cuda')
    cuda = load_cuda()
    with closing(ContextScope(cuda, 0)):
        results = measure_all(cuda)
    text = json.dumps(results, indent=1)
    if arguments.json:
        arguments.json.write_text(text + '\n', encoding='utf-8')
    print(text)
    print_table(results)


def measure_all(cuda: Any) -> dict[str, Any]:
    """Measure all image sizes."""
    results: dict[str, Any] = {
        'device': torch.cuda.get_device_name(0),
        'driver': cuda.get_driver_version(),
        'versions': {'torch': torch.__version__, 'opencv': cv2.__version__},
        'copy_gb_s': copy_bandwidth(),
        'sizes': {},
    }
    for width, height in SIZES:
        results['sizes'][f'{width}x{height}'] = measure_size(
            cuda, width, height, results['copy_gb_s']
        )
    return results


def measure_size(cuda: Any, width: int, height: int, copy_gb_s: float) -> dict[str, Any]:
    """Measure one image size."""
    images = torch.randint(0, 256, (BATCH, height, width, 3), dtype=torch.uint8, device='cuda')
    batch = torch.full((BATCH, 3, SIDE, SIDE), torch.nan, device='cuda')
    letterbox = Letterbox.fit((width, height), (SIDE, SIDE), SPEC)
    kernel = LetterboxKernel(cuda, SPEC, InputLayout.of(INPUT), (SIDE, SIDE), (9, 0))
    # The default stream, which torch uses as well.
    stream = None
    jobs = [
        LetterboxJob(
            images[i].data_ptr(), batch[i].data_ptr(), 0, 3 * width, 'bgr8', letterbox, False
        )
        for i in range(BATCH)
    ]
    chains: dict[str, Chain] = {'fused kernel': lambda i: kernel.launch([jobs[i]], stream)}
    chains |= torch_chains(images, batch, letterbox)
    chains |= cupy_chain(images, batch, letterbox)
    expected = on_cpu(images[0].cpu().numpy())
    result: dict[str, Any] = {'chains': {}}
    for name, chain in chains.items():
        batch.fill_(torch.nan)
        chain(0)
        torch.cuda.synchronize()
        levels = np.abs(batch[0].cpu().numpy() - expected) * 255
        result['chains'][name] = {
            'gpu_us': queued_us(chain),
            'call_us': call_us(chain),
            'off_by_more_than_1': float((levels > 1.001).mean()),
            'largest_difference': float(levels.max()),
        }
    result['batch_of_32_gpu_us'] = queued_us(lambda _: kernel.launch(jobs, stream), repeats=20)
    result['bytes_an_image'] = bytes_that_move(width, height, letterbox)
    for key, microseconds, count in (
        ('one', result['chains']['fused kernel']['gpu_us']['median'], 1),
        ('batch_of_32', result['batch_of_32_gpu_us']['median'], BATCH),
    ):
        gb_s = count * result['bytes_an_image'] / microseconds / 1e3
        result[f'{key}_gb_s'] = gb_s
        result[f'{key}_share_of_copy'] = gb_s / copy_gb_s
    result['empty_launch_gpu_us'] = queued_us(
        lambda _: kernel.launch([of_one_pixel(jobs[0])], stream)
    )
    result['opencv_us'] = cpu_times(images[0].cpu().numpy())
    kernel.close()
    return result


def of_one_pixel(job: LetterboxJob) -> LetterboxJob:
    """Return a job that reads a single pixel, to measure the launch and the writes."""
    letterbox = Letterbox((1, 1), (SIDE, SIDE), (1, 1), 0, 0)
    return LetterboxJob(job.source, job.target, 0, 3, 'bgr8', letterbox, False)


def torch_chains(images: Any, batch: Any, letterbox: Letterbox) -> dict[str, Chain]:
    """Return chains of torch: one call per step, and the fastest order of steps."""
    width, height = letterbox.resized_size
    left, top = letterbox.left, letterbox.top
    pads = (left, SIDE - width - left, top, SIDE - height - top)
    resize = torch.nn.functional.interpolate

    def step_by_step(i: int) -> None:
        rgb = images[i].flip(2)
        planes = rgb.permute(2, 0, 1).contiguous()
        scaled = planes.float().div(255)
        small = resize(scaled[None], (height, width), mode='bilinear', align_corners=False)
        batch[i] = torch.nn.functional.pad(small, pads, value=114 / 255)[0]

    def resize_first(i: int) -> None:
        planes = images[i].permute(2, 0, 1)[None].float()
        small = resize(planes, (height, width), mode='bilinear', align_corners=False)
        padded = torch.nn.functional.pad(small.flip(1).div_(255), pads, value=114 / 255)
        batch[i] = padded[0]

    def resize_bytes(i: int) -> None:
        planes = images[i].permute(2, 0, 1)[None]
        small = resize(planes, (height, width), mode='bilinear', align_corners=False)
        scaled = small.flip(1).float().div_(255)
        batch[i] = torch.nn.functional.pad(scaled, pads, value=114 / 255)[0]

    chains: dict[str, Chain] = {
        'torch, step by step': step_by_step,
        'torch, resize first': resize_first,
    }
    try:
        resize_bytes(0)
        chains['torch, resize bytes'] = resize_bytes
    except (RuntimeError, NotImplementedError) as error:
        print(f'torch cannot resize bytes: {error}')
    return chains


def cupy_chain(images: Any, batch: Any, letterbox: Letterbox) -> dict[str, Chain]:
    """Return the same in CuPy, whose resize is four gathers and three blends."""
    try:
        import cupy
    except ImportError:
        return {}
    source, target = cupy.asarray(images), cupy.asarray(batch)
    width, height = letterbox.resized_size
    x = (cupy.arange(width) + 0.5) * images.shape[2] / width - 0.5
    y = (cupy.arange(height) + 0.5) * images.shape[1] / height - 0.5
    x0, y0 = cupy.floor(x).astype(int), cupy.floor(y).astype(int)
    fx = (x - x0).astype(cupy.float32)[None, :, None]
    fy = (y - y0).astype(cupy.float32)[:, None, None]
    top, left = letterbox.top, letterbox.left
    inside = (slice(None), slice(top, top + height), slice(left, left + width))
    x1 = cupy.clip(x0 + 1, 0, images.shape[2] - 1)
    y1 = cupy.clip(y0 + 1, 0, images.shape[1] - 1)

    def chain(i: int) -> None:
        image = source[i]
        upper = image[y0[:, None], x0] * (1 - fx) + image[y0[:, None], x1] * fx
        lower = image[y1[:, None], x0] * (1 - fx) + image[y1[:, None], x1] * fx
        small = upper * (1 - fy) + lower * fy
        scaled = small[..., ::-1].transpose(2, 0, 1) / cupy.float32(255)
        target[i].fill(114 / 255)
        target[i][inside] = scaled

    return {'cupy': chain}


def queued_us(chain: Chain, repeats: int = 16, rounds: int = 15) -> dict[str, float]:
    """Return the time of a call in a queue that is never empty."""
    for i in range(BATCH):
        chain(i)
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        # Long enough to queue everything behind it.
        torch.cuda._sleep(100_000_000)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for i in range(repeats):
            chain(i % BATCH)
        end.record()
        assert not begin.query(), 'the queue ran empty'
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 1e3 / repeats)
    return spread(times)


def call_us(chain: Chain, rounds: int = 200) -> dict[str, float]:
    """Return the time of one call from the host's side, until its result is there."""
    times = []
    for i in range(rounds):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        chain(i % BATCH)
        torch.cuda.synchronize()
        times.append((time.perf_counter() - begun) * 1e6)
    return spread(times)


def cpu_times(pixels: np.ndarray) -> dict[str, Any]:
    """Measure the CPU preprocessing with one thread and with all threads."""
    times = {}
    for threads in (1, cv2.getNumberOfCPUs()):
        cv2.setNumThreads(threads)
        samples = []
        preprocess, out = (
            CpuPreprocessor(SPEC, INPUT, (SIDE, SIDE)),
            np.empty((3, SIDE, SIDE), np.float32),
        )
        image = Image.from_array(pixels)
        for _ in range(60):
            begun = time.perf_counter()
            preprocess(image, out)
            samples.append((time.perf_counter() - begun) * 1e6)
        times[f'{threads} threads'] = spread(samples[5:])
    return times


def on_cpu(pixels: np.ndarray) -> np.ndarray:
    """Preprocess on the CPU, as the reference."""
    out = np.empty((3, SIDE, SIDE), np.float32)
    CpuPreprocessor(SPEC, INPUT, (SIDE, SIDE))(Image.from_array(pixels), out)
    return out


def bytes_that_move(width: int, height: int, letterbox: Letterbox) -> int:
    """Count the bytes of the rows that a bilinear resize reads and of the image that it writes."""
    rows = len(set(rows_read(height, letterbox.resized_size[1]).tolist()))
    return rows * width * 3 + SIDE * SIDE * 3 * 4


def copy_bandwidth() -> float:
    """Measure the GB/s of a large device copy, bytes read plus bytes written."""
    a = torch.empty(2 << 30, dtype=torch.uint8, device='cuda')
    b = torch.empty_like(a)
    best = queued_us(lambda _: b.copy_(a), repeats=5, rounds=5)['median']
    return 2 * a.numel() / best / 1e3


def spread(times: list[float]) -> dict[str, float]:
    """Return median and extremes."""
    return {
        'median': statistics.median(times), 'low': min(times), 'high': max(times)
    }  # fmt: skip


def print_table(results: dict[str, Any]) -> None:
    """Print the main figures."""
    print(f'{results["device"]}: copy {results["copy_gb_s"]:.0f} GB/s')
    for size, result in results['sizes'].items():
        fused = result['chains']['fused kernel']
        for name, figures in result['chains'].items():
            print(
                f'{size} {name:22} gpu {figures["gpu_us"]["median"]:8.1f} us '
                f'({figures["gpu_us"]["median"] / fused["gpu_us"]["median"]:6.1f}x) '
                f'call {figures["call_us"]["median"]:8.1f} us '
                f'({figures["call_us"]["median"] / fused["call_us"]["median"]:5.1f}x)'
            )
        for name, figures in result['opencv_us'].items():
            print(f'{size} opencv, {name:10} {figures["median"]:8.1f} us')
        print(
            f'{size} one image {result["one_gb_s"]:.0f} GB/s '
            f'({result["one_share_of_copy"]:.0%}), 32 images '
            f'{result["batch_of_32_gpu_us"]["median"]:.1f} us '
            f'{result["batch_of_32_gb_s"]:.0f} GB/s ({result["batch_of_32_share_of_copy"]:.0%}), '
            f'one pixel {result["empty_launch_gpu_us"]["median"]:.1f} us'
        )


if __name__ == '__main__':
    main()
