# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Box of one object in 3D."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ['Box3D']

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Box3D:
    """
    Box of one object, in meters.

    :param center: (3,) position of its center.
    :param rotation: (3, 3), its columns are the axes of the box.
    :param size: (3,) edges along these axes.
    :param covariance: (3, 3) of the center.
    """

    center: Floats
    rotation: Floats
    size: Floats
    covariance: Floats

    def transform(self, rotation: Floats, translation: Floats) -> Box3D:
        """
        Express the box in another frame.

        :param rotation: (3, 3) from this frame to the other.
        :param translation: (3,) origin of this frame in the other.
        """
        return replace(
            self,
            center=rotation @ self.center + translation,
            rotation=rotation @ self.rotation,
            covariance=rotation @ self.covariance @ rotation.T,
        )
