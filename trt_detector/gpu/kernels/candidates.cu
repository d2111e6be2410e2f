// Copyright 2026 The trt_detector Authors
// SPDX-License-Identifier: Apache-2.0
//
// Selects the predictions of a raw head that reach a minimum score: of 8400 only a few dozen need
// to be copied to the host. Their values are not changed, so that the host decodes the same
// detections as from the whole output.
//
// It includes nothing, so that nvcc, NVRTC and (with a few definitions) any C++ compiler accept
// it. candidates.py packs the structure: change both together.

// One output of a batch, and the buffers for its candidates.
struct Plane {
  unsigned long long source;       // address of the first image's predictions
  unsigned long long counts;       // device: number of candidates per image, zero at the start
  unsigned long long numbers;      // device: indexes of the candidates, one row per image
  unsigned long long host_counts;  // host: copies of both
  unsigned long long host_numbers;
  unsigned long long host_values;  // host: values of the candidates, one row per prediction
  long long image_stride;          // in elements, as all strides
  long long value_stride;
  long long prediction_stride;
  int predictions;
  int values;  // number of values per prediction to copy
  int first;   // the score is the maximum of values first to last - 1
  int last;
  int half;  // float16; float32 otherwise
  float least;
};

#ifdef __CUDACC__
__device__ inline float from_float16(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}
#endif

__device__ inline float load_value(const Plane & plane, long long index) {
  if (plane.half) {
    return from_float16(((const unsigned short *)plane.source)[index]);
  }
  return ((const float *)plane.source)[index];
}

// One thread per prediction and image. The candidates have no fixed order.
extern "C" __global__ void select_candidates(const __grid_constant__ Plane plane) {
  int number = blockIdx.x * blockDim.x + threadIdx.x;
  int image = blockIdx.y;
  if (number >= plane.predictions) {
    return;
  }
  long long index = image * plane.image_stride + number * plane.prediction_stride;
  float best = load_value(plane, index + plane.first * plane.value_stride);
  for (int i = plane.first + 1; i < plane.last; ++i) {
    float value = load_value(plane, index + i * plane.value_stride);
    // A NaN is kept: comparisons with it are false.
    if (value > best || value != value) {
      best = value;
    }
  }
  // Not 'best >= least': the host counts non-finite candidates.
  if (best < plane.least) {
    return;
  }
  int row = atomicAdd((int *)plane.counts + image, 1);
  ((int *)plane.numbers)[(long long)image * plane.predictions + row] = number;
}

// A few blocks per image; neighboring threads write neighboring values to host memory.
extern "C" __global__ void gather_candidates(const __grid_constant__ Plane plane) {
  int image = blockIdx.y;
  int count = ((const int *)plane.counts)[image];
  long long first_row = (long long)image * plane.predictions;
  for (int row = blockIdx.x; row < count; row += gridDim.x) {
    int number = ((const int *)plane.numbers)[first_row + row];
    long long index = image * plane.image_stride + number * plane.prediction_stride;
    for (int i = threadIdx.x; i < plane.values; i += blockDim.x) {
      long long source = index + i * plane.value_stride;
      long long target = (first_row + row) * plane.values + i;
      if (plane.half) {
        ((unsigned short *)plane.host_values)[target] =
          ((const unsigned short *)plane.source)[source];
      } else {
        ((float *)plane.host_values)[target] = ((const float *)plane.source)[source];
      }
    }
    if (threadIdx.x == 0) {
      ((int *)plane.host_numbers)[first_row + row] = number;
    }
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    ((int *)plane.host_counts)[image] = count;
  }
}
