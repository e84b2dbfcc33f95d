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
using testing::StartsWith;

const StoredFormat tiny = {.channels = 1, .height = 2, .width = 2, .resize = Resize::cover};
const StoredFormat cifar = {.channels = 3, .height = 32, .width = 32, .resize = Resize::cover};

Bytes loaded(const Dataset& dataset, Split split, int64_t index) {
  Bytes out(static_cast<size_t>(dataset.format().bytes()));
  std::string why;
  EXPECT_TRUE(dataset.load(split, index, out.data(), &why)) << why;
  return out;
}

std::string opening_error(const std::string& spec, const StoredFormat& format = tiny) {
  return user_error_of([&] { open_dataset(spec, format); });
}

/// `count` grey PNGs called prefix0.png ... in a class folder; image i has value i.
void put_images(const std::string& folder, int count, const std::string& prefix = "i") {
  for (int i = 0; i < count; ++i)
    put_file(fmt::format("{}/{}{}.png", folder, prefix, i),
             grey_png(2, 2, static_cast<uint8_t>(i)));
}

TEST(Dataset, SpecsAreChecked) {
  EXPECT_THAT(opening_error("imagefoldr:x"),
              AllOf(HasSubstr("unknown kind of data `imagefoldr`, did you mean `imagefolder`?"),
                    HasSubstr("`mnist:DIR`")));
  EXPECT_THAT(opening_error("mnist"), HasSubstr("data kind `mnist` needs a path"));
  EXPECT_THAT(opening_error("shapes:"), HasSubstr("needs a path"));
  EXPECT_THAT(opening_error(""), HasSubstr("unknown kind of data ``"));
  ScratchFolder folder;
  EXPECT_THAT(opening_error(folder.str()),
              AllOf(HasSubstr("lacks the kind"), HasSubstr("imagefolder:" + folder.str())));
  EXPECT_THAT(opening_error("shapes", {.channels = 2, .height = 2, .width = 2}),
              HasSubstr("images have 1 or 3 channels, the network's input has 2"));
  EXPECT_EQ(dataset_kinds().size(), 5u);
}

TEST(ImageFolder, SplitsEveryTenth) {
  ScratchFolder folder;
  put_images(folder / "dog", 12);
  put_images(folder / "a cat", 13);
  put_file(folder / ".cache/x.png", "hidden");
  const auto data = open_dataset("imagefolder:" + folder.str(), tiny);
  EXPECT_THAT(data->class_names(), ElementsAre("a cat", "dog"));
  EXPECT_EQ(data->size(Split::train), 23);
  ASSERT_EQ(data->size(Split::validation), 2);
  // Sorted by bytes: i0 i1 i10 i11 i12 i2 ... i9, then dog's i0 i1 i10 i11 i2 ...
  EXPECT_THAT(data->name(Split::validation, 0), folder / "a cat/i6.png");
  EXPECT_THAT(loaded(*data, Split::validation, 0), ElementsAre(6, 6, 6, 6));
  EXPECT_THAT(data->name(Split::validation, 1), folder / "dog/i4.png");
  EXPECT_EQ(data->label(Split::validation, 0), 0);
  EXPECT_EQ(data->label(Split::validation, 1), 1);
  EXPECT_TRUE(data->notes().empty());
}

TEST(ImageFolder, OwnValidationFolder) {
  for (const char* name : {"val", "test"}) {
    ScratchFolder folder;
    put_images(folder / "train/x", 20);
    put_images(folder / "train/y/deeper", 1);
    put_images(folder / fmt::format("{}/y", name), 3);
    const auto data = open_dataset("imagefolder:" + folder.str() + "/", tiny);
    EXPECT_EQ(data->size(Split::train), 21);
    ASSERT_EQ(data->size(Split::validation), 3);
    EXPECT_EQ(data->label(Split::validation, 0), 1);
    EXPECT_EQ(data->name(Split::train, 20), folder / "train/y/deeper/i0.png");
  }
  ScratchFolder folder;
  put_images(folder / "train/x", 20);
  EXPECT_EQ(open_dataset("imagefolder:" + folder.str(), tiny)->size(Split::validation), 2);
}

TEST(ImageFolder, UnusualNames) {
  ScratchFolder folder;
  put_images(folder / "käse ünd 猫/", 1, "a b'\"é ");
  put_images(folder / "new\nline.", 1, "x\n");
  const auto data = open_dataset("imagefolder:" + folder.str(), tiny);
  EXPECT_THAT(data->class_names(), ElementsAre("käse ünd 猫", "new\nline."));
  EXPECT_THAT(loaded(*data, Split::train, 0), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(loaded(*data, Split::train, 1), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(opening_error("imagefolder:" + folder.str() + "/new\nline./"),
              HasSubstr("no class folders in"));
}

TEST(ImageFolder, Remarks) {
  ScratchFolder folder;
  put_images(folder / "full", 1);
  std::filesystem::create_directories(folder / "void");
  put_file(folder / "full/readme.txt", "text");
  put_file(folder / "full/photo.webp", "RIFF");
  const auto data = open_dataset("imagefolder:" + folder.str(), tiny);
  EXPECT_EQ(data->classes(), 2);
  EXPECT_THAT(data->notes(),
              ElementsAre(AllOf(HasSubstr("1 of the class folders"), HasSubstr(": `void`")),
                          AllOf(StartsWith("2 files in"),
                                HasSubstr(": `full/photo.webp`, `full/readme.txt`"))));
}

TEST(ImageFolder, Errors) {
  ScratchFolder folder;
  std::filesystem::create_directories(folder / "photos");
  EXPECT_THAT(opening_error("imagefolder:" + (folder / "photo")),
              HasSubstr("photo` does not exist, did you mean `photos`?"));
  EXPECT_THAT(opening_error("imagefolder:" + (folder / "photos")),
              AllOf(HasSubstr("no class folders in"), HasSubstr("a folder of its own")));
  std::filesystem::create_directories(folder / "photos/cat");
  EXPECT_THAT(opening_error("imagefolder:" + (folder / "photos")), HasSubstr("no images in"));
  put_file(folder / "photos/cat/1.gif", "GIF89a");
  EXPECT_THAT(opening_error("imagefolder:" + (folder / "photos")), HasSubstr("`cat/1.gif`"));
  EXPECT_THAT(opening_error("imagefolder:" + (folder / "photos/cat/1.gif")),
              HasSubstr("is a file, not a folder"));
  put_images(folder / "own/train/cat", 1);
  put_images(folder / "own/val/cats", 1);
  put_images(folder / "own/val/dog", 1);
  EXPECT_THAT(opening_error("imagefolder:" + (folder / "own")),
              AllOf(HasSubstr("own/val/cats` has no counterpart"), HasSubstr("did you mean `cat`?"),
                    HasSubstr("own/val/dog` has no")));
}

TEST(ImageFolder, DamagedImagesAreReported) {
  ScratchFolder folder;
  put_images(folder / "c", 1);
  put_file(folder / "c/j.jpg", "not an image");
  put_images(folder / "c", 1, "k");
  const auto data = open_dataset("imagefolder:" + folder.str(), tiny);
  Bytes out(4);
  std::string why;
  EXPECT_FALSE(data->load(Split::train, 1, out.data(), &why));
  EXPECT_EQ(why, "neither a JPEG nor a PNG image");
  EXPECT_FALSE(data->load(Split::train, 1, out.data(), nullptr));
  std::filesystem::remove(folder / "c/k0.png");
  EXPECT_FALSE(data->load(Split::train, 2, out.data(), &why));
  EXPECT_EQ(why, "No such file or directory");
  EXPECT_THAT(channel_means(*data), ElementsAre(0));
  std::filesystem::remove(folder / "c/i0.png");
  const auto gone = open_dataset("imagefolder:" + folder.str(), tiny);
  EXPECT_THAT(user_error_of([&] { channel_means(*gone); }),
              HasSubstr("none of the 1 train images can be read (neither"));
}

// Decoded once, then kept: the file may go.
TEST(ImageFolder, SmallSplitsAreCached) {
  ScratchFolder folder;
  put_images(folder / "c", 3);
  const std::string spec = "imagefolder:" + folder.str();
  const auto kept = open_dataset(spec, tiny);
  const auto not_kept = open_dataset(spec, tiny, 11); // 3 images take 12 bytes.
  EXPECT_EQ(loaded(*kept, Split::train, 2), loaded(*not_kept, Split::train, 2));
  std::filesystem::remove(folder / "c/i2.png");
  EXPECT_THAT(loaded(*kept, Split::train, 2), ElementsAre(2, 2, 2, 2));
  Bytes out(4);
  EXPECT_FALSE(not_kept->load(Split::train, 2, out.data(), nullptr));
}

TEST(ImageList, ReadsFilesAndLabels) {
  ScratchFolder folder;
  put_images(folder / "pictures, all", 12, "a b");
  std::string rows = "\xEF\xBB\xBF# file\tclass\tlabel\r\n\r\n";
  for (int i = 0; i < 12; ++i)
    rows += fmt::format("a b{}.png\tn0{}\t{}\textra\r\n", i, i % 2, i % 2 * 3);
  put_file(folder / "my,list.tsv", rows);
  const std::string spec = "imagelist:" + (folder / "my,list.tsv");
  const auto data = open_dataset(spec + "," + (folder / "pictures, all"), tiny);
  EXPECT_EQ(data->size(Split::train), 11);
  ASSERT_EQ(data->size(Split::validation), 1);
  EXPECT_EQ(data->name(Split::validation, 0), folder / "pictures, all/a b9.png");
  EXPECT_EQ(data->label(Split::validation, 0), 3);
  EXPECT_THAT(loaded(*data, Split::train, 10), ElementsAre(11, 11, 11, 11));
  EXPECT_THAT(data->class_names(), ElementsAre("n00", "class 1", "class 2", "n01"));
  EXPECT_THAT(opening_error(spec), AllOf(HasSubstr("12 of the 12 files listed in"),
                                         HasSubstr("`a b0.png`, `a b1.png`, `a b2.png` and 9 more"),
                                         HasSubstr("imagelist:FILE.tsv,IMAGES_DIR")));
  std::filesystem::copy(folder / "pictures, all/a b3.png", folder / "a b3.png");
  put_file(folder / "one.tsv", fmt::format("a b3.png\tx\t1\n{}\ty\t0", folder / "a b3.png"));
  EXPECT_EQ(open_dataset("imagelist:" + (folder / "one.tsv"), tiny)->size(Split::train), 2);
}

TEST(ImageList, BadRowsAreLocated) {
  ScratchFolder folder;
  const std::string list = folder / "l.tsv";
  put_file(list, "a.png x 3\nb.png\t4\nc.png\tx\tfour\nd.png\tx\t-1\ne.png\tx\t99999999999\n"
                 "\tx\t1\nf.png\tx\t1.5\ng.png\tx\t\n");
  EXPECT_THAT(opening_error("imagelist:" + list),
              AllOf(HasSubstr(list + ":1:10: error: 1 of 3 columns: file, class name, label"),
                    HasSubstr("note: columns are separated by tabs"),
                    HasSubstr(list + ":2:8: error: 2 of 3 columns"),
                    HasSubstr(list + ":3:9: error: label `four` is not a number\n  c.png x four\n"),
                    HasSubstr(list + ":4:9: error: label `-1` is not within 0..1000000"),
                    HasSubstr(list + ":5:9: error: label `99999999999` is not within"),
                    HasSubstr(list + ":6:1: error: the file column is empty"),
                    HasSubstr(list + ":7:9: error: label `1.5` is not a number"),
                    HasSubstr(list + ":8:9: error: label `` is not a number")));
  put_file(list, "# nothing\n");
  EXPECT_THAT(opening_error("imagelist:" + list), HasSubstr("names no images"));
  EXPECT_THAT(opening_error("imagelist:" + (folder / "m.tsv,x")),
              AllOf(HasSubstr("cannot read the list"), HasSubstr("m.tsv`: No such file")));
  EXPECT_THAT(opening_error("imagelist:" + folder.str()), HasSubstr("not a regular file"));
}

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
