# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Files of parameters that are pipes, devices, sockets, folders or huge: refused by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
import threading
from typing import Any

from doubles.machine import machine
import pytest
from support.models import lamp_detector
from support.special_files import KINDS, make
from trt_detector.config import DetectorConfig
from trt_detector.errors import (
    BagError,
    CalibrationCacheError,
    ConfigError,
    DetectorError,
    ImageError,
    ModelError,
)
from trt_detector.factory import create_detector
from trt_detector.image import Image
from trt_detector.image.files import picture_files
from trt_detector.model_info import read_model_info
from trt_detector.model_info.metadata_files import read_metadata_files
from trt_detector.model_info.text_files import read_text
from trt_detector.plan import read_plan_key, read_prebuilt_plan
from trt_detector.quantize import read_calibration_cache
from trt_detector.regions.ignore_mask import IgnoreMask
from trt_detector.ros.parameter_files import find_unmatched_files, find_unreadable_lists
from trt_detector.tools.bag.storage_files import find_storage_files
from trt_detector.trt.library import load_library
from trt_detector.trt.plugins import hash_plugins, load_plugins


def catch(run: Callable[[], Any]) -> BaseException | None:
    """Run in a thread, and return the error; fail if it does not end, as a read of a pipe does."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            run()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), 'it waits for the file'
    return errors[0] if errors else None


def load_one_plugin(path: Path) -> None:
    with machine('tensorrt-10.3'):
        load_plugins(load_library('tensorrt'), None, [str(path)])


def open_model(path: Path) -> None:
    config = DetectorConfig(model_path=str(path), backend='onnxruntime', warmup_iterations=0)
    create_detector(config).close()


READERS: dict[str, tuple[Callable[[Path], Any], type[DetectorError]]] = {
    'calib_cache_path': (read_calibration_cache, CalibrationCacheError),
    'plugin_libraries, hash': (lambda path: hash_plugins([str(path)]), ConfigError),
    'plugin_libraries, load': (load_one_plugin, ConfigError),
    'model_path': (open_model, ModelError),
    'model_path, described': (read_model_info, ModelError),
    'model_path, plan': (read_prebuilt_plan, DetectorError),
    'plan_key_path': (lambda path: read_plan_key(str(path)), DetectorError),
    'metadata file': (read_text, ModelError),
    'ignore_mask': (lambda path: IgnoreMask(str(path)), ConfigError),
    'picture': (Image.from_file, ImageError),
    'picture of a tool': (lambda path: picture_files([path]), ImageError),
}


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('reader', READERS)
def test_file_of_a_parameter_that_is_no_regular_one_is_refused(
    reader: str, kind: str, tmp_path: Path
) -> None:
    path = make(kind, tmp_path / 'file')
    read, expected = READERS[reader]
    error = catch(lambda: read(path))
    assert isinstance(error, expected), error
    assert str(path) in str(error)


@pytest.mark.parametrize('kind', KINDS)
def test_files_beside_a_model_that_are_no_regular_ones_are_left_alone(
    kind: str, tmp_path: Path
) -> None:
    model = lamp_detector(tmp_path / 'm.onnx')
    for name in ('m.yaml', 'labels.txt', 'config.json', 'preprocessor_config.json'):
        make(kind, tmp_path / name)
    assert catch(lambda: read_metadata_files(model)) is None
    assert catch(lambda: open_model(model)) is None


def test_parameter_file_that_is_a_pipe_is_left_to_ros(tmp_path: Path) -> None:
    arguments = ['--ros-args', '--params-file', str(make('pipe', tmp_path / 'p.yaml'))]
    assert catch(lambda: find_unmatched_files(arguments, '/detector')) is None
    assert catch(lambda: find_unreadable_lists(arguments)) is None


def sparse(path: Path, size: int) -> Path:
    """Make a file of a size that takes no space on the disk."""
    with path.open('wb') as file:
        file.truncate(size)
    return path


def test_calibration_cache_beyond_its_limit_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = sparse(tmp_path / 'big.calib', 1 << 40)
    with pytest.raises(CalibrationCacheError, match=f'it has {1 << 40} bytes; expected 16777216'):
        read_calibration_cache(path)


def test_onnx_file_beyond_the_limit_of_protobuf_is_refused_unread(tmp_path: Path) -> None:
    path = sparse(tmp_path / 'big.onnx', (1 << 31) + 5)
    with pytest.raises(ModelError, match=r'has 2\.0 GiB; the maximum of an ONNX file is 2 GiB'):
        read_model_info(path)


def test_picture_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = sparse(tmp_path / 'big.png', 1 << 40)
    with pytest.raises(ImageError, match=f'it has {1 << 40} bytes; expected {1 << 30} or less'):
        Image.from_file(path)


@pytest.mark.parametrize('kind', ['pipe', 'device', 'socket'])
@pytest.mark.parametrize('suffix', ['mcap', 'db3'])
def test_bag_that_is_no_regular_file_is_refused(suffix: str, kind: str, tmp_path: Path) -> None:
    path = make(kind, tmp_path / f'bag.{suffix}')
    error = catch(lambda: find_storage_files(path))
    assert isinstance(error, BagError), error
    assert str(path) in str(error)


NOBODY = '~nobody-here/file'
TOOLS = {'calibrate': 'trt_detector.tools.calibrate.main'}


@pytest.mark.parametrize(
    'values',
    [
        {'model_path': NOBODY},
        {'engine_cache_dir': NOBODY},
        {'plan_key_path': NOBODY},
        {'precision': 'int8', 'calib_cache_path': NOBODY},
        {'plugin_libraries': [NOBODY]},
    ],
    ids=lambda values: list(values)[-1],
)
def test_home_folder_of_an_unknown_user_is_refused(values: dict[str, Any], tmp_path: Path) -> None:
    model = str(lamp_detector(tmp_path / 'm.onnx'))
    config = DetectorConfig.from_mapping({'model_path': model, 'backend': 'tensorrt', **values})
    with machine('tensorrt-10.3'), pytest.raises(ConfigError, match='~nobody-here has no home'):
        create_detector(config).close()


def test_ignore_mask_of_an_unknown_user_is_refused() -> None:
    with pytest.raises(ConfigError, match='~nobody-here has no home folder'):
        IgnoreMask(NOBODY)


@pytest.mark.parametrize(
    'arguments',
    [
        ['build_engine', '--model', 'm.onnx', '--output', NOBODY],
        ['build_engine', '--model', NOBODY],
        ['inspect_engine', NOBODY],
        ['calibrate', '--model', NOBODY, '--output', 'x.calib', '--images', '.'],
        ['detect', '--model', 'm.onnx', '--images', NOBODY],
        ['evaluate', '--model', NOBODY, '--data', '.'],
    ],
    ids=lambda arguments: ' '.join(arguments[:2]),
)
def test_tool_refuses_the_home_folder_of_an_unknown_user(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    program, *rest = arguments
    main = import_module(TOOLS.get(program, f'trt_detector.tools.{program}')).main
    try:
        code = main(rest)
    except SystemExit as end:
        code = end.code
    assert code in (1, 2)
    assert '~nobody-here has no home folder; give a path' in capsys.readouterr().err
