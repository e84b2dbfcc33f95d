#pragma once
// A device whose memory the host cannot touch and whose work is done as late as possible, on the
// processor: what a session must not rely on shows.

#include "ir/kernel_abi.h"
#include "ir/support/error.h"
#include "runtime/device.h"
#include "runtime/memory.h"
#include "runtime/shared_library.h"

#include <cstring>
#include <deque>
#include <functional>
#include <map>

namespace netc::test {

class FakeDevice : public Device {
public:
  /// Kernels that need no binary; others are loaded from the plan's folder. One thread runs them.
  using Kernels = std::map<std::string, KernelFunction>;

  explicit FakeDevice(DeviceSpec spec = {.name = "fake:0"}, Kernels kernels = {})
      : Device(std::move(spec)), kernels_(std::move(kernels)) {}

  std::string description() const override { return "a device for tests"; }
  Target target() const override { return {}; }
  bool runs(const Target& target) const override { return target.kind == Target::Kind::cpu; }
  bool host_visible() const override { return false; }
  int slots() const override { return 3; }
  void write(std::byte* to, const void* from, int64_t bytes) override {
    synchronize();
    std::memcpy(real(to), from, static_cast<size_t>(bytes));
  }
  void read(void* to, const std::byte* from, int64_t bytes) override {
    synchronize();
    std::memcpy(to, real(from), static_cast<size_t>(bytes));
  }
  void load(const Plan& plan, const std::filesystem::path& folder) override {
    for (const PlanKernel& kernel : plan.kernels) {
      if (kernels_.count(kernel.name))
        continue;
      libraries_.emplace_back(folder / "kernels" / (kernel.name + ".so"));
      kernels_[kernel.name] = libraries_.back().function<KernelFunction>("kernel");
    }
  }
  std::unique_ptr<DeviceProgram> bind(Binding binding) override {
    return std::make_unique<FakeProgram>(*this, std::move(binding));
  }
  void synchronize() override { work_until(started_); }

  int64_t runs_started() const { return started_; }
  int64_t runs_done() const { return done_; }
  /// The most runs that were started and not done.
  int64_t most_ahead() const { return most_ahead_; }

protected:
  std::byte* take(int64_t bytes, bool host) override {
    std::byte* data = memory_.take(bytes);
    return host ? data : moved(data, away);
  }
  void give_back(std::byte* data, bool host) noexcept override {
    memory_.give_back(host ? data : real(data));
  }

private:
  /// Between the addresses of the device and those of the host: no address of a process.
  static constexpr std::intptr_t away = std::intptr_t{1} << 60;
  template <class T> static T* moved(T* data, std::intptr_t bytes) {
    return reinterpret_cast<T*>(reinterpret_cast<std::intptr_t>(data) + bytes);
  }
  template <class T> static T* real(T* device) { return moved(device, -away); }

  class FakeProgram : public DeviceProgram {
  public:
    FakeProgram(FakeDevice& device, Binding binding)
        : device_(device), binding_(std::move(binding)) {}
    void start(std::span<StepTime>) override {
      wait(); // of the run before, which must have been waited for
      run_ = ++device_.started_;
      device_.queue_.push_back([this] { work(); });
      device_.most_ahead_ = std::max(device_.most_ahead_, device_.started_ - device_.done_);
    }
    void wait() override { device_.work_until(run_); }
    bool done() override { return device_.done_ >= run_; }
    void step(size_t index, const Thread&) override {
      ++device_.started_;
      device_.queue_.push_back([this, index] { launch(binding_.program->steps[index]); });
    }
    void end() override { device_.synchronize(); }

  private:
    void launch(const Step& step) {
      std::vector<void*> buffers = binding_.parameters(step);
      for (void*& buffer : buffers)
        buffer = real(static_cast<std::byte*>(buffer));
      device_.kernels_.at(step.kernel)(buffers.data(), Thread{0, 1, nullptr, [](const Thread&) {}});
    }
    /// Everything, copies too, so that whoever writes a feed or frees memory too early is caught.
    void work() {
      for (const Transfer& feed : binding_.feeds)
        std::memcpy(real(feed.device), feed.host, static_cast<size_t>(feed.bytes));
      for (const Step& step : binding_.program->steps)
        launch(step);
      for (const Transfer& output : binding_.outputs)
        std::memcpy(output.host, real(output.device), static_cast<size_t>(output.bytes));
    }
    FakeDevice& device_;
    Binding binding_;
    int64_t run_ = 0;
  };

  void work_until(int64_t run) {
    for (; done_ < run; ++done_) {
      queue_.front()();
      queue_.pop_front();
    }
  }

  MemoryPool memory_;
  std::vector<SharedLibrary> libraries_;
  Kernels kernels_;
  std::deque<std::function<void()>> queue_;
  int64_t started_ = 0, done_ = 0, most_ahead_ = 0;
};

} // namespace netc::test
