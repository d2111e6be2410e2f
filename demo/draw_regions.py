#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw docs/images/regions.jpg: a demo picture before and after a selection by regions."""

from pathlib import Path

import cv2
import numpy as np
from trt_detector.config import DetectorConfig
from trt_detector.factory import create_detector
from trt_detector.image.drawing import draw_detections
from trt_detector.image.image import Image
from trt_detector.regions.assign import assign_regions
from trt_detector.regions.camera_regions import CameraRegions
from trt_detector.regions.drawing import draw_regions

_ROOT = Path(__file__).resolve().parents[1]
_CONFIG = DetectorConfig(
    model_path=str(_ROOT / 'demo' / 'models' / 'demo_end2end.onnx'),
    backend='onnxruntime',
    regions=(
        'include 0.24,0.98 0.4,0.48 0.99,0.42 0.99,0.98',
        'exclude 0.79,0.46 0.98,0.44 0.98,0.9 0.8,0.94',
    ),
)


def main() -> None:
    """Detect, select and draw."""
    image = Image.from_file(_ROOT / 'demo' / 'pictures' / 'scene_48_1280x720.jpg')
    (regions,) = assign_regions(_CONFIG, [['camera']]) or (CameraRegions(),)
    with create_detector(_CONFIG) as detector:
        (found,) = detector.detect([image]).detections
        names = detector.class_names
    before = draw_detections(image.to_bgr(), found, names)
    found = regions.select(found, (image.width, image.height))
    after = draw_detections(draw_regions(image.to_bgr(), regions), found, names)
    pair = np.concatenate((before, after), axis=1)
    small = cv2.resize(pair, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    target = _ROOT / 'docs' / 'images' / 'regions.jpg'
    cv2.imwrite(str(target), small, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == '__main__':
    main()
