# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Measure one combination of precision, batch size and workspace, in its own process."""

from __future__ import annotations

from dataclasses import asdict, dataclass
import itertools
import json
from pathlib import Path
import sys
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
from ...values.user_path import expand_user
from .modes import CUDA_EVENTS, HOST, make_modes, measure_rounds

__all__ = ['Job', 'main', 'measure']


@dataclass(frozen=True, slots=True)
class Job:
    """
    Combination to measure.

    :param config: parameters of the detector, with the batch size to measure.
    :param pictures: files; none for a synthetic picture.
    :param picture_size: (width, height) of the synthetic picture.
    :param iterations: batches of each mode.
    :param warm_up: batches of each mode before the measurement.
    :param compare: whether to measure the baseline, too.
    """

    config: DetectorConfig
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
        config = DetectorConfig.from_mapping(values['config'])
        return cls(**{**values, **sequences, 'config': config})


def measure(job: Job) -> dict[str, Any]:
    """
    Run a combination.

    :return: the detector that ran and its figures, or 'refused' with the reason; ready for JSON.
    """
    try:
        images = _images(job)
        before = _Memory.read(job)
        # The INT8 engine is measured as it is, without a reference model beside it.
        config = job.config.with_changes(int8_gate_action='off')
        with create_detector(config) as detector:
            _check(job, detector)
            return _figures(job, detector, images, before)
    except (DetectorError, OSError) as error:
        return {'refused': str(error)}


@dataclass(frozen=True, slots=True)
class _Memory:
    """Bytes in use, None if unknown."""

    resident: int | None
    peak: int | None
    gpu: int | None

    @classmethod
    def read(cls, job: Job) -> _Memory:
        """Ask the kernel for this process, NVML for the GPU."""
        from ...gpu.device_info import get_used_gpu_memory_bytes

        gpu = get_used_gpu_memory_bytes(job.config.device_id)
        return cls(_status_bytes('VmRSS'), _status_bytes('VmHWM'), gpu)

    def growth_since(self, before: _Memory) -> dict[str, int | None]:
        """Return the growth since an earlier reading, by kind."""
        return {
            'resident_bytes': _difference(self.resident, before.resident),
            'peak_resident_bytes': _difference(self.peak, before.resident),
            'gpu_bytes': _difference(self.gpu, before.gpu),
        }


def _figures(job: Job, detector: Detector, images: list[Image], before: _Memory) -> dict[str, Any]:
    """Measure an open detector."""
    size = job.config.batch_size
    endless = itertools.cycle(images)
    batches = [list(itertools.islice(endless, size)) for _ in range(-(-len(images) // size))]
    # Chooses an open input size before the slots begin to time their stages.
    detector.detect(batches[0])
    has_events = detector.time_stages()
    modes = measure_rounds(
        make_modes(detector, compare=job.compare), batches, job.iterations, job.warm_up
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
        'modes': modes,
        'memory': _Memory.read(job).growth_since(before),
        'engine_bytes': get_engine_bytes(info, expand_user(job.config.model_path)),
    }


def _device_state(info: EngineInfo) -> DeviceState:
    """Read the state of the GPU right after the work; empty if none was used."""
    if info.device_id is None:
        return DeviceState()
    from ...gpu.device_monitor import read_device_state

    return read_device_state(info.device_id)


def _check(job: Job, detector: Detector) -> None:
    """Refuse a detector that is not the requested combination."""
    wanted, info = job.config.precision, detector.info
    # OpenVINO computes in bfloat16 on CPUs without FP16.
    found = 'fp16' if info.precision == 'bf16' else info.precision
    if wanted not in ('auto', found):
        reason = '; '.join(info.warnings) or f'{info.backend} runs it in no other precision'
        if wanted == 'int8' and not job.config.calib_cache_path:
            reason += '; INT8 needs --calib-cache-path, which the tool calibrate makes'
        raise ConfigError(f'asked for {wanted}, but {info.precision} runs: {reason}')
    size = job.config.batch_size
    if size > detector.batch_size:
        raise ConfigError(
            f'asked for batches of {size}, but the maximum of the network is {detector.batch_size}'
        )


def _images(job: Job) -> list[Image]:
    """
    Return the pictures.

    :raises ImageError: if one cannot be read.
    """
    if job.pictures:
        return [Image.from_file(Path(path)) for path in job.pictures]
    width, height = job.picture_size
    # A gradient with coarse noise.
    random = np.random.default_rng(0)
    coarse = random.integers(0, 128, (-(-height // 16), -(-width // 16), 3), np.uint8)
    noise = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
    slope = np.linspace(0, 127, width, dtype=np.uint8)[None, :, None]
    return [Image.from_array(np.ascontiguousarray(noise + slope))]


def _difference(after: int | None, before: int | None) -> int | None:
    """Return a difference, None if a side is unknown."""
    return None if after is None or before is None else after - before


def _status_bytes(key: str) -> int | None:
    """Return a figure of this process from the kernel, None if there is none."""
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
