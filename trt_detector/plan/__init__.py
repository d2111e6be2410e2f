# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Built plans on disk: their keys, manifests and store."""

from __future__ import annotations

from .key import DeviceKey, get_engine_filename, PlanKey
from .manifest import BuiltPlan, Manifest, PRECISIONS, StoredPlan
from .plan_hmac import hmac_path, PlanHmac, read_plan_key
from .store import find_cache_dir, PlanStore, read_plan_file, read_prebuilt_plan

__all__ = [
    'PRECISIONS',
    'BuiltPlan',
    'DeviceKey',
    'Manifest',
    'PlanHmac',
    'PlanKey',
    'PlanStore',
    'StoredPlan',
    'find_cache_dir',
    'get_engine_filename',
    'hmac_path',
    'read_plan_file',
    'read_plan_key',
    'read_prebuilt_plan',
]
