// GFLOP/s of the CPU contraction templates on AlexNet's layers, beside the machine's peak.
// Compile with the flags of generated kernels; run as: contraction_bench [name part] [ms a row].

#include "codegen/device/cpu/conv2d_weight_gradient.h"
#include "codegen/device/cpu/linear.h"
#include "codegen/device/cpu/linear_gradients.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

using namespace netc;

namespace {

std::string wanted;
double budget_ms = 300;

struct Free {
  void operator()(float* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<float, Free>;

/// Floats on huge pages, as the runtime's arenas.
Buffer make_buffer(long count) {
  const size_t page = size_t(2) << 20;
  const size_t bytes = (size_t(count) * 4 + page) / page * page;
  float* p = static_cast<float*>(std::aligned_alloc(page, bytes));
  madvise(p, bytes, MADV_HUGEPAGE);
  for (long i = 0; i < count; ++i)
    p[i] = float(i % 1013) / 1013 - 0.5f;
  return Buffer(p);
}

struct SpinBarrier {
  std::atomic<int> arrived{0}, round{0};
};
void wait_spinning(const Thread& t) {
  SpinBarrier& b = *static_cast<SpinBarrier*>(t.team);
  const int round = b.round.load();
  if (b.arrived.fetch_add(1) + 1 == t.count) {
    b.arrived = 0;
    ++b.round;
  } else {
    for (int i = 0; b.round.load() == round; ++i)
      if (i > 10000)
        std::this_thread::yield();
  }
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What a call costs: for one thread its CPU time, which other processes disturb less.
double cost_clock(int threads) {
  timespec t;
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

/// Best time of a call of `body` by `threads` threads, within the budget.
double best_seconds(int threads, const std::function<void(const Thread&)>& body) {
  SpinBarrier barrier;
  double best = 1e9;
  std::atomic<bool> stop{false};
  const double end = now() + budget_ms / 1000;
  const auto loop = [&](int index) {
    const Thread t{index, threads, &barrier, wait_spinning};
    for (int i = 0; !stop; ++i) {
      t.barrier();
      const double start = cost_clock(threads);
      body(t);
      t.barrier();
      if (index == 0) {
        best = i > 0 ? std::min(best, cost_clock(threads) - start) : best;
        stop = i > 1 && now() > end;
      }
      t.barrier();
    }
  };
  std::vector<std::jthread> team;
  for (int i = 1; i < threads; ++i)
    team.emplace_back(loop, i);
  loop(0);
  return best;
}

/// Multiply-adds on registers alone.
double peak_gflops(int threads) {
  constexpr int sums = 12;
  constexpr long rounds = 1000000;
  static float sink[64];
  const double s = best_seconds(threads, [&](const Thread& t) {
    Vector sum[sums];
    for (int k = 0; k < sums; ++k)
      sum[k] = Vector{} + float(k); // Different, or the compiler keeps one of them.
    Vector a = load(sink), b = load(sink + 16);
    for (long i = 0; i < rounds; ++i) {
      unroll<sums>([&](auto k) __attribute__((always_inline)) { sum[k.value] += a * b; });
      asm volatile("" : "+v"(a), "+v"(b)); // Unknown, so nothing is hoisted.
    }
    Vector all{};
    for (const Vector& v : sum)
      all += v;
    if (all[0] == 12345.0f)
      sink[t.index] = all[1];
  });
  return 2.0 * sums * vector_length * rounds * threads / s * 1e-9;
}

double peaks[3];

template <class Body>
void row(const std::string& name, double flops, double bytes, const Body& body) {
  if (name.find(wanted) == std::string::npos)
    return;
  std::printf("%-24s", name.c_str());
  for (int threads : {1, 2}) {
    const double s = best_seconds(threads, body);
    std::printf("  %8.2f ms %7.1f GF/s %3.0f%%", s * 1e3, flops / s * 1e-9,
                100 * flops / s * 1e-9 / peaks[threads]);
    if (bytes > 0)
      std::printf(" %5.1f GB/s", bytes / s * 1e-9);
  }
  std::printf("\n");
  std::fflush(stdout);
}

template <Conv2d c> void conv_rows(const std::string& name) {
  if ((name + " forward data weights").find(wanted) == std::string::npos)
    return;
  const long xs = long(c.batch) * c.in_height * c.in_width * c.in_channels;
  const long ys = long(c.batch) * c.out_height() * c.out_width() * c.out_channels;
  const long ws = long(c.out_channels) * c.group_in() * c.kernel_height * c.kernel_width;
  const double flops = 2.0 * ys * c.group_in() * c.kernel_height * c.kernel_width;
  const Buffer x = make_buffer(xs), y = make_buffer(ys), w = make_buffer(ws);
  const Buffer work = make_buffer(
      max_of(max_of(conv2d_forward_workspace(c, 2), conv2d_data_gradient_workspace(c, 2)),
             conv2d_weight_gradient_workspace(c, 2)) /
      4);
  row(name + " forward", flops, 0, [&](const Thread& t) {
    conv2d_forward<c>(x.get(), w.get(), y.get(), work.get(), NoEpilogue{}, t);
  });
  if (c.in_channels > 3)
    row(name + " data gradient", flops, 0, [&](const Thread& t) {
      if constexpr (c.in_channels > 3)
        conv2d_data_gradient<c>(y.get(), w.get(), x.get(), work.get(), NoEpilogue{}, t);
    });
  row(name + " weight gradient", flops, 0, [&](const Thread& t) {
    conv2d_weight_gradient<c>(x.get(), y.get(), w.get(), work.get(), t);
  });
}

template <Linear l> void linear_rows(const std::string& name) {
  if ((name + " forward data weights").find(wanted) == std::string::npos)
    return;
  const double flops = 2.0 * l.batch * l.in_features * l.out_features;
  const double bytes = 4.0 * l.in_features * l.out_features;
  const Buffer x = make_buffer(long(l.batch) * l.in_features);
  const Buffer w = make_buffer(long(l.in_features) * l.out_features);
  const Buffer y = make_buffer(long(l.batch) * l.out_features);
  const Buffer work = make_buffer(
      max_of(max_of(linear_forward_workspace(l, 2), linear_data_gradient_workspace(l, 2)),
             linear_weight_gradient_workspace(l, 2)) /
      4);
  if constexpr (l.batch < 8)
    row(name + " forward dot", flops, bytes, [&](const Thread& t) {
      linear_forward_dot<l>(x.get(), w.get(), y.get(), nullptr, NoEpilogue{}, t);
    });
  row(name + " forward", flops, bytes, [&](const Thread& t) {
    linear_forward<l>(x.get(), w.get(), y.get(), work.get(), NoEpilogue{}, t);
  });
  if constexpr (l.batch >= 8) {
    row(name + " data gradient", flops, bytes, [&](const Thread& t) {
      linear_data_gradient<l>(y.get(), w.get(), x.get(), work.get(), NoEpilogue{}, t);
    });
    row(name + " weight gradient", flops, bytes, [&](const Thread& t) {
      linear_weight_gradient<l>(x.get(), y.get(), w.get(), work.get(), t);
    });
  }
}

constexpr Conv2d square(int batch, int size, int in, int out, int kernel, int stride, int pad,
                        int groups) {
  return {batch,  size,   size, in, out, kernel, kernel, groups,
          stride, stride, 1,    1,  pad, pad,    pad,    pad};
}

} // namespace

int main(int argc, char** argv) {
  wanted = argc > 1 ? argv[1] : "";
  budget_ms = argc > 2 ? std::atof(argv[2]) : budget_ms;
  peaks[1] = peak_gflops(1), peaks[2] = peak_gflops(2);
  std::printf("vectors of %d; peak %.1f GF/s with 1 thread, %.1f with 2\n", vector_length, peaks[1],
              peaks[2]);
  constexpr int batch = 64;
  conv_rows<square(batch, 227, 3, 96, 11, 4, 0, 1)>("conv1");
  conv_rows<square(batch, 27, 96, 256, 5, 1, 2, 2)>("conv2");
  conv_rows<square(batch, 13, 256, 384, 3, 1, 1, 1)>("conv3");
  conv_rows<square(batch, 13, 384, 384, 3, 1, 1, 2)>("conv4");
  conv_rows<square(batch, 13, 384, 256, 3, 1, 1, 2)>("conv5");
  linear_rows<Linear{batch, 9216, 4096}>("fc6");
  linear_rows<Linear{batch, 4096, 4096}>("fc7");
  linear_rows<Linear{batch, 4096, 1000}>("fc8");
  linear_rows<Linear{2 * batch, 9216, 4096}>("fc6 batch 128");
  linear_rows<Linear{1, 9216, 4096}>("fc6 batch 1");
}
