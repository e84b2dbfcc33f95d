#include "frontend/parameters.h"

#include "frontend/values.h"

namespace netc::frontend {

bool matches(std::string_view glob, std::string_view name) {
  size_t g = 0, n = 0;
  size_t star = glob.npos, resume = 0; // the last `*`, and where its text would end next
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = n;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == name[n])) {
      ++g, ++n;
    } else if (star != glob.npos) {
      g = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == glob.npos;
}

ParameterRules::ParameterRules(const Network& network)
    : network_(network), used_(network.recipe.train.parameters.size()) {}

Attributes ParameterRules::attributes(const LayerDescription& layer,
                                      const ParameterRequest& request) {
  const std::string name = fmt::format("{}.{}", layer.name, request.name);
  names_.push_back(name);
  double rate = 1, decay = 1;
  const auto& rules = network_.recipe.train.parameters;
  for (size_t i = 0; i < rules.size(); ++i)
    if (matches(rules[i].match, name)) {
      used_[i] = true;
      rate = rules[i].rate;
      decay = rules[i].decay;
    }
  const bool is_bias = request.init == "bias";
  return {{"shape", request.type.shape},
          {"dtype", std::string(to_string(request.type.dtype))},
          {"init", is_bias ? std::string("constant") : layer.init.kind},
          {"scale", is_bias ? layer.init.bias : layer.init.scale},
          {"fan_in", request.fan_in},
          {"fan_out", request.fan_out},
          {"trainable", true},
          {"rate", rate},
          {"decay", decay}};
}

void ParameterRules::report_unused(Diagnostics& diagnostics) const {
  constexpr size_t listed = 12;
  const auto& rules = network_.recipe.train.parameters;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (used_[i])
      continue;
    Diagnostic& d =
        diagnostics.error(i < network_.rule_locs.size() ? network_.rule_locs[i] : Loc{},
                          fmt::format("no parameter matches {}{}", quote(rules[i].match),
                                      suggestion(rules[i].match, names_)));
    if (names_.empty()) {
      d.note("this network has no parameters");
      continue;
    }
    std::vector<std::string> some(
        names_.begin(), names_.begin() + static_cast<long>(std::min(listed, names_.size())));
    d.note(names_.size() > listed
               ? fmt::format("the first of {} parameters are {}", names_.size(),
                             alternatives(some, "and"))
               : fmt::format("the parameters are {}", alternatives(some, "and")));
  }
}

} // namespace netc::frontend
