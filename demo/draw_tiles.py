#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw docs/images/tiling.jpg: a part of a 4K scene, detected without and with tiles."""

import argparse
from dataclasses import replace
from pathlib import Path
import sys

import cv2
import numpy as np
from scenes import render_distant_scene
from splits import DISTANT_SEEDS

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from trt_detector.config import DetectorConfig  # noqa: E402
from trt_detector.factory import create_detector  # noqa: E402
from trt_detector.image.drawing import draw_detections  # noqa: E402
from trt_detector.image.image import Image  # noqa: E402


def main() -> None:
    """Draw the scene, detect and cut a part out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=_ROOT / 'docs' / 'images' / 'tiling.jpg')
    parser.add_argument('--seed', type=int, default=DISTANT_SEEDS[9])
    parser.add_argument('--part', type=int, nargs=4, default=[1840, 680, 2480, 1180])
    options = parser.parse_args()
    image = Image.from_array(
        render_distant_scene(options.seed, objects=120, sides_px=(20, 64)).image_bgr
    )
    left, top, right, bottom = options.part
    halves = []
    for tiling in ('none', '7x6'):
        config = DetectorConfig(
            model_path=str(_ROOT / 'demo' / 'models' / 'demo_end2end.onnx'),
            backend='onnxruntime',
            tiling=tiling,
        )
        with create_detector(config) as detector:
            (found,) = detector.detect([image]).detections
            names = detector.class_names
        boxes = found.boxes_xyxy - np.array([left, top] * 2, np.float32)
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = ((centers > 0) & (centers < (right - left, bottom - top))).all(axis=1)
        # Drawn on the part alone: lines and letters grow with the picture.
        shown = replace(found, boxes_xyxy=boxes).select(inside)
        halves.append(draw_detections(image.to_bgr()[top:bottom, left:right], shown, names))
        print(f'tiling {tiling}: {len(found)} detections in the whole image')
    line = np.full((bottom - top, 6, 3), 255, np.uint8)
    pair = np.concatenate((halves[0], line, halves[1]), axis=1)
    cv2.imwrite(str(options.out), pair, [cv2.IMWRITE_JPEG_QUALITY, 70])


if __name__ == '__main__':
    main()
