# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""End a launch with its process; for the launch files of this package."""

from __future__ import annotations

from typing import Any

__all__ = ['end_launch']


def end_launch(event: Any, context: Any) -> list[Any]:
    """
    Shut a launch down when a process exits; the on_exit action of the process.

    :param event: launch.events.process.ProcessExited.
    :param context: launch.LaunchContext.
    :return: actions.
    :raises RuntimeError: if the process failed, so that the launch fails, too.
    """
    from launch.actions import Shutdown

    if context.is_shutdown:
        return []
    if event.returncode != 0:
        raise RuntimeError(
            f'{event.process_name} exited with code {event.returncode}; see its log'
        )
    return [Shutdown(reason=f'{event.process_name} exited')]
