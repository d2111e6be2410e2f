# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The letterbox kernel against CpuPreprocessor, on the host and with -m gpu on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

from doubles.kernel_host import host_kernel
import numpy as np
import pytest
from support import device_memory
from support.images import make_image, PLANAR
from trt_detector.errors import BackendUnavailableError
from trt_detector.gpu.context import ContextScope, load_cuda, make_stream
from trt_detector.gpu.kernels.letterbox import (
    KERNEL_ENCODINGS,
    LetterboxJob,
    LetterboxKernel,
    MAX_JOBS,
    pack_spec,
)
from trt_detector.gpu.kernels.source import CANDIDATES, KernelSource, LETTERBOX, PTX_VERSION
from trt_detector.gpu.uploads.image_upload import rows_read
from trt_detector.image.image import Image
from trt_detector.preprocess import CpuPreprocessor, InputLayout, Letterbox, PreprocessSpec
from trt_detector.values.tensor_spec import TensorSpec

SCRIPT = Path(__file__).resolve().parents[3] / 'scripts/compile_kernel.py'
# Turing to Blackwell, the GPUs that CUDA 13 supports; sm_87 is Orin, sm_90 Hopper, sm_110 Thor.
MACHINES = ['sm_75', 'sm_80', 'sm_86', 'sm_87', 'sm_89', 'sm_90', 'sm_100', 'sm_110', 'sm_120']
SOURCES = [LETTERBOX, CANDIDATES]
SIZES = [(131, 77), (64, 400), (641, 479), (20, 11), (160, 96), (320, 192), (1920, 1080), (1, 1)]
NORMALIZED = PreprocessSpec(
    mode='stretch', color='bgr', mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)

# Fills a batch: (images, spec, input_spec, (height, width), gathered) -> (N, image buffer).
Run = Callable[[list[Image], PreprocessSpec, TensorSpec, tuple[int, int], bool], np.ndarray]


def make_jobs(
    images: list[Image],
    spec: PreprocessSpec,
    size: tuple[int, int],
    gathered: bool,
    send: Callable[[np.ndarray], int],
    target: int,
    image_bytes: int,
) -> list[LetterboxJob]:
    """Create the jobs of images; send() copies their bytes and returns the address."""
    jobs = []
    for index, image in enumerate(images):
        letterbox = Letterbox.fit((image.width, image.height), size[::-1], spec)
        data, chroma_row = image.data, image.height
        if gathered:
            rows = data.reshape(-1, image.step)
            wanted = rows_read(image.height, letterbox.resized_size[1])
            if image.encoding in PLANAR:
                wanted = np.concatenate((wanted, image.height + wanted // 2))
            data, chroma_row = rows[wanted].reshape(-1), 2 * letterbox.resized_size[1]
        jobs.append(
            LetterboxJob(
                source=send(data),
                target=target + index * image_bytes,
                chroma_offset=chroma_row * image.step,
                step=image.step,
                encoding=image.encoding,
                letterbox=letterbox,
                gathered=gathered,
            )
        )
    return jobs


def poisoned(images: list[Image], input_spec: TensorSpec) -> np.ndarray:
    """Return a batch filled with a value that shows elements that were not written."""
    shape = (len(images), *(dim or 1 for dim in input_spec.shape[1:]))
    return np.full(shape, 77 if input_spec.dtype == np.uint8 else np.nan, input_spec.dtype)


def run_on_host(
    images: list[Image],
    spec: PreprocessSpec,
    input_spec: TensorSpec,
    size: tuple[int, int],
    gathered: bool,
) -> np.ndarray:
    """Run the kernel, compiled as C++ for the host."""
    out = poisoned(images, input_spec)
    kept: list[np.ndarray] = []

    def send(data: np.ndarray) -> int:
        kept.append(data)
        return int(data.ctypes.data)

    jobs = make_jobs(images, spec, size, gathered, send, int(out.ctypes.data), out[0].nbytes)
    packed = b''.join(job.pack() for job in jobs).ljust(MAX_JOBS * len(jobs[0].pack()), b'\0')
    grid = (-(-size[1] // 32), -(-size[0] // 8), len(jobs))
    host_kernel()(packed, pack_spec(spec, InputLayout.of(input_spec), size), grid)
    return out


class GpuRunner:
    """
    Runner of the kernel on the GPU.

    :param cuda: CUDA bindings; the context is current.
    """

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda

    def __call__(
        self,
        images: list[Image],
        spec: PreprocessSpec,
        input_spec: TensorSpec,
        size: tuple[int, int],
        gathered: bool,
    ) -> np.ndarray:
        cuda = self._cuda
        out = poisoned(images, input_spec)
        batch = device_memory.to_device(out)
        sources: list[int] = []

        def send(data: np.ndarray) -> int:
            sources.append(device_memory.to_device(data))
            return sources[-1]

        jobs = make_jobs(images, spec, size, gathered, send, batch, out[0].nbytes)
        stream = make_stream(cuda)
        device_memory.synchronize()
        kernel = LetterboxKernel(cuda, spec, InputLayout.of(input_spec), size, (0, 0))
        with closing(kernel):
            kernel.launch(jobs, stream)
            stream.synchronize()
        data = device_memory.read(batch, out.nbytes)
        for address in (batch, *sources):
            device_memory.free(address)
        return np.frombuffer(data, out.dtype).reshape(out.shape)


@pytest.fixture(params=['host', pytest.param('gpu', marks=pytest.mark.gpu)])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Yield a function that runs the kernel."""
    if request.param == 'host':
        yield run_on_host
        return
    try:
        cuda = load_cuda()
        scope = ContextScope(cuda, 0)
    except BackendUnavailableError as error:
        pytest.skip(f'no GPU to test on: {error}')
    with closing(scope):
        yield GpuRunner(cuda)


def reference(
    images: list[Image], spec: PreprocessSpec, input_spec: TensorSpec, size: tuple[int, int]
) -> np.ndarray:
    """Preprocess the images on the CPU."""
    out = poisoned(images, input_spec)
    preprocess = CpuPreprocessor(spec, input_spec, size)
    for image, target in zip(images, out, strict=True):
        preprocess(image, target)
    return out


def assert_agrees(
    found: np.ndarray, expected: np.ndarray, spec: PreprocessSpec, dtype: Any
) -> None:
    """Check every value against the tolerance, in gray levels of the source."""
    levels = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    if dtype != np.uint8:
        levels *= min(spec.std) / spec.scale
    # FP16 rounds a value of up to 2.7 to 1e-3: a fifth of a level.
    rounding = 0.25 if dtype == np.float16 else 1e-3
    assert not np.isnan(levels).any(), 'a value was not written'
    assert levels.max() <= 3 + rounding
    assert (levels <= 1 + rounding).mean() >= 0.999


@pytest.mark.parametrize('padding', [0, 7])
@pytest.mark.parametrize('size', SIZES, ids=lambda s: f'{s[0]}x{s[1]}')
@pytest.mark.parametrize('encoding', sorted(KERNEL_ENCODINGS))
def test_every_encoding_equals_the_cpu(
    run: Run, encoding: str, size: tuple[int, int], padding: int
) -> None:
    images = [make_image(encoding, *size, padding)]
    network = TensorSpec('images', (None, 3, 96, 160), np.dtype(np.float32))
    for gathered in (False, True):
        found = run(images, PreprocessSpec(), network, (96, 160), gathered)
        expected = reference(images, PreprocessSpec(), network, (96, 160))
        assert_agrees(found, expected, PreprocessSpec(), np.float32)


@pytest.mark.parametrize(
    'spec',
    [
        PreprocessSpec(),
        PreprocessSpec(anchor='top_left', color='bgr', scale=1.0, pad_value=0),
        NORMALIZED,
    ],
    ids=['letterbox', 'top left', 'normalized'],
)
@pytest.mark.parametrize(
    ('shape', 'dtype'),
    [
        ((None, 3, 70, 101), np.float32),
        ((None, 3, 70, 101), np.float16),
        ((None, 70, 101, 3), np.float32),
        ((1, 70, 101, 3), np.uint8),
        ((1, 1, 70, 101), np.float32),
        ((1, 70, 101, 1), np.float16),
    ],
    ids=lambda v: getattr(v, '__name__', str(v)),
)
@pytest.mark.parametrize('encoding', ['bgr8', 'rgba8', 'mono8', 'nv12'])
def test_every_input_layout_equals_the_cpu(
    run: Run, encoding: str, shape: tuple[int | None, ...], dtype: Any, spec: PreprocessSpec
) -> None:
    network = TensorSpec('images', shape, np.dtype(dtype))
    images = [make_image(encoding, 333, 222, 5), make_image(encoding, 90, 200, seed=2)]
    found = run(images, spec, network, (70, 101), False)
    assert_agrees(found, reference(images, spec, network, (70, 101)), spec, dtype)


def test_a_full_launch_fills_every_image_buffer(run: Run) -> None:
    network = TensorSpec('images', (None, 3, 40, 72), np.dtype(np.float32))
    names = sorted(KERNEL_ENCODINGS)
    images = [
        make_image(names[i % len(names)], 20 + 13 * i, 30 + 7 * i, i % 3, seed=i)
        for i in range(MAX_JOBS)
    ]
    found = run(images, PreprocessSpec(), network, (40, 72), False)
    expected = reference(images, PreprocessSpec(), network, (40, 72))
    assert_agrees(found, expected, PreprocessSpec(), np.float32)


def test_8k_image_keeps_the_interpolation_fractions(run: Run) -> None:
    images = [make_image('bgr8', 7680, 4320)]
    network = TensorSpec('images', (1, 3, 640, 640), np.dtype(np.float32))
    for gathered in (False, True):
        found = run(images, PreprocessSpec(), network, (640, 640), gathered)
        expected = reference(images, PreprocessSpec(), network, (640, 640))
        assert_agrees(found, expected, PreprocessSpec(), np.float32)


def test_more_images_than_one_launch_supports(run: Run) -> None:
    if run is run_on_host:
        pytest.skip('launches are split by LetterboxKernel, which needs a GPU: run with -m gpu')
    network = TensorSpec('images', (None, 3, 24, 24), np.dtype(np.float32))
    images = [make_image('bgr8', 30 + i, 40, seed=i) for i in range(MAX_JOBS + 5)]
    found = run(images, PreprocessSpec(), network, (24, 24), False)
    expected = reference(images, PreprocessSpec(), network, (24, 24))
    assert_agrees(found, expected, PreprocessSpec(), np.float32)


@pytest.mark.parametrize('source', SOURCES, ids=lambda s: s.name)
def test_shipped_ptx_matches_the_source(source: KernelSource) -> None:
    text = source.read_ptx().decode('ascii')
    assert f'SHA-256 of {source.name}.cu without comments: {source.digest()}\n' in text
    assert re.findall(r'^\.version (.+)$', text, re.MULTILINE) == [PTX_VERSION]
    assert re.findall(r'^\.target (.+)$', text, re.MULTILINE) == ['sm_75']
    assert re.findall(r'\.entry (\w+)\(', text) == list(source.kernels)


@pytest.mark.skipif(shutil.which('nvcc') is None, reason='no nvcc: install the CUDA 13.0 toolkit')
def test_nvcc_reproduces_the_shipped_ptx() -> None:
    version = subprocess.run(['nvcc', '--version'], capture_output=True, text=True, check=True)
    if 'release 13.0' not in version.stdout:
        pytest.skip('the shipped PTX is made by nvcc 13.0: install that toolkit')
    done = subprocess.run(
        [sys.executable, SCRIPT, '--check'], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which('ptxas') is None, reason='no ptxas: install the CUDA toolkit')
@pytest.mark.parametrize('machine', MACHINES)
@pytest.mark.parametrize('source', SOURCES, ids=lambda s: s.name)
def test_ptxas_accepts_the_shipped_ptx(source: KernelSource, machine: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ['ptxas', '--verbose', f'--gpu-name={machine}', '--output-file', tmp_path / 'cubin',
         source.ptx_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'cubin').stat().st_size > 0
    spills = re.findall(r'(\d+) bytes spill stores, (\d+) bytes spill loads', done.stderr)
    assert spills == [('0', '0')] * len(source.kernels)


@pytest.mark.parametrize('source', SOURCES, ids=lambda s: s.name)
def test_nvrtc_compiles_the_source(source: KernelSource) -> None:
    try:
        ptx = source.compile('compute_90')
    except BackendUnavailableError as error:
        if 'NVRTC is not installed' in str(error):
            pytest.skip(str(error))
        raise
    assert all(f'.entry {name}('.encode() in ptx for name in source.kernels)
    assert b'.target sm_90' in ptx
