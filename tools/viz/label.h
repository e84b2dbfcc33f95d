#pragma once
// What stands on the nodes of a picture: HTML-like labels of Graphviz, tooltips, the title.

#include "tools/viz/dot.h"
#include "tools/viz/drawing.h"

namespace netc {

/// Colours of a part of the picture, `#rrggbb`.
struct Palette {
  std::string fill;   ///< Of an operator.
  std::string strong; ///< Of a contraction: where the work is.
  std::string border;
  std::string box; ///< Background of a fused group.
};
const Palette& palette(Part part);

/// Of the lines: what flows forward, cotangents, what forward keeps for backward.
struct EdgeColours {
  std::string_view forward = "#47627d";
  std::string_view backward = "#cf9252";
  std::string_view kept = "#b9c0c8";
  std::string_view update = "#8fbf8f";
};
inline constexpr EdgeColours edge_colours;

/// Text for an HTML-like label; bytes that XML does not allow become `?`.
std::string html(std::string_view text);
/// `"text"` for an attribute that Graphviz shows as it is.
std::string dot_string(std::string_view text);

/// The HTML-like labels, with their angle brackets.
std::string node_label(const DrawnNode& drawn, int64_t batch);
std::string group_label(const DrawnGroup& group, Part part);
std::string title_label(const Graph& graph, const Drawing& drawing, const VizOptions& options);

} // namespace netc
