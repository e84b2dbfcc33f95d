#pragma once
// The parts of the HTML report; each is empty where the report has nothing to show.

#include "tools/partition/report.h"

namespace netc::report {

/// The table of all strategies.
std::string strategies_html(const PartitionReport& report);
/// Who sends how much to whom, a small table for each strategy.
std::string links_html(const PartitionReport& report);
/// All about one strategy, to be opened: layers, exchanges, timelines, drawing. `index` makes the
/// ids of its elements unique.
std::string strategy_html(const PartitionReport& report, const StrategyReport& strategy,
                          size_t index);
/// Where a link to that strategy leads.
std::string strategy_anchor(size_t index);
/// What each layer's alternatives would cost.
std::string choices_html(const PartitionReport& report);
/// The sweeps: a chart each, and where the fastest strategy changes.
std::string sweeps_html(const PartitionReport& report);

/// Lanes of each device: the predicted step above the measured one, on the same axis.
std::string timeline_svg(const StrategyReport& strategy);
std::string sweep_svg(const PartitionReport& report, const Sweep& sweep);
/// A drawing of Graphviz as an element among others: without the head of an XML file, with
/// `prefix` before each of its ids. The drawing is trusted: Graphviz escapes what it writes.
std::string inline_svg(const std::string& drawing, const std::string& prefix);

} // namespace netc::report
