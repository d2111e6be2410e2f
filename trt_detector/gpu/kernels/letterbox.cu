// Copyright 2026 The trt_detector Authors
// SPDX-License-Identifier: Apache-2.0
//
// Converts the bytes of image messages to the network's input in one pass: color conversion,
// bilinear resize, padding, scaling and layout. The arithmetic is that of OpenCV's 8-bit cvtColor
// and resize, so that the result equals that of CpuPreprocessor.
//
// It includes nothing, so that nvcc, NVRTC and (with a few definitions) any C++ compiler accept
// it. letterbox.py packs the structures: change both together.

enum Encoding { BGR8, RGB8, BGRA8, RGBA8, MONO8, UYVY, YUY2, NV12, NV21 };
enum Dtype { FLOAT32, FLOAT16, UINT8 };

// One image and its image buffer, the part of the input batch that it fills.
struct Job {
  unsigned long long source;  // address of the first row
  unsigned long long target;  // address of the image buffer
  long long chroma_offset;    // bytes from the first row to the chroma rows of NV12 and NV21
  int source_width;
  int source_height;
  int step;  // bytes from one row to the next
  int encoding;
  int resized_width;  // the resized image inside the image buffer
  int resized_height;
  int left;
  int top;
  int gathered;  // the source has only the two rows that each resized row reads
  int reserved;
};

const int MOST_JOBS = 32;

struct Batch {
  Job jobs[MOST_JOBS];
};

// Preprocessing that the network expects.
struct Spec {
  int width;
  int height;
  int channels;       // 1 or 3
  int channels_last;  // H, W, C instead of C, H, W
  int dtype;
  int rgb;          // channel order; BGR otherwise
  float pad_value;  // grey level
  float gain[3];    // a level v becomes v * gain + bias, in the network's channel order
  float bias[3];
};

// Position of a resized row or column between two source rows or columns.
struct Span {
  int first;
  int second;
  int first_weight;  // of 2048
  int second_weight;
};

struct Color {
  int b;
  int g;
  int r;
};

__device__ inline int clamp_to(int value, int low, int high) {
  return value < low ? low : (value > high ? high : value);
}

// OpenCV ignores the second column at the right edge; it only clamps rows to the image.
__device__ inline Span find_span(int index, int source_size, int resized_size, bool is_column) {
  // In integers: a coordinate of an 8K image would leave a float too few bits for the fraction.
  int denominator = 2 * resized_size;
  int numerator = (2 * index + 1) * source_size - resized_size;
  int position = numerator < 0 ? -1 : numerator / denominator;
  float fraction = float(numerator - position * denominator) / float(denominator);
  if (is_column && (position < 0 || position >= source_size - 1)) {
    fraction = 0.0f;
  }
  Span span;
  span.first = clamp_to(position, 0, source_size - 1);
  span.second = clamp_to(position + 1, 0, source_size - 1);
  span.first_weight = int(rintf((1.0f - fraction) * 2048.0f));
  span.second_weight = int(rintf(fraction * 2048.0f));
  return span;
}

__device__ inline Color from_yuv(int luma, int u, int v) {
  // ITU-R BT.601, limited range, with 20 fractional bits.
  int y = (luma > 16 ? luma - 16 : 0) * 1220542;
  const int half = 1 << 19;
  u -= 128;
  v -= 128;
  Color color;
  color.b = clamp_to((y + half + 2116026 * u) >> 20, 0, 255);
  color.g = clamp_to((y + half - 852492 * v - 409993 * u) >> 20, 0, 255);
  color.r = clamp_to((y + half + 1673527 * v) >> 20, 0, 255);
  return color;
}

// Pixel of a column in a row; chroma is the row of the second plane, if there is one.
__device__ inline Color read_pixel(
  const unsigned char * row, const unsigned char * chroma, int column, int encoding) {
  Color color;
  switch (encoding) {
    case BGR8:
    case BGRA8: {
      const unsigned char * pixel = row + (encoding == BGR8 ? 3 : 4) * column;
      color.b = pixel[0];
      color.g = pixel[1];
      color.r = pixel[2];
      return color;
    }
    case RGB8:
    case RGBA8: {
      const unsigned char * pixel = row + (encoding == RGB8 ? 3 : 4) * column;
      color.r = pixel[0];
      color.g = pixel[1];
      color.b = pixel[2];
      return color;
    }
    case UYVY: {
      const unsigned char * pair = row + 4 * (column >> 1);
      return from_yuv(pair[1 + 2 * (column & 1)], pair[0], pair[2]);
    }
    case YUY2: {
      const unsigned char * pair = row + 4 * (column >> 1);
      return from_yuv(pair[2 * (column & 1)], pair[1], pair[3]);
    }
    case NV12:
      return from_yuv(row[column], chroma[column & ~1], chroma[(column & ~1) + 1]);
    case NV21:
      return from_yuv(row[column], chroma[(column & ~1) + 1], chroma[column & ~1]);
    default:  // MONO8
      color.b = color.g = color.r = row[column];
      return color;
  }
}

__device__ inline int to_gray(Color color) {
  return (3735 * color.b + 19235 * color.g + 9798 * color.r + (1 << 14)) >> 15;
}

__device__ inline int blend(int top_left, int top_right, int low_left, int low_right,
                            const Span & columns, const Span & rows) {
  int top = top_left * columns.first_weight + top_right * columns.second_weight;
  int low = low_left * columns.first_weight + low_right * columns.second_weight;
  int sum = ((rows.first_weight * (top >> 4)) >> 16) + ((rows.second_weight * (low >> 4)) >> 16);
  return clamp_to((sum + 2) >> 2, 0, 255);
}

// Levels of one pixel of the resized image, in the network's channel order.
__device__ inline void sample(const Job & job, const Spec & spec, int x, int y, int levels[3]) {
  Span columns = find_span(x, job.source_width, job.resized_width, true);
  Span rows = find_span(y, job.source_height, job.resized_height, false);
  int first = job.gathered ? 2 * y : rows.first;
  int second = job.gathered ? 2 * y + 1 : rows.second;
  int first_chroma = job.gathered ? first : first >> 1;
  int second_chroma = job.gathered ? second : second >> 1;
  const unsigned char * base = (const unsigned char *)job.source;
  const unsigned char * luma[2] = {
    base + (long long)first * job.step, base + (long long)second * job.step};
  const unsigned char * chroma[2] = {
    base + job.chroma_offset + (long long)first_chroma * job.step,
    base + job.chroma_offset + (long long)second_chroma * job.step};
  Color a = read_pixel(luma[0], chroma[0], columns.first, job.encoding);
  Color b = read_pixel(luma[0], chroma[0], columns.second, job.encoding);
  Color c = read_pixel(luma[1], chroma[1], columns.first, job.encoding);
  Color d = read_pixel(luma[1], chroma[1], columns.second, job.encoding);
  if (spec.channels == 1) {
    bool gray = job.encoding == MONO8;
    levels[0] = gray ? blend(a.b, b.b, c.b, d.b, columns, rows)
                     : blend(to_gray(a), to_gray(b), to_gray(c), to_gray(d), columns, rows);
    return;
  }
  int blue = blend(a.b, b.b, c.b, d.b, columns, rows);
  int red = blend(a.r, b.r, c.r, d.r, columns, rows);
  levels[0] = spec.rgb ? red : blue;
  levels[1] = blend(a.g, b.g, c.g, d.g, columns, rows);
  levels[2] = spec.rgb ? blue : red;
}

#ifdef __CUDACC__
__device__ inline unsigned short to_float16(float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
#endif

__device__ inline void store(unsigned long long target, long long index, float level,
                             const Spec & spec, int channel) {
  if (spec.dtype == UINT8) {
    ((unsigned char *)target)[index] = (unsigned char)level;
    return;
  }
  float value = level * spec.gain[channel] + spec.bias[channel];
  if (spec.dtype == FLOAT16) {
    ((unsigned short *)target)[index] = to_float16(value);
  } else {
    ((float *)target)[index] = value;
  }
}

// One thread per pixel of an image buffer; blockIdx.z is the job.
extern "C" __global__ void letterbox(
  const __grid_constant__ Batch batch, const __grid_constant__ Spec spec) {
  const Job & job = batch.jobs[blockIdx.z];
  int x = blockIdx.x * blockDim.x + threadIdx.x;
  int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= spec.width || y >= spec.height) {
    return;
  }
  int inside_x = x - job.left;
  int inside_y = y - job.top;
  bool inside = inside_x >= 0 && inside_x < job.resized_width && inside_y >= 0 &&
                inside_y < job.resized_height;
  int levels[3];
  if (inside) {
    sample(job, spec, inside_x, inside_y, levels);
  }
  long long pixel = (long long)y * spec.width + x;
  long long plane = (long long)spec.width * spec.height;
#pragma unroll
  for (int channel = 0; channel < 3; ++channel) {
    if (channel < spec.channels) {
      long long index = spec.channels_last ? pixel * spec.channels + channel
                                           : channel * plane + pixel;
      store(job.target, index, inside ? float(levels[channel]) : spec.pad_value, spec, channel);
    }
  }
}
