# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""launch and launch_ros for the tests: installed, or imported from checkouts of their sources."""

from __future__ import annotations

import os
from pathlib import Path
import sys
import types

__all__ = ['import_launch', 'source_folders']

MISSING = (
    'launch and launch_ros are missing: they come with ROS 2 (ros-$ROS_DISTRO-launch-ros); '
    'otherwise run scripts/test.sh --with-ros-sources DIR, with checkouts of ros2/launch and '
    'ros2/launch_ros in DIR'
)


def source_folders() -> list[str]:
    """List the folders of the Python packages under TRT_DETECTOR_ROS_SOURCES."""
    root = os.environ.get('TRT_DETECTOR_ROS_SOURCES', '')
    files = sorted(Path(root).glob('*/*/package.xml')) if root else []
    return [str(file.parent) for file in files if (file.parent / file.parent.name).is_dir()]


def import_launch() -> str:
    """Make launch and launch_ros importable; return the reason if that is impossible."""
    for folder in source_folders():
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        import composition_interfaces.srv  # noqa: F401
    except ImportError:
        # launch_ros names these types in annotations; nothing here loads components.
        service = types.SimpleNamespace(Request=object, Response=object)
        package = types.ModuleType('composition_interfaces')
        package.srv = types.ModuleType('composition_interfaces.srv')  # type: ignore[attr-defined]
        package.srv.LoadNode = service
        sys.modules['composition_interfaces'] = package
        sys.modules['composition_interfaces.srv'] = package.srv
    try:
        import launch_ros.actions  # noqa: F401
    except ImportError as error:
        return f'{MISSING} ({error})'
    return ''
