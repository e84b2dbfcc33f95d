#include "runtime/emu_device.h"

#include "ir/support/error.h"
#include "runtime/emu/emulator.h"
#include "runtime/memory.h"
#include "runtime/shared_library.h"

#include <chrono>
#include <cstring>
#include <map>

namespace netc {

namespace {

using Clock = std::chrono::steady_clock;

/// A kernel of the plan and its compiled entries.
struct EmulatedKernel {
  std::vector<KernelEntry> launches;
  std::vector<emu::EntryFunction> functions;
};

/// Generated text by its file in the plan, which has the same lines. To the compiler all texts are
/// `kernel.cu` (codegen/toolchain.h), so that equal ones are one binary.
void name_file(EmulatorPlace& place, const std::string& kernel) {
  if (place.file == "kernel.cu")
    place.file = fmt::format("kernels/{}.cu", kernel);
}

/// Shadows by the addresses of the state, which all programs share.
using StateShadows = std::map<void*, std::unique_ptr<EmulatorShadow>>;

/// Steps in order, on the thread that starts them.
class EmuProgram : public DeviceProgram {
public:
  EmuProgram(Emulator& emulator, const std::map<std::string, EmulatedKernel>& kernels,
             StateShadows& state, Binding binding)
      : emulator_(emulator), program_(*binding.program) {
    for (size_t i = 0; i < program_.buffers.size(); ++i)
      buffers_.push_back({program_.buffers[i].name, static_cast<std::byte*>(binding.addresses[i]),
                          program_.buffers[i].bytes, shadow_of(i, binding.addresses[i], state)});
    for (const Step& step : program_.steps)
      launches_.push_back(
          {&step, step.exchange < 0 ? &kernels.at(step.kernel) : nullptr, parameters(step)});
  }

  void start(std::span<StepTime> times) override {
    EmuProgram::begin();
    const Clock::time_point start = Clock::now();
    double begin = 0;
    for (size_t i = 0; i < launches_.size(); ++i) {
      launch(launches_[i]);
      if (!times.empty()) {
        const double end = std::chrono::duration<double>(Clock::now() - start).count();
        times[i].add(begin, end);
        begin = end;
      }
    }
    EmuProgram::end();
  }
  void wait() override {}
  bool done() override { return true; }

  void begin() override {
    for (EmulatorShadow* shadow : meaningless_)
      shadow->set_uninitialised();
  }
  void step(size_t index, const Thread&) override { launch(launches_[index]); }
  void sends(size_t index) override {
    const EmulatorBuffer& source = launches_[index].buffers.front();
    const int buffer = launches_[index].step->buffers.front();
    const int64_t bytes = program_.buffers[static_cast<size_t>(buffer)].type.bytes();
    if (const int64_t at = source.shadow->first_uninitialised(bytes); at >= 0)
      throw InternalError(fmt::format("no step of `{}` writes byte {} of `{}` before it is sent",
                                      program_.name, at, source.name));
  }
  void receives(size_t index) override {
    launches_[index].buffers.back().shadow->set_initialised();
  }
  /// InternalError when the steps have left out a part of an output, which nobody reads here.
  void end() override {
    for (size_t i = 0; i < buffers_.size(); ++i) {
      const Buffer& buffer = program_.buffers[i];
      if (buffer.place != Place::output)
        continue;
      const int64_t at = buffers_[i].shadow->first_uninitialised(buffer.type.bytes());
      if (at >= 0)
        throw InternalError(fmt::format("no step of `{}` writes byte {} of its output `{}`",
                                        program_.name, at, buffers_[i].name));
    }
  }

private:
  struct Launch {
    const Step* step;
    const EmulatedKernel* kernel; ///< Null of an exchange.
    std::vector<EmulatorBuffer> buffers;
  };

  /// What is known about a buffer. State and feeds are the host's to write; arena and outputs hold
  /// nothing when a run begins, whatever lay there before.
  EmulatorShadow* shadow_of(size_t index, void* address, StateShadows& state) {
    const Buffer& buffer = program_.buffers[index];
    if (buffer.alias >= 0)
      return buffers_[static_cast<size_t>(buffer.alias)].shadow;
    auto shadow = std::make_unique<EmulatorShadow>(buffer.bytes);
    if (buffer.place == Place::state || buffer.place == Place::feed)
      shadow->set_initialised();
    if (buffer.place == Place::state)
      return state.try_emplace(address, std::move(shadow)).first->second.get();
    shadows_.push_back(std::move(shadow));
    if (buffer.place != Place::feed)
      meaningless_.push_back(shadows_.back().get());
    return shadows_.back().get();
  }

  std::vector<EmulatorBuffer> parameters(const Step& step) const {
    std::vector<EmulatorBuffer> list;
    for (int buffer : step.buffers)
      list.push_back(buffers_[static_cast<size_t>(buffer)]);
    return list;
  }

  /// Runs the entries of a step's kernel; faults learn which step that is.
  void launch(const Launch& launch) {
    const EmulatedKernel& kernel = *launch.kernel;
    try {
      for (size_t i = 0; i < kernel.functions.size(); ++i)
        emulator_.launch({.kernel = launch.step->kernel,
                          .entry = static_cast<int>(i),
                          .function = kernel.functions[i],
                          .blocks = kernel.launches[i].blocks,
                          .threads = kernel.launches[i].threads,
                          .shared_bytes = kernel.launches[i].shared_bytes,
                          .buffers = launch.buffers});
    } catch (const EmulatorFault& fault) {
      EmulatorFault::Details details = fault.details();
      name_file(details.place, launch.step->kernel);
      if (details.other)
        name_file(details.other->place, launch.step->kernel);
      details.step = launch.step->label;
      if (std::string place = launch.step->loc.str(); !place.empty())
        details.step += fmt::format(" ({})", place);
      throw EmulatorFault(std::move(details));
    }
  }

  Emulator& emulator_;
  const Program& program_;
  std::vector<std::unique_ptr<EmulatorShadow>> shadows_;
  std::vector<EmulatorShadow*> meaningless_; ///< Of arena and outputs.
  std::vector<EmulatorBuffer> buffers_;      ///< By index in the program.
  std::vector<Launch> launches_;
};

class EmuDevice : public Device {
public:
  explicit EmuDevice(const DeviceSpec& spec) : Device(spec) {}

  std::string description() const override { return "emulator that checks CUDA kernels, slow"; }
  Target target() const override { return parse_target("emu"); }
  bool runs(const Target& target) const override { return target.kind == Target::Kind::emu; }
  bool host_visible() const override { return true; }
  void write(std::byte* to, const void* from, int64_t bytes) override {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void read(void* to, const std::byte* from, int64_t bytes) override {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void synchronize() override {}

  void load(const Plan& plan, const std::filesystem::path& folder) override {
    const int most_shared = parse_target(plan.target).shared_bytes();
    for (const PlanKernel& kernel : plan.kernels) {
      libraries_.emplace_back(folder / "kernels" / (kernel.name + ".so"));
      EmulatedKernel& loaded = kernels_[kernel.name];
      loaded.launches = kernel.entries;
      for (size_t i = 0; i < kernel.entries.size(); ++i) {
        check_entry(kernel.name, kernel.entries[i], most_shared);
        loaded.functions.push_back(
            libraries_.back().function<emu::EntryFunction>(fmt::format("emulate_{}", i)));
      }
    }
  }

  std::unique_ptr<DeviceProgram> bind(Binding binding) override {
    return std::make_unique<EmuProgram>(emulator_, kernels_, state_, std::move(binding));
  }

protected:
  std::byte* take(int64_t bytes, bool) override { return memory_.take(bytes); }
  void give_back(std::byte* data, bool) noexcept override { memory_.give_back(data); }

private:
  /// What a GPU would refuse, or have idle lanes for.
  static void check_entry(const std::string& kernel, const KernelEntry& entry, int most_shared) {
    NETC_CHECK(entry.shared_bytes <= most_shared && entry.threads % 32 == 0,
               "kernel `{}`: {} threads and {} bytes of shared memory, of {}", kernel,
               entry.threads, entry.shared_bytes, most_shared);
  }

  MemoryPool memory_;
  std::vector<SharedLibrary> libraries_;
  std::map<std::string, EmulatedKernel> kernels_;
  Emulator emulator_;
  StateShadows state_;
};

} // namespace

std::unique_ptr<Device> open_emu_device(const DeviceSpec& spec) {
  return std::make_unique<EmuDevice>(spec);
}

} // namespace netc
