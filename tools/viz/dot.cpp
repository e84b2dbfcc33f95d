#include "tools/viz/dot.h"

#include "ir/op.h"
#include "tools/viz/label.h"

#include <map>

namespace netc {

namespace {

constexpr std::string_view header = R"(  graph [rankdir=TB, newrank=true, labelloc=t, labeljust=l, fontname="Helvetica,Arial,sans-serif",
         bgcolor=white, pad=0.4, nodesep=0.3, ranksep=0.28, outputorder=edgesfirst, tooltip=" "]
  node [shape=box, style="rounded,filled", fontname="Helvetica,Arial,sans-serif", fontsize=12,
        margin="0.08,0.04", height=0.2, width=0.2, penwidth=1]
  edge [fontname="Helvetica,Arial,sans-serif", arrowsize=0.6, tooltip=" "]
)";

class Writer {
public:
  explicit Writer(const Drawing& drawing) : drawing_(drawing) {}

  std::string run(const Graph& graph, const VizOptions& options) {
    out_ = fmt::format("digraph {} {{\n{}  label={}\n\n", dot_string(graph.name), header,
                       title_label(graph, drawing_, options));
    write_group(-1, "  ");
    out_ += "\n";
    write_layers();
    for (const DrawnEdge& edge : drawing_.edges)
      write_edge(edge);
    return out_ + "}\n";
  }

private:
  const DrawnNode& at(int index) const { return drawing_.nodes[static_cast<size_t>(index)]; }

  void write_group(int group, const std::string& indent) {
    for (size_t i = 0; i < drawing_.nodes.size(); ++i)
      if (drawing_.nodes[i].group == group)
        write_node(i, indent);
    for (size_t i = 0; i < drawing_.groups.size(); ++i) {
      if (drawing_.groups[i].parent != group)
        continue;
      const Part part = part_of(static_cast<int>(i));
      out_ += fmt::format("{}subgraph cluster_{} {{\n"
                          "{}  label={}; labeljust=l; style=\"rounded,filled,dashed\"; "
                          "color=\"{}\"; fillcolor=\"{}\"; margin=7; tooltip={}\n",
                          indent, i, indent, group_label(drawing_.groups[i], part),
                          palette(part).border, palette(part).box,
                          dot_string(drawing_.groups[i].node->loc.str()));
      write_group(static_cast<int>(i), indent + "  ");
      out_ += indent + "}\n";
    }
  }

  Part part_of(int group) const {
    for (const DrawnNode& drawn : drawing_.nodes)
      if (drawn.group == group)
        return drawn.part;
    return Part::forward;
  }

  void write_node(size_t i, const std::string& indent) {
    const DrawnNode& drawn = drawing_.nodes[i];
    const Palette& colours = palette(drawn.part);
    std::string look = fmt::format("fillcolor=\"{}\", color=\"{}\"",
                                   drawn.node->op->is_contraction() ? colours.strong : colours.fill,
                                   colours.border);
    if (drawn.entrance)
      look = "fillcolor=\"#f1f3f5\", color=\"#b4bcc4\", margin=\"0.08,0.03\"";
    else
      look += fmt::format(", group={}", to_string(drawn));
    out_ += fmt::format("{}n{} [label={}, {}, tooltip={}]\n", indent, i,
                        node_label(drawn, drawing_.batch), look, dot_string(print(*drawn.node)));
  }

  /// Columns that dot tries to keep straight.
  static std::string_view to_string(const DrawnNode& drawn) {
    return drawn.part == Part::forward    ? "forward"
           : drawn.part == Part::backward ? "backward"
                                          : "update";
  }

  /// Nodes of one layer stand side by side: forward, backward, update from left to right.
  void write_layers() {
    std::map<std::string, std::vector<int>> layers;
    std::vector<std::string> order;
    for (size_t i = 0; i < drawing_.nodes.size(); ++i)
      if (const std::string& layer = drawing_.nodes[i].layer; !layer.empty()) {
        if (layers[layer].empty())
          order.push_back(layer);
        layers[layer].push_back(static_cast<int>(i));
      }
    for (const std::string& layer : order) {
      const std::vector<int>& members = layers[layer];
      if (members.size() < 2)
        continue;
      out_ += "  {rank=same";
      for (int member : members)
        out_ += fmt::format("; n{}", member);
      out_ += "}\n";
      for (size_t i = 1; i < members.size(); ++i)
        if (!linked(members[i - 1], members[i]))
          out_ += fmt::format("  n{} -> n{} [style=invis]\n", members[i - 1], members[i]);
    }
  }

  bool linked(int from, int to) const {
    for (const DrawnEdge& edge : drawing_.edges)
      if (edge.from == from && edge.to == to)
        return true;
    return false;
  }

  void write_edge(const DrawnEdge& edge) {
    const DrawnNode &from = at(edge.from), &to = at(edge.to);
    const bool flat = !from.layer.empty() && from.layer == to.layer;
    if (to.part == Part::update) {
      out_ += fmt::format("  n{} -> n{} [color=\"#8fbf8f\", penwidth=0.8]\n", edge.from, edge.to);
    } else if (from.part == Part::backward && !flat) {
      // Backward flows up: dot ranks the reader above what it reads.
      out_ += fmt::format(
          "  n{} -> n{} [dir=back, color=\"#cf9252\", penwidth=1.1, weight=4]\n", edge.to,
          edge.from);
    } else if (from.part == Part::backward) {
      out_ += fmt::format("  n{} -> n{} [color=\"#cf9252\", penwidth=1.1]\n", edge.from, edge.to);
    } else if (to.part == Part::backward) {
      out_ += fmt::format("  n{} -> n{} [color=\"#b9c0c8\", penwidth=0.7{}]\n", edge.from, edge.to,
                          flat ? "" : ", constraint=false");
    } else {
      out_ += fmt::format("  n{} -> n{} [color=\"{}\", penwidth={}, weight={}]\n", edge.from,
                          edge.to, from.entrance ? "#b4bcc4" : "#47627d",
                          from.entrance ? "0.8" : "1.6", from.entrance ? 1 : 20);
    }
  }

  const Drawing& drawing_;
  std::string out_;
};

} // namespace

std::string to_dot(const Graph& graph, const VizOptions& options) {
  const Drawing drawing = make_drawing(graph, options.show_parameters);
  return Writer(drawing).run(graph, options);
}

} // namespace netc
