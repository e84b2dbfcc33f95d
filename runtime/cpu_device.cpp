#include "runtime/cpu_device.h"

#include "ir/support/error.h"
#include "runtime/memory.h"
#include "runtime/shared_library.h"
#include "runtime/thread_team.h"

#include <chrono>
#include <cstring>
#include <fstream>
#include <map>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace netc {

namespace {

using Clock = std::chrono::steady_clock;

/// Denormal numbers count as zero while kernels run: they are a hundred times slower and mean
/// nothing. Restores the caller's mode.
class FlushDenormals {
public:
#if defined(__x86_64__)
  FlushDenormals() : before_(_mm_getcsr()) {
    _mm_setcsr(before_ | 0x8040);
  }
  ~FlushDenormals() {
    _mm_setcsr(before_);
  }

private:
  unsigned before_;
#endif
};

void check_machine(const Plan& plan) {
#if defined(__x86_64__)
  bool runs = plan.machine == "avx512f" ? __builtin_cpu_supports("avx512f")
              : plan.machine == "avx2"  ? __builtin_cpu_supports("avx2")
                                        : true;
  if (!runs)
    throw RuntimeError(
        fmt::format("the plan is for machines with {}, which this one lacks", plan.machine),
        "compile the network on this machine");
#endif
}

/// Steps in order, all threads of the team in each.
class CpuProgram : public DeviceProgram {
public:
  struct Launch {
    KernelFunction kernel;
    std::vector<void*> buffers;
  };
  CpuProgram(ThreadTeam& team, std::vector<Launch> launches)
      : team_(team), launches_(std::move(launches)) {}

  void start(std::span<StepTime> times) override {
    times_ = times;
    team_.run([this](const Thread& thread) { run(thread); });
  }
  void wait() override {}
  bool done() override { return true; }
  void step(size_t index, const Thread& thread) override {
    launches_[index].kernel(launches_[index].buffers.data(), thread);
  }

private:
  void run(const Thread& thread) const {
    FlushDenormals flush;
    const Clock::time_point start = Clock::now();
    double begin = 0;
    for (size_t i = 0; i < launches_.size(); ++i) {
      launches_[i].kernel(launches_[i].buffers.data(), thread);
      thread.barrier();
      if (!times_.empty() && thread.index == 0) {
        const double end = std::chrono::duration<double>(Clock::now() - start).count();
        times_[i].add(begin, end);
        begin = end;
      }
    }
  }

  ThreadTeam& team_;
  std::vector<Launch> launches_;
  std::span<StepTime> times_;
};

class CpuDevice : public Device {
public:
  explicit CpuDevice(const DeviceSpec& spec) : Device(spec) {}

  std::string description() const override { return processor_description(); }
  Target target() const override { return {}; }
  bool runs(const Target& target) const override { return target.kind == Target::Kind::cpu; }
  bool host_visible() const override { return true; }
  void write(std::byte* to, const void* from, int64_t bytes) override {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void read(void* to, const std::byte* from, int64_t bytes) override {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void synchronize() override {}

  void load(const Plan& plan, const std::filesystem::path& folder) override {
    check_machine(plan);
    for (const PlanKernel& kernel : plan.kernels) {
      libraries_.emplace_back(folder / "kernels" / (kernel.name + ".so"));
      kernels_[kernel.name] = libraries_.back().function<KernelFunction>("kernel");
    }
    const int threads = spec().threads > 0 ? std::min(spec().threads, plan.threads) : plan.threads;
    if (spec().sharing > 1)
      team_ = std::make_unique<ThreadTeam>(threads, std::vector<int>{}, 0);
    else if (!spec().cores.empty())
      team_ = std::make_unique<ThreadTeam>(threads, spec().cores);
    else
      team_ = std::make_unique<ThreadTeam>(threads);
  }
  void together(const std::function<void(const Thread&)>& work) override {
    team_->run([&work](const Thread& thread) {
      FlushDenormals flush;
      work(thread);
    });
  }
  std::vector<std::string> notes() const override {
    if (spec().sharing < 2)
      return {};
    const size_t cores = usable_cores().size();
    return {fmt::format("{} devices share {} core{}: what they take together tells of no speed-up",
                        spec().sharing, cores, cores == 1 ? "" : "s")};
  }

  std::unique_ptr<DeviceProgram> bind(Binding binding) override {
    std::vector<CpuProgram::Launch> launches;
    for (const Step& step : binding.program->steps)
      launches.push_back(
          {step.exchange < 0 ? kernels_.at(step.kernel) : nullptr, binding.parameters(step)});
    return std::make_unique<CpuProgram>(*team_, std::move(launches));
  }

protected:
  std::byte* take(int64_t bytes, bool) override { return memory_.take(bytes); }
  void give_back(std::byte* data, bool) noexcept override { memory_.give_back(data); }

private:
  MemoryPool memory_;
  std::vector<SharedLibrary> libraries_;
  std::map<std::string, KernelFunction> kernels_;
  std::unique_ptr<ThreadTeam> team_;
};

} // namespace

std::string processor_description() {
  std::ifstream in("/proc/cpuinfo");
  std::string name = "unknown processor";
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) {
      name = line.substr(line.find(':') + 2);
      break;
    }
  size_t cores = usable_cores().size();
  return fmt::format("{}, {} core{}", name, cores, cores == 1 ? "" : "s");
}

std::unique_ptr<Device> open_cpu_device(const DeviceSpec& spec) {
  return std::make_unique<CpuDevice>(spec);
}

} // namespace netc
