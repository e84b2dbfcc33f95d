#include "tools/partition/html_table.h"

#include "runtime/train/chart.h"
#include "tools/partition/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace netc::report {

std::string escaped(std::string_view text) {
  return chart::escape(text);
}

std::string tooltip(std::string_view text) {
  return text.empty() ? "" : fmt::format(" title=\"{}\"", escaped(text));
}

Cell text_cell(std::string_view text, std::string_view classes) {
  return {.html = escaped(text), .sort = std::string(text), .classes = std::string(classes)};
}

Cell number_cell(std::optional<double> value, int decimals) {
  if (!value || !std::isfinite(*value))
    return {.html = std::string(absent)};
  return {.html = number(*value, decimals), .sort = fmt::format("{}", *value)};
}

Cell bytes_cell(int64_t bytes) {
  return {.html = escaped(megabytes(bytes)), .sort = std::to_string(bytes)};
}

namespace {

std::string cell_html(const Cell& cell, bool heading) {
  std::string attributes;
  if (heading)
    attributes += " scope=\"row\"";
  if (!cell.classes.empty())
    attributes += fmt::format(" class=\"{}\"", cell.classes);
  if (!cell.sort.empty())
    attributes += fmt::format(" data-sort=\"{}\"", escaped(cell.sort));
  if (cell.share)
    attributes +=
        fmt::format(" style=\"--share:{:.1f}%\"", std::clamp(*cell.share, 0.0, 1.0) * 100);
  if (cell.span > 1)
    attributes += fmt::format(" colspan=\"{}\"", cell.span);
  return fmt::format("<{0}{1}{2}>{3}</{0}>", heading ? "th" : "td", attributes, tooltip(cell.hint),
                     cell.html);
}

std::string row_html(const std::vector<Cell>& cells, std::string_view classes) {
  std::string row = classes.empty() ? "<tr>" : fmt::format("<tr class=\"{}\">", classes);
  for (size_t i = 0; i < cells.size(); ++i)
    row += cell_html(cells[i], i == 0);
  return row + "</tr>\n";
}

} // namespace

void HtmlTable::add(const std::vector<Cell>& cells, std::string_view row_classes) {
  rows_ += row_html(cells, row_classes);
}

void HtmlTable::foot(const std::vector<Cell>& cells) {
  foot_ += row_html(cells, "");
}

std::string HtmlTable::html(std::string_view label, bool sortable) const {
  if (rows_.empty())
    return "";
  std::string head;
  for (const Column& column : columns_)
    head += fmt::format("<th scope=\"col\"{}{}>{}</th>", column.text ? " class=\"text\"" : "",
                        tooltip(column.hint), escaped(column.title));
  return fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">"
      "<table{}>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>\n{}</table></div>\n",
      escaped(label), sortable ? " class=\"sortable\"" : "", head, rows_,
      foot_.empty() ? "" : fmt::format("<tfoot>\n{}</tfoot>\n", foot_));
}

} // namespace netc::report
