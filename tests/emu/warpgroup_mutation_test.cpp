// Faults planted in products by the matrix instructions of a warpgroup: the emulator, or the
// comparison with double loops, catches each.

#include "tests/emu/contraction_mutation.h"

namespace netc {
namespace {

constexpr Conv2d two_tiles = {.batch = 2,
                              .in_height = 9,
                              .in_width = 9,
                              .in_channels = 12,
                              .out_channels = 72,
                              .kernel_height = 3,
                              .kernel_width = 3,
                              .pad_top = 1,
                              .pad_left = 1,
                              .pad_bottom = 1,
                              .pad_right = 1};

TEST_F(Mutants, WarpgroupPipeline) {
  expect_caught(
      contraction(0, two_tiles, {Math::tf32, 64, 64, 4, 1, true}),
      {{"nobody waits for the products before",
        "    sums.wait();\n    barrier(); // the next slice", "    barrier(); // the next slice"},
       {"nobody waits for the last products", "  sums.wait();\n}", "}"},
       {"no barrier before the products", "    barrier(); // the next slice is there;", "    //"},
       {"products of no group", "    sums.commit();", ""},
       {"no barrier before the first slice", "  barrier(); // the first slice is there", ""},
       {"copies that are not waited for", "copy_wait<ahead - 2>();", "copy_wait<ahead - 1>();"},
       {"rounded over what is multiplied", "S::rounded(slice - first + 1),",
        "S::rounded(slice - first),"},
       {"the columns of this slice again", "S::b(next)", "S::b(stage)"},
       {"the rows of the next slice", "A>(S::a(stage));", "A>(S::a(next));"}});
  // Two places: a slice goes where the one before it is still read.
  expect_caught(
      contraction(0, two_tiles, {Math::bf16, 64, 64, 2, 1, true, 32}),
      {{"no barrier before the place is filled",
        "      barrier(); // this slice's rows have been read", "      //"},
       {"a slice too few on its way", "t.stages == 2 ? 2 : t.stages - 1", "t.stages - 1"}});
}

TEST_F(Mutants, WarpgroupOperands) {
  expect_caught(contraction(0, two_tiles, {Math::tf32, 128, 96, 3, 1, true}),
                {{"rows of one warp", "64 * i + 16 * warp(), step", "64 * i, step"},
                 {"rows of the first half", "64 * i + 16 * warp(), step", "16 * warp(), step"},
                 {"depths of the first step", "step * (slice / steps), left", "0, left"},
                 {"steps of the columns too close", "rounded + step * 2 * leading",
                  "rounded + step * leading"},
                 {"the deeper half over the other", "(2 * unit + 1) * leading + line",
                  "2 * unit * leading + line"},
                 {"columns behind the last", "units % tile_threads == 0 || i < units", "true"},
                 {"depths exchanged", "tf32_operand(v[0]), tf32_operand(v[1]),",
                  "tf32_operand(v[1]), tf32_operand(v[0]),"},
                 {"sums of the first half twice", "use(row + 8 * half,", "use(row,"},
                 {"sums of another half", "visit_fragments<n>(sum[i], 64 * i + 16",
                  "visit_fragments<n>(sum[0], 64 * i + 16"}});
  expect_caught(
      contraction(2, two_tiles, {Math::bf16, 64, 128, 4, 1, true}),
      {{"rows of the fragment exchanged", "at(line + i % 2 * 8, k + i / 2 * 4)",
        "at(line + i / 2 * 8, k + i % 2 * 4)"},
       {"every thread the first depth", "k += warp_lane() % 4;", "k += 0;"},
       {"pairs of neighbours", "pack_bf16(low[0], low[2])", "pack_bf16(low[0], low[1])"},
       {"the deeper half of the rows twice", "A::block(from, row, k + 8, high);",
        "A::block(from, row, k, high);"},
       {"depths of the columns in order", "pack_bf16(v[0], v[4])", "pack_bf16(v[0], v[1])"},
       {"a depth twice", "slice[at(line, k + i)]", "slice[at(line, k)]"}});
  expect_caught(contraction(1, two_tiles, {Math::bf16, 64, 64, 4, 1, true}),
                {{"sixteen bytes too far", "values[4] = high.x", "values[4] = low.x"},
                 {"lines that overlap", "unit * leading + line * 4, pack_bf16(v[0]",
                  "unit * leading + line * 2, pack_bf16(v[0]"}});
}

} // namespace
} // namespace netc
