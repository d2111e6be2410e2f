#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Measure a demo model on scenes with held-out seeds, with COCO metrics (faster-coco-eval)."""

import argparse
from collections.abc import Iterable, Sequence
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import cv2
from inference import Boxes, Model
import numpy as np
from numpy.typing import NDArray
from scenes import CLASS_NAMES, render_scene, Scene
from splits import TEST_SEEDS

__all__ = ['coco_figures', 'coco_truth', 'evaluate', 'main']


def coco_truth(pictures: Iterable[tuple[str, tuple[int, int], Scene]]) -> dict[str, Any]:
    """Return COCO ground truth of (file name, (width, height), scene) triples, ids from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name, (width, height), scene in pictures:
        images.append({'id': len(images) + 1, 'file_name': name, 'width': width, 'height': height})
        for thing in scene.objects:
            left, top, right, bottom = thing.bbox_xyxy
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': len(images),
                    'category_id': thing.class_id,
                    'iscrowd': 0,
                    'bbox': [left, top, right - left, bottom - top],
                    'area': (right - left) * (bottom - top),
                }
            )
    categories = [{'id': index, 'name': name} for index, name in enumerate(CLASS_NAMES)]
    return {'images': images, 'annotations': annotations, 'categories': categories}


def _rows(image_id: int, boxes: Boxes) -> list[dict[str, Any]]:
    """Return COCO result rows."""
    return [
        {
            'image_id': image_id,
            'category_id': int(kind),
            'score': float(score),
            'bbox': [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
        }
        for (x1, y1, x2, y2), score, kind in zip(
            boxes.xyxy, boxes.scores, boxes.classes, strict=True
        )
    ]


def coco_figures(truth: dict[str, Any], detections: Sequence[Boxes]) -> dict[str, Any]:
    """
    Return mAP50-95, mAP50 and both per class, each 0..1, by faster-coco-eval.

    :param truth: COCO ground truth; `detections` one entry per image, in its order.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    results = [
        row
        for image, boxes in zip(truth['images'], detections, strict=True)
        for row in _rows(image['id'], boxes)
    ]
    wanted = COCO(truth)
    run = COCOeval_faster(wanted, wanted.loadRes(results), 'bbox', print_function=lambda _: None)
    run.evaluate()
    run.accumulate()
    run.summarize()
    precision = run.eval['precision'][:, :, :, 0, 2]
    table = {}
    for index, name in enumerate(CLASS_NAMES):
        both, half = precision[:, :, index], precision[0, :, index]
        count = sum(a['category_id'] == index for a in truth['annotations'])
        if count:
            table[name] = {
                'objects': count,
                'map50_95': round(float(both.mean()), 4),
                'map50': round(float(half.mean()), 4),
            }
    return {
        'map50_95': round(float(run.stats[0]), 4),
        'map50': round(float(run.stats[1]), 4),
        'map_small': round(float(run.stats[3]), 4),
        'map_medium': round(float(run.stats[4]), 4),
        'map_large': round(float(run.stats[5]), 4),
        'classes': table,
    }


def _render(job: tuple[int, str | None]) -> Scene:
    """Render a scene, or read it from the folder that keeps rendered scenes."""
    seed, folder = job
    cv2.setNumThreads(1)
    if folder is None:
        return render_scene(seed)
    path = Path(folder) / f'{seed}.npy'
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scene = render_scene(seed)
        np.save(path, np.array([scene.image_bgr, scene.objects], dtype=object))
    image, objects = np.load(path, allow_pickle=True)
    return Scene(image, objects)


def evaluate(path: Path, seeds: Sequence[int], cache: str | None = None) -> dict[str, Any]:
    """Render the scenes of `seeds`, run the model on them and return its figures."""
    model = Model(path)
    detections: list[Boxes] = []
    pictures: list[tuple[str, tuple[int, int], Scene]] = []
    empty: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)
    with multiprocessing.get_context('spawn').Pool(os.cpu_count()) as pool:
        for seed, scene in zip(
            seeds, pool.imap(_render, ((s, cache) for s in seeds), 4), strict=True
        ):
            high, wide = scene.image_bgr.shape[:2]
            detections.append(model.detect(scene.image_bgr))
            pictures.append((f'{seed}.png', (wide, high), Scene(empty, scene.objects)))
    figures = coco_figures(coco_truth(pictures), detections)
    return {'model': path.name, 'scenes': len(seeds), 'first_seed': seeds[0], **figures}


def _print(figures: dict[str, Any]) -> None:
    print(f'{figures["model"]}: {figures["scenes"]} scenes from seed {figures["first_seed"]}')
    print(f'{"class":10} {"objects":>8} {"mAP50":>8} {"mAP50-95":>9}')
    for name, row in figures['classes'].items():
        print(f'{name:10} {row["objects"]:8d} {row["map50"]:8.4f} {row["map50_95"]:9.4f}')
    print(
        f'{"all":10} {sum(r["objects"] for r in figures["classes"].values()):8d} '
        f'{figures["map50"]:8.4f} {figures["map50_95"]:9.4f}'
    )


def main() -> None:
    """Read the command line and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, required=True, help='ONNX file')
    parser.add_argument('--scenes', type=int, default=len(TEST_SEEDS))
    parser.add_argument('--first-seed', type=int, default=TEST_SEEDS.start)
    parser.add_argument('--cache', help='folder that keeps rendered scenes between runs')
    parser.add_argument('--json', type=Path, help='file for the figures')
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.scenes)
    figures = evaluate(options.model, seeds, options.cache)
    _print(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
    main()
