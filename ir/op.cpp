#include "ir/op.h"

#include "ir/ops.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace netc {

const std::vector<const OpDef*>& all_ops() {
  static const std::vector<const OpDef*> table = {
#include "ir/op_table.inc"
  };
  return table;
}

const OpDef* find_op(std::string_view name) {
  for (const OpDef* op : all_ops())
    if (op->name == name)
      return op;
  return nullptr;
}

Diagnostic& InferContext::error(const std::string& message) const {
  return diagnostics.error(loc, fmt::format("{}: {}", subject, message));
}

bool InferContext::expect_rank(size_t i, std::initializer_list<size_t> ranks) const {
  if (std::find(ranks.begin(), ranks.end(), operands[i].shape.size()) != ranks.end())
    return true;
  std::string expected;
  for (size_t rank : ranks)
    expected += fmt::format("{}{}", expected.empty() ? "" : " or ", rank);
  error(fmt::format("operand `{}` is {}, expected rank {}",
                    op.operands[std::min(i, op.operands.size() - 1)].name, operands[i].str(),
                    expected));
  return false;
}

namespace {

bool check_range(InferContext& c, const AttrDef& def, double value) {
  if (std::abs(value) > static_cast<double>(std::numeric_limits<float>::max())) {
    c.error(fmt::format("`{}` is {}, which f32 cannot hold", def.name, value));
    return false;
  }
  if (value >= def.min && value <= def.max)
    return true;
  std::string range = def.max == std::numeric_limits<double>::infinity()
                          ? fmt::format("at least {}", def.min)
                          : fmt::format("between {} and {}", def.min, def.max);
  c.error(fmt::format("`{}` is {}, must be {}", def.name, value, range));
  return false;
}

bool check_attr(InferContext& c, const AttrDef& def, const Attribute& value) {
  if (kind_of(value) != def.kind) {
    c.error(fmt::format("`{}` must be a {}, is a {}", def.name, to_string(def.kind),
                        to_string(kind_of(value))));
    return false;
  }
  if (const auto* integer = std::get_if<int64_t>(&value))
    return check_range(c, def, static_cast<double>(*integer));
  if (const auto* real = std::get_if<double>(&value))
    return check_range(c, def, *real);
  if (const auto* list = std::get_if<std::vector<int64_t>>(&value)) {
    if (def.length && static_cast<int>(list->size()) != def.length) {
      c.error(fmt::format("`{}` has {} entries, must have {}", def.name, list->size(), def.length));
      return false;
    }
    return std::all_of(list->begin(), list->end(), [&](int64_t entry) {
      return check_range(c, def, static_cast<double>(entry));
    });
  }
  if (const auto* text = std::get_if<std::string>(&value))
    if (!def.choices.empty() &&
        std::find(def.choices.begin(), def.choices.end(), *text) == def.choices.end()) {
      c.error(fmt::format("`{}` is `{}`, must be one of {}", def.name, *text,
                          fmt::join(def.choices, ", ")));
      return false;
    }
  return true;
}

bool check_attrs(InferContext& c) {
  bool ok = true;
  for (const AttrDef& def : c.op.attrs) {
    if (!c.attrs.has(def.name)) {
      if (def.fallback) {
        c.attrs.set(def.name, *def.fallback);
      } else {
        c.error(fmt::format("needs `{}`", def.name));
        ok = false;
      }
    }
  }
  for (const auto& [name, value] : c.attrs) {
    auto def = std::find_if(c.op.attrs.begin(), c.op.attrs.end(),
                            [&, key = name](const AttrDef& d) { return d.name == key; });
    if (def == c.op.attrs.end()) {
      c.error(fmt::format("has no attribute `{}`", name));
      ok = false;
    } else {
      ok = check_attr(c, *def, value) && ok;
    }
  }
  return ok;
}

/// Sizes whose products cannot be addressed would overflow every later computation.
bool check_sizes(InferContext& c) {
  for (const TensorType& type : c.results) {
    double elements = 1;
    for (int64_t extent : type.shape) {
      if (extent < 1) {
        c.error(fmt::format("the result would be empty: {}", type.str()));
        return false;
      }
      elements *= static_cast<double>(extent);
    }
    if (elements > 0x7fffffff) { // kernels index with i32
      c.error(
          fmt::format("the result is too large: {} has {:.3g} elements, a tensor may have 2.1e9",
                      type.str(), elements));
      return false;
    }
  }
  return true;
}

} // namespace

bool infer_node(InferContext& c) {
  bool variadic = !c.op.operands.empty() && c.op.operands.back().variadic;
  size_t least = c.op.operands.size() - (variadic ? 1 : 0);
  if (c.operands.size() < least || (!variadic && c.operands.size() > least)) {
    c.error(fmt::format("takes {}{} operand{}, has {}", variadic ? "at least " : "", least,
                        least == 1 ? "" : "s", c.operands.size()));
    return false;
  }
  if (!check_attrs(c))
    return false;
  int before = c.diagnostics.error_count();
  c.op.infer(c);
  return c.diagnostics.error_count() == before && check_sizes(c);
}

Node* GraphBuilder::apply(const OpDef& op, std::string name, std::vector<Value*> operands,
                          Attributes attrs) {
  std::vector<TensorType> types;
  for (const Value* operand : operands)
    types.push_back(operand->type);
  Diagnostics diagnostics;
  InferContext context{op, types, attrs, loc_, diagnostics, fmt::format("{} `{}`", op.name, name)};
  NETC_CHECK(infer_node(context), "building `{}`:\n{}", name, diagnostics.render());
  return graph_.add(op, std::move(name), std::move(operands), std::move(attrs),
                    std::move(context.results), loc_, before_);
}

int64_t bytes_moved(const Node& node) {
  int64_t bytes = 0;
  for (const Value* operand : node.operands)
    bytes += operand->stored().bytes();
  for (const auto& result : node.results)
    bytes += result->stored().bytes();
  return bytes;
}

namespace {

std::string attr_row(const AttrDef& def) {
  std::string legal;
  if (!def.choices.empty())
    legal = fmt::format(" ({})", fmt::join(def.choices, " \\| "));
  return fmt::format("| `{}` | {}{} | {} | {} |\n", def.name, to_string(def.kind), legal,
                     def.fallback ? to_string(*def.fallback) : "required", def.doc);
}

std::string attr_table(const char* title, const std::vector<AttrDef>& attrs) {
  if (attrs.empty())
    return {};
  std::string out = fmt::format("\n| {} | kind | default | meaning |\n|---|---|---|---|\n", title);
  for (const AttrDef& def : attrs)
    out += attr_row(def);
  return out;
}

} // namespace

std::string operator_reference() {
  std::string out = "# Operators\n";
  for (const OpDef* op : all_ops()) {
    out += fmt::format("\n## {}\n\n{}\n", op->name, op->doc);
    if (!op->operands.empty())
      out += "\n";
    for (const OperandDef& operand : op->operands)
      out += fmt::format("- operand `{}`{}: {}\n", operand.name, operand.variadic ? "..." : "",
                         operand.doc);
    for (const ResultDef& result : op->results)
      if (!result.doc.empty())
        out +=
            fmt::format("- result{}: {}\n",
                        result.name.empty() ? "" : fmt::format(" `{}`", result.name), result.doc);
    out += attr_table("attribute", op->attrs);
    if (op->layer && !op->layer->keys.empty())
      out += attr_table("layer key", op->layer->keys);
    out += fmt::format("\n{}{}.\n", op->layer ? "A layer of the YAML; " : "",
                       op->vjp ? "differentiable" : "not differentiable");
  }
  return out;
}

} // namespace netc
