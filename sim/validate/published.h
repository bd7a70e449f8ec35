#pragma once
// The overheads that were published for the scheme: tables of benchmarks, each measured without and
// with batching, and some absolute times. Read from JSON; what the model cannot run is an error.

#include <cstdint>
#include <string>
#include <vector>

namespace kpksim::validate {

// Which part of a run's cycles a row is about.
enum class Measure : std::uint8_t { kAll, kSystem, kUser };

struct Cell {
  std::string label;  // "fork h:0"
  std::string run;    // what the model runs for it: a workload, or kKernbench
  Measure measure = Measure::kAll;
  bool about_page_tables = false;  // fork and munmap, whose price of keying is compared
  bool batched = false;
  double overhead = 0;  // percent over the unprotected kernel
  bool significant = false;
};

struct PublishedTable {
  std::string id;
  bool keyed = false;  // set_memory_pkey() did its work
  std::vector<Cell> cells;
};

struct AbsoluteTime {
  std::string label, run;
  double rounds = 0;
  double usec = 0;
};

struct Published {
  std::vector<PublishedTable> tables;
  std::vector<AbsoluteTime> absolute;
};

// The run that replays a recorded compilation; all others are workloads of workloads/published.
inline constexpr const char* kKernbench = "kernbench";

// InputError names the file and the JSON pointer: not the format, or a row that is not known.
Published read_published(const std::string& path);

}  // namespace kpksim::validate
