#include "tools/partition/figures.h"
#include "tools/partition/html_parts.h"
#include "tools/partition/html_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace netc::report {

namespace {

std::string layers_html(const StrategyReport& strategy) {
  double compute = 0, exchange = 0, longest = 0;
  int64_t bytes = 0;
  for (const LayerReport& layer : strategy.layers) {
    compute += layer.compute_ms, exchange += layer.exchange_ms, bytes += layer.bytes_sent;
    longest = std::max(longest, layer.compute_ms + layer.exchange_ms);
  }
  const int digits = decimals(longest);
  HtmlTable table({{"layer"},
                   {.title = "cut", .text = true},
                   {"compute ms", "predicted, of the slowest device, forward and backward"},
                   {"exchange ms", "predicted, of the exchanges that its values need"},
                   {"together ms"},
                   {"sent MB", "by all devices"}});
  for (const LayerReport& layer : strategy.layers) {
    Cell together = number_cell(layer.compute_ms + layer.exchange_ms, digits);
    together.classes = "bar";
    together.share = longest > 0 ? (layer.compute_ms + layer.exchange_ms) / longest : 0;
    table.add({text_cell(layer.name), text_cell(layer.cut), number_cell(layer.compute_ms, digits),
               number_cell(layer.exchange_ms, digits), together, bytes_cell(layer.bytes_sent)});
  }
  table.foot({text_cell("all"), text_cell(""), number_cell(compute, digits),
              number_cell(exchange, digits), number_cell(compute + exchange, digits),
              bytes_cell(bytes)});
  return "<h3>Layers</h3>\n" + table.html("layers of " + strategy.name, true);
}

std::string exchanges_html(const StrategyReport& strategy) {
  HtmlTable table({{"value"},
                   {.title = "exchange", .text = true},
                   {.title = "from", .text = true},
                   {.title = "to", .text = true},
                   {"sent MB", "by all devices"}});
  int64_t bytes = 0;
  for (const ExchangeReport& exchange : strategy.exchanges) {
    bytes += exchange.bytes;
    table.add({text_cell(exchange.name), text_cell(exchange.kind), text_cell(exchange.from, "wrap"),
               text_cell(exchange.to, "wrap"), bytes_cell(exchange.bytes)});
  }
  return fmt::format("<details><summary>{} exchanges, {} MB</summary>\n{}</details>\n",
                     strategy.exchanges.size(), escaped(megabytes(bytes)),
                     table.html("exchanges of " + strategy.name, true));
}

/// What each device does with its time.
std::string devices_html(const PartitionReport& report, const StrategyReport& strategy) {
  const int digits = decimals(strategy.simulated_ms);
  HtmlTable table({{"device"},
                   {"computes ms", "simulated"},
                   {"waits ms", "for exchanges, simulated"},
                   {"sends MB"},
                   {"planned MB", "memory at its fullest, as planned"},
                   {"used MB", "as allocated"}});
  auto bytes = [](const std::vector<int64_t>& of, size_t device) {
    return device < of.size() ? bytes_cell(of[device]) : number_cell(std::nullopt, 0);
  };
  auto ms = [&](const std::vector<double>& of, size_t device) {
    return number_cell(device < of.size() ? std::optional(of[device]) : std::nullopt, digits);
  };
  for (size_t device = 0; device < report.devices.size(); ++device)
    table.add({text_cell(fmt::format("{} ({})", device, report.devices[device])),
               ms(strategy.busy_ms, device), ms(strategy.exposed_ms, device),
               bytes(strategy.bytes_sent_per_device, device),
               bytes(strategy.peak_bytes_per_device, device),
               bytes(strategy.used_bytes_per_device, device)});
  return "<h3>Devices</h3>\n" + table.html("devices under " + strategy.name, false);
}

/// The step in the summary line.
std::string step_text(const StrategyReport& strategy) {
  if (!possible(strategy))
    return "not possible here";
  const double ms = step_ms(strategy);
  return fmt::format("{} ms, {}", number(ms, decimals(ms)),
                     strategy.measured ? "measured" : "simulated");
}

std::string body_html(const PartitionReport& report, const StrategyReport& strategy, size_t index) {
  if (!possible(strategy))
    return fmt::format("<p>{}</p>\n", escaped(strategy.error));
  std::string out = devices_html(report, strategy);
  if (std::string timeline = timeline_svg(strategy); !timeline.empty())
    out += "<h3>Timeline</h3>\n<p class=\"hint\">Of each device what it computes, and below it "
           "what it exchanges; colours are layers.</p>\n" +
           timeline;
  if (!strategy.layers.empty())
    out += layers_html(strategy);
  if (!strategy.exchanges.empty())
    out += exchanges_html(strategy);
  if (std::string svg = inline_svg(strategy.drawing, fmt::format("drawing-{}-", index));
      !svg.empty())
    out += fmt::format("<details><summary>drawing{}</summary><div class=\"scroll drawing\" "
                       "tabindex=\"0\">{}</div></details>\n",
                       strategy.micro_batches > 1
                           ? fmt::format(" of all {} micro-batches at once", strategy.micro_batches)
                           : "",
                       svg);
  return out;
}

} // namespace

std::string strategy_anchor(size_t index) {
  return fmt::format("strategy-{}", index);
}

std::string strategy_html(const PartitionReport& report, const StrategyReport& strategy,
                          size_t index) {
  return fmt::format("<details class=\"strategy\"{}><summary><b>{}</b> <span class=\"step\">{}"
                     "</span> {}</summary>\n<div class=\"anchor\" id=\"{}\">\n{}</div></details>\n",
                     strategy.name == report.best ? " open" : "", escaped(strategy.name),
                     step_text(strategy), escaped(strategy.doc), strategy_anchor(index),
                     body_html(report, strategy, index));
}

} // namespace netc::report
