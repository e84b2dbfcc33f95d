#include "tools/viz/dot.h"

#include "ir/op.h"
#include "tools/viz/label.h"

#include <algorithm>
#include <map>

namespace netc {

namespace {

constexpr std::string_view header =
    R"(  graph [rankdir=TB, newrank=true, labelloc=t, labeljust=l,
         fontname="Helvetica,Arial,sans-serif",
         bgcolor=white, pad=0.4, nodesep=0.3, ranksep=0.28, outputorder=edgesfirst, tooltip=" "]
  node [shape=box, style="rounded,filled", fontname="Helvetica,Arial,sans-serif", fontsize=12,
        margin="0.08,0.04", height=0.2, width=0.2, penwidth=1]
  edge [fontname="Helvetica,Arial,sans-serif", arrowsize=0.6, tooltip=" "]
)";

/// From left to right: forward, cotangents, gradients of parameters, updates.
constexpr int column_count = 4;

/// The column of each node. What enters stands in the column of its first reader.
std::vector<int> columns(const Drawing& drawing) {
  std::vector<int> column(drawing.nodes.size(), -1);
  std::vector<bool> propagates(drawing.nodes.size()); // to a cotangent
  auto index = [](int i) { return static_cast<size_t>(i); };
  for (const DrawnEdge& edge : drawing.edges)
    if (drawing.nodes[index(edge.to)].part == Part::backward)
      propagates[index(edge.from)] = true;
  for (size_t i = 0; i < column.size(); ++i) {
    const Part part = drawing.nodes[i].part;
    column[i] = part == Part::forward ? 0 : part == Part::update ? 3 : propagates[i] ? 1 : 2;
  }
  std::vector<bool> placed(drawing.nodes.size());
  for (const DrawnEdge& edge : drawing.edges)
    if (drawing.nodes[index(edge.from)].entrance && !placed[index(edge.from)]) {
      placed[index(edge.from)] = true;
      column[index(edge.from)] = column[index(edge.to)];
    }
  return column;
}

/// Where the description asks for the node, and the node in IR notation.
std::string tooltip(const Node& node) {
  return dot_string(
      fmt::format("{}{}{}", node.loc.str(), node.loc.known() ? ": " : "", print(node)));
}

class Writer {
public:
  explicit Writer(const Drawing& drawing) : drawing_(drawing), columns_(columns(drawing)) {
    for (size_t i = 0; i < drawing.nodes.size(); ++i)
      if (const int group = drawing.nodes[i].group; group >= 0)
        first_of_group_.try_emplace(group, static_cast<int>(i));
  }

  std::string run(const Graph& graph, const VizOptions& options) {
    out_ = fmt::format("digraph {} {{\n{}  label={}\n\n", dot_string(graph.name), header,
                       title_label(graph, drawing_, options));
    write_columns();
    write_layers();
    for (const DrawnEdge& edge : drawing_.edges)
      write_edge(edge);
    return out_ + "}\n";
  }

private:
  const DrawnNode& at(int index) const { return drawing_.nodes[static_cast<size_t>(index)]; }
  int column(int index) const { return columns_[static_cast<size_t>(index)]; }

  /// A training graph has a box without border for each column, else dot mixes them; what holds
  /// them in order is a chain of invisible nodes above them.
  void write_columns() {
    const bool only_forward =
        std::all_of(columns_.begin(), columns_.end(), [](int column) { return column == 0; });
    if (only_forward)
      return write_group(-1, 0, "  ");
    std::string anchors, chain;
    for (int column = 0; column < column_count; ++column) {
      const int top = top_of(column);
      if (top < 0)
        continue;
      out_ += fmt::format(
          "  subgraph cluster_column{} {{\n    peripheries=0; margin=8; label=\"\"\n", column);
      write_group(-1, column, "    ");
      out_ += "  }\n";
      anchors +=
          fmt::format("; above{} [style=invis, label=\"\", width=0.01, height=0.01]", column);
      chain += fmt::format("{}above{}", chain.empty() ? "" : " -> ", column);
      out_ += fmt::format("  above{} -> n{} [style=invis, weight=0]\n", column, top);
    }
    out_ += fmt::format("  {{rank=min{}; {} [style=invis]}}\n", anchors, chain);
  }

  /// The highest operator of a column: backward flows up. -1 when there is none.
  int top_of(int column) const {
    int top = -1;
    for (size_t i = 0; i < columns_.size(); ++i)
      if (columns_[i] == column && !drawing_.nodes[i].entrance)
        if (top < 0 || drawing_.nodes[i].part == Part::backward)
          top = static_cast<int>(i);
    return top;
  }

  /// The nodes and boxes that stand directly in `group`; outside of all, those of one column.
  void write_group(int group, int column, const std::string& indent) {
    for (size_t i = 0; i < drawing_.nodes.size(); ++i)
      if (drawing_.nodes[i].group == group && (group >= 0 || columns_[i] == column))
        write_node(i, indent);
    for (size_t i = 0; i < drawing_.groups.size(); ++i)
      if (drawing_.groups[i].parent == group)
        if (auto first = first_of_group_.find(static_cast<int>(i));
            first != first_of_group_.end() && (group >= 0 || this->column(first->second) == column))
          write_box(i, at(first->second).part, column, indent);
  }

  void write_box(size_t i, Part part, int column, const std::string& indent) {
    const DrawnGroup& group = drawing_.groups[i];
    out_ += fmt::format(
        "{}subgraph cluster_{} {{\n{}  label={}; labeljust=l; style=\"rounded,filled,dashed\"; "
        "peripheries=1; margin=7\n{}  color=\"{}\"; fillcolor=\"{}\"; tooltip={}\n",
        indent, i, indent, group_label(group, part), indent, palette(part).border,
        palette(part).box, tooltip(*group.node));
    write_group(static_cast<int>(i), column, indent + "  ");
    out_ += indent + "}\n";
  }

  void write_node(size_t i, const std::string& indent) {
    const DrawnNode& drawn = drawing_.nodes[i];
    const Palette& colours = palette(drawn.part);
    std::string look = fmt::format("group=column{}, fillcolor=\"{}\", color=\"{}\"", columns_[i],
                                   drawn.node->op->is_contraction() ? colours.strong : colours.fill,
                                   colours.border);
    if (drawn.entrance)
      look = "fillcolor=\"#f1f3f5\", color=\"#b4bcc4\", margin=\"0.08,0.03\"";
    out_ += fmt::format("{}n{} [label={}, {}, tooltip={}]\n", indent, i,
                        node_label(drawn, drawing_.batch), look, tooltip(*drawn.node));
  }

  /// Nodes of one layer stand side by side.
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
      std::vector<int>& members = layers[layer];
      if (members.size() < 2)
        continue;
      std::stable_sort(members.begin(), members.end(),
                       [&](int a, int b) { return column(a) < column(b); });
      out_ += "  {rank=same";
      for (int member : members)
        out_ += fmt::format("; n{}", member);
      out_ += "}\n";
    }
  }

  void write_edge(const DrawnEdge& edge) {
    const DrawnNode &from = at(edge.from), &to = at(edge.to);
    const bool flat = !from.layer.empty() && from.layer == to.layer;
    const bool across = !flat && column(edge.from) != column(edge.to);
    auto line = [&](int tail, int head, std::string_view colour, double width,
                    const std::string& more) {
      out_ += fmt::format("  n{} -> n{} [color=\"{}\", penwidth={}{}]\n", tail, head, colour, width,
                          more);
    };
    if (from.entrance && from.part == Part::forward)
      line(edge.from, edge.to, edge_colours.kept, 0.8, across ? ", constraint=false" : "");
    else if (to.part == Part::update)
      line(edge.from, edge.to, edge_colours.update, 0.8, across ? ", constraint=false" : "");
    else if (from.part == Part::backward && !flat) // flows up: dot ranks the reader above
      line(edge.to, edge.from, edge_colours.backward, 1.1,
           fmt::format(", dir=back, weight={}", across ? 1 : 20));
    else if (from.part == Part::backward)
      line(edge.from, edge.to, edge_colours.backward, 1.1, "");
    else if (to.part == Part::backward)
      line(edge.from, edge.to, edge_colours.kept, 0.7, across ? ", constraint=false" : "");
    else
      line(edge.from, edge.to, edge_colours.forward, 1.6, ", weight=20");
  }

  const Drawing& drawing_;
  std::vector<int> columns_;
  std::map<int, int> first_of_group_; ///< A node of each box that has one.
  std::string out_;
};

} // namespace

std::string to_dot(const Graph& graph, const VizOptions& options) {
  const Drawing drawing = make_drawing(graph, options.show_parameters);
  return Writer(drawing).run(graph, options);
}

} // namespace netc
