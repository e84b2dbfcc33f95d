#include "passes/partition/cost.h"

#include "ir/support/error.h"

#include <algorithm>
#include <numeric>

namespace netc {

std::string node_key(const Node& node) {
  NETC_CHECK(!node.body, "the key of `{}`, which is fused", node.name);
  std::string key = node.op->name + "(";
  const char* separator = "";
  for (const Value* operand : node.operands) {
    key += separator + operand->type.str();
    if (operand->layout != Layout::row_major)
      key += fmt::format(" {}", to_string(operand->layout));
    separator = ", ";
  }
  key += ")";
  separator = " {";
  for (const auto& [name, attribute] : node.attrs) {
    key += fmt::format("{}{} = {}", separator, name, to_string(attribute));
    separator = ", ";
  }
  return node.attrs.empty() ? key : key + "}";
}

double node_seconds(const Node& node, const DeviceProfile& device, const MeasuredTimes* measured) {
  NETC_CHECK(!node.body, "the time of `{}`, which is fused", node.name);
  if (std::holds_alternative<std::monostate>(node.op->lower))
    return 0;
  if (measured)
    if (auto known = measured->seconds.find(node_key(node)); known != measured->seconds.end())
      return known->second;
  auto own = device.operators.find(node.op->name);
  const bool has_own = own != device.operators.end();
  const double compute = has_own ? own->second : device.compute_efficiency;
  const double memory = has_own ? own->second : device.memory_efficiency;
  const auto flops = static_cast<double>(node.op->flops(node));
  const auto bytes = static_cast<double>(bytes_moved(node));
  return std::max(flops / (compute * device.flops_per_second),
                  bytes / (memory * device.bytes_per_second)) +
         device.launch_seconds;
}

int64_t Traffic::bytes_in(int device) const {
  int64_t sum = 0;
  for (const std::vector<int64_t>& row : bytes)
    sum += row[static_cast<size_t>(device)];
  return sum;
}

int64_t Traffic::bytes_out(int device) const {
  const std::vector<int64_t>& row = bytes[static_cast<size_t>(device)];
  return std::accumulate(row.begin(), row.end(), int64_t{0});
}

int64_t Traffic::all_bytes() const {
  int64_t sum = 0;
  for (int device = 0; device < devices(); ++device)
    sum += bytes_out(device);
  return sum;
}

Traffic traffic_of(const Exchange& exchange) {
  const auto devices = static_cast<size_t>(exchange.to.devices());
  Traffic traffic{bytes_sent(exchange), std::vector<int>(devices, 0),
                  std::vector<int64_t>(devices, 0)};
  const ExchangeSteps steps = steps_of(exchange);
  auto pull = [&](size_t from, size_t to, const Box& box) {
    if (is_empty(box))
      return;
    if (from != to)
      ++traffic.messages[to];
    else if (exchange.from.boxes[to] != exchange.to.boxes[to] || exchange.from.partial())
      traffic.local_bytes[to] += 2 * elements(box) * byte_size(exchange.type.dtype);
  };
  for (size_t to = 0; to < devices; ++to)
    for (size_t from = 0; from < devices; ++from)
      pull(from, to, intersect(steps.combined[to], exchange.from.boxes[from]));
  for (const Move& move : steps.moves)
    pull(static_cast<size_t>(move.from), static_cast<size_t>(move.to), move.box);
  return traffic;
}

double setup_seconds(const Traffic& traffic, int device, const MachineProfile& machine) {
  const auto i = static_cast<size_t>(device);
  const DeviceProfile& profile = machine.devices.at(i);
  return static_cast<double>(traffic.local_bytes[i]) /
             (profile.memory_efficiency * profile.bytes_per_second) +
         traffic.messages[i] * machine.link.latency_seconds;
}

double exchange_seconds(const Traffic& traffic, const MachineProfile& machine) {
  NETC_CHECK(traffic.devices() <= static_cast<int>(machine.devices.size()),
             "an exchange of {} devices on `{}`, which has {}", traffic.devices(), machine.name,
             machine.devices.size());
  double longest = 0;
  for (int device = 0; device < traffic.devices(); ++device) {
    const int64_t in = traffic.bytes_in(device), out = traffic.bytes_out(device);
    const int64_t bytes = in + out == 0              ? 0
                          : machine.link.shared      ? traffic.all_bytes()
                          : machine.link.full_duplex ? std::max(in, out)
                                                     : in + out;
    longest = std::max(longest, setup_seconds(traffic, device, machine) +
                                    static_cast<double>(bytes) / machine.link.bytes_per_second);
  }
  return longest;
}

double exchange_seconds(const Exchange& exchange, const MachineProfile& machine) {
  return exchange_seconds(traffic_of(exchange), machine);
}

} // namespace netc
