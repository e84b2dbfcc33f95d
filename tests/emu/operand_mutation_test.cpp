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
/// A fully connected layer.
const Conv2d layer = as_conv2d({5, 24, 40});

TEST_F(Mutants, ForwardOperands) {
  expect_caught(
      contraction(0, grouped, {Math::tf32, 64, 64, 3, 1}),
      {{"the first group's input", " * G::in_channels +\n                group * G::group_in,",
        " * G::in_channels,"},
       {"output pixels behind the last", "pixel < G::out_pixels ? h : G::outside, w};", "h, w};"},
       {"the first group's weights", "(Line(group) * lines + i)", "(Line(group) + i)"},
       {"the padding on the left", "G::out_width * c.stride_width - c.pad_left;",
        "G::out_width * c.stride_width;"},
       {"columns of the kernel", "s = tap % c.kernel_width;", "s = tap / c.kernel_width;"},
       {"weights of the first group packed", "const int out = group * G::group_out + (",
        "const int out = ("},
       {"weights packed as they were",
        "const int tap = static_cast<int>(i / block_channels % G::taps);",
        "const int tap = static_cast<int>(i % G::taps);"},
       {"lines of weights behind the last", "return i < lines ? (Line", "return true ? (Line"},
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
       {"the padding above", "% G::in_height + c.pad_top;", "% G::in_height;"},
       {"the stride of columns", "(l.w - s.w) / c.stride_width;", "(l.w - s.w) / c.stride_height;"},
       {"weights packed the other way", "forward ? channel : line, tap)",
        "forward ? line : channel, tap)"},
       {"the output channel's neighbour", "pixel * G::out_channels + s.channel;",
        "pixel * G::out_channels + s.channel + 1;"}});
  expect_caught(contraction(1, layer, {Math::x3tf32, 64, 64, 3, 1}),
                {{"rows of the matrix", "range.first + k) * G::group_in;",
                  "range.first + k) * G::group_out;"},
                 {"features behind the last", "in < G::group_in ? in : -1;", "in;"}});
}

TEST_F(Mutants, WeightGradientOperands) {
  expect_caught(
      contraction(2, grouped, {Math::fma, 64, 64, 2, 3}),
      {{"the first group's gradient",
        "return out < G::group_out ? group * G::group_out + out : -1;",
        "return out < G::group_out ? out : -1;"},
       {"pixels as far apart as a group has channels",
        "(G::out_height * G::out_width) + k) *\n           G::out_channels;",
        "(G::out_height * G::out_width) + k) *\n           G::group_out;"},
       {"the row of the tap", "const int h = tap / c.kernel_width * c.dilation_height;",
        "const int h = tap % c.kernel_width * c.dilation_height;"},
       {"rows above and below",
        "return static_cast<unsigned>(l.h + s.h) < unsigned(G::in_height) "
        "&&\n           static_cast<unsigned>(l.w + s.w) < "
        "unsigned(G::in_width);\n  }\n  static typename G::Index "
        "index(const Line& l, const Step& s) { return s.base + l.offset; }",
        "return static_cast<unsigned>(l.w + s.w) < unsigned(G::in_width);\n  }\n  static typename "
        "G::Index index(const Line& l, const Step& s) { return s.base + l.offset; }"},
       {"taps and channels exchanged", "in = column % G::group_in, tap = column / G::group_in;",
        "in = column / G::taps, tap = column % G::taps;"},
       {"the gradient of the first group", "const long out = a.group * G::group_out + channel;",
        "const long out = channel;"}});
}

} // namespace
} // namespace netc
