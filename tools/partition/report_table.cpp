#include "tools/driver/text_table.h"
#include "tools/partition/figures.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace netc {

namespace {

using namespace report;

/// Digits that suit the longest step.
int step_decimals(const PartitionReport& report) {
  double largest = 0;
  for (const StrategyReport& s : report.strategies)
    if (possible(s))
      largest = std::max({largest, s.predicted_ms, s.simulated_ms, step_ms(s)});
  return decimals(largest);
}

std::vector<std::string> row(const PartitionReport& report, const StrategyReport& s, int digits) {
  auto ms = [&](double value) { return number(value, digits); };
  const auto factor = speed_up(report, s);
  const auto error = prediction_error(report, s);
  const double rate = images_per_second(report, s);
  return {s.name,
          s.same_mathematics ? "yes" : "no",
          ms(s.predicted_ms),
          ms(s.simulated_ms),
          s.measured ? ms(s.measured->median_ms) : std::string(absent),
          error ? percent(*error) : std::string(absent),
          number(rate, decimals(rate)),
          factor ? fmt::format("{:.2f}", *factor) : std::string(absent),
          per_device(s.bytes_sent_per_device),
          ms(exposed_ms(s)),
          per_device(s.peak_bytes_per_device),
          difference(s.max_weight_difference)};
}

} // namespace

std::string partition_table(const PartitionReport& report) {
  std::string out =
      fmt::format("{}, batch {}, {} math, over {}\n{}; link {}{}\n\n", report.network, report.batch,
                  report.math, fmt::join(report.devices, ", "), report.machine, report.link,
                  measured_elsewhere(report) ? "; measured times are those of this machine" : "");
  if (!report.banner.empty())
    out += fmt::format("note: {}\n\n", report.banner);
  std::vector<std::vector<std::string>> rows = {
      {"strategy", "same", "added ms", "simulated", "measured", "off", "images/s", "speed-up",
       "sent MB", "exposed ms", "peak MB", "weights off"}};
  std::string errors;
  const int digits = step_decimals(report);
  for (const StrategyReport& s : report.strategies)
    if (possible(s))
      rows.push_back(row(report, s, digits));
    else
      errors += fmt::format("{}: {}\n", s.name, s.error);
  if (rows.size() > 1)
    out += text_table(rows) + "\n";
  out += summary(report) + "\n" + (errors.empty() ? "" : "\n" + errors);
  for (const std::string& text : report.notes)
    out += fmt::format("\nnote: {}\n", text);
  return out;
}

} // namespace netc
