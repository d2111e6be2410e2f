// Copyright 2026 The trt_detector Authors
// SPDX-License-Identifier: Apache-2.0
//
// The kernels as host functions, compiled from the source that nvcc compiles.

#include <cstring>

#include "cuda_on_host.h"

static thread_local Index blockDim, gridDim;

static float from_float16(unsigned short bits) {
  _Float16 value;
  std::memcpy(&value, &bits, sizeof value);
  return (float)value;
}

static int atomicAdd(int * address, int value) {
  int old = *address;
  *address += value;
  return old;
}

#include KERNEL_SOURCE

// Blocks run last to first: no kernel may depend on their order.
template <class Kernel>
static void run(Kernel kernel, const Plane & plane, const unsigned * grid, const unsigned * block) {
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y) {
    for (unsigned x = grid[0]; x-- > 0;) {
      blockIdx.x = x;
      for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x) {
        kernel(plane);
      }
    }
  }
}

extern "C" void select_candidates_on_host(
  const Plane * plane, const unsigned * grid, const unsigned * block) {
  run(select_candidates, *plane, grid, block);
}

extern "C" void gather_candidates_on_host(
  const Plane * plane, const unsigned * grid, const unsigned * block) {
  run(gather_candidates, *plane, grid, block);
}
