#pragma once
// Sessions over several devices of graphs that are written by hand.

#include "runtime/session.h"
#include "tests/support/device_graphs.h"
#include "tests/support/fake_device.h"

#include <gmock/gmock.h>

#include <cstring>
#include <random>

namespace netc::test {

inline Exchange exchange(std::string name, const Shape& shape, Sharding from, Sharding to,
                         Combine combine = Combine::none) {
  Exchange e;
  e.name = std::move(name);
  e.type.shape = shape;
  e.from = std::move(from);
  e.from.combine = combine;
  e.to = std::move(to);
  return e;
}

inline Plan plan_of(std::vector<Graph> graphs, bool nhwc = false) {
  Plan plan;
  plan.network = "by hand";
  plan.target = "cpu";
  KernelSet kernels;
  add_programs(plan, graphs, "train", nhwc, kernels);
  return plan;
}

inline std::vector<DeviceSpec> specs(int devices) {
  std::vector<DeviceSpec> list;
  for (int i = 0; i < devices; ++i)
    list.push_back({.name = fmt::format("cpu:{}", i)});
  return list;
}

inline std::unique_ptr<Session> open(const Plan& plan, bool fake = false) {
  if (!fake)
    return std::make_unique<Session>(plan, "folder", specs(plan.devices));
  std::vector<std::unique_ptr<Device>> devices;
  for (int i = 0; i < plan.devices; ++i)
    devices.push_back(std::make_unique<FakeDevice>());
  return std::make_unique<Session>(plan, "folder", std::move(devices));
}

inline void fill(Session& session, const std::string& feed, unsigned seed) {
  std::mt19937 random(seed);
  std::span<std::byte> bytes = session.feed("train", feed);
  for (size_t at = 0; at < bytes.size(); at += 4) {
    float x = static_cast<float>(random() % 1000000) / 997.0f;
    std::memcpy(bytes.data() + at, &x, 4);
  }
}

inline std::vector<float> output(const Session& session, const std::string& name) {
  std::span<const float> values = session.output_of<float>("train", name);
  return {values.begin(), values.end()};
}

} // namespace netc::test
