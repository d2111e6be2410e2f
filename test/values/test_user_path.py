# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test paths that cannot be resolved."""

from __future__ import annotations

from pathlib import Path
import pwd

import pytest
from trt_detector.errors import ConfigError, ModelError
from trt_detector.model_info import read_model_info
from trt_detector.values.user_path import describe_start, expand_user


def test_home_folder_replaces_the_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', '/home/me')
    assert expand_user('~/m.onnx') == Path('/home/me/m.onnx')
    assert expand_user(Path('a~/m.onnx')) == Path('a~/m.onnx')


def test_unknown_user_is_named() -> None:
    with pytest.raises(ConfigError, match=r'^~nobody-here/m\.onnx cannot .*: ~nobody-here has no'):
        expand_user('~nobody-here/m.onnx')


def test_user_without_a_home_folder_is_told_to_give_a_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run as a container does whose user id is not in its /etc/passwd."""

    def refuse(_uid: int) -> None:
        raise KeyError

    monkeypatch.delenv('HOME')
    monkeypatch.setattr(pwd, 'getpwuid', refuse)
    with pytest.raises(ConfigError, match='~ has no home folder; give a path that starts with /'):
        expand_user('~/m.onnx')


def test_start_of_a_relative_path_is_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert describe_start(Path('m.onnx')) == f' (the working directory is {tmp_path})'
    assert describe_start(tmp_path) == ''


def test_working_directory_that_was_deleted_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / 'gone'
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(ModelError, match=r'\(the working directory was deleted\): No such'):
        read_model_info(Path('m.onnx'))
