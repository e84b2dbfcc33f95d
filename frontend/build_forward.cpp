// From the checked description to the forward graph.

#include "frontend/network.h"
#include "frontend/parameters.h"

#include "ir/op.h"
#include "ir/ops.h"

#include <algorithm>
#include <unordered_set>

namespace netc {

namespace {

using frontend::ParameterRules;

class ForwardBuilder {
public:
  ForwardBuilder(const Network& network, int64_t batch, Diagnostics& diagnostics)
      : network_(network), batch_(batch), diagnostics_(diagnostics), rules_(network),
        graph_(network.recipe.name) {}

  Graph build() {
    const int errors_before = diagnostics_.error_count();
    values_["data"] = build_input();
    for (const LayerDescription& layer : network_.layers) {
      layers_[layer.name] = &layer;
      values_[layer.name] = build_layer(layer);
    }
    if (diagnostics_.error_count() == errors_before) {
      rules_.report_unused(diagnostics_);
      const std::string& last = network_.layers.back().name;
      if (graph_.outputs.empty())
        graph_.outputs.push_back({last, values_.at(last)});
      warn_unread();
    }
    return std::move(graph_);
  }

private:
  /// Applies an operator; its complaints go to `diagnostics`. Null after one, or when an operand
  /// is null because of an earlier one.
  Node* apply(const OpDef& op, const std::string& name, std::vector<Value*> operands,
              Attributes attrs, const Loc& loc, Diagnostics& diagnostics) {
    std::vector<TensorType> types;
    for (const Value* operand : operands) {
      if (!operand)
        return nullptr;
      types.push_back(operand->type);
    }
    InferContext context{op, types, attrs, loc, diagnostics, fmt::format("{} `{}`", op.name, name)};
    if (!infer_node(context))
      return nullptr;
    return graph_.add(op, name, std::move(operands), std::move(attrs), std::move(context.results),
                      loc);
  }

  /// The feed of that name, made when first asked for.
  Value* feed(const std::string& name) {
    if (auto it = feeds_.find(name); it != feeds_.end())
      return it->second;
    const InputSpec& input = network_.recipe.input;
    const bool images = name == "images";
    Shape shape = {batch_};
    if (images)
      shape = {batch_, input.channels, input.stored_height, input.stored_width};
    else if (name == "seed")
      shape = {2};
    else if (name == "step")
      shape = {1};
    else
      NETC_CHECK(name == "labels" || name == "sample_ids" || name == "epochs",
                 "there is no feed `{}`", name);
    Node* node = apply(ops::feed, name, {},
                       {{"shape", shape}, {"dtype", std::string(images ? "u8" : "i32")}},
                       network_.input_loc, diagnostics_);
    Value* value = node ? node->result() : nullptr;
    if (value && images)
      value->layout = Layout::nhwc; // as the loader stores them
    return feeds_[name] = value;
  }

  Value* build_input() {
    const InputSpec& input = network_.recipe.input;
    std::vector<Value*> operands = {feed("images"), feed("sample_ids"), feed("epochs"),
                                    feed("seed")};
    if (input.mean != Mean::none) {
      Node* mean = apply(ops::parameter, "input.mean", {},
                         {{"shape", Shape{input.channels}},
                          {"init", std::string("data_mean")},
                          {"trainable", false}},
                         network_.input_loc, diagnostics_);
      operands.push_back(mean ? mean->result() : nullptr);
    }
    Node* node = apply(ops::input_image, "data", std::move(operands),
                       {{"height", input.height},
                        {"width", input.width},
                        {"random_crop", input.crop == Crop::random},
                        {"flip", input.flip},
                        {"scale", input.scale}},
                       network_.input_loc, diagnostics_);
    return node ? node->result() : nullptr;
  }

  /// The layer's value; null when it or something it reads is wrong.
  Value* build_layer(const LayerDescription& layer) {
    std::vector<Value*> inputs;
    for (const std::string& name : layer.from) {
      inputs.push_back(values_.at(name));
      if (!inputs.back())
        return nullptr; // reported where it arose
    }
    Diagnostics complaints;
    GraphBuilder builder(graph_, layer.loc);
    LayerContext context{
        .builder = builder,
        .diagnostics = complaints,
        .name = layer.name,
        .inputs = inputs,
        .keys = layer.keys,
        .loc = layer.loc,
        .parameter =
            [&](const ParameterRequest& request) {
              Node* node = apply(ops::parameter, fmt::format("{}.{}", layer.name, request.name), {},
                                 rules_.attributes(layer, request), layer.loc, complaints);
              return node ? node->result() : nullptr;
            },
        .feed = [&](const std::string& name) { return feed(name); },
        .apply =
            [&](const OpDef& op, std::string name, std::vector<Value*> operands, Attributes attrs) {
              return apply(op, name, std::move(operands), std::move(attrs), layer.loc, complaints);
            }};
    Value* value = nullptr;
    if (layer.op->layer->build)
      value = layer.op->layer->build(context);
    else if (Node* node = context.apply(*layer.op, layer.name, inputs, layer.keys))
      value = node->result();
    check_outputs(layer, complaints);
    forward(complaints, layer);
    NETC_CHECK(value || complaints.has_errors(), "layer `{}` failed without an error", layer.name);
    return complaints.has_errors() ? nullptr : value;
  }

  /// Outputs are named by what they are, so a second loss cannot have its own.
  void check_outputs(const LayerDescription& layer, Diagnostics& complaints) {
    for (; outputs_seen_ < graph_.outputs.size(); ++outputs_seen_) {
      const std::string& name = graph_.outputs[outputs_seen_].name;
      auto [giver, fresh] = output_givers_.try_emplace(name, &layer);
      if (fresh || giver->second == &layer)
        continue;
      complaints
          .error(layer.loc, fmt::format("{} `{}`: the network has an output `{}` already",
                                        layer.op->name, layer.name, name))
          .note(giver->second->loc, fmt::format("`{}` gives it", giver->second->name));
      outputs_seen_ = graph_.outputs.size();
      return;
    }
  }

  /// Passes a layer's complaints on, each with the shapes that led there.
  void forward(const Diagnostics& complaints, const LayerDescription& layer) {
    for (const Diagnostic& complaint : complaints.all()) {
      const bool error = complaint.severity == Severity::error;
      Diagnostic& d = error ? diagnostics_.error(complaint.loc, complaint.message)
                            : diagnostics_.warning(complaint.loc, complaint.message);
      d.notes = complaint.notes;
      if (error)
        for (std::string& line : shape_chain(layer))
          d.note(std::move(line));
    }
  }

  std::string shape_line(const std::string& name) const {
    auto it = layers_.find(name);
    return fmt::format("{} ({}): {}", name,
                       it == layers_.end() ? "the input" : it->second->op->name,
                       values_.at(name)->type.str());
  }

  /// The way from the input to a layer along its first operands, then its other operands.
  std::vector<std::string> shape_chain(const LayerDescription& layer) const {
    constexpr size_t shown = 8;
    std::vector<std::string> names; // from the layer upwards
    for (std::string at = layer.from[0];; at = layers_.at(at)->from[0]) {
      names.push_back(at);
      if (!layers_.count(at))
        break;
    }
    std::reverse(names.begin(), names.end());
    std::vector<std::string> lines;
    for (size_t i = 0; i < names.size(); ++i) {
      if (names.size() <= shown || i < 2 || i + shown - 2 > names.size())
        lines.push_back(shape_line(names[i]));
      else if (i == 2)
        lines.push_back("...");
    }
    for (size_t i = 1; i < std::min(layer.from.size(), shown); ++i)
      lines.push_back(fmt::format("also read: {}", shape_line(layer.from[i])));
    return lines;
  }

  /// A layer that nothing reads does no work: most likely a mistake in the wiring.
  void warn_unread() {
    std::unordered_set<std::string> read;
    for (const LayerDescription& layer : network_.layers)
      read.insert(layer.from.begin(), layer.from.end());
    std::unordered_set<const Node*> ends;
    for (const Graph::Output& output : graph_.outputs)
      ends.insert(output.value->node);
    for (const LayerDescription& layer : network_.layers)
      if (&layer != &network_.layers.back() && !read.count(layer.name) &&
          !ends.count(values_.at(layer.name)->node))
        diagnostics_.warning(layer.loc, fmt::format("nothing reads layer `{}`", layer.name));
  }

  const Network& network_;
  const int64_t batch_;
  Diagnostics& diagnostics_;
  ParameterRules rules_;
  Graph graph_;
  std::unordered_map<std::string, Value*> values_; ///< Of `data` and the layers; null = failed.
  std::unordered_map<std::string, const LayerDescription*> layers_; ///< Built so far.
  std::unordered_map<std::string, Value*> feeds_;
  std::unordered_map<std::string, const LayerDescription*> output_givers_; ///< By output name.
  size_t outputs_seen_ = 0;
};

} // namespace

Graph build_forward(const Network& network, int64_t batch, Diagnostics& diagnostics) {
  NETC_CHECK(batch >= 1 && !network.layers.empty(), "build_forward of batch {}, {} layers", batch,
             network.layers.size());
  return ForwardBuilder(network, batch, diagnostics).build();
}

int64_t class_count(const Graph& graph) {
  for (const Graph::Output& output : graph.outputs)
    if (output.name == "probabilities")
      return output.value->type.shape.back();
  return 0;
}

} // namespace netc
