// Cases of sgd_update.

#include "ir/ops.h"
#include "tests/support/op_harness.h"

namespace netc::test {
namespace {

OpCase update(Shape shape, double momentum, double decay, double rate) {
  return {&ops::sgd_update,
          {parameter(shape), parameter(shape), parameter(shape), feed({1}, values({0.0625}))},
          {{"momentum", momentum}, {"decay", decay}, {"rate", rate}}};
}

std::vector<OpCase> cases() {
  return {update({1}, 0.9, 0.0005, 1),        update({7, 3, 5, 5}, 0.9, 0.0005, 1),
          update({37, 1000}, 0.9, 0.0005, 1), update({96}, 0.9, 0, 2),
          update({13, 11}, 0, 0.1, 0.5),      update({16384, 2}, 0.99, 0.01, 1),
          update({32, 512}, 0.5, 0, 0)};
}

const OpTests tests("sgd_update", cases);

} // namespace
} // namespace netc::test
