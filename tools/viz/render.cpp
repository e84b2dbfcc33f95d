#include "tools/viz/render.h"

#include "ir/support/diagnostics.h"
#include "runtime/atomic_file.h"

#ifdef NETC_GRAPHVIZ
#include <graphviz/cgraph.h>
#include <graphviz/gvc.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <map>
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

/// The numbers by which Graphviz knows and orders named objects. Its own are addresses of strings,
/// which would give another order, and so another picture, in each run.
struct Names {
  std::map<std::string, IDTYPE> numbers; ///< Even ones.
  std::deque<std::string> names;         ///< By half the number, less one.
  IDTYPE unnamed = 1;                    ///< The next odd number.

  bool number(const char* name, IDTYPE* id, bool create) {
    if (!name) {
      *id = unnamed;
      unnamed += 2;
      return true;
    }
    auto found = numbers.find(name);
    if (found == numbers.end() && create) {
      names.emplace_back(name);
      found = numbers.emplace(name, 2 * names.size()).first;
    }
    *id = found == numbers.end() ? 0 : found->second;
    return found != numbers.end();
  }
  char* name(IDTYPE id) { return id == 0 || id % 2 ? nullptr : names[id / 2 - 1].data(); }
};

Agiddisc_t numbered_names() {
  Agiddisc_t ids = AgIdDisc;
  ids.open = [](auto...) -> void* { return new Names; };
  ids.close = [](void* state) { delete static_cast<Names*>(state); };
  ids.map = [](void* state, int, auto name, IDTYPE* id, auto create) -> long {
    return static_cast<Names*>(state)->number(name, id, create);
  };
  ids.alloc = [](auto...) -> long { return 0; }; // numbers cannot be asked for
  ids.free = [](auto...) {};
  ids.print = [](void* state, int, IDTYPE id) { return static_cast<Names*>(state)->name(id); };
  return ids;
}

Agraph_t* read_graph(const std::string& dot) {
  static Agiddisc_t ids = numbered_names();
  Agdisc_t discipline = AgDefaultDisc;
  discipline.id = &ids;
  std::unique_ptr<FILE, int (*)(FILE*)> text(
      fmemopen(const_cast<char*>(dot.data()), dot.size(), "r"), std::fclose);
  return text ? agread(text.get(), &discipline) : nullptr;
}

/// Silences stderr for its life: where lines are crowded, Graphviz prints remarks of its path
/// finder there that no function can catch, and then draws a simpler line.
class Silence {
public:
  Silence() : kept_(dup(STDERR_FILENO)) {
    std::fflush(stderr);
    if (FileDescriptor nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC)); nowhere.valid())
      dup2(nowhere.get(), STDERR_FILENO);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() {
    std::fflush(stderr);
    if (kept_.valid())
      dup2(kept_.get(), STDERR_FILENO);
  }

private:
  FileDescriptor kept_;
};

int lay_out(GVC_t* context, Agraph_t* graph) {
  Silence silence;
  return gvLayout(context, graph, "dot");
}

std::string render(const std::string& dot, const std::string& format) {
  complaints().clear();
  agseterrf(collect_complaint);
  std::unique_ptr<GVC_t, int (*)(GVC_t*)> context(gvContext(), gvFreeContext);
  std::unique_ptr<Agraph_t, int (*)(Agraph_t*)> graph(read_graph(dot), agclose);
  if (!context || !graph)
    fail("read the picture");
  if (format == "png") // as sharp as print
    agattr(graph.get(), AGRAPH, const_cast<char*>("dpi"), const_cast<char*>("144"));
  if (lay_out(context.get(), graph.get()) != 0)
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
