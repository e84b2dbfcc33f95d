// Elements that lie one after the other are accessed as vectors where the first is known to lie at
// a multiple of their number, and nowhere else.

#include "codegen/printer.h"

#include <gtest/gtest.h>

namespace netc {
namespace {

using kernel::Body;
using kernel::Expr;
using kernel::StmtKind;

/// Copies two elements of a row, from `at` on.
void copy_pair(Body& body, const Expr& row, const Expr& at) {
  const Expr first = body.let("first", kernel::load("in0", DType::f32, {row, at})),
             second = body.let("second", kernel::load("in0", DType::f32, {row, at + Expr(1)}));
  body.store("out0", {row, at}, first);
  body.store("out0", {row, at + Expr(1)}, second);
}

std::string text_of(std::vector<kernel::Stmt> body) {
  const TensorType type{DType::f32, {8, 16}};
  LoweredNode lowered{};
  lowered.kernel = {"pairs",
                    {{"in0", type, Layout::row_major, kernel::Access::in},
                     {"out0", type, Layout::row_major, kernel::Access::out}},
                    std::move(body)};
  verify(lowered.kernel);
  return print_kernel(lowered, cuda_dialect(), false, 48 << 10).text;
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

void even_pairs(Body& body) {
  body.loop(StmtKind::parallel, "row", 0, 8, [](Expr row, Body& pairs) {
    pairs.loop(StmtKind::lanes, "pair", 0, 8, [&](Expr pair, Body& lane) {
      copy_pair(lane, row, lane.let("at", pair * Expr(2)));
    });
  });
}

TEST(VectorAccess, TakesPairsAtEvenPlaces) {
  Body body;
  even_pairs(body);
  const std::string text = text_of(body.take());
  EXPECT_EQ(count(text, "netc::load2(in0"), 1) << text;
  EXPECT_EQ(count(text, "netc::store2(out0"), 1) << text;
}

TEST(VectorAccess, KnowsNothingOfALoopWhoseNameAnEvenVariableHadBefore) {
  for (const bool nested : {false, true}) {
    Body body;
    even_pairs(body);
    if (nested)
      body.loop(StmtKind::parallel, "row", 0, 8, [](Expr row, Body& rows) {
        rows.loop(StmtKind::parallel, "at", 0, 1,
                  [&](Expr at, Body& pairs) { copy_pair(pairs, row, at); });
      });
    else
      body.loop(StmtKind::parallel, "at", 0, 1,
                [](Expr at, Body& pairs) { copy_pair(pairs, Expr(0), at); });
    const std::string text = text_of(body.take());
    EXPECT_EQ(count(text, "netc::load2(in0"), 1) << text;
    EXPECT_EQ(count(text, "netc::store2(out0"), 1) << text;
  }
}

} // namespace
} // namespace netc
