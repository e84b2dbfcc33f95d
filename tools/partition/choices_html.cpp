#include "tools/partition/figures.h"
#include "tools/partition/html_parts.h"
#include "tools/partition/html_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace netc::report {

namespace {

using Choice = LayerChoices::Choice;

/// Cuts in the order in which layers offer them.
std::vector<std::string> all_cuts(const PartitionReport& report) {
  std::vector<std::string> cuts;
  for (const LayerChoices& layer : report.choices)
    for (const Choice& choice : layer.choices)
      if (std::find(cuts.begin(), cuts.end(), choice.cut) == cuts.end())
        cuts.push_back(choice.cut);
  return cuts;
}

/// The step time of the best choice.
double best_ms(const LayerChoices& layer) {
  double best = std::numeric_limits<double>::infinity();
  for (const Choice& choice : layer.choices)
    best = std::min(best, choice.total_ms);
  return best;
}

/// How dark a cell is: differences of one percent are seen, and those of ten times as much, too.
double darkness(double slower) {
  return 0.55 * std::min(1.0, std::log10(1 + 99 * std::max(slower, 0.0)) / 2);
}

/// Numbered reasons, each of them once.
class Footnotes {
public:
  /// The number of the reason.
  size_t add(const std::string& reason) {
    auto found = std::find(reasons_.begin(), reasons_.end(), reason);
    if (found == reasons_.end())
      found = reasons_.insert(reasons_.end(), reason);
    return static_cast<size_t>(found - reasons_.begin()) + 1;
  }
  std::string html() const {
    std::string items;
    for (const std::string& reason : reasons_)
      items += fmt::format("<li>{}</li>\n", escaped(reason));
    return items.empty() ? "" : fmt::format("<ol class=\"footnotes\">\n{}</ol>\n", items);
  }

private:
  std::vector<std::string> reasons_;
};

Cell choice_cell(const Choice& choice, bool chosen, double best, int digits, Footnotes& footnotes) {
  if (!std::isfinite(choice.total_ms)) {
    const std::string note =
        choice.why.empty() ? "" : fmt::format("<sup>{}</sup>", footnotes.add(choice.why));
    return {.html = std::string(absent) + note, .classes = "illegal", .hint = choice.why};
  }
  Cell cell = number_cell(choice.total_ms, digits);
  cell.hint = fmt::format("computes {} ms, exchanges {} ms; {} MB on the fullest device",
                          number(choice.compute_ms, digits), number(choice.exchange_ms, digits),
                          megabytes(choice.bytes));
  const double slower = choice.total_ms - best;
  const std::string more = fmt::format("+{}", number(slower, digits));
  cell.html += fmt::format("<br><small>{}{}</small>", chosen ? "✓ chosen" : more,
                           chosen && slower > 0 ? " " + more : "");
  cell.classes = chosen ? "chosen" : "heat";
  if (!chosen)
    cell.share = darkness(slower / best);
  return cell;
}

std::vector<Cell> choices_row(const LayerChoices& layer, const std::vector<std::string>& cuts,
                              int digits, Footnotes& footnotes) {
  std::vector<Cell> row = {text_cell(layer.layer)};
  for (const std::string& cut : cuts) {
    auto found = std::find_if(layer.choices.begin(), layer.choices.end(),
                              [&](const Choice& choice) { return choice.cut == cut; });
    row.push_back(found == layer.choices.end() ? Cell{}
                                               : choice_cell(*found, cut == layer.chosen,
                                                             best_ms(layer), digits, footnotes));
  }
  return row;
}

} // namespace

std::string choices_html(const PartitionReport& report) {
  const std::vector<std::string> cuts = all_cuts(report);
  std::vector<Column> columns = {{"layer"}};
  for (const std::string& cut : cuts)
    columns.push_back({cut});
  double largest = 0;
  for (const LayerChoices& layer : report.choices)
    largest = std::max(largest, best_ms(layer));
  HtmlTable table(std::move(columns));
  Footnotes footnotes;
  for (const LayerChoices& layer : report.choices)
    table.add(choices_row(layer, cuts, decimals(largest), footnotes));
  const std::string html = table.html("what other cuts of a layer would cost", false);
  return html.empty() ? "" : "<div class=\"matrix\">" + html + "</div>\n" + footnotes.html();
}

namespace {

std::string link_table(const StrategyReport& strategy) {
  const auto& bytes = strategy.link_bytes;
  std::vector<Column> columns = {{"from \\ to"}};
  int64_t largest = 1;
  for (size_t to = 0; to < bytes.size(); ++to) {
    columns.push_back({std::to_string(to)});
    for (int64_t b : bytes[to])
      largest = std::max(largest, b);
  }
  HtmlTable table(std::move(columns));
  for (size_t from = 0; from < bytes.size(); ++from) {
    std::vector<Cell> row = {text_cell(std::to_string(from))};
    for (size_t to = 0; to < bytes[from].size(); ++to) {
      Cell cell = from == to ? number_cell(std::nullopt, 0) : bytes_cell(bytes[from][to]);
      cell.classes = "heat";
      cell.share = 0.5 * static_cast<double>(bytes[from][to]) / static_cast<double>(largest);
      row.push_back(cell);
    }
    table.add(row);
  }
  return table.html("MB over each link under " + strategy.name, false);
}

} // namespace

std::string links_html(const PartitionReport& report) {
  std::string out;
  for (const StrategyReport& strategy : report.strategies)
    if (std::any_of(strategy.link_bytes.begin(), strategy.link_bytes.end(), [](const auto& row) {
          return std::any_of(row.begin(), row.end(), [](int64_t bytes) { return bytes != 0; });
        }))
      out += fmt::format("<figure><figcaption>{}</figcaption>{}</figure>\n", escaped(strategy.name),
                         link_table(strategy));
  return out.empty() ? "" : fmt::format("<div class=\"links\">\n{}</div>\n", out);
}

} // namespace netc::report
