#include "runtime/devices.h"

#include "ir/support/diagnostics.h"
#include "runtime/cpu_device.h"
#include "runtime/cuda/cuda.h"
#include "runtime/emu_device.h"
#include "runtime/thread_team.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace netc {

namespace {

/// `cuda:2` in its parts.
struct DeviceName {
  std::string_view kind;
  int index = 0;
};

std::optional<DeviceName> split(std::string_view name) {
  size_t colon = name.find(':');
  if (colon == name.npos)
    return std::nullopt;
  DeviceName parts{name.substr(0, colon)};
  std::string_view digits = name.substr(colon + 1);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parts.index);
  bool number = error == std::errc() && end == digits.data() + digits.size() && parts.index >= 0;
  return number ? std::optional(parts) : std::nullopt;
}

/// `, did you mean `cuda:0`?`, or nothing.
std::string meant(const std::string& name) {
  for (const char* kind : {"cpu", "emu", "cuda"})
    if (name == kind)
      return fmt::format(", did you mean `{}:0`?", kind);
  if (name == "gpu" || name.starts_with("gpu:"))
    return fmt::format(", did you mean `cuda:{}`?", name.size() > 4 ? name.substr(4) : "0");
  return did_you_mean(name, {"cpu:0", "emu:0", "cuda:0"});
}

} // namespace

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> list;
  for (const char* name : {"cpu:0", "emu:0"})
    list.push_back({name, open_device({.name = name})->description()});
  CudaState cuda = cuda_state();
  for (size_t i = 0; i < cuda.gpus.size(); ++i)
    list.push_back({fmt::format("cuda:{}", i),
                    fmt::format("{}, driver for CUDA {}", describe(cuda.gpus[i]), cuda.driver)});
  return list;
}

std::string default_device() {
  CudaState cuda = cuda_state();
  bool serves = !cuda.gpus.empty() && cuda.gpus[0].capability >= oldest_capability;
  return serves ? "cuda:0" : "cpu:0";
}

std::string device_for(const Target& target) {
  switch (target.kind) {
  case Target::Kind::cpu:
    return "cpu:0";
  case Target::Kind::emu:
    return "emu:0";
  case Target::Kind::cuda:
    break;
  }
  return "cuda:0";
}

std::unique_ptr<Device> open_device(const DeviceSpec& spec) {
  if (std::optional<DeviceName> name = split(spec.name)) {
    if (name->kind == "cpu")
      return open_cpu_device(spec);
    if (name->kind == "emu")
      return open_emu_device(spec);
    if (name->kind == "cuda")
      return open_cuda_device(spec, name->index);
  }
  user_error(
      fmt::format("there is no device `{}`{}", spec.name, meant(spec.name)),
      "`cpu:N`, `emu:N` and `cuda:N` with N = 0, 1, ... are names; `netc devices` lists those of "
      "this machine");
}

std::vector<DeviceSpec> share_cores(std::vector<DeviceSpec> specs, int threads) {
  std::vector<DeviceSpec*> sharers;
  size_t needed = 0;
  for (DeviceSpec& spec : specs)
    if (spec.name.starts_with("cpu:")) {
      sharers.push_back(&spec);
      needed += static_cast<size_t>(spec.threads > 0 ? std::min(spec.threads, threads) : threads);
    }
  const std::vector<int> cores = usable_cores();
  if (sharers.size() < 2)
    return specs;
  for (size_t i = 0; i < sharers.size(); ++i)
    if (needed > cores.size())
      sharers[i]->sharing = static_cast<int>(sharers.size());
    else
      sharers[i]->cores.assign(
          cores.begin() + static_cast<std::ptrdiff_t>(cores.size() * i / sharers.size()),
          cores.begin() + static_cast<std::ptrdiff_t>(cores.size() * (i + 1) / sharers.size()));
  return specs;
}

} // namespace netc
