// What a step in micro-batches is made of: samples taken out of a batch, and put together again;
// partial sums.

#include "ir/ops/common.h"

#include <numeric>

namespace netc::ops {

namespace {

using Ints = std::vector<int64_t>;

/// Samples that lie one after the other both in an operand and in the result.
struct Run {
  size_t operand;
  int64_t from, to, count;
};

std::vector<Run> runs_of_slice(const Node& node) {
  const Ints& ranges = node.attrs.integers("ranges");
  std::vector<Run> runs;
  int64_t to = 0;
  for (size_t i = 0; i < ranges.size(); i += 2) {
    runs.push_back({0, ranges[i], to, ranges[i + 1] - ranges[i]});
    to += runs.back().count;
  }
  return runs;
}

std::vector<Run> runs_of_join(const Node& node) {
  const Ints& pairs = node.attrs.integers("runs");
  std::vector<int64_t> taken(node.operands.size(), 0);
  std::vector<Run> runs;
  int64_t to = 0;
  for (size_t i = 0; i < pairs.size(); i += 2) {
    const size_t operand = static_cast<size_t>(pairs[i]);
    runs.push_back({operand, taken[operand], to, pairs[i + 1]});
    taken[operand] += pairs[i + 1];
    to += pairs[i + 1];
  }
  return runs;
}

void infer_slice(InferContext& c) {
  const Ints& ranges = c.attrs.integers("ranges");
  TensorType result = c.operands[0];
  if (!c.expect_rank(0, {1, 2, 4}))
    return;
  int64_t samples = 0, last = 0;
  bool good = !ranges.empty() && ranges.size() % 2 == 0 && ranges.back() <= result.shape[0];
  for (size_t i = 0; good && i < ranges.size(); i += 2) {
    good = last <= ranges[i] && ranges[i] < ranges[i + 1];
    samples += ranges[i + 1] - ranges[i];
    last = ranges[i + 1];
  }
  if (!good)
    c.error(fmt::format("[{}] are no ascending ranges of samples of {}", fmt::join(ranges, ", "),
                        result.str()));
  result.shape[0] = samples;
  c.results = {result};
}

void infer_join(InferContext& c) {
  const Ints& runs = c.attrs.integers("runs");
  if (c.operands.empty() || !c.expect_rank(0, {1, 2, 4}))
    return;
  Ints counts(c.operands.size(), 0);
  bool good = runs.size() % 2 == 0;
  for (size_t i = 0; good && i < runs.size(); i += 2) {
    good = runs[i] < static_cast<int64_t>(counts.size()) && runs[i + 1] > 0;
    if (good)
      counts[static_cast<size_t>(runs[i])] += runs[i + 1];
  }
  TensorType result = c.operands[0];
  for (size_t i = 0; good && i < counts.size(); ++i) {
    result.shape[0] = counts[i];
    good = c.operands[i] == result;
  }
  if (!good)
    c.error(fmt::format("[{}] does not say where the samples of {} operands lie",
                        fmt::join(runs, ", "), counts.size()));
  result.shape[0] = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  c.results = {result};
}

/// Writes element(lane, place) for all places of the result at one index of its first dimension,
/// with vectors along what lies together; `place` has the other indices.
template <class Element> void each_element(Body& body, const Node& node, Element element) {
  const Value& result = *node.result();
  const Shape& s = result.type.shape;
  if (s.size() < 4) {
    body.loop(StmtKind::lanes, "c", 0, s.size() == 1 ? 1 : s[1], [&](Expr c, Body& lane) {
      element(lane, s.size() == 1 ? std::vector<Expr>{} : std::vector<Expr>{c});
    });
    return;
  }
  const bool nhwc = result.layout == Layout::nhwc;
  body.loop(StmtKind::serial, "i", 0, nhwc ? s[2] : s[1], [&](Expr i, Body& outer) {
    outer.loop(StmtKind::serial, "j", 0, nhwc ? s[3] : s[2], [&](Expr j, Body& inner) {
      inner.loop(StmtKind::lanes, "k", 0, nhwc ? s[1] : s[3], [&](Expr k, Body& lane) {
        element(lane, nhwc ? std::vector<Expr>{k, i, j} : std::vector<Expr>{i, j, k});
      });
    });
  });
}

Expr load_at(const Node& node, const std::string& operand, Expr first, std::vector<Expr> place) {
  place.insert(place.begin(), std::move(first));
  return kernel::load(operand, node.result()->type.dtype, std::move(place));
}

void store_at(Body& lane, Expr first, std::vector<Expr> place, Expr value) {
  place.insert(place.begin(), std::move(first));
  lane.store("result", std::move(place), std::move(value));
}

/// Parameters `x0`, `x1` ... and `result`.
kernel::Kernel kernel_without_body(const Node& node) {
  kernel::Kernel k{.name = node.name, .params = {}, .body = {}};
  for (size_t i = 0; i < node.operands.size(); ++i)
    k.params.push_back({fmt::format("x{}", i), node.operands[i]->type, node.operands[i]->layout,
                        kernel::Access::in});
  k.params.push_back({"result", node.result()->type, node.result()->layout, kernel::Access::out});
  return k;
}

kernel::Kernel copy_kernel(const Node& node, const std::vector<Run>& runs) {
  kernel::Kernel k = kernel_without_body(node);
  Body body;
  for (const Run& run : runs)
    body.loop(StmtKind::parallel, "n", 0, run.count, [&](Expr n, Body& b) {
      const std::string& operand = k.params[run.operand].name;
      each_element(b, node, [&](Body& lane, const std::vector<Expr>& place) {
        store_at(lane, n + Expr(run.to), place, load_at(node, operand, n + Expr(run.from), place));
      });
    });
  k.body = body.take();
  return k;
}

kernel::Kernel accumulate_kernel(const Node& node) {
  kernel::Kernel k = kernel_without_body(node);
  Body body;
  body.loop(StmtKind::parallel, "n", 0, node.result()->type.shape[0], [&](Expr n, Body& b) {
    each_element(b, node, [&](Body& lane, const std::vector<Expr>& place) {
      store_at(lane, n, place, load_at(node, "x0", n, place) + load_at(node, "x1", n, place));
    });
  });
  k.body = body.take();
  return k;
}

kernel::Kernel slice_kernel(const Node& node) {
  return copy_kernel(node, runs_of_slice(node));
}

kernel::Kernel join_kernel(const Node& node) {
  return copy_kernel(node, runs_of_join(node));
}

void copy_reference(RefContext& c, const std::vector<Run>& runs) {
  RefTensor& result = c.results[0];
  const int64_t elements = result.type.elements() / result.type.shape[0];
  for (const Run& run : runs)
    std::copy_n(c.operands[run.operand]->data.begin() + run.from * elements, run.count * elements,
                result.data.begin() + run.to * elements);
}

void slice_reference(RefContext& c) {
  copy_reference(c, runs_of_slice(c.node));
}

void join_reference(RefContext& c) {
  copy_reference(c, runs_of_join(c.node));
}

/// Samples of operands and result do not line up: who has which follows from who holds what.
std::vector<Factor> all_but_samples(const Node& node) {
  std::vector<Factor> factors;
  for (Factor& f : map_factors(node))
    if (f.name != "batch")
      factors.push_back(std::move(f));
  return factors;
}

void accumulate_reference(RefContext& c) {
  for (size_t i = 0; i < c.results[0].data.size(); ++i)
    c.results[0].data[i] = c.operands[0]->data[i] + c.operands[1]->data[i];
}

int64_t no_flops(const Node&) {
  return 0;
}

AttrDef pairs_attr(const char* name, const char* doc) {
  return {.name = name, .kind = AttrKind::integers, .doc = doc, .min = 0};
}

} // namespace

const OpDef slice_samples{
    .name = "slice_samples",
    .doc = "Some samples of a batch, in order.",
    .operands = {{"x", "[n, ...], of any type"}},
    .attrs = {pairs_attr("ranges", "first sample and one past the last of each range, ascending")},
    .results = {{"", "[samples in the ranges, ...]"}},
    .infer = infer_slice,
    .flops = no_flops,
    .factors = all_but_samples,
    .lower = KernelLowering{slice_kernel},
    .reference = slice_reference};

const OpDef join_samples{
    .name = "join_samples",
    .doc = "A batch out of the samples of its operands.",
    .operands = {{"x", "[n_i, ...], alike but for their samples", true}},
    .attrs = {pairs_attr("runs", "which operand the next samples are of, and how many; each "
                                 "operand's are taken in order")},
    .results = {{"", "[sum of n_i, ...]"}},
    .infer = infer_join,
    .flops = no_flops,
    .factors = all_but_samples,
    .lower = KernelLowering{join_kernel},
    .reference = join_reference};

const OpDef accumulate{
    .name = "accumulate",
    .doc = "sum + term, of partial sums. Unlike `add` it is never fused, as each term would then "
           "wait for the last.",
    .operands = {{"sum", "any tensor"}, {"term", "alike"}},
    .attrs = {},
    .results = {{"", "as sum"}},
    .infer = infer_all_same,
    .flops = flops_per_element<1>,
    .factors = map_factors,
    .lower = KernelLowering{accumulate_kernel},
    .reference = accumulate_reference,
    .in_place = {{0, 0}}};

} // namespace netc::ops
