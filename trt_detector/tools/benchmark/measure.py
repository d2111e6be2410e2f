# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Measure one combination of precision, batch size and workspace, best in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
import itertools
import json
from pathlib import Path
import shutil
import sys
import tempfile
from typing import Any

import numpy as np

from ...config import DetectorConfig
from ...errors import ConfigError, DetectorError
from ...evaluation.run import get_engine_bytes
from ...factory import create_detector
from ...image.image import Image
from ...pipeline import Detector
from ...values.device_state import DeviceState
from ...values.engine_info import EngineInfo
from .modes import CUDA_EVENTS, HOST, make_ways, measure_rounds

__all__ = ['Job', 'main', 'measure']


@dataclass(frozen=True, slots=True)
class Job:
    """
    One combination and how to measure it.

    :param parameters: of the detector; precision and batch_size among them.
    :param pictures: files; none for a synthetic picture.
    :param picture_size: (width, height) of the synthetic picture.
    :param iterations: batches of each way.
    :param warm_up: batches of each way before.
    :param compare: whether to measure plain calls of libraries, too.
    """

    parameters: Mapping[str, Any]
    pictures: tuple[str, ...] = ()
    picture_size: tuple[int, int] = (1280, 720)
    iterations: int = 100
    warm_up: int = 10
    compare: bool = False

    def as_json(self) -> str:
        """Return the text that :meth:`from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return the job that :meth:`as_json` wrote."""
        values = json.loads(text)
        sequences = {name: tuple(values[name]) for name in ('pictures', 'picture_size')}
        return cls(**{**values, **sequences})


def measure(job: Job) -> dict[str, Any]:
    """
    Run a combination.

    :return: what ran and its figures, or 'refused' with the reason; ready for JSON.
    """
    try:
        images = _images(job)
        before = _Memory.read(job)
        with _unchecked(job) as config, create_detector(config) as detector:
            _check(job, detector)
            return _figures(job, detector, images, before)
    except (DetectorError, OSError) as error:
        return {'refused': str(error)}


@contextmanager
def _unchecked(job: Job) -> Iterator[DetectorConfig]:
    """
    Give parameters whose INT8 engine is measured as it is, without a reference model beside it.

    The check of INT8 finds its frames beside the calibration cache: a copy has none.
    """
    config = DetectorConfig.from_mapping(job.parameters)
    config = config.with_changes(int8_gate_images='', int8_min_agreement=0.0)
    cache = Path(config.calib_cache_path).expanduser()
    if not (config.calib_cache_path and cache.is_file()):
        yield config
        return
    with tempfile.TemporaryDirectory(prefix='trt_detector_') as folder:
        copy = Path(folder) / cache.name
        shutil.copyfile(cache, copy)
        yield config.with_changes(calib_cache_path=str(copy))


@dataclass(frozen=True, slots=True)
class _Memory:
    """Bytes in use, None where nobody tells."""

    resident: int | None
    peak: int | None
    gpu: int | None

    @classmethod
    def read(cls, job: Job) -> _Memory:
        """Ask the kernel for this process, NVML for the GPU."""
        from ...gpu.device_info import get_used_gpu_memory_bytes

        gpu = get_used_gpu_memory_bytes(int(job.parameters.get('device_id', 0)))
        return cls(_status_bytes('VmRSS'), _status_bytes('VmHWM'), gpu)

    def growth_since(self, before: _Memory) -> dict[str, int | None]:
        """Return how much more it is than before, by kind."""
        return {
            'resident_bytes': _difference(self.resident, before.resident),
            'peak_resident_bytes': _difference(self.peak, before.resident),
            'gpu_bytes': _difference(self.gpu, before.gpu),
        }


def _figures(job: Job, detector: Detector, images: list[Image], before: _Memory) -> dict[str, Any]:
    """Return what an open detector does."""
    size = int(job.parameters['batch_size'])
    endless = itertools.cycle(images)
    batches = [list(itertools.islice(endless, size)) for _ in range(-(-len(images) // size))]
    # Settles an input size that is open, before the slots are asked to time themselves.
    detector.detect(batches[0])
    has_events = detector.time_stages()
    ways = measure_rounds(
        make_ways(detector, compare=job.compare), batches, job.iterations, job.warm_up
    )
    info = detector.info
    device = _device_state(info)
    slowed = [f'{info.device} was slowed down: {reason}' for reason in device.slowdowns]
    return {
        'ran': {
            'backend': info.backend,
            'precision': info.precision,
            'device': info.device,
            'version': info.version,
            'input_size': list(detector.input_size),
            'warnings': [*info.warnings, *slowed],
            'details': info.report(),
        },
        'device_state': device.as_json(),
        'clocks': [HOST, CUDA_EVENTS] if has_events else [HOST],
        'ways': ways,
        'memory': _Memory.read(job).growth_since(before),
        'engine_bytes': get_engine_bytes(
            info, Path(str(job.parameters['model_path'])).expanduser()
        ),
    }


def _device_state(info: EngineInfo) -> DeviceState:
    """Return how the GPU is right after the work; nothing is known where none was used."""
    if info.device_id is None:
        return DeviceState()
    from ...gpu.device_monitor import read_device_state

    return read_device_state(info.device_id)


def _check(job: Job, detector: Detector) -> None:
    """Refuse what is not the combination that was asked for."""
    wanted, info = str(job.parameters.get('precision', 'auto')), detector.info
    if wanted not in ('auto', info.precision):
        reason = '; '.join(info.warnings) or f'{info.backend} runs it in no other precision'
        if wanted == 'int8' and not job.parameters.get('calib_cache_path'):
            reason += '; INT8 needs --calib-cache-path, which the tool calibrate makes'
        raise ConfigError(f'asked for {wanted}, but {info.precision} is what runs: {reason}')
    size = int(job.parameters['batch_size'])
    if size > detector.batch_size:
        raise ConfigError(
            f'asked for batches of {size}, but the network takes {detector.batch_size} at most'
        )


def _images(job: Job) -> list[Image]:
    """
    Return the pictures.

    :raises ImageError: if one cannot be read.
    """
    if job.pictures:
        return [Image.from_file(Path(path)) for path in job.pictures]
    width, height = job.picture_size
    # A gradient with coarse noise: neither empty nor what no camera sees.
    random = np.random.default_rng(0)
    coarse = random.integers(0, 128, (-(-height // 16), -(-width // 16), 3), np.uint8)
    noise = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
    slope = np.linspace(0, 127, width, dtype=np.uint8)[None, :, None]
    return [Image.from_array(np.ascontiguousarray(noise + slope))]


def _difference(after: int | None, before: int | None) -> int | None:
    """Return a difference, None where a side is not known."""
    return None if after is None or before is None else after - before


def _status_bytes(key: str) -> int | None:
    """Return a figure of this process, None where the kernel does not tell."""
    try:
        lines = Path('/proc/self/status').read_text(encoding='ascii').splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f'{key}:'):
            return int(line.split()[1]) * 1024
    return None


def main() -> int:
    """Read a job from standard input and write its result into the file of the first argument."""
    job = Job.from_json(sys.stdin.read())
    Path(sys.argv[1]).write_text(json.dumps(measure(job)), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
