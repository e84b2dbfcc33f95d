#include "runtime/multi_device/host_side.h"

namespace netc {

namespace {

constexpr Thread alone{0, 1, nullptr, nullptr};

bool is_own(const Buffer& buffer, Place place) {
  return buffer.place == place && buffer.alias < 0;
}

/// Bytes of all of the tensor of which the buffer is a part, with what a buffer has behind its
/// elements.
int64_t whole_bytes(const Buffer& buffer) {
  return element_count(buffer.whole_shape()) * byte_size(buffer.type.dtype) + buffer.bytes -
         buffer.type.bytes();
}

int64_t element_bytes(const Buffer& buffer) {
  return byte_size(buffer.type.dtype);
}

/// A box without ranges would be empty: a number is a vector of one.
Box box_of(const Shape& shape) {
  return shape.empty() ? Box{{0, 1}} : whole_box(shape);
}
Box box_of(const Buffer& buffer) {
  return buffer.part.empty() ? box_of(buffer.type.shape) : buffer.part;
}

} // namespace

HostSide::HostSide(std::vector<LoadedDevice>& devices, const std::vector<const Program*>& programs)
    : devices_(devices), parts_(devices.size()) {
  Device& first = *devices.front().device;
  for (const Program* program : programs)
    for (const Buffer& buffer : program->buffers)
      if (is_own(buffer, Place::feed) && !feeds.count(buffer.name)) {
        whole_.push_back(first.allocate_host(whole_bytes(buffer)));
        feeds[buffer.name] = {whole_.back().data(), static_cast<size_t>(whole_bytes(buffer))};
        whole_feeds_[buffer.name] = {whole_.back().data(), box_of(buffer.whole_shape()),
                                     buffer.layout};
      }
  for (size_t i = 0; i < programs.size(); ++i)
    for (const Buffer& buffer : programs[i]->buffers)
      if (is_own(buffer, Place::output) && buffer.type.shape == buffer.whole_shape())
        givers_.try_emplace(buffer.name, i);
  for (size_t i = 0; i < programs.size(); ++i) {
    addresses_.emplace_back(programs[i]->buffers.size());
    place_feeds(i, *programs[i]);
    place_outputs(i, *programs[i]);
  }
}

/// The device's part within the whole feed, if the device may read it there; else null.
std::byte* HostSide::lend(const BoxView& whole, const Buffer& buffer, size_t device) const {
  if (!devices_[device].device->host_visible())
    return nullptr;
  const BoxView packed{whole.data, box_of(buffer), buffer.layout};
  const BoxLoop loop(box_of(buffer), {whole, packed}, element_bytes(buffer));
  const bool aligned = (loop.base(0) - whole.data) % feed_alignment == 0;
  return loop.one_row() && aligned ? loop.base(0) : nullptr;
}

std::byte* HostSide::seen(size_t device, std::byte* on_device, int64_t bytes) {
  Device& owner = *devices_[device].device;
  if (owner.host_visible())
    return on_device;
  parts_[device].staging.push_back(owner.allocate_host(bytes));
  return parts_[device].staging.back().data();
}

void HostSide::place_feeds(size_t device, const Program& program) {
  Parts& parts = parts_[device];
  int64_t end = 0;
  for (const Buffer& buffer : program.buffers)
    if (is_own(buffer, Place::feed) && !lend(whole_feeds_.at(buffer.name), buffer, device))
      end += feed_aligned(buffer.bytes);
  parts.feeds = devices_[device].device->allocate(end, "the feeds");
  end = 0;
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const Buffer& buffer = program.buffers[i];
    if (!is_own(buffer, Place::feed))
      continue;
    const BoxView& whole = whole_feeds_.at(buffer.name);
    std::byte*& address = addresses_[device][i];
    address = lend(whole, buffer, device);
    if (address) {
      parts.lent += feed_aligned(buffer.bytes);
      continue;
    }
    address = parts.feeds.data() + end;
    end += feed_aligned(buffer.bytes);
    const BoxView part{seen(device, address, buffer.bytes), box_of(buffer), buffer.layout};
    parts.copies.emplace_back(part.box, part, whole, element_bytes(buffer));
    if (part.data != address)
      parts.uploads.push_back({part.data, address, buffer.type.bytes()});
  }
}

void HostSide::place_outputs(size_t device, const Program& program) {
  Parts& parts = parts_[device];
  parts.outputs =
      devices_[device].device->allocate(block_bytes(program, Place::output), "the outputs");
  int64_t end = 0;
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const Buffer& buffer = program.buffers[i];
    if (!is_own(buffer, Place::output))
      continue;
    std::byte* address = addresses_[device][i] = parts.outputs.data() + end;
    end += feed_aligned(buffer.bytes);
    auto giver = givers_.find(buffer.name);
    if (giver != givers_.end() && giver->second != device)
      continue; // another one has all of it
    const BoxView part{seen(device, address, buffer.bytes), box_of(buffer), buffer.layout};
    if (part.data != address)
      parts.downloads.push_back({part.data, address, buffer.bytes});
    std::span<std::byte>& output = outputs[buffer.name];
    if (giver != givers_.end()) {
      output = {part.data, static_cast<size_t>(buffer.bytes)};
      continue;
    }
    if (output.empty()) {
      whole_.push_back(devices_.front().device->allocate_host(whole_bytes(buffer)));
      output = {whole_.back().data(), static_cast<size_t>(whole_bytes(buffer))};
    }
    const BoxView whole{output.data(), box_of(buffer.whole), buffer.layout};
    assembling_.emplace_back(part.box, whole, part, element_bytes(buffer));
  }
}

void HostSide::gather(size_t device, const Thread& thread) const {
  for (const BoxCopy& copy : parts_[device].copies)
    copy.run(thread);
}

void HostSide::upload(size_t device) const {
  for (const Transfer& feed : parts_[device].uploads)
    devices_[device].device->write(feed.device, feed.host, feed.bytes);
}

void HostSide::download(size_t device) const {
  for (const Transfer& output : parts_[device].downloads)
    devices_[device].device->read(output.host, output.device, output.bytes);
}

void HostSide::assemble() const {
  for (const BoxCopy& copy : assembling_)
    copy.run(alone);
}

void HostSide::poison(std::byte value) const {
  for (size_t i = 0; i < parts_.size(); ++i)
    fill_memory(*devices_[i].device, parts_[i].outputs, value);
}

} // namespace netc
