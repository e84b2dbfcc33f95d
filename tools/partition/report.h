#pragma once
// What `netc partition` finds out, and how it is shown: a table on the terminal, JSON, and one
// HTML file that opens offline.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace netc {

/// A measured time: the median and the range of the runs, in milliseconds.
struct MeasuredTime {
  double median_ms = 0;
  double low_ms = 0;
  double high_ms = 0;
};

/// Something a device did, or will do, in one step.
struct TimelineSpan {
  int device = 0;
  bool exchange = false; ///< Else it computes.
  std::string label;     ///< The layer and what of it: `conv1: conv2d + bias + relu`.
  double begin_ms = 0;   ///< Since the step began.
  double end_ms = 0;
  int64_t bytes = 0; ///< Of an exchange: what the device sends and receives.
};

/// A layer under one strategy.
struct LayerReport {
  std::string name;
  std::string cut;        ///< `data`, `channel, then filter`, `device 1`, `filter [0, 40, 96]`.
  double compute_ms = 0;  ///< Predicted, of the slowest device, forward and backward.
  double exchange_ms = 0; ///< Predicted, of the exchanges that its values need.
  int64_t bytes_sent = 0; ///< By all devices.
};

/// One collective of a step.
struct ExchangeReport {
  std::string name; ///< Of the value.
  std::string kind; ///< `all-reduce` ...
  std::string from; ///< Shardings, for people.
  std::string to;
  int64_t bytes = 0; ///< Sent by all devices.
};

struct StrategyReport {
  std::string name;
  std::string doc;              ///< One line.
  bool same_mathematics = true; ///< As one device, rounding aside; no strategy changes it yet.
  std::string file;             ///< The text of its strategy file.
  int micro_batches = 1;        ///< In which the step does the batch, one after the other.
  std::string error;            ///< Why the network cannot be cut so, or does not fit; then nothing
                                ///< below is filled.
  double predicted_ms = 0; ///< Added up: what the device with most to do computes, all exchanges.
  double simulated_ms = 0; ///< Event simulation.
  std::optional<MeasuredTime> measured;
  std::vector<int64_t> bytes_sent_per_device;
  std::vector<std::vector<int64_t>> link_bytes; ///< [from][to], a step.
  std::vector<double> busy_ms;                  ///< By device, simulated.
  std::vector<double> exposed_ms;               ///< By device: waiting for exchanges, simulated.
  std::vector<int64_t> peak_bytes_per_device;   ///< As planned.
  std::vector<int64_t> used_bytes_per_device;   ///< As allocated; empty when not measured.
  std::optional<double> max_weight_difference;  ///< Against one device, after some steps.
  int difference_steps = 0;
  std::vector<LayerReport> layers;
  std::vector<ExchangeReport> exchanges;
  std::vector<TimelineSpan> predicted_timeline;
  std::vector<TimelineSpan> measured_timeline; ///< Empty when not measured.
  std::string drawing; ///< SVG, of all micro-batches at once; empty without Graphviz.
};

/// What it would cost to cut one layer otherwise, all others at their best: sums over nodes before
/// they are fused, and exchanges.
struct LayerChoices {
  struct Choice {
    std::string cut;
    double total_ms = 0;    ///< Of the best step with this choice; infinite where there is none.
    double compute_ms = 0;  ///< Of the layer.
    double exchange_ms = 0; ///< Of the layer in that step, and between it and those beside it.
    int64_t bytes = 0;      ///< Of the layer on the fullest device, if no two values share memory.
    std::string why{};      ///< Why there is no such step; else empty.
  };
  std::string layer;
  std::string chosen; ///< By `auto`; empty if that is none of the choices.
  std::vector<Choice> choices;
};

/// A sweep: simulated step times of each strategy at each point.
struct Sweep {
  std::string what; ///< `bandwidth` (bytes a second) or `batch` (images).
  std::vector<double> points;
  struct Line {
    std::string strategy;
    std::vector<double> ms; ///< NaN where it does not apply.
  };
  std::vector<Line> lines;
  struct Crossover {
    double at = 0;
    std::string from, to; ///< Which strategy is fastest below and above.
  };
  std::vector<Crossover> crossovers;
};

struct PartitionReport {
  std::string network;
  int64_t batch = 0;
  std::string math;                 ///< `fast` or `exact`.
  std::vector<std::string> devices; ///< `cpu:0` ...
  std::string machine;              ///< Profile that predictions use, for people.
  std::string link;                 ///< `6 GB/s, 20 us`.
  bool other_machine = false;       ///< Than the one that measures: predictions are not for it.
  std::string banner;               ///< That logical devices share a physical one; else empty.
  std::string host;                 ///< Processor, cores.
  std::string version;              ///< Of netc and the compiler.
  uint64_t seed = 0;
  std::vector<StrategyReport> strategies; ///< `single` first.
  std::string best;                       ///< Name of the fastest: measured, else simulated.
  std::vector<LayerChoices> choices;      ///< The search's matrix.
  std::optional<double> search_seconds;   ///< If there was a search.
  std::vector<Sweep> sweeps;
  std::vector<std::string> notes; ///< Such as predictions that are far off.
};

/// Adds a sentence to the banner, once.
void add_banner(PartitionReport& report, const std::string& sentence);

/// The table for the terminal.
std::string partition_table(const PartitionReport& report);
/// One JSON object; its keys are stable.
std::string partition_json(const PartitionReport& report);
/// One HTML file without anything from elsewhere: tables, drawings, timelines, sweeps.
std::string partition_html(const PartitionReport& report);

} // namespace netc
