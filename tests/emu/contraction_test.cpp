// CUDA convolutions on the emulator, which checks every access of theirs, against naive loops in
// double precision. Few shapes run in every precision: shape and precision are apart in the
// templates.

#include "tests/emu/emulated_contraction.h"

namespace netc {
namespace {

void check_conv(const Conv2d& c, Precision precision) {
  check_passes(conv_passes(c), c, precision);
}

class EmulatedConv2d : public testing::TestWithParam<Precision> {};
INSTANTIATE_TEST_SUITE_P(Emu, EmulatedConv2d,
                         testing::Values(Precision::fp32, Precision::x3tf32, Precision::tf32,
                                         Precision::bf16),
                         [](const auto& info) { return "p" + std::string(to_string(info.param)); });

TEST_P(EmulatedConv2d, AlexNetInSmall) {
  check_conv(square(2, 19, 3, 20, 11, 4, 0), GetParam());
  check_conv(square(2, 7, 16, 24, 5, 1, 2, 2), GetParam());
}

TEST(EmulatedConv2dShapes, OddSizes) {
  check_conv(square(3, 7, 7, 11, 3, 1, 1), Precision::tf32);
  check_conv(square(1, 1, 13, 17, 1, 1, 0), Precision::x3tf32);
  check_conv(square(1, 5, 1, 1, 5, 1, 0), Precision::fp32);
}

TEST(EmulatedConv2dShapes, Groups) {
  check_conv(square(2, 6, 9, 15, 3, 1, 1, 3), Precision::bf16);
  check_conv(square(1, 8, 6, 6, 3, 2, 1, 6), Precision::fp32);
}

TEST(EmulatedConv2dShapes, StridesAndDilations) {
  check_conv(square(2, 9, 5, 9, 3, 2, 1), Precision::tf32);
  check_conv(square(1, 9, 4, 6, 2, 4, 1), Precision::bf16);
  check_conv(square(1, 10, 4, 6, 3, 3, 2, 2, 2), Precision::fp32);
  check_conv({.batch = 2,
              .in_height = 8,
              .in_width = 10,
              .in_channels = 5,
              .out_channels = 7,
              .kernel_height = 2,
              .kernel_width = 3,
              .stride_height = 1,
              .stride_width = 3,
              .dilation_height = 3,
              .dilation_width = 1},
             Precision::x3tf32);
}

constexpr Conv2d asymmetric{.batch = 2,
                            .in_height = 7,
                            .in_width = 6,
                            .in_channels = 4,
                            .out_channels = 10,
                            .kernel_height = 3,
                            .kernel_width = 4,
                            .stride_height = 2,
                            .pad_top = 0,
                            .pad_left = 3,
                            .pad_bottom = 2,
                            .pad_right = 1};

// Which taps of its window a pixel has fits the bits of a word for up to 16 rows and columns.
TEST(EmulatedConv2dShapes, KernelsOfManyTaps) {
  Conv2d tall{.batch = 2,
              .in_height = 19,
              .in_width = 5,
              .in_channels = 4,
              .out_channels = 6,
              .kernel_height = 16,
              .kernel_width = 2,
              .pad_top = 7,
              .pad_left = 1,
              .pad_bottom = 8};
  check_conv(tall, Precision::tf32);
  tall.kernel_height = 17;
  check_conv(tall, Precision::tf32);
}

TEST(EmulatedConv2dShapes, Paddings) {
  check_conv(asymmetric, Precision::tf32);
  check_conv(square(1, 2, 3, 5, 2, 1, 4), Precision::fp32);
  constexpr Conv2d cropping{.batch = 1,
                            .in_height = 8,
                            .in_width = 9,
                            .in_channels = 4,
                            .out_channels = 6,
                            .kernel_height = 3,
                            .kernel_width = 3,
                            .pad_top = -1,
                            .pad_left = -2,
                            .pad_bottom = -1,
                            .pad_right = 0};
  check_conv(cropping, Precision::bf16);
}

/// Images that memory holds rounded: with weights that are packed, and as they are.
TEST(EmulatedConv2dShapes, RoundedImages) {
  for (Precision precision : {Precision::tf32, Precision::bf16}) {
    check_passes(conv_passes(square(2, 7, 16, 48, 3, 1, 1, 2)), square(2, 7, 16, 48, 3, 1, 1, 2),
                 precision, true);
    check_passes(conv_passes(square(3, 5, 8, 72, 1, 1, 0)), square(3, 5, 8, 72, 1, 1, 0), precision,
                 true);
    check_passes(conv_passes(square(2, 9, 64, 32, 2, 2, 1)), square(2, 9, 64, 32, 2, 2, 1),
                 precision, true);
  }
}

/// The weight gradient with that of a bias: where a tile of rows has a place for it, where it takes
/// a tile of its own, of channels that are copied one by one, and of groups.
TEST(EmulatedConv2dShapes, BiasGradients) {
  auto check = [](Conv2d c, Precision precision, bool rounded = false) {
    c.bias_gradient = true;
    check_passes({conv_passes(c).back()}, c, precision, rounded);
  };
  for (Precision precision :
       {Precision::fp32, Precision::x3tf32, Precision::tf32, Precision::bf16}) {
    check(square(2, 7, 16, 24, 5, 1, 2, 2), precision);
    check(square(2, 5, 32, 16, 2, 1, 0), precision);
  }
  check(square(3, 7, 7, 11, 3, 1, 1), Precision::tf32);
  for (Precision precision : {Precision::tf32, Precision::bf16}) {
    check(square(2, 7, 16, 48, 3, 1, 1, 2), precision, true);
    check(square(3, 9, 64, 32, 2, 2, 1), precision, true);
    // Tiles of 256 rows, and splits.
    check(square(4, 20, 48, 64, 3, 1, 1), precision, true);
  }
}

TEST(EmulatedConv2dExact, MatchesReference) {
  check_conv(exact(square(2, 5, 16, 20, 5, 1, 2, 2)), Precision::fp32);
  check_conv(exact(square(2, 6, 9, 15, 3, 1, 1, 3)), Precision::fp32);
  check_conv(exact(square(1, 10, 4, 6, 3, 3, 2, 2, 2), 4), Precision::fp32);
  check_conv(exact(asymmetric), Precision::fp32);
}

/// Pass `index` of conv_passes on other operands, in exact mode, without the epilogue's factors.
Floats run_exact(size_t index, const Conv2d& c, const Floats& a, const Floats& b) {
  const PassCase pass = conv_passes(c)[index];
  const Tiling tiling =
      cuda_tilings(pass.family, c, Precision::fp32, false, parse_target("emu")).front();
  return EmulatedContraction(pass, c, tiling).run(a, b, Floats(pass.want.size(), 1));
}

TEST(EmulatedConv2dExact, HalvesAddUpToTheBitsOfOneDevice) {
  const Conv2d whole = exact(square(16, 3, 16, 16, 2, 1, 0));
  Conv2d in_half = exact(whole, 4), out_half = in_half, batch_half = in_half;
  in_half.in_channels = 8;
  out_half.out_channels = 8;
  batch_half.batch = 8;
  const ConvTensors t(whole);
  std::vector<Floats> y, dx, dw;
  for (size_t half : {0, 1}) {
    const Floats x_channels = half_of(t.x, 16 * 9, 16, 1, half),
                 w_in = half_of(t.w, 16, 16, 4, half), w_out = half_of(t.w, 1, 16, 16 * 4, half),
                 dy_channels = half_of(t.dy, 16 * 4, 16, 1, half),
                 x_images = half_of(t.x, 1, 16, 9 * 16, half),
                 dy_images = half_of(t.dy, 1, 16, 4 * 16, half);
    y.push_back(run_exact(0, in_half, x_channels, w_in));
    dx.push_back(run_exact(1, out_half, dy_channels, w_out));
    dw.push_back(run_exact(2, batch_half, x_images, dy_images));
  }
  expect_sum(run_exact(0, whole, t.x, t.w), y[0], y[1]);
  expect_sum(run_exact(1, whole, t.dy, t.w), dx[0], dx[1]);
  expect_sum(run_exact(2, whole, t.x, t.dy), dw[0], dw[1]);
}

} // namespace
} // namespace netc
