#!/usr/bin/env python3
# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the pictures of this folder and write their ground truth in COCO format."""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import cv2
from evaluate import coco_truth
import numpy as np
from numpy.typing import NDArray
from scenes import render_scene, Scene
from splits import PICTURE_SEEDS

__all__ = ['encode', 'main', 'Picture', 'PICTURES']

_FOLDER = Path(__file__).parent / 'pictures'
_JPEG_QUALITY = 90


class Picture(NamedTuple):
    """A committed picture: its seed as an offset into PICTURE_SEEDS, (width, height), suffix."""

    offset: int
    size: tuple[int, int]
    suffix: str

    @property
    def name(self) -> str:
        return f'scene_{self.offset:02d}_{self.size[0]}x{self.size[1]}.{self.suffix}'

    def render(self) -> Scene:
        """Draw the scene again from its seed."""
        return render_scene(PICTURE_SEEDS[self.offset], self.size)


PICTURES = (
    *(Picture(offset, (1280, 720), 'jpg') for offset in (6, 8, 13, 25, 30, 33, 35, 46, 48)),
    Picture(28, (640, 480), 'jpg'),
    Picture(24, (640, 480), 'jpg'),
    Picture(41, (4000, 3000), 'jpg'),
    Picture(17, (375, 500), 'png'),
    Picture(3, (320, 240), 'png'),
    Picture(37, (480, 360), 'png'),
    Picture(16, (424, 240), 'png'),
)
"""Chosen by eye for variety; every one has a held-out seed."""


def encode(image_bgr: NDArray[np.uint8], suffix: str) -> NDArray[np.uint8]:
    """Return the bytes of a picture file, (n,) uint8, for the suffix 'jpg' or 'png'."""
    options = (
        [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        if suffix == 'jpg'
        else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    )
    done, coded = cv2.imencode(f'.{suffix}', image_bgr, options)
    if not done:
        raise RuntimeError(f'OpenCV could not write a {suffix!r} picture: its build lacks it')
    return np.asarray(coded, np.uint8).reshape(-1)


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=_FOLDER)
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for picture in PICTURES:
        scene = picture.render()
        (folder / picture.name).write_bytes(encode(scene.image_bgr, picture.suffix).tobytes())
        drawn.append((picture.name, picture.size, scene))
        print(f'{picture.name}: {len(scene.objects)} objects')
    truth = json.dumps(coco_truth(drawn), indent=1)
    (folder / 'ground_truth.json').write_text(truth + '\n')


if __name__ == '__main__':
    main()
