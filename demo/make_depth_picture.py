# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Draw docs/images/detections_3d.jpg: a scene with the boxes in 3D, its depth image, and the plan.

The boxes are located by trt_detector.depth, as the detections_3d node does it, from the true 2D
boxes and the rendered depth with noise and holes.
"""

import argparse
from pathlib import Path
import sys
from types import SimpleNamespace

import cv2
import numpy as np
from numpy.typing import NDArray

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from scenes import DepthScene, render_depth, render_scene  # noqa: E402
from trt_detector.depth.box3d import Box3D  # noqa: E402
from trt_detector.depth.camera_model import CameraModel  # noqa: E402
from trt_detector.depth.config import DepthConfig  # noqa: E402
from trt_detector.depth.depth_image import DepthImage  # noqa: E402
from trt_detector.depth.locate import locate_boxes  # noqa: E402
from trt_detector.image.drawing import class_color_bgr  # noqa: E402

_SIZE = (960, 540)
_NOISE, _HOLES = 0.01, 0.15
_PLAN_M = 11.0
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b).bit_count() == 1]
_CORNERS = np.array([[n & 1, n >> 1 & 1, n >> 2 & 1] for n in range(8)]) - 0.5

Pixels = NDArray[np.uint8]


def add_sensor(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Make the depths those of a camera: millimeters, with noise, holes and a limited range."""
    rng = np.random.default_rng(1)
    noisy = depth_m * (1 + _NOISE * rng.standard_normal(depth_m.shape))
    is_missing = (rng.random(depth_m.shape) < _HOLES) | ~(noisy < 20)
    return np.where(is_missing, 0, noisy * 1000).astype(np.uint16)


def locate(scene: DepthScene, depth_mm: NDArray[np.uint16]) -> list[Box3D | str]:
    """Locate the true boxes of a scene in its depth image."""
    width, height = _SIZE
    matrix = np.diag([scene.focal_px, scene.focal_px, 1.0])
    matrix[:2, 2] = (width - 1) / 2, (height - 1) / 2
    message = SimpleNamespace(
        encoding='16UC1', width=width, height=height, step=2 * width, is_bigendian=0,
        data=depth_mm.astype('<u2').tobytes(),
    )  # fmt: skip
    boxes = [
        ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, 0.0)
        for left, top, right, bottom in (thing.bbox_xyxy for thing in scene.objects)
    ]
    camera = CameraModel(width, height, matrix, np.empty(0))
    image = DepthImage.from_message(message)
    return locate_boxes(np.array(boxes, float), image, camera, DepthConfig())


def draw_boxes(picture: Pixels, scene: DepthScene, boxes: list[Box3D | str]) -> None:
    """Draw the edges and the distance of every box, the farthest first."""
    for number, box in enumerate(boxes):
        if isinstance(box, str):
            continue
        points = box.center + (_CORNERS * box.size) @ box.rotation.T
        pixels = points[:, :2] / points[:, 2:] * scene.focal_px + np.array(_SIZE) / 2
        color = class_color_bgr(number)
        for a, b in _EDGES:
            ends = [tuple(int(v) for v in np.round(pixels[n])) for n in (a, b)]
            cv2.line(picture, ends[0], ends[1], color, 2, cv2.LINE_AA)
        left, top = pixels.min(0)
        text = f'{scene.objects[number].class_name} {np.linalg.norm(box.center):.2f} m'
        put_text(picture, text, (int(left), int(top) - 6), color)


def put_text(picture: Pixels, text: str, at: tuple[int, int], color: tuple[int, int, int]) -> None:
    """Write a text with a shadow."""
    for tone, shift in (((0, 0, 0), 1), (color, 0)):
        place = (at[0] + shift, at[1] + shift)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, tone, 1, cv2.LINE_AA)


def color_depth(depth_mm: NDArray[np.uint16]) -> Pixels:
    """Color depths from 1 m (red) to 15 m (blue); pixels without depth are black."""
    near = 1 - np.clip((depth_mm / 1000 - 1) / 14, 0, 1) ** 0.5
    picture = cv2.applyColorMap((255 * near).astype(np.uint8), cv2.COLORMAP_TURBO)
    picture[depth_mm == 0] = 0
    return np.asarray(picture, np.uint8)


def draw_plan(scene: DepthScene, boxes: list[Box3D | str], width: int, height: int) -> Pixels:
    """Draw the view from above: true centers as crosses, boxes, and ellipses of 2 sigma."""
    picture = np.full((height, width, 3), 30, np.uint8)
    scale = (height - 30) / _PLAN_M

    def place(x: float, z: float) -> tuple[int, int]:
        return round(width / 2 + x * scale), round(height - 15 - z * scale)

    for distance in range(2, int(_PLAN_M) + 1, 2):
        radius = round(distance * scale)
        cv2.circle(picture, place(0, 0), radius, (70, 70, 70), 1, cv2.LINE_AA)
        put_text(picture, f'{distance} m', place(0.1, distance + 0.1), (150, 150, 150))
    for number, (thing, box) in enumerate(zip(scene.objects, boxes, strict=True)):
        if isinstance(box, str):
            continue
        color = class_color_bgr(number)
        half = box.size / 2
        corners = (
            place(box.center[0] - half[0], box.center[2] - half[2]),
            place(box.center[0] + half[0], box.center[2] + half[2]),
        )
        cv2.rectangle(picture, *corners, color, 2, cv2.LINE_AA)
        values, vectors = np.linalg.eigh(box.covariance[np.ix_([0, 2], [0, 2])])
        axes = np.maximum(np.round(2 * np.sqrt(values) * scale), 1).astype(int).tolist()
        angle = -float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
        center = place(box.center[0], box.center[2])
        cv2.ellipse(picture, center, axes, angle, 0, 360, (200, 200, 200), 1, cv2.LINE_AA)
        cross = place(thing.center_xyz[0], thing.center_xyz[2])
        cv2.drawMarker(picture, cross, (255, 255, 255), cv2.MARKER_TILTED_CROSS, 9, 2)
    put_text(
        picture, 'from above: x true center, box found, ellipse 2 sigma', (10, 20), (220,) * 3
    )
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seed', type=int, default=3_000_030, help='seed of the scene')
    parser.add_argument(
        '--output', type=Path, default=_ROOT / 'docs' / 'images' / 'detections_3d.jpg'
    )
    options = parser.parse_args()
    scene = render_depth(options.seed, _SIZE)
    depth_mm = add_sensor(scene.depth_m)
    boxes = locate(scene, depth_mm)
    picture = render_scene(options.seed, _SIZE).image_bgr.copy()
    draw_boxes(picture, scene, boxes)
    side = _SIZE[0] * 5 // 12, _SIZE[1]
    depth = cv2.resize(color_depth(depth_mm), (side[0], side[0] * _SIZE[1] // _SIZE[0]))
    plan = draw_plan(scene, boxes, side[0], side[1] - depth.shape[0])
    result = np.hstack([picture, np.vstack([depth, plan])])
    cv2.imwrite(str(options.output), result, [cv2.IMWRITE_JPEG_QUALITY, 85])
    for thing, box in zip(scene.objects, boxes, strict=True):
        place = box if isinstance(box, str) else np.round(box.center, 2).tolist()
        print(f'{thing.class_name:8} found {place}, true {np.round(thing.center_xyz, 2).tolist()}')


if __name__ == '__main__':
    main()
