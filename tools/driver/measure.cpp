#include "tools/driver/measure.h"

#include "codegen/printer.h"
#include "ir/kernel_abi.h"
#include "ir/support/philox.h"
#include "runtime/memory.h"
#include "runtime/thread_team.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace netc {

namespace {

/// Outputs compared with double precision.
constexpr int64_t samples = 64;

Memory random_floats(int64_t count, unsigned stream) {
  Memory memory(count * 4);
  float* data = reinterpret_cast<float*>(memory.data());
  for (int64_t i = 0; i < count; i += 4) {
    Philox4 words =
        philox4x32_10(1, stream_synthetic ^ stream, static_cast<unsigned>(i / 4), 0, 0, 0);
    for (int64_t k = 0; k < 4 && i + k < count; ++k)
      data[i + k] = 2 * uniform_unit(words.word[k]) - 1;
  }
  return memory;
}

double sampled_error(const Node& node, const float* a, const float* b, const float* result) {
  int64_t count = node.result()->type.elements();
  double difference = 0, norm = 0;
  for (int64_t s = 0; s < samples; ++s) {
    // Spread over the result, the last element included.
    int64_t index = (count - 1) * s / (samples - 1);
    double expected = contraction_element(node, a, b, index);
    difference += (result[index] - expected) * (result[index] - expected);
    norm += expected * expected;
  }
  return std::sqrt(difference / std::max(norm, 1e-300));
}

/// A library that is closed again.
class Library {
public:
  explicit Library(const std::filesystem::path& file)
      : handle_(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_)
      throw RuntimeError(fmt::format("a measured kernel cannot be loaded: {}", dlerror()));
  }
  ~Library() { dlclose(handle_); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  KernelFunction kernel() const {
    return reinterpret_cast<KernelFunction>(dlsym(handle_, "kernel"));
  }

private:
  void* handle_;
};

Trial measure(const CpuToolchain& toolchain, int threads, double budget_ms, const Node& node,
              const Candidate& candidate) {
  LoweringOptions options{.target = {}, .exact = false, .threads = threads, .choose = nullptr};
  options.choose = [&](const Node&) { return candidate.function; };
  LoweredNode lowered = lower(
      node, [](const Value&) { return true; }, options);
  std::vector<CompileJob> jobs = {
      {candidate.function, print_kernel(lowered, cpu_dialect(), false).text}};
  toolchain.compile(jobs, 1);
  Library library(jobs[0].binary);
  Memory a = random_floats(node.operands[0]->type.elements(), 1);
  Memory b = random_floats(node.operands[1]->type.elements(), 2);
  Memory result(node.result()->type.bytes()), workspace(lowered.workspace_bytes());
  void* buffers[] = {a.data(), b.data(), result.data(), workspace.data()};
  ThreadTeam team(threads);
  using Clock = std::chrono::steady_clock;
  Trial trial{candidate.function, 1e30, 0};
  double spent = 0;
  for (int run = 0; run < 3 || spent < budget_ms; ++run) {
    Clock::time_point start = Clock::now();
    team.run([&](const Thread& thread) { library.kernel()(buffers, thread); });
    double ms = std::chrono::duration<double>(Clock::now() - start).count() * 1e3;
    spent += ms;
    trial.ms = run == 0 ? trial.ms : std::min(trial.ms, ms); // the first one warms up
  }
  trial.relative_error = sampled_error(node, reinterpret_cast<const float*>(a.data()),
                                       reinterpret_cast<const float*>(b.data()),
                                       reinterpret_cast<const float*>(result.data()));
  return trial;
}

} // namespace

MeasureCandidate cpu_measure(const CpuToolchain& toolchain, int threads, double budget_ms) {
  return [&toolchain, threads, budget_ms](const Node& node, const Candidate& candidate) {
    return measure(toolchain, threads, budget_ms, node, candidate);
  };
}

} // namespace netc
