#pragma once
// Who acts next, where cores are interleaved in time (cpu/interleaver.h).

namespace kpksim::cpu {

class Core;

class Turns {
 public:
  virtual ~Turns() = default;
  // `core` is about to do what others could see, or to see what others do: those whose clocks are
  // behind its own act first.
  virtual void turn(Core& core) = 0;
};

}  // namespace kpksim::cpu
