// Elements that memory holds rounded, on the emulator: which numbers floats become, and vectors of
// them.

#include "tests/emu/emu_testing.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <limits>

namespace netc {
namespace {

const std::string text = R"(
#include "codegen/device/cuda/kernel.h"
extern "C" __global__ void kernel_0(netc::Global<const float> x, netc::Global<netc::Tf32> t,
                                    netc::Global<netc::Bf16> b) {
  for (int i = netc::lane(); i < 16; i += netc::lanes()) {
    t[i] = x[i];
    b[i] = x[i];
  }
}
extern "C" __global__ void kernel_1(netc::Global<const float> x, netc::Global<netc::Tf32> t,
                                    netc::Global<netc::Bf16> b) {
  if (netc::lane() < 2) {
    netc::store4(t, 8 * netc::lane(), netc::load4(x, 8 * netc::lane()));
    netc::store4(b, 8 * netc::lane(), netc::load4(x, 8 * netc::lane()));
    for (int i = 4; i < 8; i += 2) {
      netc::store2(t, 8 * netc::lane() + i, netc::load2(x, 8 * netc::lane() + i));
      netc::store2(b, 8 * netc::lane() + i, netc::load2(x, 8 * netc::lane() + i));
    }
  }
}
extern "C" __global__ void kernel_2(netc::Global<const netc::Tf32> t,
                                    netc::Global<const netc::Bf16> b, netc::Global<float> y) {
  if (netc::lane() == 0)
    for (int i = 0; i < 16; i += 4) {
      const netc::Float4 u = netc::load4(t, i);
      const netc::Float2 v = netc::load2(b, i), w = netc::load2(b, i + 2);
      const netc::Float4 z = netc::load4(b, i);
      netc::store4(y, i, u);
      netc::store4(y, 16 + i, {v.x, v.y, w.x, w.y});
      netc::store4(y, 32 + i, z);
      for (int k = i; k < i + 4; ++k) {
        y[48 + k] = netc::load_once(t, k);
        y[64 + k] = netc::load_once(b, k);
      }
    }
}
extern "C" __global__ void kernel_3(netc::Global<const netc::Bf16> b, netc::Global<float> y) {
  y[netc::lane()] = netc::load2(b, 2 * netc::lane() + 1).x;
}
)";

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float largest = std::numeric_limits<float>::max();

/// Numbers, and what they are as TF32 and as bf16.
const std::vector<std::array<float, 3>> roundings = {
    {0.0f, 0.0f, 0.0f},
    {-0.0f, -0.0f, -0.0f},
    {1 + 0x1p-11f, 1 + 0x1p-10f, 1.0f}, // halfway: away from zero
    {-1 - 0x1p-11f, -1 - 0x1p-10f, -1.0f},
    {1 + 0x1p-11f - 0x1p-23f, 1.0f, 1.0f},
    {1 + 0x1p-8f, 1 + 0x1p-8f, 1.0f}, // halfway: to even
    {1 + 0x1.8p-7f, 1 + 0x1.8p-7f, 1 + 0x1p-6f},
    {1 + 0x1p-8f + 0x1p-23f, 1 + 0x1p-8f, 1 + 0x1p-7f},
    {-1 - 0x1p-8f - 0x1p-23f, -1 - 0x1p-8f, -1 - 0x1p-7f},
    {largest, infinity, infinity},
    {-largest, -infinity, -infinity},
    {infinity, infinity, infinity},
    {0x1p-126f, 0x1p-126f, 0x1p-126f},
    {0x1.8p-140f, 0.0f, 0.0f},
    {3.14159265f, 0x1.92p+1f, 0x1.92p+1f},
    {0x1.fffffep+3f, 16.0f, 16.0f},
};

class Elements : public testing::Test {
protected:
  Elements() {
    Floats numbers;
    for (const auto& [number, tf32, bf16] : roundings)
      numbers.push_back(number);
    x_ = std::make_unique<EmuArray<float>>(numbers);
  }
  void launch(int entry, std::vector<EmulatorBuffer> buffers, int threads = 32) {
    emulator_.launch({.kernel = "elements",
                      .entry = entry,
                      .function = compiled_.entry(entry),
                      .blocks = 1,
                      .threads = threads,
                      .shared_bytes = 0,
                      .buffers = buffers});
  }
  using Floats = std::vector<float>;

  EmuText compiled_{text};
  Emulator emulator_;
  std::unique_ptr<EmuArray<float>> x_;
  EmuArray<float> t_{16};
  EmuArray<uint16_t> b_{16};
};

TEST_F(Elements, AreTheNearestNumbers) {
  for (int entry : {0, 1}) { // one by one, and as vectors
    EmuArray<float> t(16);
    EmuArray<uint16_t> b(16);
    launch(entry, {x_->buffer("x"), t.buffer("t"), b.buffer("b")});
    for (size_t i = 0; i < roundings.size(); ++i) {
      const auto& [number, tf32, bf16] = roundings[i];
      EXPECT_EQ(std::bit_cast<uint32_t>(t.values[i]), std::bit_cast<uint32_t>(tf32)) << number;
      EXPECT_EQ(b.values[i], std::bit_cast<uint32_t>(bf16) >> 16) << number;
    }
  }
}

TEST_F(Elements, ANaNStaysOne) {
  for (uint32_t bits : {0x7fc00000u, 0x7f800001u, 0xffffffffu, 0xff801000u, 0x7fffffffu})
    for (float& number : x_->values)
      if (&number - x_->values.data() == static_cast<long>(bits % 16))
        number = std::bit_cast<float>(bits);
  launch(0, {x_->buffer("x"), t_.buffer("t"), b_.buffer("b")});
  int found = 0;
  for (size_t i = 0; i < 16; ++i)
    if (std::isnan(x_->values[i])) {
      ++found;
      EXPECT_TRUE(std::isnan(t_.values[i])) << std::bit_cast<uint32_t>(x_->values[i]);
      EXPECT_EQ(std::bit_cast<uint32_t>(t_.values[i]) & 0x1fff, 0u);
      EXPECT_TRUE(std::isnan(std::bit_cast<float>(uint32_t{b_.values[i]} << 16)));
    }
  EXPECT_GE(found, 3);
}

TEST_F(Elements, AreReadAsTheyWereWritten) {
  launch(0, {x_->buffer("x"), t_.buffer("t"), b_.buffer("b")});
  EmuArray<float> y(80);
  launch(2, {t_.buffer("t"), b_.buffer("b"), y.buffer("y")});
  for (size_t i = 0; i < 16; ++i) {
    const float bf16 = std::bit_cast<float>(uint32_t{b_.values[i]} << 16);
    EXPECT_THAT((std::vector{y.values[i], y.values[48 + i]}), testing::Each(t_.values[i])) << i;
    EXPECT_THAT((std::vector{y.values[16 + i], y.values[32 + i], y.values[64 + i]}),
                testing::Each(bf16))
        << i;
  }
}

TEST_F(Elements, VectorsAreAligned) {
  launch(0, {x_->buffer("x"), t_.buffer("t"), b_.buffer("b")});
  EmuArray<float> y(4);
  try {
    launch(3, {b_.buffer("b"), y.buffer("y")}, 4);
    FAIL() << "a pair at an odd element";
  } catch (const EmulatorFault& fault) {
    EXPECT_EQ(fault.details().kind, emu::Fault::misaligned);
  }
}

} // namespace
} // namespace netc
