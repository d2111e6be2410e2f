# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Description of the engine that runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .int8_verdict import Int8Verdict

__all__ = ['CudaGraphUse', 'EngineInfo']


@dataclass(frozen=True, slots=True)
class CudaGraphUse:
    """
    Whether CUDA graphs run a network.

    :param used: whether they do.
    :param reason: why they do not, '' if they do.
    """

    used: bool
    reason: str = ''

    def __str__(self) -> str:
        return 'used' if self.used else f'not used: {self.reason}'


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """
    Description of the engine that runs, for the log, for reports and for /diagnostics.

    :param backend: 'onnxruntime', 'tensorrt' or 'tensorrt_rtx'.
    :param precision: the precision that was built ('fp32', 'tf32', 'fp16', 'int8'), not the
        requested one.
    :param device: name of the device that runs it.
    :param version: version of the runtime library.
    :param warnings: sentences that the user has to see, e.g. a fallback that was taken.
    :param entries: further entries of a report as (key, text); nothing looks them up.
    :param device_id: number of the GPU that runs it, None if none does.
    :param digest: identifies the plan or the quantized model, '' if nothing depends on it.
    :param plan_path: file of the plan, None for another kind of engine or a plan in memory only.
    :param engine_bytes: size of the plan or of the quantized model, None if the model's file runs.
    :param layer_precision: number of layers per precision, e.g. '14 fp16, 2 fp32'; '' if unknown.
    :param cuda_graph: use of CUDA graphs, None if the engine has none.
    :param int8_check: verdict of the INT8 check, None if the engine needs none.
    """

    backend: str
    precision: str
    device: str
    version: str
    warnings: tuple[str, ...] = ()
    entries: tuple[tuple[str, str], ...] = ()
    device_id: int | None = None
    digest: str = ''
    plan_path: Path | None = None
    engine_bytes: int | None = None
    layer_precision: str = ''
    cuda_graph: CudaGraphUse | None = None
    int8_check: Int8Verdict | None = None

    def report(self) -> dict[str, str]:
        """Return the entries of a report by key, those of the typed fields included."""
        typed = {
            'plan': '' if self.plan_path is None else str(self.plan_path),
            'engine bytes': '' if self.engine_bytes is None else str(self.engine_bytes),
            'precision of layers': self.layer_precision,
            'CUDA graph': '' if self.cuda_graph is None else str(self.cuda_graph),
            'int8 check': '' if self.int8_check is None else self.int8_check.report,
        }
        return dict(self.entries) | {key: text for key, text in typed.items() if text}
