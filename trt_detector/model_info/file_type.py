# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Recognition of model files by their first bytes."""

from __future__ import annotations

import codecs
from pathlib import Path
import stat
import zipfile

from ..errors import ModelError
from ..values.user_path import describe_start
from .plan_header import PLAN_MAGICS, split_plan_header

__all__ = ['describe_misnamed', 'is_onnx', 'is_plan']

_HEAD_BYTES = 1 << 20
_LARGEST_SAFETENSORS_HEADER = 100_000_000
_PLAN_SUFFIXES = ('.engine', '.plan', '.trt')
_ONNX_SUFFIX = '.onnx'
# The first field of an ONNX file is ir_version, a small number, and then a text, a number or the
# graph: producer_name, producer_version, domain, model_version, doc_string, graph, opset_import.
_IR_VERSION = b'\x08'
_LARGEST_IR_VERSION = 32
_NEXT_FIELDS = frozenset({0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42})
_EXPORT = 'export it to ONNX, e.g. with Ultralytics: yolo export model={name} format=onnx'
# First bytes, what they are, and the remedy.
_SIGNATURES = (
    (
        b'version https://git-lfs',
        'a Git LFS pointer, not the model itself',
        'run in its repository: git lfs pull',
    ),
    (b'\x80\x02', 'a pickled PyTorch file', _EXPORT),
    (b'\x80\x04', 'a pickled file', _EXPORT),
    (b'\x89HDF', 'a Keras file (HDF5)', 'convert it to ONNX with tf2onnx'),
    (b'\x1f\x8b', 'a gzip archive', 'unpack it and name the ONNX file'),
    (b'BZh', 'a bzip2 archive', 'unpack it and name the ONNX file'),
    (b'\xfd7zXZ', 'an xz archive', 'unpack it and name the ONNX file'),
    (b'7z\xbc\xaf', 'a 7z archive', 'unpack it and name the ONNX file'),
    (b'<?xml', 'an XML file, e.g. of OpenVINO', 'name the ONNX file that it was made from'),
    (b'RKNN', 'a model for Rockchip NPUs', 'name the ONNX file that it was made from'),
)


def is_plan(path: Path) -> bool:
    """
    Tell whether a file is a TensorRT plan; otherwise it may be an ONNX file.

    :raises ModelError: if it is missing or of a kind that cannot be used, with the remedy.
    """
    if not str(path) or str(path) == '.':
        raise ModelError('model_path is empty; set it to the ONNX file of a detector')
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ModelError(_describe_folder(path))
        if not stat.S_ISREG(mode):
            # Reading a pipe can wait for ever, and some devices never end.
            raise ModelError(
                f'model_path {path} is a pipe, socket or device; name a regular ONNX file'
            )
        with path.open('rb') as file:
            head = file.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:
        # ValueError: a null character in the name.
        place = describe_start(path)
        reason = getattr(error, 'strerror', None) or error
        raise ModelError(f'cannot read the model {path}{place}: {reason}') from error
    _, plan = split_plan_header(head)
    if plan.startswith(PLAN_MAGICS) or plan is not head:
        return True
    _refuse_foreign(path, head)
    return path.suffix.lower() in _PLAN_SUFFIXES and not is_onnx(head)


def is_onnx(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of an ONNX file."""
    return (
        head[:1] == _IR_VERSION
        and len(head) > 2
        and 1 <= head[1] <= _LARGEST_IR_VERSION
        and head[2] in _NEXT_FIELDS
    )


def describe_misnamed(path: Path, *, is_a_plan: bool) -> tuple[str, ...]:
    """
    Make the warning about a file whose name says another format than its content.

    :param path: the model or plan.
    :param is_a_plan: result of :func:`is_plan`.
    """
    suffix = path.suffix.lower()
    if is_a_plan and suffix == _ONNX_SUFFIX:
        return (f'{path.name} is a TensorRT plan by its content, not an ONNX file; rename it',)
    if not is_a_plan and suffix in _PLAN_SUFFIXES:
        return (f'{path.name} is an ONNX file by its content, not a TensorRT plan; rename it',)
    return ()


def _refuse_foreign(path: Path, head: bytes) -> None:
    """Raise ModelError for a file that is known to be no ONNX file and no plan."""
    for signature, kind, remedy in _SIGNATURES:
        if head.startswith(signature):
            raise ModelError(f'{path} is {kind}; {remedy.format(name=path.name)}')
    text = head.removeprefix(codecs.BOM_UTF8)[:512].lstrip().lower()
    if text.startswith((b'<!doctype', b'<html', b'<head', b'<!--')):
        raise ModelError(
            f'{path} is a web page (HTML), not a model; download it again: the address may need a '
            'login, or a link to the raw file'
        )
    if head[8:9] == b'{' and int.from_bytes(head[:8], 'little') <= _LARGEST_SAFETENSORS_HEADER:
        raise ModelError(
            f'{path} has weights without a network (safetensors); export the model to ONNX, e.g. '
            'with: optimum-cli export onnx'
        )
    if head[4:8] == b'ORTM':
        raise ModelError(
            f'{path} is in the ORT format; name the ONNX file that it was converted from'
        )
    if head[4:8] == b'TFL3':
        raise ModelError(f'{path} is a TensorFlow Lite file; convert it to ONNX with tf2onnx')
    if head.startswith(b'PK\x03\x04'):
        raise ModelError(f'{path} is {_describe_zip(path)}')


def _describe_zip(path: Path) -> str:
    """Describe a ZIP archive by its members, with the remedy."""
    export = _EXPORT.format(name=path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return f'a damaged ZIP archive, e.g. an incomplete .pt file; copy it again, then {export}'
    if any('/code/' in f'/{name}' for name in names) or any(
        name.endswith('constants.pkl') for name in names
    ):
        return f'a TorchScript file; {export} from the PyTorch model'
    if any(name.endswith('data.pkl') for name in names):
        return f'a PyTorch checkpoint; {export}'
    if any(name.endswith('.keras') or name == 'model.weights.h5' for name in names):
        return 'a Keras file; convert it to ONNX with tf2onnx'
    models = [name for name in names if name.endswith('.onnx')]
    found = f' ({", ".join(models[:3])})' if models else ''
    return f'a ZIP archive; unpack it and name the ONNX file{found}'


def _describe_folder(path: Path) -> str:
    """Describe a folder by its content, with the remedy."""
    if (path / 'saved_model.pb').is_file():
        return (
            f'model_path {path} is a TensorFlow SavedModel; convert it: python -m tf2onnx.convert '
            f'--saved-model {path} --output {path.name}.onnx'
        )
    models = sorted(file.name for file in path.glob('*.onnx'))
    found = f': {", ".join(models[:5])}' if models else ''
    return f'model_path {path} is a folder; name an ONNX file in it{found}'
