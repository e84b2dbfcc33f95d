#include "ir/exchange.h"

#include "ir/support/error.h"

#include <algorithm>

namespace netc {

std::string_view to_string(ExchangeKind kind) {
  switch (kind) {
  case ExchangeKind::all_reduce:
    return "all-reduce";
  case ExchangeKind::reduce_scatter:
    return "reduce-scatter";
  case ExchangeKind::reduce:
    return "reduce";
  case ExchangeKind::all_gather:
    return "all-gather";
  case ExchangeKind::all_to_all:
    return "all-to-all";
  case ExchangeKind::halo:
    return "halo";
  case ExchangeKind::gather:
    return "gather";
  case ExchangeKind::scatter:
    return "scatter";
  case ExchangeKind::broadcast:
    return "broadcast";
  case ExchangeKind::send:
    return "send";
  case ExchangeKind::slice:
    break;
  }
  return "slice";
}

ExchangeKind Exchange::kind() const {
  const std::vector<int> sources = from.holders(), targets = to.holders();
  if (from.partial())
    return targets.size() == 1 ? ExchangeKind::reduce
           : to.disjoint()     ? ExchangeKind::reduce_scatter
                               : ExchangeKind::all_reduce;
  if (std::all_of(targets.begin(), targets.end(),
                  [&](int i) { return contains(from.at(i), to.at(i)); }))
    return ExchangeKind::slice;
  const bool one_source = sources.size() == 1 || from.alike();
  if (targets.size() == 1)
    return one_source ? ExchangeKind::send : ExchangeKind::gather;
  if (one_source)
    return to.disjoint() ? ExchangeKind::scatter : ExchangeKind::broadcast;
  if (to.alike())
    return ExchangeKind::all_gather;
  const bool grows = std::all_of(targets.begin(), targets.end(),
                                 [&](int i) { return contains(to.at(i), from.at(i)); });
  return grows ? ExchangeKind::halo : ExchangeKind::all_to_all;
}

namespace {

/// Below this many elements a second round of messages costs more than combining all of it twice.
constexpr int64_t least_chunked = 4096;

/// The parts of `box` that the devices combine for each other: cut along its longest dimension.
std::vector<Box> chunks(const Box& box, const std::vector<int>& devices, int all) {
  std::vector<Box> list(static_cast<size_t>(all));
  size_t dim = 0;
  for (size_t d = 1; d < box.size(); ++d)
    if (box[d].extent() > box[dim].extent())
      dim = d;
  std::vector<int64_t> bounds = even_bounds(box[dim].extent(), static_cast<int>(devices.size()));
  for (size_t i = 0; i < devices.size(); ++i) {
    Box chunk = box;
    chunk[dim] = {box[dim].begin + bounds[i], box[dim].begin + bounds[i + 1]};
    if (!is_empty(chunk))
      list[static_cast<size_t>(devices[i])] = chunk;
  }
  return list;
}

ExchangeSteps combining_steps(const Exchange& exchange) {
  ExchangeSteps steps{exchange.to.boxes, {}};
  const std::vector<int> targets = exchange.to.holders();
  if (targets.size() < 2 || !exchange.to.alike() ||
      elements(exchange.to.at(targets.front())) < least_chunked)
    return steps;
  steps.combined = chunks(exchange.to.at(targets.front()), targets, exchange.to.devices());
  for (int to : targets)
    for (int from : targets)
      if (from != to && !is_empty(steps.combined[static_cast<size_t>(from)]))
        steps.moves.push_back({from, to, steps.combined[static_cast<size_t>(from)]});
  return steps;
}

/// Takes all of `wanted` that the device holds out of `wanted`, as a move.
void take(const Exchange& exchange, int from, int to, std::vector<Box>& wanted,
          std::vector<Move>& moves) {
  std::vector<Box> rest;
  for (const Box& box : wanted) {
    Box have = intersect(box, exchange.from.at(from));
    if (!is_empty(have))
      moves.push_back({from, to, have});
    for (Box& part : difference(box, have))
      rest.push_back(std::move(part));
  }
  wanted = std::move(rest);
}

} // namespace

ExchangeSteps steps_of(const Exchange& exchange) {
  if (exchange.from.partial())
    return combining_steps(exchange);
  const int devices = exchange.to.devices();
  ExchangeSteps steps{std::vector<Box>(static_cast<size_t>(devices)), {}};
  for (int to : exchange.to.holders()) {
    std::vector<Box> wanted = {exchange.to.at(to)};
    // Its own first, then the nearest: several that hold the same share the work of sending it.
    for (int distance = 0; distance < devices; ++distance)
      for (int from : {to - distance, to + distance})
        if (from >= 0 && from < devices && !wanted.empty())
          take(exchange, from, to, wanted, steps.moves);
    NETC_CHECK(wanted.empty(), "nobody holds {} of `{}`", to_text(wanted.front()), exchange.name);
  }
  return steps;
}

std::vector<std::vector<int64_t>> bytes_sent(const Exchange& exchange) {
  const size_t devices = exchange.to.boxes.size();
  std::vector<std::vector<int64_t>> bytes(devices, std::vector<int64_t>(devices, 0));
  for_each_pull(exchange, steps_of(exchange), [&](size_t from, size_t to, const Box& box) {
    if (from != to)
      bytes[from][to] += elements(box) * byte_size(exchange.type.dtype);
  });
  return bytes;
}

} // namespace netc
