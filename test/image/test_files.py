# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Picture files that a user names."""

from __future__ import annotations

from pathlib import Path

import pytest
from trt_detector.errors import ImageError
from trt_detector.image.files import picture_files


def test_the_pictures_of_a_folder_are_sorted(tmp_path: Path) -> None:
    names = [
        f'{number * 37 % 64:02}.{suffix}' for number in range(64) for suffix in ('png', 'JPG')
    ]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / 'a.txt').touch()
    (tmp_path / 'folder.png').mkdir()
    assert [path.name for path in picture_files([tmp_path])] == sorted(names)


def test_a_named_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / 'b.png').touch()
    (tmp_path / 'a.bin').touch()
    named = (tmp_path / 'b.png', tmp_path / 'a.bin')
    assert picture_files(named) == named


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'a.txt').touch()
    with pytest.raises(ImageError, match='holds no picture'):
        picture_files([tmp_path])
