#include "codegen/library_contraction.h"

#include "codegen/candidates.h"
#include "codegen/cuda_contraction.h"
#include "codegen/shape_text.h"
#include "codegen/tuning.h"
#include "ir/ops.h"

#include <algorithm>

namespace netc {

namespace {

constexpr const char *cublaslt = "cublaslt", *cudnn = "cudnn";

/// What NVIDIA recommends for products on Hopper, which are cut along their depth with it.
constexpr int64_t scratch_bytes = 32 << 20;

/// Whether memory holds such values as floats, which may be rounded to TF32.
bool is_plain(DType stored) {
  return stored == DType::f32 || stored == DType::tf32;
}
bool is_plain(const Value& value) {
  return is_plain(value.stored().dtype);
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

/// Adds to a call of cuBLASLt what it does of the maps behind the contraction: a bias. Not a ReLU:
/// that of netc lets NaN pass, by which a training that diverges is noticed.
void take_epilogue(LibraryCall& call, const Group& group) {
  if (group.members.size() < 2)
    return;
  const Node& next = *group.members[1];
  if (next.op == &ops::bias && next.operands[0] == group.members[0]->result() &&
      only_next_reads(group, 1) && is_plain(*next.operands[1]))
    call.bias = parameter_of(group, *next.operands[1]);
}

/// Libraries pad both sides alike. More behind is as good where no window begins there.
bool is_padded_alike(const Conv2d& c) {
  Conv2d alike = c;
  alike.pad_bottom = c.pad_top, alike.pad_right = c.pad_left;
  return alike.out_height() == c.out_height() && alike.out_width() == c.out_width();
}

LibraryCall call_of(const Contraction& contraction, const std::string& library) {
  LibraryCall call{.library = library, .pass = contraction.function};
  if (const auto* linear = std::get_if<Linear>(&contraction.shape)) {
    call.batch = linear->batch;
    call.in_features = linear->in_features;
    call.out_features = linear->out_features;
    return call;
  }
  const auto& c = std::get<Conv2d>(contraction.shape);
  call.batch = c.batch;
  call.in_features = c.in_channels;
  call.out_features = c.out_channels;
  call.convolution = {.in = {c.in_height, c.in_width},
                      .out = {c.out_height(), c.out_width()},
                      .kernel = {c.kernel_height, c.kernel_width},
                      .groups = c.groups,
                      .stride = {c.stride_height, c.stride_width},
                      .dilation = {c.dilation_height, c.dilation_width},
                      .pad = {c.pad_top, c.pad_left}};
  return call;
}

void add_entry(Contraction& contraction, int64_t items, std::string statement) {
  contraction.entries.push_back(sweep(items));
  contraction.statements.push_back(std::move(statement));
}

/// Where the weights of a convolution are not as libraries have them: `workspace`, a parameter,
/// holds them in that order. Returns its bytes; 0: they are.
int64_t reorder_weights(Contraction& contraction, LibraryCall& call, int workspace) {
  const auto* c = std::get_if<Conv2d>(&contraction.shape);
  if (!c || c->kernel_height * c->kernel_width == 1)
    return 0;
  const int64_t weights =
      int64_t{c->out_channels} * c->group_in() * c->kernel_height * c->kernel_width;
  if (call.pass == "conv2d_weight_gradient") {
    call.result = workspace;
    add_entry(contraction, weights, "netc::unpack_filters<shape>(workspace, out0);");
  } else {
    call.second = workspace;
    call.entries_before = 1;
    add_entry(contraction, weights, "netc::pack_filters<shape>(in1, workspace);");
  }
  return weights * byte_size(DType::f32);
}

/// The gradient of a bias, `result`, beside that of weights. Returns the bytes of `workspace`,
/// which it takes.
int64_t add_bias_gradient(Contraction& contraction, const std::string& workspace,
                          const std::string& result) {
  const auto& c = std::get<Conv2d>(contraction.shape);
  const int64_t pixels = int64_t{c.batch} * c.out_height() * c.out_width();
  const int64_t parts = std::min<int64_t>(256, pixels), sums = parts * c.out_channels;
  add_entry(contraction, sums,
            fmt::format("netc::sum_parts<shape, {}>(in1, {});", parts, workspace));
  add_entry(contraction, c.out_channels,
            fmt::format("netc::add_parts<shape, {}>({}, {});", parts, workspace, result));
  return sums * byte_size(DType::f32);
}

} // namespace

std::vector<std::string> library_candidates(const ContractionUse& use,
                                            const LoweringOptions& options) {
  const Node& contraction = use.node;
  const Precision precision = precision_of(contraction, options);
  if (options.target.kind != Target::Kind::cuda || options.exact ||
      (precision != Precision::fp32 && precision != Precision::tf32) ||
      !is_plain(*contraction.operands[0]) || !is_plain(*contraction.operands[1]) ||
      !is_plain(use.written))
    return {};
  const ContractionShape shape = contraction_shape(use, false);
  if (const auto* c = std::get_if<Conv2d>(&shape))
    return is_padded_alike(*c) ? std::vector<std::string>{cudnn} : std::vector<std::string>{};
  if (contraction.op == &ops::linear_weight_gradient)
    return {};
  return {cublaslt};
}

bool is_library(const std::string& candidate) {
  return candidate == cublaslt || candidate == cudnn;
}

size_t members_computed(const LibraryCall& call) {
  return call.bias >= 0 ? 2 : 1;
}

std::vector<int64_t> specialise_for_library(Contraction& contraction, const Group& group,
                                            const std::string& library) {
  NETC_CHECK(is_plain(*group.results[0]), "{} is to write {}", library,
             group.results[0]->stored().str());
  contraction.header = "library.h";
  LibraryCall call = call_of(contraction, library);
  call.result = static_cast<int>(group.operands.size());
  const int behind = call.result + static_cast<int>(group.results.size());
  if (library == cublaslt)
    take_epilogue(call, group);
  std::vector<int64_t> workspaces;
  if (const int64_t weights = reorder_weights(contraction, call, behind); weights > 0)
    workspaces.push_back(weights);
  // The library does not round what it writes.
  if (bias_gradient_of(group))
    workspaces.push_back(add_bias_gradient(contraction,
                                           workspaces.empty() ? "workspace" : "workspace1",
                                           group.buffers.at(bias_gradient_of(group)->result())));
  else if (members_computed(call) < group.members.size() || group.results[0]->storage) {
    const Shape sums = flat_type(*group.members[0]->result()).shape;
    add_entry(contraction, sums[0] * sums[1],
              fmt::format("netc::finish_sums<{}, {}>(out0{{epilogue}});", sums[0], sums[1]));
  }
  call.scratch = behind + static_cast<int>(workspaces.size());
  call.scratch_bytes = scratch_bytes;
  workspaces.push_back(scratch_bytes);
  contraction.library = std::move(call);
  return workspaces;
}

std::string call_text(const Contraction& contraction) {
  const LibraryCall& call = *contraction.library;
  return fmt::format("{} {} {}, {}: {}, {}{}, to {}, scratch {}", call.library, call.pass,
                     shape_name(contraction.shape), to_string(contraction.precision), call.first,
                     call.second, call.bias >= 0 ? fmt::format(", bias {}", call.bias) : "",
                     call.result, call.scratch);
}

} // namespace netc
