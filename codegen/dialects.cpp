#include "codegen/printer.h"

namespace netc {

const Dialect& cpu_dialect() {
  static const Dialect dialect{
      .name = "cpu",
      .extension = "cpp",
      .parallel = "for (long item = netc::first_item({items}, thread.index, thread.count),\n"
                  "          end = netc::first_item({items}, thread.index + 1, thread.count);\n"
                  "     item < end; ++item)",
      .spread = "for (int {name} = {lo}; {name} < {hi}; ++{name})",
      .after_spread = "",
      .lanes = "for (int {name} = {lo}; {name} < {hi}; ++{name})",
      .after_lanes = "",
      .before_lanes = "#pragma GCC ivdep",
      .warp_lanes = "for (int {name} = {lo}; {name} < {hi}; ++{name})",
      .after_warp_lanes = "",
      .alloc = "alignas(64) {type} {name}[{count}];",
      .pointer = "{type}*",
      .split_at_barriers = false};
  return dialect;
}

const Dialect& cuda_dialect() {
  static const Dialect dialect{
      .name = "cuda",
      .extension = "cu",
      .parallel = "for (long item = netc::block{at}; item < {items}; item += netc::blocks())",
      .spread = "for (int {name} = {lo+}netc::warp(); {name} < {hi}; {name} += netc::warps())",
      .after_spread = "netc::barrier();",
      .lanes = "for (int {name} = {lo+}netc::lane(); {name} < {hi}; {name} += netc::lanes())",
      .after_lanes = "netc::barrier();",
      .before_lanes = "",
      .warp_lanes = "for (int {name} = {lo+}netc::warp_lane(); {name} < {hi}; {name} += 32)",
      .after_warp_lanes = "netc::warp_barrier();",
      .alloc = "const netc::Shared<{type}> {name} = netc::shared_array<{type}>({offset}, {count});",
      .pointer = "netc::Global<{type}>",
      .split_at_barriers = true};
  return dialect;
}

const Dialect& dialect_of(const Target& target) {
  return target.has_cuda_text() ? cuda_dialect() : cpu_dialect();
}

} // namespace netc
