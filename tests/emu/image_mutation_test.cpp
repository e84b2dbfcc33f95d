// Mistakes in kernels of images: the network's input, blocks of pixels as channels and back.

#include "ir/ops.h"
#include "tests/emu/graph_mutation.h"

namespace netc {
namespace {

using namespace test;

/// Five stored images, cropped to `height` x `width`, some flipped, in blocks of `block` x
/// `block` pixels.
OpCase images(const Shape& stored, int64_t height, int64_t width, int64_t block) {
  OperandCase bytes = integers_feed(stored, integers(0, 255));
  bytes.type.dtype = DType::u8;
  return {&ops::input_image,
          {bytes, integers_feed({5}, integers(0, 1'281'166)), integers_feed({5}, integers(0, 89)),
           integers_feed({2}, values({-2, 2'000'000'011})), parameter({3}, uniform(100, 130))},
          {{"height", height},
           {"width", width},
           {"random_crop", true},
           {"flip", true},
           {"scale", 0.015625},
           {"block", block}}};
}

TEST_F(Mutants, Images) {
  expect_caught(
      operator_subject("input_image", images({5, 3, 9, 8}, 6, 5, 1)),
      {{"a flip one pixel off", "4 - x0", "5 - x0"},
       {"a flip by the crop's word", "sample_ids[n], 2) & 1)", "sample_ids[n], 1) & 1)"},
       {"rows not cropped", "row = top + y", "row = y"},
       {"never the last crop", "sample_ids[n], 1)) * 4.0f)", "sample_ids[n], 1)) * 3.0f)"},
       {"every image the first sample", "epochs[n], sample_ids[n], 0)",
        "epochs[n], sample_ids[0], 0)"},
       {"rows of the stored image too close", "row) * 8 + column0) * 3 + 1",
        "row) * 7 + column0) * 3 + 1"},
       {"the mean of the first channel", "mean[2]", "mean[0]"},
       {"pixels of a row over one another", "w = i % 5", "w = i % 4"},
       {"the last row left out", "i < 30;", "i < 25;"},
       {"no scale", "mean[0]) * 0.015625f", "mean[0])"}});
}

/// Blocks of 4 x 4 hang over below and on the right, where the stored images end, too: what is read
/// outside the image is outside the buffer at its ends. By the seed the first image is flipped and
/// the last is not. There are two parts of rows, the second not full; a part has more rows of
/// blocks than a block of threads has threads.
TEST_F(Mutants, ImagesInBlocks) {
  expect_caught(
      operator_subject("input_image by blocks", images({5, 3, 47, 125}, 47, 125, 4)),
      {{"columns of the block exchanged", "x1 = w * 4 + 1", "x1 = w * 4 + 2"},
       {"rows of the block exchanged", "y = line * 4 + i % 4", "y = line * 4 + (3 - i % 4)"},
       {"channels exchanged", "column1) * 3 + 1]", "column1) * 3 + 2]"},
       {"a row of a block over the one before", "+ (i % 4 * 12 + 4)", "+ (i % 4 * 8 + 4)"},
       {"blocks of three rows", "y = line * 4", "y = line * 3"},
       {"blocks of three columns", "x2 = w * 4", "x2 = w * 3"},
       {"rows that hang over", "exists0 = y < 47 && ", "exists0 = "},
       {"columns that hang over", " && x3 < 125", ""},
       {"a row that hangs over", "exists1 = y < 47", "exists1 = y <= 47"},
       {"the last column missing", "x0 < 125", "x0 < 124"},
       {"a row behind the last is read", "netc::min(y, 46)", "netc::min(y, 47)"},
       {"the last row not read", "netc::min(y, 46)", "netc::min(y, 45)"},
       {"columns behind the last are read", ", netc::min(x3, 124))", ", x3)"},
       {"columns before the first are read", "124 - netc::min(x3, 124)", "124 - x3"},
       {"a flip of whole blocks", "124 - netc::min(x0", "127 - netc::min(x0"},
       {"one row of a block a thread", "i < 1024; i += netc::lanes()",
        "i < 256; i += netc::lanes()"},
       {"parts over one another", "part * 8 + i / 128", "part * 7 + i / 128"},
       {"a row behind the last part", "if (line < 12)", "if (line < 13)"}});
}

TEST_F(Mutants, Blocks) {
  expect_caught(
      operator_subject("space_to_depth",
                       {&ops::space_to_depth, {feed({2, 3, 11, 10})}, {{"block", int64_t{4}}}}),
      {{"rows and columns of the block exchanged",
        "c / 12;\n        const int column = w * 4 + c / 3 % 4;",
        "c / 3 % 4;\n        const int column = w * 4 + c / 12;"},
       {"channels before the block's pixels", "* 3 + c % 3]", "* 3 + c / 16]"},
       {"blocks of three rows", "row = h * 4", "row = h * 3"},
       {"blocks of three columns", "column = w * 4", "column = w * 3"},
       {"rows that hang over", "row < 11 && ", ""},
       {"columns that hang over", " && column < 10", ""},
       {"rows behind the last are read", "netc::min(row, 10)", "row"},
       {"columns behind the last are read", "netc::min(column, 9)", "column"},
       {"channels as far apart as threads", "c < 48; c += 32", "c < 48; c += netc::lanes()"},
       {"back: rows and columns exchanged", "h % 4 * 4 + w % 4", "w % 4 * 4 + h % 4"},
       {"back: the block's first column", " + w % 4", ""},
       {"back: pixels too close", "w % 4) * 3", "w % 4) * 2"},
       {"back: another block's row", "h / 4", "h % 3"},
       {"back: another block's column", "w / 4", "w % 3"},
       {"back: every channel the first", "(first + c)]", "first]"}});
}

} // namespace
} // namespace netc
