#pragma once
// Tilings to choose from, as tests look at them.

#include "codegen/library_contraction.h"

#include <set>
#include <string>
#include <vector>

namespace netc::test {

/// Of a contraction's candidates by rising cost, libraries left out, the best of each size and
/// kind, `most` of them.
inline std::vector<std::string> one_of_each(const std::vector<std::string>& names, size_t most) {
  std::set<std::string> seen;
  std::vector<std::string> list;
  for (const std::string& name : names)
    if (!is_library(name) && list.size() < most &&
        seen.insert(name.substr(0, name.find(" stages"))).second)
      list.push_back(name);
  return list;
}

} // namespace netc::test
