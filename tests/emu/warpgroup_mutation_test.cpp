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
        "    sums.template wait<0>();\n    barrier(); // the next slice",
        "    barrier(); // the next slice"},
       {"nobody waits for the last products", "stage = next;\n  }\n  sums.template wait<0>();\n}",
        "stage = next;\n  }\n}"},
       {"no barrier before the products", "    barrier(); // the next slice is there;", "    //"},
       {"products of no group", "    sums.commit();\n    copy_commit();\n    if",
        "    copy_commit();\n    if"},
       {"no barrier before the first slice", "  barrier(); // the first slice is there", ""},
       {"copies that are not waited for", "copy_wait<ahead - 2>();", "copy_wait<ahead - 1>();"},
       {"rounded over what is multiplied", "S::rounded(slice - first + 1),",
        "S::rounded(slice - first),"},
       {"the columns of this slice again", "S::b(next)", "S::b(stage)"},
       {"the rows of the next slice", "A>(S::a(stage));\n    if", "A>(S::a(next));\n    if"}});
  // Two places: a slice goes where the one before it is still read.
  expect_caught(contraction(0, two_tiles, {Math::bf16, 64, 64, 2, 1, true, 32}),
                {{"no barrier before the place is filled",
                  "      barrier(); // this slice's rows have been read", "      //"},
                 {"a slice too few on its way", "has_parts(t) || t.stages == 2", "has_parts(t)"}});
}

/// Three products of parts, by two warpgroups.
TEST_F(Mutants, WarpgroupParts) {
  const Tiling tiling{Math::x3tf32, 128, 64, 2, 1, true, 32};
  expect_caught(
      contraction(0, two_tiles, tiling),
      {{"the rests of another step", "<columns, true>(queue, slice_sum[i], left_rest[step][i]",
        "<columns, true>(queue, slice_sum[i], left_rest[1][i]"},
       {"but one the rests of the rows left out", "      else if (of_rows)\n",
        "      else if (of_rows)\n        ;\n      else if (of_rows)\n"},
       {"the rests of the columns left out",
        "      else\n        warpgroup_tf32<columns>(queue, slice_sum[i], left[step][i],",
        "      else if (!small)\n        warpgroup_tf32<columns>(queue, slice_sum[i], "
        "left[step][i],"},
       {"the large products left out", "products = 3 * steps;", "products = 2 * steps;"},
       {"the last slice's sums again", "if (product == 0)\n", "if (false)\n"},
       {"the large products' sums anew", "<columns>(queue, slice_sum[i], left[step][i],",
        "<columns, true>(queue, slice_sum[i], left[step][i],"},
       {"the rests where the columns are", "at + part_floats(t), rest[0]", "at, rest[0]"},
       {"the deeper rests over the others", "at + part_floats(t) + piece_apart, rest[4]",
        "at + part_floats(t), rest[4]"},
       {"what rounding left, rounded away", "rest = to_tf32(value - as_float(high));",
        "rest = to_tf32(as_float(high));"},
       {"both warpgroups the same rows", "this->row(i), 8 * step",
        "64 * i + 16 * (warp() % 4), 8 * step"},
       {"rows of the first step", "this->row(i), 8 * step, next", "this->row(i), 0, next"},
       {"the sums of a slice alone", "sum[i][j][r] += slice_sum[i][j][r];",
        "sum[i][j][r] = slice_sum[i][j][r];"},
       {"rows of this slice again", "A>(S::a(next));\n    stage", "A>(S::a(stage));\n    stage"},
       {"rows over those that are multiplied", "A>(S::a(next));\n    stage",
        "A>(S::a(next)), sums.round_rows();\n    stage"},
       {"filled while it is read", "ahead == t.stages ? stage : stage_before", "stage_before"}});
}

TEST_F(Mutants, WarpgroupOperands) {
  expect_caught(contraction(0, two_tiles, {Math::tf32, 128, 96, 3, 1, true}),
                {{"rows of one warp", "this->row(i), step *", "64 * i, step *"},
                 {"rows of the first half", "this->row(i), step *", "16 * warp(), step *"},
                 {"depths of the first step", "step * (t.slice / steps), left", "0, left"},
                 {"steps of the columns too close", "16) + step * 2 * piece_apart",
                  "16) + step * piece_apart"},
                 {"the deeper half over the other", "(2 * unit + 1) * piece_apart + line",
                  "2 * unit * piece_apart + line"},
                 {"columns behind the last", "units % threads == 0 || i < units", "true"},
                 {"depths exchanged", "tf32_word<B>(v[0]), tf32_word<B>(v[1]),",
                  "tf32_word<B>(v[1]), tf32_word<B>(v[0]),"},
                 {"sums of the first half twice", "use(row + 8 * half,", "use(row,"},
                 {"sums of another half", "visit_fragments<n>(sum[i], row(i)",
                  "visit_fragments<n>(sum[0], row(i)"}});
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
                 {"rows that are not swizzled", "at(line + row, k + 4 * piece)",
                  "at(line, k + 4 * piece) + row * stride"},
                 {"lines that overlap", "unit * piece_apart + line * 4, pack_bf16(v[0], v[4])",
                  "unit * piece_apart + line * 2, pack_bf16(v[0], v[4])"}});
}

/// A warp copies a line at a time.
TEST_F(Mutants, WarpgroupLines) {
  Conv2d c = two_tiles;
  c.in_channels = 5;
  expect_caught(contraction(0, c, {Math::tf32, 64, 64, 3, 1, true, 32}),
                {{"a line in the place of another's swizzle", "period = is_swizzled ? 8 : 1",
                  "period = is_swizzled ? 4 : 1"}});
}

/// Of images that memory holds rounded.
constexpr Conv2d rounded_images = {.batch = 2,
                                   .in_height = 8,
                                   .in_width = 8,
                                   .in_channels = 64,
                                   .out_channels = 72,
                                   .kernel_height = 2,
                                   .kernel_width = 2,
                                   .pad_top = 1};

/// By one warpgroup, which waits for each slice, and by two, which do not wait for the last.
TEST_F(Mutants, DirectPipeline) {
  const std::vector<Mutation> mutations = {
      {"nobody waits for the products before",
       "    sums.template wait<pending>();\n    barrier(); // the slice",
       "    barrier(); // the slice"},
      {"one slice too many on its way", "slices_ahead_direct<t>, pending = slices_pending(t);",
       "slices_ahead_direct<t>, pending = slices_pending(t) + 1;"},
      {"no barrier before the products", "    barrier(); // the slice is there; one before",
       "    //"},
      {"copies that are not waited for",
       "copy_wait<ahead - 1>();\n    show_to_warpgroups(); // what",
       "copy_wait<ahead>();\n    show_to_warpgroups(); // what"},
      {"products of no group", "    sums.commit();\n    load(", "    load("},
      {"nobody waits for the last products",
       "  sums.template wait<0>();\n}\n\n/// The same where rows go",
       "}\n\n/// The same where rows go"},
      {"filled while it is multiplied",
       "stage + ahead < t.stages ? stage + ahead : stage + ahead - t.stages);", "stage);"},
      {"weights packed in other blocks", ": channel_block<c>(channels, line_elements<T>);",
       ": channel_block<c>(channels, 16);"}};
  expect_caught(contraction(0, rounded_images, {Math::tf32, 64, 64, 3, 1, true, 32, true}),
                mutations);
  expect_caught(contraction(0, rounded_images, {Math::bf16, 256, 64, 4, 1, true, 64, true}),
                mutations);
  expect_caught(contraction(0, rounded_images, {Math::tf32, 256, 64, 4, 1, true, 32, true}),
                {{"filled while its products are on their way", "t.stages - 1 - slices_pending(t);",
                  "t.stages - 1;"}});
}

/// Rows through registers, columns laid out by the copies.
TEST_F(Mutants, TurnedOperands) {
  expect_caught(
      contraction(2, rounded_images, {Math::tf32, 128, 96, 3, 2, true, 32, true}),
      {{"depths of a row over one another", " + along % rows.bytes) / 4", ") / 4"},
       {"one depth of four", "warp() * 4 + warp_lane() % 4", "warp() * 4"},
       {"lines of a warp too close", "static int line() { return warp_lane() / 4; }",
        "static int line() { return warp_lane() / 8; }"},
       {"the columns of the first step", "S::B::start(0, step * t.slice / steps)",
        "S::B::start(0, 0)"},
       {"the result the other way round", "(turned ? column : row)", "(turned ? row : column)"},
       {"copies that are not waited for",
        "copy_wait<ahead - 1>();\n    show_to_warpgroups(); // the columns that this thread copied",
        "copy_wait<ahead>();"},
       {"nobody waits for the products before",
        "    sums.template wait<0>();\n    barrier(); // the slice is there;",
        "    barrier(); // the slice is there;"},
       {"no barrier before the rows are taken",
        "barrier(); // the slice is there; the one before has been multiplied, its place is free",
        ""},
       {"nobody waits for the last products",
        "    stage = stage_after<t.stages>(stage);\n  }\n  sums.template wait<0>();\n}\n\n"
        "/// The same where the operands are rounded",
        "    stage = stage_after<t.stages>(stage);\n  }\n}\n\n"
        "/// The same where the operands are rounded"}});
}

TEST_F(Mutants, TurnedOperandsOfTwoWarpgroups) {
  expect_caught(
      contraction(2, rounded_images, {Math::tf32, 256, 64, 3, 1, true, 32, true}),
      {{"both the same rows", "this->row(i), step *", "64 * i + 16 * (warp() % 4), step *"},
       {"rows over those that are multiplied",
        "    sums.template wait<0>();\n    barrier(); // the slice is there;",
        "    sums.template wait<1>();\n    barrier(); // the slice is there;"}});
}

/// Pixels copied once for all taps, of two images and in three blocks of channels.
TEST_F(Mutants, Halos) {
  const Conv2d c = square(2, 9, 24, 36, 3, 1, 1);
  expect_caught(
      contraction(0, c, {Math::tf32, 128, 64, 4, 1, true, 8, true, true}),
      {{"every tap the first", "line_of(turn * t.taps + i)", "line_of(0)"},
       {"the rows of one block", "S::a(block), S::b(stage), Product",
        "S::a(0), S::b(stage), Product"},
       {"the channels of the first block", "(block * t.slice + depth), index", "depth, index"},
       {"weights of the slice before", "loader.load_columns(slice, stage);\n    if",
        "loader.load_columns(slice - 1, stage);\n    if"},
       {"a piece of the rows left out", "i < min((turn - pending + 1) * pieces,",
        "i + 1 < min((turn - pending + 1) * pieces,"},
       {"pieces over one another", "lane() / of_line + i * (threads / of_line)",
        "lane() / of_line"},
       {"all pieces the first of their line", "% of_line * Layout::piece;", "* 0;"},
       {"padding on the left", "const int w = i % images.width - c.pad_left;",
        "const int w = i % images.width;"},
       {"padding that is read", "w < 0 || w >= c.in_width)", "w >= c.in_width)"},
       {"images behind the last", "if (n >= c.batch || h < 0", "if (h < 0"},
       {"rows without padding", "int(max_of(c.pad_left, c.pad_right));", "0;"},
       {"places of other pixels", "* images.width + pixel % G::out_width;",
        "* G::out_width + pixel % G::out_width;"},
       {"pixels of the images before", "return n * (G::out_height * G::out_width) + (n < c.batch",
        "return (n < c.batch"},
       {"weights packed for every tap", "t.halo ? t.slice : channel_block", "channel_block"}});
  expect_caught(contraction(0, square(6, 11, 16, 36, 3, 1, 0),
                            {Math::tf32, 64, 64, 4, 1, true, 8, true, true}),
                {{"rows that end with the padding", "min(w, G::out_width)", "w"},
                 {"images that end with the padding", "h < G::out_height ? h * G::out_width +",
                  "true ? h * G::out_width +"}});
  // Of two warpgroups, a slice is multiplied while the next begins.
  expect_caught(contraction(1, square(2, 9, 36, 24, 3, 1, 1),
                            {Math::tf32, 256, 64, 4, 1, true, 8, true, true}),
                {{"taps that run forwards",
                  "pass == ContractionPass::data_gradient ? taps - 1 - tap : tap;", "tap;"},
                 {"rows over those that are multiplied", "if (turn >= pending && block + 1 < end)",
                  "if (block + 1 < end)"}});
  expect_caught(contraction(0, square(2, 9, 64, 36, 2, 1, 0),
                            {Math::tf32, 256, 64, 4, 1, true, 32, true, true}),
                {{"rows that come too late", "turns = slices - ahead - pending + 1;",
                  "turns = slices - pending;"}});
  expect_caught(contraction(0, square(2, 17, 24, 64, 2, 1, 1),
                            {Math::tf32, 128, 64, 2, 1, true, 8, true, true, 4}),
                {{"columns that begin anywhere",
                  "return int(round_up(floats * 4, swizzle_bytes) / 4);", "return int(floats);"}});
  // A slice has the weights of several taps.
  expect_caught(
      contraction(0, c, {Math::tf32, 256, 64, 3, 1, true, 8, true, true, 3}),
      {{"the weights of its first tap", "i * t.slice);", "0);"},
       {"the pixels of its first tap", "turn * t.taps + i)", "turn * t.taps)"},
       {"the taps of a slice too few", "slice * S::B::depth, from_", "slice * t.slice, from_"},
       {"pieces of a slice over one another", "to_[i] = S::B::at(line, depth);",
        "to_[i] = S::B::at(line, depth % t.slice);"}});
}

TEST_F(Mutants, DirectOperands) {
  expect_caught(
      contraction(1, rounded_images, {Math::bf16, 128, 96, 3, 1, true, 64, true}),
      {{"rows of the first half twice", "first_rows + A::start(64 * i, step * depth);",
        "first_rows + A::start(0, step * depth);"},
       {"columns of the first step", "first_columns + B::start(0, k + step * depth);",
        "first_columns + B::start(0, k);"},
       {"columns taken for lines of a depth", "!A::by_depth>(queue", "A::by_depth>(queue"},
       {"rows that overlap", "(row * rows.bytes + along", "(row * rows.bytes / 2 + along"},
       {"groups of lines too close", "2 * rows.bytes,", "rows.bytes,"},
       {"copies that do not swizzle", "swizzled(4 * start(line, k), rows.bytes) / 4",
        "start(line, k)"},
       {"another swizzle than the instructions'", "at ^ (at >> 7 &", "at ^ (at >> 8 &"},
       {"halves exchanged", "bits(static_cast<unsigned short>(pack_bf16(from, 0)))",
        "bits(static_cast<unsigned short>(pack_bf16(0, from)))"}});
  expect_caught(
      contraction(2, rounded_images, {Math::bf16, 64, 96, 2, 2, true, 32, true}),
      {{"depths that overlap", "(row * rows.bytes + along", "(row * rows.bytes / 2 + along"},
       {"blocks of lines too close", "by_depth ? 0 : rows.block,",
        "by_depth ? 0 : rows.block / 2,"},
       {"copies that do not swizzle", "swizzled(4 * start(line, k), rows.bytes) / 4",
        "start(line, k)"},
       {"depths over one another", "Share::depth() + behind);", "Share::depth());"},
       {"every depth the first", "step<Layout::depth>(leaf, k0, k)",
        "step<Layout::depth>(leaf, k0, 0)"},
       {"lines of a thread in a row", "Share::line() + i * lines_apart);",
        "Share::line() + i * run);"}});
  expect_caught(
      contraction(0, rounded_images, {Math::tf32, 256, 64, 3, 1, true, 32, true}),
      {{"both warpgroups the same rows", "rows == t.rows ? 0 : warpgroup() * rows;", "0;"},
       {"sums of the other warpgroup", "row(i) + warp_lane() / 4,",
        "(row(i) ^ 16) + warp_lane() / 4,"}});
  constexpr Conv2d one_tap = {.batch = 2,
                              .in_height = 5,
                              .in_width = 7,
                              .in_channels = 40,
                              .out_channels = 24,
                              .kernel_height = 1,
                              .kernel_width = 1};
  expect_caught(contraction(0, one_tap, {Math::bf16, 64, 64, 3, 1, true, 32, true}),
                {{"the upper half of a row twice", "k + number * piece);", "k);"},
                 {"pairs of the columns exchanged", "pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3])",
                  "pack_bf16(v[2], v[3]), pack_bf16(v[0], v[1])"}});
}

} // namespace
} // namespace netc
