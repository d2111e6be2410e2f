# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The real provider: what with_provider/ holds, in a process of its own."""

from __future__ import annotations

from support.openvino import run_with_openvino

OPTIONS = ('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-n0', '--no-cov')


def test_with_the_real_provider() -> None:
    done = run_with_openvino(*OPTIONS, 'test/openvino/with_provider')
    assert done.returncode == 0, f'{done.stdout}\n{done.stderr}'
    assert ' passed' in done.stdout


def test_a_cpu_without_vnni_refuses_int8_and_has_no_16_bits() -> None:
    path = 'test/openvino/with_provider/test_old_cpu.py'
    # Instructions beyond AVX2 are hidden from OpenVINO.
    done = run_with_openvino(*OPTIONS, path, ONEDNN_MAX_CPU_ISA='AVX2')
    assert done.returncode == 0, f'{done.stdout}\n{done.stderr}'
    assert '2 passed' in done.stdout
