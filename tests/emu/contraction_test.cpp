// The CUDA contraction templates on the emulator, which checks every access of theirs, against
// naive loops in double precision.

#include "codegen/cuda_contraction.h"
#include "codegen/shape_text.h"
#include "tests/codegen/contraction_testing.h"
#include "tests/emu/emu_testing.h"

namespace netc {
namespace {

/// A convolution's tensors, and what its three passes must give.
struct ConvCase {
  Floats x, w, dy;
  std::vector<double> y, dx, dw;

  explicit ConvCase(const Conv2d& c)
      : x(random_floats(size_t(c.batch) * c.in_height * c.in_width * c.in_channels, 1)),
        w(random_floats(size_t(c.out_channels) * c.group_in() * c.kernel_height * c.kernel_width,
                        2)),
        dy(random_floats(size_t(c.batch) * c.out_height() * c.out_width() * c.out_channels, 3)),
        y(dy.size()), dx(x.size()), dw(w.size()) {
    for (size_t i = 0; i < dy.size(); ++i)
      add_output(c, i);
  }

private:
  /// Adds the products of output `i` to all three results.
  void add_output(const Conv2d& c, size_t i) {
    const int k = static_cast<int>(i % c.out_channels);
    const size_t pixel = i / c.out_channels;
    const int ow = static_cast<int>(pixel % c.out_width());
    const int oh = static_cast<int>(pixel / c.out_width() % c.out_height());
    const size_t image = pixel / c.out_width() / c.out_height() * c.in_height * c.in_width;
    for (int tap = 0; tap < c.kernel_height * c.kernel_width; ++tap) {
      const int h = oh * c.stride_height + tap / c.kernel_width * c.dilation_height - c.pad_top;
      const int v = ow * c.stride_width + tap % c.kernel_width * c.dilation_width - c.pad_left;
      if (h < 0 || h >= c.in_height || v < 0 || v >= c.in_width)
        continue;
      for (int in = 0; in < c.group_in(); ++in) {
        const size_t ix =
            (image + h * c.in_width + v) * c.in_channels + k / c.group_out() * c.group_in() + in;
        const size_t iw = (size_t(k) * c.group_in() + in) * c.kernel_height * c.kernel_width + tap;
        y[i] += double(x[ix]) * w[iw];
        dx[ix] += double(dy[i]) * w[iw];
        dw[iw] += double(dy[i]) * x[ix];
      }
    }
  }
};

const std::string families[] = {"_forward", "_data_gradient", "_weight_gradient"};

/// The epilogue of the tests: each element must be seen once, under its own place.
const std::string marking = R"(
struct Epilogue {
  netc::Global<const float> factor;
  netc::Global<float> calls;
  long channels;
  void operator()(float* row, long pixel, int channel, int count) const {
    for (int i = 0; i < count; ++i) {
      const long at = pixel * channels + channel + i;
      row[i] *= factor[at];
      calls[at] = 1;
    }
  }
};
)";

/// One pass of a contraction as CUDA text, ready to run.
class EmulatedContraction {
public:
  EmulatedContraction(const std::string& family, std::variant<Conv2d, Linear> shape,
                      Precision precision, long channels)
      : contraction_{.function = family,
                     .header = "linear.h",
                     .shape = shape,
                     .precision = precision},
        workspace_bytes_(specialise_for_cuda(contraction_, family, parse_target("emu"))),
        text_(source(channels)) {}

  /// Runs all phases; `grid` multiplies the blocks of each launch.
  Floats run(const Floats& a, const Floats& b, const Floats& factor, int blocks = 0) {
    EmuArray<float> left(a), right(b), factors(factor), result(factor.size()), calls(factor.size()),
        workspace(static_cast<size_t>(workspace_bytes_) / 4);
    const EmulatorBuffer buffers[] = {left.buffer("a"),         right.buffer("b"),
                                      result.buffer("result"),  workspace.buffer("workspace"),
                                      factors.buffer("factor"), calls.buffer("calls")};
    for (size_t i = 0; i < contraction_.entries.size(); ++i) {
      const KernelEntry& entry = contraction_.entries[i];
      emulator_.launch({.kernel = contraction_.function,
                        .entry = static_cast<int>(i),
                        .function = text_.entry(static_cast<int>(i)),
                        .blocks = blocks > 0 ? blocks : entry.blocks,
                        .threads = entry.threads,
                        .shared_bytes = entry.shared_bytes,
                        .buffers = buffers});
    }
    EXPECT_EQ(calls.values, Floats(calls.values.size(), 1));
    return result.values;
  }

private:
  std::string source(long channels) const {
    std::string text = "#include \"codegen/device/cuda/linear.h\"\nnamespace {\n" +
                       shape_text(contraction_.shape) + "\n" + contraction_.constants + marking +
                       "}\n";
    for (size_t phase = 0; phase < contraction_.entries.size(); ++phase)
      text += fmt::format(
          "extern \"C\" __global__ void kernel_{0}(netc::Global<const float> a, "
          "netc::Global<const float> b, netc::Global<float> result, netc::Global<float> workspace, "
          "netc::Global<const float> factor, netc::Global<float> calls) {{\n"
          "  netc::{1}<shape, tiling, {0}>(a, b, result, workspace, Epilogue{{factor, calls, "
          "{2}}});\n"
          "}}\n",
          phase, contraction_.function, channels);
    return text;
  }

  Contraction contraction_;
  int64_t workspace_bytes_;
  EmuText text_;
  Emulator emulator_;
};

double tolerance(Precision precision) {
  switch (precision) {
  case Precision::fp32:
    return 2e-6;
  case Precision::x3tf32:
    return 4e-6;
  case Precision::tf32:
    return 1e-3;
  case Precision::bf16:
    break;
  }
  return 8e-3;
}

void check_pass(const std::string& family, const std::variant<Conv2d, Linear>& shape,
                Precision precision, const Floats& a, const Floats& b, std::vector<double> want,
                long channels) {
  SCOPED_TRACE(family + " " + std::string(to_string(precision)));
  EmulatedContraction contraction(family, shape, precision, channels);
  const Floats factor = random_floats(want.size(), 4);
  for (size_t i = 0; i < want.size(); ++i)
    want[i] *= factor[i];
  const Floats got = contraction.run(a, b, factor);
  EXPECT_LT(relative_error(got, want), tolerance(precision));
  EXPECT_EQ(contraction.run(a, b, factor, 3), got) << "the grid shows";
}

void check_conv(const Conv2d& c, Precision precision) {
  SCOPED_TRACE(shape_text(c));
  const ConvCase d(c);
  check_pass("conv2d_forward", c, precision, d.x, d.w, d.y, c.out_channels);
  check_pass("conv2d_data_gradient", c, precision, d.dy, d.w, d.dx, c.in_channels);
  check_pass("conv2d_weight_gradient", c, precision, d.x, d.dy, d.dw,
             long(c.group_in()) * c.kernel_height * c.kernel_width);
}

Conv2d square(int batch, int size, int in, int out, int kernel, int stride, int pad, int groups = 1,
              int dilation = 1) {
  return {batch,  size,   size,     in,       out, kernel, kernel, groups,
          stride, stride, dilation, dilation, pad, pad,    pad,    pad};
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

} // namespace
} // namespace netc
