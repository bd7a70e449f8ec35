#pragma once
// What a real kernel executed, phase by phase: files of tools/kernel-truth, and of kernels built
// with the kpkeys scheme, whose phases have several variants. In these the repetitions are either
// lists in each counter, or a list of readings of all counters.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kpksim::validate {

// The counters of a phase, by name ("tlbi.VALE1IS", "isb", "allocator.split_pmd"): one value for
// each repetition.
using Counts = std::map<std::string, std::vector<std::uint64_t>>;

struct Measurement {
  std::string phase;
  std::string cpu;      // "max" or "a76"
  std::string variant;  // "off" if the file has none
  std::string kernel;   // the kernel profile that is held to it
  Counts counts;
  // The guest waited after the phase until RCU had done all that was put off; `counts` has it.
  bool drained = false;
};

struct CountsFile {
  std::string path;
  std::vector<Measurement> measurements;
};

// InputError with file and JSON pointer: unreadable, not of this format, or a counter, CPU model or
// variant that is not known.
CountsFile read_counts(const std::string& path);

// Names that a file may use.
const std::vector<std::string>& known_cpus();
const std::vector<std::string>& known_variants();

}  // namespace kpksim::validate
