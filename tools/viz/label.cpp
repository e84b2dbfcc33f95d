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
    text.insert(at -= 3, ",");
  return text;
}

/// `105.4 M`.
std::string with_unit(double number) {
  const char* unit = "";
  for (const char* next : {"k", "M", "G", "T", "P"}) {
    if (number < 999.5)
      break;
    number /= 1000;
    unit = next;
  }
  return fmt::format("{:.{}f} {}", number, *unit && number < 99.95 ? 1 : 0, unit);
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
  static const std::string_view hidden[] = {"shape",  "dtype",  "height", "width", "stream",
                                            "begin",  "index",  "value",  "init",  "trainable",
                                            "fan_in", "fan_out"};
  return std::find(std::begin(hidden), std::end(hidden), name) != std::end(hidden);
}

std::string attribute_text(const std::string& name, const Attribute& attribute) {
  std::string spoken = name;
  std::replace(spoken.begin(), spoken.end(), '_', ' ');
  if (const bool* flag = std::get_if<bool>(&attribute))
    return *flag ? spoken : "";
  if (const auto* text = std::get_if<std::string>(&attribute))
    return *text;
  if (const auto* real = std::get_if<double>(&attribute))
    return fmt::format("{} {:.6g}", spoken, *real);
  const auto* list = std::get_if<std::vector<int64_t>>(&attribute);
  if (!list)
    return fmt::format("{} {}", spoken, std::get<int64_t>(attribute));
  const bool same = std::all_of(list->begin(), list->end(), [&](auto x) { return x == (*list)[0]; });
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
  return fmt::format("<FONT COLOR=\"{}\" POINT-SIZE=\"{}\">{}</FONT>", colour, size, text);
}

/// A line of a node: one cell, or one at each margin.
std::string row(const std::string& left, const std::string& right = {}) {
  if (right.empty())
    return fmt::format("<TR><TD COLSPAN=\"2\" ALIGN=\"LEFT\">{}</TD></TR>", left);
  return fmt::format("<TR><TD ALIGN=\"LEFT\">{}</TD><TD ALIGN=\"RIGHT\">{}</TD></TR>", left, right);
}

std::string table(int width, const std::string& rows) {
  return fmt::format("<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"1\" "
                     "WIDTH=\"{}\">{}</TABLE>>",
                     width, rows);
}

std::string bold(std::string_view text) { return fmt::format("<B>{}</B>", html(text)); }

/// Feeds, parameters, constants: the name and what it is.
std::string entrance_label(const Node& node) {
  const Value* value = node.results.empty() ? nullptr : node.result();
  std::string text = value ? type_text(value->type) : "";
  if (node.attrs.has("value"))
    text = fmt::format("{:.6g}", node.attrs.real("value"));
  return "<" + font(ink, 10, bold(node.name)) + font(muted, 9, "  " + text) + ">";
}

/// An update says what is particular to its parameter.
std::string update_label(const Node& node) {
  std::string rows = row(font(ink, 10, bold(node.name)));
  for (const std::string& line : set_in_lines(attribute_words(node), 48))
    rows += row(font(muted, 9, html(line)));
  return table(130, rows);
}

std::string output_row(const DrawnNode& drawn) {
  std::string names;
  for (const std::string& name : drawn.outputs)
    names += (names.empty() ? "" : ", ") + (name == drawn.node->name ? "" : " " + name);
  return drawn.outputs.empty() ? "" : row(font(muted, 10, "▸ output" + html(names)));
}

struct Column {
  std::string_view sign, text;
};

std::string colour_cell(std::string_view colour, std::string_view text) {
  return fmt::format("<TD BGCOLOR=\"{}\" STYLE=\"ROUNDED\" WIDTH=\"18\" HEIGHT=\"12\"></TD><TD "
                     "ALIGN=\"LEFT\">{}   </TD>",
                     colour, font(muted, 11, std::string(text)));
}

/// What the colours mean: only those that occur.
std::string legend(const Drawing& drawing) {
  static constexpr std::pair<Part, std::string_view> parts[] = {
      {Part::forward, "forward"}, {Part::backward, "backward"}, {Part::update, "update"}};
  std::string cells;
  for (const auto& [part, name] : parts)
    if (std::any_of(drawing.nodes.begin(), drawing.nodes.end(),
                    [p = part](const DrawnNode& n) { return n.part == p && !n.entrance; })) {
      cells += colour_cell(palette(part).fill, name);
      if (part != Part::update)
        cells += colour_cell(palette(part).strong, fmt::format("{}, contraction", name));
    }
  if (!drawing.groups.empty())
    cells += "<TD BORDER=\"1\" COLOR=\"#8a94a0\" STYLE=\"ROUNDED,DASHED\" WIDTH=\"18\" "
             "HEIGHT=\"12\"></TD><TD ALIGN=\"LEFT\">" +
             font(muted, 11, "fused: one kernel") + "</TD>";
  return fmt::format("<TABLE BORDER=\"0\" CELLSPACING=\"4\" CELLPADDING=\"1\"><TR>{}</TR></TABLE>",
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
    out += c == "&" ? "&amp;" : c == "<" ? "&lt;" : c == ">" ? "&gt;" : c == "\"" ? "&quot;" : c;
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
  const Node& node = *drawn.node;
  if (drawn.entrance)
    return entrance_label(node);
  if (drawn.part == Part::update)
    return update_label(node);
  std::string rows = row(bold(node.name), font(muted, 11, html(node.op->name)));
  if (drawn.part == Part::forward) // gradients stand beside the layer that says it
    for (const std::string& line : set_in_lines(attribute_words(node), 40))
      rows += row(font(ink, 11, html(line)));
  int64_t parameters = 0;
  for (const Value* parameter : drawn.parameters)
    parameters += parameter->type.elements();
  std::string counts;
  if (int64_t macs = multiply_adds(node))
    counts = with_unit(static_cast<double>(macs) / static_cast<double>(batch)) + "MAC";
  std::string shape = node.results.empty() ? "" : type_text(node.result()->type);
  rows += row(font(ink, 11, shape), drawn.part == Part::forward ? "" : font(muted, 11, counts));
  if (drawn.part == Part::forward && (parameters || !counts.empty()))
    rows += row(font(muted, 11, parameters ? grouped(parameters) + " param." : ""),
                font(muted, 11, counts));
  std::string reads;
  for (const Value* value : drawn.reads)
    reads += (reads.empty() ? "reads " : ", ") + value->name;
  if (!reads.empty() && drawn.part == Part::forward)
    rows += row(font(muted, 10, html(reads)));
  return table(drawn.part == Part::forward ? 190 : 150, rows + output_row(drawn));
}

std::string group_label(const DrawnGroup& group, Part part) {
  std::string kind = group.node->attrs.has("kind") ? group.node->attrs.text("kind") : "fused";
  return "<" + font(palette(part).border, 11, "<B>" + html(kind) + "</B>") + ">";
}

std::string title_label(const Graph& graph, const Drawing& drawing, const VizOptions& options) {
  std::string facts = fmt::format(
      "{} parameters  ·  {}multiply-adds an image  ·  batch {}", grouped(drawing.parameters),
      with_unit(static_cast<double>(drawing.forward_macs) / static_cast<double>(drawing.batch)),
      drawing.batch);
  std::string rows = row(font(ink, 26, bold(graph.name))) + row(font(ink, 13, facts));
  if (!options.stage.empty())
    rows += row(font(muted, 12, html(options.stage)));
  rows += fmt::format("<TR><TD ALIGN=\"LEFT\">{}</TD></TR>", legend(drawing));
  return table(0, rows);
}

} // namespace netc
