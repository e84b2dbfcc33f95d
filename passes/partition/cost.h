#pragma once
// What nodes and exchanges are predicted to take on a machine.

#include "ir/device_profile.h"
#include "ir/exchange.h"
#include "ir/op.h"

namespace netc {

/// The shares of a device's peaks that the kernels of an operator reach, by the seconds that they
/// would take at the peaks: small ones reach less.
using ReachedShares = std::map<double, double>;

/// Times as measured, in seconds.
struct MeasuredTimes {
  /// Of nodes that were executed as they are, by node_key.
  std::map<std::string, double> seconds;
  /// By unrounded_key, of nodes that were executed as members of fused ones, their shares of the
  /// fused ones' times; and of those that were executed over rounded values.
  std::map<std::string, double> shares{};
  /// By operator, of nodes whose arithmetic is mostly its.
  std::map<std::string, ReachedShares> reached{};
  bool operator==(const MeasuredTimes&) const = default;
};

/// What the time of a node depends on: operator, types and layouts of its operands, attributes; no
/// names, and nothing of where in a whole tensor its part lies. Of a fused node also its members:
/// what each applies to which of the values before it.
/// `linear(tf32[64,9216], f32[4096,9216]) {precision = "tf32"} -> tf32`, where memory holds the
/// first operand and the result rounded (Value::storage).
std::string node_key(const Node& node);

/// The same but for how memory holds values: of graphs that have yet to be given it.
std::string unrounded_key(const Node& node);

/// Whether running the node runs a kernel, and so takes time.
bool is_executed(const Node& node);

/// Of a node that is not fused, itself; else the members that compute something, in their order.
std::vector<const Node*> executed_members(const Node& node);

/// The member that most of the node's arithmetic belongs to.
const Node& main_member(const Node& node);

/// Seconds at the device's peaks: the arithmetic of its members or the bytes of its operands and
/// results, whichever takes longer.
double peak_seconds(const Node& node, const DeviceProfile& device);

/// Seconds of a node: measured, its own before shares; or those at the device's peaks over what
/// measured kernels of its main operator reach of them that take about as long; or, without such,
/// by the roofline, which is what the device's efficiencies make of the peaks; and the launch.
/// Nodes that are not executed take none.
double node_seconds(const Node& node, const DeviceProfile& device,
                    const MeasuredTimes* measured = nullptr);

/// What an exchange moves.
struct Traffic {
  std::vector<std::vector<int64_t>> bytes; ///< [from][to], as bytes_sent() has them.
  std::vector<int> messages;               ///< By device: how often it pulls from another.
  std::vector<int64_t> local_bytes;        ///< By device: read and written in its own memory.

  int devices() const { return static_cast<int>(bytes.size()); }
  int64_t bytes_in(int device) const;
  int64_t bytes_out(int device) const;
  int64_t all_bytes() const;
};
Traffic traffic_of(const Exchange& exchange);

/// Seconds that a device spends on an exchange before anything comes over the link: what it copies
/// and combines in its own memory, and the latency of the messages it pulls.
double setup_seconds(const Traffic& traffic, int device, const MachineProfile& machine);

/// Bytes that must come over the device's way to others before it has what it needs; those of all
/// devices where the link is shared.
int64_t link_bytes(const Traffic& traffic, int device, const LinkProfile& link);

/// Seconds of an exchange that all devices begin at once, until the last has what it needs. The
/// machine has at least as many devices as the exchange.
double exchange_seconds(const Traffic& traffic, const MachineProfile& machine);
double exchange_seconds(const Exchange& exchange, const MachineProfile& machine);

} // namespace netc
