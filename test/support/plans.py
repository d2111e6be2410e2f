# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Keys, contents and a second process for the tests of the plan store."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from trt_detector.plan import BuiltPlan, DeviceKey, PlanKey

ROOT = Path(__file__).resolve().parents[2]

# Another process that opens a store: prints each line of the log, then 'cached' or 'built' and the
# hash of the plan it got. Its build writes one line into a counter file and takes some time.
NODE = r"""
import dataclasses, hashlib, os, sys, time
from pathlib import Path
from support.plans import content, make_key
from trt_detector.plan import BuiltPlan, PlanStore

folder, counter, seconds, size, version = sys.argv[1:6]
key = make_key(version=version)
data = content(key, int(size))

def build():
    with open(counter, 'a') as file:
        file.write(f'{os.getpid()}\n')
    time.sleep(float(seconds))
    return BuiltPlan(data, 'fp16')

print('ready', flush=True)
plan = PlanStore(Path(folder)).load_or_build(key, build, log=lambda s: print(s, flush=True))
state = 'cached' if plan.from_cache else 'built'
print(state, hashlib.sha256(plan.data).hexdigest(), flush=True)
""".replace('\\n', '\\n')


def sha(text: str) -> str:
    """Return a hash for a key's field."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_device(**changes: Any) -> DeviceKey:
    """Return the key of an Orin, with some fields changed."""
    values: dict[str, Any] = {
        'name': 'Orin',
        'compute_capability': (8, 7),
        'sm_count': 16,
    }
    return DeviceKey(**{**values, **changes})


def make_key(**changes: Any) -> PlanKey:
    """Return a plan key with some fields changed."""
    values: dict[str, Any] = {
        'model_name': 'yolov8n',
        'model_sha256': sha('model'),
        'library': 'tensorrt',
        'version': '10.3.0',
        'device': make_device(),
        'precision': 'fp16',
        'min_shape': (1, 3, 640, 640),
        'opt_shape': (1, 3, 640, 640),
        'max_shape': (4, 3, 640, 640),
        'calib_cache_sha256': '',
        'flags': ('workspace_fraction=0.9',),
        'plugin_sha256': (),
        'build_recipe': 1,
    }
    return PlanKey(**{**values, **changes})


def content(key: PlanKey, size: int = 4096) -> bytes:
    """Return the one right plan of a key: no other key has it, no part of it repeats."""
    return hashlib.shake_256(key.digest.encode()).digest(size)


class Builder:
    """
    A build function that counts its calls.

    :param key: the key whose plan it makes.
    """

    def __init__(self, key: PlanKey, *, size: int = 4096, precision: str | None = None) -> None:
        self.key = key
        self.calls = 0
        self._size = size
        self._precision = precision or key.precision

    def __call__(self) -> BuiltPlan:
        self.calls += 1
        details = {'tactics': 'all'}
        return BuiltPlan(content(self.key, self._size), self._precision, '70 fp16', details)


def start_node(
    folder: Path,
    counter: Path,
    *,
    seconds: float = 0.0,
    size: int = 4096,
    version: str = '10.3.0',
) -> subprocess.Popen[str]:
    """Start a process that opens the store in a folder."""
    paths = [str(ROOT), str(ROOT / 'test'), *sys.path]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths))}
    arguments = [str(folder), str(counter), str(seconds), str(size), version]
    return subprocess.Popen(
        [sys.executable, '-c', NODE, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


# A key with each field changed, by the name of the field.
CHANGES = {
    'model_name': make_key(model_name='yolov8s'),
    'model_sha256': make_key(model_sha256=sha('another model')),
    'library': make_key(library='tensorrt_rtx'),
    'version': make_key(version='10.16.1'),
    'device.name': make_key(device=make_device(name='Orin NX')),
    'device.compute_capability': make_key(device=make_device(compute_capability=(11, 0))),
    'device.sm_count': make_key(device=make_device(sm_count=8)),
    'precision': make_key(precision='fp32'),
    'min_shape': make_key(min_shape=(1, 3, 320, 320)),
    'opt_shape': make_key(opt_shape=(4, 3, 640, 640)),
    'max_shape': make_key(max_shape=(8, 3, 640, 640)),
    'calib_cache_sha256': make_key(calib_cache_sha256=sha('cache')),
    'flags': make_key(flags=('workspace_fraction=0.5',)),
    'plugin_sha256': make_key(plugin_sha256=(sha('plugin'),)),
    'build_recipe': make_key(build_recipe=2),
}
