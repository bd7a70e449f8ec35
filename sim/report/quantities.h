#pragma once
// What views of a result show of a run or phase: the rows of the terminal's table and of the
// report's, declared once, each with the places of the document that it is read from.

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace kpksim::report {

struct Reading {
  std::uint64_t value = 0;
  // JSON pointers from the run's total or the phase. Of a count that is not there, since nothing
  // was counted, the object that would have it.
  std::vector<std::string> at;
  std::string how = {};  // how the value is made of those; empty: it is the one there, or their sum
};

struct Quantity {
  std::string section, name;
  std::function<Reading(const nlohmann::ordered_json&)> read;
  bool always = false;  // shown also where it is 0 everywhere
};

// In the order of the table. `parts`: what is shown side by side, of which some may have statistics
// of their own. `x86`: of runs on an x86-64 core, whose events have other names.
std::vector<Quantity> quantities(const std::vector<const nlohmann::ordered_json*>& parts, bool x86);

// Bytes of page tables that a stray store could have written, on average over the time of all
// cores. `when`: "at_rest" or "in_windows"; `owner`: "own", "kernel" or "other".
Reading exposed(const nlohmann::ordered_json& part, const std::string& when,
                const std::string& owner);

// All TLB invalidations.
Reading tlb_invalidations(const nlohmann::ordered_json& part);

// How often an event happened, by its name in the document.
Reading event_count(const nlohmann::ordered_json& part, std::string_view name);

}  // namespace kpksim::report
