#include "tools/partition/figures.h"

#include <nlohmann/json.hpp>

#include <cmath>

namespace netc {

namespace {

using Json = nlohmann::ordered_json;

/// Null for what is no number: JSON knows neither infinity nor NaN.
Json figure(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json figure(const std::optional<double>& value) {
  return value ? figure(*value) : Json(nullptr);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

template <class List, class Fn> Json listed(const List& list, Fn json) {
  Json array = Json::array();
  for (const auto& entry : list)
    array.push_back(json(entry));
  return array;
}

Json figures(const std::vector<double>& values) {
  return listed(values, [](double value) { return figure(value); });
}

Json timeline_json(const std::vector<TimelineSpan>& spans) {
  return listed(spans, [](const TimelineSpan& span) {
    return Json{{"device", span.device},         {"lane", span.exchange ? "exchange" : "compute"},
                {"label", span.label},           {"begin_ms", figure(span.begin_ms)},
                {"end_ms", figure(span.end_ms)}, {"bytes", span.bytes}};
  });
}

Json layer_json(const LayerReport& layer) {
  return {{"name", layer.name},
          {"cut", layer.cut},
          {"compute_ms", figure(layer.compute_ms)},
          {"exchange_ms", figure(layer.exchange_ms)},
          {"bytes_sent", layer.bytes_sent}};
}

Json exchange_json(const ExchangeReport& exchange) {
  return {{"name", exchange.name},
          {"kind", exchange.kind},
          {"from", exchange.from},
          {"to", exchange.to},
          {"bytes", exchange.bytes}};
}

/// What is known of a strategy that cannot be: each key of the others, with null.
Json impossible_json(Json json) {
  for (auto it = json.begin(); it != json.end(); ++it)
    if (it.key() != "name" && it.key() != "doc" && it.key() != "same_mathematics" &&
        it.key() != "error")
      *it = nullptr;
  return json;
}

/// `inf` where a weight is no number.
Json difference_json(const std::optional<double>& difference) {
  return difference && !std::isfinite(*difference) ? Json("inf") : figure(difference);
}

Json strategy_json(const PartitionReport& report, const StrategyReport& s) {
  auto measured = [&](double MeasuredTime::*time) {
    return s.measured ? figure((*s.measured).*time) : Json(nullptr);
  };
  Json json = {
      {"name", s.name},
      {"doc", s.doc},
      {"same_mathematics", s.same_mathematics},
      {"micro_batches", s.micro_batches},
      {"error", text_or_null(s.error)},
      {"predicted_ms", figure(s.predicted_ms)},
      {"simulated_ms", figure(s.simulated_ms)},
      {"measured_ms", measured(&MeasuredTime::median_ms)},
      {"measured_low_ms", measured(&MeasuredTime::low_ms)},
      {"measured_high_ms", measured(&MeasuredTime::high_ms)},
      {"images_per_second", figure(report::images_per_second(report, s))},
      {"speed_up", figure(report::speed_up(report, s))},
      {"bytes_sent_per_device", s.bytes_sent_per_device},
      {"link_bytes", s.link_bytes},
      {"busy_ms_per_device", figures(s.busy_ms)},
      {"exposed_ms_per_device", figures(s.exposed_ms)},
      {"peak_bytes_per_device", s.peak_bytes_per_device},
      {"used_bytes_per_device",
       s.used_bytes_per_device.empty() ? Json(nullptr) : Json(s.used_bytes_per_device)},
      {"max_weight_difference", difference_json(s.max_weight_difference)},
      {"difference_steps", s.max_weight_difference ? Json(s.difference_steps) : Json(nullptr)},
      {"layers", listed(s.layers, layer_json)},
      {"exchanges", listed(s.exchanges, exchange_json)},
      {"predicted_timeline", timeline_json(s.predicted_timeline)},
      {"measured_timeline",
       s.measured_timeline.empty() ? Json(nullptr) : timeline_json(s.measured_timeline)}};
  return report::possible(s) ? json : impossible_json(std::move(json));
}

Json choices_json(const LayerChoices& layer) {
  return {{"layer", layer.layer},
          {"chosen", layer.chosen},
          {"choices", listed(layer.choices, [](const LayerChoices::Choice& choice) {
             return Json{{"cut", choice.cut},
                         {"total_ms", figure(choice.total_ms)},
                         {"compute_ms", figure(choice.compute_ms)},
                         {"exchange_ms", figure(choice.exchange_ms)},
                         {"bytes", choice.bytes},
                         {"why_not", text_or_null(choice.why)}};
           })}};
}

Json sweep_json(const Sweep& sweep) {
  return {
      {"what", sweep.what},
      {"points", figures(sweep.points)},
      {"lines", listed(sweep.lines,
                       [](const Sweep::Line& line) {
                         return Json{{"strategy", line.strategy}, {"ms", figures(line.ms)}};
                       })},
      {"crossovers", listed(sweep.crossovers, [](const Sweep::Crossover& crossover) {
         return Json{{"at", figure(crossover.at)}, {"from", crossover.from}, {"to", crossover.to}};
       })}};
}

} // namespace

std::string partition_json(const PartitionReport& report) {
  Json json = {
      {"network", report.network},
      {"batch", report.batch},
      {"math", report.math},
      {"devices", report.devices},
      {"machine", report.machine},
      {"link", report.link},
      {"other_machine", report.other_machine},
      {"banner", text_or_null(report.banner)},
      {"host", report.host},
      {"version", report.version},
      {"seed", report.seed},
      {"best", text_or_null(report.best)},
      {"strategies", listed(report.strategies,
                            [&](const StrategyReport& s) { return strategy_json(report, s); })},
      {"choices", listed(report.choices, choices_json)},
      {"search_seconds", figure(report.search_seconds)},
      {"sweeps", listed(report.sweeps, sweep_json)},
      {"notes", report.notes}};
  // Names of layers need not be UTF-8; JSON must be.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace netc
