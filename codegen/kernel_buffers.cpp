#include "codegen/kernel_buffers.h"

namespace netc {

namespace {

using kernel::Expr;
using kernel::ExprKind;
using kernel::Stmt;
using kernel::StmtKind;

void collect_buffers(const Expr& e, std::set<std::string>& names) {
  if (!e.node)
    return;
  if (e->kind == ExprKind::load)
    names.insert(e->name);
  for (const Expr& arg : e->args)
    collect_buffers(arg, names);
}

void collect_buffers(const kernel::StmtNode& s, std::set<std::string>& names) {
  if (s.kind == StmtKind::store)
    names.insert(s.name);
  for (const Expr* e : {&s.lo, &s.hi, &s.a})
    collect_buffers(*e, names);
  for (const Expr& index : s.indices)
    collect_buffers(index, names);
  for (const auto* list : {&s.body, &s.orelse})
    for (const Stmt& child : *list)
      collect_buffers(*child, names);
}

} // namespace

std::set<std::string> buffers_of(const std::vector<Stmt>& stmts) {
  std::set<std::string> names;
  for (const Stmt& s : stmts)
    collect_buffers(*s, names);
  return names;
}

} // namespace netc
