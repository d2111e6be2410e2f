# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that say how outputs are decoded, and which detections are returned."""

from __future__ import annotations

from dataclasses import dataclass

from ..parameter_spec import parameter

__all__ = ['DecodingParameters']


@dataclass(frozen=True, kw_only=True)
class DecodingParameters:
    """Group of parameters of :class:`trt_detector.config.DetectorConfig`, which has the slots."""

    __slots__ = ()

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
            'detr_softmax_first',
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
