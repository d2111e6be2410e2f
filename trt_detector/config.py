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
import re
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
from .regions.parameters import RegionParameters
from .tiling.parameters import TilingParameters
from .tracking.parameters import TrackerParameters

__all__ = ['DetectorConfig', 'ParameterSpec', 'parameter_specs']


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig(TilingParameters, RegionParameters, TrackerParameters, DemandParameters):
    """
    Parameters of a detector, checked when the object is made.

    Lists are tuples here; :meth:`from_mapping` takes lists as well.

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
        'device is fast at it, else FP32. fp32 also turns off TF32, which FP32 models otherwise '
        'use on Ampere and later GPUs.',
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
        'cuda-bindings, and preprocesses on the GPU as well; auto is cuda if both are found.',
        choices=('auto', 'cpu', 'cuda'),
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
        'Threads of ONNX Runtime on the CPU; 0 is one per physical core. With several cameras, '
        'several images run at once on these threads.',
        unit='threads',
        minimum=0,
        maximum=1024,
    )
    inference_spinning: bool = parameter(
        False,
        'Let these threads spin between images: lower latency, but their cores are always busy.',
    )
    image_topics: tuple[str, ...] = parameter(
        ('image_raw',),
        'Image topics of the cameras; /compressed is appended for compressed images.',
    )
    image_transport: str = parameter(
        'raw',
        'Image message: raw is sensor_msgs/Image, compressed is sensor_msgs/CompressedImage '
        '(JPEG, PNG, WebP, TIFF). A topic that ends in /compressed is always compressed.',
        choices=('raw', 'compressed'),
    )
    max_image_pixels: int = parameter(
        64_000_000,
        'Larger images are refused, compressed ones before they are decoded.',
        unit='pixels',
        minimum=1,
        maximum=2_000_000_000,
    )
    qos_reliability: str = parameter(
        'auto',
        'Reliability of the image subscriptions; auto is reliable if every publisher of the topic '
        'is, else best effort, and follows changes.',
        choices=('auto', 'best_effort', 'reliable'),
    )
    image_timeout: float = parameter(
        2.0,
        'Time without an image after which a camera is reported as silent.',
        unit='s',
        minimum=0.1,
        maximum=3600.0,
        live=True,
    )
    batch_wait_ms: float = parameter(
        0.0,
        'Maximum time that the first image of a batch waits for those of the other cameras.',
        unit='ms',
        minimum=0.0,
        maximum=1000.0,
    )
    score_threshold: float = parameter(
        0.25, 'Minimum score of a detection.', minimum=0.0, maximum=1.0, live=True
    )
    iou_threshold: float = parameter(
        0.45,
        'IoU threshold of non-maximum suppression: of two boxes of a class with a larger IoU, '
        'only the one with the higher score is kept.',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_detections: int = parameter(
        300, 'Maximum number of detections per image.', minimum=1, maximum=100_000, live=True
    )
    classes: tuple[str, ...] = parameter(
        (),
        "Names or numbers of the classes to report; '#9' is number 9 if names look like numbers; "
        'empty means all.',
        live=True,
    )
    class_names: tuple[str, ...] = parameter(
        (), 'Names of the classes in order; if empty, those of the model.'
    )
    class_score_thresholds: tuple[str, ...] = parameter(
        (),
        'Minimum scores per class as name:score or number:score; score_threshold applies to the '
        'others.',
        live=True,
    )
    class_agnostic_nms: bool = parameter(
        False, 'Suppress overlapping boxes of different classes as well.', live=True
    )
    head: str = parameter(
        'auto',
        "Layout of the model's outputs; auto recognizes it from the graph.",
        choices=(
            'auto',
            'end_to_end',
            'yolo',
            'yolo_transposed',
            'yolo_objectness',
            'yolox',
            'yolox_decoded',
            'yolo_split',
            'yolo_grid',
            'darknet_grid',
            'boxes_scores',
            'yolov4',
            'yolo_boxes_scores',
            'detr',
            'detr_rows',
            'detr_sigmoid',
            'detr_softmax',
            'detr_deploy',
            'efficient_nms',
            'tf_detection',
            'mmdeploy',
            'paddle',
            'torchvision',
            'deepstream',
            'nanodet_plus',
            'nanodet',
            'rows_box_class_score',
            'rows_box_score_class',
            'rows_class_score_box',
            'rows_score_class_box',
            'yolo_obb',
            'obb_rows',
        ),
    )
    boxes: str = parameter(
        'auto',
        "Unit of the model's boxes, in pixels or normalized to the input size; auto takes that of "
        'the recognized layout.',
        choices=('auto', 'pixels', 'normalized'),
    )
    scores: str = parameter(
        'auto',
        "Meaning of the model's scores, logits if it ends without a Sigmoid; auto takes that of "
        'the recognized layout.',
        choices=('auto', 'probabilities', 'logits'),
    )
    outputs: tuple[str, ...] = parameter(
        (),
        'Names of the outputs to decode, in the order of the head layout; empty takes all, or the '
        'one that fits a layout.',
    )
    anchors: tuple[float, ...] = parameter(
        (),
        'Width and height of every anchor for the heads yolo_grid and darknet_grid, those of the '
        "smallest stride first; empty takes the metadata, else YOLOv5's.",
        unit='pixels',
        minimum=0.001,
    )
    input_shape: str = parameter(
        'auto',
        'Height x width of the input of a model that leaves them open, e.g. 384x640; auto takes '
        'opt_shape, else the training size (DETR), else what fits the aspect ratio of the image '
        'within the profile.',
    )
    preprocess_preset: str = parameter(
        'auto',
        'Preprocessing preset; auto is the one of the recognized layout. The parameters below '
        'override single values of it.',
        choices=(
            'auto',
            'yolo',
            'yolox',
            'detr',
            'detr_imagenet',
            'torchvision',
            'tao',
            'tensorflow',
            'efficientdet',
            'nanodet_plus',
            'nanodet',
            'mmdet',
        ),
    )
    resize_mode: str = parameter(
        'auto',
        'Resizing: letterbox keeps the aspect ratio and pads, stretch fills the input.',
        choices=('auto', 'letterbox', 'stretch'),
    )
    letterbox_anchor: str = parameter(
        'auto',
        'Position of the picture in a letterbox.',
        choices=('auto', 'center', 'top_left'),
    )
    pad_value: int = parameter(
        -1, 'Gray level of the padding; -1 is the preset.', minimum=-1, maximum=255
    )
    input_scale: float = parameter(
        0.0,
        'Factor for pixel values of 0 to 255; 0 is the preset.',
        minimum=0.0,
    )
    input_mean: tuple[float, ...] = parameter(
        (), 'Mean per channel, subtracted after the scale; empty is the preset.'
    )
    input_std: tuple[float, ...] = parameter(
        (),
        'Standard deviation per channel, the divisor after the mean; empty is the preset.',
        minimum=1e-6,
    )
    color_order: str = parameter(
        'auto', 'Channel order of the network.', choices=('auto', 'rgb', 'bgr')
    )
    class_id_format: str = parameter(
        'name',
        'Content of class_id in a detection: name or number of the class.',
        choices=('name', 'index'),
    )
    publish_debug_image: bool = parameter(
        True, 'Publish an image with the detections drawn while it has subscribers.', live=True
    )
    diagnostics_period: float = parameter(
        1.0, 'Period of the diagnostics messages.', unit='s', minimum=0.1, maximum=60.0
    )
    degradation_window: float = parameter(
        10.0,
        'Duration of a slowdown until it is reported, and of the live images that are the '
        'baseline of the stage times; 0 is off.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
        live=True,
    )
    degradation_factor: float = parameter(
        1.5,
        'A stage is slow if its 95th percentile is above this multiple of its baseline.',
        minimum=1.0,
        maximum=100.0,
        live=True,
    )
    metrics_port: int = parameter(
        0,
        'TCP port of the Prometheus metrics, one per node; 0 is off; needs prometheus-client.',
        minimum=0,
        maximum=65535,
    )
    metrics_address: str = parameter(
        '127.0.0.1',
        'Address of this machine at which the metrics are served; 0.0.0.0 is all networks, '
        'without a password.',
    )
    autostart: bool = parameter(False, 'Configure and activate without a lifecycle manager.')
    recover: bool = parameter(
        False,
        'Configure and activate again after every inference has failed, with a pause that grows '
        'from 1 to 60 s; without it the node stays unconfigured then.',
        live=True,
    )
    inference_timeout: float = parameter(
        10.0,
        'Time after which an inference that has not returned is reported as hanging; 0 is off. '
        'Warm-up and the first run of a batch size are not timed.',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
        live=True,
    )
    on_hang: str = parameter(
        'report',
        'Action if an inference hangs: report it on /diagnostics, or exit with code 3 as well, '
        'for a supervisor that starts the process again.',
        choices=('report', 'exit'),
        live=True,
    )
    bond_timeout: float = parameter(
        0.0,
        'Heartbeat timeout of the bond with the lifecycle manager of Nav2, as its bond_timeout; 0 '
        'is no bond; needs bondpy.',
        unit='s',
        minimum=0.0,
        maximum=600.0,
    )

    def __post_init__(self) -> None:
        check_all(partial(self._check_value, spec) for spec in parameter_specs())
        check_all((self._check_shapes, self._check_input, self._check_topics, self._check_tracker))
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

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Return (height, width) that input_shape asks for, None for auto."""
        if self.input_shape == 'auto':
            return None
        height, width = self.input_shape.lower().split('x')
        return int(height), int(width)

    def _check_input(self) -> None:
        """Refuse an input_shape that is no size, and means that are not one per channel."""
        if not re.fullmatch('auto|[1-9][0-9]{0,4}[xX][1-9][0-9]{0,4}', self.input_shape):
            raise ConfigError(
                f'input_shape is {self.input_shape!r}; expected auto, or height x width as 384x640'
            )
        for name, values in (('input_mean', self.input_mean), ('input_std', self.input_std)):
            if len(values) not in (0, 1, 3):
                raise ConfigError(
                    f'{name} is {list(values)}; expected three numbers, one for all channels, or '
                    'none'
                )

    def _check_topics(self) -> None:
        """Refuse an empty list of cameras, and duplicates."""
        if not self.image_topics:
            raise ConfigError('image_topics is empty; name at least one image topic')
        duplicates = sorted({t for t in self.image_topics if self.image_topics.count(t) > 1})
        if duplicates:
            raise ConfigError(
                f'image_topics names {duplicates} more than once; name each camera once'
            )


def parameter_specs() -> tuple[ParameterSpec, ...]:
    """Return the description of every parameter, in the order of the documentation."""
    return describe_fields(DetectorConfig)
