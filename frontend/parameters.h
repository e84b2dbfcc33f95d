#pragma once
// The parameters of layers: their initialisation and the multipliers of `train.parameters`.

#include "frontend/network.h"
#include "ir/op.h"

namespace netc::frontend {

/// Whether `name` matches a glob in which `*` stands for any text and `?` for one character.
bool matches(std::string_view glob, std::string_view name);

/// Makes the attributes of parameter nodes and keeps account of the rules that applied.
class ParameterRules {
public:
  explicit ParameterRules(const Network& network);

  /// Attributes of the node of `<layer>.<request.name>`; biases are constants, weights follow
  /// `init:`. The last rule that matches gives the multipliers.
  Attributes attributes(const LayerDescription& layer, const ParameterRequest& request);

  /// Reports the rules that matched no parameter.
  void report_unused(Diagnostics& diagnostics) const;

private:
  const Network& network_;
  std::vector<bool> used_;
  std::vector<std::string> names_;
};

} // namespace netc::frontend
