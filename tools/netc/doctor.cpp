// `netc devices` and `netc doctor`: what this machine can do.

#include "codegen/nvrtc.h"
#include "runtime/cpu_device.h"
#include "runtime/cuda/cuda.h"
#include "runtime/devices.h"
#include "tools/netc/command.h"
#include "tools/viz/render.h"

#include <iostream>
#include <unistd.h>

namespace netc::cli {

namespace {

void print_devices() {
  for (const DeviceInfo& device : list_devices())
    fmt::print("{:<8}{}\n", device.name, device.description);
  if (CudaState cuda = cuda_state(); cuda.gpus.empty())
    std::cerr << fmt::format("note: no GPU: {}; {}\n", cuda.problem, cuda.hint);
}

/// One line of the report.
void line(const char* state, const std::string& what, const std::string& detail) {
  fmt::print("{:<8}{:<18}{}\n", state, what, detail);
}

/// Problems are what keeps netc from training.
void line(bool good, const std::string& what, const std::string& detail) {
  line(good ? "ok" : "MISSING", what, detail);
}

bool check_compiler() {
  try {
    CpuToolchain toolchain(default_cache());
    line(true, "C++ compiler", fmt::format("{}, {}", toolchain.version(), toolchain.machine()));
    std::vector<CompileJob> jobs = {
        {"probe", fmt::format("#include \"codegen/device/cpu/kernel.h\"\nextern \"C\" void kernel("
                              "void* const*, const netc::Thread&) {{}} // {}\n",
                              getpid())}};
    CompileStats stats = toolchain.compile(jobs, 1);
    line(true, "kernel compiled",
         fmt::format("in {:.2f} s, cache {}", stats.seconds, default_cache().string()));
    std::filesystem::remove(jobs[0].binary);
    return true;
  } catch (const std::exception& error) {
    line(false, "C++ compiler", error.what());
    return false;
  }
}

void check_memory() {
  int64_t bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  line(bytes > int64_t{3} << 30, "memory", megabytes(bytes));
}

void check_cuda() {
  CudaState cuda = cuda_state();
  bool built = !cuda.runtime.empty(), driver = !cuda.driver.empty();
  line(built, "CUDA runtime", built ? cuda.runtime + ", built in" : cuda.problem);
  // A machine without a GPU has no driver, and lacks nothing.
  line(driver ? "ok" : "none", "NVIDIA driver",
       driver ? "for CUDA up to " + cuda.driver : "not found");
  for (size_t i = 0; i < cuda.gpus.size(); ++i)
    line(true, fmt::format("GPU cuda:{}", i), describe(cuda.gpus[i]));
  for (auto [library, name] : {std::pair{"cublaslt", "cuBLASLt"}, std::pair{"cudnn", "cuDNN"}})
    if (has_library(library))
      line(true, name, "there, `--tune` measures it");
    else if (built)
      line("none", name, "not found; netc has kernels of its own");
  if (cuda.gpus.empty())
    line(driver ? "MISSING" : "none", "GPU", fmt::format("{}; {}", cuda.problem, cuda.hint));
}

void doctor() {
  line(true, "processor", processor_description());
  check_memory();
  bool compiler = check_compiler();
  NvrtcToolchain nvrtc;
  line(nvrtc.available(), "NVRTC",
       nvrtc.available() ? nvrtc.version() : "not found: no plans for GPUs can be compiled");
  check_cuda();
  line(graphviz_available(), "Graphviz",
       graphviz_available() ? "built in" : "not built in: `netc viz` writes .dot only");
  if (!compiler)
    throw RuntimeError("netc cannot compile networks here",
                       "install a C++ compiler (Debian: `apt-get install g++`)");
}

} // namespace

void add_doctor(CLI::App& app, std::function<void()>& command) {
  app.add_subcommand("devices", "the devices netc can use")->callback([&command] {
    command = print_devices;
  });
  app.add_subcommand("doctor", "checks what netc needs on this machine")->callback([&command] {
    command = doctor;
  });
}

} // namespace netc::cli
