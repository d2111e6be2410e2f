# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters of a detector: names, defaults, units, descriptions and checks.

The node declares its ROS parameters from this list, the tools their options, and a test compares
config/detector.yaml with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

from .demand import DemandParameters
from .errors import ConfigError
from .parameter_spec import (
    check_all,
    check_value,
    describe_fields,
    parameter,
    ParameterSpec,
    show_value,
    suggest,
)
from .parameters.cameras import CameraParameters
from .parameters.decoding import DecodingParameters
from .parameters.node import NodeParameters
from .parameters.preprocessing import PreprocessingParameters
from .regions.parameters import RegionParameters
from .tiling.parameters import TilingParameters
from .tracking.parameters import TrackerParameters

__all__ = ['DetectorConfig', 'ParameterSpec', 'parameter_specs']


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig(
    TilingParameters,
    RegionParameters,
    TrackerParameters,
    DemandParameters,
    NodeParameters,
    PreprocessingParameters,
    DecodingParameters,
    CameraParameters,
):
    """
    Parameters of a detector, checked when the object is made.

    Those of the engine are here, the others in the groups, in the order of the documentation from
    the last one to the first. Lists are tuples here; :meth:`from_mapping` takes lists as well.

    :raises ConfigError: if a value has the wrong type, is out of range or contradicts another.
    """

    model_path: str = parameter('', 'ONNX file of the detector, or a prebuilt TensorRT plan.')
    backend: str = parameter(
        'auto',
        'Inference runtime; auto selects the first of TensorRT, TensorRT for RTX, the lean '
        'runtime of TensorRT (for prebuilt plans) and ONNX Runtime that works on this machine.',
        choices=('auto', 'tensorrt', 'tensorrt_rtx', 'tensorrt_lean', 'onnxruntime'),
    )
    device_id: int = parameter(0, 'Number of the GPU.', minimum=0, maximum=1023)
    precision: str = parameter(
        'auto',
        'Precision of the engine; auto is INT8 if calib_cache_path names a file, else FP16 if the '
        'device is fast at it, else FP32; with ONNX Runtime it is that of the model, except INT8 '
        'with openvino and a cache. fp32 also turns off TF32, which FP32 models otherwise use on '
        'Ampere and later GPUs.',
        choices=('auto', 'fp32', 'fp16', 'int8'),
    )
    calib_cache_path: str = parameter('', 'INT8 calibration cache in the text format of TensorRT.')
    quantize_exclude: tuple[str, ...] = parameter(
        (), "Patterns of the nodes that INT8 leaves in floating point, e.g. '/model.22/*'."
    )
    int8_gate_images: str = parameter(
        '',
        'Folder of pictures for the comparison of an INT8 engine with the full-precision model; '
        'if empty, the frames that calibrate keeps beside calib_cache_path; without any there is '
        'no check.',
    )
    int8_min_agreement: float = parameter(
        0.95,
        'Minimum share of detections that the INT8 engine and the full-precision model have in '
        'common.',
        minimum=0.0,
        maximum=1.0,
    )
    int8_gate_action: str = parameter(
        'fp16',
        'Action if an INT8 engine is below int8_min_agreement: use FP16 instead, or fail; off '
        'runs no check.',
        choices=('fp16', 'fail', 'off'),
    )
    engine_cache_dir: str = parameter(
        '', 'Folder of the built engines; if empty, trt_detector in the cache folder of the user.'
    )
    plan_key_path: str = parameter(
        '',
        'Key file of at least 32 bytes, shared by machines that copy plans: plans get an HMAC, '
        'and those without a valid one are refused or rebuilt.',
    )
    workspace_fraction: float = parameter(
        0.9,
        'Share of the GPU memory that a build may use as workspace.',
        minimum=0.01,
        maximum=1.0,
    )
    batch_size: int = parameter(
        0,
        'Maximum number of images per inference; 0 is one per camera if the warm-up measures that '
        'such a batch takes at least 10 % less time per image than single images, otherwise 1.',
        unit='images',
        minimum=0,
        maximum=256,
    )
    min_shape: tuple[int, ...] = parameter(
        (),
        'Minimum input shape N, C, H, W of the optimization profile; if empty, chosen from the '
        'model.',
        minimum=1,
    )
    opt_shape: tuple[int, ...] = parameter(
        (),
        'Optimum input shape N, C, H, W of the profile; if empty, chosen from the model.',
        minimum=1,
    )
    max_shape: tuple[int, ...] = parameter(
        (),
        'Maximum input shape N, C, H, W of the profile; if empty, chosen from the model.',
        minimum=1,
    )
    dla_core: int = parameter(
        -1, 'Deep Learning Accelerator (DLA) core; -1 is the GPU.', minimum=-1, maximum=7
    )
    plugin_libraries: tuple[str, ...] = parameter(
        (), 'Shared libraries with TensorRT plugins, loaded before the model is parsed.'
    )
    warmup_iterations: int = parameter(
        3,
        'Warm-up runs on black images, with one image and with a full batch.',
        unit='runs',
        minimum=0,
        maximum=1000,
    )
    onnxruntime_provider: str = parameter(
        'auto',
        'Execution provider of ONNX Runtime; cuda needs onnxruntime-gpu and pycuda or '
        'cuda-bindings, and preprocesses on the GPU as well; openvino needs onnxruntime-openvino, '
        'runs on the CPU, and computes in 16 bits only with precision fp16; auto is cuda or cpu.',
        choices=('auto', 'cpu', 'cuda', 'openvino'),
    )
    cuda_graph: bool = parameter(
        True,
        'Capture the network as a CUDA graph if possible: one driver call then replaces hundreds. '
        'If the batch size is dynamic, this takes up to three times the working memory.',
    )
    mapped_memory: str = parameter(
        'auto',
        'Let the GPU read images and write results in page-locked host memory without copies; '
        'auto is on if GPU and CPU share the memory (Jetson).',
        choices=('auto', 'on', 'off'),
    )
    inference_threads: int = parameter(
        0,
        'Threads of ONNX Runtime on the CPU; 0 is one per physical core that the process may use. '
        'With several cameras, several images run at once on these threads.',
        unit='threads',
        minimum=0,
        maximum=1024,
    )
    inference_spinning: bool = parameter(
        False,
        'Let these threads spin between images: lower latency, but their cores are always busy.',
    )

    def __post_init__(self) -> None:
        check_all(partial(self._check_value, spec) for spec in parameter_specs())
        check_all((self._check_shapes, self.check_input, self.check_cameras, self._check_tracker))
        check_demand = partial(self.check_demand, len(self.image_topics))
        check_all((check_demand, self.check_regions, self.check_tiling))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> DetectorConfig:
        """
        Make a configuration from names and values.

        :raises ConfigError: with all unknown names and wrong values.
        """
        known = [spec.name for spec in parameter_specs()]
        unknown = [
            f'unknown parameter {show_value(name)}{suggest(show_value(name)[1:-1], known)}'
            for name in values
            if name not in known
        ]
        values = {name: value for name, value in values.items() if name in known}
        if not unknown:
            return cls(**values)
        try:
            cls(**values)
        except ConfigError as error:
            unknown += error.sentences
        raise ConfigError(*unknown)

    def with_changes(self, **changes: Any) -> DetectorConfig:
        """Return a copy with some values changed, checked as a whole."""
        return replace(self, **changes)

    def _check_value(self, spec: ParameterSpec) -> None:
        """Check the type and range of one value, and put it in its canonical form."""
        object.__setattr__(self, spec.name, check_value(spec, getattr(self, spec.name)))

    def _check_shapes(self) -> None:
        """Refuse profile shapes that are incomplete or not ascending."""
        shapes = {
            'min_shape': self.min_shape,
            'opt_shape': self.opt_shape,
            'max_shape': self.max_shape,
        }
        for name, shape in shapes.items():
            if shape and len(shape) != 4:
                raise ConfigError(
                    f'{name} is {list(shape)}; expected four numbers N, C, H, W, or none'
                )
        given = [(name, shape) for name, shape in shapes.items() if shape]
        for (low, small), (high, large) in pairwise(given):
            if any(a > b for a, b in zip(small, large, strict=True)):
                raise ConfigError(
                    f'{low} is {list(small)} and {high} is {list(large)}; '
                    f'no dimension of {low} may exceed that of {high}'
                )


def parameter_specs() -> tuple[ParameterSpec, ...]:
    """Return the description of every parameter, in the order of the documentation."""
    return describe_fields(DetectorConfig)
