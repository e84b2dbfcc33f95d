#include "runtime/session.h"

#include "ir/support/diagnostics.h"
#include "runtime/atomic_file.h"
#include "runtime/byte_text.h"
#include "runtime/devices.h"
#include "runtime/initialize.h"
#include "runtime/memory.h"
#include "runtime/multi_device/devices_run.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace netc {

namespace {

/// `cpu:0`, `cpu:1`, in backticks.
std::string names_of(const std::vector<LoadedDevice>& devices) {
  std::vector<std::string> names;
  for (const LoadedDevice& loaded : devices)
    names.push_back(fmt::format("`{}`", loaded.device->name()));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<std::unique_ptr<Device>> open_devices(const std::vector<DeviceSpec>& specs) {
  std::vector<std::unique_ptr<Device>> devices;
  for (const DeviceSpec& spec : specs)
    devices.push_back(open_device(spec));
  return devices;
}

std::vector<std::unique_ptr<Device>> one(std::unique_ptr<Device> device) {
  std::vector<std::unique_ptr<Device>> devices;
  devices.push_back(std::move(device));
  return devices;
}

/// Whether steps run one by one, over several devices: always where a plan has exchanges.
bool runs_in_steps(const Plan& plan) {
  return plan.devices > 1 || std::any_of(plan.programs.begin(), plan.programs.end(),
                                         [](const Program& p) { return !p.exchanges.empty(); });
}

/// Whether what runs is more than the cores: who waits then sleeps at once.
bool is_crowded(size_t devices, int threads) {
  return devices * static_cast<size_t>(threads) > usable_cores().size();
}

} // namespace

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
      .note("choose another device with `--device`, or compile the network again for this one" +
            std::string(device.target().kind == Target::Kind::emu ? " (`--target emu:ARCH` has the "
                                                                    "text for any GPU)"
                                                                  : ""));
  diagnostics.throw_if_errors();
}

struct Session::Loaded {
  std::vector<std::unique_ptr<Slot>> slots; ///< Runs take them in turn.
  int64_t started = 0;
  int64_t finished = 0;
  std::vector<StepTime> times;   ///< Of all devices, one after the other,
  std::vector<size_t> firsts{0}; ///< and where those of each begin; the end behind.

  Slot& slot(int64_t run) { return *slots[static_cast<size_t>(run) % slots.size()]; }
  int64_t running() const { return started - finished; }
  /// One slot is kept free, so that the outputs of a run outlive the preparation of the next one.
  bool full() const {
    return running() >= std::max<int64_t>(1, static_cast<int64_t>(slots.size()) - 1);
  }
};

Session::Session(const Plan& plan, const std::filesystem::path& folder, const DeviceSpec& device)
    : Session(plan, folder, open_device(device)) {}

Session::Session(const Plan& plan, const std::filesystem::path& folder,
                 std::vector<DeviceSpec> devices)
    : Session(plan, folder, open_devices(share_cores(std::move(devices), plan.threads))) {}

Session::Session(const Plan& plan, const std::filesystem::path& folder,
                 std::unique_ptr<Device> device)
    : Session(plan, folder, one(std::move(device))) {}

Session::Session(const Plan& plan, const std::filesystem::path& folder,
                 std::vector<std::unique_ptr<Device>> devices)
    : plan_(plan) {
  for (std::unique_ptr<Device>& device : devices)
    devices_.push_back({std::move(device), {}, {}});
  load(folder);
}

void Session::load(const std::filesystem::path& folder) {
  check_programs(folder);
  for (size_t i = 0; i < devices_.size(); ++i) {
    check_target(plan_, folder, *devices_[i].device);
    devices_[i].device->load(plan_, folder);
    check_room(i);
  }
  for (size_t i = 0; i < devices_.size(); ++i)
    allocate(devices_[i], DeviceNeeds(plan_, static_cast<int>(i)));
  if (runs_in_steps(plan_))
    drivers_ = std::make_unique<ThreadTeam>(
        device_count(), std::vector<int>{},
        is_crowded(devices_.size(), plan_.threads) ? 0 : patient_polls);
  for (const std::string& program : plan_.program_names())
    bind(program);
}

Session::~Session() {
  try {
    synchronize(); // runs that nobody waits for use what now goes
  } catch (const std::exception&) {
    // The device failed, and who used the session has been told.
  }
}

/// Before anything is loaded: whether there are as many devices as the plan is for, and whether
/// their programs fit together.
void Session::check_programs(const std::filesystem::path& folder) const {
  if (static_cast<int>(devices_.size()) != plan_.devices)
    user_error(fmt::format("the plan `{}` is for {} device{}, not for {} ({})", folder.string(),
                           plan_.devices, plan_.devices == 1 ? "" : "s", devices_.size(),
                           names_of(devices_)),
               "choose as many with `--devices`, or compile the network again for these");
  if (!runs_in_steps(plan_))
    return;
  for (const std::string& name : plan_.program_names()) {
    std::vector<const Program*> programs = plan_.device_programs(name);
    if (static_cast<int>(programs.size()) != plan_.devices)
      throw RuntimeError(fmt::format("the plan has `{}` for {} of {} devices", name,
                                     programs.size(), plan_.devices),
                         "compile the network again");
    check_exchanges(programs);
  }
}

int64_t Session::needed_bytes(size_t device) const {
  const DeviceNeeds needs(plan_, static_cast<int>(device));
  int64_t bytes = needs.bytes();
  for (const Program* program : needs.programs)
    bytes += (runs_in_steps(plan_) ? 1 : devices_[device].device->slots()) *
             (block_bytes(*program, Place::feed) + block_bytes(*program, Place::output));
  return bytes;
}

/// All at once, before the first allocation: the user learns what the whole plan needs.
void Session::check_room(size_t device) const {
  try {
    devices_[device].device->check_room(
        needed_bytes(device),
        fmt::format("the plan of `{}` for batches of {}", plan_.network, plan_.batch));
  } catch (const RuntimeError& error) {
    if (devices_.size() == 1)
      throw;
    std::string needs;
    for (size_t i = 0; i < devices_.size(); ++i)
      needs += fmt::format("{}{} on `{}`", i ? ", " : "", byte_text(needed_bytes(i)),
                           devices_[i].device->name());
    throw RuntimeError(error.what(),
                       fmt::format("the devices need {}; another strategy (`--partition`) may need "
                                   "less of each; {}",
                                   needs, error.hint()));
  }
}

void Session::bind(const std::string& name) {
  auto loaded = std::make_unique<Loaded>();
  const std::vector<const Program*> programs = plan_.device_programs(name);
  if (drivers_)
    loaded->slots.push_back(
        devices_slot(devices_, programs, *drivers_, hook_,
                     is_crowded(devices_.size(), plan_.threads) ? 0 : patient_polls));
  else
    for (int i = 0; i < devices_[0].device->slots(); ++i)
      loaded->slots.push_back(one_device_slot(devices_[0], *programs[0]));
  for (const Program* program : programs) {
    for (const Step& step : program->steps)
      loaded->times.push_back({.label = step.label});
    loaded->firsts.push_back(loaded->times.size());
  }
  programs_[name] = std::move(loaded);
}

void Session::synchronize() {
  for (LoadedDevice& loaded : devices_)
    loaded.device->synchronize();
}

int64_t Session::peak_bytes() const {
  if (devices_[0].device->host_visible())
    return peak_resident_bytes();
  int64_t bytes = 0;
  for (const LoadedDevice& loaded : devices_)
    bytes += loaded.device->memory_in_use();
  return bytes;
}

int64_t Session::device_bytes(int device) const {
  const size_t index = static_cast<size_t>(device);
  int64_t bytes = devices_.at(index).device->memory_in_use();
  for (const auto& [name, loaded] : programs_)
    for (const auto& slot : loaded->slots)
      bytes += slot->lent_bytes(index);
  return bytes;
}

std::vector<std::string> Session::notes() const {
  std::vector<std::string> notes;
  for (const LoadedDevice& loaded : devices_)
    for (std::string& note : loaded.device->notes())
      if (std::find(notes.begin(), notes.end(), note) == notes.end())
        notes.push_back(std::move(note));
  return notes;
}

void Session::initialize(uint64_t seed) {
  for (const StateInit& state : plan_.state)
    write_state(state.name,
                [&](std::span<float> values) { initialize_state(state, seed, values); });
}

StateValues Session::state(const std::string& name) {
  synchronize();
  return read_state(devices_, name);
}

void Session::write_state(const std::string& name,
                          const std::function<void(std::span<float>)>& fill) {
  synchronize();
  netc::write_state(devices_, name, fill);
}

std::span<std::byte> Session::feed(const std::string& program, const std::string& name) {
  Loaded& loaded = *programs_.at(program);
  NETC_CHECK(!loaded.full(), "the feeds of `{}` are written while a run reads them", program);
  auto& named = loaded.slot(loaded.started).feeds;
  auto it = named.find(name);
  return it == named.end() ? std::span<std::byte>{} : it->second;
}

std::span<const std::byte> Session::output(const std::string& program,
                                           const std::string& name) const {
  Loaded& loaded = *programs_.at(program);
  auto& named = loaded.slot(std::max<int64_t>(loaded.finished - 1, 0)).outputs;
  auto it = named.find(name);
  return it == named.end() ? std::span<std::byte>{} : it->second;
}

std::span<const std::byte> Session::used_feed(const std::string& program, const std::string& name) {
  Loaded& loaded = *programs_.at(program);
  NETC_CHECK(loaded.finished > 0, "no run of `{}` has used its feeds", program);
  Slot& slot = loaded.slot(loaded.finished - 1);
  slot.fetch_feeds();
  return slot.feeds.at(name);
}

void Session::start(const std::string& program) {
  Loaded& loaded = *programs_.at(program);
  NETC_CHECK(!loaded.full(), "`{}` is started before an earlier run of it is finished", program);
  loaded.slot(loaded.started)
      .start(profiling_ ? std::span<StepTime>(loaded.times) : std::span<StepTime>());
  ++loaded.started;
}

void Session::finish(const std::string& program) {
  Loaded& loaded = *programs_.at(program);
  NETC_CHECK(loaded.running() > 0, "no run of `{}` was started", program);
  loaded.slot(loaded.finished).wait();
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
  return loaded.running() == 0 || loaded.slot(loaded.started - 1).done();
}

std::span<const StepTime> Session::times(const std::string& program, int device) const {
  const Loaded& loaded = *programs_.at(program);
  const size_t first = loaded.firsts.at(static_cast<size_t>(device)),
               end = loaded.firsts.at(static_cast<size_t>(device) + 1);
  return std::span<const StepTime>(loaded.times).subspan(first, end - first);
}

void Session::poison(std::byte value) {
  for (LoadedDevice& loaded : devices_)
    fill_memory(*loaded.device, loaded.arena, value);
  for (auto& [name, loaded] : programs_)
    for (auto& slot : loaded->slots)
      slot->poison(value);
}

} // namespace netc
