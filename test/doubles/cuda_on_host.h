// Copyright 2026 The trt_detector Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a CUDA source needs to be a function of the host.

#define __device__
#define __global__
#define __grid_constant__

struct Index {
  unsigned int x, y, z;
};
static thread_local Index blockIdx, threadIdx;
