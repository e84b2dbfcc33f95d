// The rules of Kernel IR: names, types and nesting.

#include "ir/kernel.h"
#include "ir/kernel_rules.h"
#include "ir/support/error.h"

#include <algorithm>

namespace netc::kernel {

namespace {

/// Where a statement stands.
struct Place {
  bool top = true;       ///< In no loop and no condition.
  bool parallel = false; ///< Inside a parallel loop.
  bool spread = false;   ///< Inside a spread loop.
  bool lanes = false;    ///< Inside a lanes loop.
};

class Verifier {
public:
  explicit Verifier(const Kernel& kernel) : kernel_(kernel) {}

  void run() {
    check(!kernel_.name.empty(), "has no name");
    for (const Param& p : kernel_.params) {
      for (int64_t extent : p.type.shape)
        check(extent > 0, "parameter `{}` is empty: {}", p.name, p.type.str());
      check(p.layout == Layout::row_major || p.type.shape.size() == 4,
            "parameter `{}` is nhwc but has rank {}", p.name, p.type.shape.size());
      bool flat = p.access == Access::workspace;
      define(p.name);
      buffers_.push_back(
          {p.name, p.type.dtype, flat ? 1 : p.type.shape.size(), p.access != Access::in});
    }
    statements(kernel_.body, {});
  }

private:
  struct Variable {
    std::string name;
    DType type;
  };
  struct Buffer {
    std::string name;
    DType dtype;
    size_t rank;
    bool writable;
  };

  template <class... Args>
  void check(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    NETC_CHECK(condition, "kernel `{}`: {}", kernel_.name,
               fmt::format(format, std::forward<Args>(args)...));
  }

  template <class T> static const T* find(const std::vector<T>& list, const std::string& name) {
    auto it = std::find_if(list.begin(), list.end(), [&](const T& t) { return t.name == name; });
    return it == list.end() ? nullptr : &*it;
  }

  void define(const std::string& name) const {
    check(!name.empty(), "a variable or buffer has no name");
    check(!find(variables_, name) && !find(buffers_, name), "`{}` shadows another of that name",
          name);
  }

  void define_variable(const std::string& name, DType type) {
    define(name);
    variables_.push_back({name, type});
  }

  /// Statements in a scope of their own.
  void statements(const std::vector<Stmt>& stmts, Place place) {
    size_t variables = variables_.size(), buffers = buffers_.size();
    for (const Stmt& stmt : stmts) {
      check(stmt != nullptr, "a statement is missing");
      statement(*stmt, place);
    }
    variables_.resize(variables);
    buffers_.resize(buffers);
  }

  void statement(const StmtNode& s, Place place) {
    DType type;
    switch (s.kind) {
    case StmtKind::block:
      return statements(s.body, place);
    case StmtKind::parallel:
    case StmtKind::serial:
    case StmtKind::spread:
    case StmtKind::lanes:
      return loop(s, place);
    case StmtKind::let:
      type = expression(s.a);
      check(type == s.type, "`{}` is declared {} but its value is {}", s.name, to_string(s.type),
            to_string(type));
      return define_variable(s.name, s.type);
    case StmtKind::if_:
      integer(s.a, "a condition");
      place.top = false;
      statements(s.body, place);
      return statements(s.orelse, place);
    case StmtKind::store:
      return store(s, place);
    case StmtKind::alloc:
      check(place.parallel, "`{}` is allocated outside a parallel loop", s.name);
      check(!place.lanes, "`{}` is allocated inside lanes, but belongs to the parallel iteration",
            s.name);
      check(s.count > 0, "`{}` has {} elements", s.name, s.count);
      define(s.name);
      buffers_.push_back({s.name, s.type, 1, true});
      return;
    case StmtKind::reduce:
    case StmtKind::reduce_lanes:
      return reduce(s, place);
    case StmtKind::barrier:
      check(place.top, "a barrier stands inside a loop or condition");
      return;
    }
  }

  void loop(const StmtNode& s, Place place) {
    integer(s.lo, "a bound");
    integer(s.hi, "a bound");
    if (s.kind == StmtKind::parallel) {
      check(place.top || outer_parallel_, "the parallel loop `{}` is not outermost", s.name);
      place.parallel = true;
    }
    if (s.kind == StmtKind::spread) {
      check(place.parallel, "the spread loop `{}` stands outside a parallel loop", s.name);
      check(!place.spread && !place.lanes, "the spread loop `{}` stands inside {}", s.name,
            place.lanes ? "lanes" : "another");
      place.spread = true;
    }
    if (s.kind == StmtKind::lanes) {
      check(!place.lanes, "the lanes loop `{}` stands inside lanes", s.name);
      place.lanes = true;
    }
    place.top = false;
    // One iteration space: nothing may stand between the loops, nor a bound depend on an index.
    bool perfect = s.kind == StmtKind::parallel && s.body.size() == 1 && s.body[0] &&
                   s.body[0]->kind == StmtKind::parallel;
    if (perfect)
      for (const Expr& bound : {s.body[0]->lo, s.body[0]->hi})
        check(!mentions(bound, s.name), "a bound of the parallel loop `{}` depends on `{}`",
              s.body[0]->name, s.name);
    size_t variables = variables_.size();
    define_variable(s.name, DType::i32);
    std::swap(outer_parallel_, perfect);
    statements(s.body, place);
    std::swap(outer_parallel_, perfect);
    variables_.resize(variables);
  }

  static bool mentions(const Expr& e, const std::string& name) {
    if (!e.node)
      return false;
    return (e->kind == ExprKind::var && e->name == name) ||
           std::any_of(e->args.begin(), e->args.end(),
                       [&](const Expr& arg) { return mentions(arg, name); });
  }

  void store(const StmtNode& s, Place place) {
    const Buffer* buffer = access(s.name, s.indices);
    check(buffer->writable, "a store to the input `{}`", s.name);
    check(place.parallel, "a store to `{}` outside a parallel loop, where every thread would do it",
          s.name);
    DType expected = loaded_type(buffer->dtype), type = expression(s.a);
    check(type == expected, "`{}` holds {}, the value stored is {}", s.name, to_string(expected),
          to_string(type));
  }

  void reduce(const StmtNode& s, Place place) {
    check(s.kind == StmtKind::reduce || !place.lanes, "`{}` is reduced over lanes inside lanes",
          s.name);
    check(s.op == "+" || s.op == "max", "`{}` is reduced with `{}`", s.name, s.op);
    check(is_exact_blocks(s.blocks), "`{}` is reduced in {} blocks", s.name, s.blocks);
    integer(s.lo, "a bound");
    integer(s.hi, "a bound");
    define_variable(s.var, DType::i32);
    DType type = expression(s.a);
    variables_.pop_back();
    check(type == s.type && type != DType::u8, "`{}` is a reduction of {} from {}", s.name,
          to_string(s.type), to_string(type));
    define_variable(s.name, s.type);
  }

  const Buffer* access(const std::string& name, const std::vector<Expr>& indices) {
    const Buffer* buffer = find(buffers_, name);
    check(buffer, "there is no buffer `{}` here", name);
    check(indices.size() == buffer->rank, "`{}` takes {} indices, got {}", name, buffer->rank,
          indices.size());
    for (const Expr& index : indices)
      integer(index, "an index");
    return buffer;
  }

  void integer(const Expr& e, const char* what) {
    DType type = expression(e);
    check(type == DType::i32, "{} is {}, not i32", what, to_string(type));
  }

  /// Checks an expression; its type.
  DType expression(const Expr& e) {
    check(e.node != nullptr, "an expression is missing");
    std::optional<DType> type = type_of(*e.node);
    check(type.has_value(), "operator `{}` does not fit its operands", e->name);
    check(*type == e->type, "`{}` is {}, but is used as {}", e->name, to_string(*type),
          to_string(e->type));
    return e->type;
  }

  std::optional<DType> type_of(const ExprNode& e) {
    if (e.kind == ExprKind::load)
      return loaded_type(access(e.name, e.args)->dtype);
    std::vector<DType> args;
    for (const Expr& arg : e.args)
      args.push_back(expression(arg));
    switch (e.kind) {
    case ExprKind::integer:
      return DType::i32;
    case ExprKind::real:
      return DType::f32;
    case ExprKind::var: {
      const Variable* variable = find(variables_, e.name);
      check(variable, "there is no variable `{}` here", e.name);
      return variable->type;
    }
    case ExprKind::unary:
      return args.size() == 1 ? unary_type(e.name, args[0]) : std::nullopt;
    case ExprKind::binary:
      return args.size() == 2 ? binary_type(e.name, args[0], args[1]) : std::nullopt;
    case ExprKind::call: {
      std::optional<FunctionType> f = function_type(e.name);
      bool fits = f && args == std::vector<DType>(f->arguments, f->argument);
      return fits ? std::optional(f->result) : std::nullopt;
    }
    case ExprKind::select:
      if (args.size() != 3 || args[0] != DType::i32 || args[1] != args[2])
        return std::nullopt;
      return args[1];
    case ExprKind::cast:
      if (args.size() != 1 || is_rounded(e.type))
        return std::nullopt;
      return e.type;
    case ExprKind::load:
      break;
    }
    return std::nullopt;
  }

  const Kernel& kernel_;
  std::vector<Variable> variables_;
  std::vector<Buffer> buffers_;
  bool outer_parallel_ = false; ///< The next statement may be a parallel loop of the same nest.
};

} // namespace

void verify(const Kernel& kernel) {
  Verifier(kernel).run();
}

} // namespace netc::kernel
