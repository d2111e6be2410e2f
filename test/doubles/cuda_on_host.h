// Copyright 2026 The trt_detector Authors
// SPDX-License-Identifier: Apache-2.0
//
// Definitions that let a C++ compiler compile a CUDA source for the host.

#define __device__
#define __global__
#define __grid_constant__

struct Index {
  unsigned int x, y, z;
};
static thread_local Index blockIdx, threadIdx;
