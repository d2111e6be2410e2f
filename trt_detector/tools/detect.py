# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
# PYTHON_ARGCOMPLETE_OK
"""Detect objects in picture files, with the pipeline of the node and without a ROS graph."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
import sys
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..config import DetectorConfig
from ..errors import DecodeError, DetectorError, ImageError
from ..factory import create_detector
from ..image.drawing import draw_detections
from ..image.files import picture_files
from ..image.image import Image
from ..image.records import make_records
from ..pipeline import Detector
from ..regions.assign import assign_regions
from ..regions.camera_regions import CameraRegions
from ..regions.drawing import draw_regions
from ..values.detections import Detections
from ..values.engine_info import EngineInfo
from ..values.user_path import expand_user
from .command_line import (
    add_json_option,
    make_parser,
    parse_arguments,
    print_detector,
    print_logged_warnings,
    print_warnings,
    write_result,
)
from .options import (
    add_parameter_options,
    ENGINE_PARAMETERS,
    given_parameters,
    INPUT_PARAMETERS,
    REGION_PARAMETERS,
    SELECTION_PARAMETERS,
)

__all__ = ['main']

_NAMES = (
    *ENGINE_PARAMETERS,
    *INPUT_PARAMETERS,
    *SELECTION_PARAMETERS,
    *REGION_PARAMETERS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool.

    :param argv: arguments without the program's name; None takes the process's own.
    :return: 0 if every picture was read, 1 if one was not or the detector cannot start.
    """
    arguments = parse_arguments(_parser(), argv)
    with print_logged_warnings('detect') as logged:
        return _run(arguments, logged)


def _run(arguments: argparse.Namespace, logged: Sequence[str]) -> int:
    """
    Detect in the pictures and write the results.

    :param logged: warnings that the log has printed so far.
    :return: exit code.
    """
    try:
        pictures = _pictures(arguments.images)
        config = _config(arguments)
        # Pictures have no camera: its regions are those without an image topic.
        (regions,) = assign_regions(config, [()]) or (CameraRegions(),)
        detector = create_detector(config)
    except (DetectorError, OSError) as error:
        print(f'detect: {error}', file=sys.stderr)
        return 1
    with detector:
        printed = print_detector('detect', detector, logged)
        entries, failed = _detect_all(detector, pictures, regions, arguments.save_pictures)
        print_warnings('detect', detector, (*printed, *logged))
    if write_result('detect', arguments.json, entries):
        return 1
    if arguments.json != Path('-'):
        print('\n'.join(_lines(entries, failed, detector.info, arguments.json)))
    return 1 if failed else 0


def _lines(
    entries: Sequence[dict[str, Any]], failed: int, info: EngineInfo, file: Path | None
) -> Iterator[str]:
    """Format the summary; without a file for the result, all detections before it."""
    if file is None:
        for entry in entries:
            for row in entry['detections']:
                box = ' '.join(f'{edge:.1f}' for edge in row['bbox_xyxy'])
                yield f'{entry["file"]}: {row["class_name"]} {row["score"]:.3f} at {box}'
    found = sum(len(entry['detections']) for entry in entries)
    where = '' if file is None else f': {file}'
    yield (
        f'{len(entries)} pictures, {found} detections, {failed} unreadable or refused '
        f'({info.backend} {info.precision}){where}'
    )


def _parser() -> argparse.ArgumentParser:
    """Return the command line; options of the detector come from its parameters."""
    parser = make_parser(
        'detect',
        __doc__ or '',
        examples=[
            '--model model.onnx --images picture.jpg',
            '--model model.onnx --images pictures/ --save-pictures out/ --json out/result.json',
        ],
        exit_codes={
            0: 'every picture was read',
            1: 'a picture could not be read, or the detector cannot start',
        },
    )
    parser.add_argument(
        '--model', '--model-path', required=True, help='ONNX file, or a .engine or .plan file'
    )
    parser.add_argument(
        '--images', required=True, nargs='+', type=Path, help='a folder, or picture files'
    )
    add_json_option(parser)
    parser.add_argument(
        '--save-pictures', type=Path, metavar='DIR', help='write pictures with the boxes drawn'
    )
    add_parameter_options(parser, _NAMES)
    return parser


def _config(arguments: argparse.Namespace) -> DetectorConfig:
    """Return the parameters of the detector."""
    given = given_parameters(arguments, _NAMES)
    return DetectorConfig.from_mapping({'model_path': arguments.model, **given})


def _pictures(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """
    Return (name for the report, file) of every picture, in the order of the names.

    :raises ImageError: if a path is missing or nothing is left.
    """
    folders = {expand_user(path) for path in paths if expand_user(path).is_dir()}
    files = picture_files(paths)
    return sorted((f.name if f.parent in folders else str(f), f) for f in files)


def _detect_all(
    detector: Detector,
    pictures: Sequence[tuple[str, Path]],
    regions: CameraRegions,
    save_dir: Path | None,
) -> tuple[list[dict[str, Any]], int]:
    """Return the report's entries and the number of pictures without a result."""
    entries: list[dict[str, Any]] = []
    batches = _batches(pictures, detector.batch_size, one_size=detector.input_size_follows_images)
    for names, images in batches:
        parts = [regions.crop_image(image) for image in images]
        detector.fit_input_size(parts[0])
        for name, image, found in zip(
            names, images, _detect_batch(detector, names, parts), strict=True
        ):
            if found is None:
                continue
            size_wh = (image.width, image.height)
            found = regions.select(regions.restore(found, size_wh), size_wh)
            entries.append(_entry(name, image, found, detector.class_names))
            if save_dir is not None:
                pixels = draw_regions(image.to_bgr(), regions)
                _save(
                    save_dir / Path(name).name,
                    draw_detections(pixels, found, detector.class_names),
                )
    return entries, len(pictures) - len(entries)


def _detect_batch(
    detector: Detector, names: Sequence[str], images: Sequence[Image]
) -> list[Detections | None]:
    """Detect in a batch; None, reported on standard error, for an image with wrong outputs."""
    try:
        return list(detector.detect(images).detections)
    except DecodeError as error:
        if len(images) > 1:
            pairs = zip(names, images, strict=True)
            return [_detect_batch(detector, [name], [image])[0] for name, image in pairs]
        print(f'detect: no detections of {names[0]}: {error}', file=sys.stderr)
        return [None]


def _batches(
    pictures: Sequence[tuple[str, Path]], batch_size: int, *, one_size: bool
) -> Iterator[tuple[list[str], list[Image]]]:
    """
    Yield names and images in batches; report unreadable pictures on standard error.

    :param one_size: keep pictures of different sizes in different batches.
    """
    names: list[str] = []
    images: list[Image] = []
    for name, path in pictures:
        try:
            image = Image.from_file(path)
        except ImageError as error:
            print(f'detect: {error}', file=sys.stderr)
            continue
        changes = images and (image.width, image.height) != (images[0].width, images[0].height)
        if len(images) == batch_size or (one_size and changes):
            yield names, images
            names, images = [], []
        names.append(name)
        images.append(image)
    if images:
        yield names, images


def _entry(
    name: str, image: Image, found: Detections, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return the report's entry for one picture."""
    return {
        'file': name,
        'width': image.width,
        'height': image.height,
        'detections': make_records(found, class_names),
    }


def _save(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


if __name__ == '__main__':
    sys.exit(main())
