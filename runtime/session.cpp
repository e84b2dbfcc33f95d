#include "runtime/session.h"

#include "ir/support/diagnostics.h"
#include "runtime/atomic_file.h"
#include "runtime/devices.h"
#include "runtime/initialize.h"
#include "runtime/memory.h"

#include <algorithm>

namespace netc {

namespace {

/// Feeds (or outputs) of a slot lie together, so that one copy moves them, each where any kernel
/// may load vectors from.
constexpr int64_t feed_alignment = 256;

int64_t aligned(int64_t bytes) {
  return (bytes + feed_alignment - 1) / feed_alignment * feed_alignment;
}

/// Bytes of all feeds, or of all outputs, of one slot.
int64_t block_bytes(const Program& program, Place place) {
  int64_t bytes = 0;
  for (const Buffer& buffer : program.buffers)
    if (buffer.place == place && buffer.alias < 0)
      bytes += aligned(buffer.bytes);
  return bytes;
}

/// UserError at the plan's line when it is for another kind of device.
void check_target(const Plan& plan, const std::filesystem::path& folder, const Device& device) {
  if (device.runs(parse_target(plan.target)))
    return;
  std::filesystem::path file = folder / "plan.json";
  auto source = std::make_shared<SourceFile>(SourceFile{file.string(), read_file(file)});
  size_t at = std::min(source->text.find("\"target\""), source->text.size());
  size_t line_start = source->text.rfind('\n', at) + 1; // 0 in the first line
  int line =
      1 + static_cast<int>(std::count(
              source->text.begin(), source->text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  Diagnostics diagnostics;
  diagnostics
      .error({source, line, static_cast<int>(at - line_start) + 1},
             fmt::format("the plan is for `{}`, `{}` ({}) runs `{}`", plan.target, device.name(),
                         device.description(), device.target().str()))
      .note("choose another device with `--device`, or compile the network again for this one");
  diagnostics.throw_if_errors();
}

/// Memory of feeds or outputs: on the device, and where the host reads and writes it.
struct Block {
  DeviceMemory device;
  DeviceMemory host; ///< None where the host sees the device.

  Block(Device& owner, int64_t bytes, const std::string& use)
      : device(owner.allocate(bytes, use)),
        host(owner.host_visible() ? DeviceMemory() : owner.allocate_host(bytes)) {}
  std::byte* host_data() const { return host.data() ? host.data() : device.data(); }
  std::vector<Transfer> transfers() const {
    if (!host.data())
      return {};
    return {{host.data(), device.data(), device.size()}};
  }
};

} // namespace

/// One of the sets of feeds and outputs of a program, which is bound once for each.
struct Session::Slot {
  Block feeds, outputs;
  std::map<std::string, std::span<std::byte>> named_feeds,
      named_outputs; ///< As the host sees them.
  std::unique_ptr<DeviceProgram> bound;
};

struct Session::Loaded {
  std::vector<Slot> slots; ///< Runs take them in turn.
  int64_t started = 0;
  int64_t finished = 0;
  std::vector<StepTime> times;

  Slot& slot(int64_t run) { return slots[static_cast<size_t>(run) % slots.size()]; }
  int64_t running() const { return started - finished; }
  /// One slot is kept free, so that the outputs of a run outlive the preparation of the next one.
  bool full() const {
    return running() >= std::max<int64_t>(1, static_cast<int64_t>(slots.size()) - 1);
  }
};

Session::Session(const Plan& plan, const std::filesystem::path& folder, const DeviceSpec& device)
    : Session(plan, folder, open_device(device)) {}

Session::Session(const Plan& plan, const std::filesystem::path& folder,
                 std::unique_ptr<Device> device)
    : plan_(plan), device_(std::move(device)) {
  check_target(plan_, folder, *device_);
  device_->load(plan_, folder);
  check_room();
  int64_t arena = 0;
  for (const Program& program : plan_.programs)
    arena = std::max(arena, program.arena_bytes);
  arena_ = device_->allocate(arena, "the arena");
  for (const StateInit& state : plan_.state)
    state_[state.name] = device_->allocate(state.type.bytes(), fmt::format("`{}`", state.name));
  for (const Program& program : plan_.programs)
    bind(program);
}

Session::~Session() {
  try {
    device_->synchronize(); // runs that nobody waits for use what now goes
  } catch (const std::exception&) {
    // The device failed, and who used the session has been told.
  }
}

/// All at once, before the first allocation: the user learns what the whole plan needs.
void Session::check_room() const {
  int64_t bytes = 0;
  for (const Program& program : plan_.programs)
    bytes = std::max(bytes, program.arena_bytes);
  for (const StateInit& state : plan_.state)
    bytes += state.type.bytes();
  for (const Program& program : plan_.programs)
    bytes += device_->slots() *
             (block_bytes(program, Place::feed) + block_bytes(program, Place::output));
  device_->check_room(
      bytes, fmt::format("the plan of `{}` for batches of {}", plan_.network, plan_.batch));
}

void Session::bind(const Program& program) {
  auto loaded = std::make_unique<Loaded>();
  for (int i = 0; i < device_->slots(); ++i)
    loaded->slots.push_back(bind_slot(program));
  for (const Step& step : program.steps)
    loaded->times.push_back({step.label, 0});
  programs_[program.name] = std::move(loaded);
}

Session::Slot Session::bind_slot(const Program& program) {
  Slot slot{{*device_, block_bytes(program, Place::feed), "the feeds"},
            {*device_, block_bytes(program, Place::output), "the outputs"},
            {},
            {},
            nullptr};
  int64_t feed = 0, output = 0;
  auto place_in = [](const Block& block, int64_t& end, const Buffer& buffer, auto& named) {
    named[buffer.name] = {block.host_data() + end, static_cast<size_t>(buffer.bytes)};
    std::byte* address = block.device.data() + end;
    end += aligned(buffer.bytes);
    return address;
  };
  Binding binding;
  for (const Buffer& buffer : program.buffers) {
    void* address = nullptr;
    if (buffer.alias >= 0) {
      address = binding.addresses[static_cast<size_t>(buffer.alias)];
    } else if (buffer.place == Place::state) {
      auto it = state_.find(buffer.name);
      NETC_CHECK(it != state_.end(), "program `{}` uses unknown state `{}`", program.name,
                 buffer.name);
      address = it->second.data();
    } else if (buffer.place == Place::arena) {
      address = arena_.data() + buffer.offset;
    } else if (buffer.place == Place::feed) {
      address = place_in(slot.feeds, feed, buffer, slot.named_feeds);
    } else {
      address = place_in(slot.outputs, output, buffer, slot.named_outputs);
    }
    binding.addresses.push_back(address);
  }
  binding.program = &program;
  binding.feeds = slot.feeds.transfers();
  binding.outputs = slot.outputs.transfers();
  slot.bound = device_->bind(std::move(binding));
  return slot;
}

int64_t Session::peak_bytes() const {
  return device_->host_visible() ? peak_resident_bytes() : device_->memory_in_use();
}

void Session::initialize(uint64_t seed) {
  for (const StateInit& state : plan_.state)
    write_state(state.name,
                [&](std::span<float> values) { initialize_state(state, seed, values); });
}

StateValues Session::state(const std::string& name) {
  auto it = state_.find(name);
  NETC_CHECK(it != state_.end(), "no state `{}`", name);
  const DeviceMemory& memory = it->second;
  size_t count = static_cast<size_t>(memory.size()) / sizeof(float);
  if (device_->host_visible()) {
    device_->synchronize();
    return {{reinterpret_cast<const float*>(memory.data()), count}, {}};
  }
  std::vector<float> copy(count);
  device_->read(copy.data(), memory.data(), memory.size());
  return {{}, std::move(copy)};
}

void Session::write_state(const std::string& name,
                          const std::function<void(std::span<float>)>& fill) {
  auto it = state_.find(name);
  NETC_CHECK(it != state_.end(), "no state `{}`", name);
  const DeviceMemory& memory = it->second;
  size_t count = static_cast<size_t>(memory.size()) / sizeof(float);
  if (device_->host_visible()) {
    device_->synchronize();
    return fill({reinterpret_cast<float*>(memory.data()), count});
  }
  std::vector<float> values(count);
  fill(values);
  device_->write(memory.data(), values.data(), memory.size());
}

std::span<std::byte> Session::feed(const std::string& program, const std::string& name) {
  Loaded& loaded = *programs_.at(program);
  NETC_CHECK(!loaded.full(), "the feeds of `{}` are written while a run reads them", program);
  auto& named = loaded.slot(loaded.started).named_feeds;
  auto it = named.find(name);
  return it == named.end() ? std::span<std::byte>{} : it->second;
}

std::span<const std::byte> Session::output(const std::string& program,
                                           const std::string& name) const {
  Loaded& loaded = *programs_.at(program);
  auto& named = loaded.slot(std::max<int64_t>(loaded.finished - 1, 0)).named_outputs;
  auto it = named.find(name);
  return it == named.end() ? std::span<std::byte>{} : it->second;
}

void Session::start(const std::string& program) {
  Loaded& loaded = *programs_.at(program);
  NETC_CHECK(!loaded.full(), "`{}` is started before an earlier run of it is finished", program);
  loaded.slot(loaded.started)
      .bound->start(profiling_ ? std::span<StepTime>(loaded.times) : std::span<StepTime>());
  ++loaded.started;
}

void Session::finish(const std::string& program) {
  Loaded& loaded = *programs_.at(program);
  NETC_CHECK(loaded.running() > 0, "no run of `{}` was started", program);
  loaded.slot(loaded.finished).bound->wait();
  ++loaded.finished;
}

int Session::running(const std::string& program) const {
  return static_cast<int>(programs_.at(program)->running());
}

bool Session::full(const std::string& program) const {
  return programs_.at(program)->full();
}

bool Session::idle(const std::string& program) {
  Loaded& loaded = *programs_.at(program);
  return loaded.running() == 0 || loaded.slot(loaded.started - 1).bound->done();
}

const std::vector<StepTime>& Session::times(const std::string& program) const {
  return programs_.at(program)->times;
}

void Session::poison(std::byte value) {
  std::vector<std::byte> bytes;
  auto fill = [&](const DeviceMemory& memory) {
    bytes.assign(static_cast<size_t>(memory.size()), value);
    device_->write(memory.data(), bytes.data(), memory.size());
  };
  fill(arena_);
  for (auto& [name, loaded] : programs_)
    for (Slot& slot : loaded->slots)
      fill(slot.outputs.device);
}

} // namespace netc
