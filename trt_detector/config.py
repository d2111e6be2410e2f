# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
The parameters of a detector: names, defaults, units, meanings and checks.

This is the one list. The node declares its ROS parameters from it, the tools their options, and
a test compares config/detector.yaml with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
import difflib
from itertools import pairwise
import math
from typing import Any

from .errors import ConfigError

__all__ = ['DetectorConfig', 'ParameterSpec', 'parameter_specs']


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """
    What is known of one parameter beside its value.

    :param name: the parameter's name.
    :param type: bool, int, float, str, or list[...] of int, float or str.
    :param default: value where the user gives none.
    :param meaning: one sentence for people.
    :param unit: of the value, '' where it has none.
    :param minimum: smallest value allowed, None for no bound.
    :param maximum: largest value allowed, None for no bound.
    :param choices: the values allowed, empty for any.
    :param live: whether it may change while the node is active.
    """

    name: str
    type: str
    default: Any
    meaning: str
    unit: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    live: bool


def _param(
    default: Any,
    meaning: str,
    *,
    unit: str = '',
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Return a dataclass field that carries what :class:`ParameterSpec` says of it."""
    about = {
        'meaning': meaning,
        'unit': unit,
        'minimum': minimum,
        'maximum': maximum,
        'choices': choices,
        'live': live,
    }
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """
    Everything a detector is made from; checked when it is made.

    Lists are tuples here; :meth:`from_mapping` takes lists as well.

    :raises ConfigError: if a value has the wrong type, is out of range or contradicts another.
    """

    model_path: str = _param('', 'ONNX file of the detector, or a ready .engine or .plan file.')
    backend: str = _param(
        'auto',
        'Inference runtime; auto takes the first of TensorRT, TensorRT for RTX and ONNX Runtime '
        'that works on this machine.',
        choices=('auto', 'tensorrt', 'tensorrt_rtx', 'onnxruntime'),
    )
    device_id: int = _param(0, 'Number of the GPU.', minimum=0, maximum=1023)
    precision: str = _param(
        'auto',
        'Precision of the engine; auto is INT8 where calib_cache_path names a file, else FP16 '
        'where the device is fast at it, else FP32.',
        choices=('auto', 'fp32', 'fp16', 'int8'),
    )
    calib_cache_path: str = _param('', 'INT8 calibration cache in the text format of TensorRT.')
    engine_cache_dir: str = _param(
        '', 'Folder that keeps built engines; empty is trt_detector in the user cache folder.'
    )
    workspace_fraction: float = _param(
        0.9, 'Share of the GPU memory that a build may use.', minimum=0.01, maximum=1.0
    )
    batch_size: int = _param(
        0, 'Images in one inference; 0 is one a camera.', unit='images', minimum=0, maximum=256
    )
    min_shape: tuple[int, ...] = _param(
        (),
        'Smallest input shape N, C, H, W of the optimization profile; empty is chosen from the '
        'model.',
        minimum=1,
    )
    opt_shape: tuple[int, ...] = _param(
        (), 'Input shape N, C, H, W that the engine is tuned for; empty as above.', minimum=1
    )
    max_shape: tuple[int, ...] = _param(
        (), 'Largest input shape N, C, H, W of the profile; empty as above.', minimum=1
    )
    dla_core: int = _param(
        -1, 'Deep Learning Accelerator core; -1 is the GPU.', minimum=-1, maximum=7
    )
    plugin_libraries: tuple[str, ...] = _param(
        (), 'Shared libraries with TensorRT plugins, loaded before the model is parsed.'
    )
    warmup_iterations: int = _param(
        3,
        'Runs on zeros before the first image, at one image and at a full batch.',
        unit='runs',
        minimum=0,
        maximum=1000,
    )
    inference_threads: int = _param(
        0,
        'Threads of ONNX Runtime on the CPU; 0 is one a physical core.',
        unit='threads',
        minimum=0,
        maximum=1024,
    )
    image_topics: tuple[str, ...] = _param(
        ('image_raw',), 'Topics of the cameras; their compressed ones end in /compressed.'
    )
    image_transport: str = _param(
        'raw',
        'raw for sensor_msgs/Image, compressed for sensor_msgs/CompressedImage (JPEG or PNG).',
        choices=('raw', 'compressed'),
    )
    qos_reliability: str = _param(
        'auto',
        'Reliability of the image subscriptions; auto is best effort, which every publisher '
        'matches.',
        choices=('auto', 'best_effort', 'reliable'),
    )
    score_threshold: float = _param(
        0.25, 'Detections that score less are left out.', minimum=0.0, maximum=1.0, live=True
    )
    iou_threshold: float = _param(
        0.45,
        'Of two boxes of a class that overlap more than this, only the better is kept.',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_detections: int = _param(
        300, 'Most detections in one image.', minimum=1, maximum=100_000, live=True
    )
    classes: tuple[str, ...] = _param(
        (), 'Names or numbers of the classes to report; empty is all.', live=True
    )
    class_names: tuple[str, ...] = _param(
        (), 'Names of the classes in order; empty takes them from the model.'
    )
    class_id_format: str = _param(
        'name',
        'What class_id of a detection holds: the name or the number of the class.',
        choices=('name', 'index'),
    )
    publish_debug_image: bool = _param(
        True, 'Draw the detections while someone subscribes to the debug image.', live=True
    )
    diagnostics_period: float = _param(
        1.0, 'Time between two diagnostics messages.', unit='s', minimum=0.1, maximum=60.0
    )
    autostart: bool = _param(False, 'Configure and activate without a lifecycle manager.')

    def __post_init__(self) -> None:
        for spec in parameter_specs():
            value = _checked(spec, getattr(self, spec.name))
            object.__setattr__(self, spec.name, value)
        self._check_shapes()
        self._check_topics()

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> DetectorConfig:
        """
        Make a configuration from names and values.

        :raises ConfigError: on a name that is not known, with the nearest one that is.
        """
        known = [spec.name for spec in parameter_specs()]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f'; did you mean {near[0]!r}?' if near else ''
                raise ConfigError(f'unknown parameter {name!r}{hint}')
        return cls(**values)

    def with_changes(self, **changes: Any) -> DetectorConfig:
        """Return a copy with some values changed, checked as a whole."""
        return replace(self, **changes)

    def _check_shapes(self) -> None:
        """Refuse profile shapes that are incomplete or out of order."""
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

    def _check_topics(self) -> None:
        """Refuse an empty or doubled list of cameras."""
        if not self.image_topics:
            raise ConfigError('image_topics is empty; name at least one image topic')
        doubled = sorted({t for t in self.image_topics if self.image_topics.count(t) > 1})
        if doubled:
            raise ConfigError(
                f'image_topics names {doubled} more than once; name each camera once'
            )


def parameter_specs() -> tuple[ParameterSpec, ...]:
    """Return what is known of every parameter, in the order of the documentation."""
    return tuple(
        ParameterSpec(name=f.name, type=_type_name(f.type), default=f.default, **f.metadata)
        for f in fields(DetectorConfig)
    )


def _type_name(annotation: Any) -> str:
    """Return the parameter type that a field's annotation stands for."""
    text = str(annotation)
    return f'list[{text[6:-6]}]' if text.startswith('tuple[') else text


def _checked(spec: ParameterSpec, value: Any) -> Any:
    """
    Return the value in its canonical form.

    :raises ConfigError: if its type, range or choice is wrong.
    """
    if spec.type.startswith('list['):
        if isinstance(value, str) or not hasattr(value, '__iter__'):
            raise ConfigError(f'{spec.name} is {value!r}; expected a list of {spec.type[5:-1]}')
        return tuple(_checked_scalar(spec, spec.type[5:-1], item) for item in value)
    return _checked_scalar(spec, spec.type, value)


def _checked_scalar(spec: ParameterSpec, type_name: str, value: Any) -> Any:
    """Return one number, switch or text in its canonical form, or raise ConfigError."""
    python_type: Any = {'bool': bool, 'int': int, 'float': float, 'str': str}[type_name]
    if type_name == 'float' and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, python_type) or (type_name == 'int' and isinstance(value, bool)):
        raise ConfigError(
            f'{spec.name} is {value!r} of type {type(value).__name__}; expected {spec.type}'
        )
    if type_name == 'str':
        _check_text(spec, value)
    elif type_name in ('int', 'float'):
        _check_range(spec, value)
    return value


def _check_text(spec: ParameterSpec, value: str) -> None:
    """Refuse a text that is not among the choices, or empty inside a list."""
    if spec.choices and value not in spec.choices:
        raise ConfigError(f'{spec.name} is {value!r}; expected one of {", ".join(spec.choices)}')
    if spec.type.startswith('list[') and not value.strip():
        raise ConfigError(f'{spec.name} holds an empty text; leave it out or fill it in')


def _check_range(spec: ParameterSpec, value: float) -> None:
    """Refuse a number that is not finite or out of range."""
    low = -math.inf if spec.minimum is None else spec.minimum
    high = math.inf if spec.maximum is None else spec.maximum
    if not math.isfinite(value) or not low <= value <= high:
        bounds = f'{low:g} to {high:g}' if math.isfinite(high) else f'{low:g} or more'
        raise ConfigError(f'{spec.name} is {value!r}; expected {bounds} {spec.unit}'.rstrip())
