#include "tools/partition/html_parts.h"

#include <string_view>

namespace netc::report {

namespace {

/// A tag with the ids that it defines and refers to renamed. Texts in it hold no plain quotes, so
/// what stands behind one is an attribute.
std::string renamed(std::string_view tag, const std::string& prefix) {
  std::string out;
  while (!tag.empty()) {
    size_t kept = 1;
    for (std::string_view before : {" id=\"", "href=\"#", "url(#"})
      if (tag.substr(0, before.size()) == before)
        kept = before.size();
    out += tag.substr(0, kept);
    out += kept > 1 ? prefix : "";
    tag.remove_prefix(kept);
  }
  return out;
}

} // namespace

std::string inline_svg(const std::string& drawing, const std::string& prefix) {
  std::string out;
  size_t at = drawing.find("<svg");
  while (at < drawing.size()) {
    const bool comment = drawing.compare(at, 4, "<!--") == 0;
    const bool tag = drawing[at] == '<';
    size_t end = comment ? drawing.find("-->", at) : drawing.find(tag ? '>' : '<', at);
    end = end == drawing.npos ? drawing.size() : end + (comment ? 3 : tag ? 1 : 0);
    const std::string_view piece = std::string_view(drawing).substr(at, end - at);
    if (!comment) // they say what the titles say, and name the maker's address
      out += tag ? renamed(piece, prefix) : std::string(piece);
    at = end;
  }
  return out;
}

} // namespace netc::report
