#pragma once
// Drawings of Graphviz: from its language to SVG and PNG.

#include <filesystem>
#include <string>

namespace netc {

/// Whether netc was built with Graphviz, so that `svg` and `png` work.
bool graphviz_available();

/// Lays out the picture `dot` with Graphviz and writes it as `svg`, `png` or, without any layout,
/// `dot`; the file appears whole or not at all. Another format is a UserError; without Graphviz,
/// or when it fails, a RuntimeError.
void render_dot(const std::string& dot, const std::string& format,
                const std::filesystem::path& out);

} // namespace netc
