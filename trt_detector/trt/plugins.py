# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Plugins of TensorRT and plugin libraries of the user."""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
import logging
from pathlib import Path
from typing import Any

from ..errors import BackendUnavailableError, ConfigError
from ..values.regular_file import open_regular, read_hashed
from ..values.user_path import expand_user
from .library import TensorRTLibrary

__all__ = ['hash_plugins', 'load_plugins']

_LOG = logging.getLogger(__name__)

# Libraries for IPluginRegistry export one of these; others register their plugins on loading.
_CREATOR_FUNCTIONS = ('getCreators', 'getPluginCreators')
_LOADED: set[tuple[str, str]] = set()


def load_plugins(library: TensorRTLibrary, logger: Any, libraries: Sequence[str]) -> None:
    """
    Register the plugins of TensorRT and of plugin libraries, each once per process.

    :param library: the TensorRT library.
    :param logger: its ILogger.
    :param libraries: paths of plugin libraries.
    :raises BackendUnavailableError: if TensorRT cannot register its own plugins.
    :raises ConfigError: if one cannot be loaded, or the TensorRT library supports no plugins.
    """
    if not library.has_plugins:
        if libraries:
            raise ConfigError(
                f'plugin_libraries is {list(libraries)}, but {library.label} supports no '
                'plugins; set backend to tensorrt, or leave plugin_libraries empty'
            )
        return
    if not library.trt.init_libnvinfer_plugins(logger, ''):
        raise BackendUnavailableError(
            f'{library.label} cannot register its plugins; install libnvinfer_plugin of the same '
            'version'
        )
    for name in libraries:
        path = str(expand_user(name))
        if (library.name, path) not in _LOADED:
            _load(library, path)
            _LOADED.add((library.name, path))


def hash_plugins(libraries: Sequence[str]) -> tuple[str, ...]:
    """
    Return the SHA-256 of each plugin library.

    :raises ConfigError: if one cannot be read.
    """
    hashes = []
    for library in libraries:
        try:
            with open_regular(expand_user(library)) as file:
                hashes.append(read_hashed(file).sha256)
        except OSError as error:
            raise ConfigError(
                f'plugin_libraries names {library!r}, which cannot be read: {error.strerror}; '
                'name the .so file'
            ) from error
    return tuple(hashes)


def _load(library: TensorRTLibrary, path: str) -> None:
    """Load a plugin library and register its plugins."""
    # The loader would wait for a pipe for ever. A name that is no path is searched by it.
    if Path(path).exists() and not Path(path).is_file():
        raise ConfigError(
            f'plugin_libraries names {path!r}, which is a folder, pipe, socket or device; name '
            'the .so file'
        )
    try:
        plugins = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ConfigError(
            f'plugin_libraries names {path!r}, which cannot be loaded: {error}; was it built for '
            f'this machine and {library.label}?'
        ) from error
    if any(hasattr(plugins, name) for name in _CREATOR_FUNCTIONS):
        registry = library.trt.get_plugin_registry()
        # Also none if the library has just registered a plugin itself: that is not an error, and
        # a plugin that is really missing is one when the model or the plan is read.
        if registry.load_library(path) is None:
            _LOG.warning(
                '%s registers no plugin of %s, a library of plugin_libraries; if the operators of '
                'the model are missing now, build the library for this version of TensorRT',
                library.label,
                path,
            )
