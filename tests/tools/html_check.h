#pragma once
// Whether a text is HTML that a strict reader takes: tags closed in their order, attributes in
// double quotes, nothing unescaped, ids unique, and every reference within the text found.

#include <algorithm>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace netc::test {

/// Reads `html` tag by tag; `problems` holds what is wrong with it.
class HtmlCheck {
public:
  explicit HtmlCheck(const std::string& html) : rest_(html) {
    while (!rest_.empty()) {
      const size_t at = rest_.find('<');
      check_text(rest_.substr(0, at));
      rest_ = at == rest_.npos ? "" : rest_.substr(at);
      if (!rest_.empty())
        read_markup();
    }
    for (const std::string& name : open_)
      problems.push_back("not closed: " + name);
    for (const std::string& target : targets_)
      if (!ids_.contains(target))
        problems.push_back("no element has the id " + target);
  }

  std::vector<std::string> problems;
  std::set<std::string> elements; ///< Names of all.
  std::string text;               ///< What is outside of tags, still escaped.

private:
  /// Whether an ampersand begins no entity.
  static bool has_stray(const std::string& text) {
    static const std::regex stray("&(?!(amp|lt|gt|quot|#[0-9]+);)");
    return std::regex_search(text, stray);
  }

  void check_text(const std::string& piece) {
    if (piece.find('>') != piece.npos || has_stray(piece))
      problems.push_back("not escaped: " + piece);
    text += piece;
  }

  void read_markup() {
    static const std::regex tag(
        "^<(/?)([a-zA-Z][a-zA-Z0-9]*)((\\s+[a-zA-Z_:][-a-zA-Z0-9_:]*(=\"[^\"<>]*\")?)*)\\s*(/?)>");
    std::smatch match;
    if (rest_.starts_with("<!DOCTYPE html>")) {
      rest_ = rest_.substr(rest_.find('>') + 1);
    } else if (std::regex_search(rest_, match, tag)) {
      const std::string closing = match[1], name = match[2], attributes = match[3],
                        empty = match[6];
      rest_ = match.suffix();
      closing.empty() ? open(name, attributes, !empty.empty()) : close(name);
    } else {
      problems.push_back("no tag: " + rest_.substr(0, 80));
      rest_ = rest_.substr(1);
    }
  }

  void open(const std::string& name, const std::string& attributes, bool empty) {
    static const std::set<std::string> without_end = {"meta", "br"};
    elements.insert(name);
    check_attributes(attributes);
    if (name == "script" || name == "style") // their text is no markup
      rest_ = rest_.substr(std::min(rest_.find("</" + name), rest_.size()));
    if (!empty && !without_end.contains(name))
      open_.push_back(name);
  }

  void check_attributes(const std::string& attributes) {
    static const std::regex attribute("([-a-zA-Z_:]+)=\"([^\"]*)\"");
    for (std::sregex_iterator it(attributes.begin(), attributes.end(), attribute), end; it != end;
         ++it) {
      const std::string name = (*it)[1], value = (*it)[2];
      if (has_stray(value))
        problems.push_back("not escaped: " + value);
      if (name == "id" && !ids_.insert(value).second)
        problems.push_back("an id twice: " + value);
      if (name == "href" && value.starts_with("#"))
        targets_.insert(value.substr(1));
      if (value.starts_with("url(#"))
        targets_.insert(value.substr(5, value.size() - 6));
    }
  }

  void close(const std::string& name) {
    if (open_.empty() || open_.back() != name)
      problems.push_back("closed but not open: " + name);
    else
      open_.pop_back();
  }

  std::string rest_;
  std::vector<std::string> open_;
  std::set<std::string> ids_, targets_;
};

} // namespace netc::test
