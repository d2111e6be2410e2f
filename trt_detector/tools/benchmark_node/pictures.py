# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Images of the cameras."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2

from ...image.image import Image
from ...process.package_files import find_package_file
from .child_process import BenchmarkError

__all__ = ['write_pictures']

_PICTURE = 'demo/pictures/scene_08_1280x720.jpg'


def write_pictures(
    picture: Path | None, sizes_wh: Iterable[tuple[int, int]], folder: Path, compressed: bool
) -> dict[tuple[int, int], Path]:
    """
    Write a picture in the sizes of the cameras.

    :param picture: file; None is a picture of the demo.
    :param sizes_wh: (width, height) in pixels.
    :param folder: for the files.
    :param compressed: JPEG, as cameras send it; else PNG, without loss.
    :return: file per size.
    :raises BenchmarkError: if the picture of the demo is not installed, or a file not written.
    :raises ImageError: if the picture cannot be read.
    """
    path = picture or find_package_file(_PICTURE)
    if path is None:
        raise BenchmarkError(f'{_PICTURE} is not installed; name a picture with --picture')
    pixels = Image.from_file(path).to_bgr()
    written = {}
    for width, height in sizes_wh:
        file = folder / f'{width}x{height}.{"jpg" if compressed else "png"}'
        # Hardly compressed: a PNG is read once, and large.
        options = [] if compressed else [cv2.IMWRITE_PNG_COMPRESSION, 1]
        if not cv2.imwrite(str(file), cv2.resize(pixels, (width, height)), options):
            raise BenchmarkError(
                f'cannot write a picture of {width}x{height} to {folder}; the side of a JPEG has '
                'at most 65535 pixels, and the disk must not be full'
            )
        written[width, height] = file
    return written
