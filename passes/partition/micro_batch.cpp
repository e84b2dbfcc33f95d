#include "passes/partition/micro_batch.h"

#include "ir/kernel.h"
#include "ir/ops.h"
#include "passes/partition/repeated.h"
#include "passes/partition/schedule.h"

#include <algorithm>
#include <bit>
#include <set>

namespace netc {

namespace {

using Ints = std::vector<int64_t>;

/// Samples that lie together, of one micro-batch.
struct SampleRun {
  size_t micro_batch;
  Range samples;
};

/// Parts of a batch that micro-batches have samples of.
int parts_of(const Strategy& strategy) {
  return strategy.micro_batches.schedule == Schedule::round_robin ? strategy.devices : 1;
}

/// The runs of a batch in the order of the samples: one a micro-batch, or one a micro-batch and
/// device.
std::vector<SampleRun> sample_runs(const Strategy& strategy, int64_t batch, bool exact) {
  const int parts = parts_of(strategy);
  const int64_t count = micro_batch_count(strategy, batch, exact);
  std::vector<SampleRun> runs;
  const Ints outer = even_bounds(batch, parts);
  for (size_t part = 1; part < outer.size(); ++part) {
    const Ints inner = even_bounds(outer[part] - outer[part - 1], static_cast<int>(count));
    for (size_t m = 1; m < inner.size(); ++m)
      runs.push_back({m - 1, {outer[part - 1] + inner[m - 1], outer[part - 1] + inner[m]}});
  }
  return runs;
}

/// Samples in the batch, over which the first layer has a loop if any has.
int64_t batch_of(const Graph& graph) {
  for (const auto& node : graph.nodes)
    if (std::optional<Factor> batch = find_factor(*node, "batch"))
      return batch->extent;
  return 0;
}

/// The partial results of a sum over samples, in their order; null where still to come. They are
/// added as soon as they are there: one after the other, which needs the least memory, in exact
/// plans as a binary tree.
struct PartialSums {
  std::vector<Value*> leaves;
  std::map<std::pair<size_t, size_t>, Value*> sums; ///< Of leaves [first, second).
};

class MicroBatcher {
public:
  MicroBatcher(const Graph& whole, const NodeCuts& cuts, const Strategy& strategy,
               const GradientOrigins& origins, bool exact)
      : whole_(whole), cuts_(cuts), schedule_(strategy.micro_batches.schedule), exact_(exact),
        repeated_(whole, cuts, origins) {
    std::vector<SampleRun> runs = sample_runs(strategy, batch_of(whole), exact);
    if (repeated_.samples() > 0) // a count that cannot be is a mistake otherwise, too
      runs_ = std::move(runs);
    for (const SampleRun& run : runs_)
      count_ = std::max(count_, run.micro_batch + 1);
    sizes_.resize(count_);
    for (const SampleRun& run : runs_)
      sizes_[run.micro_batch] += run.samples.extent();
  }

  MicroBatchedStep run() {
    for (const auto& node : whole_.nodes)
      if (!repeated_.behind(*node))
        emit_once(*node);
    for (const StageTask& task : schedule_tasks(schedule_, repeated_.stages(),
                                                static_cast<int>(count_), repeated_.has_backward()))
      for (const Node* node : repeated_.nodes(task.stage, task.backward))
        emit_copy(*node, static_cast<size_t>(task.micro_batch));
    for (const auto& node : whole_.nodes)
      if (!repeated_.has(*node))
        emit_once(*node);
    for (const Graph::Output& output : whole_.outputs)
      step_.graph.outputs.push_back({output.name, once(*output.value, *output.value->node)});
    for (const Graph::Store& store : whole_.stores)
      step_.graph.stores.push_back({map_.at(store.parameter), map_.at(store.value)});
    return std::move(step_);
  }

private:
  void emit_once(const Node& node) {
    if (map_.count(node.result()))
      return;
    for (const Value* operand : node.operands)
      once(*operand, node);
    Node* copy = copy_node(step_.graph, node, map_);
    if (auto cut = cuts_.find(&node); cut != cuts_.end())
      step_.cuts[copy] = cut->second;
  }

  /// All of a value, as nodes read it that are not repeated.
  Value* once(const Value& value, const Node& reader) {
    if (auto it = map_.find(&value); it != map_.end())
      return it->second;
    if (!repeated_.has(*value.node)) {
      emit_once(*value.node);
      return map_.at(&value);
    }
    for (size_t m = 0; m < count_; ++m)
      emit_copy(*value.node, m);
    return map_[&value] = repeated_.is_sum(value) ? sum(sums_.at(&value)) : joined(value, reader);
  }

  /// The samples of all micro-batches, where their first reader wants them.
  Value* joined(const Value& value, const Node& reader) {
    Ints order;
    for (const SampleRun& run : runs_)
      order.insert(order.end(), {static_cast<int64_t>(run.micro_batch), run.samples.extent()});
    Value* all = add(value, ops::join_samples, value.name + ".joined", pieces_.at(&value),
                     {{"runs", order}});
    auto cut = cuts_.find(&reader);
    NodeCut& own = step_.cuts[all->node] = cut == cuts_.end() ? NodeCut{} : cut->second;
    std::erase_if(own.factors, [](const FactorCut& each) { return each.factor != "batch"; });
    return all;
  }

  /// Adds a node in whose place `value` was.
  Value* add(const Value& value, const OpDef& op, const std::string& name,
             std::vector<Value*> operands, Attributes attrs = {}) {
    Value* added = GraphBuilder(step_.graph, value.node->loc)
                       .value(op, name, std::move(operands), std::move(attrs));
    added->layout = value.layout;
    return added;
  }

  Value* sum(PartialSums& sums) { return sum(sums, 0, sums.leaves.size()); }

  /// Of leaves [first, end); null where some are still to come.
  Value* sum(PartialSums& sums, size_t first, size_t end) {
    if (end - first == 1)
      return sums.leaves[first];
    const size_t middle = exact_ ? first + std::bit_ceil(end - first) / 2 : end - 1;
    Value *a = sum(sums, first, middle), *b = sum(sums, middle, end);
    Value*& result = sums.sums[{first, end}];
    if (!result && a && b)
      result = add(*a, ops::accumulate, a->name + ".sum", {a, b});
    return result;
  }

  /// Whether a micro-batch of the node is done run by run: where the place of samples in the batch
  /// matters, and where sums must have the bits of a sum over the batch.
  bool by_run(const Node& node) const {
    return runs_.size() > count_ &&
           (node.attrs.has("whole") || (exact_ && node.attrs.has("blocks")));
  }

  /// The shares of a node: by run, or by micro-batch.
  const NodeSharding& shares(const Node& node) {
    auto [it, fresh] = shares_.try_emplace(&node);
    if (!fresh)
      return it->second;
    Ints bounds = {0};
    if (by_run(node))
      for (const SampleRun& run : runs_)
        bounds.push_back(run.samples.end);
    else
      for (int64_t size : sizes_)
        bounds.push_back(bounds.back() + size);
    const int parts = static_cast<int>(bounds.size()) - 1;
    it->second = shard_node(node, {{{"batch", std::move(bounds), 0}}, -1}, Mesh::line(parts));
    NETC_CHECK(it->second.error.empty(), "no micro-batches: {}", it->second.error);
    return it->second;
  }

  void emit_copy(const Node& node, size_t micro_batch) {
    if (!emitted_.insert({&node, micro_batch}).second)
      return;
    std::vector<Node*> parts;
    Ints order;
    for (size_t i = 0; by_run(node) && i < runs_.size(); ++i)
      if (runs_[i].micro_batch == micro_batch) {
        order.insert(order.end(), {static_cast<int64_t>(parts.size()), runs_[i].samples.extent()});
        parts.push_back(emit_part(node, micro_batch, {runs_[i].samples}, i));
      }
    if (!by_run(node))
      parts.push_back(emit_part(node, micro_batch, samples_of(micro_batch), micro_batch));
    for (const auto& result : node.results) {
      if (repeated_.is_sum(*result))
        continue;
      std::vector<Value*> values;
      for (const Node* part : parts)
        values.push_back(part->result(result->index));
      std::vector<Value*>& pieces = pieces_[result.get()];
      pieces.resize(count_);
      pieces[micro_batch] = parts.size() == 1
                                ? values[0]
                                : add(*result, ops::join_samples, name_of(*result, micro_batch),
                                      values, {{"runs", order}});
    }
  }

  static std::string name_of(const Value& value, size_t micro_batch) {
    return fmt::format("{}.m{}", value.name, micro_batch);
  }

  /// Does `samples` of a micro-batch, which are the share `index` of the node.
  Node* emit_part(const Node& node, size_t micro_batch, const std::vector<Range>& samples,
                  size_t index) {
    const std::vector<int>& dims = repeated_.batch(node).operand_dims;
    std::vector<Value*> operands;
    for (size_t i = 0; i < node.operands.size(); ++i)
      operands.push_back(dims[i] < 0 ? once(*node.operands[i], node)
                                     : piece(*node.operands[i], micro_batch, samples));
    Node* part = GraphBuilder(step_.graph, node.loc)
                     .apply(*node.op, name_of(*node.result(), micro_batch), std::move(operands),
                            shares(node).shares[index].attrs);
    step_.cuts[part] = cuts_.at(&node);
    for (const auto& result : node.results) {
      Value* own = part->result(result->index);
      own->layout = result->layout;
      if (!repeated_.is_sum(*result))
        continue;
      PartialSums& sums = sums_[result.get()];
      sums.leaves.resize(shares(node).shares.size());
      sums.leaves[index] = own;
      sum(sums);
    }
    return part;
  }

  std::vector<Range> samples_of(size_t micro_batch) const {
    std::vector<Range> samples;
    for (const SampleRun& run : runs_)
      if (run.micro_batch == micro_batch)
        samples.push_back(run.samples);
    return samples;
  }

  /// Some samples of a value, of one micro-batch.
  Value* piece(const Value& value, size_t micro_batch, const std::vector<Range>& samples) {
    const bool repeated = repeated_.has(*value.node);
    if (repeated)
      emit_copy(*value.node, micro_batch);
    const std::vector<Range> all = samples_of(micro_batch);
    if (repeated && samples == all)
      return pieces_.at(&value)[micro_batch];
    Ints ranges;
    int64_t at = 0; // in the micro-batch
    for (const Range& range : all) {
      const int64_t begin = repeated ? at : range.begin;
      if (std::find(samples.begin(), samples.end(), range) != samples.end())
        ranges.insert(ranges.end(), {begin, begin + range.extent()});
      at += range.extent();
    }
    Value* source = repeated ? pieces_.at(&value)[micro_batch] : once(value, *value.node);
    Value*& slice = slices_[{source, ranges}];
    if (!slice)
      slice = add(value, ops::slice_samples, name_of(value, micro_batch), {source},
                  {{"ranges", ranges}});
    return slice;
  }

  const Graph& whole_;
  const NodeCuts& cuts_;
  const Schedule schedule_;
  const bool exact_;
  const Repeated repeated_;
  std::vector<SampleRun> runs_;
  size_t count_ = 0;                             ///< Of micro-batches.
  Ints sizes_;                                   ///< Of micro-batches.
  std::unordered_map<const Value*, Value*> map_; ///< What is there once.
  std::set<std::pair<const Node*, size_t>> emitted_;
  std::unordered_map<const Value*, std::vector<Value*>> pieces_; ///< By micro-batch.
  std::unordered_map<const Value*, PartialSums> sums_;
  std::unordered_map<const Node*, NodeSharding> shares_;
  std::map<std::pair<const Value*, Ints>, Value*> slices_;
  MicroBatchedStep step_{Graph(whole_.name), {}};
};

} // namespace

int micro_batch_count(const Strategy& strategy, int64_t batch, bool exact) {
  const MicroBatches& asked = strategy.micro_batches;
  const int parts = parts_of(strategy);
  const int64_t by_samples = std::max<int64_t>(1, batch / parts);
  const int64_t by_blocks = exact ? std::max(1, kernel::exact_blocks / parts) : by_samples;
  const int64_t most = std::min(by_samples, by_blocks);
  if (asked.count > most && asked.loc.known()) {
    const char* of_each = parts > 1 ? " with samples of every device" : "";
    Diagnostics diagnostics;
    diagnostics
        .error(asked.loc,
               by_samples > most
                   ? fmt::format("`--math exact` sums over a batch in {} blocks, too few "
                                 "for {} micro-batches{}",
                                 kernel::exact_blocks, asked.count, of_each)
                   : fmt::format("a batch of {} samples has no {} micro-batches{}", batch,
                                 asked.count, of_each))
        .note(fmt::format("there may be 1 to {}", most));
    diagnostics.throw_if_errors();
  }
  return static_cast<int>(std::min<int64_t>(asked.count, most));
}

MicroBatchedStep micro_batch(const Graph& graph, const NodeCuts& cuts, const Strategy& strategy,
                             const GradientOrigins& origins, bool exact) {
  return MicroBatcher(graph, cuts, strategy, origins, exact).run();
}

} // namespace netc
