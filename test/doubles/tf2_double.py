# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Stand-in for tf2_ros, with the names that trt_detector uses and transforms set by hand."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

__all__ = ['Tf2Double']


class TransformException(Exception):  # noqa: N818 the name in tf2
    """Root of the errors of tf2."""


class LookupException(TransformException):
    """A frame does not exist."""


class Tf2Double(ModuleType):
    """
    Module with a buffer that knows the transforms in :attr:`transforms`.

    :param transforms: (target, source) to translation x, y, z and quaternion x, y, z, w.
    """

    TransformException = TransformException
    LookupException = LookupException

    def __init__(self, transforms: dict[tuple[str, str], tuple[float, ...]]) -> None:
        super().__init__('tf2_ros')
        self.transforms = transforms
        self.lookups: list[tuple[Any, float]] = []
        self.listeners: list[Any] = []
        double = self

        class Buffer:
            def lookup_transform(
                self, target_frame: str, source_frame: str, time: Any, timeout: Any
            ) -> Any:
                double.lookups.append((time, timeout.nanoseconds / 1e9))
                values = double.transforms.get((target_frame, source_frame))
                if values is None:
                    raise LookupException(f'"{target_frame}" passed to lookupTransform ...')
                x, y, z, *quaternion = values
                rotation = dict(zip('xyzw', quaternion, strict=True))
                return SimpleNamespace(
                    transform=SimpleNamespace(
                        translation=SimpleNamespace(x=x, y=y, z=z),
                        rotation=SimpleNamespace(**rotation),
                    )
                )

        class TransformListener:
            def __init__(self, buffer: Any, node: Any) -> None:
                assert isinstance(buffer, Buffer)
                self.is_open = True
                double.listeners.append(self)

            def unregister(self) -> None:
                self.is_open = False

        self.Buffer = Buffer
        self.TransformListener = TransformListener
