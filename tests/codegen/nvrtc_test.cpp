// NVRTC as a toolchain: binaries, what it says of them, its cache, and how a kernel that does not
// compile is reported. It needs no GPU; where it is not installed the tests skip.

#include "codegen/nvrtc.h"
#include "codegen/toolchain.h"
#include "ir/support/error.h"
#include "tests/support/golden.h"

#include <gmock/gmock.h>

#include <unistd.h>

namespace netc::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string store_one = "extern \"C\" __global__ void kernel_0(float* x) { x[0] = 1; }\n";

/// A text with two entries; a thread of the second keeps `count` sums over a loop.
std::string two_entries(int count) {
  return store_one + fmt::format(R"(
extern "C" __global__ void __launch_bounds__(1024) kernel_1(float* x, int n) {{
  float sums[{0}] = {{}};
  for (int i = 0; i < n; ++i)
#pragma unroll
    for (int k = 0; k < {0}; ++k)
      sums[k] += x[i * k];
#pragma unroll
  for (int k = 0; k < {0}; ++k)
    x[k] = sums[k];
}}
)",
                                 count);
}

class Nvrtc : public testing::Test {
protected:
  void SetUp() override {
    if (!nvrtc_.available())
      GTEST_SKIP() << "skipped: no NVRTC";
    cache_ = fs::temp_directory_path() / fmt::format("netc-nvrtc-test-{}", getpid());
  }
  void TearDown() override {
    if (!cache_.empty())
      fs::remove_all(cache_);
  }

  CompileStats compile(std::vector<CompileJob>& jobs, const std::string& arch = "sm_90") const {
    return nvrtc_.compile(jobs, 2, arch, cache_);
  }
  /// What is thrown when `job` does not compile.
  std::string failure(const CompileJob& job) const {
    std::vector<CompileJob> jobs = {job};
    try {
      compile(jobs);
    } catch (const InternalError& error) {
      return error.what();
    }
    ADD_FAILURE() << "compiled";
    return {};
  }

  NvrtcToolchain nvrtc_;
  fs::path cache_;
};

TEST(Arch, OfAGpu) {
  const std::vector<int> known = {75, 80, 90, 100, 120};
  EXPECT_EQ(arch_for(75, known), "sm_75");
  EXPECT_EQ(arch_for(90, known), "sm_90a"); // what the GPU alone has
  EXPECT_EQ(arch_for(120, known), "sm_120");
  EXPECT_EQ(arch_for(130, known), "compute_120"); // newer than the compiler
  EXPECT_EQ(arch_for(86, known), "compute_80");   // left out by the compiler
  EXPECT_EQ(arch_for(70, known), "");
  EXPECT_EQ(arch_for(90, {}), ""); // no compiler
}

TEST(Arch, KnownToACompiler) {
  auto knows = [](const char* target) {
    return knows_arch(parse_target(target), {75, 80, 90, 100, 120});
  };
  for (const char* target : {"cuda:sm_75", "cuda:compute_80", "cuda:sm_90a", "cuda:sm_100f"})
    EXPECT_TRUE(knows(target)) << target;
  for (const char* target : {"cuda:sm_91", "cuda:compute_130", "cuda:sm_80a", "cuda:sm_90f"})
    EXPECT_FALSE(knows(target)) << target;
}

TEST_F(Nvrtc, KnowsItsGpus) {
  EXPECT_THAT(nvrtc_.capabilities(), testing::IsSupersetOf({75, 90}));
  EXPECT_TRUE(std::is_sorted(nvrtc_.capabilities().begin(), nvrtc_.capabilities().end()));
}

TEST_F(Nvrtc, GivesCubinsAndPtx) {
  std::string log;
  EXPECT_THAT(nvrtc_.version(), testing::StartsWith("NVRTC 1"));
  EXPECT_EQ(nvrtc_.compile(store_one, "sm_90", log).substr(0, 4), "\177ELF");
  EXPECT_THAT(nvrtc_.compile(store_one, "compute_90", log), HasSubstr(".target sm_90"));
  EXPECT_EQ(log, "");
}

TEST_F(Nvrtc, ReportsItsLog) {
  std::string log;
  try {
    nvrtc_.compile("extern \"C\" __global__ void kernel_0() { x = 1; }\n", "sm_90", log);
    ADD_FAILURE() << "compiled";
  } catch (const InternalError& error) {
    EXPECT_THAT(error.what(), HasSubstr("identifier \"x\" is undefined"));
  }
  EXPECT_THAT(log, HasSubstr("kernel.cu(1)"));
  EXPECT_THROW(nvrtc_.compile("", "sm_1", log), RuntimeError);
}

TEST_F(Nvrtc, JobsKeepBinariesAndLearnRegistersAndSpills) {
  std::vector<CompileJob> jobs = {
      {.name = "small", .source = store_one, .entries = {{}}},
      {.name = "large", .source = two_entries(96), .entries = {{}, {}}}};
  const CompileStats stats = compile(jobs);
  EXPECT_EQ(stats.hits, 0);
  EXPECT_EQ(stats.misses, 2);
  for (const CompileJob& job : jobs) {
    const std::string cubin = read_text(job.binary);
    EXPECT_EQ(cubin.substr(0, 4), "\177ELF");
    for (size_t i = 0; i < job.entries.size(); ++i)
      EXPECT_THAT(cubin, HasSubstr(fmt::format("kernel_{}", i)));
  }
  EXPECT_GT(jobs[0].entries[0].registers, 0);
  EXPECT_EQ(jobs[1].entries[0], jobs[0].entries[0]);
  EXPECT_EQ(jobs[1].entries[1].registers, 64); // all that 1024 threads may have
  EXPECT_GT(jobs[1].entries[1].spill_bytes, 0);
}

TEST_F(Nvrtc, PtxSaysNothingOfRegisters) {
  std::vector<CompileJob> jobs = {{.name = "small", .source = store_one, .entries = {{}}}};
  compile(jobs, "compute_90");
  EXPECT_EQ(jobs[0].binary.extension(), ".ptx");
  EXPECT_THAT(read_text(jobs[0].binary), HasSubstr(".target sm_90"));
  EXPECT_EQ(jobs[0].entries[0], KernelEntry{});
}

TEST_F(Nvrtc, CachedJobsAreNotCompiledAgain) {
  const std::vector<CompileJob> jobs = {
      {.name = "large", .source = two_entries(96), .entries = {{}, {}}}};
  std::vector<CompileJob> first = jobs, second = jobs, other_arch = jobs, other_text = jobs;
  compile(first);
  const fs::file_time_type written = fs::last_write_time(first[0].binary);
  EXPECT_EQ(compile(second).hits, 1);
  EXPECT_EQ(second[0].key, first[0].key);
  EXPECT_EQ(second[0].entries, first[0].entries); // what the compiler said is kept, too
  EXPECT_EQ(fs::last_write_time(second[0].binary), written);
  EXPECT_EQ(compile(other_arch, "sm_80").misses, 1);
  EXPECT_NE(other_arch[0].key, first[0].key);
  other_text[0].source += "// \n";
  EXPECT_EQ(compile(other_text).misses, 1);
  EXPECT_NE(other_text[0].key, first[0].key);
}

TEST_F(Nvrtc, BinariesDependOnCompilerOptionsAndHeaders) {
  const std::string all = nvrtc_.fingerprint("sm_90");
  for (const std::string& part : {nvrtc_.version(), std::string("-std=c++20"),
                                  std::string("-default-device"), std::string("-arch=sm_90")})
    EXPECT_THAT(all, HasSubstr(part + "\n"));
  for (const auto& [name, text] : device_files())
    EXPECT_THAT(all, HasSubstr(name + "\n" + text));
  EXPECT_NE(nvrtc_.fingerprint("sm_90a"), all);
}

TEST_F(Nvrtc, FailuresNameTheGeneratedLineItsLayersAndTheText) {
  const std::string source = store_one + "extern \"C\" __global__ void kernel_1(float* x) {\n"
                                         "  x[0] = y;\n"
                                         "}\n";
  const std::string text = failure(
      {.name = "07_conv2",
       .source = source,
       .users = {"conv2: conv2d + bias (net.yaml:9:5)", "conv4: conv2d + bias (net.yaml:14:5)"}});
  EXPECT_THAT(text, HasSubstr("kernel `07_conv2` does not compile for sm_90, see "));
  EXPECT_THAT(text, HasSubstr("\nused by conv2: conv2d + bias (net.yaml:9:5)\n"
                              "used by conv4: conv2d + bias (net.yaml:14:5)\n"
                              "    3 |   x[0] = y;\n"
                              "kernel.cu(3): error"));
  EXPECT_THAT(text, HasSubstr("identifier \"y\" is undefined"));
  const size_t begin = text.find("see ") + 4;
  const fs::path kept = text.substr(begin, text.find('\n', begin) - begin);
  EXPECT_EQ(kept.parent_path(), cache_);
  EXPECT_EQ(kept.extension(), ".cu");
  EXPECT_EQ(read_text(kept), source);
}

TEST_F(Nvrtc, FailuresInATemplateNameTheGeneratedLineToo) {
  const std::string text = failure({.name = "00_fc",
                                    .source = "#include \"codegen/device/cuda/kernel.h\"\n"
                                              "struct No {};\n"
                                              "extern \"C\" __global__ void kernel_0(float* x) {\n"
                                              "  x[0] = netc::reduce<No, false>(0, 1, 2);\n"
                                              "}\n"});
  EXPECT_THAT(text, HasSubstr("\n    4 |   x[0] = netc::reduce<No, false>(0, 1, 2);\n"
                              "codegen/device/cuda/kernel.h("));
}

} // namespace
} // namespace netc::test
