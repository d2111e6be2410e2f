// Copyright 2026 The trt_detector Authors
// SPDX-License-Identifier: Apache-2.0
//
// Stub of libcuda.so.1 on host memory, so that the real cuda.bindings run without a GPU: work runs
// at once, and an allocation above 1 MiB fails. Every kernel takes (address, int) and stores the int
// times the number of its threads.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned long long Address;
enum { SUCCESS, INVALID_VALUE, OUT_OF_MEMORY, INVALID_DEVICE = 101, NOT_FOUND = 500 };

typedef struct {
  size_t x, y;
  int type;
  void * host;
  Address device;
  void * array;
  size_t pitch;
} Side;

typedef struct {
  Side source, target;
  size_t width, height;
} Copy;

int stub_live = 0;  // objects that are not freed
int stub_depth = 0;  // contexts that are pushed

static int create(void ** object, size_t size) {
  *object = calloc(1, size);
  ++stub_live;
  return SUCCESS;
}

static int destroy(void * object) {
  free(object);
  --stub_live;
  return SUCCESS;
}

int cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }
int cuDriverGetVersion(int * version) {
  *version = 13000;
  return SUCCESS;
}
int cuGetErrorString(int status, const char ** text) {
  *text = status == OUT_OF_MEMORY ? "out of memory" : "invalid argument";
  return SUCCESS;
}
int cuDeviceGet(int * device, int number) {
  *device = number;
  return number ? INVALID_DEVICE : SUCCESS;
}
int cuDeviceGetName(char * name, int size, int device) {
  (void)device;
  strncpy(name, "Stub", size);
  return SUCCESS;
}
int cuDevicePrimaryCtxRetain(void ** context, int device) {
  (void)device;
  *context = &stub_depth;
  return SUCCESS;
}
int cuCtxPushCurrent(void * context) {
  ++stub_depth;
  return context == &stub_depth ? SUCCESS : INVALID_VALUE;
}
int cuCtxPopCurrent(void ** context) {
  *context = &stub_depth;
  --stub_depth;
  return SUCCESS;
}
int cuStreamCreate(void ** stream, unsigned flags) {
  (void)flags;
  return create(stream, 1);
}
int cuStreamDestroy(void * stream) { return destroy(stream); }
int cuStreamSynchronize(void * stream) { return stream ? SUCCESS : INVALID_VALUE; }
int cuStreamWaitEvent(void * stream, void * event, unsigned flags) {
  return stream && event && !flags ? SUCCESS : INVALID_VALUE;
}
int cuEventCreate(void ** event, unsigned flags) {
  (void)flags;
  return create(event, sizeof(struct timespec));
}
int cuEventDestroy(void * event) { return destroy(event); }
int cuEventRecord(void * event, void * stream) {
  clock_gettime(CLOCK_MONOTONIC, event);
  return stream ? SUCCESS : INVALID_VALUE;
}
int cuEventSynchronize(void * event) { return event ? SUCCESS : INVALID_VALUE; }
int cuEventElapsedTime(float * ms, void * start, void * end) {
  struct timespec *a = start, *b = end;
  *ms = (b->tv_sec - a->tv_sec) * 1e3f + (b->tv_nsec - a->tv_nsec) * 1e-6f;
  return SUCCESS;
}
int cuMemAlloc(Address * address, size_t size) {
  return size > 1 << 20 ? OUT_OF_MEMORY : create((void **)address, size);
}
int cuMemFree(Address address) { return destroy((void *)address); }
int cuMemHostAlloc(void ** address, size_t size, unsigned flags) {
  (void)flags;
  return size > 1 << 20 ? OUT_OF_MEMORY : create(address, size);
}
int cuMemFreeHost(void * address) { return destroy(address); }
int cuMemHostGetDevicePointer(Address * device, void * host, unsigned flags) {
  *device = (Address)host;
  return flags ? INVALID_VALUE : SUCCESS;
}
int cuMemcpyHtoDAsync(Address target, const void * source, size_t size, void * stream) {
  memcpy((void *)target, source, size);
  return stream ? SUCCESS : INVALID_VALUE;
}
int cuMemcpyDtoHAsync(void * target, Address source, size_t size, void * stream) {
  memcpy(target, (void *)source, size);
  return stream ? SUCCESS : INVALID_VALUE;
}
int cuMemsetD8Async(Address target, unsigned char value, size_t size, void * stream) {
  memset((void *)target, value, size);
  return stream ? SUCCESS : INVALID_VALUE;
}
int cuMemcpy2DAsync(const Copy * copy, void * stream) {
  if (!stream || copy->source.type != 1 || copy->target.type != 2) {
    return INVALID_VALUE;
  }
  for (size_t row = 0; row < copy->height; ++row) {
    memcpy(
      (char *)copy->target.device + copy->target.x + row * copy->target.pitch,
      (char *)copy->source.host + copy->source.x + row * copy->source.pitch, copy->width);
  }
  return SUCCESS;
}
int cuModuleLoadData(void ** module, const void * image) {
  create(module, strlen(image) + 1);
  strcpy(*module, image);
  return SUCCESS;
}
int cuModuleUnload(void * module) { return destroy(module); }
int cuModuleGetFunction(void ** function, void * module, const char * name) {
  *function = strstr(module, name);
  return *function ? SUCCESS : NOT_FOUND;
}
int cuLaunchKernel(
  void * function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
  unsigned block_y, unsigned block_z, unsigned shared, void * stream, void ** parameters,
  void ** extra) {
  (void)stream;
  if (!function || shared || extra) {
    return INVALID_VALUE;
  }
  int threads = grid_x * grid_y * grid_z * block_x * block_y * block_z;
  *(int *)*(Address *)parameters[0] = *(int *)parameters[1] * threads;
  return SUCCESS;
}
int cuGetProcAddress_v2(
  const char * name, void ** function, int version, unsigned long long flags, int * status) {
  (void)version;
  (void)flags;
  *function = dlsym(dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD), name);
  if (status) {
    *status = *function ? 0 : 1;
  }
  return *function ? SUCCESS : NOT_FOUND;
}
