#pragma once
// Golden texts: compare what netc prints with a file of the source tree, or rewrite the file.
//
// Every test binary understands `--update-goldens`: it rewrites the files instead of comparing.

#include "tests/support/places.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace netc::test {

/// Whether the test binary was started with `--update-goldens`.
inline bool update_goldens() {
  static const bool update = [] {
    std::vector<std::string> arguments = testing::internal::GetArgvs();
    return std::find(arguments.begin(), arguments.end(), "--update-goldens") != arguments.end();
  }();
  return update;
}

/// The bytes of a file; fails the test and returns nothing when it cannot be read.
inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    ADD_FAILURE() << "cannot read " << path;
    return {};
  }
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

/// The lines that differ: `-` expected only, `+` actual only, with two lines of context.
inline std::string line_diff(const std::string& expected, const std::string& actual) {
  std::vector<std::string> a = split_lines(expected), b = split_lines(actual);
  size_t top = 0;
  while (top < a.size() && top < b.size() && a[top] == b[top])
    ++top;
  size_t tail = 0;
  while (tail + top < a.size() && tail + top < b.size() &&
         a[a.size() - 1 - tail] == b[b.size() - 1 - tail])
    ++tail;
  // Longest common subsequence of the middle parts; too large a middle is shown as one block.
  const size_t n = a.size() - top - tail, m = b.size() - top - tail;
  const bool small = n * m <= 4'000'000;
  std::vector<std::vector<int>> common(small ? n + 1 : 0, std::vector<int>(m + 1, 0));
  for (size_t i = n; small && i-- > 0;)
    for (size_t j = m; j-- > 0;)
      common[i][j] = a[top + i] == b[top + j] ? common[i + 1][j + 1] + 1
                                              : std::max(common[i + 1][j], common[i][j + 1]);
  std::string out;
  for (size_t i = top < 2 ? 0 : top - 2; i < top; ++i)
    out += "  " + a[i] + "\n";
  for (size_t i = 0, j = 0; i < n || j < m;) {
    if (small && i < n && j < m && a[top + i] == b[top + j]) {
      out += "  " + a[top + i] + "\n";
      ++i, ++j;
    } else if (i < n && (j == m || !small || common[i + 1][j] >= common[i][j + 1])) {
      out += "- " + a[top + i++] + "\n";
    } else {
      out += "+ " + b[top + j++] + "\n";
    }
  }
  for (size_t i = a.size() - tail; i < std::min(a.size() - tail + 2, a.size()); ++i)
    out += "  " + a[i] + "\n";
  return out.empty() ? "(they differ in line ends only)\n" : out;
}

/// Expects `actual` to equal the file `path` (relative to the source root); with
/// `--update-goldens` writes the file instead.
inline void expect_golden(const std::string& path, const std::string& actual) {
  const std::filesystem::path file = source_root() / path;
  if (update_goldens()) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << actual;
    return;
  }
  if (!std::filesystem::exists(file)) {
    ADD_FAILURE() << path << " does not exist; run this test with --update-goldens\n" << actual;
    return;
  }
  const std::string expected = read_text(file);
  if (expected != actual)
    ADD_FAILURE() << path << " differs (- expected, + actual); --update-goldens rewrites it\n"
                  << line_diff(expected, actual);
}

} // namespace netc::test
