#pragma once
// A program on a GPU: its steps as one captured graph, its feeds and outputs as copies around it.

#include "runtime/cuda/kernels.h"
#include "runtime/device.h"

namespace netc::cuda {

/// The queues of a logical device. Work of one stream runs in order.
struct Streams {
  Stream compute = make_stream();
  Stream upload = make_stream(); ///< Feeds of later runs, while `compute` is at an earlier one.
};

/// A program bound to the memory of the device that is current when it is made, and whenever one of
/// its functions is called.
class Program : public DeviceProgram {
public:
  /// Captures the steps as a graph. Where that is not possible, because they exchange tensors with
  /// other devices or CUDA says so, not_captured() says why and the kernels are launched one by
  /// one. `name`: of the device. What is referred to must outlive the program.
  Program(std::string name, int ordinal, const Streams& streams, const Kernels& kernels,
          Binding binding);

  void start(std::span<StepTime> times) override;
  void wait() override;
  bool done() override;
  void step(size_t index, const Thread& thread) override;
  void end() override;

  /// Why the steps are not a graph; empty when they are.
  const std::string& not_captured() const { return not_captured_; }

private:
  /// A step's kernel with the arguments that all of its entries take.
  struct Launch {
    const LoadedKernel* kernel;    ///< Null of an exchange.
    std::vector<void*> parameters; ///< Addresses of buffers.
    std::vector<void*> arguments;  ///< Where the parameters lie, as CUDA wants it.
  };
  void use() const;
  void warm_up() const;
  void capture();
  void upload();
  /// A library that refuses its part throws RuntimeError.
  cudaError_t launch(const Launch& launch) const;
  cudaError_t launch_entries(const Launch& launch, std::span<const Entry> entries) const;
  cudaError_t launch_steps() const;
  cudaError_t download() const;
  void run_measured(std::span<StepTime> times);

  std::string device_name_;
  int ordinal_;
  const Streams& streams_;
  Binding binding_;
  std::vector<Launch> launches_;
  GraphExec graph_;
  std::string not_captured_;
  Event uploaded_, done_;
  std::vector<Event> marks_; ///< Around the steps of a measured run.
};

} // namespace netc::cuda
