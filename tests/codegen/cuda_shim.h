#pragma once
// Stands in for CUDA on the host, so that the text of codegen/device/cuda compiles with the
// system's compiler: to be included before it. Blocks run one after the other, the threads of a
// block as fibres that change at barriers only, in a chosen order: a missing barrier gives a wrong
// result in one order or the other.

#include <gtest/gtest.h>

#include <math.h>
#include <ucontext.h>

#include <functional>
#include <memory>
#include <vector>

namespace netc {

/// Where the dynamic shared memory of kernel.h is.
inline constexpr int shared_capacity = 1 << 18;
alignas(16) inline unsigned char shared_bytes[shared_capacity];

/// How a kernel is started.
struct Launch {
  unsigned blocks, threads;
  bool backwards = false; ///< Threads run from the last to the first.
};

struct CudaIndex {
  unsigned x = 0;
};

} // namespace netc

#define __shared__
#define __global__
#define __align__(bytes) __attribute__((aligned(bytes)))
inline netc::CudaIndex blockIdx, gridDim, threadIdx, blockDim;

namespace netc {

/// The threads of a block.
class FibreBlock {
public:
  FibreBlock(const Launch& launch, const std::function<void()>& kernel)
      : launch_(launch), kernel_(kernel), fibres_(launch.threads),
        stacks_(new char[launch.threads * stack_bytes]) {}

  void run() {
    running_ = this;
    for (unsigned t = 0; t < launch_.threads; ++t) {
      Fibre& fibre = fibres_[t];
      getcontext(&fibre.context);
      fibre.context.uc_stack.ss_sp = stacks_.get() + t * stack_bytes;
      fibre.context.uc_stack.ss_size = stack_bytes;
      fibre.context.uc_link = &scheduler_;
      makecontext(
          &fibre.context, [] { running_->start(); }, 0);
    }
    while (run_to_barrier())
      ;
  }

  /// Called by a fibre: lets the others run until they arrive, too.
  static void barrier() { swapcontext(&running_->current().context, &running_->scheduler_); }

private:
  struct Fibre {
    ucontext_t context;
    bool finished = false;
  };
  static constexpr size_t stack_bytes = 1 << 17;

  Fibre& current() { return fibres_[threadIdx.x]; }
  void start() {
    kernel_();
    current().finished = true;
  }
  /// Runs each fibre to its next barrier or its end; true when they stand at a barrier.
  bool run_to_barrier() {
    unsigned finished = 0;
    for (unsigned i = 0; i < launch_.threads; ++i) {
      threadIdx.x = launch_.backwards ? launch_.threads - 1 - i : i;
      swapcontext(&scheduler_, &current().context);
      finished += current().finished;
    }
    if (finished > 0 && finished < launch_.threads)
      ADD_FAILURE() << finished << " of " << launch_.threads << " threads miss a barrier";
    return finished == 0;
  }

  inline static FibreBlock* running_ = nullptr;
  Launch launch_;
  const std::function<void()>& kernel_;
  std::vector<Fibre> fibres_;
  std::unique_ptr<char[]> stacks_;
  ucontext_t scheduler_;
};

/// Runs `kernel` as a grid.
inline void launch_on_host(const Launch& launch, const std::function<void()>& kernel) {
  gridDim.x = launch.blocks;
  blockDim.x = launch.threads;
  for (blockIdx.x = 0; blockIdx.x < launch.blocks; ++blockIdx.x)
    FibreBlock(launch, kernel).run();
}

} // namespace netc

inline void __syncthreads() {
  netc::FibreBlock::barrier();
}
