#include "frontend/source_checks.h"

namespace netc::frontend {

namespace {

constexpr size_t max_bytes = 1 << 20;
/// More than the tree accepts (which counts exactly), but few enough for any parser's stack.
constexpr int max_open_brackets = 200;

Loc loc_at(const std::shared_ptr<const SourceFile>& file, size_t offset) {
  Loc loc{file, 1, 1};
  for (size_t i = 0; i < offset; ++i) {
    ++loc.column;
    if (file->text[i] == '\n')
      loc = {file, loc.line + 1, 1};
  }
  return loc;
}

/// Length of the UTF-8 sequence at `i`, or 0 when the bytes are not UTF-8.
size_t utf8_length(const std::string& text, size_t i) {
  auto byte = [&](size_t k) { return static_cast<unsigned char>(k < text.size() ? text[k] : 0); };
  unsigned char lead = byte(i);
  size_t length = lead < 0x80                   ? 1
                  : lead >= 0xc2 && lead < 0xe0 ? 2
                  : lead >= 0xe0 && lead < 0xf0 ? 3
                  : lead >= 0xf0 && lead < 0xf5 ? 4
                                                : 0;
  for (size_t k = 1; k < length; ++k)
    if ((byte(i + k) & 0xc0) != 0x80)
      return 0;
  return length;
}

bool check_encoding(const std::shared_ptr<const SourceFile>& file, Diagnostics& diagnostics) {
  const std::string& text = file->text;
  if (text.find('\0') != text.npos) {
    diagnostics.error({file}, "this is a binary file").note("descriptions are YAML text in UTF-8");
    return false;
  }
  for (size_t i = 0; i < text.size();) {
    size_t length = utf8_length(text, i);
    if (length == 0) {
      diagnostics
          .error(loc_at(file, i), fmt::format("byte 0x{:02x} is not UTF-8 text",
                                              static_cast<unsigned char>(text[i])))
          .note("save the file in UTF-8, or keep to ASCII");
      return false;
    }
    i += length;
  }
  return true;
}

bool check_tabs(const std::shared_ptr<const SourceFile>& file, Diagnostics& diagnostics) {
  const std::string& text = file->text;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    const size_t content = line.find_first_not_of(" \t\r");
    const size_t tab = line.substr(0, content).find('\t');
    if (content != line.npos && tab != line.npos && line[content] != '#') {
      diagnostics.error(loc_at(file, begin + tab), "a tab in the indentation")
          .note("YAML allows spaces only; replace each tab by two spaces");
      return false;
    }
    begin = end + 1;
  }
  return true;
}

/// Counts unclosed brackets outside comments. Quotes are not understood; that many brackets that
/// never close occur in no honest file, quoted or not.
bool check_nesting(const std::shared_ptr<const SourceFile>& file, Diagnostics& diagnostics) {
  const std::string& text = file->text;
  int open = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\n')) {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '[' || c == '{') {
      if (++open > max_open_brackets) {
        diagnostics
            .error(loc_at(file, i),
                   fmt::format("more than {} brackets are open here", max_open_brackets))
            .note("a description needs five levels");
        return false;
      }
    } else if ((c == ']' || c == '}') && open > 0) {
      --open;
    }
  }
  return true;
}

} // namespace

bool check_source(const std::shared_ptr<const SourceFile>& file, Diagnostics& diagnostics) {
  if (file->text.size() > max_bytes) {
    diagnostics
        .error({file}, fmt::format("the file has {} bytes, more than the {} of a network "
                                   "description",
                                   file->text.size(), max_bytes))
        .note("is it a data or weights file?");
    return false;
  }
  return check_encoding(file, diagnostics) && check_tabs(file, diagnostics) &&
         check_nesting(file, diagnostics);
}

} // namespace netc::frontend
