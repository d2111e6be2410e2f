# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Labeled data sets in COCO or YOLO format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..image.files import picture_files
from ..values.user_path import expand_user

__all__ = ['DataSet', 'Sample', 'read_data_set']

Boxes = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """
    A picture and its labeled objects.

    :param path: the file.
    :param boxes_xyxy: (n, 4), in pixels, or as shares of width and height if relative.
    :param class_ids: (n,), class ids of the data set.
    :param crowd: (n,), True for a region of many objects, which is ignored.
    :param relative: whether the boxes are shares of width and height.
    """

    path: Path
    boxes_xyxy: Boxes
    class_ids: npt.NDArray[np.int64]
    crowd: npt.NDArray[np.bool_]
    relative: bool = False

    def boxes_in(self, width: int, height: int) -> Boxes:
        """Return the boxes in pixels of a picture of this size."""
        if not self.relative:
            return self.boxes_xyxy
        return self.boxes_xyxy * np.array((width, height) * 2, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """
    Labeled pictures.

    :param name: shown in reports.
    :param class_names: by class id.
    :param samples: the pictures.
    """

    name: str
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]


def read_data_set(
    path: Path, images: Path | None = None, class_names: Sequence[str] = ()
) -> DataSet:
    """
    Read a data set.

    :param path: COCO annotations (.json); or, in YOLO format, data.yaml or a folder with the
        folders images and labels.
    :param images: folder of the pictures if they are not beside the annotations.
    :param class_names: of the model; COCO categories and the names in data.yaml are matched to
        them, and YOLO class numbers index them if there is no data.yaml.
    :raises ConfigError: if it cannot be read, with the file and line.
    """
    path = expand_user(path)
    if not path.exists():
        raise ConfigError(f'data set {path} does not exist; check --data')
    if path.is_file() and path.suffix == '.json':
        return _read_coco(path, images or path.parent, class_names)
    if path.is_file() and path.suffix in ('.yaml', '.yml'):
        return _renumbered(_read_yolo_yaml(path), class_names)
    if path.is_dir():
        return _read_yolo(path.name, images or path / 'images', class_names)
    raise ConfigError(
        f'data set {path} is neither a .json (COCO), nor a data.yaml or a folder with images and '
        'labels (YOLO)'
    )


def _read_coco(path: Path, folder: Path, class_names: Sequence[str]) -> DataSet:
    """Read a data set in COCO format."""
    try:
        truth: Any = json.loads(path.read_text(encoding='utf-8'))
        categories = {int(c['id']): str(c['name']) for c in truth['categories']}
        names = tuple(class_names) or tuple(categories[key] for key in sorted(categories))
        ids = {key: names.index(name) for key, name in categories.items() if name in names}
        rows: dict[int, list[Any]] = {int(image['id']): [] for image in truth['images']}
        for annotation in truth['annotations']:
            if int(annotation['category_id']) in ids:
                rows[int(annotation['image_id'])].append(annotation)
        files = {int(image['id']): folder / image['file_name'] for image in truth['images']}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f'data set {path} is not in the format of COCO annotations: {error!r}; expected '
            'images, annotations and categories'
        ) from error
    if not ids:
        raise ConfigError(
            f'no category of {path} ({", ".join(categories.values())}) is a class of the model '
            f'({", ".join(names)}); give the names with --class-names'
        )
    samples = tuple(_coco_sample(files[key], found, ids) for key, found in rows.items())
    return _checked(DataSet(path.stem, names, samples))


def _coco_sample(path: Path, rows: Sequence[Any], ids: Mapping[int, int]) -> Sample:
    """Return a sample of a data set in COCO format."""
    boxes = np.array([row['bbox'] for row in rows], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Sample(
        path,
        boxes,
        np.array([ids[int(row['category_id'])] for row in rows], np.int64),
        np.array([bool(row.get('iscrowd', 0)) for row in rows], bool),
    )


def _read_yolo_yaml(path: Path) -> DataSet:
    """Read the validation part of a data set that a data.yaml describes."""
    import yaml

    try:
        values: Any = yaml.safe_load(path.read_text(encoding='utf-8'))
        names = values['names']
        part = values.get('val') or values.get('test') or values['train']
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"data set {path} cannot be used: {error!r}; expected 'names' and 'val'"
        ) from error
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names)]
    root = path.parent / str(values.get('path') or '')
    return _read_yolo(path.stem, root / str(part), tuple(map(str, names)))


def _renumbered(data: DataSet, class_names: Sequence[str]) -> DataSet:
    """Return a data set with the class ids of the model, matched by name."""
    if not class_names or data.class_names == tuple(class_names):
        return data
    unknown = [name for name in data.class_names if name not in class_names]
    if unknown:
        raise ConfigError(
            f'data set {data.name} has classes that the model lacks: {", ".join(unknown)}; the '
            f'model has {", ".join(class_names)}; give the names with --class-names'
        )
    ids = np.array([class_names.index(name) for name in data.class_names], np.int64)
    samples = tuple(replace(s, class_ids=ids[s.class_ids]) for s in data.samples)
    return DataSet(data.name, tuple(class_names), samples)


def _read_yolo(name: str, images: Path, class_names: Sequence[str]) -> DataSet:
    """Read a data set in YOLO format: labels/x.txt for images/x.jpg."""
    if not images.is_dir():
        raise ConfigError(
            f'data set {name}: {images} is not a folder of pictures; check --images, or val in '
            'data.yaml'
        )
    labels = images.parent / 'labels'
    if not labels.is_dir():
        # images/val and labels/val
        labels = images.parent.parent / 'labels' / images.name
    if not labels.is_dir():
        raise ConfigError(
            f'data set {name}: no folder labels beside {images}; expected labels/x.txt for '
            'images/x.jpg'
        )
    samples = []
    for picture in picture_files([images]):
        file = labels / f'{picture.stem}.txt'
        rows = list(_label_rows(file, len(class_names))) if file.is_file() else []
        samples.append(
            Sample(
                picture,
                np.array([box for _, box in rows], np.float64).reshape(-1, 4),
                np.array([number for number, _ in rows], np.int64),
                np.zeros(len(rows), bool),
                relative=True,
            )
        )
    return _checked(DataSet(name, tuple(class_names), tuple(samples)))


def _label_rows(file: Path, classes: int) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Yield class and box of each line: class, center, size; or class and a polygon."""
    for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), start=1):
        if not line.strip():
            continue
        try:
            first, *values = (float(text) for text in line.split())
        except ValueError as error:
            raise ConfigError(f'{file} line {number}: {error}') from error
        if not first.is_integer() or not 0 <= first < (classes or first + 1):
            raise ConfigError(
                f'{file} line {number}: class is {first:g}; expected 0 to {classes - 1}'
            )
        if len(values) == 4:
            x, y, width, height = values
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        elif len(values) >= 6 and len(values) % 2 == 0:
            box = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
        else:
            raise ConfigError(
                f'{file} line {number}: {len(values)} numbers after the class; expected 4 (a box) '
                'or pairs (a polygon)'
            )
        yield int(first), box


def _checked(data: DataSet) -> DataSet:
    """Refuse a data set without pictures or boxes, or whose pictures are missing."""
    missing = [sample.path for sample in data.samples if not sample.path.is_file()]
    if missing:
        raise ConfigError(
            f'data set {data.name}: {len(missing)} of {len(data.samples)} pictures are missing, '
            f'e.g. {missing[0]}; name their folder with --images'
        )
    if not any(len(sample.class_ids) for sample in data.samples):
        raise ConfigError(
            f'data set {data.name} has {len(data.samples)} pictures and no labeled box'
        )
    return data
