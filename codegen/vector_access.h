#pragma once

#include "codegen/expression_printer.h"

#include <map>
#include <string>
#include <vector>

namespace netc {

/// Finds accesses to elements that lie one after the other, which a GPU makes at once, as vectors
/// of 2 or 4 floats or 4 bytes.
class VectorAccess {
public:
  /// Borrows the parameters. Buffers and arrays begin at multiples of 16 bytes.
  explicit VectorAccess(const std::vector<kernel::Param>& params);

  /// To be told each statement in order: what variables are is known from it.
  void note(const kernel::StmtNode& s);
  /// How many of the statements from `begin` on are one access of so many elements: all of them
  /// variables loaded, or all of them stores, in order; 1 where there is no vector.
  size_t length(const std::vector<kernel::Stmt>& list, size_t begin) const;
  /// These statements as lines of CUDA text.
  std::string print(const std::vector<kernel::Stmt>& list, size_t begin, size_t length,
                    const ExpressionPrinter& expressions) const;

private:
  struct Access;
  Access access(const kernel::StmtNode& s) const;
  bool is_multiple(const kernel::Expr& e, int64_t of) const;

  std::map<std::string, const kernel::Param*> params_;
  std::map<std::string, kernel::Expr> variables_; ///< Integers.
};

} // namespace netc
