#pragma once
// Reads how a strike or a goal of a scenario's file names a page, a task, a region or a context.

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "sim/attack/scenario.h"
#include "sim/base/error.h"
#include "sim/base/json_file.h"

namespace kpksim::attack {

class PageReader {
 public:
  // `plan`: of the scenario's classes, or null. All of them outlive it.
  PageReader(const JsonFile& file, const workload::Workload& workload,
             const kernel::ClassPlan* plan)
      : file_(file), workload_(workload), plan_(plan) {}

  // From here on a page has this name.
  void take(const std::string& name) { taken_.insert(name); }
  PageRef read(const nlohmann::json& value, const std::string& at);
  bool any_credentials() const { return credentials_; }

  std::uint32_t task(const nlohmann::json& name, const std::string& at) const;
  std::uint32_t region(const nlohmann::json& name, const std::string& at) const;
  std::size_t context(const nlohmann::json& name, const std::string& at, bool sleeps) const;
  // Of `object`; 0 if it has no such key.
  std::uint64_t size(const nlohmann::json& object, const char* key, const std::string& at) const;

  template <class Map>
  auto named(const Map& ids, const std::string& name, const std::string& kind,
             const std::string& at) const {
    const auto found = ids.find(name);
    if (found != ids.end()) return found->second;
    std::vector<std::string> known;
    known.reserve(ids.size());
    for (const auto& [other, unused] : ids) known.push_back(other);
    file_.fail(at, "'" + name + "' is not a " + kind + suggest(name, known));
  }

 private:
  void check_taken(const std::string& name, const std::string& at) const;
  void read_place(const nlohmann::json& of, const std::string& at, PageRef& out) const;
  void read_linear(const nlohmann::json& of, const std::string& at, PageRef& out) const;
  const kernel::ClassPlan& plan(const std::string& at) const;

  const JsonFile& file_;
  const workload::Workload& workload_;
  const kernel::ClassPlan* const plan_;
  std::set<std::string> taken_;
  bool credentials_ = false;
};

}  // namespace kpksim::attack
