// The text form of graphs:
//
//   graph alexnet from "alexnet.yaml" {
//     %images = feed() {dtype = "u8", shape = [64, 3, 256, 256]} : u8[64,3,256,256] nhwc @3:1
//     %pool1, %pool1.argmax = max_pool2d(%norm1) : f32[64,96,27,27], u8[64,96,27,27] @9:5
//     %f = fused(%a) {kind = "window"} : f32[64,96,27,27] @9:5 {
//       %x = argument() {index = 0} : f32[64,96,55,55]
//       ...
//       output result0 = %y
//     }
//     output loss = %loss
//     store %conv1.weight = %conv1.weight.new
//   }
//
// An output that is a part of a tensor tells of which and where it begins: `output y = %y of [64,
// 10] at [32, 0]`. ` as "name"` follows where a node is not named like its first result, the name
// of a body where it has one; attributes that are `implied` follow where they do not have their
// defaults; a place in another file than the graph's is written `@"file":9:5`. Names with unusual
// characters are quoted.

#include "ir/graph.h"
#include "ir/op.h"
#include "ir/text_parts.h"

#include <algorithm>

namespace netc {

namespace {

/// The file of the first node that has one; null when none has.
const SourceFile* main_file(const Graph& graph) {
  for (const auto& node : graph.nodes) {
    if (node->loc.file)
      return node->loc.file.get();
    if (const SourceFile* file = node->body ? main_file(*node->body) : nullptr)
      return file;
  }
  return nullptr;
}

std::string attribute_text(const Attribute& attribute) {
  if (const auto* text = std::get_if<std::string>(&attribute))
    return quoted(*text);
  if (const auto* real = std::get_if<double>(&attribute))
    return real_text(*real);
  return to_string(attribute);
}

bool is_implied(const OpDef& op, const std::string& name, const Attribute& attribute) {
  return std::any_of(op.attrs.begin(), op.attrs.end(), [&](const AttrDef& def) {
    return def.implied && def.name == name && def.fallback == attribute;
  });
}

class Printer {
public:
  explicit Printer(const std::string* file) : file_(file) {}
  std::string out;

  void graph(const Graph& graph, const std::string& indent) {
    out += "{\n";
    for (const auto& n : graph.nodes) {
      out += indent + "  ";
      node(*n);
      if (n->body) {
        out += n->body->name.empty() ? " " : fmt::format(" {} ", quoted(n->body->name));
        this->graph(*n->body, indent + "  ");
      }
      out += "\n";
    }
    for (const Graph::Output& o : graph.outputs)
      out +=
          fmt::format("{}  output {} = {}{}\n", indent, name_text(o.name), value(o.value),
                      o.whole.empty() ? ""
                                      : fmt::format(" of {} at {}", to_string(Attribute{o.whole}),
                                                    to_string(Attribute{o.at})));
    for (const Graph::Store& s : graph.stores)
      out += fmt::format("{}  store {} = {}\n", indent, value(s.parameter), value(s.value));
    out += indent + "}";
  }

  void node(const Node& n) {
    for (const auto& result : n.results)
      out += fmt::format("{}{}", result->index ? ", " : "", value(result.get()));
    out += fmt::format("{}{}(", n.results.empty() ? "" : " = ", name_text(n.op->name));
    const char* separator = "";
    for (const Value* operand : n.operands) {
      out += separator + value(operand);
      separator = ", ";
    }
    out += ")";
    attributes(n);
    separator = " : ";
    for (const auto& result : n.results) {
      out += fmt::format("{}{}{}{}", separator, result->type.str(), layout_text(result->layout),
                         storage_text(result->storage));
      separator = ", ";
    }
    if (n.results.empty() || n.results[0]->name != n.name)
      out += " as " + quoted(n.name);
    out += loc_text(n.loc, file_);
  }

private:
  static std::string value(const Value* v) { return fmt::format("%{}", name_text(v->name)); }

  void attributes(const Node& n) {
    const char *separator = " {", *end = "";
    for (const auto& [name, attribute] : n.attrs) {
      if (is_implied(*n.op, name, attribute))
        continue;
      out += fmt::format("{}{} = {}", separator, name_text(name), attribute_text(attribute));
      separator = ", ";
      end = "}";
    }
    out += end;
  }

  const std::string* file_; ///< The graph's own file; null: names no file.
};

} // namespace

std::string print(const Graph& graph) {
  const SourceFile* file = main_file(graph);
  Printer printer(file ? &file->name : nullptr);
  printer.out = "graph " + name_text(graph.name) + " ";
  if (file)
    printer.out += "from " + quoted(file->name) + " ";
  printer.graph(graph, "");
  return printer.out + "\n";
}

std::string print(const Node& node) {
  Printer printer(nullptr);
  printer.node(node);
  return std::move(printer.out);
}

} // namespace netc
