# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The real lean runtime of TensorRT on a GPU: its start, and the plans that it refuses."""

from __future__ import annotations

from pathlib import Path
import subprocess

import pytest
from support import networks
from support.lean import LEAN_VERSIONS, run_with_lean
from support.requirements import require_cuda, require_rtx_builder
from trt_detector.config import DetectorConfig
from trt_detector.model_info import read_model_info
from trt_detector.trt.builder.make_plan import build_once
from trt_detector.trt.builder.request import BuildTarget

pytestmark = pytest.mark.gpu

RUNTIME = """
from trt_detector.trt.library import find_library
from trt_detector.trt.logger import LogLines, make_logger
from trt_detector.trt.start import create_runtime
from trt_detector.gpu.device_info import read_device
library = find_library('tensorrt_lean', read_device())
lines = LogLines()
for _ in range(3):
    runtime = create_runtime(library, make_logger(library, lines), lines)
    assert lines.errors() == ()
    del runtime
print(library.label, 'started')
"""

OPEN = """
import sys
from trt_detector.config import DetectorConfig
from trt_detector.errors import EngineError
from trt_detector.factory import create_detector
try:
    create_detector(DetectorConfig(model_path={path!r}, backend={backend!r}))
except EngineError as error:
    print(error)
"""


def output_of(result: subprocess.CompletedProcess[str]) -> str:
    """Return the output of a process that has to end without error."""
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout


@pytest.fixture(scope='module')
def foreign_plan(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a plan of TensorRT for RTX, whose builder needs no GPU."""
    require_rtx_builder()
    model = networks.yolo(tmp_path_factory.mktemp('foreign') / 'yolo.onnx')
    config = DetectorConfig(precision='fp32', backend='tensorrt_rtx')
    target = BuildTarget(compute_capability=(8, 6))
    return build_once(config, read_model_info(model), batch_size=1, target=target).plan


@pytest.mark.parametrize('version', LEAN_VERSIONS)
def test_the_runtime_starts_and_is_deleted(version: str) -> None:
    require_cuda()
    assert f'TensorRT lean runtime {version}' in output_of(run_with_lean(version, RUNTIME))


@pytest.mark.parametrize('backend', ['auto', 'tensorrt_lean'])
@pytest.mark.parametrize('kind', ['garbage', 'truncated', 'foreign'])
@pytest.mark.parametrize('version', LEAN_VERSIONS)
def test_plans_are_refused_with_the_reason_and_the_remedy(
    version: str, kind: str, backend: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    require_cuda()
    plan = tmp_path / 'model.engine'
    content = b'garbage ' * 1000
    if kind != 'garbage':
        content = request.getfixturevalue('foreign_plan')[: 100 if kind == 'truncated' else None]
    plan.write_bytes(content)
    plan.chmod(0o600)
    code = OPEN.format(path=str(plan), backend=backend)
    text = output_of(run_with_lean(version, code))
    assert f'TensorRT lean runtime {version}' in text
    assert f'rejects the plan of {len(content)} bytes' in text
    # The line of NVIDIA, and what to do.
    assert 'Error Code' in text
    assert 'build_engine --portable' in text
