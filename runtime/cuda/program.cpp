#include "runtime/cuda/program.h"

#include "ir/support/error.h"

namespace netc::cuda {

Program::Program(std::string name, int ordinal, const Streams& streams, const Kernels& kernels,
                 Binding binding)
    : device_name_(std::move(name)), ordinal_(ordinal), streams_(streams),
      binding_(std::move(binding)), uploaded_(make_event(cudaEventDisableTiming)),
      done_(make_event(cudaEventDisableTiming | cudaEventBlockingSync)) {
  for (const Step& step : binding_.program->steps)
    launches_.push_back({step.exchange < 0 ? &kernels.kernel(step.kernel) : nullptr,
                         binding_.parameters(step),
                         {}});
  for (Launch& launch : launches_) // only now: their parameters move no more
    for (void*& parameter : launch.parameters)
      launch.arguments.push_back(&parameter);
  if (binding_.program->exchanges.empty()) {
    warm_up();
    capture();
  } else {
    not_captured_ = fmt::format("`{}` launches its steps one by one: they exchange tensors with "
                                "other devices through host memory",
                                device_name_);
  }
}

void Program::use() const {
  check(cudaSetDevice(ordinal_), fmt::format("choosing `{}`", device_name_));
}

cudaError_t Program::launch(const Launch& launch) const {
  const LoadedKernel& kernel = *launch.kernel;
  const std::span<const Entry> entries(kernel.entries);
  if (!kernel.product)
    return launch_entries(launch, entries);
  cudaError_t error = launch_entries(launch, entries.first(kernel.entries_before));
  if (error != cudaSuccess)
    return error;
  kernel.product->run(launch.parameters, streams_.compute.get());
  return launch_entries(launch, entries.subspan(kernel.entries_before));
}

cudaError_t Program::launch_entries(const Launch& launch, std::span<const Entry> entries) const {
  for (const Entry& entry : entries) {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(entry.launch.blocks));
    config.blockDim = dim3(static_cast<unsigned>(entry.launch.threads));
    config.dynamicSmemBytes = static_cast<size_t>(entry.launch.shared_bytes);
    config.stream = streams_.compute.get();
    // The function writes none of the arguments, whatever its signature says.
    void** arguments = const_cast<void**>(launch.arguments.data());
    if (cudaError_t error = cudaLaunchKernelExC(&config, entry.kernel, arguments);
        error != cudaSuccess)
      return error;
  }
  return cudaSuccess;
}

cudaError_t Program::launch_steps() const {
  for (const Launch& step : launches_)
    if (cudaError_t error = launch(step); error != cudaSuccess)
      return error;
  return cudaSuccess;
}

cudaError_t Program::download() const {
  for (const Transfer& output : binding_.outputs)
    if (cudaError_t error =
            cudaMemcpyAsync(output.host, output.device, static_cast<size_t>(output.bytes),
                            cudaMemcpyDeviceToHost, streams_.compute.get());
        error != cudaSuccess)
      return error;
  return cudaSuccess;
}

/// Calls libraries once, over memory that holds nothing yet: with the first call they load what
/// they run, which cannot be recorded.
void Program::warm_up() const {
  for (const Launch& launch : launches_)
    if (launch.kernel->product)
      launch.kernel->product->run(launch.parameters, streams_.compute.get());
  check(cudaStreamSynchronize(streams_.compute.get()),
        fmt::format("preparing `{}` on `{}`", binding_.program->name, device_name_));
}

/// Records what every run does on the compute stream - kernels, then outputs to the host - without
/// doing it. Addresses are fixed, and what varies from step to step lies in memory, so the record
/// holds for all runs.
void Program::capture() {
  cudaStream_t stream = streams_.compute.get();
  cudaGraph_t recorded = nullptr;
  std::string refused; // by a library, which warmed up did not mind
  cudaError_t error = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  if (error == cudaSuccess) {
    try {
      error = launch_steps();
      if (error == cudaSuccess)
        error = download();
    } catch (const RuntimeError& failure) {
      refused = failure.what();
      error = cudaErrorStreamCaptureUnsupported;
    }
    cudaError_t ended = cudaStreamEndCapture(stream, &recorded); // in any case
    error = error == cudaSuccess ? ended : error;
  }
  Graph graph(recorded);
  cudaGraphExec_t executable = nullptr;
  if (error == cudaSuccess)
    error = cudaGraphInstantiate(&executable, graph.get(), 0);
  graph_ = GraphExec(executable);
  if (error == cudaSuccess)
    error = cudaGraphUpload(graph_.get(), stream);
  if (error == cudaSuccess)
    return;
  graph_ = GraphExec();
  cudaGetLastError(); // it is told here, not by the next call
  not_captured_ = fmt::format("the steps of `{}` are launched one by one on `{}`: no CUDA graph of "
                              "them can be made, {}",
                              binding_.program->name, device_name_,
                              refused.empty() ? error_text(error) : refused);
}

/// Brings the feeds to the device beside what the compute stream is at. Nobody reads this slot's
/// feeds meanwhile: its last run was waited for.
void Program::upload() {
  if (binding_.feeds.empty())
    return;
  std::string doing =
      fmt::format("copying the feeds of `{}` to `{}`", binding_.program->name, device_name_);
  cudaStream_t stream = streams_.upload.get();
  for (const Transfer& feed : binding_.feeds)
    check(cudaMemcpyAsync(feed.device, feed.host, static_cast<size_t>(feed.bytes),
                          cudaMemcpyHostToDevice, stream),
          doing);
  check(cudaEventRecord(uploaded_.get(), stream), doing);
  check(cudaStreamWaitEvent(streams_.compute.get(), uploaded_.get(), 0), doing);
}

void Program::start(std::span<StepTime> times) {
  use();
  upload();
  std::string doing = fmt::format("starting `{}` on `{}`", binding_.program->name, device_name_);
  if (!times.empty())
    run_measured(times);
  else if (graph_)
    check(cudaGraphLaunch(graph_.get(), streams_.compute.get()), doing);
  else
    check(launch_steps(), doing);
  if (!times.empty() || !graph_)
    check(download(), doing);
  check(cudaEventRecord(done_.get(), streams_.compute.get()), doing);
  if (!times.empty())
    wait();
}

void Program::run_measured(std::span<StepTime> times) {
  cudaStream_t stream = streams_.compute.get();
  while (marks_.size() <= launches_.size())
    marks_.push_back(make_event(cudaEventDefault));
  std::string doing = fmt::format("measuring `{}` on `{}`", binding_.program->name, device_name_);
  check(cudaEventRecord(marks_[0].get(), stream), doing);
  for (size_t i = 0; i < launches_.size(); ++i) {
    check(launch(launches_[i]), doing);
    check(cudaEventRecord(marks_[i + 1].get(), stream), doing);
  }
  check(cudaEventSynchronize(marks_.back().get()), doing);
  double begin = 0;
  for (size_t i = 0; i < launches_.size(); ++i) {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, marks_[i].get(), marks_[i + 1].get()), doing);
    times[i].add(begin, begin + static_cast<double>(milliseconds) * 1e-3);
    begin = times[i].end;
  }
}

void Program::step(size_t index, const Thread&) {
  use();
  check(launch(launches_[index]),
        fmt::format("`{}` on `{}`", binding_.program->steps[index].label, device_name_));
}

void Program::end() {
  use();
  check(cudaStreamSynchronize(streams_.compute.get()),
        fmt::format("`{}` on `{}`", binding_.program->name, device_name_));
}

void Program::wait() {
  use();
  check(cudaEventSynchronize(done_.get()),
        fmt::format("`{}` on `{}`", binding_.program->name, device_name_));
}

bool Program::done() {
  use();
  cudaError_t state = cudaEventQuery(done_.get());
  if (state == cudaErrorNotReady)
    return false;
  check(state, fmt::format("`{}` on `{}`", binding_.program->name, device_name_));
  return true;
}

} // namespace netc::cuda
