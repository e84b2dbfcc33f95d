#include "runtime/data/dataset.h"
#include "runtime/data/shapes.h"
#include "runtime/data/stats.h"
#include "tests/runtime/data_support.h"
#include "tests/support/test_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace netc {
namespace {

using namespace netc::test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// `count` CIFAR-10 records; record i has label i mod 10 and planes of i, i + 1, i + 2.
Bytes cifar_records(int count) {
  Bytes bytes;
  for (int i = 0; i < count; ++i) {
    bytes.push_back(static_cast<uint8_t>(i % 10));
    for (int plane = 0; plane < 3; ++plane)
      bytes.insert(bytes.end(), 1024, static_cast<uint8_t>(i + plane));
  }
  return bytes;
}

TEST(Cifar10, Batches) {
  ScratchFolder folder;
  put_file(folder / "data_batch_2.bin", cifar_records(5));
  put_file(folder / "data_batch_1.bin", cifar_records(12));
  put_file(folder / "test_batch.bin", cifar_records(3));
  const auto data = open_dataset("cifar10:" + folder.str(), cifar);
  EXPECT_EQ(data->size(Split::train), 17);
  EXPECT_EQ(data->size(Split::validation), 3);
  EXPECT_EQ(data->classes(), 10);
  EXPECT_EQ(data->class_names()[9], "truck");
  EXPECT_EQ(data->label(Split::train, 11), 1);
  EXPECT_EQ(data->label(Split::train, 12), 0);
  const Bytes image = loaded(*data, Split::train, 11);
  EXPECT_THAT(Bytes(image.begin(), image.begin() + 4), ElementsAre(11, 12, 13, 11));
  EXPECT_THAT(channel_means(*data, Split::validation), ElementsAre(1, 2, 3));
  // Any one .bin file does, too; then every 10th image validates.
  ScratchFolder other;
  put_file(other / "first.bin", cifar_records(20));
  const auto single = open_dataset("cifar10:" + other.str(), cifar);
  EXPECT_EQ(single->size(Split::train), 18);
  EXPECT_EQ(single->label(Split::validation, 1), 9);
  EXPECT_THAT(single->name(Split::validation, 1), HasSubstr("first.bin"));
}

TEST(Cifar10, Errors) {
  ScratchFolder folder;
  EXPECT_THAT(opening_error("cifar10:" + folder.str(), cifar), HasSubstr("no CIFAR-10 batches"));
  Bytes cut = cifar_records(2);
  cut.pop_back();
  put_file(folder / "data_batch_1.bin", cut);
  EXPECT_THAT(opening_error("cifar10:" + folder.str(), cifar),
              HasSubstr("6145 bytes are not a number of records of 3073 bytes"));
  Bytes wrong = cifar_records(3);
  wrong[2 * 3073] = 10;
  put_file(folder / "data_batch_1.bin", wrong);
  EXPECT_THAT(opening_error("cifar10:" + folder.str(), cifar), HasSubstr("record 2 has label 10"));
  put_file(folder / "data_batch_1.bin", Bytes());
  EXPECT_THAT(opening_error("cifar10:" + folder.str(), cifar), HasSubstr("cut short"));
}

Bytes idx(uint32_t magic, const std::vector<uint32_t>& extents, size_t bytes) {
  Bytes out;
  append_big_endian(out, magic);
  for (uint32_t extent : extents)
    append_big_endian(out, extent);
  for (size_t i = 0; i < bytes; ++i)
    out.push_back(static_cast<uint8_t>(i % 10));
  return out;
}

TEST(Mnist, PlainAndGzipped) {
  ScratchFolder folder;
  put_file(folder / "train-images-idx3-ubyte.gz", gzip(idx(0x803, {3, 2, 2}, 12)));
  put_file(folder / "train-labels.idx1-ubyte", idx(0x801, {3}, 3));
  put_file(folder / "t10k-images-idx3-ubyte", idx(0x803, {2, 2, 2}, 8));
  put_file(folder / "t10k-labels-idx1-ubyte.gz", gzip(idx(0x801, {2}, 2)));
  const auto data = open_dataset("mnist:" + folder.str(), tiny);
  EXPECT_EQ(data->size(Split::train), 3);
  EXPECT_EQ(data->size(Split::validation), 2);
  EXPECT_EQ(data->classes(), 10);
  EXPECT_THAT(loaded(*data, Split::train, 1), ElementsAre(4, 5, 6, 7));
  EXPECT_EQ(data->label(Split::train, 2), 2);
  const auto colour =
      open_dataset("mnist:" + folder.str(), {.channels = 3, .height = 2, .width = 2});
  EXPECT_THAT(loaded(*colour, Split::train, 0), ElementsAre(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3));
}

TEST(Mnist, Errors) {
  ScratchFolder folder;
  const std::string spec = "mnist:" + folder.str();
  const std::string images = folder / "train-images-idx3-ubyte";
  EXPECT_THAT(opening_error(spec), HasSubstr("no MNIST training files in"));
  put_file(images, idx(0x803, {3, 2, 2}, 12));
  EXPECT_THAT(opening_error(spec), HasSubstr("has the images of `train` without the labels"));
  put_file(folder / "train-labels-idx1-ubyte", idx(0x801, {4}, 4));
  EXPECT_THAT(opening_error(spec), AllOf(HasSubstr("has 3 images"), HasSubstr("has 4 labels")));
  put_file(images, idx(0x803, {4, 2, 2}, 12));
  EXPECT_THAT(opening_error(spec), HasSubstr("is cut short: 12 bytes of data, 16 announced"));
  put_file(images, idx(0x801, {4, 2, 2}, 16));
  EXPECT_THAT(opening_error(spec), HasSubstr("magic number 0x00000801, not 0x00000803"));
  put_file(images, Bytes{0, 0, 8});
  EXPECT_THAT(opening_error(spec), HasSubstr("is cut short: 3 bytes"));
  put_file(images, idx(0x803, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, 16));
  EXPECT_THAT(opening_error(spec), HasSubstr("announces an extent of 4294967295"));
  const Bytes cut = gzip(idx(0x803, {4, 2, 2}, 16));
  put_file(images, Bytes(cut.begin(), cut.end() - 12));
  EXPECT_THAT(opening_error(spec), HasSubstr("the gzip data ends too early"));
  Bytes damaged = gzip(idx(0x803, {4, 2, 2}, 16));
  damaged[20] ^= 1;
  put_file(images, damaged);
  EXPECT_THAT(opening_error(spec), HasSubstr("damaged gzip data"));
}

TEST(Shapes, InMemory) {
  const auto data = open_dataset("shapes", cifar);
  EXPECT_EQ(data->size(Split::train), 5000);
  EXPECT_EQ(data->size(Split::validation), 1000);
  EXPECT_EQ(data->class_names(), data::shape_names());
  EXPECT_TRUE(std::is_sorted(data->class_names().begin(), data->class_names().end()));
  EXPECT_EQ(data->label(Split::train, 4999), 9);
  EXPECT_EQ(loaded(*data, Split::train, 7), data::draw_shape(1, Split::train, 7, 32, 32).pixels);
  EXPECT_NE(loaded(*data, Split::train, 7), loaded(*data, Split::validation, 7));
  EXPECT_NE(loaded(*data, Split::train, 7), loaded(*data, Split::train, 17));
  EXPECT_NE(data::draw_shape(1, Split::train, 7, 32, 32).pixels,
            data::draw_shape(2, Split::train, 7, 32, 32).pixels);
  EXPECT_EQ(data::draw_shape(1, Split::train, 0, 1, 1).pixels.size(), 3u);
  EXPECT_EQ(data::draw_shape(1, Split::train, 0, 5, 90).pixels.size(), 1350u);
}

// Every shape can be told from its ground: the middle of brightness splits each image in two
// parts that are neither empty nor alike.
TEST(Shapes, StandOutFromTheGround) {
  for (int64_t i = 0; i < 100; ++i) {
    const Bytes grey = convert_channels(data::draw_shape(3, Split::train, i, 64, 64), 1).pixels;
    const auto [low, high] = std::minmax_element(grey.begin(), grey.end());
    EXPECT_GT(*high - *low, 80) << i;
  }
}

TEST(Shapes, WrittenFolder) {
  ScratchFolder folder;
  const std::string dir = folder / "my shapes";
  EXPECT_THAT(opening_error("shapes:" + dir),
              AllOf(HasSubstr("does not exist"), HasSubstr("`netc data shapes " + dir + "`")));
  write_shapes(dir, 23, 11, 32, 1);
  const auto data = open_dataset("shapes:" + dir, cifar);
  EXPECT_EQ(data->size(Split::train), 23);
  EXPECT_EQ(data->size(Split::validation), 11);
  EXPECT_EQ(data->class_names(), data::shape_names());
  EXPECT_THAT(data->name(Split::train, 0), HasSubstr("/train/arrow/000000.jpg"));
  EXPECT_GT(
      psnr(loaded(*data, Split::train, 0), data::draw_shape(1, Split::train, 0, 32, 32).pixels),
      18);
  EXPECT_FALSE(std::filesystem::exists(dir + ".partial"));
  EXPECT_THAT(user_error_of([&] { write_shapes(dir, 1, 1, 32, 1); }),
              HasSubstr("exists and is not empty"));
  write_shapes(folder / "again/", 23, 11, 32, 1);
  EXPECT_EQ(get_file(dir + "/val/bar/000001.jpg"), get_file(folder / "again/val/bar/000001.jpg"));
  EXPECT_THAT(user_error_of([&] { write_shapes(folder / "x", 0, 1, 32, 1); }),
              HasSubstr("cannot draw 0 and 1 shapes"));
  put_file(folder / "file", "x");
  EXPECT_THROW(write_shapes(folder / "file/x", 1, 1, 32, 1), RuntimeError);
}

TEST(DatasetData, Mnist) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  const StoredFormat format = {.channels = 1, .height = 28, .width = 28};
  const auto data = open_dataset("mnist:" + (*test_data_folder() / "mnist").string(), format);
  EXPECT_EQ(data->size(Split::train), 60000);
  EXPECT_EQ(data->size(Split::validation), 10000);
  EXPECT_EQ(data->label(Split::train, 0), 5);
  EXPECT_EQ(data->label(Split::validation, 0), 7);
  const Bytes raw = get_file(*test_data_folder() / "mnist/t10k-images-idx3-ubyte");
  EXPECT_EQ(loaded(*data, Split::validation, 9999), Bytes(raw.end() - 784, raw.end()));
  EXPECT_NEAR(channel_means(*data)[0], 0.1307 * 255, 0.00005 * 255); // In common use, rounded.
}

// The lossless records and the JPEG files are the same pictures: about 30 dB says INDEX.md.
TEST(DatasetData, Cifar10) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  const std::string folder = (*test_data_folder() / "cifar10").string();
  const auto raw = open_dataset("cifar10:" + folder, cifar);
  const auto jpeg = open_dataset("imagefolder:" + folder, cifar);
  EXPECT_EQ(raw->size(Split::train) + raw->size(Split::validation), 4000);
  EXPECT_EQ(jpeg->size(Split::train), 50000);
  EXPECT_EQ(jpeg->size(Split::validation), 10000);
  EXPECT_EQ(jpeg->class_names(), raw->class_names());
  std::vector<int> seen(10, 0);
  for (int64_t record = 0; record < 500; ++record) {
    const Split split = record % 10 == 9 ? Split::validation : Split::train;
    const int64_t index = record % 10 == 9 ? record / 10 : record - record / 10;
    const int32_t label = raw->label(split, index);
    const int64_t same = label * 5000 + seen[label]++;
    EXPECT_EQ(jpeg->label(Split::train, same), label);
    EXPECT_GT(psnr(loaded(*raw, split, index), loaded(*jpeg, Split::train, same)), 20) << record;
  }
  const std::vector<double> means = channel_means(*jpeg);
  EXPECT_NEAR(means[0], 125.269, 0.001);
  EXPECT_NEAR(means[1], 122.933, 0.001);
  EXPECT_NEAR(means[2], 113.863, 0.001);
  EXPECT_EQ(channel_means(*jpeg, Split::train, 1), means);
}

TEST(DatasetData, ImagenetSamples) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  const std::string folder = (*test_data_folder() / "imagenet-samples").string();
  const std::string list = "imagelist:" + folder + "/imagenet-samples-250-labels.tsv";
  const StoredFormat format = {.channels = 3, .height = 256, .width = 256};
  EXPECT_THAT(opening_error(list, format), HasSubstr("250 of the 250 files listed"));
  const auto data = open_dataset(list + "," + folder + "/images", format);
  EXPECT_EQ(data->size(Split::train), 225);
  EXPECT_EQ(data->size(Split::validation), 25);
  EXPECT_EQ(data->classes(), 997);
  EXPECT_EQ(data->class_names()[4], "n01494475");
  EXPECT_EQ(data->label(Split::train, 1), 4);
  Bytes out(static_cast<size_t>(format.bytes()));
  for (int64_t i = 0; i < 25; ++i)
    EXPECT_TRUE(data->load(Split::validation, i, out.data(), nullptr));
}

} // namespace
} // namespace netc
