#include "tests/support/run_graph.h"

#include "codegen/program_builder.h"
#include "ir/ops.h"
#include "ir/plan.h"
#include "passes/passes.h"
#include "runtime/devices.h"
#include "runtime/session.h"
#include "tests/support/places.h"
#include "tools/driver/backend.h"
#include "tools/driver/compile.h"

#include <gtest/gtest.h>

#include <cstring>
#include <sstream>
#include <unistd.h>

namespace netc::test {

namespace {

namespace fs = std::filesystem;

/// Bytes behind every buffer that a kernel must leave alone.
constexpr int64_t guard_bytes = 256;
/// What memory holds before a run: as f32 this is NaN.
constexpr std::byte canary{0xff};

const Backend& backend_of(const Target& target) {
  static std::map<std::string, Backend> known;
  auto at = known.find(target.str());
  if (at == known.end())
    at = known.emplace(target.str(), make_backend(target, binary_root() / "kernel-cache")).first;
  return at->second;
}

LoweringOptions lowering_options(const RunOptions& options) {
  return {.target = options.target,
          .exact = options.exact,
          .threads = options.threads,
          .choose = nullptr,
          .busy_threads = options.busy_threads};
}

PassContext pass_context(const RunOptions& options) {
  PassContext context;
  context.target = options.target;
  context.precision = options.precision;
  context.exact = options.exact;
  context.rewrites_left = options.rewrites;
  context.workspace_bytes = [lowering = lowering_options(options)](const Node& node) -> int64_t {
    if (std::holds_alternative<std::monostate>(node.op->lower) && !node.body)
      return 0;
    return lower(
               node, [](const Value&) { return true; }, lowering)
        .workspace_bytes();
  };
  return context;
}

int64_t aligned(int64_t bytes) {
  return (bytes + arena_alignment - 1) / arena_alignment * arena_alignment;
}

/// Gives every buffer memory of its own with a guard band behind it.
void spread(Program& program) {
  int64_t end = 0;
  for (Buffer& buffer : program.buffers) {
    if (buffer.place == Place::feed || buffer.place == Place::output)
      buffer.bytes += guard_bytes;
    if (buffer.place != Place::arena)
      continue;
    if (buffer.alias >= 0) {
      buffer.offset = program.buffers[static_cast<size_t>(buffer.alias)].offset;
      continue;
    }
    buffer.offset = end;
    end += aligned(buffer.bytes) + guard_bytes;
  }
  program.arena_bytes = end;
}

/// A plan's folder, unique in this machine.
fs::path new_folder() {
  static int count = 0;
  fs::path folder = fs::temp_directory_path() / fmt::format("netc-test-{}-{}", getpid(), count++);
  fs::create_directories(folder / "kernels");
  return folder;
}

/// Logical (row-major) index of element `i` as it lies in memory.
size_t logical_index(size_t i, const TensorType& type, Layout layout) {
  if (layout == Layout::row_major)
    return i;
  size_t c = static_cast<size_t>(type.shape[1]), h = static_cast<size_t>(type.shape[2]),
         w = static_cast<size_t>(type.shape[3]);
  size_t channel = i % c, column = i / c % w, row = i / c / w % h, n = i / c / w / h;
  return ((n * c + channel) * h + row) * w + column;
}

template <class T> void copy_in(std::byte* memory, const RefTensor& tensor, Layout layout) {
  for (size_t i = 0; i < tensor.data.size(); ++i) {
    T value = static_cast<T>(tensor.data[logical_index(i, tensor.type, layout)]);
    std::memcpy(memory + i * sizeof(T), &value, sizeof(T));
  }
}

void write_tensor(std::byte* memory, const RefTensor& tensor, Layout layout) {
  if (tensor.type.dtype == DType::f32)
    copy_in<float>(memory, tensor, layout);
  else if (tensor.type.dtype == DType::i32)
    copy_in<int32_t>(memory, tensor, layout);
  else
    copy_in<uint8_t>(memory, tensor, layout);
}

template <class T>
RefTensor copy_out(const std::byte* memory, const TensorType& type, Layout layout) {
  RefTensor tensor{type, std::vector<double>(static_cast<size_t>(type.elements()))};
  for (size_t i = 0; i < tensor.data.size(); ++i) {
    T value;
    std::memcpy(&value, memory + i * sizeof(T), sizeof(T));
    tensor.data[logical_index(i, type, layout)] = static_cast<double>(value);
  }
  return tensor;
}

RefTensor read_tensor(const std::byte* memory, const TensorType& type, Layout layout) {
  if (type.dtype == DType::f32)
    return copy_out<float>(memory, type, layout);
  if (type.dtype == DType::i32)
    return copy_out<int32_t>(memory, type, layout);
  return copy_out<uint8_t>(memory, type, layout);
}

void expect_untouched(std::span<const std::byte> band, const std::string& buffer) {
  for (size_t i = 0; i < band.size(); ++i)
    if (band[i] != canary) {
      ADD_FAILURE() << "byte " << i << " behind `" << buffer << "` was overwritten";
      return;
    }
}

const RefTensor& input_of(const Buffer& buffer, const Tensors& inputs) {
  auto it = inputs.find(buffer.name);
  NETC_CHECK(it != inputs.end(), "no input `{}`", buffer.name);
  NETC_CHECK(it->second.type == buffer.type, "input `{}` is {}, expected {}", buffer.name,
             it->second.type.str(), buffer.type.str());
  return it->second;
}

void fill(Session& session, const Program& program, const Tensors& inputs) {
  session.poison(canary);
  for (const Buffer& buffer : program.buffers) {
    if (buffer.place == Place::state && buffer.alias < 0)
      session.write_state(buffer.name, [&](std::span<float> values) {
        write_tensor(reinterpret_cast<std::byte*>(values.data()), input_of(buffer, inputs),
                     Layout::row_major);
      });
    if (buffer.place == Place::feed) {
      std::span<std::byte> memory = session.feed(program.name, buffer.name);
      std::memset(memory.data(), static_cast<int>(canary), memory.size());
      write_tensor(memory.data(), input_of(buffer, inputs), buffer.layout);
    }
  }
}

void expect_guards(Session& session, const Program& program) {
  std::vector<std::byte> arena(static_cast<size_t>(session.arena().size()));
  session.device().read(arena.data(), session.arena().data(), session.arena().size());
  for (const Buffer& buffer : program.buffers) {
    size_t size = static_cast<size_t>(buffer.type.bytes());
    if (buffer.place == Place::feed)
      expect_untouched(session.used_feed(program.name, buffer.name).subspan(size), buffer.name);
    if (buffer.place == Place::output)
      expect_untouched(session.output(program.name, buffer.name).subspan(size), buffer.name);
    if (buffer.place == Place::arena)
      expect_untouched(
          std::span<const std::byte>(arena).subspan(
              static_cast<size_t>(buffer.offset + buffer.bytes), static_cast<size_t>(guard_bytes)),
          buffer.name);
  }
}

/// The kernels' binaries where the session looks for them.
std::vector<PlanKernel> compile_kernels(const KernelSet& kernels, const Backend& backend,
                                        const RunOptions& options, const fs::path& folder) {
  std::vector<CompileJob> jobs = jobs_of(kernels);
  if (options.edit)
    for (CompileJob& job : jobs)
      job.source = options.edit(job.source);
  backend.compile(jobs, default_threads());
  return place_kernels(kernels, jobs, backend, folder);
}

} // namespace

CompiledGraph::CompiledGraph(Graph graph, PassContext context, const RunOptions& options)
    : graph_(std::move(graph)), options_(options), folder_(new_folder()) {
  verify(graph_);
  KernelSet kernels(options.target, options.exact);
  Plan plan;
  plan.network = "test";
  const Backend& backend = backend_of(options.target);
  plan.target = options.target.str();
  plan.compiler = backend.version;
  plan.machine = backend.machine;
  plan.exact = options.exact;
  plan.threads = options.threads;
  plan.state = state_of(graph_);
  Program program =
      build_program(graph_, context.memory, "test", lowering_options(options), kernels);
  if (options.guards)
    spread(program);
  verify(program);
  plan.programs.push_back(std::move(program));
  plan.kernels = compile_kernels(kernels, backend, options, folder_);
  write_plan(plan, folder_);
}

CompiledGraph::~CompiledGraph() {
  std::error_code ignored;
  if (!folder_.empty())
    fs::remove_all(folder_, ignored);
}

Tensors CompiledGraph::run(const Tensors& inputs, int threads) const {
  Plan plan = read_plan(folder_);
  const Program& program = plan.programs.front();
  Session session(plan, folder_, {.name = device_for(options_.target), .threads = threads});
  fill(session, program, inputs);
  session.run(program.name);
  if (options_.guards)
    expect_guards(session, program);
  Tensors results;
  for (const Buffer& buffer : program.buffers)
    if (buffer.place == Place::output)
      results[buffer.name] =
          read_tensor(session.output(program.name, buffer.name).data(), buffer.type, buffer.layout);
  for (const Graph::Store& store : graph_.stores) {
    const Value& parameter = *store.parameter;
    results[parameter.name] =
        read_tensor(reinterpret_cast<const std::byte*>(session.state(parameter.name).values.data()),
                    parameter.type, Layout::row_major);
  }
  return results;
}

PreparedGraph prepare_graph(const Graph& graph, const RunOptions& options) {
  Graph copy = graph.clone();
  PassContext context = pass_context(options);
  assign_precision(copy, context);
  assign_layouts(copy, context);
  if (options.fuse) {
    fuse_windows(copy, context);
    fuse_epilogue(copy, context);
    fuse_updates(copy, context);
    fuse_bias_gradients(copy, context);
  }
  order_nodes(copy, context);
  verify(copy);
  plan_memory(copy, context);
  return {std::move(copy), std::move(context)};
}

PreparedGraph prepare_training(const Graph& forward, const OptimizerSpec& optimizer,
                               const RunOptions& options) {
  Graph copy = forward.clone();
  PassContext context = pass_context(options);
  context.mode = Mode::train;
  context.optimizer = optimizer;
  PipelineOptions pipeline;
  pipeline.verify_each = true;
  if (!options.fuse)
    pipeline.skip = {"fuse-windows", "fuse-epilogue", "fuse-updates", "fuse-bias-gradients"};
  std::ostringstream dump;
  run_pipeline(copy, context, pipeline, dump);
  return {std::move(copy), std::move(context)};
}

void expect_sound_kernels(const Graph& graph, bool exact) {
  for (const char* target : {"cpu", "cuda:sm_90"})
    for (const auto& node : graph.nodes) {
      if (std::holds_alternative<std::monostate>(node->op->lower) && !node->body)
        continue;
      RunOptions options;
      options.target = parse_target(target);
      options.exact = exact;
      LoweredNode lowered = lower(
          *node, [](const Value&) { return true; }, lowering_options(options));
      if (lowered.contraction)
        continue;
      EXPECT_NO_THROW(kernel::verify(lowered.kernel)) << node->name << " for " << target;
      std::string text = kernel::print(lowered.kernel);
      EXPECT_EQ(kernel::print(kernel::parse_kernel(text)), text) << node->name;
    }
}

} // namespace netc::test
