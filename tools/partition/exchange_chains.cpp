#include "tools/partition/exchange_chains.h"

#include "ir/ops.h"

#include <algorithm>

namespace netc {

namespace {

/// Of tensors. Small ones tell the latency. Large ones tell the bandwidth: none of them fits into
/// the caches, in which what a step exchanges was not used for long.
constexpr int64_t kilobytes[] = {1, 2, 4, 48 << 10, 64 << 10, 80 << 10, 96 << 10, 128 << 10};
constexpr int64_t bytes_of_chain = 64 << 20;
constexpr int64_t fewest_exchanges = 4, most_exchanges = 64;

/// A chain goes from the start, which parameters may have, to the first of the round, to the second
/// ... and back to the first.
struct Pattern {
  std::string name;
  Sharding start;
  std::vector<Sharding> round;

  /// Before exchange `i`.
  const Sharding& at(size_t i) const { return i == 0 ? start : round[(i - 1) % round.size()]; }
};

std::vector<Pattern> patterns(const Shape& shape, int devices) {
  const Sharding parts = cut_along(shape, 0, even_bounds(shape[0], devices));
  Sharding turned = parts;
  std::rotate(turned.boxes.begin(), turned.boxes.begin() + 1, turned.boxes.end());
  Sharding sums = replicated(shape, devices);
  sums.combine = Combine::sum;
  const Sharding first = on_device(shape, devices, 0), second = on_device(shape, devices, 1);
  return {{"all-to-all", parts, {turned, parts}},
          {"send", first, {second, first}},
          {"all-reduce", parts, {sums}},
          {"reduce-scatter, all-gather", parts, {sums, parts}}};
}

/// What a device holds at first. Chains that begin alike share it.
Value* source(Graph& graph, const Sharding& sharding, const Shape& whole, int device) {
  const Box& box = sharding.at(device);
  if (is_empty(box))
    return nullptr;
  Attributes attrs{{"shape", shape_of(box)}};
  if (shape_of(box) != whole) {
    attrs.set("whole", whole);
    attrs.set("at", std::vector<int64_t>{box[0].begin});
  }
  return GraphBuilder(graph).value(ops::parameter,
                                   fmt::format("{} {}", whole[0], describe(sharding, whole)), {},
                                   std::move(attrs));
}

/// What a device holds after an exchange; null if nothing.
Value* append(Graph& graph, int device, const Exchange& exchange, Value* held) {
  Node* node = GraphBuilder(graph).apply(ops::exchange, exchange.name,
                                         held ? std::vector<Value*>{held} : std::vector<Value*>{},
                                         {{"shape", exchange.type.shape},
                                          {"from", print(exchange.from)},
                                          {"to", print(exchange.to)},
                                          {"device", int64_t{device}}});
  return node->results.empty() ? nullptr : node->result();
}

ExchangeChain chain_of(const Pattern& pattern, const Shape& shape, int devices) {
  const int64_t bytes = shape[0] * 4;
  ExchangeChain chain{fmt::format("{} of {} bytes", pattern.name, bytes), {}, {}};
  const int64_t count =
      std::clamp<int64_t>(bytes_of_chain / bytes, fewest_exchanges, most_exchanges);
  std::vector<Exchange> exchanges;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    Exchange& exchange = exchanges.emplace_back();
    exchange.name = fmt::format("step{}", i);
    exchange.type = {DType::f32, shape};
    exchange.from = pattern.at(i);
    exchange.to = pattern.at(i + 1);
    exchange.to.combine = Combine::none;
    chain.exchanges.push_back(traffic_of(exchange));
  }
  for (int device = 0; device < devices; ++device) {
    Graph graph(chain.name);
    Value* held = source(graph, exchanges[0].from, shape, device);
    for (const Exchange& exchange : exchanges)
      held = append(graph, device, exchange, held);
    chain.graphs.push_back(std::move(graph));
  }
  return chain;
}

} // namespace

std::vector<ExchangeChain> exchange_chains(int devices) {
  std::vector<ExchangeChain> chains;
  if (devices < 2)
    return chains;
  for (int64_t size : kilobytes) {
    const Shape shape{size * 1024 / 4};
    for (const Pattern& pattern : patterns(shape, devices))
      chains.push_back(chain_of(pattern, shape, devices));
  }
  return chains;
}

} // namespace netc
