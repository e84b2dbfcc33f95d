#include "tools/driver/peak.h"

#include "codegen/toolchain.h"
#include "ir/kernel_abi.h"
#include "ir/support/error.h"
#include "runtime/thread_team.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <numeric>

namespace netc {

namespace {

/// 12 independent sums hide the latency of the multiply-add on every current core. They start apart
/// and all reach the result, so that the compiler can neither merge nor drop them.
constexpr const char* source = R"(
#include "codegen/device/cpu/vector.h"
#include "ir/kernel_abi.h"

extern "C" void kernel(void* const* buffers, const netc::Thread& thread) {
  netc::Vector sums[12] = {};
  netc::Vector a = {}, b = {};
  a += 0.999f, b += 1e-3f;
  for (int k = 0; k < 12; ++k)
    sums[k] += static_cast<float*>(buffers[1])[k];
  for (long i = 0; i < 2000000; ++i)
    for (int k = 0; k < 12; ++k)
      sums[k] = sums[k] * a + b;
  float total = 0;
  for (int k = 0; k < 12; ++k)
    for (unsigned l = 0; l < sizeof(netc::Vector) / 4; ++l)
      total += sums[k][l];
  static_cast<float*>(buffers[0])[thread.index] = total;
}
)";

} // namespace

double fma_peak_gflops(int threads) {
  std::vector<CompileJob> jobs = {{"fma_peak", source}};
  CpuToolchain toolchain(default_cache());
  toolchain.compile(jobs, 1);
  void* library = dlopen(jobs[0].binary.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw RuntimeError(fmt::format("the probe cannot be loaded: {}", dlerror()));
  auto kernel = reinterpret_cast<KernelFunction>(dlsym(library, "kernel"));
  std::vector<float> results(static_cast<size_t>(threads));
  std::vector<float> starts(12);
  std::iota(starts.begin(), starts.end(), 1.0f);
  void* buffers[] = {results.data(), starts.data()};
  ThreadTeam team(threads);
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    auto start = std::chrono::steady_clock::now();
    team.run([&](const Thread& thread) { kernel(buffers, thread); });
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  double lanes = toolchain.machine() == "avx512f" ? 16 : toolchain.machine() == "avx2" ? 8 : 4;
  dlclose(library);
  return 2.0 * lanes * 12 * 2e6 * threads / best / 1e9;
}

} // namespace netc
