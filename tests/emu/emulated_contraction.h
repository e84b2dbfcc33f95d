#pragma once
// The CUDA contraction templates on the emulator: one pass of a contraction as text that runs, and
// its check against a reference.

#include "codegen/cuda_contraction.h"
#include "codegen/expression_printer.h"
#include "codegen/shape_text.h"
#include "tests/emu/contraction_cases.h"
#include "tests/emu/emu_testing.h"
#include "tests/emu/held_elements.h"

namespace netc {

/// The epilogue of the tests: each element must be seen once, under its own place. `sums` takes the
/// gradient of a bias.
inline const std::string marking = R"(
struct Epilogue {
  netc::Global<const float> factor;
  netc::Global<float> calls;
  long channels;
  netc::Global<float> sums;
  void operator()(float* row, long pixel, int channel, int count) const {
    for (int i = 0; i < count; ++i) {
      const long at = pixel * channels + channel + i;
      row[i] *= factor[at];
      calls[at] = 1;
    }
  }
};
)";

/// How memory holds the images that a tiling is for.
inline DType held_by(const Tiling& tiling) {
  return !tiling.rounded ? DType::f32 : tiling.math == Math::bf16 ? DType::bf16 : DType::tf32;
}

/// One pass of a contraction as CUDA text, ready to run. `images`: how memory holds them, where
/// that is another way than the tiling asks for.
class EmulatedContraction {
public:
  EmulatedContraction(const PassCase& pass, const std::variant<Conv2d, Linear>& shape,
                      const Tiling& tiling, const EditText& edit = std::identity{},
                      std::optional<DType> images = {})
      : contraction_{.function = pass.family, .header = "linear.h", .shape = shape},
        images_(images.value_or(held_by(tiling))),
        weight_gradient_(pass.family.ends_with("weight_gradient")),
        workspace_bytes_(specialise_for_tiling(contraction_, pass.family, tiling)),
        text_(edit(source(pass.channels))) {}

  /// Runs all phases. The result is multiplied by `factor` and `calls` counts what the epilogue
  /// saw. `blocks` of each launch; 0: as many as planned.
  Floats run(const Floats& a, const Floats& b, const Floats& factor, int blocks = 0) {
    EmuArray<std::byte> left(held(a, images_)), right(held(b, second())),
        result(factor.size() * static_cast<size_t>(byte_size(written())));
    EmuArray<float> factors(factor), calls(factor.size()), sums(bias_channels()),
        workspace(static_cast<size_t>(workspace_bytes_) / 4);
    const EmulatorBuffer buffers[] = {left.buffer("a"),         right.buffer("b"),
                                      result.buffer("result"),  workspace.buffer("workspace"),
                                      factors.buffer("factor"), calls.buffer("calls"),
                                      sums.buffer("sums")};
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
    seen_once_ = calls.values == Floats(calls.values.size(), 1);
    bias_gradient_ = sums.values;
    return read_held(result.values, written());
  }

  /// Whether the epilogue of the last run saw every element.
  bool seen_once() const { return seen_once_; }
  /// What the last run made of a bias's gradient, where the shape asks for one.
  const Floats& bias_gradient() const { return bias_gradient_; }

private:
  size_t bias_channels() const {
    const auto* conv = std::get_if<Conv2d>(&contraction_.shape);
    return weight_gradient_ && conv && conv->bias_gradient ? static_cast<size_t>(conv->out_channels)
                                                           : 0;
  }
  /// Types of the second operand and of the result: images are rounded alike, weights never.
  DType second() const { return weight_gradient_ ? images_ : DType::f32; }
  DType written() const { return weight_gradient_ ? DType::f32 : images_; }

  std::string source(long channels) const {
    std::string text = "#include \"codegen/device/cuda/linear.h\"\nnamespace {\n" +
                       shape_text(contraction_.shape) + "\n" + contraction_.constants + marking +
                       "}\n";
    for (size_t phase = 0; phase < contraction_.entries.size(); ++phase)
      text += fmt::format(
          "extern \"C\" __global__ void kernel_{0}(netc::Global<const {3}> a, "
          "netc::Global<const {4}> b, netc::Global<{5}> result, netc::Global<float> workspace, "
          "netc::Global<const float> factor, netc::Global<float> calls, "
          "netc::Global<float> sums) {{\n"
          "  netc::{1}<shape, tiling, {0}>(a, b, result, workspace, Epilogue{{factor, calls, "
          "{2}, sums}});\n"
          "}}\n",
          phase, contraction_.function, channels, element_name(images_), element_name(second()),
          element_name(written()));
    return text;
  }

  Contraction contraction_;
  DType images_; ///< How memory holds images and features.
  bool weight_gradient_;
  int64_t workspace_bytes_;
  EmuText text_;
  Emulator emulator_;
  bool seen_once_ = false;
  Floats bias_gradient_;
};

inline const char* name_of(Math math) {
  const char* const names[] = {"fp32", "tf32", "3xtf32", "bf16"};
  return names[static_cast<size_t>(math)];
}

/// Operands with a mantissa of p bits are off by 2^-(p+1) at most, 0.58 of that in the mean; two of
/// them make a product. The sums of random products keep the relative error.
inline double tolerance_of(Math math) {
  switch (math) {
  case Math::fma:
    return 2e-6;
  case Math::x3tf32:
    return 4e-6;
  case Math::tf32:
    return 1e-3;
  case Math::bf16:
    break;
  }
  return 8e-3;
}

/// What an epilogue of random factors must give.
inline std::vector<double> scaled(std::vector<double> values, const Floats& factor) {
  for (size_t i = 0; i < values.size(); ++i)
    values[i] *= factor[i];
  return values;
}

/// The error of a bias's gradient; 0 where a pass has none.
inline double bias_gradient_error(const PassCase& pass, const Floats& got) {
  std::vector<double> want(got.size());
  for (size_t i = 0; i < pass.b.size() && !want.empty(); ++i)
    want[i % want.size()] += pass.b[i];
  return relative_error(got, want);
}

/// Checks a pass in a tiling, and that the number of blocks does not show; `images`: see
/// EmulatedContraction.
inline void check_pass(const PassCase& pass, const std::variant<Conv2d, Linear>& shape,
                       const Tiling& tiling, std::optional<DType> images = {}) {
  SCOPED_TRACE(fmt::format("{} {}, {}\n{}", pass.family, tiling_name(tiling), name_of(tiling.math),
                           shape_text(shape)));
  EmulatedContraction contraction(pass, shape, tiling, std::identity{}, images);
  const Floats factor = random_floats(pass.want.size(), 4);
  const Floats got = contraction.run(pass.a, pass.b, factor);
  EXPECT_TRUE(contraction.seen_once());
  EXPECT_LT(relative_error(got, scaled(pass.want, factor)), tolerance_of(tiling.math));
  const Floats sums = contraction.bias_gradient();
  EXPECT_LT(bias_gradient_error(pass, sums), tolerance_of(tiling.math));
  EXPECT_EQ(contraction.run(pass.a, pass.b, factor, 3), got) << "the grid shows";
  EXPECT_EQ(contraction.bias_gradient(), sums) << "the grid shows";
}

/// Checks passes in the tilings that the planner chooses, with a warpgroup's instructions where the
/// precision has them, and without; `rounded`: of images that memory holds so.
inline void check_passes(const std::vector<PassCase>& passes,
                         const std::variant<Conv2d, Linear>& shape, Precision precision,
                         bool rounded = false) {
  for (const PassCase& pass : passes) {
    const Tiling with =
        cuda_tilings(pass.family, shape, precision, rounded, parse_target("emu")).front();
    check_pass(pass, shape, with);
    if (with.warpgroup && !rounded)
      check_pass(
          pass, shape,
          cuda_tilings(pass.family, shape, precision, false, parse_target("cuda:sm_90")).front());
  }
}

} // namespace netc
