#pragma once
// Calls of the CUDA runtime that must not fail.

#include <cuda_runtime_api.h>

#include <string>

namespace netc::cuda {

/// `cudaErrorNoDevice (100): no CUDA-capable device is detected`.
std::string error_text(cudaError_t error);

/// What a user can do about it.
std::string error_hint(cudaError_t error);

/// Throws RuntimeError unless `error` is cudaSuccess: what was being done, the error's name and
/// code, what to try.
void check(cudaError_t error, const std::string& doing);

} // namespace netc::cuda
