// What warps compute together, against plain loops; and what correct kernels may do.

#include "tests/emu/emu_testing.h"

#include <cmath>
#include <numeric>
#include <random>

namespace netc {
namespace {

class EmulatorRuns : public testing::TestWithParam<const char*> {
protected:
  void SetUp() override {
    if (emu_toolchain(GetParam()) == nullptr)
      GTEST_SKIP() << GetParam() << " is not installed";
  }
  /// Launches the entries of a text in order.
  void run(const std::string& text, std::vector<EmulatorBuffer> buffers, EmulatorLaunch launch) {
    EmuText compiled(emu_header + text, *emu_toolchain(GetParam()));
    launch.kernel = "test";
    launch.buffers = buffers;
    for (int i = 0; text.find(fmt::format("kernel_{}(", i)) != text.npos; ++i) {
      launch.entry = i;
      launch.function = compiled.entry(i);
      emulator_.launch(launch);
    }
  }
  Emulator emulator_;
};
INSTANTIATE_TEST_SUITE_P(All, EmulatorRuns, testing::Values("g++", "clang++"),
                         [](const auto& info) {
                           return std::string(info.param) == "g++" ? "Gcc" : "Clang";
                         });

std::vector<float> numbers(size_t count) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> result(count);
  for (float& x : result)
    x = uniform(random);
  return result;
}

TEST_P(EmulatorRuns, ThreadsKnowWhoTheyAre) {
  const std::string text = R"(
extern "C" __global__ void kernel_0(netc::Global<int> out) {
  const long at = 6 * (netc::block() * netc::lanes() + netc::lane());
  out[at] = netc::block(), out[at + 1] = netc::blocks(), out[at + 2] = netc::lanes();
  out[at + 3] = netc::warp(), out[at + 4] = netc::warps(), out[at + 5] = netc::warp_lane();
})";
  EmuArray<int> out(6 * 3 * 96);
  run(text, {out.buffer("out")}, {.blocks = 3, .threads = 96});
  for (int b = 0; b < 3; ++b)
    for (int t = 0; t < 96; ++t) {
      const int* seen = &out.values[6 * (b * 96 + t)];
      EXPECT_EQ(std::vector<int>(seen, seen + 6), (std::vector<int>{b, 3, 96, t / 32, 3, t % 32}));
    }
}

TEST_P(EmulatorRuns, ShufflesMoveValues) {
  const std::string text = R"(
extern "C" __global__ void kernel_0(netc::Global<const float> in, netc::Global<float> out,
                                    netc::Global<int> bits) {
  const int i = netc::lane();
  out[i] = netc::shuffle_xor(in[i], 5);
  out[i + netc::lanes()] = netc::shuffle(in[i], (netc::warp_lane() * 7 + 3) % 32);
  bits[i] = netc::shuffle_xor(-i, 16);
})";
  EmuArray<float> in(numbers(64)), out(128);
  EmuArray<int> bits(64);
  run(text, {in.buffer("in"), out.buffer("out"), bits.buffer("bits")}, {.threads = 64});
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(out.values[i], in.values[i ^ 5]);
    EXPECT_EQ(out.values[i + 64], in.values[i / 32 * 32 + (i % 32 * 7 + 3) % 32]);
    EXPECT_EQ(bits.values[i], -(i ^ 16));
  }
}

/// A tree of shuffles, then the warps' sums through shared memory.
const char* const sum_text = R"(
extern "C" __global__ void kernel_0(netc::Global<const float> in, netc::Global<float> out) {
  netc::Shared<float> sums = netc::shared_array<float>(0, 32);
  for (long item = netc::block(); item < 5; item += netc::blocks()) {
    float sum = in[item * netc::lanes() + netc::lane()];
    for (int mask = 16; mask > 0; mask /= 2)
      sum += netc::shuffle_xor(sum, mask);
    if (netc::warp_lane() == 0)
      sums[netc::warp()] = sum;
    netc::barrier();
    sum = 0;
    for (int w = 0; w < netc::warps(); ++w)
      sum += sums[w];
    netc::barrier();
    if (netc::lane() == 0)
      out[item] = sum;
  }
})";

TEST_P(EmulatorRuns, BlocksOfAnySizeReduce) {
  for (int threads : {32, 64, 96, 256, 512, 1024}) {
    EmuArray<float> in(numbers(5 * threads)), out(5);
    run(sum_text, {in.buffer("in"), out.buffer("out")},
        {.blocks = 3, .threads = threads, .shared_bytes = 128});
    for (int item = 0; item < 5; ++item) {
      const auto from = in.values.begin() + item * threads;
      const double expected = std::accumulate(from, from + threads, 0.0);
      // Ten levels of sums below 20 in f32.
      EXPECT_NEAR(out.values[item], expected, 2e-5) << threads;
    }
  }
}

/// The product of whole matrices through fragments as the PTX ISA lays them out, spelled out here
/// by the formulas of its figures.
const char* const tf32_text = R"(
extern "C" __global__ void kernel_0(netc::Global<const float> a, netc::Global<const float> b,
                                    netc::Global<float> c) {
  const int g = netc::warp_lane() >> 2, t = netc::warp_lane() & 3;
  unsigned fa[4], fb[2];
  for (int i = 0; i < 4; ++i) {
    const int row = i == 0 || i == 2 ? g : g + 8, k = i < 2 ? t : t + 4;
    fa[i] = netc::to_tf32(a[row * 8 + k]);
  }
  for (int i = 0; i < 2; ++i)
    fb[i] = netc::to_tf32(b[(t + i * 4) * 8 + g]);
  float d[4];
  for (int i = 0; i < 4; ++i)
    d[i] = c[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)];
  netc::mma_tf32(d, fa, fb);
  for (int i = 0; i < 4; ++i)
    c[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)] = d[i];
})";
const char* const bf16_text = R"(
extern "C" __global__ void kernel_0(netc::Global<const float> a, netc::Global<const float> b,
                                    netc::Global<float> c) {
  const int g = netc::warp_lane() >> 2, t = netc::warp_lane() & 3;
  unsigned fa[4], fb[2];
  for (int i = 0; i < 4; ++i) {
    const int row = i == 0 || i == 2 ? g : g + 8, k = t * 2 + (i < 2 ? 0 : 8);
    fa[i] = netc::pack_bf16(a[row * 16 + k], a[row * 16 + k + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    const int k = t * 2 + i * 8;
    fb[i] = netc::pack_bf16(b[k * 8 + g], b[(k + 1) * 8 + g]);
  }
  float d[4];
  for (int i = 0; i < 4; ++i)
    d[i] = c[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)];
  netc::mma_bf16(d, fa, fb);
  for (int i = 0; i < 4; ++i)
    c[(i < 2 ? g : g + 8) * 8 + t * 2 + (i & 1)] = d[i];
})";

/// x with `bits` bits of mantissa, to nearest; ties do not occur among the numbers here.
double rounded(float x, int bits) {
  int exponent;
  const double mantissa = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(mantissa, bits + 1)), exponent - bits - 1);
}

TEST_P(EmulatorRuns, MatrixInstructionsMultiply) {
  for (const int depth : {8, 16}) {
    EmuArray<float> a(numbers(16 * depth)), b(numbers(depth * 8)), c(numbers(16 * 8));
    const std::vector<float> before = c.values;
    run(depth == 8 ? tf32_text : bf16_text, {a.buffer("a"), b.buffer("b"), c.buffer("c")},
        {.threads = 32});
    const int bits = depth == 8 ? 10 : 7;
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        double sum = before[row * 8 + column];
        for (int k = 0; k < depth; ++k)
          sum += rounded(a.values[row * depth + k], bits) * rounded(b.values[k * 8 + column], bits);
        EXPECT_NEAR(c.values[row * 8 + column], sum, 1e-6) << row << ' ' << column; // one rounding
      }
  }
}

TEST_P(EmulatorRuns, TensorCoresDropLowBits) {
  // 1 + 2^-11 has a bit that TF32 has not: to_tf32 rounds it up, the instruction itself drops it.
  const std::string text = R"(
extern "C" __global__ void kernel_0(netc::Global<const unsigned> in, netc::Global<float> out) {
  const unsigned a[4] = {in[0], in[0], in[0], in[0]};
  const unsigned b[2] = {0x3f800000, 0x3f800000};
  float d[4] = {0, 0, 0, 0};
  netc::mma_tf32(d, a, b);
  float x;
  const unsigned r = netc::to_tf32(1 + 0.00048828125f);
  __builtin_memcpy(&x, &r, 4);
  if (netc::lane() == 0)
    out[0] = d[0], out[1] = x;
})";
  EmuArray<unsigned> in(std::vector<unsigned>{0x3f801000});
  EmuArray<float> out(2);
  run(text, {in.buffer("in"), out.buffer("out")}, {.threads = 32});
  EXPECT_EQ(out.values[0], 8.0f);
  EXPECT_EQ(out.values[1], 1.0f + 0.0009765625f);
}

TEST_P(EmulatorRuns, PipelinesOfCopies) {
  // Two stages ahead, as a tiled product has them; what does not exist becomes zero.
  const std::string text = R"(
extern "C" __global__ void kernel_0(netc::Global<const float> in, netc::Global<float> out) {
  netc::Shared<float> stages = netc::shared_array<float>(0, 3 * 256);
  const int lane = netc::lane();
  for (int s = 0; s < 2; ++s) {
    netc::copy_async<4>(stages + s * 256 + lane * 4, in, s * 256 + lane * 4, true);
    netc::copy_commit();
  }
  float sum = 0;
  for (int s = 0; s < 8; ++s) {
    netc::copy_wait<1>();
    netc::barrier();
    netc::copy_async<4>(stages + (s + 2) % 3 * 256 + lane * 4, in, (s + 2) * 256 + lane * 4,
                        s + 2 < 8);
    netc::copy_commit();
    for (int i = 0; i < 256; ++i)
      sum += stages[s % 3 * 256 + i];
  }
  netc::copy_wait<0>();
  netc::barrier();
  out[lane] = sum + stages[2 * 256 + lane] + stages[lane];
})";
  EmuArray<float> in(std::vector<float>(8 * 256, 0.5f)), out(64);
  run(text, {in.buffer("in"), out.buffer("out")}, {.threads = 64, .shared_bytes = 3 * 1024});
  EXPECT_EQ(out.values, std::vector<float>(64, 1024.0f));
}

TEST_P(EmulatorRuns, LaunchesAreOrdered) {
  const std::string text = R"(
extern "C" __global__ void kernel_0(netc::Global<float> x, netc::Global<float> y) {
  x[netc::block() * netc::lanes() + netc::lane()] = netc::block();
}
extern "C" __global__ void kernel_1(netc::Global<float> x, netc::Global<float> y) {
  const long i = netc::block() * netc::lanes() + netc::lane();
  y[i] = x[netc::blocks() * netc::lanes() - 1 - i];
  y[i] += 1;
}
extern "C" __global__ void kernel_2(netc::Global<float> x, netc::Global<float> y) {
  const long i = netc::block() * netc::lanes() + netc::lane();
  x[i] = y[i];
})";
  EmuArray<float> x(256), y(256);
  run(text, {x.buffer("x"), y.buffer("y")}, {.blocks = 4, .threads = 64});
  for (int i = 0; i < 256; ++i)
    EXPECT_EQ(x.values[i], 4 - i / 64);
}

TEST_P(EmulatorRuns, BytesAndWordsOfTheSameMemory) {
  const std::string text = R"(
extern "C" __global__ void kernel_0(netc::Global<const unsigned char> in,
                                    netc::Global<const unsigned> words,
                                    netc::Global<unsigned char> out, netc::Global<unsigned> sums) {
  netc::Shared<float> s = netc::shared_array<float>(0, 64);
  netc::Shared<unsigned char> b = netc::shared_array<unsigned char>(0, 256);
  const int i = netc::lane();
  sums[i] = in[i * 4 + 1] + words[i];
  s[i] = 1.0f;
  netc::barrier();
  out[i] = b[i * 4 + 3]; // the sign and exponent of 1.0f
  netc::barrier();
  for (int k = 0; k < 4; ++k)
    b[k * 64 + i] = 0;
  netc::barrier();
  sums[i] = sums[i] + (s[i] == 0.0f);
})";
  std::vector<unsigned char> bytes(256, 1);
  EmuArray<unsigned char> in(bytes), out(64);
  EmuArray<unsigned> sums(64);
  run(text, {in.buffer("in"), in.buffer("words"), out.buffer("out"), sums.buffer("sums")},
      {.threads = 64, .shared_bytes = 256});
  EXPECT_EQ(out.values, std::vector<unsigned char>(64, 0x3f));
  EXPECT_EQ(sums.values, std::vector<unsigned>(64, 0x01010103));
}

TEST_P(EmulatorRuns, WarpsExchangeThousandsOfTimes) {
  // More warp barriers than a stamp counts between two barriers of the block.
  const std::string text = R"(
extern "C" __global__ void kernel_0(netc::Global<int> out) {
  netc::Shared<int> s = netc::shared_array<int>(0, 64);
  const int i = netc::lane();
  s[i] = i;
  for (int round = 0; round < 40000; ++round) {
    netc::warp_barrier();
    const int next = s[i / 32 * 32 + (i + 1) % 32];
    netc::warp_barrier();
    s[i] = next;
  }
  out[i] = s[i];
})";
  EmuArray<int> out(64);
  run(text, {out.buffer("out")}, {.threads = 64, .shared_bytes = 256});
  for (int i = 0; i < 64; ++i)
    EXPECT_EQ(out.values[i], i / 32 * 32 + (i + 40000) % 32);
}

} // namespace
} // namespace netc
