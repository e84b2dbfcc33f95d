// Contractions: the constants of their template, and the epilogue that follows them.

#include "codegen/candidates.h"
#include "codegen/cuda_contraction.h"
#include "codegen/group.h"
#include "codegen/library_contraction.h"
#include "codegen/lowering.h"
#include "codegen/tuning.h"

#include "ir/ops.h"

namespace netc {

namespace {

using kernel::Body;
using kernel::Expr;
using kernel::load;
using kernel::StmtKind;
using kernel::var;

int to_int(int64_t value) {
  return static_cast<int>(value);
}

Conv2d conv2d_shape(const ContractionUse& use, bool exact) {
  const Node& node = use.node;
  const Shape* x = &node.operands[0]->type.shape;
  const Shape* w = &node.operands[1]->type.shape;
  if (node.op == &ops::conv2d_data_gradient)
    x = &node.result()->type.shape;
  else if (node.op == &ops::conv2d_weight_gradient)
    w = &node.result()->type.shape;
  const auto &stride = node.attrs.integers("stride"), &pad = node.attrs.integers("pad"),
             &dilation = node.attrs.integers("dilation");
  Conv2d c{.batch = to_int((*x)[0]),
           .in_height = to_int((*x)[2]),
           .in_width = to_int((*x)[3]),
           .in_channels = to_int((*x)[1]),
           .out_channels = to_int((*w)[0]),
           .kernel_height = to_int((*w)[2]),
           .kernel_width = to_int((*w)[3])};
  c.groups = to_int(node.attrs.integer("groups"));
  c.stride_height = to_int(stride[0]), c.stride_width = to_int(stride[1]);
  c.dilation_height = to_int(dilation[0]), c.dilation_width = to_int(dilation[1]);
  c.pad_top = to_int(pad[0]), c.pad_left = to_int(pad[1]);
  c.pad_bottom = to_int(pad[2]), c.pad_right = to_int(pad[3]);
  c.exact_blocks = exact ? to_int(node.attrs.integer("blocks")) : 0;
  c.bias_gradient = use.bias_gradient;
  return c;
}

Linear linear_shape(const Node& node, bool exact) {
  const Shape& first = node.operands[0]->type.shape;
  const Shape& result = node.result()->type.shape;
  Linear l{.batch = to_int(first[0]), .in_features = 0, .out_features = 0};
  if (node.op == &ops::linear_weight_gradient) {
    l.out_features = to_int(result[0]);
    l.in_features = to_int(result[1]);
  } else {
    bool forward = node.op == &ops::linear;
    l.in_features = to_int(forward ? first[1] : result[1]);
    l.out_features = to_int(forward ? result[1] : first[1]);
  }
  l.exact_blocks = exact ? to_int(node.attrs.integer("blocks")) : 0;
  return l;
}

/// Maps over the run of channels [channel, channel + count) of one pixel.
class EpilogueElements : public kernel::MapContext {
public:
  using Read = std::function<Expr(const Value&)>;
  EpilogueElements(const Node& node, const Group& group, Read read)
      : MapContext(node), group_(group), read_(std::move(read)) {}

  Expr operand(size_t i) override {
    const Value& value = *node.operands[i];
    if (value.type.shape.size() == 1)
      return element(value, value.type.elements() == 1 ? Expr(0) : var("channel") + var("i"));
    return read_(value);
  }
  Expr scalar(size_t i, int64_t e) override { return element(*node.operands[i], Expr(e)); }
  Expr element_index() override {
    kernel::PixelShape p = kernel::pixel_shape(node.result()->type.shape);
    Expr pixel = var("pixel");
    return kernel::whole_index(node, pixel / Expr(p.h * p.w), pixel / Expr(p.w) % Expr(p.h),
                               pixel % Expr(p.w), var("channel") + var("i"));
  }

private:
  Expr element(const Value& value, Expr index) {
    return load(group_.buffers.at(&value), value.type.dtype, {std::move(index)});
  }
  const Group& group_;
  Read read_;
};

/// The elements that an epilogue computes, one after the other.
class Epilogue {
public:
  Epilogue(const Group& group, Body& lane) : group_(group), lane_(lane) {}

  void set(const Value& value, Expr element) { elements_[&value] = std::move(element); }
  const Expr& at(const Value& value) const { return elements_.at(&value); }
  /// Each value is loaded once, and never under a condition: g++ 12 vectorises that wrongly.
  Expr read(const Value& value) {
    auto [it, fresh] = elements_.try_emplace(&value);
    if (fresh) {
      const std::string& buffer = group_.buffers.at(&value);
      it->second = lane_.let(
          buffer + "_i", load(buffer, value.type.dtype, {var("pixel"), var("channel") + var("i")}));
    }
    return it->second;
  }
  void compute(const Node& member, size_t number) {
    EpilogueElements context(member, group_, [this](const Value& value) { return read(value); });
    if (member.op->is_update()) {
      std::vector<Expr> next = std::get<UpdateLowering>(member.op->lower).update(context, lane_);
      for (size_t r = 0; r < next.size(); ++r)
        set(*member.result(static_cast<int>(r)), next[r]);
    } else {
      set(*member.result(), lane_.let(fmt::format("v{}", number),
                                      std::get<MapLowering>(member.op->lower).map(context)));
    }
  }

private:
  const Group& group_;
  Body& lane_;
  std::unordered_map<const Value*, Expr> elements_;
};

} // namespace

std::vector<kernel::Stmt> lower_epilogue(const Group& group, size_t computed) {
  Body body;
  if (group.members.size() == computed)
    return {};
  body.loop(StmtKind::lanes, "i", 0, var("count"), [&](Expr i, Body& lane) {
    Epilogue epilogue(group, lane);
    epilogue.set(*group.members[computed - 1]->result(),
                 lane.let("v0", load("row", DType::f32, {i})));
    for (size_t m = computed; m < group.members.size(); ++m)
      epilogue.compute(*group.members[m], m);
    for (size_t r = 0; r < group.results.size(); ++r) {
      const Expr& element = epilogue.at(*group.member_results[r]);
      if (r == 0)
        lane.store("row", {i}, element);
      else
        lane.store(fmt::format("out{}", r), {var("pixel"), var("channel") + i}, element);
    }
  });
  return body.take();
}

Precision precision_of(const Node& contraction, const LoweringOptions& options) {
  const std::string& text = contraction.attrs.text("precision");
  return text == "default" ? default_precision(options.target) : parse_precision(text);
}

bool is_rounded(const Node& contraction) {
  const bool weight_gradient = contraction.op == &ops::conv2d_weight_gradient ||
                               contraction.op == &ops::linear_weight_gradient;
  return contraction.operands[0]->storage && (!weight_gradient || contraction.operands[1]->storage);
}

const Node* bias_gradient_of(const Group& group) {
  const Node& last = *group.members.back();
  return last.op == &ops::channel_sum ? &last : nullptr;
}

ContractionShape contraction_shape(const ContractionUse& use, bool exact) {
  const auto& family = std::get<TemplateLowering>(use.node.op->lower).name;
  if (family.rfind("conv2d", 0) == 0)
    return conv2d_shape(use, exact);
  return linear_shape(use.node, exact);
}

namespace {

/// Fills in what computes a contraction: the candidate that was chosen for it, or the default.
/// Returns the bytes of its workspaces.
std::vector<int64_t> specialise(Contraction& c, const Group& group,
                                const LoweringOptions& options) {
  const Node& contraction = *group.members[0];
  const auto& family = std::get<TemplateLowering>(contraction.op->lower).name;
  const Node* bias_gradient = bias_gradient_of(group);
  const ContractionUse use{contraction, group.results[0]->stored().dtype, bias_gradient != nullptr};
  const std::string chosen = options.choose && !options.exact ? options.choose(use) : "";
  c.shape = contraction_shape(use, options.exact);
  if (!options.target.has_cuda_text()) {
    const Candidate& candidate = find_candidate(family, chosen, c.shape);
    c.function = candidate.function;
    c.header = candidate.header;
    c.has_epilogue = family.find("weight_gradient") == std::string::npos;
    return {candidate.workspace(c.shape, options.threads)};
  }
  c.function = family;
  c.header = family.starts_with("linear") ? "linear.h" : "conv2d.h";
  c.precision = precision_of(contraction, options);
  c.rounded = is_rounded(contraction);
  c.has_epilogue = true;
  NETC_CHECK(!bias_gradient || group.results.size() == 2, "`{}` and the sum beside it are read",
             contraction.name);
  if (bias_gradient)
    c.ready_epilogue =
        fmt::format("netc::BiasGradient{{{{}}, {}}}", group.buffers.at(bias_gradient->result()));
  if (is_library(chosen))
    return specialise_for_library(c, group, chosen);
  return {specialise_for_cuda(c, family, options.target, chosen)};
}

} // namespace

LoweredNode lower_contraction(const Node& node, const Group& group,
                              const LoweringOptions& options) {
  const Node& contraction = *group.members[0];
  Contraction c;
  const std::vector<int64_t> workspaces = specialise(c, group, options);
  // Templates compute a convolution's weight gradient in another order than that of the weights,
  // which an epilogue would take for it.
  const bool in_order = c.has_epilogue && contraction.op != &ops::conv2d_weight_gradient;
  const bool takes_maps = in_order && !bias_gradient_of(group);
  NETC_CHECK(takes_maps || group.members.size() == (bias_gradient_of(group) ? 2 : 1),
             "`{}` has an epilogue, which {} cannot take", node.name, c.function);

  LoweredNode lowered{group.operands, group.results, {}, {}, {}};
  lowered.kernel.name = node.name;
  lowered.kernel.params = group_params(group);
  // The contraction's own tensors are plain memory to the template; the epilogue sees images as
  // [pixels, channels].
  for (size_t i = 0; i < lowered.kernel.params.size(); ++i) {
    const Value& value =
        i < group.operands.size() ? *group.operands[i] : *group.results[i - group.operands.size()];
    if (value.layout == Layout::nhwc || value.type.shape.size() == 2)
      lowered.kernel.params[i].type = flat_type(value);
    lowered.kernel.params[i].layout = Layout::row_major;
  }
  if (takes_maps)
    lowered.kernel.body = lower_epilogue(group, c.library ? members_computed(*c.library) : 1);
  for (int64_t bytes : workspaces) {
    if (bytes == 0)
      continue;
    const size_t number = lowered.workspaces.size();
    lowered.workspaces.push_back(bytes);
    lowered.kernel.params.push_back({number > 0 ? fmt::format("workspace{}", number) : "workspace",
                                     {DType::f32, {bytes / 4}},
                                     Layout::row_major,
                                     kernel::Access::workspace});
  }
  lowered.contraction = std::move(c);
  return lowered;
}

} // namespace netc
