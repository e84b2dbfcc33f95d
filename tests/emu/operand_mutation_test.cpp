// Mistakes in the operands and results of convolutions and fully connected layers: which element of
// which tensor.

#include "tests/emu/contraction_mutation.h"

namespace netc {
namespace {

/// Two groups of 5 and of 6 channels, padded.
const Conv2d grouped = square(2, 6, 10, 12, 3, 1, 1, 2);
/// Every other row, every third column, a kernel that is not square, runs of 4.
const Conv2d strided{.batch = 2,
                     .in_height = 9,
                     .in_width = 10,
                     .in_channels = 8,
                     .out_channels = 12,
                     .kernel_height = 3,
                     .kernel_width = 4,
                     .stride_height = 2,
                     .stride_width = 3,
                     .pad_top = 1};
/// Taps two pixels apart, of a kernel that is not square; padded by one.
const Conv2d dilated{.batch = 2,
                     .in_height = 7,
                     .in_width = 8,
                     .in_channels = 8,
                     .out_channels = 12,
                     .kernel_height = 3,
                     .kernel_width = 2,
                     .dilation_height = 2,
                     .dilation_width = 2,
                     .pad_top = 1,
                     .pad_left = 1};
/// A fully connected layer.
const Conv2d layer = as_conv2d({5, 24, 40});

TEST_F(Mutants, ForwardOperands) {
  expect_caught(
      contraction(0, grouped, {Math::tf32, 64, 64, 3, 1}),
      {{"the first group's input", "base = first * G::in_channels + group * G::group_in;",
        "base = first * G::in_channels;"},
       {"output pixels behind the last", "pixel(existing(i, G::out_pixels), group);",
        "pixel(i, group);"},
       {"the first group's weights", "(Line(group) * lines + existing", "(Line(group) + existing"},
       {"the padding on the left", "G::out_width * c.stride_width - c.pad_left;",
        "G::out_width * c.stride_width;"},
       {"columns of the kernel", "    s = tap % c.kernel_width;", "    s = tap / c.kernel_width;"},
       {"weights of the first group packed", "const int out = group * G::group_out + (",
        "const int out = ("},
       {"weights packed as they were",
        "const int tap = static_cast<int>(i / block_channels % G::taps);",
        "const int tap = static_cast<int>(i % G::taps);"},
       {"lines of weights behind the last", "existing(i, lines)) * apart", "i) * apart"},
       {"the corner of windows as large as the image", "- (c.pad_top * G::in_width + c.pad_left)",
        "- (c.pad_top * G::in_width)"},
       {"rows and columns of a window exchanged", "1u << r | 0x10000u << s",
        "1u << s | 0x10000u << r"},
       {"rows of a window alone", "(outside & tap.bits) == 0;",
        "(outside & tap.bits & 0xffff) == 0;"},
       {"taps before the image", "(1u << max(begin, end)) - (1u << begin);",
        "(1u << max(begin, end)) - 1;"},
       {"taps behind the image", "min(max(extent + apart - 1 - first, 0) / apart, taps);", "taps;"},
       {"the bias of the first group", "    channel += a.group * G::group_out;\n    epilogue(sums,",
        "    epilogue(sums,"},
       {"rows of the result too close", "store_run(y, pixel * G::out_channels",
        "store_run(y, pixel * G::group_out"}});
}

TEST_F(Mutants, DataGradientOperands) {
  expect_caught(
      contraction(1, strided, {Math::bf16, 64, 64, 4, 1}),
      {{"rows between the strides", "h >= 0 && h % c.stride_height == 0 &&", "h >= 0 &&"},
       {"a row behind the last", "h / c.stride_height < G::out_height &&",
        "h / c.stride_height <= G::out_height &&"},
       {"columns before the first", "&& w >= 0 &&", "&&"},
       {"the padding above", "% G::in_height + c.pad_top,", "% G::in_height,"},
       {"the stride of columns", "(l.w - s.w) / c.stride_width;", "(l.w - s.w) / c.stride_height;"},
       {"weights packed the other way", "forward ? channel : line, tap)",
        "forward ? line : channel, tap)"},
       {"the output channel's neighbour", "return data + s.channel;",
        "return data + s.channel + 1;"}});
  expect_caught(contraction(1, dilated, {Math::tf32, 64, 64, 3, 1}),
                {{"taps that run forwards", "mirrored ? c.kernel_height - 1 - t.r : t.r;", "t.r;"},
                 {"the padding of the other pass",
                  "d.pad_top = (c.kernel_height - 1) * c.dilation_height - c.pad_top;",
                  "d.pad_top = c.pad_top;"},
                 {"the padding below", "d.pad_bottom = c.in_height - d.in_height + c.pad_top;",
                  "d.pad_bottom = c.pad_bottom;"},
                 {"the channels of the other pass", "d.in_channels = c.out_channels,",
                  "d.in_channels = c.in_channels,"},
                 {"a tap between two pixels", "max(apart - 1 - first, 0) / apart, taps);",
                  "max(-first, 0) / apart, taps);"},
                 {"the last tap left out", "max(extent + apart - 1 - first, 0) / apart, taps);",
                  "max(extent - first, 0) / apart, taps);"}});
  expect_caught(contraction(1, layer, {Math::x3tf32, 64, 64, 3, 1}),
                {{"rows of the matrix", "range.first + k0 + own) * G::group_in;",
                  "range.first + k0 + own) * G::group_out;"},
                 {"features behind the last", "return existing(in, lines);", "return in;"}});
}

TEST_F(Mutants, BiasGradients) {
  Conv2d with_bias = square(2, 7, 16, 24, 3, 1, 1, 2);
  with_bias.bias_gradient = true;
  std::vector<Mutation> mutations = {
      {"no line of ones", "if (is_one<line>())", "if (false)"},
      {"ones copied over", "!is_one<line>());", "true);"},
      {"the last tap's channels are ones, too", "ones = G::taps * G::group_in;",
       "ones = G::taps * G::group_in - G::group_in;"},
      {"ones of the first place alone", "stage < t.stages; ++stage)\n        a.set_ones",
       "stage < 1; ++stage)\n        a.set_ones"},
      {"a row too few", "taps * c.group_in() + c.bias_gradient,", "taps * c.group_in(),"},
      {"sums among the weights", "if (row == A::ones) {", "if (false) {"},
      {"the first group's sums", "epilogue.sums[out] = sums[0];",
       "epilogue.sums[out % G::group_out] = sums[0];"}};
  expect_caught(contraction(2, with_bias, {Math::tf32, 64, 64, 3, 2}), mutations);
  Tiling direct{Math::bf16, 128, 64, 3, 1, true, 64};
  direct.rounded = true;
  with_bias.in_channels = 32, with_bias.out_channels = 48;
  mutations.push_back({"ones in the first depths alone",
                       "place<line, behind>() + lines_behind<line>() + word",
                       "place<line, 0>() + lines_behind<line>() + word"});
  expect_caught(contraction(2, with_bias, direct), mutations);
}

TEST_F(Mutants, WeightGradientOperands) {
  expect_caught(
      contraction(2, grouped, {Math::fma, 64, 64, 2, 3}),
      {{"the first group's gradient", "return group * G::group_out + existing(out, lines);",
        "return existing(out, lines);"},
       {"pixels as far apart as a group has channels",
        "leaf_pixel<c>(leaf, k0 + own)) * G::out_channels;",
        "leaf_pixel<c>(leaf, k0 + own)) * G::group_out;"},
       {"the row of the tap", "const int r = tap / c.kernel_width,",
        "const int r = tap % c.kernel_width,"},
       {"rows above and below", "static_cast<unsigned>(h + tap.h) < unsigned(c.in_height) &&", ""},
       {"taps and channels exchanged", "group_in), tap = line / G::group_in;",
        "group_in), tap = line % G::taps;"},
       {"the gradient of the first group", "const long out = a.group * G::group_out + (",
        "const long out = ("}});
}

} // namespace
} // namespace netc
