#pragma once
// Patterns and lists as text.

#include <map>
#include <string>
#include <vector>

namespace netc {

/// The text with every key replaced by its value.
std::string replace_all(std::string text, const std::map<std::string, std::string>& values);

/// A comma-separated list with what stands around it, over several lines where it is long.
std::string filled(std::string text, const std::vector<std::string>& list,
                   const std::string& after);

} // namespace netc
