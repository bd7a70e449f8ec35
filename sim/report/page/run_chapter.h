#pragma once
// The chapter of a workload that was run under one policy or several: findings, charts and tables.

#include <cstdint>
#include <string>
#include <vector>

#include "sim/report/page/page.h"
#include "sim/report/page/uncertain.h"
#include "sim/report/quantities.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {

inline constexpr const char* kOverFirst = "over the first policy's, in percent";

// One run of a document, or one of its phases, and where it stands there.
struct Part {
  const Json* json;
  std::string at, name;

  std::uint64_t cycles() const { return (*json)["cycles"]["total"].get<std::uint64_t>(); }
  std::string cycles_at() const { return at + "/cycles/total"; }
  // Sums of pieces have the object that holds them as their place.
  std::string pieces_at(bool by_kind) const {
    return at + (by_kind ? "/cycles/by_event" : "/cycles/by_cause");
  }
  // Bytes of page tables of all owners that a stray store could have written. when: "at_rest",
  // "in_windows".
  Reading writable(const char* when) const;
};

struct Run {
  const Json* json;
  std::string at, policy;

  Part total() const { return {&(*json)["total"], at + "/total", policy}; }
  Part phase(std::size_t p) const;
  bool protects() const { return (*json)["configuration"]["protection"]["name"] != "none"; }
};

class RunChapter {
 public:
  // `runs`: of one workload, phase by phase the same; overheads are over the first.
  RunChapter(std::vector<Run> runs, Uncertain uncertain);

  Chapter chapter();

 private:
  std::size_t phases() const { return (*runs_[0].json)["phases"].size(); }
  std::string phase_name(std::size_t p) const;
  std::vector<std::string> policies() const;
  bool x86() const { return is_x86(*runs_[0].json); }

  void facts();
  void compared();  // several policies
  void alone();     // one
  void remarks();

  // run_findings.cc
  void cost_finding(const Run& run);
  void cost_of_one();
  void cheapest();
  void exposure_findings();
  void dearest_phase(const std::vector<Part>& parts, const Part& total);
  void sanitizer_findings();
  void audit();

  // run_charts.cc
  void overhead_chart();
  void pieces_chart(const std::vector<Part>& parts, bool by_kind);
  void exposure_chart(const std::vector<Part>& parts);
  void exposure_over_phases();

  // run_series.cc
  void over_time();
  void exposure_over_time();
  void rates_over_time();

  // run_tables.cc
  void policies_table();
  void phases_table();
  void counts_table(const std::string& title, const std::vector<Part>& parts);

  const std::vector<Run> runs_;
  const Uncertain uncertain_;
  Chapter chapter_;
};

}  // namespace kpksim::report::page
