#include "sim/fuzz/trial.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>

#include "sim/base/error.h"
#include "sim/base/json_file.h"
#include "sim/base/output_file.h"
#include "sim/check/sanitizer.h"
#include "sim/kernel/cause.h"
#include "sim/workload/driver.h"
#include "sim/workload/json.h"

namespace kpksim::fuzz {
namespace {

constexpr const char* kNotRefused = "not refused";  // a failure's kind begins so

kernel::Config config_of(const Place& place, const Machine& machine, const Program& program) {
  kernel::Config config;
  config.policy = place.policy;
  config.memory_bytes = machine.memory_bytes;
  config.injections = machine.injections;
  config.cores = program.cores;
  config.hz = program.hz;
  config.pressure_every = program.pressure_every;
  config.interleave = program.interleave;
  config.watched = true;
  return config;
}

// Addresses and counts are others each time.
std::string without_numbers(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto is_digit = [&](std::size_t at) {
      return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at])) != 0;
    };
    if (text.substr(i, 2) == "0x" && is_digit(i + 2)) {
      out += '#';
      for (i += 2; is_digit(i + 1);) ++i;
    } else if (std::isdigit(static_cast<unsigned char>(text[i])) != 0) {
      if (out.empty() || out.back() != '#') out += '#';
    } else {
      out += text[i];
    }
  }
  return out;
}

Failure of(const char* what, const std::string& message) {
  return {fmt::format("{}: {}", what, without_numbers(message)),
          fmt::format("{}: {}", what, message)};
}

void add_findings(const check::Report& report, const Place& place, std::vector<Failure>& out) {
  for (const check::Finding& f : report.findings()) {
    if (f.rule == check::Rule::kWritableTable && place.leaves_open) continue;
    const std::string_view rule = check::info(f.rule).name;
    out.push_back({fmt::format("{}: {} ({})", rule, f.text.substr(0, f.text.find(':')),
                               kernel::kCauseNames[f.cause]),
                   fmt::format("{}: {}", rule, f.text), f.history});
  }
}

void add_audit(const std::vector<workload::PhaseResult>& phases, std::vector<Failure>& out) {
  std::uint64_t leaves = 0, tables = 0, breaks = 0;
  for (const workload::PhaseResult& phase : phases) {
    leaves += phase.audit.stale_leaves;
    tables += phase.audit.stale_tables;
    breaks = phase.audit.bbm_violations;  // since boot
  }
  if (leaves != 0) out.push_back(of("audit", fmt::format("{} stale leaves", leaves)));
  if (tables != 0) out.push_back(of("audit", fmt::format("{} stale tables", tables)));
  if (breaks != 0) out.push_back(of("audit", fmt::format("{} times made before a break", breaks)));
}

Outcome run(const workload::Workload& workload, const Place& place, const kernel::Config& config,
            std::uint64_t most_events = kMostEvents) {
  Outcome out;
  try {
    kernel::Kernel kernel(*place.core, *place.kernel, config);
    check::Sanitizer::Options options;
    options.most_events = most_events;
    const check::Sanitizer sanitizer(kernel, options);
    try {
      add_audit(workload::Driver(kernel).run(workload), out.failures);
    } catch (const kernel::StrayStoreDone& e) {
      out.failures.push_back(of(kNotRefused, e.what()));
    } catch (const kernel::KernelOops& e) {
      out.failures.push_back(of("the simulated kernel died", e.what()));
    } catch (const InputError& e) {
      out.failures.push_back(of("refused", std::string(e.what()).substr(workload.source.size())));
    } catch (const check::TooLong& e) {
      out.failures.push_back(of("does not end", e.what()));
    } catch (const std::exception& e) {
      out.failures.push_back(of("defect", e.what()));
    }
    add_findings(sanitizer.report(), place, out.failures);
    out.events = sanitizer.events();
  } catch (const kernel::KernelOops& e) {
    out.failures.push_back(of("the simulated kernel died at boot", e.what()));
  }
  return out;
}

Outcome no_workload(const std::string& why) { return {{of(kNoWorkload, why)}}; }

// Tables of every kind, the linear map's splits among them; and stores to some.
Program ordinary_program() {
  Program program;
  program.ops = {
      {{"op", "spawn"}, {"task", "t"}},
      {{"op", "mmap"}, {"task", "t"}, {"region", "r"}, {"size", 8 << 20}, {"huge", "never"}},
      {{"op", "touch"}, {"task", "t"}, {"region", "r"}, {"access", "write"}, {"stride", 64 << 10}},
      {{"op", "vmalloc"}, {"region", "v"}, {"pages", 600}, {"write", true}},
      {{"op", "fork"}, {"task", "t"}, {"child", "c"}},
      {{"op", "exit"}, {"task", "c"}},
  };
  for (const char* entry : {"pte", "pmd", "pud", "pgd"}) {
    program.ops.push_back({{"op", "stray_store"},
                           {"task", "t"},
                           {"region", "r"},
                           {"entry", entry},
                           {"refused", true}});
  }
  return program;
}

}  // namespace

// The file is only in memory.
workload::Workload read(const Program& program, bool whole) {
  const std::string text = workload_text(program, "fuzz", "");
  const int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
  if (descriptor < 0) throw std::bad_alloc();
  const auto close_it = [](const int* d) { close(*d); };
  const std::unique_ptr<const int, decltype(close_it)> closing(&descriptor, close_it);
  if (!write_all(descriptor, text)) throw std::bad_alloc();
  const JsonFile file(fmt::format("/proc/self/fd/{}", descriptor));
  return whole ? workload::read_json_workload(file) : workload::read_valid_workload(file);
}

const Place* Places::at(std::size_t i) {
  std::call_once(state_[i].asked, [&] { state_[i].usable = prepare(places_[i]); });
  return state_[i].usable ? &places_[i] : nullptr;
}

bool Places::prepare(Place& place) const {
  const auto boots = [&](bool interleave) {
    Program none;
    none.interleave = interleave;
    const kernel::Config config = config_of(place, machine_, none);
    try {
      kernel::check(config);
      const kernel::Kernel kernel(*place.core, *place.kernel, config);
    } catch (const InputError&) {
      return false;
    } catch (const kernel::KernelOops&) {  // of what was injected
    }
    return true;
  };
  if (!boots(false)) return false;
  place.interleave = boots(true);
  const Program program = ordinary_program();
  Machine whole = machine_;
  whole.injections.clear();
  place.leaves_open = false;
  const Outcome known = run(read(program), place, config_of(place, whole, program));
  for (const Failure& f : known.failures) {
    const auto& protection = kernel::Protections::find(place.policy.protection.name, "protection");
    const bool unprotected = protection.marks.empty() || kernel::protects_nothing(place.policy);
    place.leaves_open |= f.kind.starts_with(check::info(check::Rule::kWritableTable).name) ||
                         (unprotected && f.kind.starts_with(kNotRefused));
  }
  return true;
}

Outcome try_program(const Program& program, const Place& place, const Machine& machine,
                    const Effort& effort) {
  workload::Workload workload;
  try {
    workload = read(program, effort.whole);
  } catch (const InputError& e) {
    const std::string_view why = e.what();  // after the name of the file
    return no_workload(std::string(why.substr(std::min(why.find(':'), why.size()))));
  } catch (const nlohmann::json::exception& e) {  // what the schema would have refused
    return no_workload(e.what());
  }
  return run(workload, place, config_of(place, machine, program), effort.most_events);
}

bool is_workload(const Program& program) {
  try {
    read(program, true);
  } catch (const InputError&) {
    return false;
  }
  return true;
}

}  // namespace kpksim::fuzz
