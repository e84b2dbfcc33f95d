#include "runtime/session.h"

#include "ir/support/error.h"
#include "runtime/initialize.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>

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

} // namespace

/// A program with its buffers resolved to addresses.
struct Session::Loaded {
  struct Launch {
    KernelFunction kernel;
    std::vector<void*> buffers;
  };
  std::vector<Launch> launches;
  std::map<std::string, std::span<std::byte>> named; ///< Feeds and outputs.
  std::vector<Memory> owned;
  std::vector<StepTime> times;
};

Session::Session(const Plan& plan, const std::filesystem::path& folder, int threads) : plan_(plan) {
  check_machine(plan);
  load_kernels(folder);
  int64_t arena = 0;
  for (const Program& program : plan.programs)
    arena = std::max(arena, program.arena_bytes);
  arena_ = Memory(arena);
  for (const StateInit& state : plan.state)
    state_[state.name] = Memory(state.type.bytes());
  for (const Program& program : plan.programs)
    bind(program);
  team_ =
      std::make_unique<ThreadTeam>(threads > 0 ? std::min(threads, plan.threads) : plan.threads);
}

Session::~Session() {
  team_.reset();
  for (void* library : libraries_)
    dlclose(library);
}

void Session::load_kernels(const std::filesystem::path& folder) {
  for (const PlanKernel& kernel : plan_.kernels) {
    std::filesystem::path file =
        std::filesystem::absolute(folder / "kernels") / (kernel.name + ".so");
    void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library)
      throw RuntimeError(fmt::format("kernel `{}` cannot be loaded: {}", kernel.name, dlerror()),
                         "compile the network again");
    libraries_.push_back(library);
    void* entry = dlsym(library, "kernel");
    if (!entry)
      throw RuntimeError(fmt::format("`{}` holds no kernel", file.string()),
                         "compile the network again");
    kernels_[kernel.name] = reinterpret_cast<KernelFunction>(entry);
  }
}

void Session::bind(const Program& program) {
  auto loaded = std::make_unique<Loaded>();
  std::vector<std::byte*> addresses;
  for (const Buffer& buffer : program.buffers) {
    std::byte* address = nullptr;
    if (buffer.alias >= 0) {
      address = addresses[static_cast<size_t>(buffer.alias)];
    } else if (buffer.place == Place::state) {
      auto it = state_.find(buffer.name);
      NETC_CHECK(it != state_.end(), "program `{}` uses unknown state `{}`", program.name,
                 buffer.name);
      address = it->second.data();
    } else if (buffer.place == Place::arena) {
      address = arena_.data() + buffer.offset;
    } else {
      loaded->owned.emplace_back(buffer.bytes);
      address = loaded->owned.back().data();
      loaded->named[buffer.name] = {address, static_cast<size_t>(buffer.bytes)};
    }
    addresses.push_back(address);
  }
  for (const Step& step : program.steps) {
    auto kernel = kernels_.find(step.kernel);
    NETC_CHECK(kernel != kernels_.end(), "the plan has no kernel `{}`", step.kernel);
    Loaded::Launch launch{kernel->second, {}};
    for (int buffer : step.buffers)
      launch.buffers.push_back(addresses[static_cast<size_t>(buffer)]);
    loaded->launches.push_back(std::move(launch));
    loaded->times.push_back({step.label, 0});
  }
  programs_[program.name] = std::move(loaded);
}

void Session::initialize(uint64_t seed) {
  for (const StateInit& state : plan_.state)
    initialize_state(state, seed, this->state(state.name));
}

std::span<float> Session::state(const std::string& name) {
  auto it = state_.find(name);
  NETC_CHECK(it != state_.end(), "no state `{}`", name);
  return {reinterpret_cast<float*>(it->second.data()),
          static_cast<size_t>(it->second.size()) / sizeof(float)};
}

std::span<std::byte> Session::buffer(const std::string& program, const std::string& name) {
  auto& named = programs_.at(program)->named;
  auto it = named.find(name);
  return it == named.end() ? std::span<std::byte>{} : it->second;
}

void Session::run(const std::string& program) {
  Loaded& loaded = *programs_.at(program);
  team_->run([&](const Thread& thread) {
    FlushDenormals flush;
    Clock::time_point start = Clock::now();
    for (size_t i = 0; i < loaded.launches.size(); ++i) {
      loaded.launches[i].kernel(loaded.launches[i].buffers.data(), thread);
      thread.barrier();
      if (profiling_ && thread.index == 0) {
        Clock::time_point end = Clock::now();
        loaded.times[i].seconds += std::chrono::duration<double>(end - start).count();
        start = end;
      }
    }
  });
}

const std::vector<StepTime>& Session::times(const std::string& program) const {
  return programs_.at(program)->times;
}

} // namespace netc
