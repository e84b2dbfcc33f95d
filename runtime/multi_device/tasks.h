#pragma once
// What devices do in a run, and what must come before what.

#include "ir/program.h"
#include "runtime/multi_device/exchange_work.h"

#include <cstddef>

namespace netc {

/// A task of a device: it names a place in that device's list.
struct TaskRef {
  int device = 0;
  int task = 0;
};

/// What a device does without being able to stop in between. A kernel is one task; an exchange is
/// up to three.
struct Task {
  enum class Kind {
    kernel, ///< Runs the kernel of a step.
    post,   ///< Lets others have the source of an exchange.
    pull,   ///< ExchangeWork::pull.
    settle, ///< ExchangeWork::settle.
  };
  Kind kind = Kind::kernel;
  int step = 0;                 ///< Of the device's program.
  bool last = false;            ///< No other task of the step follows.
  std::vector<int> then{};      ///< Later tasks of the device that wait for this one.
  int waits = 0;                ///< How many earlier tasks of the device this one waits for.
  std::vector<TaskRef> peers{}; ///< Tasks of other devices that it waits for.
  bool is_awaited = false;      ///< Whether other devices wait for it.
};

/// A program and where its buffers lie on its device.
struct PlacedProgram {
  const Program* program = nullptr;
  std::vector<std::byte*> addresses; ///< By index of the buffer.
};

/// The tasks of each device, in an order in which they may run; `works` by exchange and device.
///
/// Within a device a task waits for those before it that write what it reads, or read or write what
/// it writes, wherever memory is shared. Across devices a pull waits for what it reads to be
/// posted, a settling for what others pull, and whoever writes memory that others still read waits
/// for them. All devices have the exchanges in one order, so these waits form no circle.
std::vector<std::vector<Task>> tasks_of(const std::vector<PlacedProgram>& programs,
                                        const std::vector<std::vector<ExchangeWork>>& works);

} // namespace netc
