#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Track objects in a drawn sequence, and draw some frames with ids and trails side by side."""

import argparse
from pathlib import Path
import sys

import cv2
import numpy as np
from numpy.typing import NDArray
from scenes.sequence import render_sequence
from splits import SEQUENCE_SEEDS

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from trt_detector.config import DetectorConfig  # noqa: E402
from trt_detector.factory import create_detector, decode_options  # noqa: E402
from trt_detector.image.drawing import draw_detections  # noqa: E402
from trt_detector.image.image import Image  # noqa: E402
from trt_detector.tracking.camera_tracks import CameraTracks  # noqa: E402
from trt_detector.tracking.trails import Trails  # noqa: E402

__all__ = ['main', 'track_sequence']

_RATE_HZ = 20.0


def track_sequence(seed: int, frames: int, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Return the frames (height, width, 3) BGR of a sequence with ids and trails."""
    config = DetectorConfig(
        model_path=str(_ROOT / 'demo' / 'models' / 'demo_end2end.onnx'),
        backend='onnxruntime',
        tracker='bytetrack',
        score_threshold=0.4,
    )
    tracks = CameraTracks(['sequence'], print, print)
    trails = Trails()
    drawn = []
    with create_detector(config) as detector:
        options = decode_options(config, detector.class_names)
        detector.options = tracks.set_options(config, options)
        for frame in render_sequence(seed, frames, _RATE_HZ, size):
            found = detector.detect([Image.from_array(frame.image_bgr)]).detections[0]
            found = tracks.update(0, found, frame.stamp_s, size)
            points = trails.update(found, round(frame.stamp_s * 1e9))
            drawn.append(draw_detections(frame.image_bgr, found, detector.class_names, points))
    return drawn


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=_ROOT / 'docs' / 'images' / 'tracking.jpg')
    parser.add_argument('--seed', type=int, default=SEQUENCE_SEEDS[200])
    parser.add_argument('--frames', type=int, nargs='+', default=[30, 60])
    options = parser.parse_args()
    drawn = track_sequence(options.seed, max(options.frames) + 1, (640, 360))
    picture = np.hstack([drawn[number] for number in options.frames])
    cv2.imwrite(str(options.out), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(options.out)


if __name__ == '__main__':
    main()
