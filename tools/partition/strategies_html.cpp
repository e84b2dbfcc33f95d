#include "tools/partition/figures.h"
#include "tools/partition/html_parts.h"
#include "tools/partition/html_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace netc::report {

namespace {

/// What the rows share.
struct Scale {
  double longest_ms = 0; ///< Step of any strategy.
  double most_images = 0;
  int ms_digits = 0, image_digits = 0;

  explicit Scale(const PartitionReport& report) {
    for (const StrategyReport& s : report.strategies)
      if (possible(s)) {
        longest_ms = std::max({longest_ms, s.predicted_ms, s.simulated_ms, step_ms(s)});
        most_images = std::max(most_images, images_per_second(report, s));
      }
    ms_digits = decimals(longest_ms);
    image_digits = decimals(most_images);
  }
};

/// A number of milliseconds with a bar as long as it is.
Cell bar_cell(double ms, const Scale& scale) {
  Cell cell = number_cell(ms, scale.ms_digits);
  cell.classes = "bar";
  cell.share = ms / scale.longest_ms;
  return cell;
}

Cell measured_cell(const StrategyReport& s, const Scale& scale) {
  if (!s.measured)
    return number_cell(std::nullopt, 0);
  Cell cell = bar_cell(s.measured->median_ms, scale);
  cell.html +=
      fmt::format("<br><small>{} to {}</small>", number(s.measured->low_ms, scale.ms_digits),
                  number(s.measured->high_ms, scale.ms_digits));
  return cell;
}

/// Megabytes of each device, sorted by the largest.
Cell devices_cell(const std::vector<int64_t>& bytes) {
  if (bytes.empty())
    return number_cell(std::nullopt, 0);
  return {.html = escaped(per_device(bytes)),
          .sort = std::to_string(*std::max_element(bytes.begin(), bytes.end()))};
}

Cell error_cell(const std::optional<double>& error) {
  if (!error)
    return number_cell(std::nullopt, 0);
  return {.html = percent(*error), .sort = fmt::format("{}", *error)};
}

Cell difference_cell(const StrategyReport& s) {
  if (!s.max_weight_difference)
    return number_cell(std::nullopt, 0);
  return {.html = difference(s.max_weight_difference),
          .sort = fmt::format("{}", *s.max_weight_difference),
          .hint = fmt::format("against one device, after {} steps", s.difference_steps)};
}

std::vector<Column> columns() {
  return {{"strategy"},
          {"same maths", "whether it computes what one device would"},
          {"added ms", "predicted by adding up what layers and exchanges take"},
          {"simulated ms", "predicted by simulating the events of a step"},
          {"measured ms", "the median and the range of the runs"},
          {"simulation off", "simulated against measured"},
          {"images/s"},
          {"speed-up", "against one device"},
          {"sent MB a device", "in a step"},
          {"exposed ms", "the longest that a device waits for exchanges, simulated"},
          {"peak MB a device", "memory, as planned"},
          {"largest weight difference", "against one device, after some steps"}};
}

std::vector<Cell> row(const PartitionReport& report, const StrategyReport& s, Cell name,
                      const Scale& scale) {
  Cell same = s.same_mathematics ? Cell{.html = "yes", .sort = "1"}
                                 : Cell{.html = "no", .sort = "0", .classes = "no"};
  if (!possible(s)) {
    const int rest = static_cast<int>(columns().size()) - 2;
    return {std::move(name), std::move(same),
            Cell{.html = escaped(s.error), .classes = "error", .span = rest}};
  }
  return {std::move(name),
          std::move(same),
          number_cell(s.predicted_ms, scale.ms_digits),
          bar_cell(s.simulated_ms, scale),
          measured_cell(s, scale),
          error_cell(prediction_error(report, s)),
          number_cell(images_per_second(report, s), scale.image_digits),
          number_cell(speed_up(report, s), 2),
          devices_cell(s.bytes_sent_per_device),
          number_cell(exposed_ms(s), scale.ms_digits),
          devices_cell(s.peak_bytes_per_device),
          difference_cell(s)};
}

} // namespace

std::string strategies_html(const PartitionReport& report) {
  HtmlTable table(columns());
  const Scale scale(report);
  for (size_t i = 0; i < report.strategies.size(); ++i) {
    const StrategyReport& s = report.strategies[i];
    Cell name = {.html = fmt::format("<a href=\"#{}\">{}</a>", strategy_anchor(i), escaped(s.name)),
                 .sort = s.name,
                 .hint = s.doc};
    table.add(row(report, s, std::move(name), scale), s.name == report.best ? "best" : "");
  }
  return table.html("strategies", true);
}

} // namespace netc::report
