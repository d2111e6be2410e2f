# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Drawn scenes with known boxes: six kinds of object that a mobile robot meets."""

from .depth import DepthObject, DepthScene, render_depth
from .distant import render_distant_scene
from .objects import CLASS_NAMES
from .scene import render_layers, render_scene, Scene, SceneObject

__all__ = [
    'CLASS_NAMES', 'DepthObject', 'DepthScene', 'render_depth', 'render_distant_scene',
    'render_layers', 'render_scene', 'Scene', 'SceneObject',
]  # fmt: skip
