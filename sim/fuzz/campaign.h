#pragma once
// Many random programs in many places, and of what fails one small program for each kind of
// failure. What comes out depends on seed, places and bounds, not on threads or clocks, but for how
// many programs there were if `go_on` ends it.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/fuzz/shrinker.h"

namespace kpksim::fuzz {

struct Campaign {
  std::shared_ptr<Places> places;  // one of them can be used
  Machine machine;
  Bounds bounds;
  std::uint64_t seed = 1;
  std::uint64_t first = 0;     // number of the first program
  std::uint64_t programs = 0;  // how many at most; 0: until `go_on` ends it
  std::uint64_t kinds = 10;    // ends when there are so many kinds of failures
  unsigned jobs = 1;
  // Asked now and then, with the number of programs that are done.
  std::function<bool(std::uint64_t)> go_on = [](std::uint64_t) { return true; };
};

// Where program `number` runs, and the program.
struct Drawn {
  const Place* place = nullptr;
  Program program;
};
Drawn draw(const Campaign& campaign, std::uint64_t number);

struct Found {
  std::string name;            // for its file: "stale-entry-1-17"
  std::uint64_t number = 0;    // of the first program that failed so
  std::uint64_t programs = 0;  // that did
  std::uint64_t events = 0;    // of the first one
  Drawn drawn;                 // that program
  Shrunk small;                // what is left of it: all, before shrink()
  bool reproduced = false;     // by the text of its workload, as a file is read
};

struct Findings {
  std::uint64_t programs = 0, operations = 0;
  std::vector<Found> found;  // in the order of their numbers
};

Findings search(const Campaign& campaign);

void shrink(const Campaign& campaign, Found& found, const Patience& patience = {});

std::string workload_text(const Found& found, const Campaign& campaign);
// kpksim's arguments that reproduce it from `file`.
std::vector<std::string> arguments(const Found& found, const Campaign& campaign,
                                   const std::string& file);

}  // namespace kpksim::fuzz
