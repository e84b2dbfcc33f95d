#include "runtime/slot.h"

namespace netc {

int64_t block_bytes(const Program& program, Place place) {
  int64_t bytes = 0;
  for (const Buffer& buffer : program.buffers)
    if (buffer.place == place && buffer.alias < 0)
      bytes += feed_aligned(buffer.bytes);
  return bytes;
}

void fill_memory(Device& device, const DeviceMemory& memory, std::byte value) {
  if (memory.size() == 0)
    return;
  std::vector<std::byte> bytes(static_cast<size_t>(memory.size()), value);
  device.write(memory.data(), bytes.data(), memory.size());
}

namespace {

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

class OneDeviceSlot : public Slot {
public:
  OneDeviceSlot(LoadedDevice& loaded, const Program& program)
      : device_(*loaded.device), feeds_(device_, block_bytes(program, Place::feed), "the feeds"),
        outputs_(device_, block_bytes(program, Place::output), "the outputs") {
    int64_t feed = 0, output = 0;
    Binding binding;
    for (const Buffer& buffer : program.buffers)
      binding.addresses.push_back(
          buffer.alias >= 0               ? binding.addresses[static_cast<size_t>(buffer.alias)]
          : buffer.place == Place::feed   ? place_in(feeds_, feed, buffer, feeds)
          : buffer.place == Place::output ? place_in(outputs_, output, buffer, outputs)
                                          : loaded.address(buffer));
    binding.program = &program;
    binding.feeds = feeds_.transfers();
    binding.outputs = outputs_.transfers();
    bound_ = device_.bind(std::move(binding));
  }

  void start(std::span<StepTime> times) override { bound_->start(times); }
  void wait() override { bound_->wait(); }
  bool done() override { return bound_->done(); }
  void poison(std::byte value) override { fill_memory(device_, outputs_.device, value); }
  void fetch_feeds() override {
    for (const Transfer& feed : feeds_.transfers())
      device_.read(feed.host, feed.device, feed.bytes);
  }

private:
  static std::byte* place_in(const Block& block, int64_t& end, const Buffer& buffer, auto& named) {
    named[buffer.name] = {block.host_data() + end, static_cast<size_t>(buffer.bytes)};
    std::byte* address = block.device.data() + end;
    end += feed_aligned(buffer.bytes);
    return address;
  }

  Device& device_;
  Block feeds_, outputs_;
  std::unique_ptr<DeviceProgram> bound_;
};

} // namespace

std::unique_ptr<Slot> one_device_slot(LoadedDevice& loaded, const Program& program) {
  return std::make_unique<OneDeviceSlot>(loaded, program);
}

} // namespace netc
