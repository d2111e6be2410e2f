// Copyright 2026 The trt_detector Authors
// SPDX-License-Identifier: Apache-2.0
//
// The kernel as a host function, compiled from the source that nvcc compiles.

#include <cmath>
#include <cstring>

#include "cuda_on_host.h"

static const Index blockDim = {32, 8, 1};

static unsigned short to_float16(float value) {
  _Float16 rounded = (_Float16)value;
  unsigned short bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  return bits;
}

#include KERNEL_SOURCE

extern "C" void letterbox_on_host(const Batch * batch, const Spec * spec, const unsigned * grid) {
  for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x) {
        for (threadIdx.y = 0; threadIdx.y < blockDim.y; ++threadIdx.y) {
          for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x) {
            letterbox(*batch, *spec);
          }
        }
      }
    }
  }
}
