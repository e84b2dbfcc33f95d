#include "passes/partition/cost.h"

#include "ir/ops.h"
#include "ir/support/error.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

namespace netc {

namespace {

/// Says where in a whole tensor a part lies, or which random numbers it gets: the devices' parts of
/// one node differ in nothing else.
bool tells_parts_apart(const std::string& attribute) {
  return attribute == "at" || attribute == "first_class" || attribute == "stream";
}

/// `held`: the key tells how memory holds values.
class NodeKey {
public:
  explicit NodeKey(bool held) : held_(held) {}

  std::string of(const Node& node) const {
    std::string key = application(node, [](const Value*) { return std::string(); });
    if (held_)
      key += rounded_results(node);
    return node.body ? key + body_text(*node.body) : key;
  }

private:
  /// `name(operands) {attributes}`; `prefix` gives what stands before the type of an operand.
  template <class Prefix> std::string application(const Node& node, const Prefix& prefix) const {
    std::string text = node.op->name + "(";
    const char* separator = "";
    for (const Value* operand : node.operands) {
      text += separator + prefix(operand) + (held_ ? operand->stored() : operand->type).str();
      if (operand->layout != Layout::row_major)
        text += fmt::format(" {}", to_string(operand->layout));
      separator = ", ";
    }
    text += ")";
    separator = " {";
    for (const auto& [name, attribute] : node.attrs) {
      if (tells_parts_apart(name))
        continue;
      text += fmt::format("{}{} = {}", separator, name, to_string(attribute));
      separator = ", ";
    }
    return *separator == ',' ? text + "}" : text;
  }

  /// ` -> bf16, f32`; nothing where no result is rounded.
  static std::string rounded_results(const Node& node) {
    std::string text, separator = " -> ";
    bool rounded = false;
    for (const auto& result : node.results) {
      rounded = rounded || result->storage;
      text += fmt::format("{}{}", separator, to_string(result->stored().dtype));
      separator = ", ";
    }
    return rounded ? text : "";
  }

  /// The body's nodes, whose values are numbered in their order, and which of them it gives.
  std::string body_text(const Graph& body) const {
    std::unordered_map<const Value*, size_t> numbers;
    std::string text = " [";
    for (const auto& node : body.nodes) {
      if (node->op != &ops::argument)
        text += fmt::format("{}; ", application(*node, [&](const Value* operand) {
                              return fmt::format("%{} ", numbers.at(operand));
                            }));
      for (const auto& result : node->results)
        numbers.emplace(result.get(), numbers.size());
    }
    for (const Graph::Output& output : body.outputs)
      text += fmt::format("%{} ", numbers.at(output.value));
    text.back() = ']';
    return text;
  }

  bool held_;
};

} // namespace

std::string node_key(const Node& node) {
  return NodeKey(true).of(node);
}

std::string unrounded_key(const Node& node) {
  return NodeKey(false).of(node);
}

bool is_executed(const Node& node) {
  return node.body || !std::holds_alternative<std::monostate>(node.op->lower);
}

std::vector<const Node*> executed_members(const Node& node) {
  if (!node.body)
    return {&node};
  std::vector<const Node*> members;
  for (const auto& member : node.body->nodes)
    if (is_executed(*member))
      members.push_back(member.get());
  return members;
}

const Node& main_member(const Node& node) {
  const std::vector<const Node*> members = executed_members(node);
  return **std::max_element(members.begin(), members.end(), [](const Node* a, const Node* b) {
    return a->op->flops(*a) < b->op->flops(*b);
  });
}

double peak_seconds(const Node& node, const DeviceProfile& device) {
  double flops = 0;
  for (const Node* member : executed_members(node))
    flops += static_cast<double>(member->op->flops(*member));
  return std::max(flops / device.flops_per_second,
                  static_cast<double>(bytes_moved(node)) / device.bytes_per_second);
}

namespace {

/// In proportion between the kernels that take a little more and a little less, on a logarithmic
/// scale.
double share_for(const ReachedShares& reached, double seconds) {
  const auto above = reached.lower_bound(seconds);
  if (above == reached.begin())
    return above->second;
  const auto below = std::prev(above);
  if (above == reached.end())
    return below->second;
  const double way = std::log(seconds / below->first) / std::log(above->first / below->first);
  return below->second + way * (above->second - below->second);
}

/// The efficiency that an operator has in place of the device's, or else `usual`.
double efficiency(const Node& node, const DeviceProfile& device, double usual) {
  auto own = device.operators.find(node.op->name);
  return own == device.operators.end() ? usual : own->second;
}

double roofline_seconds(const Node& node, const DeviceProfile& device) {
  double compute = 0, longest = -1, memory_efficiency = device.memory_efficiency;
  for (const Node* member : executed_members(node)) {
    const double seconds =
        static_cast<double>(member->op->flops(*member)) /
        (efficiency(*member, device, device.compute_efficiency) * device.flops_per_second);
    compute += seconds;
    if (seconds > longest) {
      longest = seconds;
      memory_efficiency = efficiency(*member, device, device.memory_efficiency);
    }
  }
  const double memory =
      static_cast<double>(bytes_moved(node)) / (memory_efficiency * device.bytes_per_second);
  return std::max(compute, memory) + device.launch_seconds;
}

} // namespace

double node_seconds(const Node& node, const DeviceProfile& device, const MeasuredTimes* measured) {
  if (!is_executed(node))
    return 0;
  if (measured) {
    if (auto known = measured->seconds.find(node_key(node)); known != measured->seconds.end())
      return known->second;
    if (auto known = measured->shares.find(unrounded_key(node)); known != measured->shares.end())
      return known->second;
    auto reached = measured->reached.find(main_member(node).op->name);
    if (reached != measured->reached.end() && !reached->second.empty()) {
      const double seconds = peak_seconds(node, device);
      return seconds / share_for(reached->second, seconds) + device.launch_seconds;
    }
  }
  return roofline_seconds(node, device);
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
  for_each_pull(exchange, steps_of(exchange), [&](size_t from, size_t to, const Box& box) {
    if (is_empty(box))
      return;
    if (from != to)
      ++traffic.messages[to];
    else if (exchange.from.boxes[to] != exchange.to.boxes[to])
      traffic.local_bytes[to] += 2 * elements(box) * byte_size(exchange.type.dtype);
    else if (exchange.from.partial()) // replaces the source, which others still read: set aside
      traffic.local_bytes[to] += 4 * elements(box) * byte_size(exchange.type.dtype);
  });
  return traffic;
}

double setup_seconds(const Traffic& traffic, int device, const MachineProfile& machine) {
  const auto i = static_cast<size_t>(device);
  const DeviceProfile& profile = machine.devices.at(i);
  return static_cast<double>(traffic.local_bytes[i]) /
             (profile.memory_efficiency * profile.bytes_per_second) +
         traffic.messages[i] * machine.link.latency_seconds;
}

int64_t link_bytes(const Traffic& traffic, int device, const LinkProfile& link) {
  const int64_t in = traffic.bytes_in(device), out = traffic.bytes_out(device);
  return in + out == 0      ? 0
         : link.shared      ? traffic.all_bytes()
         : link.full_duplex ? std::max(in, out)
                            : in + out;
}

double exchange_seconds(const Traffic& traffic, const MachineProfile& machine) {
  NETC_CHECK(traffic.devices() <= static_cast<int>(machine.devices.size()),
             "an exchange of {} devices on `{}`, which has {}", traffic.devices(), machine.name,
             machine.devices.size());
  double longest = 0;
  for (int device = 0; device < traffic.devices(); ++device) {
    const auto bytes = static_cast<double>(link_bytes(traffic, device, machine.link));
    longest = std::max(longest, setup_seconds(traffic, device, machine) +
                                    bytes / machine.link.bytes_per_second);
  }
  return longest;
}

double exchange_seconds(const Exchange& exchange, const MachineProfile& machine) {
  return exchange_seconds(traffic_of(exchange), machine);
}

} // namespace netc
