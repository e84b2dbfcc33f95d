#include "codegen/program_builder.h"

#include "ir/exchange.h"
#include "ir/ops.h"

#include <algorithm>
#include <unordered_set>

namespace netc {

namespace {

/// A file name: letters, digits, `_` and `-`; the rest of a layer's name becomes `_`.
std::string file_stem(const std::string& name) {
  std::string stem = name;
  for (char& c : stem)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-')
      c = '_';
  return stem;
}

/// What a step computes, for profiles: the operators by name of the first layer.
std::string label_of(const Node& node) {
  if (!node.body)
    return fmt::format("{}: {}", node.name, node.op->name);
  std::string list;
  size_t shown = 0;
  for (const auto& member : node.body->nodes) {
    if (member->op == &ops::argument)
      continue;
    if (++shown == 7)
      list += " + ...";
    if (shown < 7)
      list += (list.empty() ? "" : " + ") + member->op->name;
  }
  return fmt::format("{}: {}", node.name, list);
}

class ProgramBuilder {
public:
  ProgramBuilder(const Graph& graph, const MemoryPlan& memory, const LoweringOptions& options,
                 KernelSet& kernels)
      : graph_(graph), memory_(memory), options_(options), kernels_(kernels) {
    for (const auto& [value, uses] : graph.use_counts())
      used_.insert(value);
  }

  Program build(const std::string& name, int device) {
    program_.name = name;
    program_.device = device;
    program_.arena_bytes = memory_.arena_bytes;
    program_.lower_bound_bytes = memory_.lower_bound_bytes;
    for (const auto& node : graph_.nodes) {
      if (node->op == &ops::parameter)
        add_leaf(*node, Place::state);
      else if (node->op == &ops::feed)
        add_leaf(*node, Place::feed);
    }
    for (const auto& node : graph_.nodes)
      if (node->op == &ops::exchange)
        add_exchange(*node);
      else if (node->op != &ops::parameter && node->op != &ops::feed)
        add_step(*node);
    return std::move(program_);
  }

private:
  /// Outputs take the names they have for the host; another value of such a name, as a layer may
  /// have it, yields.
  std::string name_of(const Value& value) const {
    const bool yields =
        std::any_of(graph_.outputs.begin(), graph_.outputs.end(), [&](const auto& output) {
          return output.name == value.name && output.value != &value;
        });
    return yields ? value.name + ".value" : value.name;
  }

  int add_buffer(const Value& value, Place place) {
    Buffer buffer;
    buffer.name = name_of(value);
    buffer.type = value.stored();
    buffer.layout = value.layout;
    buffer.place = place;
    buffer.bytes = buffer.type.bytes();
    index_[&value] = static_cast<int>(program_.buffers.size());
    program_.buffers.push_back(std::move(buffer));
    return index_[&value];
  }

  /// Tells of which tensor a buffer is a part; nothing where `whole` is empty.
  void set_part(int index, const Shape& whole, const std::vector<int64_t>& at) {
    Buffer& buffer = program_.buffers[static_cast<size_t>(index)];
    buffer.whole = whole;
    for (size_t d = 0; d < whole.size(); ++d)
      buffer.part.push_back({at[d], at[d] + buffer.type.shape[d]});
  }

  void add_leaf(const Node& node, Place place) {
    int index = add_buffer(*node.result(), place);
    if (node.attrs.has("whole"))
      set_part(index, node.attrs.integers("whole"), node.attrs.integers("at"));
  }

  /// The parameter whose memory `value` replaces, or null.
  const Value* stored_in(const Value& value) const {
    for (const Graph::Store& store : graph_.stores)
      if (store.value == &value)
        return store.parameter;
    return nullptr;
  }

  int add_result(const Value& value) {
    if (const Value* parameter = stored_in(value)) {
      bool in_place = std::any_of(value.node->operands.begin(), value.node->operands.end(),
                                  [&](const Value* operand) { return operand == parameter; });
      NETC_CHECK(in_place, "`{}` is stored but not computed in place", value.name);
      int index = add_buffer(value, Place::state);
      Buffer& buffer = program_.buffers[static_cast<size_t>(index)];
      buffer.alias = index_.at(parameter);
      buffer.whole = program_.buffers[static_cast<size_t>(buffer.alias)].whole;
      buffer.part = program_.buffers[static_cast<size_t>(buffer.alias)].part;
      return index;
    }
    for (const Graph::Output& output : graph_.outputs)
      if (output.value == &value) {
        int index = add_buffer(value, Place::output);
        program_.buffers[static_cast<size_t>(index)].name = output.name;
        set_part(index, output.whole, output.at);
        return index;
      }
    int index = add_buffer(value, Place::arena);
    place_in_arena(index, memory_.values.at(&value));
    return index;
  }

  void place_in_arena(int index, const Extent& extent) {
    Buffer& buffer = program_.buffers[static_cast<size_t>(index)];
    buffer.offset = extent.offset;
    buffer.first_step = buffer.last_step = static_cast<int>(program_.steps.size());
    for (size_t i = 0; i + 1 < program_.buffers.size(); ++i) {
      Buffer& other = program_.buffers[i];
      if (other.place == Place::arena && other.offset == buffer.offset &&
          other.last_step == buffer.first_step && other.bytes == buffer.bytes)
        buffer.alias = static_cast<int>(i);
    }
  }

  void attach(Step& step, int buffer, kernel::Access access) {
    step.buffers.push_back(buffer);
    step.access.push_back(access);
    program_.buffers[static_cast<size_t>(buffer)].last_step =
        static_cast<int>(program_.steps.size());
  }

  void add_exchange(const Node& node) {
    Exchange exchange = exchange_of(node);
    Step step;
    step.label = label_of(node);
    step.loc = node.loc;
    step.exchange = static_cast<int>(program_.exchanges.size());
    if (!is_empty(exchange.from.at(program_.device)))
      attach(step, index_.at(node.operands[0]), kernel::Access::in);
    if (!node.results.empty())
      attach(step, add_result(*node.result()), kernel::Access::out);
    program_.exchanges.push_back(std::move(exchange));
    program_.steps.push_back(std::move(step));
  }

  void add_step(const Node& node) {
    LoweredNode lowered = lower(
        node, [&](const Value& v) { return used_.count(&v) > 0; }, options_);
    Step step;
    step.label = label_of(node);
    step.loc = node.loc;
    step.kernel = kernels_.add(lowered, step.label, node.loc);
    for (const Value* operand : lowered.operands)
      attach(step, index_.at(operand), kernel::Access::in);
    for (const Value* result : lowered.results)
      attach(step, add_result(*result), kernel::Access::out);
    int64_t offset = lowered.workspaces.empty() ? 0 : memory_.workspaces.at(&node).offset;
    for (int64_t bytes : lowered.workspaces) {
      Buffer buffer;
      buffer.name = fmt::format("{}.workspace{}", node.name, program_.buffers.size());
      buffer.type = {DType::f32, {bytes / 4}};
      buffer.bytes = bytes;
      buffer.offset = offset;
      buffer.first_step = buffer.last_step = static_cast<int>(program_.steps.size());
      offset += (bytes + arena_alignment - 1) / arena_alignment * arena_alignment;
      program_.buffers.push_back(std::move(buffer));
      attach(step, static_cast<int>(program_.buffers.size()) - 1, kernel::Access::workspace);
    }
    program_.steps.push_back(std::move(step));
  }

  const Graph& graph_;
  const MemoryPlan& memory_;
  const LoweringOptions& options_;
  KernelSet& kernels_;
  Program program_;
  std::unordered_set<const Value*> used_;
  std::unordered_map<const Value*, int> index_;
};

} // namespace

namespace {

/// Bytes of arrays one parallel iteration may have: on the CPU they are on a thread's stack, of 8
/// MB as a rule, in CUDA in the shared memory of a block.
int64_t largest_local(const Target& target) {
  return target.has_cuda_text() ? target.shared_bytes() : 4 << 20;
}

void check_local_arrays(const KernelText& text, int64_t limit, const std::string& label,
                        const Loc& loc) {
  if (text.local_bytes <= limit)
    return;
  Diagnostics diagnostics;
  diagnostics
      .error(loc, fmt::format("`{}` needs {} KB of scratch for one pixel, {} KB are there", label,
                              (text.local_bytes + 1023) / 1024, limit / 1024))
      .note("all channels of a pixel are kept at once; fewer channels need less");
  diagnostics.throw_if_errors();
}

} // namespace

std::string KernelSet::add(const LoweredNode& lowered, const std::string& label, const Loc& loc) {
  KernelText code = print_kernel(lowered, dialect_of(target_), exact_, largest_local(target_));
  check_local_arrays(code, largest_local(target_), label, loc);
  std::string user = loc.known() ? fmt::format("{} ({})", label, loc.str()) : label;
  for (Entry& entry : entries_)
    if (entry.code.text == code.text) {
      entry.users.push_back(user);
      return entry.name;
    }
  Entry entry;
  entry.name = fmt::format("{:02}_{}", entries_.size(), file_stem(lowered.kernel.name));
  entry.implementation = "generated";
  if (const auto& contraction = lowered.contraction) {
    entry.library = contraction->library;
    entry.implementation = entry.library ? entry.library->library : contraction->function;
    entry.precision = to_string(contraction->precision);
  }
  entry.code = std::move(code);
  entry.users = {user};
  entries_.push_back(std::move(entry));
  return entries_.back().name;
}

std::vector<CompileJob> jobs_of(const KernelSet& kernels) {
  std::vector<CompileJob> jobs;
  for (const KernelSet::Entry& entry : kernels.entries())
    jobs.push_back({.name = entry.name,
                    .source = entry.code.text,
                    .exact = kernels.exact(),
                    .users = entry.users,
                    .entries = entry.code.entries});
  return jobs;
}

Program build_program(const Graph& graph, const MemoryPlan& memory, const std::string& name,
                      const LoweringOptions& options, KernelSet& kernels, int device) {
  return ProgramBuilder(graph, memory, options, kernels).build(name, device);
}

std::vector<StateInit> state_of(const Graph& graph) {
  std::vector<StateInit> list;
  for (const auto& node : graph.nodes) {
    if (node->op != &ops::parameter)
      continue;
    const Attributes& a = node->attrs;
    TensorType type = node->result()->type;
    if (a.has("whole"))
      type.shape = a.integers("whole");
    list.push_back({node->result()->name, std::move(type), a.text("init"), a.real("scale"),
                    a.integer("fan_in"), a.integer("fan_out"), a.flag("trainable"), a.real("rate"),
                    a.real("decay")});
  }
  return list;
}

std::vector<StateInit> state_of(const std::vector<const Graph*>& devices) {
  std::vector<StateInit> list;
  for (const Graph* graph : devices)
    for (StateInit& state : state_of(*graph)) {
      auto same = std::find_if(list.begin(), list.end(),
                               [&](const StateInit& other) { return other.name == state.name; });
      if (same == list.end())
        list.push_back(std::move(state));
      else
        NETC_CHECK(*same == state, "devices disagree about the state `{}`", state.name);
    }
  return list;
}

} // namespace netc
