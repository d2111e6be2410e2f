# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Window that shows the newest image with its detections."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .children import DemoError

__all__ = ['DemoWindow']

_SIZE = (1280, 720)


class DemoWindow:
    """
    Window of the demo; belongs to the thread that created it.

    :raises DemoError: if there is no display or pygame is missing.
    """

    def __init__(self) -> None:
        displays = ('DISPLAY', 'WAYLAND_DISPLAY', 'SDL_VIDEODRIVER')
        if not any(os.environ.get(name) for name in displays):
            raise DemoError(
                '--show needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set; leave '
                '--show out and look at the images in --output'
            )
        os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
        try:
            import pygame
        except ImportError as error:
            raise DemoError(f'--show needs pygame: pip install pygame-ce ({error})') from error
        self._pygame: Any = pygame
        try:
            pygame.display.init()
            self._screen = pygame.display.set_mode(_SIZE, pygame.RESIZABLE)
        except pygame.error as error:
            raise DemoError(f'--show cannot open a window: {error}') from error
        pygame.display.set_caption('trt_detector')

    def show(self, image_bgr: npt.NDArray[np.uint8]) -> None:
        """Show an image, scaled to the window; uint8 (height, width, 3) in BGR order."""
        width, height = self._screen.get_size()
        scale = min(width / image_bgr.shape[1], height / image_bgr.shape[0])
        size = (max(1, int(image_bgr.shape[1] * scale)), max(1, int(image_bgr.shape[0] * scale)))
        rgb = cv2.cvtColor(cv2.resize(image_bgr, size), cv2.COLOR_BGR2RGB)
        surface = self._pygame.image.frombuffer(rgb.tobytes(), size, 'RGB')
        self._screen.fill((0, 0, 0))
        self._screen.blit(surface, ((width - size[0]) // 2, (height - size[1]) // 2))
        self._pygame.display.flip()

    def is_closed(self) -> bool:
        """Return whether the user closed the window."""
        return any(event.type == self._pygame.QUIT for event in self._pygame.event.get())

    def close(self) -> None:
        self._pygame.display.quit()
