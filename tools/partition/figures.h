#pragma once
// Figures that follow from those of a partition report, and how figures are written: one place for
// the table, the JSON and the HTML file.

#include "tools/partition/report.h"

#include <span>
#include <string_view>

namespace netc::report {

/// Stands where there is no figure.
inline constexpr std::string_view absent = "–";

/// The strategy of that name; null when there is none.
const StrategyReport* find_strategy(const PartitionReport& report, std::string_view name);
/// Whether the network can be cut so; else there are no figures.
bool possible(const StrategyReport& strategy);

/// Whether steps were measured on another machine than predictions are for.
bool measured_elsewhere(const PartitionReport& report);

/// Milliseconds of a step: measured, else simulated.
double step_ms(const StrategyReport& strategy);
double images_per_second(const PartitionReport& report, const StrategyReport& strategy);
/// The strategy whose step is shortest: of those measured, if any are; empty if none is possible.
std::string fastest(const PartitionReport& report);
/// How many times as fast as `single`, measured or simulated, as the strategy's step is. Nothing
/// without such a time of `single`.
std::optional<double> speed_up(const PartitionReport& report, const StrategyReport& strategy);
/// By which fraction of the measured step the simulated one is longer; nothing if not measured, or
/// on another machine than the predictions are for.
std::optional<double> prediction_error(const PartitionReport& report,
                                       const StrategyReport& strategy);
/// Milliseconds that the device which waits longest waits for exchanges.
double exposed_ms(const StrategyReport& strategy);

/// Sentences: the fastest strategy, how much faster it is, how far predictions are off.
std::string summary(const PartitionReport& report);

/// Digits behind the point for a column of numbers up to `largest`: four to five that count.
int decimals(double largest);
/// `1,234.5`; what is no number is absent.
std::string number(double value, int decimals);
/// Megabytes (10^6), without the unit: `243.9`, `0.012`, `0`.
std::string megabytes(int64_t bytes);
/// Megabytes of each device: `31.1 / 30.0`; `31.1 each` when alike, the range if they are many.
std::string per_device(std::span<const int64_t> bytes);
/// `+3.1 %`.
std::string percent(double fraction);
/// The largest weight difference: `0`, `1.2e-06`.
std::string difference(const std::optional<double>& value);
/// A point of a sweep with its unit: `6 GB/s`, `128`.
std::string sweep_point(const Sweep& sweep, double value);

} // namespace netc::report
