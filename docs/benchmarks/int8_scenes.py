# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Draw scenes of the demo into a folder, with their boxes in COCO format.

    python3 docs/benchmarks/int8_scenes.py --out scenes/test --seeds 2000000 500
    python3 docs/benchmarks/int8_scenes.py --out scenes/calibration --seeds 4000000 300

A scene that the folder holds already is not drawn again. The ranges of seeds are those of
demo/splits.py.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from pathlib import Path
import sys
from typing import Any

import cv2

sys.path.insert(0, str(Path(__file__).parents[2] / 'demo'))

from scenes import CLASS_NAMES, render_scene


def draw(job: tuple[int, Path]) -> dict[str, Any]:
    """Draw the scene of a seed as PNG and return its size and boxes."""
    seed, folder = job
    picture, facts = folder / f'{seed}.png', folder / f'{seed}.json'
    if not facts.exists():
        cv2.setNumThreads(1)
        scene = render_scene(seed)
        cv2.imwrite(str(picture), scene.image_bgr, [cv2.IMWRITE_PNG_COMPRESSION, 3])
        height, width = scene.image_bgr.shape[:2]
        boxes = [[thing.class_id, *thing.bbox_xyxy] for thing in scene.objects]
        facts.write_text(
            json.dumps({'file': picture.name, 'size': [width, height], 'boxes': boxes}),
            encoding='utf-8',
        )
    found: dict[str, Any] = json.loads(facts.read_text(encoding='utf-8'))
    return found


def coco(scenes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the boxes of all scenes in COCO format."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes, start=1):
        width, height = scene['size']
        images.append({'id': number, 'file_name': scene['file'], 'width': width, 'height': height})
        for class_id, left, top, right, bottom in scene['boxes']:
            size = (right - left, bottom - top)
            annotations.append({
                'id': len(annotations) + 1,
                'image_id': number,
                'category_id': class_id,
                'iscrowd': 0,
                'bbox': [left, top, *size],
                'area': size[0] * size[1],
            })  # fmt: skip
    categories = [{'id': number, 'name': name} for number, name in enumerate(CLASS_NAMES)]
    return {'images': images, 'annotations': annotations, 'categories': categories}


def main() -> int:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--seeds', type=int, nargs=2, metavar=('FIRST', 'COUNT'), required=True)
    parser.add_argument('--processes', type=int, default=1)
    options = parser.parse_args()
    first, count = options.seeds
    options.out.mkdir(parents=True, exist_ok=True)
    jobs = [(seed, options.out) for seed in range(first, first + count)]
    with multiprocessing.get_context('spawn').Pool(options.processes) as pool:
        scenes = list(pool.imap(draw, jobs, chunksize=4))
    target = options.out / 'annotations.json'
    target.write_text(json.dumps(coco(scenes)) + '\n', encoding='utf-8')
    print(f'{count} scenes, {sum(len(s["boxes"]) for s in scenes)} boxes: {options.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
