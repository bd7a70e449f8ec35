#include "sim/validate/counts.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/base/error.h"
#include "sim/base/json_file.h"
#include "sim/base/json_text.h"
#include "sim/mmu/tlbi.h"

namespace kpksim::validate {
namespace {

using nlohmann::json;

const std::vector<std::string> kCounters = {"msr_por",
                                            "mrs_por",
                                            "isb",
                                            "dsb_ish",
                                            "dsb_ishst",
                                            "dsb_nsh",
                                            "dsb_nshst",
                                            "dsb_other",
                                            "eret",
                                            "svc",
                                            "irqs",
                                            "timer_irqs",
                                            "msr_ttbr0",
                                            "msr_ttbr1",
                                            "kernel_instructions",
                                            "user_instructions",
                                            "page_table_writes"};

const std::vector<std::string>& known_tlbi() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> names;
    for (const mmu::TlbiInfo& info : mmu::kTlbiInfo) {
      for (const char* domain : {"", "IS", "OS"}) names.push_back(std::string(info.name) + domain);
    }
    return names;
  }();
  return all;
}
const std::vector<std::string> kDeferred = {"msr_por", "isb", "dsb_ish", "dsb_ishst", "tlbi_total"};
constexpr std::string_view kLater = "-617";

class CountsReader {
 public:
  explicit CountsReader(const std::string& path) : json_(path) { file_.path = path; }

  CountsFile read() {
    const json& root = json_.root();
    if (!root.is_object() || !root.contains("phases") || !root["phases"].is_array()) {
      fail("/phases", "expected the phases that a kernel was counted in");
    }
    variants_ = root.contains("variants");
    for (std::size_t i = 0; i < root["phases"].size(); ++i) {
      phase(root["phases"][i], fmt::format("/phases/{}", i));
    }
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(const std::string& pointer, const std::string& what) const {
    json_.fail(pointer, what);
  }

  void check(const std::string& name, const std::vector<std::string>& known, const char* what,
             const std::string& pointer) const {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      fail(pointer, fmt::format("'{}' is not a {}{}", name, what, suggest(name, known)));
    }
  }

  void phase(const json& p, const std::string& pointer) {
    if (!p.is_object() || !p.contains("name") || !p["name"].is_string() || !p.contains("cpu")) {
      fail(pointer, "expected a phase with name and cpu");
    }
    for (const auto& [cpu, of_cpu] : p["cpu"].items()) {
      check(cpu, known_cpus(), "CPU model", pointer + "/cpu");
      const std::string name = p["name"].get<std::string>(), at = pointer + "/cpu/" + cpu;
      if (!variants_) {
        add({name, cpu, "off", "linux-6.12", {}, false}, of_cpu, at);
        continue;
      }
      for (const auto& [variant, of_variant] : of_cpu.items()) {
        // The variants with 6.16's work carry the name of the kernel that they are near to.
        const bool later = variant.ends_with(kLater);
        const std::string scheme =
            later ? variant.substr(0, variant.size() - kLater.size()) : variant;
        check(scheme, known_variants(), "variant", at);
        add({name, cpu, scheme, later ? "linux-6.12-port-6.16" : "linux-6.12-kpkeys", {}, false},
            of_variant, at + "/" + variant);
      }
    }
  }

  void add(Measurement m, const json& counters, const std::string& pointer) {
    if (counters.is_array() && !counters.empty()) {
      for (std::size_t i = 0; i < counters.size(); ++i) {
        Measurement one{m.phase, m.cpu, m.variant, m.kernel, {}, false};
        read_counters(one, counters[i], fmt::format("{}/{}", pointer, i));
        m.drained = one.drained;
        // An operation that a reading does not name was not executed in it.
        for (const auto& [name, values] : one.counts) {
          std::vector<std::uint64_t>& all = m.counts[name];
          all.resize(i, 0);
          all.push_back(values.front());
        }
      }
      for (auto& [name, all] : m.counts) all.resize(counters.size(), 0);
    } else {
      read_counters(m, counters, pointer);
    }
    file_.measurements.push_back(std::move(m));
  }

  void read_counters(Measurement& m, const json& counters, const std::string& pointer) const {
    if (!counters.is_object()) fail(pointer, "expected counters by name");
    for (const auto& [name, value] : counters.items()) {
      const std::string at = pointer + "/" + name;
      if (name == "deterministic" || name.ends_with("_by_function")) continue;
      if (name == "tlbi" || name == "allocator_after") {
        if (value.is_null()) continue;
        const std::string group = name == "tlbi" ? "tlbi." : "allocator.";
        for (const auto& [key, values] : value.items()) {
          if (name == "tlbi") check(key, known_tlbi(), "TLBI operation", at);
          m.counts[group + key] = numbers(values, at + "/" + key);
        }
        continue;
      }
      if (name == "deferred") continue;
      check(name, kCounters, "counter", pointer);
      m.counts[name] = numbers(value, at);
    }
    if (counters.contains("deferred")) {
      m.drained = true;
      add_deferred(m, counters["deferred"], pointer + "/deferred");
    }
  }

  // What RCU put off to after the phase belongs to it: page tables that lose their key, each with
  // one flush of its page (repeated on a core with that erratum) and one section, without batching.
  // The wait that lets RCU run has more ISB, DSB ISH and register writes, of interrupts.
  void add_deferred(Measurement& m, const json& deferred, const std::string& pointer) const {
    if (!deferred.is_object()) fail(pointer, "expected counters by name");
    const auto more = [&](const std::string& counter, std::uint64_t n) {
      if (n == 0) return;
      std::vector<std::uint64_t>& values = m.counts[counter];
      values.resize(1, 0);
      values.front() += n;
    };
    for (const auto& [name, value] : deferred.items()) {
      check(name, kDeferred, "deferred counter", pointer);
      const std::uint64_t n = numbers(value, pointer + "/" + name).front();
      if (name == "dsb_ishst") more(name, n);
      if (name != "tlbi_total") continue;
      const bool repeated = m.cpu == "a76";
      const std::uint64_t pages = repeated ? n / 2 : n;
      more("tlbi.VAALE1IS", pages);
      if (repeated) more("tlbi.VALE1IS", pages);
      more("msr_por", 2 * pages);
      more("mrs_por", pages);
      more("isb", 4 * pages);
      more("dsb_ish", n);
    }
  }

  std::vector<std::uint64_t> numbers(const json& value, const std::string& pointer) const {
    const json list = value.is_array() ? value : json::array({value});
    std::vector<std::uint64_t> out;
    for (const json& n : list) {
      if (!n.is_number_unsigned()) fail(pointer, "expected whole numbers, found " + dump(n));
      out.push_back(n.get<std::uint64_t>());
    }
    if (out.empty()) fail(pointer, "no value");
    return out;
  }

  const JsonFile json_;
  CountsFile file_;
  bool variants_ = false;  // a kernel with the kpkeys scheme
};

}  // namespace

const std::vector<std::string>& known_cpus() {
  static const std::vector<std::string> all = {"max", "a76"};
  return all;
}

const std::vector<std::string>& known_variants() {
  static const std::vector<std::string> all = {
      "off",       "switch-only",    "switch-only-batched",    "keyed", "keyed-batched",
      "off-block", "per-page-block", "per-page-block-batched", "pba",   "pba-batched"};
  return all;
}

CountsFile read_counts(const std::string& path) { return CountsReader(path).read(); }

}  // namespace kpksim::validate
