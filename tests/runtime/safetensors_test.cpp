#include "runtime/train/safetensors.h"

#include "ir/support/error.h"
#include "tests/runtime/temporary_folder.h"

#include <array>
#include <cstring>
#include <fstream>
#include <random>

namespace netc {
namespace {

using Metadata = std::map<std::string, std::string>;

/// A file of this header text and these data bytes.
std::string file_of(const std::string& header, const std::string& data = {}) {
  uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

/// The complaint about a file of these bytes.
std::string complaint(const std::string& bytes) {
  TemporaryFolder folder;
  write_file_atomically(folder / "x", bytes);
  return error_of<UserError>([&] { SafetensorsFile file(folder / "x"); });
}

void expect_complaint(const std::string& bytes, const std::string& part) {
  std::string text = complaint(bytes);
  EXPECT_NE(text.find(part), text.npos) << "`" << part << "` is not in: " << text;
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, WritesTheBytesOfTheFormat) {
  TemporaryFolder folder;
  const float weights[2] = {1.0f, -2.0f};
  const uint8_t flags[3] = {1, 2, 3};
  write_safetensors(folder / "x",
                    {{"w", {DType::f32, {2, 1}}, weights}, {"b", {DType::u8, {3}}, flags}},
                    {{"step", "7"}});
  std::string header = R"({"__metadata__":{"step":"7"},)"
                       R"("b":{"data_offsets":[0,3],"dtype":"U8","shape":[3]},)"
                       R"("w":{"data_offsets":[3,11],"dtype":"F32","shape":[2,1]}})";
  while (header.size() % 8 != 0)
    header += ' ';
  std::string data("\x01\x02\x03\x00\x00\x80\x3f\x00\x00\x00\xc0", 11);
  EXPECT_EQ(read_file(folder / "x"), file_of(header, data));
}

TEST(Safetensors, RoundTripsEveryType) {
  TemporaryFolder folder;
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> data;
    std::vector<NamedTensor> tensors;
    data.reserve(8);
    for (int i = static_cast<int>(random() % 8); i > 0; --i) {
      constexpr std::array types = {DType::f32, DType::i32, DType::u8, DType::bf16};
      TensorType type{types[random() % 4], {}};
      for (int rank = static_cast<int>(random() % 5); rank > 0; --rank)
        type.shape.push_back(random() % 4);
      std::string& bytes = data.emplace_back(static_cast<size_t>(type.bytes()), '\0');
      for (char& c : bytes)
        c = static_cast<char>(random());
      tensors.push_back({"t" + std::to_string(random()), type, bytes.data()});
    }
    Metadata metadata;
    if (round % 2)
      metadata = {{"a", "\"quoted\"\n"}, {"ü", ""}};
    write_safetensors(folder / "x", tensors, metadata);
    SafetensorsFile file(folder / "x");
    EXPECT_EQ(file.metadata(), metadata);
    ASSERT_EQ(file.tensors().size(), tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      std::string out(data[i].size(), '?');
      file.read(tensors[i].name, tensors[i].type, out.data());
      EXPECT_EQ(out, data[i]);
    }
  }
}

TEST(Safetensors, OrderOfTheListDoesNotMatter) {
  TemporaryFolder folder;
  const int32_t a = 1, b = 2;
  NamedTensor first{"a", {DType::i32, {}}, &a}, second{"b", {DType::i32, {}}, &b};
  write_safetensors(folder / "x", {first, second}, {});
  write_safetensors(folder / "y", {second, first}, {});
  EXPECT_EQ(read_file(folder / "x"), read_file(folder / "y"));
}

TEST(Safetensors, ReadsForeignFiles) {
  // As the format's own library writes them: metadata first, unsorted names, spaces behind.
  TemporaryFolder folder;
  write_file_atomically(folder / "x", file_of(R"({"__metadata__":{"format":"pt"},"z":)" +
                                                  entry("F32", "[1]", "[0,4]") + R"(,"a":)" +
                                                  entry("U8", "[2,0]", "[4,4]") + "}     ",
                                              std::string("\x00\x00\x80\x3f", 4)));
  SafetensorsFile file(folder / "x");
  ASSERT_NE(file.find("z"), nullptr);
  EXPECT_EQ(file.find("zz"), nullptr);
  EXPECT_EQ(file.tensors()[0].name, "a");
  float value = 0;
  file.read("z", {DType::f32, {1}}, &value);
  EXPECT_EQ(value, 1.0f);
}

TEST(Safetensors, NamesWhatIsWrong) {
  std::string u8 = entry("U8", "[2]", "[0,2]");
  expect_complaint("", "it has 0 bytes only");
  expect_complaint(std::string(8, '\xff'), "its header needs 18446744073709551615 bytes");
  expect_complaint(file_of("{", ""), "not valid JSON");
  expect_complaint(file_of("[]"), "not a JSON object");
  expect_complaint(file_of("{\"\xff\":1}"), "not valid JSON");
  expect_complaint(file_of(R"({"a":1})"), "tensor `a` lacks dtype, shape or data_offsets");
  expect_complaint(file_of(R"({"a":)" + u8 + R"(,"a":)" + u8 + "}", "xy"), "`a` occurs twice");
  expect_complaint(file_of(R"({"__metadata__":3})"), "is not a map of strings");
  expect_complaint(file_of(R"({"__metadata__":{"k":3}})"), "entry `k` is not a string");
  expect_complaint(file_of(R"({"a":)" + u8 + "}", "x"), "ends at byte 2 of its data, the file");
  expect_complaint(file_of(R"({"a":)" + u8 + "}", "xyz"), "1 bytes behind the last tensor");
  expect_complaint(file_of(R"({"a":)" + entry("U8", "[3]", "[0,2]") + "}", "xy"),
                   "has 2 bytes, its shape needs 3");
  expect_complaint(file_of(R"({"a":)" + entry("I64", "[1]", "[0,8]") + "}", "12345678"),
                   "has the dtype `I64`, which netc does not read");
  expect_complaint(file_of(R"({"a":)" + entry("U8", "[-1]", "[0,0]") + "}"), "that is no size");
  expect_complaint(file_of(R"({"a":)" + entry("U8", "[1.5]", "[0,0]") + "}"), "that is no size");
  expect_complaint(file_of(R"({"a":)" + entry("U8", "3", "[0,0]") + "}"), "that is not a list");
  expect_complaint(file_of(R"({"a":)" + entry("U8", "[0]", "[2,1]") + "}", "xy"),
                   "not [begin, end]");
  expect_complaint(file_of(R"({"a":)" + entry("F32", "[4611686018427387904,4]", "[0,0]") + "}"),
                   "too large");
  expect_complaint(file_of(R"({"a":)" + u8 + R"(,"b":)" + entry("U8", "[2]", "[1,3]") + "}", "xyz"),
                   "tensor `b` overlaps the tensor before it");
  expect_complaint(
      file_of(R"({"a":)" + u8 + R"(,"b":)" + entry("U8", "[1]", "[3,4]") + "}", "wxyz"),
      "tensor `b` leaves a gap");
}

TEST(Safetensors, MessagesAreOneSafeLine) {
  std::string text = complaint(file_of("{\"a\\n\\u001b[31m" + std::string(500, 'x') + "\":1}"));
  EXPECT_EQ(text.find('\x1b'), text.npos);
  EXPECT_NE(text.find("`a??[31mxxx"), text.npos) << text;
  EXPECT_LT(text.size(), 500u);
}

TEST(Safetensors, SurvivesDeepNesting) {
  expect_complaint(file_of(std::string(1'000'000, '[')), "not valid JSON");
  expect_complaint(file_of("{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}"),
                   "lacks");
}

TEST(Safetensors, TruncationAnywhereIsACleanError) {
  TemporaryFolder folder;
  const float data[6] = {1, 2, 3, 4, 5, 6};
  write_safetensors(folder / "x",
                    {{"a", {DType::f32, {2}}, data}, {"b", {DType::f32, {4}}, data + 2}},
                    {{"k", "v"}});
  std::string whole = read_file(folder / "x");
  for (size_t size = 0; size < whole.size(); ++size) {
    write_file_atomically(folder / "y", whole.substr(0, size));
    EXPECT_THROW(SafetensorsFile(folder / "y"), UserError) << size;
  }
}

TEST(Safetensors, DamagedHeadersNeverCrash) {
  TemporaryFolder folder;
  const float data[6] = {1, 2, 3, 4, 5, 6};
  write_safetensors(folder / "x",
                    {{"a", {DType::f32, {2}}, data}, {"b", {DType::f32, {2, 2}}, data + 2}},
                    {{"k", "v"}});
  std::string whole = read_file(folder / "x");
  std::mt19937 random(2);
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = whole;
    size_t header = whole.size() - sizeof data;
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes)
      bytes[random() % header] =
          round % 2 ? static_cast<char>(random()) : "0123456789[]{},:\"-eFU"[random() % 21];
    std::ofstream(folder / "y", std::ios::binary) << bytes;
    try {
      SafetensorsFile file(folder / "y");
      ++accepted;
      for (const SafetensorsFile::Entry& entry : file.tensors()) {
        std::string out(static_cast<size_t>(entry.type.bytes()), '?');
        file.read(entry, out.data());
      }
    } catch (const UserError&) {
    }
  }
  EXPECT_LT(accepted, 2000) << "most damage is noticed";
}

TEST(Safetensors, RandomBytesNeverCrash) {
  TemporaryFolder folder;
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::string header(random() % 64, '\0');
    for (char& c : header)
      c = static_cast<char>(random());
    std::ofstream(folder / "y", std::ios::binary) << (round % 2 ? file_of(header) : header);
    EXPECT_THROW(SafetensorsFile(folder / "y"), UserError);
  }
}

TEST(Safetensors, ReadByNameChecksTheType) {
  TemporaryFolder folder;
  const float data[2] = {1, 2};
  write_safetensors(folder / "x", {{"conv1.weight", {DType::f32, {2}}, data}}, {});
  SafetensorsFile file(folder / "x");
  float out[2];
  std::string text = error_of<UserError>([&] {
    file.read("conv1.weigth", {DType::f32, {2}}, out);
  });
  EXPECT_NE(text.find("no tensor `conv1.weigth`, did you mean `conv1.weight`?"), text.npos) << text;
  text = error_of<UserError>([&] { file.read("conv1.weight", {DType::f32, {2, 1}}, out); });
  EXPECT_NE(text.find("is f32[2], the network needs f32[2,1]"), text.npos) << text;
}

TEST(Safetensors, MisuseIsAnInternalError) {
  TemporaryFolder folder;
  const float one = 1;
  NamedTensor a{"a", {DType::f32, {}}, &one};
  EXPECT_THROW(write_safetensors(folder / "x", {a, a}, {}), InternalError);
  EXPECT_THROW(write_safetensors(folder / "x", {{"a", {DType::f32, {}}, nullptr}}, {}),
               InternalError);
  EXPECT_THROW(write_safetensors(folder / "x", {a}, {{"k", "\xff"}}), UserError);
  EXPECT_EQ(folder.entries(), 0);
}

} // namespace
} // namespace netc
