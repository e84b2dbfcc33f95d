#include "runtime/emu/emulator.h"

#include "runtime/emu/block.h"

namespace netc {

Emulator::Emulator() : block_(std::make_unique<EmulatedBlock>()) {}
Emulator::~Emulator() = default;

void Emulator::launch(const EmulatorLaunch& launch) {
  block_->run(launch);
}

} // namespace netc
