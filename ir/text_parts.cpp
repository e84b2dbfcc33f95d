#include "ir/text_parts.h"

#include <algorithm>
#include <limits>

namespace netc {

std::string loc_text(const Loc& loc, const std::string* file) {
  if (!loc.file)
    return {};
  std::string other =
      file && loc.file->name != *file ? quoted(loc.file->name) + ":" : std::string{};
  return fmt::format(" @{}{}:{}", other, loc.line, loc.column);
}

Loc LocReader::read(TextReader& reader) {
  if (!reader.accept("@"))
    return {};
  Loc loc{main_, 0, 0};
  if (reader.peek().kind == Token::Kind::text) {
    loc.file = file(reader.next().text);
    reader.expect(":");
  }
  if (!loc.file)
    reader.fail(reader.peek(), "a place without a file: there is no `from` above");
  constexpr int most = std::numeric_limits<int>::max();
  loc.line = static_cast<int>(reader.integer_in("a line", 0, most));
  reader.expect(":");
  loc.column = static_cast<int>(reader.integer_in("a column", 0, most));
  return loc;
}

std::shared_ptr<const SourceFile> LocReader::file(const std::string& name) {
  auto& file = files_[name];
  if (!file)
    file = std::make_shared<SourceFile>(SourceFile{name, {}});
  return file;
}

std::string_view layout_text(Layout layout) {
  return layout == Layout::nhwc ? " nhwc" : "";
}

Layout read_layout(TextReader& reader) {
  return reader.accept("nhwc") ? Layout::nhwc : Layout::row_major;
}

std::string storage_text(const std::optional<DType>& storage) {
  return storage ? fmt::format(" in {}", to_string(*storage)) : "";
}

namespace {

DType read_dtype(TextReader& reader) {
  Token at = reader.word("a type");
  std::optional<DType> dtype = parse_dtype(at.text);
  if (!dtype)
    reader.fail(at, fmt::format("expected a type, got {}", at.shown()));
  return *dtype;
}

} // namespace

std::optional<DType> read_storage(TextReader& reader) {
  if (!reader.accept("in"))
    return std::nullopt;
  const Token at = reader.peek();
  const DType dtype = read_dtype(reader);
  if (!is_rounded(dtype))
    reader.fail(at, fmt::format("memory rounds to tf32 or bf16, not to {}", to_string(dtype)));
  return dtype;
}

TensorType read_type(TextReader& reader) {
  Token at = reader.peek();
  const DType dtype = read_dtype(reader);
  reader.expect("[");
  TensorType type{dtype, read_integers(reader)};
  double bytes = 4;
  for (int64_t extent : type.shape) {
    if (extent < 0)
      reader.fail(at, fmt::format("the extent {} is negative", extent));
    bytes *= static_cast<double>(std::max<int64_t>(extent, 1));
  }
  if (bytes > 0x1p62)
    reader.fail(at, "the type is too large");
  return type;
}

std::vector<int64_t> read_integers(TextReader& reader) {
  std::vector<int64_t> list;
  while (!reader.accept("]")) {
    if (!list.empty())
      reader.expect(",");
    list.push_back(reader.integer("an integer"));
  }
  return list;
}

} // namespace netc
