#pragma once
// Tables for the terminal.

#include <string>
#include <vector>

namespace netc {

/// A table with aligned columns: the first flush left, the others flush right. Widths count the
/// characters of UTF-8 texts.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

} // namespace netc
