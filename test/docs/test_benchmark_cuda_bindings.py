# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks/cuda_bindings.py on the doubles."""

from __future__ import annotations

import gc
from pathlib import Path
import runpy
from unittest import mock

from doubles.machine import machine
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'docs' / 'benchmarks' / 'cuda_bindings.py'


@pytest.mark.parametrize(
    ('bindings', 'name'), [('pycuda', 'pycuda 2026.1'), ('cuda_python', 'cuda-bindings 13.0.0')]
)
def test_it_measures_every_call_and_frees_all_memory(bindings: str, name: str) -> None:
    measure = runpy.run_path(str(SCRIPT))['measure']
    with machine(None, cuda_bindings=bindings) as world:
        # The double of cuda.bindings has no stream capture.
        with mock.patch('importlib.import_module', side_effect=ImportError):
            figures = measure(calls=2, rounds=2)
        gc.collect()
        world.cuda.assert_clean()
    assert figures['bindings'] == name
    assert 'launch a graph, ctypes' in figures['median_us']
    assert len(figures['median_us']) == 8
