# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Built plans on disk: their keys, manifests and store."""

from __future__ import annotations

from .key import DeviceKey, get_engine_filename, PlanKey
from .manifest import BuiltPlan, Manifest, PRECISIONS, StoredPlan
from .store import default_cache_dir, find_cache_dir, PlanStore, read_prebuilt_plan

__all__ = [
    'PRECISIONS',
    'BuiltPlan',
    'DeviceKey',
    'Manifest',
    'PlanKey',
    'PlanStore',
    'StoredPlan',
    'default_cache_dir',
    'find_cache_dir',
    'get_engine_filename',
    'read_prebuilt_plan',
]
