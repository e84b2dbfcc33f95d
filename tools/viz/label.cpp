#include "tools/viz/label.h"

#include "ir/op.h"

#include <algorithm>

namespace netc {

namespace {

constexpr std::string_view ink = "#1f2933", muted = "#66727f";

/// `34,848`.
std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;)
    text.insert(at -= 3, 1, ',');
  return text;
}

/// `105.4 M`.
std::string with_unit(double number) {
  const char* unit = "";
  for (const char* next : {"k", "M", "G", "T", "P"}) {
    if (number < 999.95)
      break;
    number /= 1000;
    unit = next;
  }
  return *unit ? fmt::format("{:.1f} {}", number, unit) : fmt::format("{:.0f}", number);
}

std::string times(const std::vector<int64_t>& extents, std::string_view sign) {
  std::string text;
  for (int64_t extent : extents)
    text += fmt::format("{}{}", text.empty() ? "" : sign, extent);
  return text;
}

/// `128 x 96 x 55 x 55` with real multiplication signs; the element type unless it is f32.
std::string type_text(const TensorType& type) {
  std::string text = type.shape.empty() ? "scalar" : times(type.shape, " × ");
  if (type.dtype != DType::f32)
    text += fmt::format(" {}", to_string(type.dtype));
  return text;
}

/// Attributes that the shape of the result tells, or that are no property of the layer.
bool is_hidden(const std::string& name) {
  static const std::string_view hidden[] = {"shape",  "dtype",     "height", "width",
                                            "stream", "begin",     "index",  "value",
                                            "init",   "trainable", "fan_in", "fan_out"};
  return std::find(std::begin(hidden), std::end(hidden), name) != std::end(hidden);
}

std::string attribute_text(const std::string& name, const Attribute& attribute) {
  std::string spoken = name;
  std::replace(spoken.begin(), spoken.end(), '_', ' ');
  if (const bool* flag = std::get_if<bool>(&attribute))
    return *flag ? spoken : "";
  if (const auto* text = std::get_if<std::string>(&attribute))
    return fmt::format("{} {}", spoken, *text);
  if (const auto* real = std::get_if<double>(&attribute))
    return fmt::format("{} {:.6g}", spoken, *real);
  const auto* list = std::get_if<std::vector<int64_t>>(&attribute);
  if (!list)
    return fmt::format("{} {}", spoken, std::get<int64_t>(attribute));
  const bool same =
      std::all_of(list->begin(), list->end(), [&](auto x) { return x == (*list)[0]; });
  if (name == "kernel" || !same || list->empty())
    return fmt::format("{} {}", spoken, times(*list, "×"));
  return fmt::format("{} {}", spoken, (*list)[0]);
}

/// The attributes that are not at their default, in the order of the operator's record.
std::vector<std::string> attribute_words(const Node& node) {
  std::vector<std::string> words;
  // A convolution's kernel is known from its weights.
  if (node.attrs.has("stride") && !node.attrs.has("kernel") && node.operands.size() > 1 &&
      node.operands[1]->type.shape.size() == 4) {
    const Shape& weight = node.operands[1]->type.shape;
    words.push_back(fmt::format("kernel {}×{}", weight[2], weight[3]));
  }
  for (const AttrDef& def : node.op->attrs)
    for (const auto& [name, attribute] : node.attrs)
      if (name == def.name && !is_hidden(name) && attribute != def.fallback)
        if (std::string word = attribute_text(name, attribute); !word.empty())
          words.push_back(std::move(word));
  return words;
}

/// Words set in lines of at most `width` characters, roughly: a sign of two bytes counts twice.
std::vector<std::string> set_in_lines(const std::vector<std::string>& words, size_t width) {
  std::vector<std::string> lines;
  for (const std::string& word : words)
    if (lines.empty() || lines.back().size() + word.size() > width)
      lines.push_back(word);
    else
      lines.back() += " · " + word;
  return lines;
}

std::string font(std::string_view colour, int size, const std::string& text) {
  // Graphviz refuses an empty element.
  return text.empty()
             ? ""
             : fmt::format("<FONT COLOR=\"{}\" POINT-SIZE=\"{}\">{}</FONT>", colour, size, text);
}

std::string bold(std::string_view text) {
  return text.empty() ? "" : fmt::format("<B>{}</B>", html(text));
}

/// The rows of a node, `width` points wide at least.
class Rows {
public:
  explicit Rows(int width) : width_(width) {}

  void add(const std::string& text) {
    if (!text.empty())
      rows_ += fmt::format("<TR><TD COLSPAN=\"2\" ALIGN=\"LEFT\" WIDTH=\"{}\">{}</TD></TR>", width_,
                           text);
  }
  /// Texts at the left and the right margin.
  void add(const std::string& left, const std::string& right) {
    if (right.empty())
      return add(left);
    rows_ +=
        fmt::format("<TR><TD ALIGN=\"LEFT\">{}</TD><TD ALIGN=\"RIGHT\">{}</TD></TR>", left, right);
  }
  /// All of them as a label.
  std::string label() const {
    return fmt::format("<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" "
                       "CELLPADDING=\"1\">{}</TABLE>>",
                       rows_);
  }

private:
  int width_;
  std::string rows_;
};

/// Feeds, parameters, constants: the name and what it is.
std::string entrance_label(const Node& node) {
  std::string text = node.results.empty() ? "" : type_text(node.result()->type);
  if (node.attrs.has("value"))
    text = fmt::format("{:.6g}", node.attrs.real("value"));
  return fmt::format("<{} {}>", font(ink, 10, bold(node.name)), font(muted, 9, text));
}

/// An update says what is particular to its parameter.
std::string update_label(const Node& node) {
  Rows rows(200);
  rows.add(font(ink, 11, bold(node.name)));
  for (const std::string& line : set_in_lines(attribute_words(node), 48))
    rows.add(font(muted, 10, html(line)));
  return rows.label();
}

/// Nothing for single numbers: losses, accuracies.
std::string shape_text(const Node& node) {
  const bool single = node.results.empty() || node.result()->type.elements() == 1;
  return single ? "" : font(ink, 11, type_text(node.result()->type));
}

std::string macs_text(const Node& node, int64_t batch) {
  const int64_t macs = multiply_adds(node);
  return macs == 0
             ? ""
             : font(muted, 11,
                    fmt::format("{} MACs",
                                with_unit(static_cast<double>(macs) / static_cast<double>(batch))));
}

/// What the forward node beside it says already is left out.
std::string backward_label(const Node& node, int64_t batch) {
  Rows rows(190);
  rows.add(bold(node.name));
  rows.add(font(muted, 11, html(node.op->name)));
  rows.add(shape_text(node), macs_text(node, batch));
  return rows.label();
}

/// `word a, b, c`, or nothing.
std::string listed(std::string_view word, const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names)
    list += fmt::format("{}{}", list.empty() ? "" : ", ", name);
  return names.empty() ? "" : font(muted, 10, html(fmt::format("{} {}", word, list)));
}

std::string forward_label(const DrawnNode& drawn, int64_t batch) {
  const Node& node = *drawn.node;
  Rows rows(204);
  rows.add(bold(node.name), font(muted, 11, html(node.op->name)));
  for (const std::string& line : set_in_lines(attribute_words(node), 40))
    rows.add(font(ink, 11, html(line)));
  rows.add(shape_text(node));
  int64_t parameters = 0;
  for (const Value* parameter : drawn.parameters)
    parameters += parameter->type.elements();
  std::string count = parameters ? fmt::format("{} parameters", grouped(parameters)) : "";
  rows.add(font(muted, 11, count), macs_text(node, batch));
  std::vector<std::string> reads;
  for (const Value* value : drawn.reads)
    reads.push_back(value->name);
  rows.add(listed("reads", reads));
  rows.add(listed("▸ output", drawn.outputs));
  return rows.label();
}

/// A sample and what it means.
std::string legend_entry(std::string_view cell, std::string_view text) {
  return fmt::format("<TD {}WIDTH=\"18\" HEIGHT=\"12\"></TD><TD ALIGN=\"LEFT\">{}</TD>", cell,
                     font(muted, 11, fmt::format("{}  ", text)));
}

std::string legend_line(std::string_view colour, std::string_view text) {
  return fmt::format("<TD>{}</TD><TD ALIGN=\"LEFT\">{}</TD>", font(colour, 14, "⟶"),
                     font(muted, 11, fmt::format("{}  ", text)));
}

/// What the colours mean: only those that occur.
std::string legend(const Drawing& drawing) {
  static constexpr std::pair<Part, std::string_view> parts[] = {
      {Part::forward, "forward"}, {Part::backward, "backward"}, {Part::update, "update"}};
  std::string cells;
  bool training = false;
  for (const auto& [part, name] : parts) {
    bool occurs = std::any_of(drawing.nodes.begin(), drawing.nodes.end(),
                              [p = part](auto& n) { return n.part == p && !n.entrance; });
    training = training || (occurs && part == Part::backward);
    auto filled = [](const std::string& colour) {
      return fmt::format("BGCOLOR=\"{}\" STYLE=\"ROUNDED\" ", colour);
    };
    if (occurs)
      cells += legend_entry(filled(palette(part).fill), name);
    if (occurs && part != Part::update)
      cells += legend_entry(filled(palette(part).strong), "its contractions");
  }
  if (!drawing.groups.empty())
    cells += legend_entry("BORDER=\"1\" COLOR=\"#8a94a0\" STYLE=\"ROUNDED,DASHED\" ",
                          "fused: one kernel");
  cells += legend_line(edge_colours.forward, "data");
  if (training)
    cells += legend_line(edge_colours.backward, "gradient") +
             legend_line(edge_colours.kept, "kept for backward");
  else
    cells += "<TD WIDTH=\"180\"></TD>"; // a legend narrower than the title would be stretched
  return fmt::format("<TABLE BORDER=\"0\" CELLSPACING=\"4\" "
                     "CELLPADDING=\"1\"><TR>{}</TR></TABLE>",
                     cells);
}

/// Length of the UTF-8 sequence at the start of `text`; 0 when there is none that XML allows.
size_t sequence(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80)
    return first >= 0x20 && first != 0x7f ? 1 : 0;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length)
    return 0;
  for (size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80)
      return 0;
  return length;
}

/// Hands out the characters of a text, `?` for what is none.
template <class Fn> void for_each_character(std::string_view text, Fn fn) {
  while (!text.empty()) {
    const size_t length = sequence(text);
    fn(length ? text.substr(0, length) : std::string_view("?"));
    text.remove_prefix(std::max<size_t>(length, 1));
  }
}

} // namespace

const Palette& palette(Part part) {
  static const Palette forward = {"#e8f1fa", "#bfd9f2", "#5a8fc0", "#f6fafd"};
  static const Palette backward = {"#fdf0e1", "#f8d5ad", "#cf9252", "#fefaf4"};
  static const Palette update = {"#e6f3e6", "#c4e3c4", "#6fab6f", "#f6fbf6"};
  return part == Part::forward ? forward : part == Part::backward ? backward : update;
}

std::string html(std::string_view text) {
  std::string out;
  for_each_character(text, [&](std::string_view c) {
    if (c == "&" || c == "<" || c == ">" || c == "\"")
      out += c == "&" ? "&amp;" : c == "<" ? "&lt;" : c == ">" ? "&gt;" : "&quot;";
    else
      out += c == "\\" ? "\\\\" : c; // Graphviz replaces \N, \G and others
  });
  return out;
}

std::string dot_string(std::string_view text) {
  std::string out;
  for_each_character(text, [&](std::string_view c) {
    out += c == "\"" || c == "\\" ? "\\" : "";
    out += c;
  });
  return "\"" + out + "\"";
}

std::string node_label(const DrawnNode& drawn, int64_t batch) {
  if (drawn.entrance)
    return entrance_label(*drawn.node);
  if (drawn.part == Part::update)
    return update_label(*drawn.node);
  return drawn.part == Part::backward ? backward_label(*drawn.node, batch)
                                      : forward_label(drawn, batch);
}

std::string group_label(const DrawnGroup& group, Part part) {
  std::string kind = group.node->attrs.has("kind") ? group.node->attrs.text("kind") : "fused";
  return fmt::format("<{}>", font(palette(part).border, 11, bold(kind)));
}

std::string title_label(const Graph& graph, const Drawing& drawing, const VizOptions& options) {
  const double macs =
      static_cast<double>(drawing.forward_macs) / static_cast<double>(drawing.batch);
  Rows rows(0);
  rows.add(font(ink, 28, bold(graph.name)));
  rows.add(font(ink, 14,
                fmt::format("{} parameters  ·  {} multiply-adds (MACs) an image  ·  batch {}",
                            grouped(drawing.parameters), with_unit(macs), drawing.batch)));
  rows.add(font(muted, 12, html(options.stage)));
  rows.add(legend(drawing));
  return rows.label();
}

} // namespace netc
