#pragma once
// What the tests of the NVRTC matrix share: how plans compute, and how kernels must compile.

#include "codegen/nvrtc.h"
#include "codegen/program_builder.h"
#include "ir/support/error.h"
#include "tests/support/places.h"
#include "tools/driver/compile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iostream>

namespace netc::test {

/// GPUs of every generation there is code for, one of them with what only it has, and PTX for those
/// to come.
constexpr const char* matrix_archs[] = {"sm_75",  "sm_80",  "sm_90",     "sm_90a",
                                        "sm_100", "sm_120", "compute_90"};

/// How the contractions of a plan compute.
struct MathMode {
  std::string name; ///< A precision's, or `exact`.
  Precision precision = Precision::fp32;
  bool exact = false;
};

/// All that `target` has.
inline std::vector<MathMode> math_modes(const Target& target) {
  std::vector<MathMode> modes;
  for (Precision p : {Precision::fp32, Precision::x3tf32, Precision::tf32, Precision::bf16})
    if (supports(target, p))
      modes.push_back({std::string(to_string(p)), p, false});
  modes.push_back({"exact", Precision::fp32, true});
  return modes;
}

/// Registers `suite.test`, which skips without NVRTC; suites that end in `Slow` are slow.
inline void register_nvrtc_test(const std::string& suite, const std::string& test,
                                const std::function<void(const NvrtcToolchain&)>& body) {
  class NvrtcTest : public testing::Test {
  public:
    explicit NvrtcTest(std::function<void(const NvrtcToolchain&)> body) : body_(std::move(body)) {}
    void TestBody() override {
      NvrtcToolchain nvrtc;
      if (!nvrtc.available())
        GTEST_SKIP() << "skipped: no NVRTC";
      body_(nvrtc);
    }

  private:
    std::function<void(const NvrtcToolchain&)> body_;
  };
  testing::RegisterTest(suite.c_str(), test.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [body]() -> testing::Test* { return new NvrtcTest(body); });
}

/// Registers of a multiprocessor, which the threads of a block share (CUDA C++ Programming Guide,
/// table of technical specifications per compute capability).
constexpr int multiprocessor_registers = 65536;

/// What compiling a plan's kernels gave, as one line.
struct CompiledKernels {
  size_t launches = 0, texts = 0;
  CompileStats stats;
  int registers = 0, spill_bytes = 0, shared_bytes = 0; ///< The most of any kernel.

  void print(const std::string& what) const {
    std::cout << fmt::format("{}: {} kernels, {} texts ({} compiled in {:.1f} s), at most {} "
                             "registers, {} bytes spilled, {} bytes shared\n",
                             what, launches, texts, stats.misses, stats.seconds, registers,
                             spill_bytes, shared_bytes);
  }
};

/// Expects that the kernels compile for their target, that no products of a warpgroup wait for each
/// other, that they are launched within its limits and keep all in registers unless they
/// `may_spill` (partial sums of exact trees; tilings that no plan has by default). Prints a line.
inline void expect_compile(const NvrtcToolchain& nvrtc, const std::string& what,
                           const KernelSet& kernels, const Target& target, bool may_spill) {
  std::vector<CompileJob> jobs = jobs_of(kernels);
  ASSERT_FALSE(jobs.empty());
  CompiledKernels all;
  all.texts = jobs.size();
  try {
    all.stats = nvrtc.compile(jobs, default_threads(), target.arch, binary_root() / "kernel-cache");
  } catch (const InternalError& error) {
    FAIL() << what << ": " << error.what();
  }
  for (const CompileJob& job : jobs) {
    // What ptxas says (C7510 to C7519) where products of a warpgroup wait for each other.
    std::ifstream report(job.binary.parent_path() / (job.binary.stem().string() + ".ptxas.txt"));
    const std::string remarks(std::istreambuf_iterator<char>(report), {});
    EXPECT_EQ(remarks.find("are serialized"), remarks.npos)
        << what << " " << job.name << ": " << remarks;
  }
  const bool says_registers = target.arch.starts_with("sm_"); // PTX is compiled where it runs
  for (size_t i = 0; i < jobs.size(); ++i) {
    const CompileJob& job = jobs[i];
    all.launches += job.users.size();
    for (const KernelEntry& entry : job.entries) {
      SCOPED_TRACE(fmt::format("{} {}, {} registers, used by {}", what, job.name, entry.registers,
                               job.users.front()));
      EXPECT_EQ(entry.registers > 0, says_registers);
      EXPECT_LE(entry.registers * entry.threads, multiprocessor_registers);
      if (!may_spill) {
        EXPECT_EQ(entry.spill_bytes, 0);
      }
      EXPECT_LE(entry.shared_bytes, target.shared_bytes());
      all.registers = std::max(all.registers, entry.registers);
      all.spill_bytes = std::max(all.spill_bytes, entry.spill_bytes);
      all.shared_bytes = std::max(all.shared_bytes, entry.shared_bytes);
    }
  }
  all.print(what);
}

} // namespace netc::test
