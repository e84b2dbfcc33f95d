// Which tilings a contraction may have: they fit, and what no GPU has measured is only tried.

#include "codegen/cuda_contraction.h"
#include "tests/emu/contraction_cases.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace netc::test {
namespace {

constexpr const char* families[] = {"conv2d_forward", "conv2d_data_gradient",
                                    "conv2d_weight_gradient"};

/// Calls use(what, family, shape, precision, rounded, target) for contractions small and large, of
/// channels in every kind of run.
template <class Use> void visit_contractions(Use use) {
  const Conv2d shapes[] = {square(128, 57, 48, 96, 3, 1, 0),   square(128, 27, 96, 256, 5, 1, 2, 2),
                           square(128, 13, 256, 384, 3, 1, 1), square(128, 1, 9216, 4096, 1, 1, 0),
                           square(2, 6, 10, 12, 3, 1, 1, 2),   square(3, 7, 7, 11, 3, 2, 1),
                           square(1, 1, 13, 17, 1, 1, 0),      square(16, 30, 3, 64, 11, 4, 0),
                           square(16, 14, 66, 50, 1, 1, 0)};
  for (const char* arch : {"cuda:sm_75", "cuda:sm_80", "cuda:sm_90a", "cuda:sm_120", "emu"})
    for (Precision precision :
         {Precision::fp32, Precision::x3tf32, Precision::tf32, Precision::bf16})
      for (const Conv2d& shape : shapes)
        for (const char* family : families) {
          const Target target = parse_target(arch);
          const bool rounds = target.has_warpgroups() && shape.in_channels % 16 == 0 &&
                              (precision == Precision::tf32 || precision == Precision::bf16);
          for (bool rounded : {false, true})
            if (supports(target, precision) && (rounds || !rounded))
              use(fmt::format("{} {} {} of {} to {} channels", arch, to_string(precision), family,
                              shape.in_channels, shape.out_channels),
                  family, shape, precision, rounded, target);
        }
}

TEST(Tilings, ShareAMultiprocessorAsTheyClaim) {
  visit_contractions([](const std::string& what, const char* family, const Conv2d& shape,
                        Precision precision, bool rounded, const Target& target) {
    SCOPED_TRACE(what + (rounded ? ", rounded" : ""));
    const std::string name = family;
    const ContractionPass pass = name.ends_with("forward") ? ContractionPass::forward
                                 : name.ends_with("data_gradient")
                                     ? ContractionPass::data_gradient
                                     : ContractionPass::weight_gradient;
    const std::vector<Tiling> list = cuda_tilings(family, shape, precision, rounded, target);
    ASSERT_FALSE(list.empty());
    for (const Tiling& t : list)
      EXPECT_LE(blocks_sharing(t) * (tile_shared_bytes(shape, pass, t) + reserved_shared_bytes),
                target.shared_bytes())
          << tiling_name(t);
  });
}

TEST(Tilings, MultiplyPartsByWarpgroupsWhereThereAreSome) {
  const Conv2d shape = square(128, 13, 256, 384, 3, 1, 1);
  for (const char* family : families)
    for (const char* arch : {"cuda:sm_90", "cuda:sm_90a"}) {
      const Target target = parse_target(arch);
      const auto list = cuda_tilings(family, shape, Precision::x3tf32, false, target);
      ASSERT_FALSE(list.empty());
      for (const Tiling& t : list)
        EXPECT_EQ(has_parts(t), target.has_warpgroups()) << tiling_name(t);
    }
}

/// Of channels that are copied one by one, slices are too short for the threads of two warpgroups.
TEST(Tilings, OfOddChannelsAreOfOneWarpgroupWhereLinesAreNeighbours) {
  const Target target = parse_target("cuda:sm_90a");
  const Conv2d odd = square(16, 30, 6, 64, 11, 1, 0);
  const std::pair<Precision, bool> ways[] = {{Precision::x3tf32, false}, {Precision::tf32, true}};
  for (auto [precision, rounded] : ways)
    for (const Tiling& t : cuda_tilings("conv2d_weight_gradient", odd, precision, rounded, target))
      EXPECT_EQ(threads_of(t), tile_threads) << tiling_name(t);
}

/// Of TF32 weight gradients: among those that `--tune` measures, and not the default.
TEST(Tilings, OfTwoWarpgroupsThatTakeRowsThroughRegistersAreTried) {
  const std::vector<Tiling> list =
      cuda_tilings("conv2d_weight_gradient", square(128, 13, 256, 384, 3, 1, 1), Precision::tf32,
                   true, parse_target("cuda:sm_90a"));
  const auto first =
      std::find_if(list.begin(), list.end(), [](const Tiling& t) { return t.rows > 128; });
  EXPECT_GT(first - list.begin(), 0);
  EXPECT_LT(first - list.begin(), 8);
}

} // namespace
} // namespace netc::test
