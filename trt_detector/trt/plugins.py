# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's own plugins and the user's plugin libraries."""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
import hashlib
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .library import TensorRTLibrary

__all__ = ['hash_plugins', 'load_plugins']

# Libraries for the registry's own loading have one of these; others register when they are loaded.
_CREATOR_FUNCTIONS = ('getCreators', 'getPluginCreators')
_LOADED: set[tuple[str, str]] = set()


def load_plugins(library: TensorRTLibrary, logger: Any, libraries: Sequence[str]) -> None:
    """
    Register TensorRT's plugins and those of the libraries, each once in this process.

    :param libraries: paths of shared libraries.
    :raises ConfigError: if one cannot be loaded, or this library has no plugins.
    """
    if not library.has_plugins:
        if libraries:
            raise ConfigError(
                f'plugin_libraries is {list(libraries)}, but {library.label} has no plugins; use '
                'backend tensorrt, or leave it empty'
            )
        return
    library.trt.init_libnvinfer_plugins(logger, '')
    for name in libraries:
        path = str(Path(name).expanduser())
        if (library.name, path) not in _LOADED:
            _load(library, path)
            _LOADED.add((library.name, path))


def hash_plugins(libraries: Sequence[str]) -> tuple[str, ...]:
    """
    Return the SHA-256 of each library.

    :raises ConfigError: if one cannot be read.
    """
    hashes = []
    for library in libraries:
        try:
            data = Path(library).expanduser().read_bytes()
        except OSError as error:
            raise ConfigError(
                f'plugin_libraries names {library!r}, which cannot be read: {error.strerror}'
            ) from error
        hashes.append(hashlib.sha256(data).hexdigest())
    return tuple(hashes)


def _load(library: TensorRTLibrary, path: str) -> None:
    """Load one library and register what is in it."""
    try:
        plugins = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ConfigError(
            f'plugin_libraries names {path!r}, which cannot be loaded: {error}; was it built for '
            f'this machine and {library.label}?'
        ) from error
    if any(hasattr(plugins, name) for name in _CREATOR_FUNCTIONS):
        registry = library.trt.get_plugin_registry()
        registry.load_library(path)
