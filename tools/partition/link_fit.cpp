#include "tools/partition/link_fit.h"

#include "ir/support/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace netc {

namespace {

/// A sample under one model of the link: local + messages * latency + bytes / bandwidth, which
/// should be 1, the measured time.
struct Equation {
  double local, messages, bytes;
};

/// As exchange_seconds() has it; the device that takes longest is the one with most of everything.
Equation equation(const LinkSample& sample, const LinkProfile& model,
                  const MachineProfile& machine) {
  MachineProfile free = machine;
  free.link.latency_seconds = 0;
  Equation sum{0, 0, 0};
  for (const Traffic& traffic : sample.exchanges) {
    Equation most{0, 0, 0};
    for (int device = 0; device < traffic.devices(); ++device) {
      most.local = std::max(most.local, setup_seconds(traffic, device, free));
      most.messages =
          std::max<double>(most.messages, traffic.messages[static_cast<size_t>(device)]);
      most.bytes = std::max(most.bytes, static_cast<double>(link_bytes(traffic, device, model)));
    }
    sum = {sum.local + most.local, sum.messages + most.messages, sum.bytes + most.bytes};
  }
  return {sum.local / sample.seconds, sum.messages / sample.seconds, sum.bytes / sample.seconds};
}

/// A latency and the seconds of a byte, and how far off they are.
struct Line {
  double latency = 0, per_byte = 0;
  double error = std::numeric_limits<double>::infinity();
};

double error_of(const std::vector<Equation>& equations, double latency, double per_byte) {
  double error = 0;
  for (const Equation& e : equations)
    error += std::abs(e.local + e.messages * latency + e.bytes * per_byte - 1);
  return error;
}

/// The best line; it goes through two of the samples, or through one where the latency is 0.
Line best_line(const std::vector<Equation>& equations) {
  Line best;
  auto consider = [&](double latency, double per_byte) {
    if (!(latency >= 0) || !(per_byte > 0) || !std::isfinite(latency) || !std::isfinite(per_byte))
      return;
    if (const double error = error_of(equations, latency, per_byte); error < best.error)
      best = {latency, per_byte, error};
  };
  for (size_t i = 0; i < equations.size(); ++i) {
    const Equation& a = equations[i];
    consider(0, (1 - a.local) / a.bytes);
    for (size_t j = 0; j < i; ++j) {
      const Equation& b = equations[j];
      const double determinant = a.messages * b.bytes - b.messages * a.bytes;
      consider(((1 - a.local) * b.bytes - (1 - b.local) * a.bytes) / determinant,
               (a.messages * (1 - b.local) - b.messages * (1 - a.local)) / determinant);
    }
  }
  return best;
}

} // namespace

LinkProfile fit_link(const std::vector<LinkSample>& samples, const MachineProfile& machine) {
  LinkProfile link;
  Line best;
  for (const LinkProfile& model : {LinkProfile{.full_duplex = true, .shared = false},
                                   LinkProfile{.full_duplex = false, .shared = false},
                                   LinkProfile{.full_duplex = true, .shared = true}}) {
    std::vector<Equation> equations;
    for (const LinkSample& sample : samples)
      equations.push_back(equation(sample, model, machine));
    const Line line = best_line(equations);
    if (line.error < best.error) {
      best = line;
      link = model;
    }
  }
  if (!std::isfinite(best.error))
    throw RuntimeError("no latency and bandwidth fit the times of exchanges",
                       "is the machine busy with something else? `--seconds` measures longer");
  link.latency_seconds = best.latency;
  link.bytes_per_second = 1 / best.per_byte;
  return link;
}

double predicted_seconds(const LinkSample& sample, const MachineProfile& machine) {
  double seconds = 0;
  for (const Traffic& traffic : sample.exchanges)
    seconds += exchange_seconds(traffic, machine);
  return seconds;
}

double link_error(const std::vector<LinkSample>& samples, const MachineProfile& machine) {
  double error = 0;
  for (const LinkSample& sample : samples)
    error += std::abs(predicted_seconds(sample, machine) / sample.seconds - 1);
  return error / static_cast<double>(samples.size());
}

} // namespace netc
