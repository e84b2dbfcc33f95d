#pragma once
// The strategies that have names.

#include "ir/graph.h"
#include "ir/strategy.h"

namespace netc {

/// A layer as strategies see it.
struct StrategyLayer {
  enum class Kind { input, convolution, linear, loss, other };
  std::string name;
  Kind kind = Kind::other;
  int64_t groups = 1;  ///< Of a convolution.
  int64_t macs = 0;    ///< Multiply-adds of its contractions.
  int64_t bytes = 0;   ///< What layers behind it read of it and those before.
  int64_t samples = 1; ///< Of the input: the batch.
};

struct NamedStrategy {
  std::string name;
  std::string doc;
};
/// In the order in which tables show them.
const std::vector<NamedStrategy>& named_strategies();

std::vector<std::string> strategy_names();

/// The cuts of the strategy `name` for a network over `devices`. An unknown name, or a network that
/// the strategy does not suit, is a UserError at `loc`, where a file says the name.
Strategy named_strategy(const std::string& name, const std::vector<StrategyLayer>& layers,
                        int devices, const Loc& loc = {});

/// The layers of a forward graph; see LayerPlace for how nodes belong to layers.
struct LayerPlace;
std::vector<StrategyLayer> strategy_layers(const Graph& forward,
                                           const std::vector<LayerPlace>& places);

} // namespace netc
