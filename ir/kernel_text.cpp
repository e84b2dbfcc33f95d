// The text form of Kernel IR:
//
//   (kernel pool
//     (param x f32 [64 96 55 55] nhwc in)
//     (param y f32 [64 96 27 27] nhwc out)
//     (parallel n 0 64
//       (parallel h 0 27
//         (spread w 0 27
//           (lanes c 0 96
//             (let v (load x n c (* h 2) (* w 2)))
//             (store y [n c h w] (max v 0.0)))))))
//
// `blocks 4` follows the value of a reduction that has another number of them than 8.
// Types of expressions are not written: they follow from the definitions.

#include "ir/kernel.h"
#include "ir/kernel_rules.h"
#include "ir/support/text_reader.h"

namespace netc::kernel {

namespace {

/// A variable or buffer: quoted where it could be taken for a number.
std::string symbol(const std::string& name) {
  bool number = name.empty() || name == "nan" || name == "inf" || name[0] == '-' ||
                name[0] == '.' || (name[0] >= '0' && name[0] <= '9');
  return number ? quoted(name) : name_text(name);
}

class Printer {
public:
  std::string out;

  void kernel(const Kernel& kernel) {
    out += "(kernel " + symbol(kernel.name);
    for (const Param& p : kernel.params) {
      out += fmt::format("\n  (param {} {} [", symbol(p.name), to_string(p.type.dtype));
      for (size_t i = 0; i < p.type.shape.size(); ++i)
        out += fmt::format("{}{}", i ? " " : "", p.type.shape[i]);
      out += fmt::format("]{} {})", p.layout == Layout::nhwc ? " nhwc" : "", to_string(p.access));
    }
    statements(kernel.body, 1);
    out += ")\n";
  }

private:
  void statements(const std::vector<Stmt>& stmts, int depth) {
    for (const Stmt& stmt : stmts) {
      out += "\n" + std::string(static_cast<size_t>(2 * depth), ' ') + "(";
      statement(*stmt, depth);
      out += ")";
    }
  }

  void statement(const StmtNode& s, int depth) {
    out += to_string(s.kind);
    if (!s.name.empty())
      out += " " + symbol(s.name);
    switch (s.kind) {
    case StmtKind::block:
    case StmtKind::barrier:
      break;
    case StmtKind::parallel:
    case StmtKind::serial:
    case StmtKind::spread:
    case StmtKind::lanes:
      operands({s.lo, s.hi});
      break;
    case StmtKind::let:
    case StmtKind::if_:
      operands({s.a});
      break;
    case StmtKind::store:
      out += " [";
      for (size_t i = 0; i < s.indices.size(); ++i) {
        out += i ? " " : "";
        expression(s.indices[i]);
      }
      out += "]";
      operands({s.a});
      break;
    case StmtKind::alloc:
      out += fmt::format(" {} {}", to_string(s.type), s.count);
      break;
    case StmtKind::reduce:
    case StmtKind::reduce_lanes:
      out += fmt::format(" {} {}", s.op, symbol(s.var));
      operands({s.lo, s.hi, s.a});
      if (s.blocks != exact_blocks)
        out += fmt::format(" blocks {}", s.blocks);
      break;
    }
    statements(s.body, depth + 1);
    if (!s.orelse.empty()) {
      out += "\n" + std::string(static_cast<size_t>(2 * depth + 2), ' ') + "(else";
      statements(s.orelse, depth + 2);
      out += ")";
    }
  }

  void operands(const std::vector<Expr>& list) {
    for (const Expr& e : list) {
      out += " ";
      expression(e);
    }
  }

  void expression(const Expr& e) {
    NETC_CHECK(e.node, "a kernel holds an empty expression");
    switch (e->kind) {
    case ExprKind::integer:
      out += fmt::format("{}", e->integer);
      return;
    case ExprKind::real:
      out += real_text(e->real);
      return;
    case ExprKind::var:
      out += symbol(e->name);
      return;
    case ExprKind::load:
      out += "(load " + symbol(e->name);
      break;
    case ExprKind::unary:
    case ExprKind::binary:
    case ExprKind::call:
      out += "(" + e->name;
      break;
    case ExprKind::select:
      out += "(select";
      break;
    case ExprKind::cast:
      out += fmt::format("(cast {}", to_string(e->type));
      break;
    }
    operands(e->args);
    out += ")";
  }
};

} // namespace

std::string print(const Kernel& kernel) {
  Printer printer;
  printer.kernel(kernel);
  return std::move(printer.out);
}

} // namespace netc::kernel
