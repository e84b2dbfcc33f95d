// Each check of the emulator on a small kernel that is right, and on the same kernel with a
// mistake.

#include "tests/emu/emu_testing.h"

namespace netc {
namespace {

/// Both kernels run with `in`, 256 floats, `out`, as many and not initialised, and `bytes`, 256 of
/// them. The mistake replaces `right` by `wrong`; the fault is expected in the line that contains
/// `FAULT`, its other party in the one that contains `OTHER`.
struct FaultCase {
  const char* name;
  const char* body;
  const char* right;
  const char* wrong;
  emu::Fault kind;
  const char* buffer; ///< nullptr: none, or shared memory.
  int64_t blocks = 1;
  int threads = 64;
};

std::ostream& operator<<(std::ostream& out, const FaultCase& c) {
  return out << c.name;
}

const FaultCase bounds_cases[] = {
    {"ReadBehind", R"(
  const int i = netc::block() * netc::lanes() + netc::lane();
  out[i] = in[i + 0]; // FAULT
)",
     "i + 0", "i + 1", emu::Fault::out_of_bounds, "in", 4},
    {"ReadBefore", "out[netc::lane()] = in[netc::lane() - 0]; // FAULT\n", "- 0", "- 1",
     emu::Fault::out_of_bounds, "in"},
    {"WriteBehind", "(out + 192)[netc::lane()] = 1; // FAULT\n", "192", "193",
     emu::Fault::out_of_bounds, "out"},
    {"BytesBehind", "bytes[netc::lane() * 4 + 3] = 1; // FAULT\n", "+ 3", "+ 4",
     emu::Fault::out_of_bounds, "bytes"},
    {"VectorBehind", R"(
  const netc::Float4 v = netc::load4(in, netc::lane() * 4 + 0); // FAULT
  netc::store4(out, netc::lane() * 4, v);
)",
     "+ 0", "+ 4", emu::Fault::out_of_bounds, "in"},
    {"SharedArrayBehind", R"(
  netc::Shared<float> a = netc::shared_array<float>(0, 64);
  netc::Shared<float> b = netc::shared_array<float>(256, 64);
  b[netc::lane()] = 1;
  a[netc::lane() + 0] = 2; // FAULT
)",
     "+ 0", "+ 1", emu::Fault::out_of_bounds, nullptr},
    {"SharedArrayTooLarge", "netc::shared_array<float>(1024, 256); // FAULT\n", "1024", "1028",
     emu::Fault::out_of_bounds, nullptr},
    {"NullPointer", R"(
  netc::Global<const float> from = in;
  out[netc::lane()] = from[netc::lane()]; // FAULT
)",
     "from = in", "from = nullptr", emu::Fault::out_of_bounds, "nullptr"},
    {"MisalignedVector", R"(
  const netc::Float4 v = netc::load4(in + 0, 4 * (netc::lane() % 32)); // FAULT
  netc::store4(out, 4 * netc::lane(), v);
)",
     "in + 0", "in + 2", emu::Fault::misaligned, "in"},
    {"MisalignedStore", "netc::store2(out + 0, 2 * netc::lane(), {1, 2}); // FAULT\n", "+ 0", "+ 1",
     emu::Fault::misaligned, "out"},
    {"MisalignedCopy", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 512);
  netc::copy_async<4>(s + 4 * netc::lane(), in, 4 * (netc::lane() % 32) + 0, true); // FAULT
)",
     "+ 0", "+ 2", emu::Fault::misaligned, "in"},
};

const FaultCase value_cases[] = {
    {"UninitialisedGlobal", R"(
  out[netc::lane()] = 1;
  out[netc::lane() + 64] = out[netc::lane() + 0]; // FAULT
)",
     "+ 0", "+ 128", emu::Fault::uninitialised, "out"},
    {"UninitialisedShared", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  if (netc::lane() < 64) s[netc::lane()] = 1;
  netc::barrier();
  out[netc::lane()] = s[63 - netc::lane()]; // FAULT
)",
     "< 64", "< 63", emu::Fault::uninitialised, nullptr},
    {"SharedOfTheBlockBefore", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  if (netc::block() < 2) s[netc::lane()] = 1;
  out[netc::block() * 64 + netc::lane()] = s[netc::lane()]; // FAULT
)",
     "< 2", "< 1", emu::Fault::uninitialised, nullptr, 2},
    {"UninitialisedByte", R"(
  bytes[netc::lane()] = 1;
  netc::barrier();
  out[netc::lane()] = bytes[netc::lane() / 2 + 0]; // FAULT
)",
     "+ 0", "+ 33", emu::Fault::uninitialised, "bytes"},
    {"ReadBeforeWait", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  netc::copy_async<1>(s + netc::lane(), in, netc::lane(), true); // OTHER
  netc::copy_commit();
  netc::copy_wait<0>();
  out[netc::lane()] = s[netc::lane()]; // FAULT
)",
     "netc::copy_wait<0>();", "", emu::Fault::pending_copy, nullptr},
    {"WaitForTooFew", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 128);
  netc::copy_async<1>(s + netc::lane(), in, netc::lane(), true);
  netc::copy_commit();
  netc::copy_async<1>(s + 64 + netc::lane(), in, netc::lane(), true); // OTHER
  netc::copy_commit();
  netc::copy_wait<1>();
  out[netc::lane()] = s[0 + netc::lane()]; // FAULT
)",
     "s[0 +", "s[64 +", emu::Fault::pending_copy, nullptr},
    {"CopyNotCommitted", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  netc::copy_async<1>(s + netc::lane(), in, netc::lane(), true); // OTHER
  netc::copy_commit();
  netc::copy_wait<0>();
  out[netc::lane()] = s[netc::lane()]; // FAULT
)",
     "netc::copy_commit();", "", emu::Fault::pending_copy, nullptr},
    {"BarrierInsteadOfWait", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  netc::copy_async<1>(s + netc::lane(), in, netc::lane(), true); // OTHER
  netc::copy_commit();
  netc::copy_wait<0>();
  netc::barrier();
  out[netc::lane()] = s[63 - netc::lane()]; // FAULT
)",
     "netc::copy_wait<0>();", "", emu::Fault::pending_copy, nullptr},
    {"WaitWithoutBarrier", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 65);
  netc::copy_async<1>(s + netc::lane() + 1, in, netc::lane(), true); // OTHER
  netc::copy_commit();
  netc::copy_wait<0>();
  netc::barrier();
  if (netc::lane() > 0) out[netc::lane()] = s[netc::lane()]; // FAULT
)",
     "netc::barrier();", "", emu::Fault::race, nullptr},
    {"WriteUnderCopy", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  netc::copy_async<1>(s + netc::lane(), in, 100000, false); // OTHER
  netc::copy_commit();
  netc::copy_wait<0>();
  s[netc::lane()] = 1; // FAULT
)",
     "netc::copy_wait<0>();", "", emu::Fault::pending_copy, nullptr},
};

const FaultCase race_cases[] = {
    {"ReadOfTheUnordered", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  s[netc::lane()] = 1; // OTHER
  netc::barrier();
  out[netc::lane()] = s[netc::lane() / 2]; // FAULT
)",
     "netc::barrier();", "", emu::Fault::race, nullptr},
    {"WriteOfTheRead", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 65);
  s[netc::lane()] = 1;
  if (netc::lane() == 0) s[64] = 1;
  netc::barrier();
  const float x = s[netc::lane() + 1]; // OTHER
  netc::barrier( /**/ );
  s[netc::lane()] = x; // FAULT
)",
     "netc::barrier( /**/ );", "", emu::Fault::race, nullptr},
    {"WriteOfWhatAllRead", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 1);
  if (netc::lane() == 0) s[0] = 1;
  netc::barrier();
  const float x = s[0]; // OTHER
  netc::barrier( /**/ );
  if (netc::lane() == 62) s[0] = x; // FAULT
)",
     "netc::barrier( /**/ );", "", emu::Fault::race, nullptr},
    {"TwoWriters", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  s[netc::lane() / 1] = 1; // FAULT OTHER
)",
     "/ 1", "/ 2", emu::Fault::race, nullptr},
    {"WithinAWarp", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  s[netc::lane()] = 1; // OTHER
  netc::warp_barrier();
  const float x = s[netc::lane() / 2 * 2]; // FAULT
  netc::warp_barrier();
  s[netc::lane()] = x;
)",
     "netc::warp_barrier();\n  const", "\n  const", emu::Fault::race, nullptr},
    {"WriteOfWhatTheWarpRead", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 2);
  if (netc::warp_lane() == 0) s[netc::warp()] = 1;
  netc::warp_barrier();
  const float x = s[netc::warp()]; // OTHER
  netc::warp_barrier( /**/ );
  if (netc::warp_lane() == 30) s[netc::warp()] = x; // FAULT
)",
     "netc::warp_barrier( /**/ );", "", emu::Fault::race, nullptr},
    {"WarpBarrierForABlock", R"(
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  s[netc::lane()] = 1; // OTHER
  netc::barrier();
  if (netc::warp() == 1) out[netc::lane()] = s[63 - netc::lane()]; // FAULT
)",
     "netc::barrier()", "netc::warp_barrier()", emu::Fault::race, nullptr},
    {"BlocksWriteTheSame", R"(
  out[netc::block() * 64 + netc::lane()] = 1; // FAULT OTHER
)",
     "* 64", "* 63", emu::Fault::race, "out", 4},
    {"BlockReadsAnother", R"(
  out[netc::block() * 64 + netc::lane()] = 1; // OTHER
  netc::barrier();
  out[128 + netc::block() * 64 + netc::lane()] = out[netc::block() * 64 + netc::lane()]; // FAULT
)",
     "= out[netc::block() * 64 +", "= out[", emu::Fault::race, "out", 2},
    {"BlockWritesWhatAnotherRead", R"(
  if (netc::block() == 0) out[netc::lane()] = in[netc::lane() + 0]; // OTHER
  if (netc::block() == 1) alias[netc::lane() + 128] = 1; // FAULT
)",
     "+ 0", "+ 128", emu::Fault::race, "alias", 2},
    {"NeighbouringBytes", "bytes[netc::lane() / 1] = 1; // FAULT OTHER\n", "/ 1", "/ 2",
     emu::Fault::race, "bytes"},
    {"SharedBytes", R"(
  netc::Shared<unsigned char> s = netc::shared_array<unsigned char>(0, 64);
  s[netc::lane()] = 1; // OTHER
  netc::barrier();
  out[netc::lane()] = s[netc::lane() / 2]; // FAULT
)",
     "netc::barrier();", "", emu::Fault::race, nullptr},
};

const FaultCase divergence_cases[] = {
    {"BarrierUnderACondition", R"(
  if (netc::lane() < 64)
    netc::barrier(); // FAULT
)",
     "< 64", "< 63", emu::Fault::divergence, nullptr},
    {"OneLeaves", R"(
  if (netc::lane() > 63) return;
  netc::barrier(); // FAULT
)",
     "> 63", "> 62", emu::Fault::divergence, nullptr},
    {"TwoBarriers", R"(
  if (netc::lane() < 64)
    netc::barrier(); // OTHER
  else
    netc::barrier(); // FAULT
)",
     "< 64", "< 32", emu::Fault::divergence, nullptr},
    {"HalfAWarpShuffles", R"(
  float x = 1;
  if (netc::lane() < 64)
    x = netc::shuffle_xor(x, 1); // FAULT
  netc::barrier(); // OTHER
  out[netc::lane()] = x;
)",
     "< 64", "< 16", emu::Fault::divergence, nullptr},
    {"TwoOperations", R"(
  float x = 1;
  if (netc::lane() < 64)
    x = netc::shuffle_xor(x, 1); // OTHER
  else
    netc::warp_barrier(); // FAULT
  out[netc::lane()] = x;
)",
     "< 64", "< 16", emu::Fault::divergence, nullptr},
    {"PartOfAWarp", "out[netc::lane()] = netc::lane() >= 64 ? 1.0f : 2.0f; // FAULT\n", "1.0f",
     "netc::shuffle(1.0f, 0)", emu::Fault::divergence, nullptr, 1, 80},
};

/// The kernel with the mistake, then the right one.
std::string text_of(const FaultCase& c) {
  std::string wrong = c.body;
  const size_t at = wrong.find(c.right);
  NETC_CHECK(at != wrong.npos, "{}: nothing to replace", c.name);
  wrong.replace(at, std::string(c.right).size(), c.wrong);
  std::string text = emu_header;
  for (const std::string& body : {wrong, std::string(c.body)})
    text += fmt::format("extern \"C\" __global__ void kernel_{}(netc::Global<const float> in,\n"
                        "    netc::Global<float> out, netc::Global<unsigned char> bytes,\n"
                        "    netc::Global<float> alias) {{{}}}\n",
                        text == emu_header ? 0 : 1, body);
  return text;
}

class EmulatorFaults : public testing::TestWithParam<std::tuple<FaultCase, const char*>> {
protected:
  std::optional<EmulatorFault> run(const EmuText& compiled, int entry) {
    const FaultCase& c = std::get<0>(GetParam());
    EmuArray<float> in(std::vector<float>(256, 2.0f)), out(256);
    EmuArray<unsigned char> bytes(256);
    const EmulatorBuffer buffers[] = {in.buffer("in"), out.buffer("out"), bytes.buffer("bytes"),
                                      in.buffer("alias")};
    return fault_of(emulator_, {.kernel = "case",
                                .function = compiled.entry(entry),
                                .blocks = c.blocks,
                                .threads = c.threads,
                                .shared_bytes = 2048,
                                .buffers = buffers});
  }
  Emulator emulator_;
};

TEST_P(EmulatorFaults, FiresOnTheMistakeOnly) {
  const auto& [c, compiler] = GetParam();
  const CpuToolchain* toolchain = emu_toolchain(compiler);
  if (toolchain == nullptr)
    GTEST_SKIP() << compiler << " is not installed";
  const std::string text = text_of(c);
  const EmuText compiled(text, *toolchain);
  const auto right = run(compiled, 1);
  EXPECT_FALSE(right) << right->what();
  const auto wrong = run(compiled, 0);
  ASSERT_TRUE(wrong) << text;
  const EmulatorFault::Details& d = wrong->details();
  SCOPED_TRACE(wrong->what());
  EXPECT_EQ(d.kind, c.kind);
  EXPECT_EQ(d.place.file, "kernel.cu");
  EXPECT_EQ(d.place.line, line_of(text, "FAULT"));
  EXPECT_EQ(d.buffer, c.buffer ? c.buffer : "");
  if (d.kind == emu::Fault::out_of_bounds) {
    EXPECT_EQ(d.size, d.buffer.empty()        ? 2048
                      : d.buffer == "bytes"   ? 256
                      : d.buffer == "nullptr" ? 0
                                              : 1024);
  }
  if (const int other = line_of(text, "OTHER"); other != 0) {
    ASSERT_TRUE(d.other);
    EXPECT_EQ(d.other->place.line, other);
  }
  // The emulator goes on with the next kernel.
  EXPECT_FALSE(run(compiled, 1));
}

std::string case_name(const testing::TestParamInfo<EmulatorFaults::ParamType>& info) {
  return std::string(std::get<0>(info.param).name) +
         (std::get<1>(info.param) == std::string("g++") ? "Gcc" : "Clang");
}

const auto compilers = testing::Values("g++", "clang++");
INSTANTIATE_TEST_SUITE_P(Bounds, EmulatorFaults,
                         testing::Combine(testing::ValuesIn(bounds_cases), compilers), case_name);
INSTANTIATE_TEST_SUITE_P(Values, EmulatorFaults,
                         testing::Combine(testing::ValuesIn(value_cases), compilers), case_name);
INSTANTIATE_TEST_SUITE_P(Races, EmulatorFaults,
                         testing::Combine(testing::ValuesIn(race_cases), compilers), case_name);
INSTANTIATE_TEST_SUITE_P(Divergence, EmulatorFaults,
                         testing::Combine(testing::ValuesIn(divergence_cases), compilers),
                         case_name);

} // namespace
} // namespace netc
