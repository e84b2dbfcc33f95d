#pragma once
// Exchanges: how a tensor comes from one sharding into another.

#include "ir/sharding.h"

namespace netc {

struct Node;

/// The kinds of exchanges, named as everywhere.
enum class ExchangeKind {
  all_reduce,     ///< Partial results, combined on every device.
  reduce_scatter, ///< Partial results, each device gets the combined elements of its shard.
  reduce,         ///< Partial results, combined on one device.
  all_gather,     ///< Shards, put together on every device.
  all_to_all,     ///< Shards, cut another way.
  halo,           ///< Shards, which grow by what neighbours hold.
  gather,         ///< Shards, put together on one device.
  scatter,        ///< From one device, a shard for each.
  broadcast,      ///< From one device to all.
  send,           ///< From one device to another.
  slice,          ///< Of what each device has itself; nothing is sent.
};
/// `all-reduce`, `reduce-scatter` ...
std::string_view to_string(ExchangeKind kind);

/// A tensor on its way from one sharding to another: every collective, and every message, is one.
/// All devices have the same exchanges in the same order.
struct Exchange {
  std::string name;  ///< Of the tensor.
  TensorType type{}; ///< Of all of it.
  Sharding from, to; ///< `to` holds no partial results.

  ExchangeKind kind() const;
  bool operator==(const Exchange&) const = default;
};

/// What a node of the operator `exchange` takes part in. Its name is the node's, so that nodes of
/// one exchange must be named alike on all devices.
Exchange exchange_of(const Node& node);

/// Elements that device `to` copies from device `from`.
struct Move {
  int from = 0;
  int to = 0;
  Box box;
  bool operator==(const Move&) const = default;
};

/// How an exchange runs. Devices pull: each takes what it lacks out of the memory of others, when
/// they are ready.
///
/// First, where there are partial results, device i combines `combined[i]` of all that hold it, in
/// the order of devices as a binary tree, ((0 + 1) + (2 + 3)) ...: the sum has the bits of a sum
/// over all that was cut in blocks. Then come the moves: out of the sources, or, where there were
/// partial results, out of what others have combined. Devices that all want the same box thus share
/// the work of combining it, a chunk each, unless that is not worth a second message; where they
/// want different ones, each combines its own.
struct ExchangeSteps {
  std::vector<Box> combined; ///< By device; all empty without partial results.
  std::vector<Move> moves;   ///< `from` == `to`: out of the device's own source.
};
ExchangeSteps steps_of(const Exchange& exchange);

/// Calls pull(from, to, box) for each box that device `to` takes out of what `from` holds, empty
/// ones and its own among them.
template <class Pull>
void for_each_pull(const Exchange& exchange, const ExchangeSteps& steps, Pull pull) {
  for (size_t to = 0; to < exchange.to.boxes.size(); ++to)
    for (size_t from = 0; from < exchange.from.boxes.size(); ++from)
      pull(from, to, intersect(steps.combined[to], exchange.from.boxes[from]));
  for (const Move& move : steps.moves)
    pull(static_cast<size_t>(move.from), static_cast<size_t>(move.to), move.box);
}

/// Bytes that device `from` sends to device `to`: [from][to].
std::vector<std::vector<int64_t>> bytes_sent(const Exchange& exchange);

} // namespace netc
