#include "ir/support/philox.h"
#include "runtime/data/image.h"
#include "tests/runtime/data_support.h"
#include "tests/support/test_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace netc {
namespace {

using namespace netc::test;
using testing::ElementsAre;
using testing::HasSubstr;

Bytes fitted(const Image& image, const StoredFormat& format) {
  Bytes out(static_cast<size_t>(format.bytes()));
  fit_image(image, format, out.data());
  return out;
}

std::string refusal(const Bytes& bytes) {
  std::string why;
  return decode_image(bytes, &why) ? "decoded" : why;
}

// What libjpeg says of every file of the two lists. Refused are files cut short and one whose
// restart intervals lack data (hopper_bad_exif: 68 warnings); other warnings pass.
TEST(ImageData, OddJpegs) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  const std::filesystem::path folder = *test_data_folder() / "odd-images";
  const std::set<std::string> damaged = {
      "cameratrapai/test_data/african_elephants_truncated_file.jpg",
      "pillow/Tests/images/truncated_jpeg.jpg", "pillow/Tests/images/ultrahdr.jpg",
      "pillow/Tests/images/hopper_bad_exif.jpg"};
  int files = 0;
  for (const char* list : {"cameratrapai-libjpeg-result.txt", "pillow-jpeg-libjpeg-result.txt"}) {
    std::ifstream in(folder / list);
    for (std::string line; std::getline(in, line); ++files) {
      std::istringstream words(line);
      std::string name;
      words >> name;
      int ok = 0, width = 0, height = 0, components = 0;
      ASSERT_EQ(std::sscanf(line.c_str() + name.size(), " ok=%d %dx%d nc=%d", &ok, &width, &height,
                            &components),
                4);
      std::string why;
      const std::optional<Image> image = decode_image(get_file(folder / name), &why);
      ASSERT_EQ(image.has_value(), !damaged.contains(name)) << name << ": " << why;
      if (!image) {
        EXPECT_THAT(why, HasSubstr("remature end")) << name;
        continue;
      }
      EXPECT_EQ(image->width, width) << name;
      EXPECT_EQ(image->height, height) << name;
      EXPECT_EQ(image->channels, components == 1 ? 1 : 3) << name;
      EXPECT_EQ(image->pixels.size(), size_t(width) * height * image->channels) << name;
    }
  }
  EXPECT_EQ(files, 58);
}

// truncated_end_chunk.png ends after its last pixel and is good.
TEST(ImageData, OddPngs) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  int files = 0;
  std::set<std::string> refused;
  for (const auto& entry :
       std::filesystem::directory_iterator(*test_data_folder() / "odd-images/pillow/Tests/images"))
    if (entry.path().extension() == ".png") {
      ++files;
      const Bytes bytes = get_file(entry.path());
      const std::optional<Image> image = decode_image(bytes);
      if (!image) {
        refused.insert(entry.path().filename());
        continue;
      }
      EXPECT_EQ(image->width, bytes[18] << 8 | bytes[19]) << entry.path();
      EXPECT_EQ(image->height, bytes[22] << 8 | bytes[23]) << entry.path();
      const bool grey = bytes[25] == 0 || bytes[25] == 4;
      EXPECT_EQ(image->channels, grey ? 1 : 3) << entry.path();
    }
  EXPECT_EQ(files, 303);
  EXPECT_EQ(refused, (std::set<std::string>{"broken.png", "broken_data_stream.png"}));
}

// The same photograph as CMYK (inverted by Adobe) and as grey; the same sample as YCCK and as RGB.
TEST(ImageData, CmykBecomesTheSamePicture) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  const std::filesystem::path folder = *test_data_folder() / "odd-images";
  auto grey = [&](const char* name) {
    return convert_channels(decode_image(get_file(folder / name)).value(), 1).pixels;
  };
  EXPECT_GT(psnr(grey("cameratrapai/test_data/african_elephants_cmyk.jpg"),
                 grey("cameratrapai/test_data/african_elephants_bw.jpg")),
            18);
  EXPECT_GT(psnr(decode_image(get_file(folder / "pillow/Tests/images/pil_sample_cmyk.jpg"))->pixels,
                 decode_image(get_file(folder / "pillow/Tests/images/pil_sample_rgb.jpg"))->pixels),
            18);
}

TEST(ImageData, DamagedFilesNeverCrash) {
  if (!test_data_folder())
    GTEST_SKIP() << no_test_data;
  const std::filesystem::path folder = *test_data_folder() / "odd-images/pillow/Tests/images";
  for (const char* name : {"hopper.jpg", "pil_sample_cmyk.jpg", "app13-multiple.jpg", "pil123p.png",
                           "uncompressed_la.png", "i_trns.png"}) {
    const Bytes good = get_file(folder / name);
    for (size_t length = 0; length + 12 < good.size(); length += 1 + good.size() / 40)
      EXPECT_NE(refusal(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(length))),
                "decoded")
          << name << " cut at " << length;
    for (unsigned round = 0; round < 60; ++round) {
      Bytes bad = good;
      for (unsigned i = 0; i < 8; ++i) {
        const Philox4 words = philox4x32_10(1, 2, round, i, 0, 0);
        bad[words.word[0] % bad.size()] = static_cast<uint8_t>(words.word[1]);
      }
      refusal(bad); // Either way.
    }
  }
}

TEST(Image, NamesWhatItCannotRead) {
  EXPECT_EQ(refusal({}), "empty file");
  EXPECT_EQ(refusal({'G', 'I', 'F', '8', '9', 'a'}), "a GIF image, only JPEG and PNG are read");
  EXPECT_EQ(refusal({'h', 'e', 'l', 'l', 'o'}), "neither a JPEG nor a PNG image");
  EXPECT_NE(refusal({0xFF, 0xD8}), "decoded");
}

TEST(Image, HugeImagesAreRefusedByTheirHeader) {
  const Png png{.width = 20000, .height = 20000, .color = 2, .palette = {}, .rows = {0}};
  EXPECT_EQ(refusal(png.file()), "20000x20000 pixels, more than the limit of 100 megapixels");
  Bytes jpeg = encode_jpeg({8, 8, 1, Bytes(64, 7)}, 90);
  for (size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0)
      for (size_t k = 5; k < 9; ++k)
        jpeg[i + k] = 0xF0;
  EXPECT_THAT(refusal(jpeg), HasSubstr("61680x61680 pixels"));
}

TEST(Image, JpegRoundTrip) {
  Image image{16, 24, 3, {}};
  for (int i = 0; i < 16 * 24; ++i)
    image.pixels.insert(image.pixels.end(), {200, static_cast<uint8_t>(100 + i / 24), 50});
  const std::optional<Image> back = decode_image(encode_jpeg(image, 95));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->width, 24);
  EXPECT_EQ(back->height, 16);
  EXPECT_GT(psnr(image.pixels, back->pixels), 40);
}

TEST(Image, PngPixelFormats) {
  // 16 bits are scaled by 257; 0x8080 is 128.
  const Png grey16{
      .width = 2, .height = 1, .depth = 16, .palette = {}, .rows = {0, 0x80, 0x80, 0xFF, 0xFF}};
  EXPECT_THAT(decode_image(grey16.file())->pixels, ElementsAre(128, 255));
  const Png rgb16{.width = 1,
                  .height = 1,
                  .depth = 16,
                  .color = 2,
                  .palette = {},
                  .rows = {0, 0, 0, 0x80, 0x80, 0xFF, 0xFF}};
  EXPECT_THAT(decode_image(rgb16.file())->pixels, ElementsAre(0, 128, 255));
  const Png bits{.width = 4, .height = 1, .depth = 1, .palette = {}, .rows = {0, 0b10100000}};
  EXPECT_THAT(decode_image(bits.file())->pixels, ElementsAre(255, 0, 255, 0));
  const Png palette{.width = 2,
                    .height = 1,
                    .depth = 2,
                    .color = 3,
                    .palette = {1, 2, 3, 4, 5, 6},
                    .rows = {0, 0b01000000}};
  EXPECT_THAT(decode_image(palette.file())->pixels, ElementsAre(4, 5, 6, 1, 2, 3));
  const Png grey_alpha{
      .width = 2, .height = 1, .color = 4, .palette = {}, .rows = {0, 10, 255, 20, 0}};
  EXPECT_THAT(decode_image(grey_alpha.file())->pixels, ElementsAre(10, 20));
  const Png rgba{.width = 1, .height = 1, .color = 6, .palette = {}, .rows = {0, 9, 8, 7, 0}};
  EXPECT_THAT(decode_image(rgba.file())->pixels, ElementsAre(9, 8, 7));
}

// Adam7 passes of a 2x2 image: pixel 0; none; none; none; none; pixel 1; then row 1.
TEST(Image, InterlacedPng) {
  const Png png{
      .width = 2, .height = 2, .interlace = 1, .palette = {}, .rows = {0, 10, 0, 20, 0, 30, 40}};
  EXPECT_THAT(decode_image(png.file())->pixels, ElementsAre(10, 20, 30, 40));
}

TEST(Image, ChannelsConvert) {
  EXPECT_THAT(convert_channels({1, 2, 1, {5, 250}}, 3).pixels, ElementsAre(5, 5, 5, 250, 250, 250));
  // 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.1
  EXPECT_THAT(convert_channels({1, 3, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255}}, 1).pixels,
              ElementsAre(76, 150, 29));
  EXPECT_THAT(fitted({1, 2, 1, {5, 250}}, {3, 1, 2, Resize::cover}),
              ElementsAre(5, 5, 5, 250, 250, 250));
  EXPECT_THAT(fitted({1, 1, 3, {255, 255, 255}}, {1, 1, 1, Resize::cover}), ElementsAre(255));
}

TEST(Image, StoredSizeIsCopiedExactly) {
  Image image{5, 7, 3, {}};
  for (int i = 0; i < 105; ++i)
    image.pixels.push_back(static_cast<uint8_t>(i * 37));
  for (Resize resize : {Resize::cover, Resize::warp})
    EXPECT_EQ(fitted(image, {3, 5, 7, resize}), image.pixels);
}

// By hand. Reduction by 2: triangle of half-width 2 at 1: weights 3, 3, 1 (of 7), mirrored at 3.
// Enlargement by 2: 3/4 and 1/4, the edge pixels clamped.
TEST(Image, TriangleFilter) {
  EXPECT_THAT(fitted({1, 4, 1, {0, 0, 255, 255}}, {1, 1, 2, Resize::warp}), ElementsAre(36, 219));
  EXPECT_THAT(fitted({1, 2, 1, {0, 100}}, {1, 1, 4, Resize::warp}), ElementsAre(0, 25, 75, 100));
  EXPECT_THAT(fitted({2, 1, 1, {0, 100}}, {1, 4, 1, Resize::warp}), ElementsAre(0, 25, 75, 100));
}

TEST(Image, CoverCutsTheCentre) {
  const Image wide{2, 5, 1, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
  EXPECT_THAT(fitted(wide, {1, 2, 2, Resize::cover}), ElementsAre(2, 3, 7, 8));
  const Image tall{4, 2, 1, {1, 2, 3, 4, 5, 6, 7, 8}};
  EXPECT_THAT(fitted(tall, {1, 2, 2, Resize::cover}), ElementsAre(3, 4, 5, 6));
  // Half a step is lost to the left or top; a thin line becomes large without large memory.
  const Image line{1, 3, 1, {0, 90, 255}};
  EXPECT_THAT(fitted(line, {1, 2, 2, Resize::cover}), testing::SizeIs(4));
  EXPECT_EQ(fitted({1, 1000000, 1, Bytes(1000000, 9)}, {1, 256, 256, Resize::cover}),
            Bytes(256 * 256, 9));
}

// Against the definition in floating point; the two passes round to bytes.
TEST(Image, ResizeMatchesTheDefinition) {
  auto axis_weights = [](int in, int out, int i) {
    std::vector<double> weights(in);
    const double scale = double(in) / out, support = std::max(1.0, scale);
    double sum = 0;
    for (int x = 0; x < in; ++x) {
      weights[x] = std::max(0.0, 1 - std::abs((x + 0.5) - (i + 0.5) * scale) / support);
      sum += weights[x];
    }
    for (double& weight : weights)
      weight /= sum;
    return weights;
  };
  for (const auto& [h, w, oh, ow] : std::vector<std::array<int, 4>>{
           {13, 9, 7, 5}, {5, 31, 12, 8}, {1, 1, 4, 3}, {40, 3, 6, 6}, {17, 17, 16, 18}}) {
    Image image{h, w, 1, {}};
    for (int i = 0; i < h * w; ++i)
      image.pixels.push_back(static_cast<uint8_t>(philox4x32_10(5, 6, i, 0, 0, 0).word[0]));
    const Bytes out = fitted(image, {1, oh, ow, Resize::warp});
    for (int y = 0; y < oh; ++y)
      for (int x = 0; x < ow; ++x) {
        const std::vector<double> wy = axis_weights(h, oh, y), wx = axis_weights(w, ow, x);
        double sum = 0;
        for (int sy = 0; sy < h; ++sy)
          for (int sx = 0; sx < w; ++sx)
            sum += wy[sy] * wx[sx] * image.pixels[sy * w + sx];
        EXPECT_NEAR(out[y * ow + x], sum, 1.01) << h << "x" << w << " at " << y << "," << x;
      }
  }
}

} // namespace
} // namespace netc
