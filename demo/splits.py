# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The seeds of every set of scenes; no two ranges overlap."""

__all__ = [
    'CALIBRATION_SEEDS',
    'DISTANT_SEEDS',
    'PICTURE_SEEDS',
    'SEQUENCE_SEEDS',
    'TEST_SEEDS',
    'TRAIN_SEEDS',
    'VAL_SEEDS',
]

TRAIN_SEEDS = range(100_000)
VAL_SEEDS = range(1_000_000, 1_000_500)
TEST_SEEDS = range(2_000_000, 2_000_500)
PICTURE_SEEDS = range(3_000_000, 3_001_000)
CALIBRATION_SEEDS = range(4_000_000, 4_001_000)
"""Free for INT8 calibration; neither trained on nor measured."""
SEQUENCE_SEEDS = range(5_000_000, 5_001_000)
"""Those from index 10 to 19 measure trackers, and nothing was chosen on them."""
DISTANT_SEEDS = range(6_000_000, 6_001_000)
"""Distant objects; those from index 10 to 21 measure tiles; choose on others."""
