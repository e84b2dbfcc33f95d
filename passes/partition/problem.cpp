#include "passes/partition/problem.h"

#include "ir/ops.h"
#include "passes/partition/strategies.h"

#include <algorithm>
#include <limits>
#include <map>

namespace netc {

namespace {

/// What the search may decide for one layer.
std::vector<LayerCut> all_cuts(StrategyLayer::Kind kind, const std::vector<int>& alone) {
  using Kind = StrategyLayer::Kind;
  std::vector<LayerCut> cuts = {{.cut = Cut::whole}, {.cut = Cut::data}};
  if (kind != Kind::input)
    cuts.push_back({.cut = Cut::filter});
  if (kind == Kind::convolution)
    cuts.push_back({.cut = Cut::spatial});
  if (kind == Kind::convolution || kind == Kind::linear)
    for (Cut then : {Cut::whole, Cut::data, Cut::filter})
      cuts.push_back({.cut = Cut::channel, .then = then});
  for (int device : alone)
    cuts.push_back({.cut = Cut::device, .device = device});
  return cuts;
}

/// Seconds and bytes of a step by whose decisions they depend on.
struct Bill {
  struct Layer {
    double computes = 0, exchanges = 0;
    int64_t bytes = 0; ///< Held by the fullest device.
  };
  std::vector<Layer> layers;
  std::map<std::pair<int, int>, double> edges;

  void charge(int a, int b, double Layer::*what, double seconds) {
    if (a == b)
      layers[static_cast<size_t>(a)].*what += seconds;
    else
      edges[{std::min(a, b), std::max(a, b)}] += seconds;
  }
};

/// What nodes of the whole graph take on the slowest device, in the order of the devices' graphs.
class SlowestNodes {
public:
  SlowestNodes(const CutStep& step, const StepCosts& costs) {
    for (size_t d = 0; d < step.graphs.size(); ++d)
      for (const auto& node : step.graphs[d].nodes)
        if (node->op != &ops::exchange && node->op != &ops::feed && node->op != &ops::parameter)
          meet(step.origins.at(node.get()).node, costs.node(*node, static_cast<int>(d)));
  }
  const std::vector<std::pair<const Node*, double>>& seconds() const { return seconds_; }

private:
  void meet(const Node* node, double seconds) {
    auto [it, first] = index_.try_emplace(node, seconds_.size());
    if (first)
      seconds_.emplace_back(node, seconds);
    double& most = seconds_[it->second].second;
    most = std::max(most, seconds);
  }
  std::unordered_map<const Node*, size_t> index_;
  std::vector<std::pair<const Node*, double>> seconds_;
};

class ProblemBuilder {
public:
  ProblemBuilder(const WholeStep& step, int devices, const StepCosts& costs)
      : step_(step), devices_(devices), costs_(costs) {}

  PartitionProblem build() {
    problem_.devices = devices_;
    make_segments();
    find_choices();
    find_edges();
    fill_layers();
    for (const std::vector<size_t>& matching : matchings())
      fill_edges(matching);
    return std::move(problem_);
  }

private:
  /// Segments begin at layers that decide; those before the first belong to it.
  void make_segments() {
    for (const StrategyLayer& layer : strategy_layers(step_.graph, step_.places)) {
      if (layer.kind != StrategyLayer::Kind::other) {
        problem_.search.layers.push_back({layer.name, {}});
        kinds_.push_back(layer.kind);
      }
      segment_of_layer_[layer.name] = std::max<int>(0, segments() - 1);
    }
    for (const LayerPlace& place : step_.places)
      segment_at_[{place.loc.line, place.loc.column}] = segment_of_layer_[place.name];
  }

  int segments() const { return static_cast<int>(problem_.search.layers.size()); }

  /// A join of branches counts to the segment above it in the description.
  int segment_of(const Node& node) const {
    auto it = segment_at_.find({node.loc.line, node.loc.column});
    return it == segment_at_.end() ? 0 : it->second;
  }

  /// Segments on whose decisions a node depends: what only changes a shape in front of a weighted
  /// layer is cut as what it reads.
  std::pair<int, int> deciders(const Node& node) const {
    const int own = segment_of(node);
    auto origin = step_.origins.find(&node);
    const Node& forward = origin == step_.origins.end() ? node : *origin->second;
    if (forward.op != &ops::flatten)
      return {own, own};
    return {segment_of(*forward.operands[0]->node), own};
  }

  Strategy strategy(const std::vector<int>& choices) const {
    return strategy_of(problem_, choices, "search");
  }

  CutStep cut(const Strategy& strategy) const {
    PartitionSpecification specification{strategy, step_.places};
    return cut_graph(step_.graph, assign_cuts(step_.graph, specification, step_.origins), strategy);
  }

  void find_choices() {
    for (int s = 0; s < segments(); ++s) {
      SearchLayer& layer = problem_.search.layers[static_cast<size_t>(s)];
      problem_.cuts.emplace_back();
      for (const LayerCut& cut : all_cuts(kinds_[static_cast<size_t>(s)], costs_.alone)) {
        Strategy probe{.name = "search", .devices = devices_};
        probe.layers[layer.name] = cut;
        try {
          assign_cuts(step_.graph, {probe, step_.places}, step_.origins);
        } catch (const UserError& error) {
          problem_.refused.push_back({layer.name, describe(cut), error.what()});
          continue;
        }
        layer.choices.push_back({describe(cut), 0, 0});
        problem_.cuts.back().push_back(cut);
      }
    }
  }

  Bill bill(const std::vector<int>& choices) const {
    CutStep step = cut(strategy(choices));
    Bill bill{std::vector<Bill::Layer>(static_cast<size_t>(segments())), {}};
    const SlowestNodes slowest(step, costs_);
    for (const auto& [node, seconds] : slowest.seconds()) {
      auto [a, b] = deciders(*node);
      bill.charge(a, b, &Bill::Layer::computes, seconds);
    }
    charge_exchanges(step, bill);
    charge_memory(step, bill);
    return bill;
  }

  void charge_memory(const CutStep& step, Bill& bill) const {
    for (const Graph& graph : step.graphs) {
      std::vector<int64_t> held(static_cast<size_t>(segments()));
      for (const auto& node : graph.nodes)
        for (const auto& result : node->results)
          held[static_cast<size_t>(segment_of(*step.origins.at(node.get()).node))] +=
              result->type.bytes();
      for (size_t s = 0; s < held.size(); ++s)
        bill.layers[s].bytes = std::max(bill.layers[s].bytes, held[s]);
    }
  }

  void charge_exchanges(const CutStep& step, Bill& bill) const {
    std::vector<Exchange> exchanges = exchanges_of(step.graphs[0]);
    size_t next = 0;
    for (const auto& node : step.graphs[0].nodes)
      if (node->op == &ops::exchange) {
        const CutOrigin& origin = step.origins.at(node.get());
        const bool source = origin.node->operands.empty();
        const Node& reading = origin.reader ? *origin.reader : *origin.node;
        auto [from, producer] = deciders(source ? reading : *origin.node);
        auto [reads, reader] = deciders(reading);
        // Of the segments that take part, the two that differ; a flattening takes part for two.
        const int low = std::min({from, producer, reads, reader});
        const int high = std::max({from, producer, reads, reader});
        bill.charge(low, high, &Bill::Layer::exchanges, costs_.exchange(exchanges[next++]));
      }
  }

  /// Pairs of segments between which values pass.
  void find_edges() {
    std::map<std::pair<int, int>, bool> pairs;
    for (const auto& node : step_.graph.nodes)
      for (const Value* operand : node->operands) {
        if (operand->node->op == &ops::feed || operand->node->op == &ops::parameter ||
            operand->node->op == &ops::constant)
          continue;
        auto [a, b] = deciders(*operand->node);
        auto [c, d] = deciders(*node);
        const int low = std::min({a, b, c, d}), high = std::max({a, b, c, d});
        if (low != high)
          pairs[{low, high}] = true;
      }
    for (const auto& [pair, _] : pairs) {
      SearchEdge edge{pair.first, pair.second, {}};
      edge.seconds.assign(choices_of(pair.first), std::vector<double>(choices_of(pair.second)));
      problem_.search.edges.push_back(std::move(edge));
    }
  }

  size_t choices_of(int segment) const {
    return problem_.search.layers[static_cast<size_t>(segment)].choices.size();
  }

  void fill_layers() {
    problem_.exchange_seconds.resize(problem_.search.layers.size());
    size_t most = 0;
    for (int s = 0; s < segments(); ++s)
      most = std::max(most, choices_of(s));
    for (size_t c = 0; c < most; ++c) {
      std::vector<int> choices;
      for (int s = 0; s < segments(); ++s)
        choices.push_back(static_cast<int>(std::min(c, choices_of(s) - 1)));
      Bill paid = bill(choices);
      for (int s = 0; s < segments(); ++s)
        if (c < choices_of(s)) {
          const Bill::Layer& layer = paid.layers[static_cast<size_t>(s)];
          Choice& choice = problem_.search.layers[static_cast<size_t>(s)].choices[c];
          choice.seconds = layer.computes + layer.exchanges;
          choice.bytes = layer.bytes;
          problem_.exchange_seconds[static_cast<size_t>(s)].push_back(layer.exchanges);
        }
    }
  }

  /// Edges in groups that share no segment: their tables are filled at once.
  std::vector<std::vector<size_t>> matchings() const {
    std::vector<std::vector<size_t>> groups;
    const auto& edges = problem_.search.edges;
    for (size_t e = 0; e < edges.size(); ++e) {
      auto free = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
        return std::none_of(group.begin(), group.end(), [&](size_t other) {
          return edges[e].from == edges[other].from || edges[e].from == edges[other].to ||
                 edges[e].to == edges[other].from || edges[e].to == edges[other].to;
        });
      });
      if (free == groups.end())
        groups.push_back({e});
      else
        free->push_back(e);
    }
    return groups;
  }

  void fill_edges(const std::vector<size_t>& matching) {
    auto& edges = problem_.search.edges;
    size_t rows = 0, columns = 0;
    for (size_t e : matching) {
      rows = std::max(rows, choices_of(edges[e].from));
      columns = std::max(columns, choices_of(edges[e].to));
    }
    for (size_t i = 0; i < rows; ++i)
      for (size_t j = 0; j < columns; ++j) {
        std::vector<int> choices(static_cast<size_t>(segments()), 0);
        for (size_t e : matching) {
          choices[static_cast<size_t>(edges[e].from)] =
              static_cast<int>(std::min(i, choices_of(edges[e].from) - 1));
          choices[static_cast<size_t>(edges[e].to)] =
              static_cast<int>(std::min(j, choices_of(edges[e].to) - 1));
        }
        Bill paid = bill(choices);
        for (size_t e : matching)
          if (i < choices_of(edges[e].from) && j < choices_of(edges[e].to))
            edges[e].seconds[i][j] = paid.edges[{edges[e].from, edges[e].to}];
      }
  }

  const WholeStep& step_;
  const int devices_;
  const StepCosts& costs_;
  PartitionProblem problem_;
  std::vector<StrategyLayer::Kind> kinds_; ///< By segment.
  std::map<std::string, int> segment_of_layer_;
  std::map<std::pair<int, int>, int> segment_at_; ///< By place.
};

} // namespace

double additive_seconds(const CutStep& step, const StepCosts& costs) {
  const SlowestNodes slowest(step, costs);
  double sum = 0;
  for (const auto& [node, seconds] : slowest.seconds())
    sum += seconds;
  for (const Exchange& exchange : exchanges_of(step.graphs[0]))
    sum += costs.exchange(exchange);
  return sum;
}

PartitionProblem partition_problem(const WholeStep& step, int devices, const StepCosts& costs) {
  return ProblemBuilder(step, devices, costs).build();
}

Strategy strategy_of(const PartitionProblem& problem, const std::vector<int>& choices,
                     const std::string& name) {
  Strategy strategy{.name = name, .devices = problem.devices};
  for (size_t s = 0; s < choices.size(); ++s)
    strategy.layers[problem.search.layers[s].name] =
        problem.cuts[s][static_cast<size_t>(choices[s])];
  return strategy;
}

} // namespace netc
