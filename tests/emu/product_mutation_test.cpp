// Mistakes in the tiled products of contractions: the pipeline, the slices, the sums, the splits.

#include "tests/emu/contraction_mutation.h"

namespace netc {
namespace {

/// Two groups, 72 rows, 6 columns a group, 45 deep (the tail of a slice), nothing in runs.
const Conv2d ragged = square(2, 6, 10, 12, 3, 1, 1, 2);
/// 25 rows, 13 columns, 72 deep, runs of 4.
const Conv2d even = square(1, 9, 8, 13, 3, 2, 1);
/// 49 rows, 48 columns, 144 deep.
const Conv2d wide = square(1, 7, 16, 48, 3, 1, 1);

const std::vector<Mutation> pipeline = {
    {"no barrier behind the wait",
     "    barrier(); // the slice is there; the one before has been read", "    //"},
    {"no wait for the slice", "    copy_wait<t.stages - 2>();\n", ""},
    {"a wait for one slice less", "    copy_wait<t.stages - 2>", "    copy_wait<t.stages - 1>"},
    {"no group behind the last slice", "    copy_commit();\n    sums",
     "    if (slice + t.stages - 1 < end) copy_commit();\n    sums"},
    {"a slice over the one that is read", "return stage == 0 ? stages - 1 : stage - 1;",
     "return stage;"},
    {"a slice left out", "load(slice + t.stages - 1, stage_before",
     "load(slice + t.stages, stage_before"},
    {"the stage does not move on", "return stage + 1 == stages ? 0 : stage + 1;", "return 0;"},
    {"the operands share their memory",
     "shared_array<float>((stage * (a_floats + b_floats) + a_floats) * 4, B::floats)",
     "shared_array<float>(stage * (a_floats + b_floats) * 4, B::floats)"},
};

TEST_F(Mutants, Pipelines) {
  expect_caught(contraction(0, ragged, {Math::fma, 64, 64, 3, 1}), pipeline);
  // One block for all tiles: the next begins where the last slice is still read.
  expect_caught(
      contraction(0, ragged, {Math::fma, 64, 64, 2, 1}, 1),
      {{"no barrier between tiles", "  barrier(); // slices of another leaf or tile", "  //"}});
}

const std::vector<Mutation> tiles_and_splits = {
    {"splits do not find their slice", "load(first + stage, stage, operand);",
     "load(stage, stage, operand);"},
    {"a share without its last slice", "share(slices, place.split + 1, t.splits)",
     "share(slices, place.split + 1, t.splits) - 1"},
    {"the first share left out", "for (int split = 0; split < t.splits; ++split)",
     "for (int split = 1; split < t.splits; ++split)"},
    {"shares of groups over one another", "((long(split) * shape.groups + group)",
     "((long(split) + group)"},
    {"shares over the packed weights", "workspace + packed_workspace_floats(c, pass)", "workspace"},
    {"the group counts the splits on", "/ (row_tiles * column_tiles) % shape.groups)",
     "/ (row_tiles * column_tiles))"},
    {"the split of another tile", "static_cast<int>(i / all)};", "static_cast<int>(i % 2)};"},
};

TEST_F(Mutants, Splits) {
  expect_caught(contraction(0, ragged, {Math::fma, 64, 64, 2, 2}), tiles_and_splits);
}

TEST_F(Mutants, Tiles) {
  expect_caught(
      contraction(0, ragged, {Math::fma, 64, 128, 2, 1}),
      {{"rows as far apart as columns", "row_tiles) * t.rows,", "row_tiles) * t.columns,"},
       {"rows behind the last", "    if (row >= rows) // also", "    if (false) // also"},
       {"columns behind the last",
        "      if (columns % t.columns == 0 || place.column + column + i < columns)\n", ""}});
  Conv2d leaves = exact(square(1, 4, 8, 5, 2, 1, 0), 4);
  expect_caught(contraction(0, leaves, {Math::fma, 64, 64, 2, 1}),
                {{"half of the tree of leaves", "for (int bits = leaf; bits & 1; bits >>= 1)\n",
                  "if (leaf & 1)\n"},
                 {"a leaf that begins too early", "static_cast<int>(share(extent, leaf, leaves));",
                  "static_cast<int>(share(extent, leaf, leaves)) / 2;"}});
}

TEST_F(Mutants, SharesInRuns) {
  expect_caught(
      contraction(0, wide, {Math::fma, 64, 64, 2, 2}),
      {{"one of four shares twice", "sums[2] += run.z", "sums[2] += run.y"},
       {"two of four sums exchanged", "{sums[0], sums[1], sums[2], sums[3]}",
        "{sums[0], sums[2], sums[1], sums[3]}"},
       {"runs that are not aligned", "i % Index(shape.columns / count)) * count;",
        "i % Index(shape.columns / count));"},
       {"rows in the order of runs", "const Index line = i / Index(shape.columns / count);",
        "const Index line = i / Index(shape.columns);"}});
  // Four sums of a thread that are no neighbours, in the order of the weights.
  expect_caught(
      contraction(2, ragged, {Math::fma, 64, 64, 2, 2}),
      {{"taps and channels exchanged", "in = line % G::group_in, tap = line / G::group_in;",
        "in = line / G::taps, tap = line % G::taps;"},
       {"runs behind the last are read",
        "first + r * lanes() < all ? first + r * lanes() : all - 1", "first + r * lanes()"},
       {"the last run finished again", "      if (first + r * lanes() < all)\n", ""},
       {"every run the first", "(row[r], column[r], count, sums[r]);",
        "(row[0], column[0], count, sums[r]);"}});
}

const std::vector<Mutation> staging = {
    {"sums over slices that are read", "    barrier(); // the slices, or the rows before",
     "    //"},
    {"sums read before they are there", "    });\n    barrier();\n    const StagedRows",
     "    });\n    const StagedRows"},
    {"rows closer than they are read", "(row - first) * stride + column",
     "(row - first) * t.columns + column"},
    {"rows read closer than they are", "there.at(row + r) * stride);",
     "there.at(row + r) * t.columns);"},
    {"the first row for all", "staged(i / segments)[", "staged(0)["},
    {"segments over one another", "[i % segments * 32 + warp_lane()]",
     "[i % segments * 16 + warp_lane()]"},
    {"the second of a pair twice", "{values[0], values[1]});", "{values[1], values[1]});"},
    {"every warp the first rows", "there.at(row + r)", "there.at(there.begin + r)"},
    {"warps over one another", "i += warps() * taken_rows<t>) {", "i += taken_rows<t>) {"},
    {"rows of the result left out", "use(row + i / segments,", "use(row + i % segments,"},
    {"every lane the first column", "  column += warp_lane();\n", ""},
    {"rows behind the last", "(row + i / segments < rows && column", "(column"},
    {"columns behind the last", " && column + i % segments * 32 < columns))", "))"},
    {"tiles of few columns as whole ones", "|| place.column + t.columns <= columns)",
     "|| place.column <= columns)"},
};

TEST_F(Mutants, StagedSums) {
  expect_caught(contraction(0, wide, {Math::tf32, 64, 64, 4, 1}), staging);
  Tiling few{Math::tf32, 128, 48, 3, 1, true, 32};
  few.rounded = true;
  expect_caught(contraction(1, square(2, 7, 48, 48, 3, 1, 1), few),
                {{"half a segment as a whole", " || i % segments * 32 + warp_lane() < t.columns;",
                  " || true;"},
                 {"half a segment left out", " || i % segments * 32 + warp_lane() < t.columns;",
                  " || i % segments == 0;"}});
  // Whole columns of 49 rows.
  expect_caught(contraction(0, square(1, 7, 16, 64, 3, 1, 1), {Math::bf16, 64, 64, 4, 1}),
                {{"the last rows as whole ones", "|| row + taken_rows<t> <= there.end)",
                  "|| row <= there.end)"}});
  // Half of a tile at a time.
  expect_caught(contraction(0, wide, {Math::tf32, 64, 64, 2, 1}),
                {{"rows of the other half", "row / staged_rows(t) * staged_rows(t) == first",
                  "row / staged_rows(t) == 0"},
                 {"rows beyond the half", "(row - first) * stride", "row * stride"},
                 {"the second half left out", "first += staged_rows(t))", "first += t.rows)"},
                 {"no barrier between the halves",
                  "    barrier(); // the slices, or the rows before these, have been read\n",
                  "    if (first == 0) barrier();\n"}});
}

TEST_F(Mutants, Slices) {
  expect_caught(contraction(0, ragged, {Math::fma, 64, 64, 2, 1}),
                {{"a step behind the depth", "const bool inside = whole || k0 + k < depth;",
                  "const bool inside = k0 + k <= depth;"},
                 {"every line the first", "operand_.index(lines_[line], step),",
                  "operand_.index(lines_[0], step),"}});
  expect_caught(
      contraction(2, even, {Math::tf32, 64, 64, 2, 1}),
      {{"pixels behind the depth", "const bool inside = whole || k0 + k < depth;",
        "const bool inside = true;"},
       {"lines closer than runs",
        "return lane() % sharing * run; }\n  static int depth() { return lane() / sharing;",
        "return lane() % sharing; }\n  static int depth() { return lane() / sharing;"},
       {"a depth of another thread", "static int depth() { return lane() / sharing; }",
        "static int depth() { return lane() % sharing; }"},
       {"one depth twice", "slice[at(line, k + 1)]};", "slice[at(line, k)]};"},
       {"copies of one line", "operand.line(first + Share::line() + i * lines_apart);",
        "operand.line(first);"}});
  expect_caught(
      contraction(0, even, {Math::tf32, 64, 64, 3, 1}),
      {{"the padding is read", "inside && operand_.exists(lines_[line], step),", "inside,"},
       {"a pair that is not aligned", "return load2(slice, at(line, k));",
        "return load2(slice, at(line, k + 1));"}});
  // 32 channels, which are those of one tap in each slice, to 64, whose lines are evenly apart.
  expect_caught(
      contraction(0, square(1, 7, 32, 64, 3, 1, 1), {Math::tf32, 64, 64, 3, 1}),
      {{"the first channels of the tap", "    t.channel += own;\n", ""},
       {"lines of weights too close", "line * lines_apart * Operand::apart, Operand::kept>",
        "line * lines_apart, Operand::kept>"},
       {"lines over one another", "Layout::lines_behind(i * lines_apart / ",
        "Layout::lines_behind(0 * lines_apart / "}});
}

TEST_F(Mutants, FmaSums) {
  expect_caught(
      contraction(0, wide, {Math::fma, 64, 64, 2, 1}),
      {{"rows too far apart", "a[A::at(row + down * i, k)]", "a[A::at(row + across * i, k)]"},
       {"always the first depth", "b[B::at(column + across * j, k)]",
        "b[B::at(column + across * j, 0)]"},
       {"the depth's end left out", "for (int k = 0; k < usual_slice; ++k) {",
        "for (int k = 0; k < usual_slice - 1; ++k) {"},
       {"another column's operand", "sum[i][j] += left[i] * right[j];",
        "sum[i][j] += left[i] * right[0];"},
       {"another row's sum", "float value[1] = {sum[i][j]};", "float value[1] = {sum[0][j]};"},
       {"sums of columns stored elsewhere", "lane() % across + across * j, 1, value",
        "lane() % across + across * i / 2, 1, value"}});
}

TEST_F(Mutants, TensorCores) {
  expect_caught(
      contraction(0, wide, {Math::tf32, 64, 64, 4, 1}),
      {{"rows of the fragment exchanged", "row + 8, k, left[1], left[3],",
        "row + 8, k, left[3], left[1],"},
       {"the lower rows twice", "(slice, row + 8, k, left", "(slice, row, k, left"},
       {"half of the depth", "k < usual_slice; k += depth)", "k < usual_slice / 2; k += depth)"},
       {"every warp the first rows", "return warp() / warp_columns * (rows / warp_rows) +",
        "return warp() % warp_columns * (rows / warp_rows) +"},
       {"sums of the fragment exchanged", "{sum[j][2 * half], sum[j][2 * half + 1]}",
        "{sum[j][half], sum[j][half + 2]}"},
       {"columns of the fragment too close", "(columns / warp_columns) + warp_lane() % 4 * 2;",
        "(columns / warp_columns) + warp_lane() % 4;"},
       {"the accumulator of another column",
        "            mma_tf32(sum[i][j], left, right[j]);\n          }",
        "            mma_tf32(sum[i][0], left, right[j]);\n          }"}});
  expect_caught(contraction(1, wide, {Math::x3tf32, 64, 64, 3, 1}),
                {{"the left rest left out", "mma_tf32(part, left_rest, right[j]);", ""},
                 {"the right rest left out", "mma_tf32(part, left, right_rest[j]);", ""},
                 {"the last part alone", "sum[i][j][r] += part[r];", "sum[i][j][r] = part[r];"},
                 {"another column's rest", "left, right_rest[j]);", "left, right_rest[0]);"},
                 {"the rest of the other register", "to_tf32(low.x - as_float(first));",
                  "to_tf32(low.y - as_float(first));"}});
  expect_caught(contraction(2, wide, {Math::bf16, 64, 64, 4, 1}),
                {{"depths of the column exchanged", "k, right[j][0], right[j][1],",
                  "k, right[j][1], right[j][0],"},
                 {"the upper half too early", "Layout::pair(slice, line, k + 8 + t);",
                  "Layout::pair(slice, line, k + 4 + t);"},
                 {"a warp's operand of another column", "b, first_column() + 8 * j, k,",
                  "b, first_column() + 8, k,"}});
}

} // namespace
} // namespace netc
