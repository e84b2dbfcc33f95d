#include "runtime/data/dataset.h"
#include "runtime/data/stats.h"
#include "tests/runtime/data_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace netc {
namespace {

using namespace netc::test;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

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

} // namespace
} // namespace netc
