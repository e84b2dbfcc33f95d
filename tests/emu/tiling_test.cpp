// CUDA fully connected layers on the emulator, and contractions in every kind of tiling, whatever
// the planner would choose for their size; against naive loops in double precision.

#include "tests/emu/emulated_contraction.h"

namespace netc {
namespace {

void check_linear(const Linear& l, Precision precision) {
  check_passes(linear_passes(l), l, precision);
}

TEST(EmulatedLinear, MatchesReference) {
  check_linear({1, 37, 10}, Precision::x3tf32);
  check_linear({3, 1, 1}, Precision::bf16);
  check_linear({16, 128, 96}, Precision::tf32);
  check_linear({70, 65, 131}, Precision::fp32);
}

TEST(EmulatedLinear, ExactMatchesReference) {
  check_linear({1, 37, 10, 8}, Precision::fp32);
  check_linear({16, 72, 24, 4}, Precision::fp32);
  check_linear({70, 40, 70, 8}, Precision::fp32);
}

constexpr Math maths[] = {Math::fma, Math::tf32, Math::x3tf32, Math::bf16};

/// All sizes of tiles in each precision: one tile with lines to spare, and several.
TEST(EmulatedTilings, OfEverySize) {
  const Conv2d small = square(2, 6, 10, 12, 3, 1, 1, 2), large = square(3, 9, 6, 70, 2, 1, 1);
  const std::vector<PassCase> one = conv_passes(small), several = conv_passes(large);
  int stages = 2;
  size_t pass = 0;
  for (Math math : maths)
    for (int rows : {64, 128})
      for (int columns : {64, 96, 128}) {
        check_pass(one[pass], small, {math, rows, columns, stages, 1});
        pass = (pass + 1) % 3;
        stages = stages == 4 ? 2 : stages + 1;
        check_pass(several[pass], large, {math, rows, columns, stages, 1});
      }
}

/// The same by the instructions of a warpgroup.
TEST(EmulatedTilings, OfEverySizeByWarpgroups) {
  const Conv2d small = square(2, 6, 10, 12, 3, 1, 1, 2), large = square(3, 9, 8, 132, 2, 1, 1);
  const std::vector<PassCase> one = conv_passes(small), several = conv_passes(large);
  size_t pass = 0;
  for (Math math : {Math::tf32, Math::bf16, Math::x3tf32})
    for (int rows : {64, 128})
      for (int columns : {64, 96, 128}) {
        const int stages = 2 + (rows + columns) / 32 % 3;
        check_pass(one[pass], small, {math, rows, columns, stages, 1, true, 32});
        pass = (pass + 1) % 3;
        const int slice = math == Math::x3tf32 && rows > 64 ? 32 : 16;
        check_pass(several[pass], large, {math, rows, columns, stages, 1, true, slice});
      }
}

/// The same of images that memory holds rounded.
TEST(EmulatedTilings, OfEverySizeDirect) {
  const Conv2d small = square(2, 6, 16, 32, 3, 1, 1, 2), large = square(3, 9, 8, 136, 2, 1, 1);
  const std::vector<PassCase> one = conv_passes(small), several = conv_passes(large);
  size_t pass = 0;
  for (Math math : {Math::tf32, Math::bf16})
    for (int rows : {64, 128, 256})
      for (int columns : {64, 96, 128}) {
        const int stages = rows > 128 ? 3 + columns / 32 % 2 : 2 + (rows + columns) / 32 % 3,
                  splits = 1 + columns / 64;
        const int slice = math == Math::bf16 ? 64 : 32;
        const auto check = [&](const PassCase& p, const Conv2d& c, int depth) {
          if (rows > 128) // whole lines, by two warpgroups, whose rows are in shared memory
            depth = slice;
          if (rows <= 128 || math == Math::bf16 || !p.family.ends_with("weight_gradient"))
            check_pass(p, c, {math, rows, columns, stages, splits, true, depth, true});
        };
        check(one[pass], small, slice);
        pass = (pass + 1) % 3;
        check(several[pass], large, slice / 2);
      }
}

/// Pixels copied once for all taps: of padded images, of images without padding, of a kernel that
/// is neither square nor dense and of one of few taps; in blocks of 48 channels and fewer, and in
/// splits.
TEST(EmulatedTilings, OfHalos) {
  const Conv2d padded = square(3, 9, 64, 64, 3, 1, 1, 2), inside = square(2, 11, 48, 48, 3, 1, 0);
  const Conv2d uneven{.batch = 2,
                      .in_height = 9,
                      .in_width = 14,
                      .in_channels = 32,
                      .out_channels = 32,
                      .kernel_height = 2,
                      .kernel_width = 3,
                      .dilation_height = 2,
                      .dilation_width = 1,
                      .pad_top = 0,
                      .pad_left = 1,
                      .pad_bottom = 2,
                      .pad_right = 2};
  Conv2d few = square(3, 7, 48, 32, 3, 1, 1);
  few.kernel_width = 1, few.pad_left = 0;
  const std::vector<PassCase> first = conv_passes(padded), second = conv_passes(inside),
                              third = conv_passes(uneven), fourth = conv_passes(few);
  for (size_t pass : {0, 1}) {
    check_pass(first[pass], padded, {Math::tf32, 256, 64, 4, 1, true, 32, true, true});
    check_pass(first[pass], padded, {Math::bf16, 128, 64, 2, 2, true, 16, true, true});
    check_pass(second[pass], inside, {Math::bf16, 256, 64, 3, 1, true, 48, true, true});
    check_pass(second[pass], inside, {Math::tf32, 128, 96, 3, 2, true, 24, true, true});
    check_pass(second[pass], inside, {Math::tf32, 256, 48, 4, 1, true, 24, true, true});
    check_pass(second[pass], inside, {Math::tf32, 256, 48, 3, 1, true, 24, true, true, 3});
    check_pass(first[pass], padded, {Math::bf16, 256, 64, 3, 1, true, 32, true, true, 3});
    check_pass(first[pass], padded, {Math::tf32, 128, 64, 2, 2, true, 32, true, true, 9});
    check_pass(second[pass], inside, {Math::bf16, 128, 48, 3, 2, true, 48, true, true});
    check_pass(third[pass], uneven, {Math::tf32, 128, 64, 4, 1, true, 16, true, true});
    check_pass(third[pass], uneven, {Math::bf16, 64, 96, 3, 1, true, 32, true, true});
    check_pass(fourth[pass], few, {Math::tf32, 256, 64, 4, 1, true, 16, true, true});
  }
  // Rows of pixels that end between multiples of 1024 bytes.
  const Conv2d odd = square(2, 17, 24, 64, 2, 1, 1);
  check_pass(conv_passes(odd)[0], odd, {Math::tf32, 128, 64, 2, 1, true, 8, true, true, 4});
}

/// Tiles of 48 columns, of which copies bring 64; of fewer channels, too.
TEST(EmulatedTilings, OfFewColumns) {
  const Conv2d whole = square(2, 9, 48, 48, 3, 1, 1), part = square(2, 8, 80, 80, 2, 1, 0, 2);
  for (const Conv2d& c : {whole, part}) {
    const std::vector<PassCase> passes = conv_passes(c);
    for (size_t pass : {0, 1}) {
      check_pass(passes[pass], c, {Math::tf32, 128, 48, 3, 1, true, 32, true});
      check_pass(passes[pass], c, {Math::bf16, 256, 48, 4, 2, true, 64, true});
      check_pass(passes[pass], c, {Math::x3tf32, 128, 48, 4, 2, true, 32});
    }
  }
}

/// Weight gradients of TF32 may take images that are rounded through registers, as others. Where
/// they do not, the gradient of the output is laid out by copies; here of 64 whole columns and of
/// slices that the pixels fill.
TEST(EmulatedTilings, OfImagesThatAreTf32) {
  const Conv2d c = square(2, 7, 12, 20, 3, 1, 1), even = square(2, 8, 12, 64, 3, 1, 1);
  check_pass(conv_passes(c)[2], c, {Math::tf32, 64, 96, 3, 2, true, 32}, DType::tf32);
  for (int splits : {1, 3, 9}) // of 4 slices
    check_pass(conv_passes(even)[2], even, {Math::tf32, 128, 64, 3, splits, true, 32, true});
  const Conv2d wide = square(2, 8, 40, 72, 3, 1, 1);
  for (int columns : {96, 128})
    check_pass(conv_passes(wide)[2], wide, {Math::tf32, 256, columns, 3, 2, true, 32, true});
  const Linear l{70, 36, 44};
  check_pass(linear_passes(l)[2], l, {Math::tf32, 64, 64, 2, 1, true, 32}, DType::tf32);
}

/// Lines of ones where two warpgroups copy, in a tile of the rows and in one of their own.
TEST(EmulatedTilings, OfBiasGradientsByTwoWarpgroups) {
  Conv2d shared = square(2, 9, 24, 40, 3, 1, 1), own = square(2, 9, 64, 40, 2, 1, 0);
  shared.bias_gradient = own.bias_gradient = true;
  for (const Conv2d& c : {shared, own}) {
    const PassCase pass = conv_passes(c)[2];
    check_pass(pass, c, {Math::x3tf32, 128, 64, 3, 2, true, 32});
    check_pass(pass, c, {Math::tf32, 256, 96, 3, 2, true, 32, true});
  }
}

/// Three TF32 products of channels that are copied one by one, and of one tap.
TEST(EmulatedTilings, OfPartsInShortRuns) {
  const Conv2d odd = square(2, 9, 5, 70, 3, 1, 1), one = square(2, 9, 33, 64, 1, 1, 0),
               even = square(2, 9, 36, 130, 1, 1, 0);
  check_pass(conv_passes(odd)[0], odd, {Math::x3tf32, 128, 96, 3, 1, true, 16});
  check_pass(conv_passes(odd)[1], odd, {Math::x3tf32, 128, 48, 4, 1, true, 16});
  check_pass(conv_passes(odd)[2], odd, {Math::x3tf32, 64, 96, 4, 1, true, 16});
  check_pass(conv_passes(one)[1], one, {Math::x3tf32, 128, 96, 3, 1, true, 32});
  check_pass(conv_passes(one)[2], one, {Math::x3tf32, 64, 96, 3, 1, true, 16});
  check_pass(conv_passes(even)[2], even, {Math::x3tf32, 128, 64, 3, 2, true, 32});
  const Linear deep{130, 99, 99}; // 4 or 5 slices in 9 shares, some of nothing
  for (const PassCase& pass : linear_passes(deep))
    check_pass(pass, deep, {Math::x3tf32, 128, 128, 2, 9, true, 32});
}

/// Channels in blocks: 48 in three, of whose taps and channels a slice holds parts; 64 in two.
TEST(EmulatedTilings, OfBlocksOfChannels) {
  const Conv2d threes = square(1, 7, 96, 12, 3, 1, 1, 2), twos = square(2, 5, 64, 64, 2, 2, 0);
  const std::vector<PassCase> first = conv_passes(threes), second = conv_passes(twos);
  for (size_t pass : {0, 1}) {
    check_pass(first[pass], threes, {Math::tf32, 64, 64, 2, 1, true, 32});
    check_pass(first[pass], threes, {Math::x3tf32, 64, 64, 3, 2});
    check_pass(second[pass], twos, {Math::bf16, 64, 64, 3, 2, true, 32});
    check_pass(second[pass], twos, {Math::fma, 64, 64, 2, 1});
  }
}

/// A depth of 7 slices as 2 and 3 shares, of one slice each, and with shares of nothing.
TEST(EmulatedTilings, OfEveryNumberOfSplits) {
  const Linear deep{99, 99, 99};
  const Conv2d grouped = square(2, 9, 24, 24, 3, 2, 1, 2);
  const std::vector<PassCase> linear = linear_passes(deep), conv = conv_passes(grouped);
  size_t pass = 0;
  for (Math math : maths)
    for (int splits : {2, 3, 7, 9}) {
      const int stages = 2 + splits % 3;
      check_pass(linear[pass], deep, {math, 64, 128, stages, splits});
      pass = (pass + 1) % 3;
      check_pass(conv[pass], grouped, {math, 64, 64, stages, splits});
    }
  for (int splits : {2, 7, 9}) {
    check_pass(linear[pass], deep, {Math::tf32, 64, 128, 4, splits, true});
    pass = (pass + 1) % 3;
    check_pass(conv[pass], grouped, {Math::bf16, 128, 64, 2, splits, true, 32});
    check_pass(conv[pass], grouped, {Math::x3tf32, 128, 64, 3, splits, true, 32});
  }
}

} // namespace
} // namespace netc
