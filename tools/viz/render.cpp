#include "tools/viz/render.h"

#include "ir/support/diagnostics.h"
#include "runtime/atomic_file.h"

#ifdef NETC_GRAPHVIZ
#include <graphviz/cgraph.h>
#include <graphviz/gvc.h>

#include <memory>
#endif

namespace netc {

#ifdef NETC_GRAPHVIZ

namespace {

/// What Graphviz complained about since the last call of `render`: it reports through a function
/// without context.
std::string& complaints() {
  static std::string text;
  return text;
}

int collect_complaint(char* text) {
  complaints() += text;
  return 0;
}

[[noreturn]] void fail(const std::string& what) {
  std::string said = printable(complaints());
  throw RuntimeError(fmt::format("graphviz cannot {}{}{}", what, said.empty() ? "" : ": ", said),
                     "write the picture as `.dot`, which needs no layout, and see what `dot -v` "
                     "says about it");
}

std::string render(const std::string& dot, const std::string& format) {
  complaints().clear();
  agseterrf(collect_complaint);
  std::unique_ptr<GVC_t, int (*)(GVC_t*)> context(gvContext(), gvFreeContext);
  std::unique_ptr<Agraph_t, int (*)(Agraph_t*)> graph(agmemread(dot.c_str()), agclose);
  if (!context || !graph)
    fail("read the picture");
  if (format == "png") // as sharp as print
    agattr(graph.get(), AGRAPH, const_cast<char*>("dpi"), const_cast<char*>("144"));
  if (gvLayout(context.get(), graph.get(), "dot") != 0)
    fail("lay out the picture");
  char* data = nullptr;
  unsigned length = 0;
  const int failed = gvRenderData(context.get(), graph.get(), format.c_str(), &data, &length);
  std::string picture = data && !failed ? std::string(data, length) : std::string();
  gvFreeRenderData(data);
  gvFreeLayout(context.get(), graph.get());
  if (picture.empty())
    fail(fmt::format("draw {}", format));
  return picture;
}

} // namespace

bool graphviz_available() {
  return true;
}

#else

namespace {

std::string render(const std::string&, const std::string& format) {
  throw RuntimeError(fmt::format("cannot draw {}: netc was built without graphviz", format),
                     "install `libgraphviz-dev` and build again, or write the picture as `.dot`");
}

} // namespace

bool graphviz_available() {
  return false;
}

#endif

void render_dot(const std::string& dot, const std::string& format,
                const std::filesystem::path& out) {
  if (format != "svg" && format != "png" && format != "dot")
    user_error(fmt::format("`{}`: cannot draw the format `{}`", out.string(), format),
               "the formats are `svg`, `png` and `dot`");
  write_file_atomically(out, format == "dot" ? dot : render(dot, format));
}

} // namespace netc
