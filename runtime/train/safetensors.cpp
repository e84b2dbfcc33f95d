#include "runtime/train/safetensors.h"

#include "ir/support/diagnostics.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>

namespace netc {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "tensors are stored little-endian");

namespace {

constexpr int64_t length_bytes = 8;
constexpr int64_t header_alignment = 8;
constexpr int64_t largest_header = 100'000'000; // The limit of the format's own library.
constexpr size_t longest_name = 80;             // Bytes of a stored name that a message shows.
constexpr const char* metadata_key = "__metadata__";

struct DTypeName {
  DType dtype;
  const char* name;
};
constexpr DTypeName dtype_names[] = {
    {DType::f32, "F32"}, {DType::bf16, "BF16"}, {DType::u8, "U8"}, {DType::i32, "I32"}};

const char* stored_name(DType dtype) {
  for (const DTypeName& known : dtype_names)
    if (known.dtype == dtype)
      return known.name;
  NETC_CHECK(false, "type `{}` has no name in safetensors files", to_string(dtype));
  return "";
}

std::string header_text(const std::vector<NamedTensor>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  json header = json::object(); // Keys come out sorted.
  if (!metadata.empty())
    header[metadata_key] = metadata;
  int64_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    int64_t end = offset + tensor.type.bytes();
    header[tensor.name] = {{"dtype", stored_name(tensor.type.dtype)},
                           {"shape", tensor.type.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::type_error&) {
    user_error("a name or text of the network is not valid utf-8 and cannot be stored",
               "save the network's YAML file as utf-8");
  }
  text.append((header_alignment - text.size() % header_alignment) % header_alignment, ' ');
  return text;
}

} // namespace

void write_safetensors(const fs::path& path, std::vector<NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  for (size_t i = 0; i < tensors.size(); ++i) {
    NETC_CHECK(tensors[i].name != metadata_key, "a tensor is named `{}`", metadata_key);
    NETC_CHECK(i == 0 || tensors[i - 1].name != tensors[i].name, "two tensors are named `{}`",
               tensors[i].name);
    NETC_CHECK(tensors[i].data != nullptr || tensors[i].type.bytes() == 0,
               "tensor `{}` has no data", tensors[i].name);
  }
  std::string header = header_text(tensors, metadata);
  uint64_t length = header.size();
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(header);
  for (const NamedTensor& tensor : tensors)
    file.write(tensor.data, static_cast<size_t>(tensor.type.bytes()));
  file.commit();
}

namespace {

[[noreturn]] void damaged(const fs::path& path, const std::string& what) {
  user_error(
      fmt::format("`{}` is not a valid safetensors file: {}", printable(path.string()), what),
      "copy or download the file again, or use another checkpoint");
}

/// Turns the header of one file into entries; every complaint names the file.
class HeaderReader {
public:
  HeaderReader(const fs::path& path, int64_t data_begin, int64_t data_bytes)
      : path_(path), data_begin_(data_begin), data_bytes_(data_bytes) {}

  void read(const std::string& text, std::vector<SafetensorsFile::Entry>& tensors,
            std::map<std::string, std::string>& metadata) const {
    json header = parse(text);
    for (const auto& [name, value] : header.items())
      if (name == metadata_key)
        metadata = read_metadata(value);
      else
        tensors.push_back(read_entry(name, value));
    check_extents(tensors);
  }

private:
  [[noreturn]] void damaged(const std::string& what) const { netc::damaged(path_, what); }

  json parse(const std::string& text) const {
    std::set<std::string> names;
    std::optional<std::string> twice;
    auto check = [&](int depth, json::parse_event_t event, json& value) {
      if (event == json::parse_event_t::key && depth == 1)
        if (!names.insert(value.get<std::string>()).second && !twice)
          twice = value.get<std::string>();
      return true;
    };
    json header = json::parse(text, check, /*allow_exceptions=*/false);
    if (header.is_discarded())
      damaged("its header is not valid JSON");
    if (!header.is_object())
      damaged("its header is not a JSON object");
    if (twice)
      damaged(fmt::format("tensor `{}` occurs twice", printable(*twice, longest_name)));
    return header;
  }

  std::map<std::string, std::string> read_metadata(const json& value) const {
    std::map<std::string, std::string> metadata;
    if (!value.is_object())
      damaged("`__metadata__` is not a map of strings");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string())
        damaged(
            fmt::format("`__metadata__` entry `{}` is not a string", printable(key, longest_name)));
      metadata[key] = text.get<std::string>();
    }
    return metadata;
  }

  SafetensorsFile::Entry read_entry(const std::string& name, const json& value) const {
    std::string what = fmt::format("tensor `{}` ", printable(name, longest_name));
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets"))
      damaged(what + "lacks dtype, shape or data_offsets");
    SafetensorsFile::Entry entry;
    entry.name = name;
    entry.type.dtype = read_dtype(what, value["dtype"]);
    int64_t bytes = byte_size(entry.type.dtype);
    for (int64_t extent : read_integers(what + "has a shape", value["shape"])) {
      entry.type.shape.push_back(extent);
      if (__builtin_mul_overflow(bytes, extent, &bytes))
        damaged(what + "has a shape too large for any file");
    }
    std::vector<int64_t> extent = read_integers(what + "has data_offsets", value["data_offsets"]);
    if (extent.size() != 2 || extent[0] > extent[1])
      damaged(what + "has data_offsets that are not [begin, end]");
    if (extent[1] > data_bytes_)
      damaged(fmt::format("{}ends at byte {} of its data, the file holds {}; it is incomplete",
                          what, extent[1], data_bytes_));
    if (extent[1] - extent[0] != bytes)
      damaged(
          fmt::format("{}has {} bytes, its shape needs {}", what, extent[1] - extent[0], bytes));
    entry.offset = data_begin_ + extent[0];
    return entry;
  }

  DType read_dtype(const std::string& what, const json& value) const {
    if (!value.is_string())
      damaged(what + "has a dtype that is not a string");
    std::string name = value.get<std::string>();
    for (const DTypeName& known : dtype_names)
      if (name == known.name)
        return known.dtype;
    user_error(fmt::format("{}of `{}` has the dtype `{}`, which netc does not read", what,
                           printable(path_.string()), printable(name, longest_name)),
               "convert it to F32, BF16, I32 or U8");
  }

  std::vector<int64_t> read_integers(const std::string& what, const json& value) const {
    std::vector<int64_t> numbers;
    if (!value.is_array())
      damaged(what + " that is not a list");
    for (const json& item : value) {
      if (!item.is_number_unsigned() || item.get<uint64_t>() > INT64_MAX)
        damaged(what + " with a value that is no size");
      numbers.push_back(item.get<int64_t>());
    }
    return numbers;
  }

  /// The tensors must cover the data without gap or overlap, as the format demands.
  void check_extents(const std::vector<SafetensorsFile::Entry>& tensors) const {
    std::vector<const SafetensorsFile::Entry*> order;
    for (const SafetensorsFile::Entry& entry : tensors)
      order.push_back(&entry);
    auto end = [](const SafetensorsFile::Entry& e) { return e.offset + e.type.bytes(); };
    std::sort(order.begin(), order.end(), [&](const auto* a, const auto* b) {
      return std::pair(a->offset, end(*a)) < std::pair(b->offset, end(*b));
    });
    int64_t covered = data_begin_;
    for (const SafetensorsFile::Entry* entry : order) {
      if (entry->offset != covered)
        damaged(fmt::format("tensor `{}` {} the tensor before it",
                            printable(entry->name, longest_name),
                            entry->offset < covered ? "overlaps" : "leaves a gap to"));
      covered = end(*entry);
    }
    if (covered != data_begin_ + data_bytes_)
      damaged(fmt::format("{} bytes behind the last tensor belong to none",
                          data_begin_ + data_bytes_ - covered));
  }

  const fs::path& path_;
  int64_t data_begin_; ///< From the start of the file.
  int64_t data_bytes_;
};

} // namespace

SafetensorsFile::SafetensorsFile(fs::path path) : path_(std::move(path)) {
  int64_t size = 0;
  file_ = open_for_reading(path_, size);
  uint64_t length = 0;
  if (size < length_bytes)
    damaged(path_, fmt::format("it has {} bytes only", size));
  read_exactly(file_, path_, 0, &length, sizeof length);
  if (length > static_cast<uint64_t>(std::min(largest_header, size - length_bytes)))
    damaged(path_, fmt::format("its header needs {} bytes, the file has {}", length, size));
  std::string header(length, '\0');
  read_exactly(file_, path_, length_bytes, header.data(), header.size());
  int64_t data_begin = length_bytes + static_cast<int64_t>(length);
  HeaderReader(path_, data_begin, size - data_begin).read(header, tensors_, metadata_);
}

const SafetensorsFile::Entry* SafetensorsFile::find(std::string_view name) const {
  auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                             [](const Entry& entry, std::string_view n) { return entry.name < n; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

void SafetensorsFile::read(const Entry& entry, void* out) const {
  read_exactly(file_, path_, entry.offset, out, static_cast<size_t>(entry.type.bytes()));
}

void SafetensorsFile::read(std::string_view name, const TensorType& expected, void* out) const {
  const Entry* entry = find(name);
  if (!entry) {
    std::vector<std::string> names;
    for (const Entry& known : tensors_)
      names.push_back(printable(known.name, longest_name));
    user_error(fmt::format("`{}` has no tensor `{}`{}", printable(path_.string()), name,
                           did_you_mean(name, names)),
               "the file belongs to another network, or to another version of this one");
  }
  if (entry->type != expected)
    user_error(fmt::format("tensor `{}` of `{}` is {}, the network needs {}", name,
                           printable(path_.string()), entry->type.str(), expected.str()),
               "the file belongs to another network, or to another version of this one");
  read(*entry, out);
}

} // namespace netc
