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
      {{"a flip one pixel off", "4 - x", "5 - x"},
       {"a flip by the crop's word", "sample_ids[n], 2) & 1)", "sample_ids[n], 1) & 1)"},
       {"rows not cropped", "(top + y)", "y"},
       {"never the last crop", "sample_ids[n], 1)) * 4.0f)", "sample_ids[n], 1)) * 3.0f)"},
       {"every image the first sample", "epochs[n], sample_ids[n], 0)",
        "epochs[n], sample_ids[0], 0)"},
       {"rows of the stored image too close", "(top + y)) * 8 +", "(top + y)) * 7 +"},
       {"the mean of the first channel", "mean[c]", "mean[0]"},
       {"elements of a row over one another", "w = i / 3", "w = i / 5"},
       {"the row's end left out", "i < 15;", "i < 12;"},
       {"no scale", " * 0.015625f", ""}});
}

/// Blocks of 4 x 4 hang over below and on the right, where the stored images end, too: what is read
/// outside the image is outside the buffer at its ends. By the seed the first image is flipped and
/// the last is not. A row has more elements than a block of threads.
TEST_F(Mutants, ImagesInBlocks) {
  expect_caught(
      operator_subject("input_image by blocks", images({5, 3, 11, 25}, 11, 25, 4)),
      {{"rows and columns of the block exchanged",
        "c / 12;\n      const int x = w * 4 + c / 3 % 4;",
        "c / 3 % 4;\n      const int x = w * 4 + c / 12;"},
       {"the column of the block's row", "c / 3 % 4", "c / 12 % 4"},
       {"channels before the block's pixels", "* 3 + c % 3]", "* 3 + c / 16]"},
       {"blocks of three rows", "y = h * 4", "y = h * 3"},
       {"blocks of three columns", "x = w * 4", "x = w * 3"},
       {"rows that hang over", "y < 11 && ", ""},
       {"columns that hang over", " && x < 25", ""},
       {"a row that hangs over", "y < 11", "y <= 11"},
       {"the last column missing", "x < 25", "x < 24"},
       {"a row behind the last is read", "netc::min(y, 10)", "netc::min(y, 11)"},
       {"the last row not read", "netc::min(y, 10)", "netc::min(y, 9)"},
       {"columns behind the last are read", ", netc::min(x, 24))", ", x)"},
       {"columns before the first are read", "24 - netc::min(x, 24)", "24 - x"},
       {"a flip of whole blocks", "24 - netc", "27 - netc"},
       {"one element a thread", "i < 336; i += netc::lanes()", "i < 256; i += netc::lanes()"}});
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
