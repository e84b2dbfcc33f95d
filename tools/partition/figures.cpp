#include "tools/partition/figures.h"

#include "ir/support/median.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace netc::report {

const StrategyReport* find_strategy(const PartitionReport& report, std::string_view name) {
  auto found = std::find_if(report.strategies.begin(), report.strategies.end(),
                            [&](const StrategyReport& s) { return s.name == name; });
  return found == report.strategies.end() ? nullptr : &*found;
}

bool possible(const StrategyReport& strategy) {
  return strategy.error.empty();
}

bool measured_elsewhere(const PartitionReport& report) {
  return report.other_machine &&
         std::any_of(report.strategies.begin(), report.strategies.end(),
                     [](const StrategyReport& s) { return s.measured.has_value(); });
}

double step_ms(const StrategyReport& strategy) {
  return strategy.measured ? strategy.measured->median_ms : strategy.simulated_ms;
}

double images_per_second(const PartitionReport& report, const StrategyReport& strategy) {
  return static_cast<double>(report.batch) / step_ms(strategy) * 1e3;
}

std::string fastest(const PartitionReport& report) {
  auto is_measured = [](const StrategyReport& s) { return s.measured.has_value(); };
  const bool measured =
      std::any_of(report.strategies.begin(), report.strategies.end(), is_measured);
  const StrategyReport* best = nullptr;
  for (const StrategyReport& s : report.strategies)
    if (possible(s) && is_measured(s) == measured && (!best || step_ms(s) < step_ms(*best)))
      best = &s;
  return best ? best->name : "";
}

std::optional<double> speed_up(const PartitionReport& report, const StrategyReport& strategy) {
  const StrategyReport* single = find_strategy(report, "single");
  if (!single || !possible(*single) || !possible(strategy))
    return std::nullopt;
  if (!strategy.measured)
    return single->simulated_ms / strategy.simulated_ms;
  if (!single->measured)
    return std::nullopt;
  return single->measured->median_ms / strategy.measured->median_ms;
}

std::optional<double> prediction_error(const PartitionReport& report,
                                       const StrategyReport& strategy) {
  if (!strategy.measured || report.other_machine)
    return std::nullopt;
  return strategy.simulated_ms / strategy.measured->median_ms - 1;
}

double exposed_ms(const StrategyReport& strategy) {
  double longest = 0;
  for (double ms : strategy.exposed_ms)
    longest = std::max(longest, ms);
  return longest;
}

namespace {

/// How far simulated times are off; empty when nothing was measured.
std::string errors_text(const PartitionReport& report) {
  std::vector<double> errors;
  std::pair<double, std::string> largest;
  for (const StrategyReport& strategy : report.strategies)
    if (auto error = prediction_error(report, strategy)) {
      errors.push_back(std::abs(*error));
      largest = std::max(largest, {errors.back(), strategy.name});
    }
  if (errors.empty())
    return "";
  return fmt::format(" Simulated steps are off by {:.1f} % in the median and by {:.1f} % at most "
                     "({}).",
                     median(errors) * 100, largest.first * 100, largest.second);
}

} // namespace

std::string summary(const PartitionReport& report) {
  const StrategyReport* best = find_strategy(report, report.best);
  if (!best || !possible(*best))
    return "No strategy is possible here: each says why.";
  std::string text = fmt::format("The fastest strategy is {}: {} ms a step, {}", best->name,
                                 number(step_ms(*best), decimals(step_ms(*best))),
                                 best->measured ? "measured" : "simulated, not measured");
  if (auto factor = speed_up(report, *best); factor && best->name != "single")
    text += fmt::format("; {:.2f} times as fast as one device", *factor);
  return text + "." + errors_text(report);
}

int decimals(double largest) {
  return largest >= 100 ? 1 : largest >= 10 ? 2 : 3;
}

std::string number(double value, int decimals) {
  if (!std::isfinite(value))
    return std::string(absent);
  std::string text = fmt::format("{:.{}f}", value, decimals);
  const size_t first = text[0] == '-' ? 1 : 0;
  for (size_t at = std::min(text.find('.'), text.size()); at > first + 3;)
    text.insert(at -= 3, 1, ',');
  return text;
}

std::string megabytes(int64_t bytes) {
  const double value = static_cast<double>(bytes) / 1e6;
  if (bytes == 0)
    return "0";
  return value >= 0.095 ? number(value, 1) : value >= 0.0005 ? number(value, 3) : "< 0.001";
}

std::string per_device(std::span<const int64_t> bytes) {
  if (bytes.empty())
    return std::string(absent);
  auto [low, high] = std::minmax_element(bytes.begin(), bytes.end());
  if (megabytes(*low) == megabytes(*high))
    return megabytes(*low) + (bytes.size() > 1 && *high > 0 ? " each" : "");
  if (bytes.size() > 3)
    return fmt::format("{} to {}", megabytes(*low), megabytes(*high));
  std::string text;
  for (int64_t b : bytes)
    text += (text.empty() ? "" : " / ") + megabytes(b);
  return text;
}

std::string percent(double fraction) {
  return fmt::format("{:+.1f} %", fraction * 100);
}

std::string difference(const std::optional<double>& value) {
  if (!value)
    return std::string(absent);
  return *value == 0 ? "0" : fmt::format("{:.1e}", *value);
}

std::string sweep_point(const Sweep& sweep, double value) {
  if (sweep.what != "bandwidth")
    return number(value, 0);
  if (value < 1e9)
    return fmt::format("{:.3g} MB/s", value / 1e6);
  if (value < 1e12)
    return fmt::format("{:.3g} GB/s", value / 1e9);
  return fmt::format("{:.3g} TB/s", value / 1e12);
}

} // namespace netc::report

namespace netc {

void add_banner(PartitionReport& report, const std::string& sentence) {
  if (report.banner.find(sentence) == std::string::npos)
    report.banner += (report.banner.empty() ? "" : "; ") + sentence;
}

} // namespace netc
