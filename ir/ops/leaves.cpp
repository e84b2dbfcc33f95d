// Operators without operands: where tensors enter a graph.

#include "ir/ops/common.h"

namespace netc::ops {

namespace {

Expr constant_element(MapContext& c) {
  return Expr(c.node.attrs.real("value"));
}

void constant_reference(RefContext& c) {
  for (double& x : c.results[0].data)
    x = c.node.attrs.real("value");
}

std::vector<AttrDef> with_type(std::vector<AttrDef> more) {
  std::vector<AttrDef> attrs = type_attrs();
  attrs.insert(attrs.end(), more.begin(), more.end());
  return attrs;
}

AttrDef part_attr(const char* name, const char* doc) {
  return {.name = name,
          .kind = AttrKind::integers,
          .fallback = Attribute{std::vector<int64_t>{}},
          .doc = doc,
          .min = 0};
}

/// Of tensors that hold something before the step: their type, and what they are a part of.
std::vector<AttrDef> with_part(std::vector<AttrDef> more) {
  std::vector<AttrDef> attrs = with_type(std::move(more));
  attrs.push_back(part_attr("whole", "of a part of a tensor: the extents of all of it"));
  attrs.push_back(part_attr("at", "of a part of a tensor: where it begins"));
  return attrs;
}

void infer_part(InferContext& c) {
  infer_from_attrs(c);
  const Shape shape = c.attrs.integers("shape"), whole = c.attrs.integers("whole"),
              at = c.attrs.integers("at");
  if (whole.empty() && at.empty()) {
    c.attrs.erase("whole"); // nothing to tell: most tensors are whole
    c.attrs.erase("at");
    return;
  }
  bool fits = whole.size() == shape.size() && at.size() == shape.size();
  for (size_t d = 0; fits && d < shape.size(); ++d)
    fits = at[d] <= whole[d] - shape[d];
  if (!fits)
    c.error(fmt::format("{} at {} is outside {}", shape_string(shape), to_string(Attribute{at}),
                        shape_string(whole)));
}

AttrDef real_attr(const char* name, double fallback, const char* doc) {
  return {.name = name, .kind = AttrKind::real, .fallback = Attribute{fallback}, .doc = doc};
}

AttrDef count_attr(const char* name, const char* doc) {
  return {.name = name,
          .kind = AttrKind::integer,
          .fallback = Attribute{int64_t{1}},
          .doc = doc,
          .min = 1};
}

} // namespace

const OpDef feed{.name = "feed",
                 .doc = "A tensor the host writes before each step: images, labels, sample ids, "
                        "seed, step number, learning rate.",
                 .operands = {},
                 .attrs = with_part({}),
                 .results = {{"", "the tensor"}},
                 .infer = infer_part};

const OpDef parameter{
    .name = "parameter",
    .doc = "State that outlives a step: a weight, bias, momentum or measured mean. `init` says how "
           "it starts: `constant` (scale = the value), `gaussian` (scale = standard deviation), "
           "`uniform` (scale = limit), `xavier` (uniform in +-sqrt(6 / (fan_in + fan_out)), Glorot "
           "and Bengio 2010), `msra` (gaussian, sqrt(2 / fan_in), He et al. 2015), `data_mean` "
           "(filled by the runtime from the data or the recipe).",
    .operands = {},
    .attrs =
        with_part({{.name = "init",
                    .kind = AttrKind::text,
                    .fallback = Attribute{std::string("constant")},
                    .doc = "initialisation",
                    .choices = {"constant", "gaussian", "uniform", "xavier", "msra", "data_mean"}},
                   real_attr("scale", 0.0, "size of the initial values; see `init`"),
                   count_attr("fan_in", "inputs of one unit"),
                   count_attr("fan_out", "outputs of one input"),
                   {.name = "trainable",
                    .kind = AttrKind::boolean,
                    .fallback = Attribute{true},
                    .doc = "whether the optimizer updates it"},
                   real_attr("rate", 1.0, "learning-rate multiplier"),
                   real_attr("decay", 1.0, "weight-decay multiplier")}),
    .results = {{"", "the value at the start of the step"}},
    .infer = infer_part};

const OpDef argument{.name = "argument",
                     .doc = "Inside the body of a `fused` node: the operand number `index`.",
                     .operands = {},
                     .attrs = with_type({{.name = "index",
                                          .kind = AttrKind::integer,
                                          .doc = "which operand of the fused node",
                                          .min = 0}}),
                     .results = {{"", "the operand"}},
                     .infer = infer_from_attrs};

const OpDef constant{
    .name = "constant",
    .doc = "A tensor whose elements all equal `value`.",
    .operands = {},
    .attrs = with_type({{.name = "value", .kind = AttrKind::real, .doc = "every element"}}),
    .results = {{"", "the tensor"}},
    .infer = infer_from_attrs,
    .flops = [](const Node&) -> int64_t { return 0; },
    .factors = map_factors,
    .share = [](ShareContext& c) { c.attrs.set("shape", shape_of(c.results[0])); },
    .lower = MapLowering{constant_element},
    .reference = constant_reference};

const OpDef fused{
    .name = "fused",
    .doc = "Several operators in one kernel; the body holds them as a small graph. Kinds: `window` "
           "(maps and windows), `contraction` (one contraction and its epilogue), `update`.",
    .operands = {{"operands", "what the body reads", true}},
    .attrs = {{.name = "kind",
               .kind = AttrKind::text,
               .doc = "family of the kernel",
               .choices = {"window", "contraction", "update"}}},
    .results = {{"", "the outputs of the body, in order"}}};

} // namespace netc::ops
