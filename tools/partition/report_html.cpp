#include "tools/partition/figures.h"
#include "tools/partition/html_parts.h"
#include "tools/partition/html_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace netc {

namespace report {

namespace {

constexpr std::string_view style =
#include "tools/report.css.inc"
    ;
constexpr std::string_view script =
#include "tools/report.js.inc"
    ;

/// Pairs of names and values; those without a value are left out.
std::string facts(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string items;
  for (const auto& [name, value] : pairs)
    if (!value.empty())
      items += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(name), escaped(value));
  return fmt::format("<dl class=\"facts\">\n{}</dl>\n", items);
}

/// A part with its heading; nothing without a body.
std::string section(std::string_view title, std::string_view hint, const std::string& body) {
  if (body.empty())
    return "";
  return fmt::format("<section>\n<h2>{}</h2>\n{}{}</section>\n", title,
                     hint.empty() ? "" : fmt::format("<p class=\"hint\">{}</p>\n", hint), body);
}

std::string header_html(const PartitionReport& report) {
  std::string out =
      fmt::format("<header>\n<h1>{} over {} {}</h1>\n", escaped(report.network),
                  report.devices.size(), report.devices.size() == 1 ? "device" : "devices");
  out += facts({{"batch", fmt::format("{}", report.batch)},
                {"arithmetic", report.math},
                {"devices", fmt::format("{}", fmt::join(report.devices, ", "))},
                {"predicted for", report.machine},
                {"link", report.link},
                {"measured", measured_elsewhere(report) ? "on this machine, another one" : ""}});
  if (!report.banner.empty())
    out += fmt::format("<p class=\"banner\" role=\"note\">{}</p>\n", escaped(report.banner));
  return out + fmt::format("<p class=\"summary\">{}</p>\n</header>\n", escaped(summary(report)));
}

std::string notes_html(const PartitionReport& report) {
  std::string items;
  for (const std::string& note : report.notes)
    items += fmt::format("<li>{}</li>\n", escaped(note));
  return items.empty() ? "" : fmt::format("<ul>\n{}</ul>\n", items);
}

std::string details_html(const PartitionReport& report) {
  std::string out;
  for (size_t i = 0; i < report.strategies.size(); ++i)
    out += strategy_html(report, report.strategies[i], i);
  return out;
}

std::string footer_html(const PartitionReport& report) {
  return "<footer>\n" +
         facts({{"host", report.host},
                {"version", report.version},
                {"seed", fmt::format("{}", report.seed)},
                {"search", report.search_seconds ? fmt::format("{:.3f} s", *report.search_seconds)
                                                 : std::string()}}) +
         "</footer>\n";
}

} // namespace

std::string sweeps_html(const PartitionReport& report) {
  std::string out;
  for (const Sweep& sweep : report.sweeps) {
    const std::string svg = sweep_svg(report, sweep);
    if (svg.empty())
      continue;
    std::string items;
    for (const Sweep::Crossover& c : sweep.crossovers)
      items += fmt::format("<li>At {} the fastest changes from <b>{}</b> to <b>{}</b>.</li>\n",
                           sweep_point(sweep, c.at), escaped(c.from), escaped(c.to));
    out += fmt::format("<h3>By {}</h3>\n<div class=\"scroll sweep\" tabindex=\"0\">{}</div>\n{}",
                       escaped(sweep.what), svg,
                       items.empty() ? ""
                                     : fmt::format("<ol class=\"crossovers\">\n{}</ol>\n", items));
  }
  return out;
}

} // namespace report

std::string partition_html(const PartitionReport& report) {
  using namespace report;
  const std::string body =
      header_html(report) +
      section("Strategies",
              "Predictions are of two kinds: what the device with most to do computes and all "
              "exchanges, added up; and a simulation in which exchanges overlap with computing.",
              strategies_html(report)) +
      section("Sweeps",
              "Simulated; a line ends where a step does not fit into memory. The strategy auto is "
              "the one found for the batch and the link above, so that it is not among those that "
              "change places.",
              sweeps_html(report)) +
      section(
          "Why not otherwise?",
          "The step in ms, if one layer were cut so and all others as suits that best; below it "
          "how much longer it is than the fastest. The search adds up what each operator takes "
          "on the slowest device, before any are fused, and all exchanges.",
          choices_html(report)) +
      section("Who sends what to whom", "Megabytes over each link in one step.",
              links_html(report)) +
      section("Each strategy", "", details_html(report)) + section("Notes", "", notes_html(report));
  return fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<title>{} over {} devices</title>\n<style>\n{}</style>\n</head>\n<body>\n"
                     "<main>\n{}</main>\n{}<script>\n{}</script>\n</body>\n</html>\n",
                     escaped(report.network), report.devices.size(), style, body,
                     footer_html(report), script);
}

} // namespace netc
