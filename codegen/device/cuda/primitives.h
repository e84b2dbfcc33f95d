#pragma once
// The names through which CUDA kernels touch the machine: threads, memory, barriers, shuffles,
// asynchronous copies, matrix instructions. A CUDA compiler gets the hardware's, free of cost; any
// other compiler those of the emulator, which check every access.

#ifdef __CUDACC__
#include "codegen/device/cuda/hardware.h"
#else
#include "codegen/device/emu/primitives.h"
#endif
