// Copyright 2026 The trt_detector Authors
// SPDX-License-Identifier: Apache-2.0
//
// The few predictions of a raw head that score enough, picked on the device: of 8400 a few dozen
// are worth the copy to the host. Their values are copied as they are, so that the host decodes
// what it would have decoded of the whole.
//
// It includes nothing, so that nvcc, NVRTC and (with a few definitions) any C++ compiler take it.
// candidate_filter.py packs the structure: change it there, too.

// One output of a batch, and where its candidates go.
struct Plane {
  unsigned long long source;       // address of the first image's predictions
  unsigned long long counts;       // device: candidates of each image, zero at the start
  unsigned long long numbers;      // device: numbers of the candidates, a row an image
  unsigned long long host_counts;  // the same two, for the host
  unsigned long long host_numbers;
  unsigned long long host_values;  // values of the candidates, as many rows an image as predictions
  long long image_stride;          // in elements, as all strides
  long long value_stride;
  long long prediction_stride;
  int predictions;
  int values;  // of a prediction that are copied
  int first;   // the best of values first to last - 1 decides
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

// A thread for each prediction of each image. The candidates come in no certain order.
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
    // A NaN stays: no comparison with it is true.
    if (value > best || value != value) {
      best = value;
    }
  }
  // Not 'best >= least': a NaN is to be counted by the host.
  if (best < plane.least) {
    return;
  }
  int row = atomicAdd((int *)plane.counts + image, 1);
  ((int *)plane.numbers)[(long long)image * plane.predictions + row] = number;
}

// A few blocks for each image; they write to the host, neighboring threads side by side.
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
