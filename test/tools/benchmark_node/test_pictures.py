# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the cameras."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from trt_detector.tools.benchmark_node.child_process import BenchmarkError
from trt_detector.tools.benchmark_node.pictures import write_pictures


@pytest.mark.parametrize(('compressed', 'suffix'), [(False, '.png'), (True, '.jpg')])
def test_a_picture_is_written_in_each_size(tmp_path: Path, compressed: bool, suffix: str) -> None:
    picture = tmp_path / 'gray.png'
    cv2.imwrite(str(picture), np.full((30, 40), 99, np.uint8))
    files = write_pictures(picture, [(64, 48), (7, 9)], tmp_path, compressed)
    assert {file.suffix for file in files.values()} == {suffix}
    for (width, height), file in files.items():
        pixels = cv2.imread(str(file))
        assert pixels.shape == (height, width, 3)
        assert np.abs(pixels.astype(int) - 99).max() <= 3


def test_a_size_that_no_jpeg_has_is_refused(tmp_path: Path) -> None:
    picture = tmp_path / 'gray.png'
    cv2.imwrite(str(picture), np.full((30, 40), 99, np.uint8))
    with pytest.raises(BenchmarkError, match='cannot write a picture of 65536x10'):
        write_pictures(picture, [(65536, 10)], tmp_path, True)
