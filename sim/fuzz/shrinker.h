#pragma once
// Makes a program that fails as small as it gets without another failure taking its place: first
// what the machine has, then whole tasks and regions, operations (delta debugging, Zeller and
// Hildebrandt 2002), and what operations say beyond what they must.

#include <cstdint>
#include <functional>
#include <string>

#include "sim/fuzz/trial.h"

namespace kpksim::fuzz {

struct Shrunk {
  Program program;
  Failure failure;           // of that program
  std::uint64_t trials = 0;  // programs that were run for it
  std::uint64_t events = 0;  // of these
};

// When a program is small enough. Counts, and no clocks, so that what is left is the same
// everywhere.
struct Patience {
  std::uint64_t trials = 1000;         // programs that are run
  std::uint64_t events = 100'000'000;  // of all of them
  // Called with the number of trials so far.
  std::function<void(std::uint64_t)> tried = [](std::uint64_t) {};
};

// `failure` is one of `program`, which had so many events. A program with far more of them is none
// that is smaller, and is not run to its end.
Shrunk shrink(const Program& program, const Failure& failure, std::uint64_t events,
              const Place& place, const Machine& machine, const Patience& patience = {});

}  // namespace kpksim::fuzz
