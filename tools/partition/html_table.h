#pragma once
// Tables of the report as HTML: in a box that scrolls by itself, so that a page never does.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace netc::report {

/// Text for HTML and SVG, in elements and in double quotes.
std::string escaped(std::string_view text);
/// ` title="..."`, or nothing for an empty text.
std::string tooltip(std::string_view text);

struct Cell {
  std::string html; ///< Escaped already.
  /// What it is sorted by; empty: last.
  std::string sort{};
  std::string classes{};
  std::string hint{}; ///< Shown when pointed at.
  /// For the classes `bar` and `heat`: how full, 0 to 1.
  std::optional<double> share{};
  int span = 1; ///< Columns.
};

/// A cell with a text.
Cell text_cell(std::string_view text, std::string_view classes = "text");
/// A cell with a number, or `–` without one.
Cell number_cell(std::optional<double> value, int decimals);
/// A cell with megabytes.
Cell bytes_cell(int64_t bytes);

struct Column {
  std::string title; ///< Escaped when written.
  std::string hint{};
  bool text = false; ///< Flush left.
};

class HtmlTable {
public:
  explicit HtmlTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// The first cell is the heading of the row.
  void add(const std::vector<Cell>& cells, std::string_view row_classes = "");
  /// The last row, which is never sorted.
  void foot(const std::vector<Cell>& cells);
  /// `label` says, to who cannot see it, what the table is. No rows: an empty text.
  std::string html(std::string_view label, bool sortable) const;

private:
  std::vector<Column> columns_;
  std::string rows_, foot_;
};

} // namespace netc::report
