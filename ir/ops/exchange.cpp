// An exchange between devices, as one of them sees it: the part it holds before and after.

#include "ir/exchange.h"
#include "ir/ops/common.h"

namespace netc::ops {

namespace {

/// The part of a sharding that belongs to the node's device; null after an error.
std::optional<Box> own_box(InferContext& c, const char* attr) {
  std::optional<Sharding> sharding = parse_sharding(c.attrs.text(attr));
  const int64_t device = c.attrs.integer("device");
  if (!sharding || device >= sharding->devices()) {
    c.error(fmt::format("`{}` is `{}`, no sharding over at least {} devices", attr,
                        c.attrs.text(attr), device + 1));
    return std::nullopt;
  }
  const Box& box = sharding->boxes[static_cast<size_t>(device)];
  if (!contains(whole_box(c.attrs.integers("shape")), box)) {
    c.error(fmt::format("{} of `{}` is not within {}", to_text(box), attr,
                        shape_string(c.attrs.integers("shape"))));
    return std::nullopt;
  }
  return box;
}

void infer_exchange(InferContext& c) {
  std::optional<Box> from = own_box(c, "from"), to = own_box(c, "to");
  if (!from || !to)
    return;
  const DType dtype = *parse_dtype(c.attrs.text("dtype"));
  const size_t sources = is_empty(*from) ? 0 : 1;
  const size_t most = sources + (is_empty(*to) ? 0 : 1);
  if (c.operands.size() < sources || c.operands.size() > most)
    c.error(fmt::format("has {} operands, expected {} to {}", c.operands.size(), sources, most));
  else if (sources == 1 && c.operands[0] != TensorType{dtype, shape_of(*from)})
    c.error(fmt::format("sends {}, has {}", TensorType{dtype, shape_of(*from)}.str(),
                        c.operands[0].str()));
  else if (c.operands.size() > sources && c.operands.back() != TensorType{dtype, shape_of(*to)})
    c.error(fmt::format("receives {} into {}", TensorType{dtype, shape_of(*to)}.str(),
                        c.operands.back().str()));
  if (!is_empty(*to))
    c.results = {{dtype, shape_of(*to)}};
}

AttrDef sharding_attr(const char* name, const char* doc) {
  return {.name = name, .kind = AttrKind::text, .doc = doc};
}

} // namespace

const OpDef exchange{
    .name = "exchange",
    .doc = "Brings a tensor from one sharding into another, together with the nodes of this name "
           "on the other devices: all-reduce, reduce-scatter, all-gather, all-to-all, halo, send.",
    .operands = {{"parts",
                  "what this device holds before, if anything; then the memory that the "
                  "result replaces, if it replaces any",
                  true}},
    .attrs = {{.name = "shape", .kind = AttrKind::integers, .doc = "of all of it", .min = 1},
              {.name = "dtype",
               .kind = AttrKind::text,
               .fallback = Attribute{std::string("f32")},
               .doc = "element type",
               .choices = {"f32", "bf16", "u8", "i32"}},
              sharding_attr("from", "the boxes that devices hold before; `sum` or `max` stand "
                                    "before partial results"),
              sharding_attr("to", "the boxes that devices hold after"),
              {.name = "device", .kind = AttrKind::integer, .doc = "this one", .min = 0}},
    .results = {{"", "what this device holds after; none if that is nothing"}},
    .infer = infer_exchange,
    .in_place = {{0, 0}}};

} // namespace netc::ops

namespace netc {

Exchange exchange_of(const Node& node) {
  std::optional<Sharding> from = parse_sharding(node.attrs.text("from")),
                          to = parse_sharding(node.attrs.text("to"));
  std::optional<DType> dtype = parse_dtype(node.attrs.text("dtype"));
  NETC_CHECK(from && to && dtype, "`{}` is no valid exchange", node.name);
  return {node.name, {*dtype, node.attrs.integers("shape")}, std::move(*from), std::move(*to)};
}

} // namespace netc
