#include "codegen/library_contraction.h"

#include "codegen/candidates.h"
#include "codegen/cuda_contraction.h"
#include "ir/ops.h"

#include <algorithm>

namespace netc {

namespace {

constexpr const char* cublaslt = "cublaslt";

/// What NVIDIA recommends for Hopper, and its library takes to cut a product along its depth.
constexpr int64_t scratch_bytes = 32 << 20;

/// Whether the value lies in memory as a library takes it.
bool is_plain(const Value& value) {
  return value.type.dtype == DType::f32;
}

bool reads(const Node& node, const Value& value) {
  return std::find(node.operands.begin(), node.operands.end(), &value) != node.operands.end();
}

/// Whether nobody but the group's member `next` needs the result of the one before.
bool only_next_reads(const Group& group, size_t next) {
  const Value* value = group.members[next - 1]->result();
  const auto& results = group.member_results;
  return std::find(results.begin(), results.end(), value) == results.end() &&
         std::count_if(group.members.begin(), group.members.end(),
                       [&](const Node* member) { return reads(*member, *value); }) == 1;
}

/// The number of a parameter that the group reads.
int parameter_of(const Group& group, const Value& value) {
  const std::string& name = group.buffers.at(&value);
  for (size_t i = 0; i < group.operands.size(); ++i)
    if (name == fmt::format("in{}", i))
      return static_cast<int>(i);
  internal_error(__FILE__, __LINE__, fmt::format("`{}` is no operand of its kernel", value.name));
}

/// Adds to the call what it can do of the maps behind the contraction: a bias, then a ReLU.
void take_epilogue(LibraryCall& call, const Group& group) {
  size_t next = 1;
  auto follows = [&](const OpDef& op) {
    return next < group.members.size() && group.members[next]->op == &op &&
           group.members[next]->operands[0] == group.members[next - 1]->result() &&
           only_next_reads(group, next);
  };
  if (follows(ops::bias) && is_plain(*group.members[next]->operands[1]))
    call.bias = parameter_of(group, *group.members[next++]->operands[1]);
  call.relu = follows(ops::relu);
}

} // namespace

std::vector<std::string> library_candidates(const Node& contraction,
                                            const LoweringOptions& options) {
  const Precision precision = precision_of(contraction, options);
  const bool suits =
      options.target.kind == Target::Kind::cuda && !options.exact &&
      (contraction.op == &ops::linear || contraction.op == &ops::linear_data_gradient) &&
      (precision == Precision::fp32 || precision == Precision::tf32) &&
      is_plain(*contraction.operands[0]) && is_plain(*contraction.operands[1]) &&
      is_plain(*contraction.result());
  return suits ? std::vector<std::string>{cublaslt} : std::vector<std::string>{};
}

bool is_library(const std::string& candidate) {
  return candidate == cublaslt;
}

size_t members_computed(const LibraryCall& call) {
  return 1 + (call.bias >= 0) + call.relu;
}

std::vector<int64_t> specialise_for_library(Contraction& contraction, const Group& group,
                                            const std::string& library) {
  const auto& shape = std::get<Linear>(contraction.shape);
  LibraryCall call{.library = library,
                   .pass = contraction.function,
                   .batch = shape.batch,
                   .in_features = shape.in_features,
                   .out_features = shape.out_features};
  take_epilogue(call, group);
  std::vector<int64_t> workspaces;
  const int results = static_cast<int>(group.operands.size());
  const int behind = results + static_cast<int>(group.results.size());
  if (members_computed(call) < group.members.size()) {
    specialise_for_sums(contraction, contraction.function);
    workspaces = {group.members[0]->result()->type.bytes(), scratch_bytes};
    call.result = behind;
  } else {
    workspaces = {scratch_bytes};
    call.result = results;
  }
  call.scratch = behind + static_cast<int>(workspaces.size()) - 1;
  call.scratch_bytes = scratch_bytes;
  contraction.library = std::move(call);
  return workspaces;
}

std::string call_text(const LibraryCall& call, Precision precision) {
  return fmt::format("{} {} {}x{}->{}, {}{}{}, to {}, scratch {}", call.library, call.pass,
                     call.batch, call.in_features, call.out_features, to_string(precision),
                     call.bias >= 0 ? fmt::format(", bias {}", call.bias) : "",
                     call.relu ? ", relu" : "", call.result, call.scratch);
}

} // namespace netc
