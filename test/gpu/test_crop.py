# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detect in a part of an image, on doubles of a GPU machine and on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.detectors import assert_same, config, device, means_model, on_cpu, pictures
from trt_detector.factory import create_detector
from trt_detector.image.image import Image
from trt_detector.regions.camera_regions import CameraRegions
from trt_detector.regions.region import parse_region

REGIONS = CameraRegions(include=(parse_region('include .2,.3 .9,.3 .9,.8'),), crop=True)


@pytest.mark.parametrize('kind', ['onnxruntime', 'tensorrt-10.13'])
def test_parts_give_on_the_device_what_they_give_on_the_cpu(kind: str, tmp_path: Path) -> None:
    model = means_model(tmp_path)
    images = pictures()
    parts = [REGIONS.crop_image(image) for image in images]
    expected = on_cpu(model, tmp_path, parts)
    with (
        device(kind) as (_, backend),
        create_detector(config(model, tmp_path, backend=backend)) as detector,
    ):
        for image, part, wanted in zip(images, parts, expected, strict=True):
            assert part.width < image.width
            found = detector.detect([part]).detections[0]
            assert_same(found, wanted)


def test_boxes_of_a_part_are_those_of_its_pixels_shifted_by_its_corner(tmp_path: Path) -> None:
    model = means_model(tmp_path)
    for image in pictures():
        left, top, right, bottom = REGIONS.find_crop((image.width, image.height)) or (0,) * 4
        # The same pixels cut out by hand, as a bgr8 image of their own.
        pixels = REGIONS.crop_image(image).to_bgr()
        by_hand = Image.from_array(np.ascontiguousarray(pixels))
        assert (by_hand.width, by_hand.height) == (right - left, bottom - top)
        (expected,) = on_cpu(model, tmp_path, [by_hand])
        (found,) = on_cpu(model, tmp_path, [REGIONS.crop_image(image)])
        restored = REGIONS.restore(found, (image.width, image.height))
        shift = np.array([left, top, left, top])
        np.testing.assert_allclose(restored.boxes_xyxy, expected.boxes_xyxy + shift, atol=1e-3)
        assert (restored.boxes_xyxy[:, :2] >= shift[:2]).all()
