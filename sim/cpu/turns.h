#pragma once
// Who acts next, where cores are interleaved in time (cpu/interleaver.h).

#include <cstdint>

namespace kpksim::cpu {

class Core;

// Who could see what a core does next, or do what it would see.
enum class Seen : std::uint8_t {
  kByAll,           // any core
  kByAddressSpace,  // those that run the same address space, and nobody if there are none
};

class Turns {
 public:
  virtual ~Turns() = default;
  // `core` is about to do what others could see, or to see what others do: those whose clocks are
  // behind its own act first.
  virtual void turn(Core& core, Seen by) = 0;
};

}  // namespace kpksim::cpu
