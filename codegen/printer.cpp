#include "codegen/printer.h"

#include "codegen/device/cuda/tiling.h"
#include "codegen/expression_printer.h"
#include "codegen/kernel_buffers.h"
#include "codegen/local_arrays.h"
#include "codegen/shape_text.h"
#include "codegen/vector_access.h"
#include "ir/lowering.h"
#include "ir/support/error.h"

#include <algorithm>
#include <map>
#include <set>

namespace netc {

namespace {

using kernel::Expr;
using kernel::ExprKind;
using kernel::Param;
using kernel::Stmt;
using kernel::StmtKind;

/// Threads of a block, as device/cuda is laid out for, and the blocks a grid may have.
constexpr int usual_threads = 256, warp_threads = 32;
constexpr int64_t largest_grid = (int64_t{1} << 31) - 1;

std::string replace_all(std::string text, const std::map<std::string, std::string>& values) {
  for (const auto& [key, value] : values)
    for (size_t at = 0; (at = text.find(key, at)) != std::string::npos; at += value.size())
      text.replace(at, key.size(), value);
  return text;
}

/// A comma-separated list with what stands around it, over several lines where it is long.
std::string filled(std::string text, const std::vector<std::string>& list,
                   const std::string& after) {
  constexpr size_t columns = 96; // room for an indent and what follows
  size_t begin = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    std::string item = list[i] + (i + 1 < list.size() ? "," : after);
    if (text.size() - begin + item.size() > columns) {
      text += "\n   ";
      begin = text.size() - 3;
    }
    text += (i == 0 && begin == 0 ? "" : " ") + item;
  }
  return list.empty() ? text + after : text;
}

class Printer {
public:
  /// `threads` of a block, of CUDA.
  Printer(const LoweredNode& lowered, const Dialect& dialect, bool exact, int threads)
      : lowered_(lowered), dialect_(dialect), exact_(exact), threads_(threads),
        expressions_(lowered.kernel.params, expression_options(false)),
        epilogue_expressions_(lowered.kernel.params, expression_options(true)),
        vectors_(lowered.kernel.params), arrays_(warps()) {}

  KernelText print() {
    if (lowered_.contraction)
      print_contraction();
    else
      print_body();
    result_.text = std::move(out_);
    return std::move(result_);
  }

private:
  ExpressionPrinter::Options expression_options(bool epilogue) const {
    const bool cuda = dialect_.split_at_barriers;
    return {.narrow = cuda, .approximate = cuda && !exact_, .once = cuda && epilogue};
  }
  int warps() const { return dialect_.split_at_barriers ? threads_ / warp_threads : 1; }

  // Lines.
  void line(const std::string& text) {
    size_t begin = 0;
    while (begin <= text.size()) {
      size_t end = std::min(text.find('\n', begin), text.size());
      bool preprocessor = text[begin] == '#';
      out_ += std::string(preprocessor ? 0 : static_cast<size_t>(indent_) * 2, ' ');
      out_ += text.substr(begin, end - begin) + "\n";
      begin = end + 1;
    }
  }
  void open(const std::string& head) {
    line(head + " {");
    ++indent_;
  }
  void close(const std::string& tail = "}") {
    --indent_;
    line(tail);
  }

  std::string expr(const Expr& e) const {
    return (lanes_are_serial_ ? epilogue_expressions_ : expressions_).print(e);
  }

  // Statements.
  void stmts(const std::vector<Stmt>& list);
  void stmt(const kernel::StmtNode& s);
  void parallel(const kernel::StmtNode& s);
  void loop(const std::string& head, const kernel::StmtNode& s, const std::string& after);
  void spread(const kernel::StmtNode& s);
  void lanes(const kernel::StmtNode& s);
  void reduce(const kernel::StmtNode& s);
  void alloc(const kernel::StmtNode& s);

  // Kernels.
  void includes(const std::string& template_header);
  std::string pointer_type(const Param& param) const {
    const char* constant = param.access == kernel::Access::in ? "const " : "";
    std::string type = fmt::format("{}{}", constant, element_name(param.type.dtype));
    return replace_all(dialect_.pointer, {{"{type}", type}});
  }
  void open_entry(size_t phase, int threads);
  void close_entry();
  void print_body();
  void print_contraction();
  std::vector<const Param*> epilogue_params() const;
  void print_epilogue();

  const LoweredNode& lowered_;
  const Dialect& dialect_;
  bool exact_;
  int threads_;
  ExpressionPrinter expressions_, epilogue_expressions_;
  VectorAccess vectors_;
  std::string out_;
  int indent_ = 0;
  int64_t items_ = 0;             ///< Parallel iterations of the entry so far, of all its loops.
  bool lanes_are_serial_ = false; ///< In an epilogue, which one thread runs by itself.
  LocalArrays arrays_;
  KernelText result_;
};

void Printer::stmts(const std::vector<Stmt>& list) {
  const bool vectors = dialect_.split_at_barriers && !lanes_are_serial_;
  for (size_t i = 0, length = 1; i < list.size(); i += length) {
    vectors_.note(*list[i]);
    length = vectors ? vectors_.length(list, i) : 1;
    if (length == 1)
      stmt(*list[i]);
    else
      line(vectors_.print(list, i, length, expressions_));
  }
}

void Printer::stmt(const kernel::StmtNode& s) {
  switch (s.kind) {
  case StmtKind::block:
    return stmts(s.body);
  case StmtKind::parallel:
    return parallel(s);
  case StmtKind::serial:
    open(fmt::format("for (int {0} = {1}; {0} < {2}; ++{0})", s.name, expr(s.lo), expr(s.hi)));
    stmts(s.body);
    return close();
  case StmtKind::spread:
    return spread(s);
  case StmtKind::lanes:
    return lanes(s);
  case StmtKind::let:
    return line(fmt::format("const {} {} = {};", type_name(s.a->type), s.name, expr(s.a)));
  case StmtKind::if_:
    open(fmt::format("if ({})", expr(s.a)));
    stmts(s.body);
    if (!s.orelse.empty()) {
      --indent_;
      open("} else");
      stmts(s.orelse);
    }
    return close();
  case StmtKind::store:
    return line(fmt::format("{} = {};", expressions_.element(s.name, s.indices), expr(s.a)));
  case StmtKind::alloc:
    return alloc(s);
  case StmtKind::reduce:
  case StmtKind::reduce_lanes:
    return reduce(s);
  case StmtKind::barrier:
    return line("thread.barrier();");
  }
}

/// Directly nested parallel loops are one range of items, from which the indices are divided out.
void Printer::parallel(const kernel::StmtNode& s) {
  std::vector<const kernel::StmtNode*> loops = {&s};
  while (loops.back()->body.size() == 1 && loops.back()->body[0]->kind == StmtKind::parallel)
    loops.push_back(loops.back()->body[0].get());
  int64_t items = 1;
  for (const auto* loop : loops) {
    NETC_CHECK(kernel::constant(loop->lo) == 0 && kernel::constant(loop->hi),
               "a parallel loop of `{}` has no constant extent", lowered_.kernel.name);
    items *= *kernel::constant(loop->hi);
  }
  std::string at = items_ == 0 ? "()" : fmt::format("_behind({})", items_);
  open(replace_all(dialect_.parallel, {{"{at}", at}, {"{items}", fmt::format("{}L", items)}}));
  items_ = std::min(items_ + items, largest_grid);
  int64_t below = items;
  for (const auto* loop : loops) {
    int64_t extent = *kernel::constant(loop->hi);
    below /= extent;
    std::string index = below == 1 ? "item" : fmt::format("item / {}", below);
    if (below * extent != items)
      index = below == 1 ? fmt::format("item % {}", extent) : fmt::format("{} % {}", index, extent);
    line(fmt::format("[[maybe_unused]] const int {} = static_cast<int>({});", loop->name, index));
  }
  stmts(loops.back()->body);
  close();
}

void Printer::loop(const std::string& head, const kernel::StmtNode& s, const std::string& after) {
  std::string added = kernel::constant(s.lo) == 0 ? "" : expr(s.lo) + " + ";
  open(replace_all(
      head, {{"{name}", s.name}, {"{lo}", expr(s.lo)}, {"{lo+}", added}, {"{hi}", expr(s.hi)}}));
  stmts(s.body);
  close();
  if (!after.empty())
    line(after);
}

void Printer::spread(const kernel::StmtNode& s) {
  arrays_.enter_spread(s);
  loop(dialect_.spread, s, dialect_.after_spread);
  arrays_.leave_spread();
}

void Printer::lanes(const kernel::StmtNode& s) {
  if (!dialect_.before_lanes.empty())
    line(dialect_.before_lanes);
  if (lanes_are_serial_)
    loop(cpu_dialect().lanes, s, "");
  else if (arrays_.in_spread())
    loop(dialect_.warp_lanes, s, dialect_.after_warp_lanes);
  else
    loop(dialect_.lanes, s, dialect_.after_lanes);
}

void Printer::reduce(const kernel::StmtNode& s) {
  std::string function = "reduce", scratch;
  if (s.kind == StmtKind::reduce_lanes)
    function = dialect_.split_at_barriers && arrays_.in_spread() ? "reduce_warp" : "reduce_lanes";
  if (function == "reduce_lanes" && dialect_.split_at_barriers) // a result of each warp
    scratch = fmt::format("netc::shared_array<float>({}, {}), ",
                          arrays_.add(warp_threads * byte_size(DType::f32)), warp_threads);
  line(fmt::format(
      "const float {} = netc::{}<netc::{}, {}>({}{}, {}, [&](int {}) {{ return {}; }});", s.name,
      function, s.op == "max" ? "Max" : "Add", exact_ ? s.blocks : 0, scratch, expr(s.lo),
      expr(s.hi), s.var, expr(s.a)));
}

void Printer::alloc(const kernel::StmtNode& s) {
  line(replace_all(dialect_.alloc, {{"{type}", type_name(s.type)},
                                    {"{name}", s.name},
                                    {"{count}", std::to_string(s.count)},
                                    {"{offset}", arrays_.add(array_bytes(s))}}));
}

void Printer::includes(const std::string& template_header) {
  line("// Generated by netc.");
  if (!template_header.empty())
    line(fmt::format("#include \"codegen/device/{}/{}\"", dialect_.name, template_header));
  line(fmt::format("#include \"codegen/device/{}/kernel.h\"", dialect_.name));
  line("");
}

/// The bounds promise ptxas registers (as many blocks of a multiprocessor share them): left alone,
/// it spills to save some that nobody needs. Products want all, and so do the sums of exact
/// kernels.
void Printer::open_entry(size_t phase, int threads) {
  const auto& params = lowered_.kernel.params;
  if (dialect_.split_at_barriers) {
    const int blocks = lowered_.contraction ? 2 * tile_threads / threads : exact_ ? 2 : 3;
    std::vector<std::string> list;
    for (const Param& param : params)
      list.push_back(fmt::format("{} {}", pointer_type(param), param.name));
    return open(
        filled(fmt::format("extern \"C\" __global__ void __launch_bounds__({}, {}) kernel_{}(",
                           threads, blocks, phase),
               list, ")"));
  }
  open("extern \"C\" void kernel(void* const* buffers, "
       "[[maybe_unused]] const netc::Thread& thread)");
  for (size_t i = 0; i < params.size(); ++i)
    line(fmt::format("{0} const {1} = static_cast<{0}>(buffers[{2}]);", pointer_type(params[i]),
                     params[i].name, i));
}

/// Arrays of an entry share one launch size; the grid has a block for each parallel iteration.
void Printer::close_entry() {
  close();
  result_.local_bytes = std::max(result_.local_bytes, arrays_.bytes());
  if (!dialect_.split_at_barriers)
    return;
  KernelEntry entry;
  entry.blocks = std::clamp<int64_t>(items_, 1, largest_grid);
  entry.threads = threads_;
  entry.shared_bytes = static_cast<int>(std::min<int64_t>(arrays_.bytes(), INT32_MAX));
  result_.entries.push_back(entry);
  items_ = 0;
  arrays_ = LocalArrays(warps());
}

void Printer::print_body() {
  includes("");
  open_entry(0, threads_);
  for (const Stmt& s : lowered_.kernel.body) {
    if (s->kind == StmtKind::barrier && dialect_.split_at_barriers) {
      close_entry();
      line("");
      open_entry(result_.entries.size(), threads_);
    } else {
      stmt(*s);
    }
  }
  close_entry();
}

/// The buffers that the epilogue reads or writes besides the row. The contraction's own operands
/// may be among them: x + conv(x).
std::vector<const Param*> Printer::epilogue_params() const {
  const std::set<std::string> names = buffers_of(lowered_.kernel.body);
  std::vector<const Param*> list;
  for (const Param& param : lowered_.kernel.params)
    if (names.count(param.name))
      list.push_back(&param);
  return list;
}

void Printer::print_epilogue() {
  open("struct Epilogue");
  for (const Param* param : epilogue_params())
    line(fmt::format("{} {};", pointer_type(*param), param->name));
  open(filled(
      "void operator()(",
      {"float* row", "[[maybe_unused]] long pixel", "[[maybe_unused]] int channel", "int count"},
      ") const"));
  lanes_are_serial_ = true;
  stmts(lowered_.kernel.body);
  lanes_are_serial_ = false;
  close();
  close("};");
}

void Printer::print_contraction() {
  const Contraction& c = *lowered_.contraction;
  includes(c.header);
  bool epilogue = !lowered_.kernel.body.empty();
  open("namespace");
  --indent_;
  line(shape_text(c.shape));
  if (!c.constants.empty())
    line(c.constants);
  if (epilogue)
    print_epilogue();
  line("} // namespace");
  line("");
  std::string arguments;
  std::string none = replace_all(dialect_.pointer, {{"{type}", "float"}}) + "{}";
  std::string workspace = !lowered_.workspaces.empty() ? "workspace"
                          : dialect_.split_at_barriers ? none
                                                       : "nullptr";
  if (c.has_epilogue) {
    std::string fields;
    for (const Param* param : epilogue_params())
      fields += (fields.empty() ? "" : ", ") + param->name;
    arguments = epilogue ? fmt::format(", Epilogue{{{}}}", fields) : ", netc::NoEpilogue{}";
  }
  if (!dialect_.split_at_barriers) {
    open_entry(0, threads_);
    line(fmt::format("netc::{}<shape>(in0, in1, out0, {}{}, thread);", c.function, workspace,
                     arguments));
    return close();
  }
  for (size_t phase = 0; phase < c.entries.size(); ++phase) {
    if (phase > 0)
      line("");
    open_entry(phase, c.entries[phase].threads);
    line(fmt::format("netc::{}<shape, tiling, {}>(in0, in1, out0, {}{});", c.function, phase,
                     workspace, arguments));
    close();
  }
  result_.entries = c.entries;
}

} // namespace

KernelText print_kernel(const LoweredNode& lowered, const Dialect& dialect, bool exact,
                        int64_t local_limit) {
  for (int threads = usual_threads;; threads /= 2) {
    KernelText text = Printer(lowered, dialect, exact, threads).print();
    if (text.local_bytes <= local_limit || threads == warp_threads)
      return text;
  }
}

} // namespace netc
