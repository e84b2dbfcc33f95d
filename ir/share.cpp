#include "ir/share.h"

#include "ir/kernel.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace netc {

namespace {

std::vector<Factor> factors_of(const Node& node) {
  return node.op->factors ? node.op->factors(node) : std::vector<Factor>{};
}

/// Narrows dimension `dim` of a box to the iterations; one iteration may be several indices.
bool narrow(Box& box, const Shape& shape, int dim, const Factor& factor, Range range) {
  if (dim < 0)
    return true;
  const size_t d = static_cast<size_t>(dim);
  if (shape[d] % factor.extent)
    return false;
  const int64_t width = shape[d] / factor.extent;
  box[d] = {range.begin * width, range.end * width};
  return true;
}

/// Whether it is the loop whose sum exact plans cut in blocks: the first that is summed over.
bool is_blocked(const Node& node, const Factor& factor) {
  for (const Factor& f : factors_of(node))
    if (f.kind == FactorKind::reduction)
      return f.name == factor.name;
  return false;
}

/// Derives one device's share from one cut; the reason when there is none.
class ShareRule {
public:
  ShareRule(const Node& node, NodeShare& share, std::vector<Box>& owned)
      : node_(node), share_(share), owned_(owned) {}

  std::string apply(const Factor& factor, Range range) {
    if (range.empty()) {
      share_.idle = true;
      return "";
    }
    if (range == Range{0, factor.extent})
      return "";
    if (factor.kind == FactorKind::window && !node_.op->share)
      return fmt::format("its loop over {} stays together", factor.name);
    if (factor.kind != FactorKind::window)
      if (std::string error = narrow_all(factor, range); !error.empty())
        return error;
    set_blocks(factor, range);
    ShareContext context{node_, factor, range, share_.attrs, share_.operands, share_.computed};
    if (node_.op->share)
      node_.op->share(context);
    for (size_t i = 0; i < owned_.size(); ++i)
      own(i, factor, range);
    return context.error;
  }

private:
  std::string narrow_all(const Factor& factor, Range range) {
    bool divides = true;
    for (size_t i = 0; i < share_.operands.size(); ++i)
      divides = divides && narrow(share_.operands[i], node_.operands[i]->type.shape,
                                  factor.operand_dims[i], factor, range);
    for (size_t i = 0; i < share_.computed.size(); ++i)
      divides = divides && narrow(share_.computed[i], node_.results[i]->type.shape,
                                  factor.result_dims[i], factor, range);
    return divides ? "" : fmt::format("its loop over {} does not divide a dimension", factor.name);
  }

  /// What the device has afterwards: its iterations, or all that it sums up.
  void own(size_t i, const Factor& factor, Range range) {
    const int dim = factor.result_dims[i];
    if (dim < 0)
      return;
    narrow(owned_[i], node_.results[i]->type.shape, dim, factor, range);
  }

  /// Blocks that the share holds whole; shares that cut blocks apart keep to blocks of their own.
  void set_blocks(const Factor& factor, Range range) {
    if (!node_.attrs.has("blocks") || !is_blocked(node_, factor))
      return;
    const int64_t all = node_.attrs.integer("blocks"),
                  blocks = all * range.extent() / factor.extent;
    if (blocks * factor.extent == all * range.extent() && range.begin % range.extent() == 0 &&
        all % blocks == 0)
      share_.attrs.set("blocks", blocks);
  }

  const Node& node_;
  NodeShare& share_;
  std::vector<Box>& owned_;
};

/// The whole node on every device, the results whole, too.
NodeSharding uncut(const Node& node, int devices) {
  NodeShare share{node.attrs, {}, {}, false};
  for (const Value* operand : node.operands)
    share.operands.push_back(whole_box(operand->type.shape));
  NodeSharding sharding{std::vector<NodeShare>(static_cast<size_t>(devices), share), {}, {}};
  for (const auto& result : node.results) {
    for (NodeShare& each : sharding.shares)
      each.computed.push_back(whole_box(result->type.shape));
    sharding.results.push_back(replicated(result->type.shape, devices));
  }
  return sharding;
}

std::string bounds_error(const FactorCut& cut, const Factor& factor, int size) {
  const std::vector<int64_t>& b = cut.bounds;
  if (static_cast<int>(b.size()) == size + 1 && b.front() == 0 && b.back() == factor.extent &&
      std::is_sorted(b.begin(), b.end()))
    return "";
  return fmt::format("bounds [{}] must be {} ascending numbers from 0 to {}", fmt::join(b, ", "),
                     size + 1, factor.extent);
}

/// Cuts one more loop of a node; the reason when that cannot be.
std::string apply_cut(const Node& node, const FactorCut& cut, const Mesh& mesh,
                      NodeSharding& sharding) {
  std::optional<Factor> factor = find_factor(node, cut.factor);
  if (!factor)
    return fmt::format("has no loop over {}", cut.factor);
  const int size = mesh.axes[static_cast<size_t>(cut.axis)].size;
  if (std::string error = bounds_error(cut, *factor, size); !error.empty())
    return error;
  for (int d = 0; d < mesh.devices(); ++d) {
    std::vector<Box> owned;
    for (Sharding& result : sharding.results)
      owned.push_back(result.at(d));
    const size_t at = static_cast<size_t>(mesh.position(d, cut.axis));
    ShareRule rule(node, sharding.shares[static_cast<size_t>(d)], owned);
    if (std::string error = rule.apply(*factor, {cut.bounds[at], cut.bounds[at + 1]});
        !error.empty())
      return error;
    for (size_t i = 0; i < owned.size(); ++i)
      sharding.results[i].boxes[static_cast<size_t>(d)] = owned[i];
  }
  for (size_t i = 0; i < sharding.results.size(); ++i)
    if (factor->result_dims[i] < 0)
      sharding.results[i].combine = factor->combine;
  return "";
}

/// Why the cuts do not go together: one loop, or one axis, is cut once.
std::string twice_error(const NodeCut& cut, const Mesh& mesh) {
  for (const FactorCut& a : cut.factors)
    for (const FactorCut& b : cut.factors) {
      if (&a == &b)
        break;
      if (a.factor == b.factor)
        return fmt::format("its loop over {} is cut twice", a.factor);
      if (a.axis == b.axis)
        return fmt::format("axis {} cuts both {} and {}",
                           mesh.axes[static_cast<size_t>(a.axis)].name, b.factor, a.factor);
    }
  return "";
}

/// Whether the device would add what another adds as well: where there are sums, the first along an
/// axis that cuts nothing computes.
bool adds_again(const NodeCut& cut, const Mesh& mesh, const NodeSharding& sharding, int device) {
  if (std::none_of(sharding.results.begin(), sharding.results.end(),
                   [](const Sharding& result) { return result.combine == Combine::sum; }))
    return false;
  for (int axis = 0; axis < static_cast<int>(mesh.axes.size()); ++axis)
    if (mesh.position(device, axis) > 0 &&
        std::none_of(cut.factors.begin(), cut.factors.end(),
                     [&](const FactorCut& each) { return each.axis == axis; }))
      return true;
  return false;
}

} // namespace

std::optional<Factor> find_factor(const Node& node, std::string_view name) {
  for (Factor& factor : factors_of(node))
    if (factor.name == name)
      return std::move(factor);
  return std::nullopt;
}

NodeSharding shard_node(const Node& node, const NodeCut& cut, const Mesh& mesh) {
  const int devices = mesh.devices();
  NodeSharding sharding = uncut(node, devices);
  std::string error = twice_error(cut, mesh);
  for (size_t i = 0; i < cut.factors.size() && error.empty(); ++i)
    error = apply_cut(node, cut.factors[i], mesh, sharding);
  if (!error.empty()) {
    sharding.error = fmt::format("{} `{}`: {}", node.op->name, node.name, error);
    return sharding;
  }
  for (int d = 0; d < devices; ++d)
    if (NodeShare& share = sharding.shares[static_cast<size_t>(d)];
        share.idle || (cut.only >= 0 && cut.only != d) || adds_again(cut, mesh, sharding, d)) {
      share = {
          {}, std::vector<Box>(node.operands.size()), std::vector<Box>(node.results.size()), true};
      for (Sharding& result : sharding.results)
        result.boxes[static_cast<size_t>(d)] = {};
    }
  for (Sharding& result : sharding.results)
    if (!result.partial())
      result.combine = Combine::none;
  return sharding;
}

} // namespace netc
