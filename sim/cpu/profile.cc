#include "sim/cpu/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "sim/base/error.h"

namespace kpksim::cpu {
namespace {

using nlohmann::json;

// Reads numbers of the form {"value": 1, "source": "...", "confidence": "..."} and remembers which
// were asked for, so that a key nobody knows is an error.
class NumberReader {
 public:
  NumberReader(const json& root, std::string path) : root_(root), path_(std::move(path)) {}

  double number(const std::string& group, const std::string& name) {
    known_[group].push_back(name);
    const std::string pointer = "/" + group + "/" + name;
    const json* at =
        root_.contains(group) && root_[group].contains(name) ? &root_[group][name] : nullptr;
    if (at == nullptr) throw InputError(fmt::format("{}: {}: missing number", path_, pointer));
    for (const char* key : {"value", "source", "confidence"}) {
      if (!at->is_object() || !at->contains(key)) {
        throw InputError(fmt::format("{}: {}: expected an object with value, source and confidence",
                                     path_, pointer));
      }
    }
    if (!(*at)["value"].is_number()) {
      throw InputError(fmt::format("{}: {}/value: expected a number", path_, pointer));
    }
    const double value = (*at)["value"].get<double>();
    if (value < 0) throw InputError(fmt::format("{}: {}/value: negative", path_, pointer));
    return value;
  }

  unsigned count(const std::string& group, const std::string& name) {
    const double value = number(group, name);
    if (value < 1 || value != std::floor(value) || value > 1e6) {
      throw InputError(fmt::format("{}: /{}/{}/value: expected a whole number of at least 1", path_,
                                   group, name));
    }
    return static_cast<unsigned>(value);
  }

  void refuse_unknown() const {
    for (const auto& [group, names] : known_) {
      for (const auto& [key, unused] : root_[group].items()) {
        if (std::find(names.begin(), names.end(), key) == names.end()) {
          throw InputError(
              fmt::format("{}: /{}/{}: unknown name{}", path_, group, key, suggest(key, names)));
        }
      }
    }
  }

 private:
  const json& root_;
  std::string path_;
  std::map<std::string, std::vector<std::string>> known_;
};

}  // namespace

CoreProfile read_core_profile(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw InputError(fmt::format("{}: cannot be read", path));
  json root;
  try {
    root = json::parse(file);
  } catch (const json::parse_error& e) {
    throw InputError(fmt::format("{}: byte {}: malformed JSON", path, e.byte));
  }
  CoreProfile profile;
  NumberReader in(root, path);
  profile.name = root.value("name", "");
  profile.description = root.value("description", "");
  const auto tlb = [&](const std::string& name) {
    return mmu::TlbGeometry{in.count("tlb", name + "_sets"), in.count("tlb", name + "_ways")};
  };
  profile.mmu.l1i = tlb("l1i");
  profile.mmu.l1d = tlb("l1d");
  profile.mmu.l2 = tlb("l2");
  profile.mmu.walk_cache_entries = in.count("tlb", "walk_cache_entries");
  if (profile.mmu.l2.sets * profile.mmu.l2.ways < profile.mmu.l1d.sets * profile.mmu.l1d.ways) {
    throw InputError(fmt::format("{}: /tlb: the L2 TLB is smaller than the L1 data TLB", path));
  }
  profile.clock_ghz = in.number("core", "clock_ghz");
  profile.tlb_range = in.number("core", "tlb_range") != 0;
  const auto cost = [&](Event event, const std::string& name) {
    profile.millicycles[static_cast<std::size_t>(event)] =
        static_cast<std::uint64_t>(std::llround(in.number("cycles", name) * 1000));
  };
  cost(Event::kTlbiFirst, "tlbi_issue");
  for (unsigned i = 1; i < 10; ++i) profile.millicycles[i] = profile.millicycles[0];
  cost(Event::kIsb, "isb");
  cost(Event::kDsbIsh, "dsb_ish");
  cost(Event::kDsbIshst, "dsb_ishst");
  cost(Event::kDsbNsh, "dsb_nsh");
  cost(Event::kDsbOsh, "dsb_ish");
  cost(Event::kMsrPor, "msr_por_el1");
  cost(Event::kMrsPor, "mrs_por_el1");
  cost(Event::kMsrTtbr, "msr_ttbr");
  cost(Event::kExceptionEl0, "exception_entry");
  cost(Event::kExceptionEl1, "exception_entry");
  cost(Event::kEret, "eret");
  cost(Event::kLoad, "load");
  cost(Event::kStore, "store");
  cost(Event::kUserAccess, "load");
  cost(Event::kL2TlbHit, "l2_tlb_hit");
  cost(Event::kWalk, "walk");
  cost(Event::kWalkRead, "walk_read");
  cost(Event::kHardwareUpdate, "walk_read");
  cost(Event::kInstruction, "instruction");
  cost(Event::kPageZero, "page_zero");
  cost(Event::kPageCopy, "page_copy");
  in.refuse_unknown();
  return profile;
}

}  // namespace kpksim::cpu
