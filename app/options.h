#pragma once
// What the subcommands share: policies by name, shipped files by name, running a workload.

#include <string>
#include <vector>

#include "sim/base/json_file.h"
#include "sim/base/output_file.h"
#include "sim/base/profile_reader.h"
#include "sim/base/setting.h"
#include "sim/kernel/object/classes.h"
#include "sim/kernel/system.h"
#include "sim/report/result.h"
#include "sim/report/table.h"
#include "sim/watch/recorder.h"
#include "sim/workload/operation.h"

namespace kpksim::app {

// The policies that compare shows unless told otherwise.
const std::vector<std::string>& default_policies();

// Shipped files, as names that the options take.
std::vector<std::string> shipped_workloads();
std::vector<std::string> shipped_attacks();
std::vector<std::string> shipped_cores();
std::vector<std::string> shipped_kernels();
std::vector<std::string> shipped_classes();

// Names of profiles and workloads. What has a '/', ends in ".json" or is a file (in the current
// folder) is a path; everything else is the name of what ships. So a file wins over a shipped name,
// and a folder of that name is not looked at.

// What --set gives, by document, and whether a core's number may be outside its range.
struct Overrides {
  std::vector<Setting> settings = {};
  bool beyond_ranges = false;
};

// Profiles that are opened, not read yet: numbers may still be set in them.
// `who` begins messages about the name.
ProfileReader open_core(const std::string& name, const std::string& who = "--core: ");
ProfileReader open_kernel(const std::string& name, const std::string& who = "--kernel: ");
// Protected classes: a JSON file, or the name of what ships.
struct ClassesFile {
  JsonFile file;
  std::string source;  // in documents
};
ClassesFile open_classes(const std::string& name, const std::string& who = "--classes: ");
kernel::Classes classes_of(const ClassesFile& in, const std::vector<Setting>& settings,
                           const kernel::Variation& variation);
cpu::CoreProfile read_core(const std::string& name);
// `n` draws of an opened profile's estimated numbers from their ranges.
std::vector<cpu::CoreProfile> draw_cores(const ProfileReader& core, unsigned n, std::uint64_t seed);
kernel::KernelProfile read_kernel(const std::string& name);
// A workload file (.json), or a strace recording (anything else; plain, gzip or zstd), also by the
// prefix of the files of strace -ff. `sizes`: files of "# program" lines.
workload::Workload read_workload(const std::string& name,
                                 const std::vector<std::string>& sizes = {},
                                 const std::vector<Setting>& settings = {});
// Where it is: one file, or those of strace -ff.
struct WorkloadPlace {
  std::vector<std::string> paths;
  std::string shipped = {};  // its source in documents, if it ships

  bool is_json() const { return paths.size() == 1 && paths[0].ends_with(".json"); }
  std::string source() const { return shipped.empty() ? paths[0] : shipped; }
};
WorkloadPlace find_workload(const std::string& name);
// One for each, but those files of strace -ff that are one run are one (strace_set.h).
std::vector<workload::Workload> read_workloads(const std::vector<std::string>& names,
                                               const std::vector<std::string>& sizes,
                                               const std::vector<Setting>& settings = {});

// How to do long work: on up to `jobs` threads, with a progress bar called `label` on stderr if
// that is a terminal, unless `quiet`.
struct Effort {
  std::string label;
  unsigned jobs = 1;
  bool quiet = false;
  watch::RecorderOptions record = {};
  StreamedFile* timeline = nullptr;  // where record.timeline goes: of one configuration
};

// The workload under each configuration: one result document each, in the order of `configs`.
std::vector<nlohmann::ordered_json> run_all(const workload::Workload& workload,
                                            const cpu::CoreProfile& core,
                                            const kernel::KernelProfile& profile,
                                            const std::vector<kernel::Config>& configs,
                                            const Effort& effort);

// What the terminal is like, if stdout is one.
report::TableStyle terminal_style();

int compare(const std::vector<std::string>& arguments);
int run(const std::vector<std::string>& arguments);
// A file of an attack, or the shipped one of that name; InputError: neither.
std::string attack_path(const std::string& name);
int attack(const std::vector<std::string>& arguments);
int fuzz(const std::vector<std::string>& arguments);
int keys(const std::vector<std::string>& arguments);
int explain(const std::vector<std::string>& arguments);
int validate(const std::vector<std::string>& arguments);
int validate_apps(const std::vector<std::string>& arguments);
int conform(const std::vector<std::string>& arguments);
int translate(const std::vector<std::string>& arguments);
int config(const std::vector<std::string>& arguments);
int sweep(const std::vector<std::string>& arguments);
int diff(const std::vector<std::string>& arguments);
int plot(const std::vector<std::string>& arguments);
int report(const std::vector<std::string>& arguments);
int list(const std::vector<std::string>& arguments);

}  // namespace kpksim::app
