#pragma once

#include "ir/kernel.h"

#include <map>
#include <string>
#include <vector>

namespace netc {

/// The C++ name of a type that kernels compute with.
const char* type_name(DType type);
/// The same of a buffer's elements, which may be rounded.
const char* element_name(DType type);

/// Prints the expressions of a kernel in the words that all dialects share, with the parentheses
/// that keep their order and few more. What it prints may stand beside `+` and in comparisons.
class ExpressionPrinter {
public:
  struct Options {
    /// Addresses are long only in tensors that need it: 32 bits are half the work on a GPU.
    bool narrow = false;
    /// Division and square root may be off by 2 units in the last place, for a fraction of the
    /// time.
    bool approximate = false;
    /// An element that is read is not written before, by nobody: reads need not wait for writes of
    /// others, of which the compiler cannot know that they are others.
    bool once = false;
  };
  /// Borrows the parameters: their layouts turn indices into addresses.
  ExpressionPrinter(const std::vector<kernel::Param>& params, Options options);

  std::string print(const kernel::Expr& e) const;

  /// Where in a parameter or a kernel's own array the element at logical indices lies.
  std::string place(const std::string& buffer, const std::vector<kernel::Expr>& indices) const;
  /// The element.
  std::string element(const std::string& buffer, const std::vector<kernel::Expr>& indices) const;

private:
  /// In parentheses unless it binds at least so tightly.
  std::string print(const kernel::Expr& e, int at_least) const;
  std::string loaded(const std::string& buffer, const std::vector<kernel::Expr>& indices) const;
  std::string address(const kernel::Param& param, const std::vector<kernel::Expr>& indices) const;
  bool is_fast_division(const kernel::ExprNode& e) const;
  /// The inverse of a square root or a fourth root.
  std::string inverse_root(const kernel::Expr& root) const;
  std::string fast_division(const kernel::Expr& left, const kernel::Expr& right) const;
  std::string binary(const kernel::ExprNode& e) const;
  std::string call(const kernel::ExprNode& e) const;

  Options options_;
  std::map<std::string, const kernel::Param*> params_;
};

} // namespace netc
