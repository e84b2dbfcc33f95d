#pragma once
// The parts that the text forms of graphs and programs have in common: types and places.

#include "ir/dtype.h"
#include "ir/support/text_reader.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace netc {

/// Characters that are tokens of their own in the text of graphs and programs.
inline constexpr std::string_view graph_punctuation = "{}[](),:=@%";

/// ` @7:5`, ` @"file":7:5` when `loc` is in another file than `file`, or nothing when it is in
/// none. `file` null: no file is named.
std::string loc_text(const Loc& loc, const std::string* file);

/// Reads what loc_text writes. Places in one file share one SourceFile, whose text is empty.
class LocReader {
public:
  /// Names the file of the places that name none.
  void set_file(const std::string& name) { main_ = file(name); }
  Loc read(TextReader& reader);

private:
  std::shared_ptr<const SourceFile> file(const std::string& name);

  std::shared_ptr<const SourceFile> main_;
  std::map<std::string, std::shared_ptr<const SourceFile>> files_;
};

/// ` nhwc`, or nothing for the logical order.
std::string_view layout_text(Layout layout);
Layout read_layout(TextReader& reader);
/// ` in bf16` of a value that memory holds so.
std::string storage_text(const std::optional<DType>& storage);
std::optional<DType> read_storage(TextReader& reader);

/// Reads `f32[64,96,55,55]`; fails when the size in bytes is more than 2^62.
TensorType read_type(TextReader& reader);
/// Reads integers up to the closing bracket, the opening one being read.
std::vector<int64_t> read_integers(TextReader& reader);

} // namespace netc
