#include "codegen/text_fill.h"

namespace netc {

std::string replace_all(std::string text, const std::map<std::string, std::string>& values) {
  for (const auto& [key, value] : values)
    for (size_t at = 0; (at = text.find(key, at)) != std::string::npos; at += value.size())
      text.replace(at, key.size(), value);
  return text;
}

std::string filled(std::string text, const std::vector<std::string>& list,
                   const std::string& after) {
  constexpr size_t columns = 96; // room for an indent and what follows
  size_t begin = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    std::string item = list[i] + (i + 1 < list.size() ? "," : after);
    if (text.size() - begin + item.size() > columns) {
      text += "\n   ";
      begin = text.size() - 3;
    }
    text += (i == 0 && begin == 0 ? "" : " ") + item;
  }
  return list.empty() ? text + after : text;
}

} // namespace netc
