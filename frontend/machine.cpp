#include "frontend/machine.h"

#include "frontend/keys.h"
#include "frontend/section.h"
#include "ir/op.h"
#include "ir/strategy.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace netc {

using namespace frontend;

namespace {

constexpr double giga = 1e9, microseconds = 1e6; // 20 / 1e6 is 20e-6, 20 * 1e-6 is not

/// `operators: {conv2d: 0.5}`.
void read_operators(const YamlNode& value, DeviceProfile& device, Diagnostics& diagnostics) {
  ValueReader reader(diagnostics);
  if (!value.is_map()) {
    reader.mismatch(value, "`operators`", "a map of operators to efficiencies");
    return;
  }
  std::vector<std::string> known;
  for (const OpDef* op : all_ops())
    known.push_back(op->name);
  for (const YamlEntry& entry : value.entries) {
    if (!find_op(entry.key))
      diagnostics.error(entry.loc, fmt::format("no operator {}{}", quote(entry.key),
                                               suggestion(entry.key, known)));
    else if (auto share = reader.real(*entry.value, efficiency_key(), quote(entry.key)))
      device.operators[entry.key] = *share;
  }
}

/// Appends an entry of `devices:`, as often as it counts.
void read_device(const YamlNode& value, MachineProfile& machine, Diagnostics& diagnostics) {
  Section section(value, "an entry of `devices`", diagnostics);
  Attributes keys;
  const bool ok = section.read(device_keys(), keys);
  DeviceProfile device;
  if (const YamlNode* operators = section.take("operators"))
    read_operators(*operators, device, diagnostics);
  section.finish();
  if (!ok)
    return;
  device.name = keys.text("name");
  device.flops_per_second = keys.real("gflops") * giga;
  device.compute_efficiency = keys.real("compute_efficiency");
  device.bytes_per_second = keys.real("gb_per_second") * giga;
  device.memory_efficiency = keys.real("memory_efficiency");
  device.launch_seconds = keys.real("launch_us") / microseconds;
  device.memory_bytes = static_cast<int64_t>(std::ldexp(keys.real("memory_gib"), 30));
  machine.devices.insert(machine.devices.end(), static_cast<size_t>(keys.integer("count")), device);
}

void read_devices(const YamlNode& value, MachineProfile& machine, Diagnostics& diagnostics) {
  if (!value.is_list() || value.items.empty()) {
    ValueReader(diagnostics).mismatch(value, "`devices`", "a list of devices");
    return;
  }
  for (const YamlPtr& item : value.items)
    read_device(*item, machine, diagnostics);
  if (machine.devices.size() > most_devices)
    diagnostics.error(value.loc, fmt::format("the machine has {} devices, at most {}",
                                             machine.devices.size(), most_devices));
}

void read_link(const YamlNode& value, LinkProfile& link, Diagnostics& diagnostics) {
  Section section(value, "`link`", diagnostics);
  Attributes keys;
  const bool ok = section.read(link_keys(), keys);
  section.finish();
  if (ok)
    link = {keys.real("latency_us") / microseconds, keys.real("gb_per_second") * giga,
            keys.flag("full_duplex"), keys.flag("shared"), keys.flag("overlaps")};
}

struct Unit {
  const char* name;
  double size;
  bool rate;
};

/// Bandwidths in bytes or bits a second, and times. Case matters: B is a byte, b a bit.
constexpr Unit units[] = {
    {"B/s", 1, true},        {"kB/s", 1e3, true},     {"MB/s", 1e6, true},
    {"GB/s", 1e9, true},     {"TB/s", 1e12, true},    {"kb/s", 1e3 / 8, true},
    {"Mb/s", 1e6 / 8, true}, {"Gb/s", 1e9 / 8, true}, {"Tb/s", 1e12 / 8, true},
    {"s", 1, false},         {"ms", 1e-3, false},     {"us", 1e-6, false},
    {"ns", 1e-9, false},
};

[[noreturn]] void bad_link(std::string message) {
  user_error(std::move(message), "a link is a bandwidth and a latency, for example `6GB/s,20us`; "
                                 "units are B/s, kB/s, MB/s, GB/s, TB/s (bytes), kb/s, Mb/s, "
                                 "Gb/s, Tb/s (bits), s, ms, us, ns");
}

/// The value in bytes a second or in seconds is what the key of a machine's file may be.
void check_quantity(std::string_view part, bool rate, double value) {
  const std::string name = rate ? "gb_per_second" : "latency_us";
  const auto key = std::find_if(link_keys().begin(), link_keys().end(),
                                [&](const AttrDef& def) { return def.name == name; });
  const double in_file = rate ? value / giga : value * microseconds;
  if (!(in_file >= key->min && in_file <= key->max)) // nor NaN
    bad_link(fmt::format("{} is no {} of a link, in {} it must be {}", quote(part),
                         rate ? "bandwidth" : "latency", rate ? "GB/s" : "us", range_string(*key)));
}

/// `6GB/s` or `20us`: the value in bytes a second or in seconds.
std::pair<const Unit*, double> read_quantity(std::string_view part) {
  double number = std::numeric_limits<double>::quiet_NaN(); // stays where it fits no double
  const auto [end, code] = std::from_chars(part.data(), part.data() + part.size(), number);
  std::string_view name = part.substr(static_cast<size_t>(end - part.data()));
  name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
  if (code == std::errc::invalid_argument)
    bad_link(fmt::format("{} does not begin with a number", quote(part)));
  const Unit* unit = std::find_if(std::begin(units), std::end(units),
                                  [&](const Unit& u) { return name == u.name; });
  if (unit == std::end(units))
    bad_link(name.empty() ? fmt::format("{} has no unit", quote(part))
                          : fmt::format("{} is no unit", quote(name)));
  const double value = number * unit->size;
  check_quantity(part, unit->rate, value);
  return {unit, value};
}

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

} // namespace

std::optional<MachineProfile> parse_machine(const std::string& text, const std::string& file_name,
                                            Diagnostics& diagnostics) {
  MachineProfile machine;
  auto read = [&](Section& section) {
    if (const YamlNode* name = section.require("name", "of the machine, for example `k20`"))
      machine.name =
          ValueReader(diagnostics).name(*name, section.what("name")).value_or(std::string{});
    if (const YamlNode* devices = section.require("devices", "the list of its devices"))
      read_devices(*devices, machine, diagnostics);
    if (const YamlNode* link = section.require(
            "link", "between devices, for example {gb_per_second: 6, latency_us: 20}"))
      read_link(*link, machine.link, diagnostics);
  };
  const Document document{text, file_name, "the machine",
                          "a machine has the keys `name`, `devices` and `link`"};
  if (!read_document(document, diagnostics, read))
    return std::nullopt;
  return machine;
}

LinkProfile parse_link(std::string_view text, LinkProfile link) {
  bool has_rate = false, has_latency = false;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = trimmed(text.substr(begin, end - begin));
    if (part.empty() && text.find(',') != text.npos)
      bad_link(fmt::format("{} has a comma without a quantity beside it", quote(text)));
    const auto [unit, value] = read_quantity(part);
    bool& given = unit->rate ? has_rate : has_latency;
    if (given)
      bad_link(fmt::format("{} has two {}", quote(text), unit->rate ? "bandwidths" : "latencies"));
    given = true;
    (unit->rate ? link.bytes_per_second : link.latency_seconds) = value;
    begin = end + 1;
  }
  return link;
}

} // namespace netc
